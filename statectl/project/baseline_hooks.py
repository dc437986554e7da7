"""Hooks of a patch baseline, commands on the host around installation and reboot, and spans of time."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from statectl.baselines.model import Hooks
from statectl.project.findings import Findings, kind_of
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

FIELDS: Mapping[str, str] = {
    "before_install": "Before anything is installed; when it fails nothing is",
    "after_install": "When all was installed",
    "before_reboot": "Before a reboot; when it fails there is none",
    "after_reboot": "When the host is back",
    "on_exit": "At the end, always, whatever failed before",
    "timeout": "How long each may take, such as 10m (default), from 1s to 2h",
}
UNITS = {"s": 1, "m": 60, "h": 3600, "day": 86400, "days": 86400, "d": 86400}


class HookReader:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def read(self, value: Any, path: Path) -> Hooks:
        findings = self.findings
        fields = findings.map(value, path, "expected a map such as {before_install: [/usr/local/sbin/drain]}") or {}
        found: dict[str, tuple[str, ...]] = {}
        for key, inner in fields.items():
            if key not in FIELDS:
                findings.unknown(path, key, FIELDS, "`hooks`", inner)
            elif key != "timeout":
                found[key] = self._argv(inner, (*path, key))
        timeout = read_span(findings, fields, "timeout", path, 1, 7200, Hooks().timeout_s, "10m")
        return Hooks(**found, timeout_s=timeout)

    def _argv(self, value: Any, path: Path) -> tuple[str, ...]:
        """A list of arguments; text is split as a shell would, but no shell runs it."""
        findings = self.findings
        if value is BROKEN:
            return ()
        if isinstance(value, str):
            text = findings.text(value, path)
            try:
                return tuple(shlex.split(text or ""))
            except ValueError as error:
                findings.wrong(path, f"cannot be split into arguments: {str(error).lower()}")
                return ()
        if not isinstance(value, list) or not value:
            got = "an empty one" if isinstance(value, list) else kind_of(value)
            findings.wrong(path, f"expected a list of arguments, got {got}")
            return ()
        words = [findings.text(item, (*path, index), empty=True) for index, item in enumerate(value)]
        return tuple(word for word in words if word is not None)


def read_span(
    findings: Findings, fields: Mapping[str, Any], key: str, path: Path, low: int, high: int, default: int, example: str
) -> int:
    """A field such as `15m`, `1h30m` or `7 days`, in seconds; the default where it is not given, and after a problem."""
    value = fields.get(key)
    if key not in fields or value is BROKEN:
        return default
    text = value if isinstance(value, str) else ""
    match = re.fullmatch(r"(\d{1,4}) ?(days?|d|h|m|s)(?:(\d{1,4})(m|s))?", text)
    seconds = -1
    if match is not None:
        seconds = int(match[1]) * UNITS[match[2]] + (int(match[3]) * UNITS[match[4]] if match[3] else 0)
    if not low <= seconds <= high:
        findings.wrong((*path, key), f"expected a time such as {example}, from {_shown(low)} to {_shown(high)}")
        return default
    return seconds


def _shown(seconds: int) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{' ' if unit == 'days' else ''}{unit}"
    return f"{seconds}s"
