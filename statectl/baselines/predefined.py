"""The baselines that come with statectl, one for each system, with the rules of those of Systems Manager.

They are the last that is asked: a host gets one where nothing of the project speaks of it.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from statectl.baselines.model import SYSTEMS, Baseline, Filter, Rule

PREFIX = "statectl-"
_WEEK = 7


@cache
def predefined() -> Mapping[str, Baseline]:
    """All by name: statectl-debian, statectl-ubuntu ..."""
    return MappingProxyType({f"{PREFIX}{system}": _baseline(system) for system in SYSTEMS})


def _baseline(system: str) -> Baseline:
    text, rules = _RULES[system]
    return Baseline(f"{PREFIX}{system}", system, text, predefined=True, rules=rules)


def _advised(*severities: str) -> Rule:
    return Rule(Filter(classification=("Security",), severity=severities), after_days=_WEEK)


_BUGFIX = Rule(Filter(classification=("Bugfix",)), after_days=_WEEK)
_APT = (
    "Every update of the security archives, at once",
    (
        Rule(
            Filter(section=("security",), priority=("required", "important", "standard", "optional", "extra")),
            after_days=0,
        ),
    ),
)
_FAMILY = (
    "Security updates that are critical or important, and all bug fixes, after 7 days",
    (_advised("Critical", "Important"), _BUGFIX),
)
_SUSE = ("Security patches that are critical or important, after 7 days", (_advised("Critical", "Important"),))
_RULES: Mapping[str, tuple[str, tuple[Rule, ...]]] = {
    **dict.fromkeys(("debian", "ubuntu", "raspbian"), _APT),
    **dict.fromkeys(("rhel", "rocky", "almalinux", "amazon", "fedora"), _FAMILY),
    "oracle": (
        "Security updates that are important or moderate, and all bug fixes, after 7 days",
        (_advised("Important", "Moderate"), _BUGFIX),
    ),
    "centos": (
        "All updates, after 7 days: its own repositories tell of no advisories",
        (Rule(Filter(), after_days=_WEEK, include_non_security=True),),
    ),
    **dict.fromkeys(("sles", "opensuse"), _SUSE),
}
