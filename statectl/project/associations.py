"""An association: who gets which state, when and how. Its resources are read by `bodies.py`."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from statectl.problems import Problem, Span, nearest
from statectl.project.bodies import BodyReader
from statectl.project.findings import Findings, kind_of
from statectl.project.model import Association, Override, Probe, Variant
from statectl.project.names import check_name, check_slug
from statectl.project.parameters import ParameterReader
from statectl.project.requires import read_requires
from statectl.project.rollouts import RolloutReader
from statectl.project.scalars import Expression
from statectl.project.schedules import read_offset, read_schedule, read_zone
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN
from statectl.schedules import parse_schedule

CheckSelector = Callable[[str, Span | None], Sequence[Problem]]
"""The syntax of `targets`: problems of a text whose span is given. Whether a host matches is known with an inventory only."""

MODES = ("enforce", "audit")
SEVERITIES = ("critical", "high", "medium", "low", "unspecified")
DISRUPT = ("always", "never")
WINDOW = r"window:[a-z][a-z0-9_-]{0,63}"
PROBE_TYPES = ("text", "integer", "boolean", "json")
MAX_PROBE_S = 300.0
MAX_JITTER_S = 86400
TIMING_FIELDS = ("timezone", "schedule_offset", "jitter", "only_at_schedule")  # beside a schedule, or nowhere

FIELDS: Mapping[str, str] = {
    "description": "What it is for, for people",
    "targets": "Who gets it: all, web01, web*, web[01-20], group:web, env=prod (a tag), facts.os.id=debian, with and, or, not, ( )",
    "requires": "Associations that come first: of the same host by name, of other hosts as {association: db, on: group:db}; where one of them did not end well, this one is skipped",
    "schedule": "How often it is due: rate(30 minutes), cron(0 2 ? * SUN *) or at(2027-06-30T22:00). Results older than two intervals of a rate, or than the last two times of a cron, are unknown. `statectl serve` runs it then",
    "timezone": "Zone of the schedule's times of day, such as Europe/Oslo (default UTC); its changes of clocks are followed",
    "schedule_offset": "With cron(): it is due that many days later, 1 to 6, at the same time of day",
    "jitter": "By how much hosts may begin later, such as 10m: each has its own delay, the same every time (default 0s)",
    "only_at_schedule": "true: `statectl serve` runs it at its schedule only; false (default): also once when it, or a file it names, was edited",
    "mode": "enforce (default): make it so; audit: report differences and change nothing",
    "severity": "What a deviation means: critical, high, medium, low or unspecified (default)",
    "max_concurrency": "How many hosts an apply writes to at a time: a number, or a share such as 10% of the hosts it changes; --max-concurrency wins",
    "max_errors": "How many hosts may fail before an apply starts no further one: a number, or a share such as 5%; --max-errors wins",
    "rollout": "Rolling change: batches, health checks, a wait between batches, commands on other hosts around each host",
    "where": "Variants: on hosts that `targets` matches, the other fields given there replace these; the first match wins",
    "vars": "Variables of this association; group and host variables of the inventory win over them",
    "merge_vars": "Variables that add up instead of replacing each other: `by name` (lists of maps), append (lists) or deep (maps)",
    "probes": "Read-only commands that run with the facts; their results are names in conditions and templates",
    "parameters": "Parameters of the parameter store that this association owns",
    "patch_baseline": "Patch baseline of its hosts: a name, or a list of one for each system; those that come with statectl too",
    "override": "Addresses for which this association wins over another one, with reason and end date",
    "use": "Profiles placed here, with their inputs",
    "given": "Groups of resources under one condition",
    "disrupt": "When an apply may restart, stop, upgrade or unmount what runs: always (default), never, or window:NAME, while that maintenance window is open; until then it is shown as pending",
}
WHERE_FIELDS = (
    "mode",
    "severity",
    "schedule",
    "disrupt",
    "patch_baseline",
    "vars",
)
PROBE_FIELDS: Mapping[str, str] = {
    "run": "The command, a list of arguments (text is split as a shell would, but no shell runs it); it must only read",
    "type": "text (default), integer, boolean (prints true or false; or prints nothing and exits 0 or 1) or json",
    "timeout": "How long it may take, such as 5s (default 10s)",
}
OVERRIDE_FIELDS: Mapping[str, str] = {
    "of": "The association that this one wins over",
    "reason": "Why, for people; it is shown in every plan",
    "until": "Last day, such as 2027-06-30; afterwards it is an error",
}


class AssociationReader:
    def __init__(
        self, findings: Findings, bodies: BodyReader, check_selector: CheckSelector, parameters: ParameterReader
    ) -> None:
        self.parameters = parameters
        self.findings = findings
        self.bodies = bodies
        self.check_selector = check_selector
        self.rollouts = RolloutReader(findings, check_selector)

    def read(self, name: str, value: Any, path: Path) -> Association | None:
        check_slug(self.findings, name, path, "an association")
        fields = self.findings.map(value, path, "expected a map with at least `targets`")
        if fields is None:
            return None
        findings = self.findings
        if "targets" not in fields:
            findings.add("E109", path, "an association needs `targets`", key=True, hint="targets: all means every host")
        plain = self.plain_fields(fields, path)
        where = self._where(fields.get("where"), (*path, "where"))
        timing = self._timing(fields, path, plain, where)
        requires = (*path, "requires")
        here, elsewhere = read_requires(findings, self.check_selector, fields.get("requires"), requires)
        return Association(
            name=name,
            description=self._optional_text(fields, "description", path),
            targets=self._targets(fields.get("targets"), (*path, "targets")) if "targets" in fields else "",
            requires=here,
            schedule=plain.get("schedule", ""),
            **timing,
            mode=plain.get("mode", "enforce"),
            severity=plain.get("severity", "unspecified"),
            max_concurrency=plain.get("max_concurrency", ""),
            max_errors=plain.get("max_errors", ""),
            disrupt=plain.get("disrupt", "always"),
            where=where,
            vars=plain.get("vars", {}),
            merge_vars=self._merge_vars(fields.get("merge_vars"), (*path, "merge_vars")),
            probes=self._probes(fields.get("probes"), (*path, "probes")),
            overrides=self._overrides(fields.get("override"), (*path, "override")),
            body=self.bodies.read(fields, path, [*FIELDS], "an association"),
            places=findings.places,
            path=path,
            rollout=self.rollouts.read(fields.get("rollout"), (*path, "rollout")),
            requires_elsewhere=elsewhere,
            parameters=tuple(self.parameters.section(fields["parameters"], (*path, "parameters"), name))
            if "parameters" in fields
            else (),
            patch_baseline=plain.get("patch_baseline", ()),
        )

    def plain_fields(self, fields: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """The fields that `where` may replace, typed; what is wrong or not given is left out."""
        findings = self.findings
        schedule = read_schedule(findings, fields.get("schedule"), (*path, "schedule"))
        found: dict[str, Any] = {
            "schedule": schedule.text if schedule is not None else None,
            "vars": self._vars(fields.get("vars"), (*path, "vars")),
            "max_concurrency": self._share(fields.get("max_concurrency"), (*path, "max_concurrency"), least=1),
            "max_errors": self._share(fields.get("max_errors"), (*path, "max_errors"), least=0),
        }
        if "mode" in fields:
            found["mode"] = findings.choice(fields["mode"], (*path, "mode"), MODES)
        if "disrupt" in fields:
            found["disrupt"] = self._disrupt(fields["disrupt"], (*path, "disrupt"))
        if "severity" in fields:
            found["severity"] = findings.choice(fields["severity"], (*path, "severity"), SEVERITIES)
        if "patch_baseline" in fields:
            found["patch_baseline"] = self._baselines(fields["patch_baseline"], (*path, "patch_baseline"))
        return {key: value for key, value in found.items() if value is not None}

    def _baselines(self, value: Any, path: Path) -> tuple[str, ...] | None:
        """A name, or a list of them. Whether they are there is known when all files are read."""
        if isinstance(value, list):
            texts = self.findings.texts(value, path, "patch baselines")
            if texts == []:
                self.findings.wrong(path, "expected the names of patch baselines, got an empty list")
            return tuple(dict.fromkeys(texts or ())) or None
        text = self.findings.text(value, path)
        return (text,) if text is not None else None

    def _timing(
        self, fields: Mapping[str, Any], path: Path, plain: Mapping[str, Any], where: Sequence[Variant]
    ) -> dict[str, Any]:
        """What stands beside the schedule; defaults where nothing is given, and after a problem."""
        findings = self.findings
        if "schedule" not in fields and not any("schedule" in variant.fields for variant in where):
            for key in TIMING_FIELDS:
                if key in fields:
                    hint = "without one nothing runs by itself: give a schedule, or leave it out"
                    findings.add("E110", (*path, key), f"`{key}` goes with a `schedule`", key=True, hint=hint)
        zone = read_zone(findings, fields, path)
        schedule = parse_schedule(plain["schedule"]) if "schedule" in plain else None
        only = (
            findings.flag(fields["only_at_schedule"], (*path, "only_at_schedule"))
            if "only_at_schedule" in fields
            else False
        )
        return {
            "timezone": zone[0] if zone is not None else "UTC",
            "schedule_offset": read_offset(findings, fields, path, schedule) or 0,
            "jitter_s": self._jitter(fields["jitter"], (*path, "jitter")) if "jitter" in fields else 0,
            "only_at_schedule": bool(only),
        }

    def _jitter(self, value: Any, path: Path) -> int:
        """`30s`, `10m`, `1h30m` in seconds."""
        match = (
            re.fullmatch(r"(?:(\d{1,2})h)?(?:(\d{1,4})m)?(?:(\d{1,5})s)?", value) if isinstance(value, str) else None
        )
        hours, minutes, seconds = (
            (int(part or 0) for part in match.groups()) if match is not None and value else (0, 0, -1)
        )
        found = hours * 3600 + minutes * 60 + seconds
        if value is not BROKEN and not 0 <= found <= MAX_JITTER_S:
            self.findings.wrong(path, "expected a time such as 30s, 10m or 1h30m, at most 24h")
            return 0
        return max(0, found)

    def _optional_text(self, fields: Mapping[str, Any], key: str, path: Path) -> str:
        return (self.findings.text(fields[key], (*path, key)) or "") if key in fields else ""

    def _targets(self, value: Any, path: Path) -> str:
        text = self.findings.text(value, path)
        if text is None:
            return ""
        self.findings.problems += self.check_selector(text, self.findings.places.value(path))
        return text

    def _disrupt(self, value: Any, path: Path) -> str | None:
        """Whether there is such a window is known when all files are read."""
        text = self.findings.text(value, path)
        if text is None or text in DISRUPT or re.fullmatch(WINDOW, text):
            return text
        match = nearest(text, DISRUPT)
        label = f"did you mean `{match}`?" if match else ""
        self.findings.wrong(path, "expected always, never or window:NAME", label=label, replacement=match or None)
        return None

    def _share(self, value: Any, path: Path, *, least: int) -> str | None:
        """A number of hosts or a percentage."""
        if value is None or value is BROKEN:
            return None
        if isinstance(value, str) and re.fullmatch(r"\d{1,7}", value) and int(value) >= least:
            return str.__str__(value)
        if isinstance(value, str) and re.fullmatch(r"\d{1,3}%", value) and least <= int(value[:-1]) <= 100:
            return str.__str__(value)
        self.findings.wrong(path, f"expected a number of at least {least}, or a share from {least}% to 100%")
        return None

    def _vars(self, value: Any, path: Path) -> dict[str, Any] | None:
        if value is None:
            return None
        found = {}
        for key, below in (self.findings.map(value, path, "expected a map of variables") or {}).items():
            check_name(self.findings, key, (*path, key), "a variable")
            found[key] = self.findings.untyped(below, (*path, key))
        return found

    def _where(self, value: Any, path: Path) -> tuple[Variant, ...]:
        if value is None or value is BROKEN:
            return ()
        if not isinstance(value, list):
            self.findings.wrong(
                path, f"expected a list of variants, each beginning with `- targets:`, got {kind_of(value)}"
            )
            return ()
        found = []
        for index, item in enumerate(value):
            below = (*path, index)
            fields = self.findings.map(item, below, "expected a map with `targets` and fields")
            if fields is None:
                continue
            for key, inner in fields.items():
                if key != "targets" and key not in WHERE_FIELDS:
                    hint = ""
                    if key in FIELDS or key in self.bodies.declarations.types:
                        hint = (
                            f"`where` replaces {', '.join(WHERE_FIELDS)}; resources under a condition stand in `given`"
                        )
                    self.findings.unknown(below, key, ["targets", *WHERE_FIELDS], "`where`", inner, hint)
            if "targets" not in fields:
                self.findings.add("E109", below, "an entry of `where` needs `targets`")
            targets = self._targets(fields["targets"], (*below, "targets")) if "targets" in fields else ""
            found.append(Variant(targets, self.plain_fields(fields, below), below))
        return tuple(found)

    def _merge_vars(self, value: Any, path: Path) -> dict[str, str]:
        if value is None:
            return {}
        found = {}
        for key, below in (
            self.findings.map(value, path, "expected a map of variables and how they merge") or {}
        ).items():
            text = self.findings.text(below, (*path, key))
            if text is None:
                continue
            if text in ("append", "deep") or re.fullmatch(r"by [A-Za-z_][A-Za-z0-9_]*", text):
                found[key] = text
            else:
                self.findings.wrong((*path, key), "expected append (lists), deep (maps) or `by name` (lists of maps)")
        return found

    def _probes(self, value: Any, path: Path) -> tuple[Probe, ...]:
        if value is None:
            return ()
        found = []
        for name, item in (self.findings.map(value, path, "expected a map of probes") or {}).items():
            below = (*path, name)
            check_name(self.findings, name, below, "a probe")
            fields = self.findings.map(item, below, "expected a map with at least `run`")
            if fields is None:
                continue
            for key, inner in fields.items():
                if key not in PROBE_FIELDS:
                    self.findings.unknown(below, key, PROBE_FIELDS, "a probe", inner)
            if "run" not in fields:
                self.findings.add("E109", below, "a probe needs `run`", key=True)
            kind = self.findings.choice(fields["type"], (*below, "type"), PROBE_TYPES) if "type" in fields else "text"
            timeout = self._timeout(fields["timeout"], (*below, "timeout")) if "timeout" in fields else 10.0
            found.append(Probe(name, self._argv(fields.get("run"), (*below, "run")), kind or "text", timeout, below))
        return tuple(found)

    def _argv(self, value: Any, path: Path) -> tuple[Any, ...]:
        if value is None or value is BROKEN:
            return ()
        if isinstance(value, list):
            words = [
                item if isinstance(item, Expression) else self.findings.text(item, (*path, i), empty=True)
                for i, item in enumerate(value)
            ]
            if not words:
                self.findings.wrong(path, "expected a list of arguments, got an empty one")
            return tuple(word for word in words if word is not None)
        if isinstance(value, Expression):
            self.findings.wrong(path, "expected a list of arguments; a template may stand for one of them")
            return ()
        text = self.findings.text(value, path)
        try:
            return tuple(shlex.split(text or ""))
        except ValueError as error:
            self.findings.wrong(path, f"cannot be split into arguments: {str(error).lower()}")
            return ()

    def _timeout(self, value: Any, path: Path) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m)?", value) if isinstance(value, str) else None
        seconds = float(match[1]) * {"ms": 0.001, "m": 60.0}.get(match[2], 1.0) if match is not None else 0.0
        if value is not BROKEN and not 0 < seconds <= MAX_PROBE_S:
            self.findings.wrong(path, f"expected a duration such as 5s, more than 0 and at most {MAX_PROBE_S:g}s")
        return seconds or 10.0

    def _overrides(self, value: Any, path: Path) -> tuple[Override, ...]:
        if value is None:
            return ()
        found = []
        for address, item in (self.findings.map(value, path, "expected a map of addresses") or {}).items():
            below = (*path, address)
            self.bodies.declarations.address(address, below, key=True)
            fields = self.findings.map(item, below, "expected a map with `of` and `reason`")
            if fields is None:
                continue
            for key, inner in fields.items():
                if key not in OVERRIDE_FIELDS:
                    self.findings.unknown(below, key, OVERRIDE_FIELDS, "`override`", inner)
            for key in ("of", "reason"):
                if key not in fields:
                    self.findings.add("E109", below, f"an override needs `{key}`", key=True)
            until = self._optional_text(fields, "until", below)
            if until and not _is_date(until):
                self.findings.wrong((*below, "until"), "expected a date such as 2027-06-30")
            of, reason = self._optional_text(fields, "of", below), self._optional_text(fields, "reason", below)
            found.append(Override(address, of, reason, until, below))
        return tuple(found)


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
