"""What zypper --xmlout prints: the packages it knows, what a dry run would do, and why something cannot be."""

import re
from typing import TYPE_CHECKING, NamedTuple

from statectl.onhost.patching.rpm_database import nevra, plain

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

    Key = Tuple[str, str, str]

_SOLVABLE = re.compile(r"<solvable ([^>]*)")
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
_REPO = re.compile(r"<repo ([^>]*)>(.*?)</repo>", re.DOTALL)
_URL = re.compile(r"<url>(.*?)</url>", re.DOTALL)
_MESSAGE = re.compile(r'<message type="(error|warning)">(.*?)</message>', re.DOTALL)
_PROBLEM = re.compile(r"<prompt [^>]*>\s*<description>(?:Problem(?: \d+)?: )?(.*?)</description>", re.DOTALL)
_NOT_INSTALL = re.compile(r"Solution \d+: (?:do not install|keep obsolete|keep) (\S+)")
_SECTION = re.compile(r"<to-([a-z-]+)>(.*?)</to-\1>", re.DOTALL)
_QUESTION = re.compile(r"<prompt [^>]*>\s*<text>([^<]*(?:signed|ignature)[^<]*)</text>")
_HINT = re.compile(r"Please (?:see the above|check if the) [^.]*\.")
_GENERAL = (
    *("Problem occurred during or after", "Skipping repository", "Could not refresh", "Some of the repositories"),
    *("Installation has been aborted", "Error building the cache"),
)
_MISSING = re.compile(r"No provider of (?:&apos;|')(\S+?)(?:&apos;|') found")


class Summary(NamedTuple):
    """placed: what would be unpacked; lowered: those of it that are lower than what is installed; removed: what would go."""

    placed: "List[Key]"
    lowered: "List[Key]"
    removed: "List[Key]"


def entities(text: str) -> str:
    for name, character in (("apos", "'"), ("quot", '"'), ("lt", "<"), ("gt", ">"), ("amp", "&")):
        text = text.replace("&%s;" % name, character)
    return text


def solvables(text: str) -> "List[Dict[str, str]]":
    return [{name: entities(value) for name, value in _ATTRIBUTE.findall(said)} for said in _SOLVABLE.findall(text)]


def repositories(text: str) -> "List[Tuple[str, str, bool]]":
    """[(alias, address, are packages or the index checked for signatures)] of those that are enabled"""
    found = []
    for said, inside in _REPO.findall(text):
        options = dict(_ATTRIBUTE.findall(said))
        address = _URL.search(inside)
        if options.get("enabled") == "1":
            checked = options.get("gpgcheck") == "1" or options.get("pkg_gpgcheck") == "1"
            found.append((entities(options.get("alias", "")), entities(address.group(1)) if address else "", checked))
    return found


def summary(text: str) -> "Summary":
    """Of all sections <to-...>: install, upgrade, upgrade-change-arch, downgrade, reinstall, remove and whatever else there may be."""
    found = Summary([], [], [])
    for kind, section in _SECTION.findall(text):
        for attributes in solvables(section):
            key = attributes.get("name", ""), attributes.get("arch", ""), plain(attributes.get("edition", ""))
            if attributes.get("type", "package") != "package" or key in found.placed:
                continue
            (found.removed if kind.startswith("remove") else found.placed).append(key)
            if kind.startswith("downgrade"):
                found.lowered.append(key)
    return found


def missing(text: str, asked: "Dict[str, Key]") -> "List[Key]":
    """What zypper finds in no repository; asked: {as it was written: package}"""
    return [asked[entities(word)] for word in _MISSING.findall(text) if entities(word) in asked]


def problem(text: str, wanted: "Sequence[Key]") -> "Optional[Tuple[List[Key], str]]":
    """The problem that zypper asks about -> (those of `wanted` that would not be installed to solve it, what it is), None: it asks nothing."""
    said = _PROBLEM.search(text)
    if said is None:
        return None
    description = entities(said.group(1))
    names = {nevra(*key): key for key in wanted}
    out = [names[word] for word in _NOT_INSTALL.findall(description) if word in names]
    if not out:
        words = re.findall(r"\S+\.\w+", description)
        out = [names[word] for word in dict.fromkeys(words) if word in names][:1]
    lines = [line.strip() for line in re.split(r"\s*Solution \d+: ", description)[0].split("\n") if line.strip()]
    return out, " ".join(lines)


def cause(text: str) -> str:
    """What went wrong, in one line; '' when no message tells. What a repository's history says is most exact."""
    for kind, said in _MESSAGE.findall(text):
        message = entities(said)
        if "\nHistory:\n" in message:
            message = re.sub(r"(?m)^ - (?:\[[^\]]*\] )?", "", message.partition("\nHistory:\n")[2])
        message = " ".join(_HINT.sub("", message).split())
        if kind == "error" and message and not message.startswith(_GENERAL):
            return message[:300]
    asked = _QUESTION.search(text)
    return " ".join(entities(asked.group(1)).split())[:300] if asked else ""
