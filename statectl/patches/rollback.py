"""Rolling back what a run installed: every package goes back to the version that was recorded before it. Pure.

    it is as the run left it        back to the version before
    it was new                      it stays: something may need it by now; who wants it gone says so
    it has moved on since           it stays: a later run, or somebody else, had a reason
    it is back already              nothing to do

Whether the version before can still be had, only the host and the package cache know: its plan says what cannot, and why.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from statectl.baselines.evaluation import Evaluation, Wanted
from statectl.baselines.model import Baseline
from statectl.baselines.scan import Scan

Cached = Callable[[str, str, str], str]  # (name, architecture, version) -> sha256 of the file that we keep, '' : none


@dataclass(frozen=True, slots=True)
class Moved:
    """One package that the run moved on one host. `before` '': it was new."""

    host: str
    baseline: str
    name: str
    arch: str
    before: str
    after: str


@dataclass(frozen=True)
class Rollback:
    """Of a whole run. `moved`: by host and baseline; `files`: {(name, architecture, version): sha256} of those that we keep."""

    run: str
    moved: Mapping[tuple[str, str], Sequence[Moved]]
    files: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: str, moves: Iterable[Mapping[str, Any]], hosts: Iterable[str], cached: Cached) -> "Rollback":
        """moves: of `PatchHistory.moves`. A failed install may have moved some of its packages: the scan tells."""
        wanted, moved = set(hosts), dict[tuple[str, str], list[Moved]]()
        for one in moves:
            if one["host"] in wanted and one["outcome"] in ("installed", "failed") and one["version_to"]:
                moved.setdefault((one["host"], one["baseline"]), []).append(
                    Moved(
                        one["host"], one["baseline"], one["name"], one["arch"], one["version_from"], one["version_to"]
                    )
                )
        asked = {(one.name, one.arch, one.before) for some in moved.values() for one in some if one.before}
        return cls(run, moved, {key: sha256 for key in asked if (sha256 := cached(*key))})

    @property
    def hosts(self) -> list[str]:
        return list(dict.fromkeys(host for host, _ in self.moved))

    def baselines(self, host: str) -> list[str]:
        return [baseline for of, baseline in self.moved if of == host]

    def chosen(self, host: str, baseline: Baseline, scan: Scan, evaluation: Evaluation) -> Evaluation:
        """In place of what the baseline would install. `trouble`: what stays as it is, and why. Nothing may come along."""
        there = {(one.name, one.arch): one.version for one in scan.installed}
        back: list[Wanted] = []
        stays: list[str] = []
        for one in self.moved.get((host, baseline.name), ()):
            now = there.get((one.name, one.arch), "")
            if now == one.before:
                continue
            if now != one.after:
                left = f"is {now} now" if now else "is not installed now"
                stays.append(f"{one.name} {left}, run {self.run} left it at {one.after}: it stays")
            elif not one.before:
                stays.append(f"{one.name} {one.after} was new with run {self.run}: it stays")
            else:
                back.append(
                    Wanted(one.name, one.arch, one.before, self.files.get((one.name, one.arch, one.before), ""))
                )
        return replace(
            evaluation,
            install=tuple(back),
            allowed=(),
            blocked=(),
            trouble=tuple(stays),
            unknown=scan.trouble,
        )


def pins(moves: Iterable[Mapping[str, Any]], rolled_back: str, until: str) -> dict[str, str]:
    """{baseline: YAML of pins} that keeps what a rollback moved where it is now; `until`: the last day, YYYY-MM-DD."""
    named: dict[str, dict[str, set[str]]] = {}
    for one in moves:
        if one["outcome"] == "installed" and one["version_to"]:
            named.setdefault(one["baseline"], {}).setdefault(one["name"], set()).add(one["version_to"])
    found = {}
    for baseline, packages in named.items():
        lines = ["pins:"]
        for name, versions in sorted(packages.items()):
            version = next(iter(versions)) if len(versions) == 1 else "*"  # hosts differ: each stays where it is
            lines.append(
                f'  {_scalar(name)}: {{version: {_scalar(version)}, until: {until}, reason: "rolled back: {rolled_back}"}}'
            )
        found[baseline] = "\n".join(lines) + "\n"
    return found


def _scalar(text: str) -> str:
    """A double-quoted YAML scalar; a version such as 1.10 is no number."""
    import json

    return json.dumps(text)
