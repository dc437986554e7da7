"""Patch baselines of the files: which updates are approved, from when on, and what is done about them."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from statectl.baselines.model import LEVELS, REBOOTS, RESTARTS, SYSTEMS, Baseline, Named, Pin
from statectl.baselines.names import NotAName, belongs_to, parse_name
from statectl.baselines.predefined import PREFIX
from statectl.baselines.systems import APT, kind_of_packages
from statectl.problems import nearest
from statectl.project.baseline_hooks import HookReader, read_span
from statectl.project.baseline_rules import RuleReader, read_day
from statectl.project.baseline_sources import SourceReader
from statectl.project.files import ProjectFiles
from statectl.project.findings import Findings, kind_of, one_of
from statectl.project.names import check_slug
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

if TYPE_CHECKING:
    from statectl.project.associations import CheckSelector

FIELDS: Mapping[str, str] = {
    "os": f"Which system it is for (required): {one_of(SYSTEMS)}",
    "description": "What it is for, for people",
    "default": "true: for every host of its system that no association, patch group or `targets` gives another one",
    "patch_groups": "Patch groups: values of the tag patch_group (or Patch Group, PatchGroup) of the hosts that get it",
    "targets": "Target expression: the hosts that get it, such as env=prod",
    "filters": "What the rules look at; updates that do not match are left alone, unless the approved list names them",
    "approve": "Rules: each approves the updates that match all its keys, some time after they were first seen",
    "approved": "Approved at once: names, globs, NAME=VERSION, name-version-release.arch, advisories, CVE ids, numbers of bugs",
    "approved_compliance": f"How bad it is to lack what `approved` names: {one_of(LEVELS)} (default)",
    "approved_include_non_security": "true: `approved` also takes what is no security update (default false)",
    "rejected": "Never approved, whatever else says so; in the forms of `approved`",
    "rejected_action": "allow_as_dependency (default): what is rejected comes where another package needs it; block: never, nor does what needs it",
    "pins": "Packages that stay at a version for a while, with reason and last day",
    "sources": "Repositories of your own; without `kept` they replace the host's for scans and installs of this baseline",
    "superseded": "When an approved version was replaced and cannot be had any more: report (default), or latest: install what replaced it",
    "dependencies": "What may come along: approved versions only (approved, default), or whatever is needed (any)",
    "available_security_updates": "Security updates that are not approved yet count as compliant (default) or non_compliant",
    "window": "Maintenance window in which it may install by itself; without one it only scans, until somebody types patch install",
    "reboot": "never, if_needed (default: when something really needs it) or always, after an installation",
    "max_reboots": "How often a host may be rebooted in one run, 1 to 10 (default 1)",
    "reboot_timeout": "How long a host may take to come back, such as 15m (default), from 1m to 2h",
    "restart": "Services that still run replaced code: needed (default: they are restarted) or never",
    "hooks": "Commands on the host before and after installation and reboot",
    "max_index_age": "Package data that are older say nothing, and the host is unknown, such as 7 days (default) or 36h",
}
PIN_FIELDS: Mapping[str, str] = {
    "version": "The version that it stays at, a glob perhaps (default: where it is)",
    "until": "Last day of the pin, in UTC, such as 2027-01-31 (required)",
    "reason": "Why, for people (required); reports show it",
}
REJECTED_ACTIONS = ("allow_as_dependency", "block")
SUPERSEDED = ("report", "latest")
DEPENDENCIES = ("approved", "any")
SECURITY_UPDATES = ("compliant", "non_compliant")
OTHER_NAMES: Mapping[str, str] = {
    "redhat": "rhel",
    "red hat": "rhel",
    "suse": "sles",
    "alma": "almalinux",
    "rockylinux": "rocky",
    "amazonlinux": "amazon",
    "amzn": "amazon",
    "oraclelinux": "oracle",
    "ol": "oracle",
    "opensuse-leap": "opensuse",
}
DEFAULTS = Baseline("", "debian")


class BaselineReader:
    """`today`: in UTC, for pins that are over; that of the clock when it is not given."""

    def __init__(
        self, findings: Findings, check_selector: "CheckSelector", files: ProjectFiles, today: dt.date | None = None
    ) -> None:
        self.findings = findings
        self.check_selector = check_selector
        self.today = today or dt.datetime.now(dt.UTC).date()
        self.sources = SourceReader(findings, files)
        self.hooks = HookReader(findings)

    def read(self, name: str, value: Any, path: Path) -> Baseline | None:
        """None after a problem without which nobody could say what it means."""
        findings = self.findings
        check_slug(findings, name, path, "a patch baseline")
        if name.startswith(PREFIX):
            findings.add(
                "E116",
                path,
                f"names that begin with {PREFIX} are those of the baselines that come with statectl",
                key=True,
            )
        fields = findings.map(value, path, "expected a map with `os` and `approve`")
        if fields is None:
            return None
        for key, inner in fields.items():
            if key not in FIELDS:
                findings.unknown(path, key, FIELDS, "a patch baseline", inner)
        system = self._system(fields, path)
        if system is None:
            return None
        packages = kind_of_packages(system)
        rules = RuleReader(findings, system)
        found = Baseline(
            name=name,
            os=system,
            description=self._text(fields, "description", path),
            default=self._flag(fields, "default", path),
            patch_groups=self._texts(fields, "patch_groups", path, "patch groups"),
            targets=self._targets(fields, path),
            filters=rules.filters(fields["filters"], (*path, "filters")) if "filters" in fields else None,
            rules=rules.rules(fields["approve"], (*path, "approve")) if "approve" in fields else (),
            approved=self._names(fields, "approved", path, packages),
            approved_compliance=self._choice(fields, "approved_compliance", path, LEVELS, DEFAULTS.approved_compliance),
            approved_include_non_security=self._flag(fields, "approved_include_non_security", path),
            rejected=self._names(fields, "rejected", path, packages),
            rejected_action=self._choice(fields, "rejected_action", path, REJECTED_ACTIONS, DEFAULTS.rejected_action),
            pins=self._pins(fields["pins"], (*path, "pins"), packages) if "pins" in fields else (),
            sources=self.sources.read(fields["sources"], (*path, "sources"), system) if "sources" in fields else (),
            superseded=self._choice(fields, "superseded", path, SUPERSEDED, DEFAULTS.superseded),
            dependencies=self._choice(fields, "dependencies", path, DEPENDENCIES, DEFAULTS.dependencies),
            available_security_updates=self._choice(
                fields, "available_security_updates", path, SECURITY_UPDATES, DEFAULTS.available_security_updates
            ),
            window=self._text(fields, "window", path),
            reboot=self._choice(fields, "reboot", path, REBOOTS, DEFAULTS.reboot),
            max_reboots=self._number(fields, "max_reboots", path, 1, 10, DEFAULTS.max_reboots),
            reboot_timeout_s=read_span(
                findings, fields, "reboot_timeout", path, 60, 7200, DEFAULTS.reboot_timeout_s, "15m"
            ),
            restart=self._choice(fields, "restart", path, RESTARTS, DEFAULTS.restart),
            hooks=self.hooks.read(fields["hooks"], (*path, "hooks")) if "hooks" in fields else DEFAULTS.hooks,
            max_index_age_s=read_span(
                findings, fields, "max_index_age", path, 3600, 90 * 86400, DEFAULTS.max_index_age_s, "7 days"
            ),
            span=findings.places.key(path),
        )
        self._means_something(found, fields, path)
        return found

    def _system(self, fields: Mapping[str, Any], path: Path) -> str | None:
        if "os" not in fields:
            self.findings.add("E109", path, "a patch baseline needs `os`", key=True, hint="such as os: debian")
            return None
        place = (*path, "os")
        text = self.findings.text(fields["os"], place)
        if text is None or text in SYSTEMS:
            return text
        word = re.sub(r"[0-9. ]+$", "", text.lower())
        match = word if word in SYSTEMS else OTHER_NAMES.get(word) or nearest(word, SYSTEMS)
        label = f"did you mean `{match}`?" if match else ""
        hint = "versions stand in `product`, such as product: [Debian12]" if re.search("[0-9]", text) else ""
        self.findings.wrong(place, f"expected {one_of(SYSTEMS)}", label=label, hint=hint, replacement=match or None)
        return None

    def _text(self, fields: Mapping[str, Any], key: str, path: Path) -> str:
        return (self.findings.text(fields[key], (*path, key)) or "") if key in fields else ""

    def _flag(self, fields: Mapping[str, Any], key: str, path: Path) -> bool:
        return bool(self.findings.flag(fields[key], (*path, key))) if key in fields else False

    def _choice(self, fields: Mapping[str, Any], key: str, path: Path, choices: tuple[str, ...], default: str) -> str:
        return (self.findings.choice(fields[key], (*path, key), choices) if key in fields else None) or default

    def _number(self, fields: Mapping[str, Any], key: str, path: Path, low: int, high: int, default: int) -> int:
        return (self.findings.number(fields[key], (*path, key), low, high) if key in fields else None) or default

    def _texts(self, fields: Mapping[str, Any], key: str, path: Path, what: str) -> tuple[str, ...]:
        return tuple(self.findings.texts(fields[key], (*path, key), what) or ()) if key in fields else ()

    def _targets(self, fields: Mapping[str, Any], path: Path) -> str:
        text = self._text(fields, "targets", path)
        if text:
            self.findings.problems += self.check_selector(text, self.findings.places.value((*path, "targets")))
        return text

    def _names(self, fields: Mapping[str, Any], key: str, path: Path, packages: str) -> tuple[Named, ...]:
        """`approved` and `rejected`; what names nothing is reported and left out."""
        place = (*path, key)
        value = fields.get(key)
        if key not in fields or value is BROKEN:
            return ()
        if not isinstance(value, list):
            self.findings.texts(value, place, "names")
            return ()
        found = []
        for index, item in enumerate(value):
            below = (*place, index)
            text = self.findings.text(item, below)
            if text is not None and self._names_something(text, below, packages):
                found.append(Named(text, self.findings.places.value(below)))
        return tuple(found)

    def _names_something(self, text: str, place: Path, packages: str) -> bool:
        name = parse_name(text, packages)
        if isinstance(name, NotAName):
            label = f"did you mean `{name.instead}`?" if name.instead else ""
            self.findings.add("E172", place, name.why, label=label, hint=name.hint, replacement=name.instead or None)
            return False
        theirs = belongs_to(name)
        if theirs and theirs != packages:
            what = "Debian and Ubuntu" if theirs == APT else "systems with rpm packages"
            self.findings.add("W171", place, "no package can match: this is an advisory of " + what)
        return True

    def _pins(self, value: Any, path: Path, packages: str) -> tuple[Pin, ...]:
        fields = self.findings.map(value, path, "expected a map of packages, each with `until` and `reason`")
        found = [self._pin(package, below, (*path, package), packages) for package, below in (fields or {}).items()]
        return tuple(one for one in found if one is not None)

    def _pin(self, package: str, value: Any, path: Path, packages: str) -> Pin | None:
        findings = self.findings
        if value is not BROKEN and not isinstance(value, dict):
            what = f"expected a map such as {{version: 1.2.*, until: 2027-01-31, reason: why}}, got {kind_of(value)}"
            findings.wrong(path, what)
            return None
        name = parse_name(package, packages)
        if isinstance(name, NotAName) or name.kind != "package" or name.arch:
            hint = name.hint if isinstance(name, NotAName) else "the version stands in `version`"
            findings.add("E172", path, "expected the name of a package, or a glob", key=True, hint=hint)
        fields = findings.map(value, path)
        if fields is None:
            return None
        for key, inner in fields.items():
            if key not in PIN_FIELDS:
                findings.unknown(path, key, PIN_FIELDS, "a pin", inner)
        for key in ("until", "reason"):
            if key not in fields and fields.keys() <= PIN_FIELDS.keys():
                findings.add("E109", path, f"a pin needs `{key}`", key=True, hint=PIN_FIELDS[key])
        until = read_day(findings, fields["until"], (*path, "until")) if "until" in fields else None
        reason, version = self._text(fields, "reason", path), self._text(fields, "version", path) or "*"
        if until is None or not reason:
            return None
        if until < self.today:
            hint = "a new day, if it is still meant; or remove it"
            summary = f"this pin is over since the end of {until}: it holds nothing any more"
            findings.add("W172", (*path, "until"), summary, hint=hint)
        return Pin(package, version, until, reason, findings.places.key(path))

    def _means_something(self, one: Baseline, fields: Mapping[str, Any], path: Path) -> None:
        """What contradicts itself, or does nothing."""
        approved = {entry.text for entry in one.approved}
        for entry in one.rejected:
            if entry.text in approved:
                summary = f"`{entry.text}` is both approved and rejected: it is rejected"
                self.findings.add("W173", path, summary, span=entry.span, hint="remove it from one of the lists")
        if not {"approve", "approved"} & fields.keys():
            hint = "rules stand in `approve`, names in `approved`"
            self.findings.add("W174", path, "this baseline approves nothing", key=True, hint=hint)
        for key, needs in (("approved_compliance", "approved"), ("approved_include_non_security", "approved")):
            if key in fields and needs not in fields:
                self.findings.add("E110", (*path, key), f"`{key}` goes with `{needs}`", key=True)
        if "rejected_action" in fields and "rejected" not in fields:
            self.findings.add("E110", (*path, "rejected_action"), "`rejected_action` goes with `rejected`", key=True)
        if one.reboot == "never":
            for key in ("max_reboots", "reboot_timeout"):
                if key in fields:
                    self.findings.add("E110", (*path, key), f"`{key}` means nothing beside `reboot: never`", key=True)
