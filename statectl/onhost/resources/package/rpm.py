"""What dnf and zypper share: the rpm database for reading, and the order of rpm's versions."""

import re
from functools import cmp_to_key
from typing import TYPE_CHECKING, Dict

from statectl.onhost.failure import Failed
from statectl.onhost.resources.package import Installed

if TYPE_CHECKING:
    from typing import Collection, Iterable, List, Sequence, Tuple

    from statectl.onhost.host import Host

_FORMAT = "%{NAME} %{ARCH} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n"
_MISSING = re.compile(r"^package (\S+) is not installed$", re.MULTILINE)
_PART = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")


def installed(host: "Host", names: "Sequence[str]", held: "Collection[str]") -> "Dict[str, Installed]":
    """-> {name: Installed}. Of several versions, as of a kernel, the one installed last."""
    argv = ["rpm", "--query", "--queryformat", _FORMAT, "--", *names]
    ran = host.run(argv, timeout=60, check=False)
    found: Dict[str, Installed] = {}
    lines = [line for line in ran.out.split("\n") if line and not _MISSING.match(line)]
    for line in lines:
        words = line.split()
        if len(words) != 3:
            raise Failed(
                "rpm cannot be asked: %s" % (ran.err or line).strip(), "rpm query failed", argv, ran.code, ran.err
            )
        for key in (words[0], "%s.%s" % (words[0], words[1])):
            found[key] = Installed("present", words[2], words[0] in held)
    if len(lines) + len(_MISSING.findall(ran.out)) < len(names):
        raise Failed("rpm cannot be asked: %s" % ran.err.strip(), "rpm query failed", argv, ran.code, ran.err[-4096:])
    return {name: found.get(name, Installed("purged", None, False)) for name in names}


def newest_first(versions: "Iterable[str]") -> "List[str]":
    return sorted(set(versions), key=cmp_to_key(compare), reverse=True)


def compare(one: str, other: str) -> int:
    """-1, 0 or 1: epoch, version and release by rpm's rules."""
    first, second = _split(one), _split(other)
    for left, right in zip(first, second):
        order = _compare(left, right)
        if order:
            return order
    return 0


def _split(version: str) -> "Tuple[str, str, str]":
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    number, _, release = rest.partition("-")
    return epoch or "0", number, release


def _compare(one: str, other: str) -> int:
    """~ comes before the end of the text, ^ after it but before anything else; a number beats letters."""
    left, right = _PART.findall(one), _PART.findall(other)
    for position in range(max(len(left), len(right))):
        first = left[position] if position < len(left) else ""
        second = right[position] if position < len(right) else ""
        if first == second:
            continue
        order = _rank(first) - _rank(second)
        if order == 0 and first.isdigit():
            order = int(first) - int(second)
            if order == 0:
                continue  # 01 and 1
        elif order == 0:
            order = 1 if first > second else -1
        return 1 if order > 0 else -1
    return 0


def _rank(part: str) -> int:
    if part == "~":
        return 0
    if part == "":
        return 1
    if part == "^":
        return 2
    return 4 if part.isdigit() else 3
