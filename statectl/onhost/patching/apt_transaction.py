"""Installing exactly the wanted versions with apt, in one transaction, as it was looked at before.

The largest part of the wanted set that apt can install under the pins is found by apt itself (`upgrade --with-new-pkgs`), then every
patch that is left over is tried with it; one that cannot come is kept back with what is in its way. The transaction is that same
`upgrade`, pinned to the moves that were found: so packages that came as dependencies stay marked as such.

All that is written for it lies in a scratch directory beside our indexes: preferences, sources, files that the controller delivered.
"""

import os
import re
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from statectl.onhost.failure import Failed
from statectl.onhost.patching import apt_delivered, apt_packages, apt_pins
from statectl.onhost.patching.apt_lists import Lists, without_secrets
from statectl.onhost.patching.apt_pins import Asked, Outcome
from statectl.onhost.resources.package import apt, apt_index
from statectl.onhost.resources.patches import Foreseen
from statectl.onhost.versions import compare_deb

if TYPE_CHECKING:
    from statectl.onhost.host import Host
    from statectl.onhost.patching.apt_packages import Installed, Table
    from statectl.onhost.process import Ran
    from statectl.onhost.resources.patches import Desired

    Slot = Tuple[str, str]

ARCHIVES = "/var/cache/apt/archives"
TRYING_S = 180.0  # for patches that are tried one by one
SHOWN_LINES = 20
SPARE = 16 * 1024 * 1024  # bytes that dpkg's own files and logs may take
# services are restarted by the baseline's own policy, not by a hook in the middle
ENVIRONMENT = dict(apt.ENVIRONMENT, NEEDRESTART_SUSPEND="1")
_PREFERENCE = re.compile(r"[A-Za-z0-9_.-]+(?:\.pref)?\Z")


