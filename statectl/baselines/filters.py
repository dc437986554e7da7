"""What filters ask for, and whether a version of a package in an archive has it.

Values are compared without regard to case and may be globs. A package without the attribute that is asked for does not match, and the
reason says so.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from fnmatch import fnmatchcase

from statectl.baselines.model import Filter
from statectl.baselines.scan import Advisory, Archive, Package
from statectl.baselines.systems import APT, RPM

KEYS = tuple(one.name for one in fields(Filter))
NOT_FOR: Mapping[str, Mapping[str, str]] = {  # keys that mean nothing for a kind of packages, and what does instead
    APT: {"classification": "`section: [security]` or `suite` says which updates of apt are security updates"},
    RPM: {
        "suite": "rpm repositories have no suites; `repository` takes their ids",
        "component": "rpm repositories have no components; `repository` takes their ids",
        "section": "rpm packages have no section; `classification: [Security]` asks for security updates",
        "priority": "rpm packages have no priority; advisories have a `severity`",
    },
}
# What is known to occur, for warnings; a value that is not here matches all the same where a package has it
VALUES: Mapping[tuple[str, str], tuple[str, ...]] = {
    (APT, "priority"): ("required", "important", "standard", "optional", "extra"),
    (APT, "severity"): (
        "Critical",
        "Important",
        "High",
        "Moderate",
        "Medium",
        "Low",
        "Negligible",
        "Unimportant",
        "None",
    ),
    (RPM, "classification"): (
        *("Security", "Bugfix", "Enhancement", "Recommended", "Newpackage"),
        *("Optional", "Feature", "Document", "Yast"),
    ),
    (RPM, "severity"): ("Critical", "Important", "Moderate", "Medium", "Low", "None"),
}
SEVERITIES: Mapping[str, int] = {  # as vendors call them, worst first; two words of one number are the same
    "critical": 0,
    "important": 1,
    "high": 1,
    "moderate": 2,
    "medium": 2,
    "low": 3,
    "negligible": 4,
    "unimportant": 4,
    "none": 5,
}


def fits(
    wanted: Filter, package: Package, archives: Sequence[Archive], advisories: Sequence[Advisory], product: str
) -> tuple[tuple[Archive, ...], str]:
    """The archives in which this version matches, and '' ; or none and why it does not.

    A version that no archive has any more matches what does not ask for archives: then both are empty.
    """
    why = _of_package(wanted, package, product) or _of_advisories(wanted, advisories)
    if why:
        return (), why
    asks = wanted.suite or wanted.component or wanted.repository or wanted.section
    if not asks:
        return tuple(archives), ""
    found, why = [], "no archive has it"
    for archive in archives:
        reason = _of_archive(wanted, package, archive)
        if reason:
            why = reason
        else:
            found.append(archive)
    if not archives and wanted.section and not (wanted.suite or wanted.component or wanted.repository):
        why = _of_archive(wanted, package, Archive(""))
    return tuple(found), "" if found else why


def _of_package(wanted: Filter, package: Package, product: str) -> str:
    if wanted.product and not is_product(product, wanted.product):
        return f"the host is {product or 'of no known product'}, not {_one_of(wanted.product)}"
    if wanted.package and not any(fnmatchcase(package.name, one) for one in wanted.package):
        return f"it is not {_one_of(wanted.package)}"
    if wanted.priority and not is_among(package.priority, wanted.priority):
        return _other("priority", package.priority, wanted.priority)
    return ""


def is_product(product: str, wanted: Sequence[str]) -> bool:
    """RockyLinux9.4 is RockyLinux9 too."""
    return is_among(product, wanted) or is_among(product.partition(".")[0], wanted)


def _of_advisories(wanted: Filter, advisories: Sequence[Advisory]) -> str:
    """One advisory must have all that is asked for."""
    if not (wanted.classification or wanted.severity):
        return ""
    if not advisories:
        return f"it is in no advisory, so it has no {'classification' if wanted.classification else 'severity'}"
    for one in advisories:
        if wanted.classification and not is_among(one.classification, wanted.classification):
            continue
        if not wanted.severity or is_among(one.severity, wanted.severity) or _same_severity(one, wanted.severity):
            return ""
    of = [one for one in advisories if not wanted.classification or is_among(one.classification, wanted.classification)]
    if not of:
        return _other("classification", _joined(one.classification for one in advisories), wanted.classification)
    return _other("severity", _joined(one.severity for one in of), wanted.severity)


def _same_severity(one: Advisory, wanted: Sequence[str]) -> bool:
    """Medium is Moderate, High is Important."""
    rank = SEVERITIES.get(one.severity.lower())
    return rank is not None and any(SEVERITIES.get(word.lower()) == rank for word in wanted)


def _of_archive(wanted: Filter, package: Package, archive: Archive) -> str:
    if wanted.suite and not (is_among(archive.suite, wanted.suite) or is_among(archive.codename, wanted.suite)):
        return _other("suite", archive.codename or archive.suite, wanted.suite)
    if wanted.component and not is_among(archive.component, wanted.component):
        return _other("component", archive.component, wanted.component)
    if wanted.repository and not any(
        is_among(one, wanted.repository) for one in (archive.key, archive.origin, archive.label)
    ):
        return _other("repository", archive.label or archive.origin or archive.key, wanted.repository)
    if wanted.section:
        if archive.security and is_among("security", wanted.section):
            return ""
        section = package.section
        if not (is_among(section, wanted.section) or is_among(section.rpartition("/")[2], wanted.section)):
            if all(one.lower() == "security" for one in wanted.section):
                return f"{archive.label or archive.key or 'its archive'} is not for security updates"
            return _other("section", section, wanted.section)
    return ""


def is_among(value: str, wanted: Sequence[str]) -> bool:
    value = value.lower()
    return bool(value) and any(value == one.lower() or fnmatchcase(value, one.lower()) for one in wanted)


def could_occur(kind: str, key: str, value: str) -> bool:
    """Is it among what is known of this attribute?"""
    known = VALUES.get((kind, key))
    return known is None or any(fnmatchcase(one.lower(), value.lower()) for one in known)


def could_be_product(beginning: str, value: str) -> bool:
    """Can a product whose name begins so have this name or match this glob?"""
    fixed = re.split(r"[*?\[]", value.lower(), maxsplit=1)[0]
    beginning = beginning.lower()
    return fixed.startswith(beginning) or (fixed != value.lower() and beginning.startswith(fixed))


def worst_severity(advisories: Sequence[Advisory]) -> str:
    """As the vendor wrote it; '' when none says one."""
    said = [one.severity for one in advisories if one.severity]
    return min(said, key=lambda word: SEVERITIES.get(word.lower(), len(SEVERITIES)), default="")


def _other(what: str, has: str, wanted: Sequence[str]) -> str:
    return f"its {what} is {has}, not {_one_of(wanted)}" if has else f"it has no {what}"


def _one_of(words: Sequence[str]) -> str:
    shown = [*words[:4], f"{len(words) - 4} others"] if len(words) > 5 else list(words)
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(word for word in words if word))
