"""What dnf 4 and dnf 5 print: the table of a transaction, why a package is left out, and which repositories cannot be had."""

import re
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Set, Tuple

from statectl.onhost.patching.rpm_database import nevra, plain

if TYPE_CHECKING:
    from typing import Mapping, Optional

    Key = Tuple[str, str, str]

_INSTALLING = ("Installing", "Upgrading", "Downgrading", "Reinstalling")
_PLACED = re.compile(r"^(\S+) +(\S+) +(\S+) +(\S+) +[\d.]+ *[kKMGiB]*$")
_PROBLEM = re.compile(r"^ *Problem(?: \d+)?: ")
_FILTERED = re.compile(r"package (\S+)(?: from \S+)? is filtered out by (?:exclude|modular) filtering")
_UNKNOWN = re.compile(r"^No match for argument: (\S+)")
_EXCLUDED = re.compile(
    r"^(?:All matches were filtered out by .* for argument: |Argument ')(\S+?)(?:' matches only excluded packages\.)?$"
)
_FAILED = re.compile(r"Failed to download metadata for repo ['\"]([^'\"]+)['\"]: ?(.*)")
_CAUSE = re.compile(r"^ *- (.+)$")
_NO_CACHE = re.compile(
    r"[Nn]o cache for ['\"]([^'\"]+)['\"]|Cache-only enabled but no cache for repository \"([^\"]+)\""
)


class Table(NamedTuple):
    """placed: what would be unpacked; lowered: those of it that are lower than what is installed now; removed: what would go.

    replacing: {what would be unpacked: names of other packages that it would remove}
    """

    placed: "List[Key]"
    lowered: "Set[Key]"
    removed: "List[Key]"
    replacing: "Dict[Key, List[str]]"


def table(text: str) -> "Table":
    found = Table([], set(), [], {})
    heading = ""
    row = ""
    for line in text.split("\n"):
        if line.startswith("Transaction Summary"):
            break
        if line and not line[0].isspace() and line.endswith(":"):
            heading, row = line, ""
            continue
        if not heading or not line.startswith(" "):
            heading = heading if line.startswith(" ") or not line else ""
            continue
        said = line.strip()
        if said.startswith("replacing "):
            _replaces(found, said)
            continue
        row = (row + " " + said).strip()  # dnf 4 breaks a line after a long name
        whole = _PLACED.match(row)
        if whole is None:
            continue
        row = ""
        key = whole.group(1), whole.group(2), plain(whole.group(3))
        if heading.startswith("Removing"):
            found.removed.append(key)
        elif heading.startswith(_INSTALLING):
            found.placed.append(key)
            if heading.startswith("Downgrading"):
                found.lowered.add(key)
    return found


def _replaces(found: "Table", line: str) -> None:
    """`replacing name.arch evr` of dnf 4, `replacing name arch evr repository size` of dnf 5"""
    words = line.split()[1:]
    if not words or not found.placed:
        return
    name = words[0].rpartition(".")[0] if len(words) < 3 else words[0]
    if name != found.placed[-1][0]:
        found.replacing.setdefault(found.placed[-1], []).append(name)


def reasons(text: str, wanted: "List[Key]", hidden: "Mapping[str, str]") -> "Dict[Key, str]":
    """Why dnf leaves out what was asked for, as far as it says so. hidden: {what we hid from it: why}, in full names."""
    found: "Dict[Key, str]" = {}
    named = {}
    for name, arch, version in wanted:
        epochless = version.partition(":")[2] or version
        for form in (version, epochless, "0:" + version):
            named[nevra(name, arch, form)] = name, arch, version
    for block in _problems(text):
        why = _shortened(block, hidden)
        for word in re.findall(r"\S+\.\w+", " ".join(block)):
            key = named.get(word)
            if key is not None and key not in found:
                found[key] = why
    for line in text.split("\n"):
        gone, excluded = _UNKNOWN.match(line), _EXCLUDED.match(line)
        if gone is not None and gone.group(1) in named:
            found.setdefault(named[gone.group(1)], "no repository has this version (any more)")
        if excluded is not None and excluded.group(1) in named:
            found.setdefault(named[excluded.group(1)], "dnf's own configuration excludes or locks it")
    return found


