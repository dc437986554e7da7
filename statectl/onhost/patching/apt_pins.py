"""A wanted set of versions as preferences of apt, and what a simulation under them means. Text in, text and records out.

apt looks only at a package's candidate when it resolves, so everything that may move must be one, and nothing else may:

    installed versions                  900    of everything, or it would move
    wanted versions                     990
    what may come along                 980    apt takes it where something needs it, and leaves it otherwise
    all else                             -1    it cannot come
    a rollback's wanted versions       1001    the only ones that are ever downgraded

With `dependencies: any` whatever the host's own preferences offer may come along, but for the blocked names.
"""

import re
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Sequence, Set, Tuple

from statectl.onhost.failure import Failed
from statectl.onhost.patching import apt_packages

if TYPE_CHECKING:
    from typing import Collection, Mapping

    Slot = Tuple[str, str]  # name, foreign architecture or ''

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+.-]*\Z")
_VERSION = re.compile(r"[a-zA-Z0-9.+:~-]+\Z")
_REMV = re.compile(r"^(?:Remv|Purg) (\S+)", re.MULTILINE)
_UNMET = re.compile(
    r"^ ?(?P<package>\S+)? *:? *(?P<kind>Depends|PreDepends|Breaks|Conflicts): (?P<what>.+?) but (?P<why>.+)$"
)


class Asked(NamedTuple):
    """What a transaction is made of: slots are (name, foreign architecture or '')."""

    wanted: "Mapping[Slot, str]"
    allowed: "Mapping[Slot, str]"
    blocked: "Collection[str]"
    anything: bool
    downgrade: bool
    own: str  # the host's architecture
    foreign: "Collection[str]" = ()


class Outcome(NamedTuple):
    """What apt would do. arches: of the versions that come."""

    code: int
    moves: "Dict[Slot, Tuple[str, str]]"  # from or '', to
    arches: "Dict[Slot, str]"
    removed: "List[str]"
    downgraded: "Set[Slot]"
    text: str


def checked(name: str, version: str) -> None:
    """What becomes a line of preferences or an argument is a name and a version, and nothing else. Raises Failed."""
    if not _NAME.match(name) or not _VERSION.match(version):
        raise Failed("%r %r are no name and version of a Debian package" % (name, version), "not a package")


def preferences(asked: "Asked", own_preferences: str = "") -> str:
    """own_preferences: the text of the host's, looked at behind ours where anything may come along."""
    lines: "List[str]" = []
    for slot, version in sorted(asked.wanted.items()):
        lines += _pin(slot, asked.own, "version " + version, 1001 if asked.downgrade else 990)
    for slot, version in sorted(asked.allowed.items()):
        if slot not in asked.wanted and slot[0] not in asked.blocked:
            lines += _pin(slot, asked.own, "version " + version, 980)
    if asked.anything:
        for name in sorted(asked.blocked):
            for arch in ("", *asked.foreign):
                lines += _pin((name, arch), asked.own, "release a=now", 900)
                lines += _pin((name, arch), asked.own, "release *", -1)
        return "\n".join(lines) + "\n" + own_preferences
    lines += ["Package: *", "Pin: release a=now", "Pin-Priority: 900", ""]
    lines += ["Package: *", "Pin: release *", "Pin-Priority: -1", ""]
    return "\n".join(lines)


def _pin(slot: "Slot", own: str, pin: str, priority: int) -> "List[str]":
    return ["Package: %s:%s" % (slot[0], slot[1] or own), "Pin: " + pin, "Pin-Priority: %d" % priority, ""]


def outcome(code: int, text: str, own: str) -> "Outcome":
    moved: "Dict[Slot, Tuple[str, str]]" = {}
    arches: "Dict[Slot, str]" = {}
    for spec, arch, old, new in apt_packages.moves(text):
        slot = apt_packages.slot(spec, own)
        moved[slot], arches[slot] = (old, new), arch
    downgraded = {apt_packages.slot(spec, own) for spec in section(text, "DOWNGRADED")}
    return Outcome(code, moved, arches, sorted(set(_REMV.findall(text))), downgraded, text)


def section(text: str, title: str) -> "List[str]":
    """Names listed below a heading such as 'The following packages will be DOWNGRADED:'."""
    names: "List[str]" = []
    inside = False
    for line in text.split("\n"):
        if line and not line.startswith(" "):
            inside = title in line and line.endswith(":")
        elif inside:
            names += line.replace("*", " ").split()
    return names


def objection(found: "Outcome", asked: "Asked") -> str:
    """Why this must not be done, '' : it may. Whatever apt has been told, what it says that it would do is what counts."""
    if found.code != 0:
        return unmet(found.text) or "apt cannot do it: %s" % apt_packages.complaint(found.text, found.code)
    if found.removed:
        return "it would remove %s" % ", ".join(found.removed)
    down = sorted(name for name, arch in found.downgraded if not (asked.downgrade and (name, arch) in asked.wanted))
    if down:
        return "it would downgrade %s" % ", ".join(down)
    for slot, (_, version) in sorted(found.moves.items()):
        if slot in asked.wanted:
            if asked.wanted[slot] != version:
                return "it would bring %s %s, and %s is wanted" % (slot[0], version, asked.wanted[slot])
        elif slot[0] in asked.blocked:
            return "it needs %s, which is rejected" % slot[0]
        elif not asked.anything and asked.allowed.get(slot) != version:
            return "it needs %s %s, which is not approved" % (slot[0], version)
    return ""


class Unmet(NamedTuple):
    """A line of apt's: `lab-app : Depends: lab-lib (>= 2.0) but 1.0 is to be installed`"""

    package: str
    kind: str
    what: str
    why: str

    @property
    def name(self) -> str:
        return self.what.split(" ")[0].partition(":")[0]


def unmet_lines(text: str) -> "List[Unmet]":
    lines: "List[Unmet]" = []
    package, inside = "", False
    for line in text.split("\n"):
        if line.startswith("The following packages have unmet dependencies:"):
            inside = True
        elif inside and line.startswith(" "):
            match = _UNMET.match(line)
            if match is not None:
                package = match.group("package") or package
                lines.append(Unmet(package, match.group("kind"), match.group("what"), match.group("why")))
        elif inside and line:
            inside = False
    return lines


def unmet(text: str) -> str:
    """What is in the way, for people: `it needs lab-lib (>= 2.0), and 1.0 is to be installed`."""
    return "; ".join(told(line) for line in unmet_lines(text)[:3])


def told(line: "Unmet", verdict: str = "", of: str = "") -> str:
    """of: the package that is spoken of already."""
    verb = (
        "needs" if line.kind in ("Depends", "PreDepends") else "breaks" if line.kind == "Breaks" else "conflicts with"
    )
    who = "it" if line.package.partition(":")[0] == of else line.package
    return "%s %s %s, %s" % (who, verb, line.what, verdict or "but " + line.why)


def slots(versions: "Sequence[Sequence[str]]", own: str) -> "Dict[Slot, str]":
    """[[name, arch, version], ...] -> {slot: version}; of two versions of one, the last."""
    found = {}
    for name, arch, version in versions:
        checked(name, version)
        if not _NAME.match(arch):
            raise Failed("%r is no architecture" % arch, "not a package")
        found[name, "" if arch in (own, "all") else arch] = version
    return found
