"""`rollout` of an association: in which batches its hosts change, what is done around each, and when a host counts as well."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from statectl.problems import Problem, Span
from statectl.project.findings import Findings, kind_of
from statectl.project.model import Health, Rollout, Step
from statectl.project.scalars import Expression
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

CheckSelector = Callable[[str, Span | None], Sequence[Problem]]

FIELDS: Mapping[str, str] = {
    "batch": "How many hosts change before the next batch begins: a list of numbers and shares of the hosts that this association changes, such as [1, 10%, 100%]; the last entry repeats (default [100%]); --batch wins",
    "health": "What must hold on a host once it was changed and its restarts are paid; a host where it does not hold has failed",
    "bake": "How long to wait between two batches, such as 2m (default 0s, at most 24h); then `health` is checked again",
    "on_failure": "stop (default): after the first host that failed nothing new starts; continue: only the error budget stops",
    "before": "Commands on other hosts, for each host that is about to change; when one fails, that host is left as it is and has failed",
    "after": "Commands on other hosts, for each host that was changed and is well",
}
HEALTH_FIELDS: Mapping[str, str] = {
    "tcp": "A port of the host itself, or host:port, that takes a connection",
    "http": "A URL, fetched by the host itself (127.0.0.1 is that host); redirects are not followed",
    "command": "A command that exits 0, a list of arguments; it must only read",
    "expect": "The status that `http` must answer (default 200)",
    "within": "For how long it is tried again until it holds, such as 30s (default 30s, at most 1h)",
}
STEP_FIELDS: Mapping[str, str] = {
    "run": "The command, a list of arguments (required); `host` in expressions is the host that is about to change",
    "on": "Which hosts run it, a target expression such as group:lb (required); one after the other",
    "timeout": "How long it may take on each, such as 30s (default 5m, at most 1h)",
}
KINDS = ("tcp", "http", "command")
ON_FAILURE = ("stop", "continue")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
HOUR_S, DAY_S = 3600.0, 86400.0
DEFAULT_WITHIN_S, DEFAULT_STEP_S = 30.0, 300.0
_PORT = re.compile(r"(?:(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):)?([0-9]{1,5})")
_URL = re.compile(r"https?://[^\s/?#]+(?:[/?#]\S*)?")


class RolloutReader:
    def __init__(self, findings: Findings, check_selector: CheckSelector) -> None:
        self.findings = findings
        self.check_selector = check_selector

    def read(self, value: Any, path: Path) -> Rollout | None:
        if value is None:
            return None
        fields = self._known(value, path, FIELDS, "`rollout`", "expected a map such as {batch: [1, 100%]}")
        if fields is None:
            return None
        on_failure = "stop"
        if "on_failure" in fields:
            on_failure = self.findings.choice(fields["on_failure"], (*path, "on_failure"), ON_FAILURE) or "stop"
        return Rollout(
            batch=self._batch(fields.get("batch"), (*path, "batch")),
            health=self._health(fields.get("health"), (*path, "health")),
            bake_s=self._seconds(fields, "bake", path, 0.0, DAY_S, least=0.0),
            on_failure=on_failure,
            before=self._steps(fields.get("before"), (*path, "before")),
            after=self._steps(fields.get("after"), (*path, "after")),
            path=path,
        )

    def _known(
        self, value: Any, path: Path, known: Mapping[str, str], where: str, expected: str
    ) -> dict[str, Any] | None:
        fields = self.findings.map(value, path, expected)
        for key, inner in (fields or {}).items():
            if key not in known:
                self.findings.unknown(path, key, known, where, inner)
        return fields

    def _batch(self, value: Any, path: Path) -> tuple[str, ...]:
        if value is None or value is BROKEN:
            return ("100%",)
        if not isinstance(value, list) or not value:
            self.findings.wrong(path, f"expected a list such as [1, 10%, 100%], got {_got(value)}")
            return ("100%",)
        found = []
        for index, item in enumerate(value):
            text = str.__str__(item) if isinstance(item, str) else ""
            if re.fullmatch(r"[1-9]\d{0,6}|[1-9]\d?%|100%", text):
                found.append(text)
            elif item is not BROKEN:
                self.findings.wrong((*path, index), "expected a number of at least 1, or a share from 1% to 100%")
        return tuple(found) or ("100%",)

    def _health(self, value: Any, path: Path) -> Health | None:
        if value is None:
            return None
        fields = self._known(value, path, HEALTH_FIELDS, "`health`", "expected a map with tcp, http or command")
        if fields is None:
            return None
        kinds = [kind for kind in KINDS if kind in fields]
        if not kinds and fields.keys() - HEALTH_FIELDS.keys():
            return None  # the key that is misspelt may be the one
        if len(kinds) != 1:
            text = "`health` needs one of tcp, http or command" + (f", got {' and '.join(kinds)}" if kinds else "")
            self.findings.add("E109" if not kinds else "E110", path, text, key=True)
            return None
        kind = kinds[0]
        expect = 200
        if "expect" in fields:
            if kind != "http":
                self.findings.add("E110", (*path, "expect"), f"`expect` belongs to http, not to {kind}", key=True)
            else:
                expect = self.findings.number(fields["expect"], (*path, "expect"), 100, 599) or 200
        within = self._seconds(fields, "within", path, DEFAULT_WITHIN_S, HOUR_S)
        below = (*path, kind)
        what = self._argv(fields[kind], below) if kind == "command" else self._address(kind, fields[kind], below)
        return Health(kind, what, expect, within, path) if what else None

    def _address(self, kind: str, value: Any, path: Path) -> tuple[Any, ...]:
        """One text, or an expression for one; () after a problem."""
        if isinstance(value, Expression):
            return (value,)
        text = self.findings.text(value, path)
        if text is None:
            return ()
        if kind == "tcp":
            match = _PORT.fullmatch(text)
            if match is None or not 1 <= int(match[1]) <= 65535:
                self.findings.wrong(path, "expected a port from 1 to 65535, or host:port")
        elif _URL.fullmatch(text) is None:
            self.findings.wrong(path, "expected a URL such as http://127.0.0.1/healthz")
        return (text,)

    def _argv(self, value: Any, path: Path) -> tuple[Any, ...]:
        """Arguments, each text or an expression; () after a problem."""
        if value is BROKEN:
            return ()
        if not isinstance(value, list) or not value:
            label = "did you mean a list, [systemctl, is-active, nginx]?" if isinstance(value, str) else ""
            self.findings.wrong(path, f"expected a list of arguments, got {_got(value)}", label=label)
            return ()
        words = [
            item if isinstance(item, Expression) else self.findings.text(item, (*path, index), empty=True)
            for index, item in enumerate(value)
        ]
        return tuple(word for word in words if word is not None)

    def _steps(self, value: Any, path: Path) -> tuple[Step, ...]:
        if value is None or value is BROKEN:
            return ()
        if not isinstance(value, list):
            self.findings.wrong(
                path, f"expected a list of steps such as {{run: [...], on: group:lb}}, got {_got(value)}"
            )
            return ()
        found = []
        for index, item in enumerate(value):
            below = (*path, index)
            fields = self._known(item, below, STEP_FIELDS, "a step of `rollout`", "expected a map with `run` and `on`")
            if fields is None:
                continue
            for key in ("run", "on"):
                if key not in fields and fields.keys() <= STEP_FIELDS.keys():
                    self.findings.add("E109", below, f"a step of `rollout` needs `{key}`", hint=STEP_FIELDS[key])
            timeout = self._seconds(fields, "timeout", below, DEFAULT_STEP_S, HOUR_S)
            on = ""
            if "on" in fields:
                on = self.findings.text(fields["on"], (*below, "on")) or ""
                if on:
                    self.findings.problems += self.check_selector(on, self.findings.places.value((*below, "on")))
            argv = self._argv(fields["run"], (*below, "run")) if "run" in fields else ()
            found.append(Step(argv, on, timeout, below))
        return tuple(found)

    def _seconds(
        self, fields: Mapping[str, Any], key: str, path: Path, default: float, most: float, *, least: float = 0.001
    ) -> float:
        """A duration such as 30s or 2m; `default` when it is not given or wrong."""
        if key not in fields or fields[key] is BROKEN:
            return default
        value = fields[key]
        match = re.fullmatch(r"(\d{1,7}(?:\.\d{1,3})?)\s*(ms|s|m|h)?", value) if isinstance(value, str) else None
        seconds = float(match[1]) * UNITS[match[2] or "s"] if match is not None else -1.0
        if not least <= seconds <= most:
            self.findings.wrong((*path, key), f"expected a duration such as 30s or 2m, at most {most / HOUR_S:g}h")
            return default
        return seconds


def _got(value: Any) -> str:
    return "an empty one" if value == [] else kind_of(value)
