"""What dnf and zypper share of patching: the packages that rpm has installed, and transactions of it that did not come to their end."""

import os
from functools import cmp_to_key
from typing import TYPE_CHECKING, NamedTuple

from statectl.onhost.failure import Failed
from statectl.onhost.versions import compare_rpm

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Sequence, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran

_FORMAT = "%{NAME}\\t%{ARCH}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%{SOURCERPM}\\t%{BUILDTIME}\\n"
KEYS = "gpg-pubkey"  # rpm keeps public keys as if they were packages
SHOWN_LINES = 20  # of what a failed transaction said
_SEVERAL = "installonlypkg("  # what packages provide of which several versions are meant to be installed


class Row(NamedTuple):
    name: str
    arch: str
    version: str  # with the epoch, unless it is 0
    source: str
    built: int  # seconds since 1970


def plain(version: str) -> str:
    """An epoch of 0 is left out, as rpm does."""
    return version[2:] if version.startswith("0:") else version


def rows(host: "Host", names: "Sequence[str]" = ()) -> "List[Row]":
    """Everything installed, or these names, each version of it. Names that are not installed are left out."""
    argv = ["rpm", "--query", "--queryformat", _FORMAT, *(["--", *names] if names else ["--all"])]
    text, ran = whole(host, argv, timeout=120)
    found = []
    for line in text.split("\n"):
        words = line.split("\t")
        if len(words) == 5 and words[0] != KEYS:
            built = int(words[4]) if words[4].isdigit() else 0
            found.append(Row(words[0], words[1], plain(words[2]), source_name(words[3]), built))
    missing = sum(1 for line in text.split("\n") if line.startswith("package ") and line.endswith(" is not installed"))
    if (ran.code != 0 and len({row.name for row in found}) + missing < len(set(names) or "?")) or ran.timed_out:
        raise Failed("rpm cannot be asked: %s" % ran.err.strip(), "rpm query failed", argv, ran.code, ran.err[-4096:])
    return found


def whole(host: "Host", argv: "Sequence[str]", timeout: float, env: "Any" = None) -> "Tuple[str, Ran]":
    """Run to its end -> all that it printed, however much, and how it ended."""
    parts: "Dict[str, List[bytes]]" = {"out": [], "err": []}
    ran = host.run(
        argv, timeout=timeout, check=False, env=env, on_output=lambda stream, data: parts[stream].append(data)
    )
    out, err = (b"".join(parts[name]).decode("utf-8", "surrogateescape") for name in ("out", "err"))
    return out, ran._replace(err=host.redactor.text(err), out=host.redactor.text(out[-65536:]) if ran.code else "")


def source_name(file: str) -> str:
    """glibc-2.34-60.el9.src.rpm -> glibc"""
    return file.rsplit("-", 2)[0] if file.count("-") >= 2 else ""


def newest(found: "Iterable[Row]") -> "Dict[Tuple[str, str], Row]":
    """{(name, arch): the highest version installed}"""
    best: "Dict[Tuple[str, str], Row]" = {}
    for row in found:
        known = best.get((row.name, row.arch))
        if known is None or compare_rpm(row.version, known.version) > 0:
            best[row.name, row.arch] = row
    return best


def current(host: "Host", names: "Sequence[str]") -> "Dict[Tuple[str, str], str]":
    """{(name, arch): version} of what is installed now; of a kernel, the highest."""
    found = newest(rows(host, sorted(set(names)))) if names else {}
    return {key: row.version for key, row in found.items()}


def doubled(host: "Host", found: "Sequence[Row]") -> "List[Tuple[Row, Row]]":
    """[(old, new)] of packages that are installed twice and must not be: rpm was ended between installing one and removing the other."""
    versions: "Dict[Tuple[str, str], List[Row]]" = {}
    for row in found:
        versions.setdefault((row.name, row.arch), []).append(row)
    several = {key: group for key, group in versions.items() if len(group) > 1}
    if not several:
        return []
    names = sorted({name for name, _ in several})
    argv = ["rpm", "--query", "--queryformat", "%{NAME}[ %{PROVIDES}]\\n", "--", *names]
    text, _ = whole(host, argv, timeout=60)
    meant = {line.split(" ", 1)[0] for line in text.split("\n") if " " + _SEVERAL in line}
    pairs: "List[Tuple[Row, Row]]" = []
    for (name, _), group in sorted(several.items()):
        if name not in meant:
            group.sort(key=_order)
            pairs.extend((old, group[-1]) for old in group[:-1])
    return pairs


def interrupted(host: "Host") -> str:
    """What an interrupted transaction left, and what will be done about it; '' : nothing. rpm itself keeps no note of it."""
    return repair_text(doubled(host, rows(host)))


def repair_text(pairs: "Sequence[Tuple[Row, Row]]") -> str:
    if not pairs:
        return ""
    told = ", ".join(
        "%s %s of which %s is installed too" % (old.name, old.version, new.version) for old, new in pairs[:5]
    )
    return "bring an interrupted transaction to its end: rpm --erase %s" % told


def _by_version(one: "Row", other: "Row") -> int:
    return compare_rpm(one.version, other.version)


_order = cmp_to_key(_by_version)


def broken(pairs: "Sequence[Tuple[Row, Row]]") -> "List[str]":
    return ["%s is installed twice, as %s and %s" % (old.name, old.version, new.version) for old, new in pairs]


def repair(host: "Host") -> "List[Row]":
    """Do what `interrupted` says -> packages whose own script after installing may not have run."""
    pairs = doubled(host, rows(host))
    if not pairs:
        return []
    argv = ["rpm", "--erase", "--", *(nevra(old.name, old.arch, old.version) for old, _ in pairs)]
    ran = host.run(argv, timeout=600, check=False)
    if ran.code != 0:
        raise failed("the interrupted transaction cannot be ended", "interrupted transaction", argv, ran)
    return sorted({new for _, new in pairs})


def nevra(name: str, arch: str, version: str) -> str:
    return "%s-%s.%s" % (name, version, arch)


def failed(message: str, cause: str, argv: "Sequence[str]", ran: "Ran") -> Failed:
    """A Failed with the last lines of what the tool said."""
    lines = [line for line in (ran.out + "\n" + ran.err).split("\n") if line.strip()]
    return Failed(message, cause, argv, ran.code, "\n".join(lines[-SHOWN_LINES:])[-4096:])


def failed_scripts(text: str) -> "List[str]":
    """`the %post script of patch-post-1.1-1.noarch failed, exit status 3` for each that did"""
    import re

    found = re.findall(r"%(pre|post)(?:in)?(un)?\((\S+?)\) scriptlet failed, ([a-z ]+\d+)", text)
    return list(dict.fromkeys("the %%%s%s script of %s failed, %s" % said for said in found))


def built_time(text: str) -> int:
    """dnf 5 says seconds, dnf 4 `2026-01-01 00:00` (UTC)."""
    if text.isdigit():
        return int(text)
    from statectl.onhost.patching.rpm_advisories import moment

    return moment(text)


def file_system_error(text: str) -> bool:
    """Does this tell of a disk that is full?"""
    return "more space needed" in text or os.strerror(28).lower() in text.lower() or "Disk Requirements" in text