def unreachable(text: str, names: "Mapping[str, str]") -> "Dict[str, str]":
    """As `troubles`, of dnf 5, which shows repositories by name, cut off, and their errors below; names: {id: name}."""
    found: "Dict[str, str]" = {}
    failing: "List[str]" = []
    for line in text.split("\n"):
        row = re.match(r"^ (\S.*?) +(\?\?\?|\d+)%", line)
        if row is not None:
            failing = [name for name in names if names[name].startswith(row.group(1))] if row.group(2) == "???" else []
            found.update((name, "dnf does not say why") for name in failing)
        elif line.startswith(">>> "):
            for name in failing:
                if found[name] == "dnf does not say why":
                    found[name] = line[4:].strip()
    return found


def first_error(text: str) -> str:
    """The first line that dnf 5 marks as an error; '' : none"""
    found = re.search(r"^>>> (?!Running |Already )(?:\[RPM\] )?(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def _problems(text: str) -> "List[List[str]]":
    """The lines of each `Problem`, without the word."""
    blocks: "List[List[str]]" = []
    inside = False
    for line in text.split("\n"):
        if _PROBLEM.match(line):
            blocks.append([_PROBLEM.sub("", line)])
            inside = True
        elif inside and line.startswith("  - "):
            blocks[-1].append(line[4:])
        else:
            inside = False
    return blocks


def _shortened(block: "List[str]", hidden: "Mapping[str, str]") -> str:
    said = [line.strip() for line in block if line.strip() not in ("conflicting requests",)]
    filtered = [found.group(1) for found in (_FILTERED.search(line) for line in said) if found is not None]
    if filtered:
        needs = next((line for line in said if " requires " in line), said[0])
        unwanted = list(dict.fromkeys(filtered))[:3]
        whys = list(dict.fromkeys(hidden.get(name, "it is not approved") for name in unwanted))
        return "%s, which would take %s, but %s" % (_need(needs), ", ".join(unwanted), ", ".join(whys))
    return "; ".join(said[:2])


def _need(line: str) -> str:
    """`package a-1.1-1.noarch requires b, but none of the providers can be installed` -> `it needs b`"""
    said = re.search(r" requires (.+?), but (?:none|no) ", line)
    return "it needs %s" % said.group(1) if said else line


def simulated(text: str) -> bool:
    """Did dnf come to a result, be it that there is nothing to do?"""
    return any(words in text for words in ("Operation aborted", "Nothing to do", "Transaction Summary"))


def without_key(text: str) -> str:
    """dnf 4 does not even begin where packages must be signed and nobody has given it a key -> that, '' : it has begun"""
    said = re.search(r"^Problem repository: \[(.+)\]", text, re.MULTILINE)
    return "repository %s wants signed packages, and rpm knows no public key" % said.group(1) if said else ""


def troubles(text: str) -> "Dict[str, str]":
    """{repository: why its metadata cannot be had}"""
    found: "Dict[str, str]" = {}
    cause: "Optional[str]" = None
    for line in text.split("\n"):
        said = _FAILED.search(line)
        if said is not None:
            why = (said.group(2) or "").strip()
            # what failed first says more than that all mirrors were tried
            found[said.group(1)] = cause if cause and ("mirrors" in why or not why) else why or cause or "cannot be had"
            cause = None
            continue
        lost = _NO_CACHE.search(line)
        if lost is not None:
            found.setdefault(lost.group(1) or lost.group(2), "nothing of it has been fetched yet")
        detail = _CAUSE.match(line)
        if detail is not None and cause is None:
            cause = detail.group(1).strip()
    return found