class Prepared(object):
    """See the package. Everything is asked of one set of indexes, chosen when it is entered."""

    def __init__(self, host: "Host", want: "Desired") -> None:
        self._host, self._want = host, want
        self._top = ""
        self._options: "Sequence[str]" = ()
        self._packages: "List[Installed]" = []
        self._own = ""
        self._foreseen: "Optional[Foreseen]" = None
        self._found: "Optional[Outcome]" = None

    def __enter__(self) -> "Prepared":
        host = self._host
        lists = Lists(host, self._want.sources or ())
        if self._want.sources:
            lists.refresh(365 * 86400.0)  # a scan has fetched them; here only what nobody has looked at yet
        lists.prepare()
        self._top = lists.scratch()
        try:
            self._options = lists.options
            self._read()
            if self._want.cached:
                self._options = apt_delivered.options(self._host, self._top, self._own, lists, self._want)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._host.run(["rm", "-rf", "--", self._top], check=False)

    def _read(self) -> None:
        self._packages = apt_packages.dpkg(self._host)
        self._own = apt_packages.native(self._packages)

    # -- looking ahead

    def look(self) -> "Foreseen":
        want, own = self._want, self._own
        installed = {apt_packages.slot(_spec(one), own): one for one in apt_packages.here(self._packages)}
        shown = {apt_packages.slot("%s:%s" % (name, arch), own): arch for name, arch, _ in want.versions or ()}
        wanted: "Dict[Slot, str]" = {}
        for slot, version in apt_pins.slots(want.versions or (), own).items():
            order = compare_deb(installed[slot].version, version) if slot in installed else -1
            if order < 0 or (want.downgrade and order):
                wanted[slot] = version
        allowed = apt_pins.slots(want.allowed or (), own)
        held = {slot for slot, one in installed.items() if one.held}
        kept = self._out_of_reach(wanted, held, installed)
        asked = Asked(
            {slot: version for slot, version in wanted.items() if slot not in kept},
            {slot: version for slot, version in allowed.items() if slot not in held},
            frozenset(want.blocked or ()),
            want.dependencies == "any",
            bool(want.downgrade),
            own,
            sorted({one.arch for one in installed.values()} - {own, "all"}),
        )
        found, refused = self._largest(asked)
        kept.update(refused)
        self._found = found
        moves = [
            (slot[0], shown.get(slot, found.arches[slot]), old, new) for slot, (old, new) in sorted(found.moves.items())
        ]
        names = {(slot[0], shown.get(slot, slot[1] or own)): why for slot, why in kept.items()}
        self._foreseen = Foreseen(moves, names, self._unfinished())
        return self._foreseen

    def _unfinished(self) -> str:
        broken = apt_packages.broken(self._packages)
        if not broken and not apt.interrupted(self._host):
            return ""
        return "repair: dpkg --configure -a%s" % (" (%s)" % ", ".join(broken) if broken else "")

    def _out_of_reach(
        self, wanted: "Mapping[Slot, str]", held: "Set[Slot]", installed: "Mapping[Slot, Installed]"
    ) -> "Dict[Slot, str]":
        """What needs no attempt: on hold, in no index, or kept elsewhere by the host's own pins -> {slot: why}."""
        specs = {slot: apt_packages.spoken(slot[0], slot[1], self._own) for slot in wanted}
        tables = apt_packages.tables(self._host, self._options, sorted(specs.values())) if specs else {}
        kept = {}
        for slot, version in wanted.items():
            if slot in held and not self._want.downgrade:
                hold = "it is on hold at %s; `apt-mark unhold %s` lets it go"
                kept[slot] = hold % (installed[slot].version, specs[slot])
                continue
            why = _unobtainable(tables.get(specs[slot]), version, bool(self._want.downgrade))
            if why:
                kept[slot] = why
        return kept

    def _largest(self, asked: "Asked") -> "Tuple[Outcome, Dict[Slot, str]]":
        """-> (what comes, {wanted slot: why it stays})"""
        if not asked.wanted:
            return Outcome(0, {}, {}, [], set(), ""), {}
        found = self._simulated(asked, asked.wanted)
        if not apt_pins.objection(found, asked) and all(slot in found.moves for slot in asked.wanted):
            return found, {}
        by_itself = self._simulated(asked, None)
        base = {slot: to for slot, to in asked.wanted.items() if by_itself.moves.get(slot, ("", ""))[1] == to}
        found = self._simulated(asked, base) if base else Outcome(0, {}, {}, [], set(), "")
        if apt_pins.objection(found, asked):
            base, found = {}, Outcome(0, {}, {}, [], set(), "")
        refused: "Dict[Slot, str]" = {}
        end = time.monotonic() + TRYING_S
        for slot in sorted(set(asked.wanted) - set(base)):
            if slot in found.moves:
                continue
            if time.monotonic() > end:
                refused[slot] = "it cannot come with all the others, and there was no time to look at it alone"
                continue
            tried = self._simulated(asked, {**base, slot: asked.wanted[slot]})
            why = apt_pins.objection(tried, asked)
            if not why:
                base[slot], found = asked.wanted[slot], tried
            else:
                refused[slot] = self._in_the_way(tried, asked, slot[0]) or why
        return found, {slot: why for slot, why in refused.items() if slot not in found.moves}

    def _in_the_way(self, tried: "Outcome", asked: "Asked", of: str) -> str:
        """The dependencies that are not met, and what keeps each of them away."""
        lines = apt_pins.unmet_lines(tried.text)[:3]
        needed = [line for line in lines if line.kind in ("Depends", "PreDepends")]
        names = sorted({line.name for line in needed})
        tables = apt_packages.tables(self._host, self._options, names) if names else {}
        told = []
        for line in lines:
            verdict = ""
            if line in needed and line.name in asked.blocked:
                verdict = "which is rejected"
            elif line in needed and not asked.anything:
                table = tables.get(line.name)
                newer = [one for one in table.versions if one.archives] if table is not None else []
                if not newer:
                    verdict = "which no archive of this host has"
                elif table is not None and table.installed:
                    verdict = "of which %s is installed and no other version is approved" % table.installed
                    known = asked.wanted.get((line.name, "")) or asked.allowed.get((line.name, ""))
                    if known:
                        verdict = "of which %s is installed and %s is approved" % (table.installed, known)
                else:
                    verdict = "which is not approved"
            told.append(apt_pins.told(line, verdict, of))
        return "; ".join(told)

    def _simulated(self, asked: "Asked", wanted: "Optional[Mapping[Slot, str]]") -> "Outcome":
        """wanted: what is asked for by name; None: whatever the pins let apt upgrade."""
        options = self._pinned(asked)
        verb = self._upgrade()
        if wanted is not None:
            names = [
                "%s=%s" % (apt_packages.spoken(slot[0], slot[1], self._own), version)
                for slot, version in sorted(wanted.items())
            ]
            verb = ["install", *self._risks(), "--", *names]
        code, out, err = apt_packages.output(self._host, ["apt-get", "-s", "-q", *options, *verb])
        return apt_pins.outcome(1 if code is None else code, out + "\n" + err, self._own)

    def _risks(self) -> "List[str]":
        """Of a rollback alone; the pins still keep everything in its place that it does not name."""
        return ["--allow-downgrades", "--allow-change-held-packages"] if self._want.downgrade else []

    def _upgrade(self) -> "List[str]":
        return ["upgrade", "--with-new-pkgs", *self._risks(), *(["--ignore-hold"] if self._want.downgrade else [])]

    def _pinned(self, asked: "Asked") -> "List[str]":
        """Write the preferences of this set -> options that make apt look at them alone."""
        text = apt_pins.preferences(asked, self._own_preferences() if asked.anything else "")
        path = self._top + "/preferences"
        self._host.run(["tee", "--", path], input=text.encode("utf-8", "surrogateescape"))
        options = [*self._options, "-o", "Dir::Etc::preferences=" + path, "-o", "Dir::Etc::preferencesparts=/dev/null"]
        # a default release of the host's stands before all preferences
        return options if asked.anything else [*options, "-o", "APT::Default-Release="]

    def _own_preferences(self) -> str:
        host, place = self._host, "/etc/apt/preferences.d"
        paths = [
            "%s/%s" % (place, name)
            for name in host.listdir(place)
            if _PREFERENCE.match(name) and ("." not in name or name.endswith(".pref"))
        ]
        texts = [(host.read_file(path) or b"").decode("utf-8", "replace") for path in [*paths, "/etc/apt/preferences"]]
        return "\n\n".join(texts)

    # -- installing

    def install(self) -> None:
        """Raises Failed: what went wrong, what of it is installed all the same, and the last lines that were said."""
        repaired = None
        if self._unfinished():
            repaired = apt.repair(self._host)
            self._read()
            self._foreseen = None
        foreseen = self._foreseen or self.look()
        found = self._found
        if found is None or not found.moves:
            if repaired is not None and self._unfinished():
                said = without_secrets(repaired.out + "\n" + repaired.err)
                broken = ", ".join(apt_packages.broken(self._packages))
                message = "%s after dpkg --configure -a: %s" % (broken, without_secrets(apt.why(repaired)))
                raise Failed(
                    message, "repair of dpkg failed", ["dpkg", "--configure", "-a"], repaired.code, _tail(said)
                )
            return
        exact = Asked(
            {slot: to for slot, (_, to) in found.moves.items()}, {}, (), False, bool(self._want.downgrade), self._own
        )
        again = self._simulated(exact, None)
        trouble = apt_pins.objection(again, exact)
        if not trouble and {slot: to for slot, (_, to) in again.moves.items()} != exact.wanted:
            missing = sorted(slot[0] for slot in set(exact.wanted) - set(again.moves))
            trouble = "it would leave out %s" % ", ".join(missing)
        if trouble:
            raise Failed("the transaction is not what was looked at: %s" % trouble, "transaction refused")
        self._room(exact.wanted)
        held = sorted(_spec(one) for one in self._packages if one.held and self._slot(one) in exact.wanted)
        try:
            self._commit(self._pinned(exact), foreseen)
        finally:
            if held:
                apt.hold(self._host, held, True)  # dpkg forgets it when a package is replaced

    def _slot(self, one: "Installed") -> "Slot":
        return apt_packages.slot(_spec(one), self._own)

    def _room(self, wanted: "Mapping[Slot, str]") -> None:
        """Is there room for the files and for what they unpack to? apt looks at the first only. Raises Failed."""
        specs = [
            "%s=%s" % (apt_packages.spoken(slot[0], slot[1], self._own), version) for slot, version in wanted.items()
        ]
        before = {self._slot(one): one.size * 1024 for one in self._packages}
        files = grows = largest = 0
        for record in apt_packages.records(self._host, self._options, specs):
            slot = apt_packages.slot("%s:%s" % (record["package"], record.get("architecture", "")), self._own)
            if wanted.get(slot) != record["version"]:
                continue
            unpacked = _number(record.get("installed-size", "")) * 1024
            files += _number(record.get("size", ""))
            grows += max(0, unpacked - before.get(slot, 0))
            largest = max(largest, unpacked)
        needs: "Dict[int, List[Any]]" = {}
        for path, size in ((ARCHIVES, files), ("/usr", grows + largest + SPARE)):
            try:
                device = os.stat(self._host.path(path)).st_dev
            except OSError:
                continue  # apt makes it
            entry = needs.setdefault(device, [path, 0])
            entry[1] += size
        for path, size in needs.values():
            status = os.statvfs(self._host.path(path))
            free = status.f_bavail * status.f_frsize
            if free < size:
                raise Failed(
                    "not enough room in %s: the patches need %s there and %s are free; nothing was changed"
                    % (path, _megabytes(size), _megabytes(free)),
                    "no space left on device",
                )

    def _commit(self, options: "Sequence[str]", foreseen: "Foreseen") -> None:
        lock = "DPkg::Lock::Timeout=%d" % apt_index.LOCK_TIMEOUT_S
        argv = ["apt-get", "-y", "-q", "-o", lock, *apt.DPKG, *options, "--no-remove", *self._upgrade()]
        ran = self._host.run(argv, timeout=apt.COMMIT_TIMEOUT_S, env=ENVIRONMENT, check=False)
        if ran.code == 0:
            return
        said = without_secrets(ran.out + "\n" + ran.err)
        message, cause = self._reason(ran, said)
        done, undone = self._standing(foreseen)
        if done:
            message += "; installed all the same: %s" % ", ".join(done)
        if undone:
            message += "; not installed: %s" % ", ".join(undone)
        raise Failed(message, cause, ["apt-get", "upgrade"], ran.code, _tail(said))

    def _reason(self, ran: "Ran", said: str) -> "Tuple[str, str]":
        if ran.timed_out:
            return "apt-get did not end within %d s" % apt.COMMIT_TIMEOUT_S, "timed out"
        # who holds it stands where it said that it waits
        holder = apt_index.lock_holder(said)
        if holder:
            return holder, "package manager is locked"
        trouble = apt_index.complaint(ran) if "Failed to fetch" in said else None
        if trouble:
            return "a package could not be fetched: %s" % without_secrets(trouble[0]), trouble[1]
        return "apt-get upgrade: %s" % without_secrets(apt.why(ran)), "apt-get upgrade failed"

    def _standing(self, foreseen: "Foreseen") -> "Tuple[List[str], List[str]]":
        """What became of a transaction that failed -> (installed, not installed), as `name version`."""
        now = {self._slot(one): one for one in apt_packages.dpkg(self._host)}
        done: "List[str]" = []
        undone: "List[str]" = []
        for name, arch, _, version in foreseen.moves:
            one = now.get(apt_packages.slot("%s:%s" % (name, arch), self._own))
            whole = one is not None and one.version == version and one.status == "installed"
            (done if whole else undone).append("%s %s" % (name, version))
        return done, undone


def _unobtainable(table: "Optional[Table]", version: str, downgrade: bool) -> str:
    """Why apt cannot or must not take this version, '' : it may."""
    lines = [one for one in table.versions if one.archives] if table is not None else []
    there = next((one for one in lines if one.version == version), None)
    if table is None or there is None:
        others = ", ".join(one.version for one in lines[:3])
        return "no archive of this host has %s%s" % (version, "; there are " + others if others else "")
    if downgrade:
        return ""
    if there.priority < 0:
        return "the host's own preferences forbid %s" % version
    older = [one.version for one in table.versions[table.versions.index(there) + 1 :]]
    candidate = next((one for one in table.versions if one.version == table.candidate), None)
    if candidate is not None and candidate.version in older and candidate.priority > there.priority:
        return "the host's own preferences keep it at %s" % candidate.version
    return ""


def _tail(said: str) -> str:
    return "\n".join([line for line in said.split("\n") if line.strip()][-SHOWN_LINES:])


def _spec(one: "Installed") -> str:
    return "%s:%s" % (one.name, one.arch)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _megabytes(size: float) -> str:
    return "%.1f MB" % (size / 1e6)
