"""Rules and filters of a patch baseline: which updates, from when on, and how bad it is to lack them."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from statectl.baselines.filters import KEYS, NOT_FOR, VALUES, could_be_product, could_occur
from statectl.baselines.model import LEVELS, Filter, Rule
from statectl.baselines.systems import APT, PRODUCTS, kind_of_packages
from statectl.problems import nearest
from statectl.project.findings import Findings, kind_of, one_of
from statectl.project.scalars import Plain
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

MOST_DAYS = 360
FILTER_FIELDS: Mapping[str, str] = {
    "product": "Versions of the system: Debian12, Ubuntu24.04, RedhatEnterpriseLinux9 or RedhatEnterpriseLinux9.4, Suse15.6",
    "suite": "apt: suites or code names of the archive, such as bookworm-security",
    "component": "apt: components of the archive, such as main",
    "repository": "rpm: ids of repositories; apt: origins or labels of archives",
    "section": "apt: sections of packages; security: any section, from an archive for security updates",
    "priority": f"apt: {one_of(VALUES[APT, 'priority'])}",
    "classification": "rpm: what the advisory is about, such as Security, Bugfix, Enhancement or Recommended",
    "severity": "How bad the advisory says it is: Critical, Important, Moderate, Low. On apt it comes from a feed",
    "package": "Names of packages",
}
RULE_FIELDS: Mapping[str, str] = {
    **FILTER_FIELDS,
    "after": f"Approved so long after it was first seen, such as 3 days; 0 to {MOST_DAYS} days. This or `until`",
    "until": "Approved when it was first seen until the end of this day, in UTC, such as 2027-01-31",
    "compliance": f"How bad it is to lack what the rule approves: {one_of(LEVELS)} (default)",
    "include_non_security": "true: also what is no security update (apt: of no archive for them; rpm: in no advisory)",
}


class RuleReader:
    """For baselines of one system."""

    def __init__(self, findings: Findings, system: str) -> None:
        self.findings = findings
        self.system = system
        self.packages = kind_of_packages(system)

    def rules(self, value: Any, path: Path) -> tuple[Rule, ...]:
        if value is BROKEN:
            return ()
        if not isinstance(value, list):
            got = kind_of(value)
            self.findings.wrong(
                path, f"expected a list of rules such as {{severity: [Critical], after: 3 days}}, got {got}"
            )
            return ()
        found = [self._rule(item, (*path, index)) for index, item in enumerate(value)]
        return tuple(one for one in found if one is not None)

    def filters(self, value: Any, path: Path) -> Filter | None:
        fields = self.findings.map(value, path, "expected a map such as {suite: [bookworm-security]}")
        for key, inner in (fields or {}).items():
            if key not in FILTER_FIELDS:
                hint = "rules say when; `filters` only what is looked at" if key in RULE_FIELDS else ""
                self.findings.unknown(path, key, FILTER_FIELDS, "`filters`", inner, hint)
        return self._filter(fields, path) if fields is not None else None

    def _rule(self, value: Any, path: Path) -> Rule | None:
        """None after a problem about when it approves."""
        findings = self.findings
        fields = findings.map(value, path, "expected a map such as {severity: [Critical], after: 3 days}")
        if fields is None:
            return None
        for key, inner in fields.items():
            if key not in RULE_FIELDS:
                findings.unknown(path, key, RULE_FIELDS, "a rule", inner)
        wanted = self._filter(fields, path)
        after = self._days(fields["after"], (*path, "after")) if "after" in fields else None
        until = read_day(findings, fields["until"], (*path, "until")) if "until" in fields else None
        if "after" in fields and "until" in fields:
            findings.add("E110", (*path, "until"), "a rule has `after` or `until`, not both", key=True)
        elif "after" not in fields and "until" not in fields and fields.keys() <= RULE_FIELDS.keys():
            hint = "after: 0 days approves at once"
            findings.add("E109", path, "a rule needs `after` or `until`", hint=hint)
        compliance = (
            findings.choice(fields["compliance"], (*path, "compliance"), LEVELS) if "compliance" in fields else None
        )
        include = (
            findings.flag(fields["include_non_security"], (*path, "include_non_security"))
            if "include_non_security" in fields
            else False
        )
        if (after is None) == (until is None):
            return None
        span = findings.places.value(path)
        return Rule(wanted, after, until, compliance or "unspecified", include_non_security=bool(include), span=span)

    def _filter(self, fields: Mapping[str, Any], path: Path) -> Filter:
        found: dict[str, tuple[str, ...]] = {}
        for key in KEYS:
            if key not in fields:
                continue
            place = (*path, key)
            instead = NOT_FOR[self.packages].get(key)
            if instead is not None:
                self.findings.add("E171", place, f"`{key}` means nothing on {self.system}", key=True, hint=instead)
                continue
            texts = self.findings.texts(fields[key], place, "values")
            if texts == []:
                self.findings.wrong(place, "expected a list of values, got an empty one", hint="leave the key out")
            for index, text in enumerate(texts or ()):
                self._could_match(key, text, (*place, index))
            found[key] = tuple(texts or ())
        return Filter(**found)

    def _could_match(self, key: str, text: str, place: Path) -> None:
        """A warning where nothing that is known can be meant."""
        if key == "product":
            beginning = PRODUCTS[self.system]
            if not could_be_product(beginning, text):
                hint = f"products of {self.system} are called {beginning}VERSION"
                self.findings.add(
                    "W171", place, f"no package can match: `{text}` is no product of {self.system}", hint=hint
                )
        elif not could_occur(self.packages, key, text):
            known = VALUES[self.packages, key]
            match = nearest(text.capitalize() if known[0][0].isupper() else text.lower(), known)
            self.findings.add(
                "W171",
                place,
                f"no package can match: `{text}` is no {key} that is known",
                label=f"did you mean `{match}`?" if match else "",
                hint=f"known: {', '.join(known)}",
                replacement=match or None,
            )

    def _days(self, value: Any, path: Path) -> int | None:
        """`3 days`."""
        if value is BROKEN:
            return None
        text = str(value) if isinstance(value, str) else ""
        match = re.fullmatch(r"(\d{1,9}) days?", text)
        if match is not None and int(match[1]) <= MOST_DAYS:
            return int(match[1])
        meant = ""
        if match is None and isinstance(value, Plain):
            loose = re.fullmatch(r"(\d{1,3}) ?(d|day|days|w|week|weeks)?", text)
            if loose is not None:
                count = int(loose[1]) * (7 if (loose[2] or "").startswith("w") else 1)
                meant = f"{count} day{'s' * (count != 1)}" if count <= MOST_DAYS else ""
        label = f"did you mean `{meant}`?" if meant else ""
        self.findings.wrong(path, f"expected 0 days to {MOST_DAYS} days", label=label, replacement=meant or None)
        return None


def read_day(findings: Findings, value: Any, path: Path) -> dt.date | None:
    """`2027-01-31`."""
    text = findings.text(value, path)
    if text is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return dt.date.fromisoformat(text)
    except ValueError:
        pass
    hint = "the whole day counts, in UTC" if re.match(r"\d{4}-\d{2}-\d{2}[T ]", text) else ""
    findings.wrong(path, "expected a date such as 2027-01-31", hint=hint)
    return None
