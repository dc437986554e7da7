"""What became of the packages of hosts, patch by patch: what runs of statectl did, and what was found to be another between two scans.

The second kind is evidence that somebody else was at work, not proof of who: a version that is another one than the scan before it found,
and that no run of this store moved. Of what came and went between two scans nothing is known.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from statectl.store.patch_history import PatchOperation

STATECTL, RESOURCE, OUTSIDE, UNFINISHED = "statectl", "package resource", "outside statectl", "after a failed install"
Rows = Callable[[Iterable[str]], Mapping[str, Sequence[Mapping[str, Any]]]]


@dataclass(frozen=True, slots=True)
class PatchChange:
    """One package of one host. `before` '': it was not there; `after` '': it is gone. Times: UTC.

    by       statectl             an install of patches
             package resource     a run of statectl, for a `package:` of an association
             outside statectl     no run of this store
             after a failed install    an install that failed had tried it
    outcome  installed | failed | kept, or found
    """

    at: str
    host: str
    package: str
    arch: str
    before: str
    after: str
    outcome: str
    by: str
    run: str
    baseline: str
    commit: str
    since: str = ""  # of what was found between two scans: when it was still as before
    reason: str = ""
    rolls_back: str = ""


def changes(
    operations: Sequence[PatchOperation],
    moves: Sequence[Mapping[str, Any]],
    rows: Rows,
    resources: Sequence[Mapping[str, Any]] = (),
    *,
    package: str = "",
) -> list[PatchChange]:
    """Newest first. operations, moves: of the store, oldest first; resources: [{host, package, at, run_id}] that `package:` changed."""
    found = [
        PatchChange(
            at=one["at"],
            host=one["host"],
            package=one["name"],
            arch=one["arch"],
            before=one["version_from"],
            after=one["version_to"],
            outcome=one["outcome"],
            by=STATECTL,
            run=one["run_id"],
            baseline=one["baseline"],
            commit=one["commit"],
            reason=one["reason"],
            rolls_back=one["rolls_back"],
        )
        for one in moves
        if not package or one["name"] == package
    ]
    found += _found(operations, moves, rows, resources, package)
    return sorted(found, key=lambda one: (one.at, one.host, one.package), reverse=True)


def _found(
    operations: Sequence[PatchOperation],
    moves: Sequence[Mapping[str, Any]],
    rows: Rows,
    resources: Sequence[Mapping[str, Any]],
    package: str,
) -> list[PatchChange]:
    """What is another between what an operation left and the next scan by the same baseline, and was not moved by any run in between."""
    by_baseline: dict[tuple[str, str], list[PatchOperation]] = {}
    for one in operations:
        if one.listed:
            by_baseline.setdefault((one.host, one.baseline), []).append(one)
    pairs = [
        (earlier, later)
        for of_host in by_baseline.values()
        for earlier, later in pairwise(of_host)
        if later.operation == "scan" and earlier.listed != later.listed
    ]
    lists = rows({one.listed for pair in pairs for one in pair})
    moved: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for move in moves:
        moved.setdefault((move["host"], move["name"], move["arch"]), []).append(move)
    ours: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for resource in resources:
        ours.setdefault((resource["host"], resource["package"]), []).append(resource)
    found: dict[tuple[str, ...], PatchChange] = {}
    for earlier, later in pairs:
        before, after = _versions(lists[earlier.listed]), _versions(lists[later.listed])
        for name, arch in sorted({*before, *after}):
            was, now = before.get((name, arch), ""), after.get((name, arch), "")
            if was == now or (package and name != package):
                continue
            between = [
                one for one in moved.get((later.host, name, arch), ()) if earlier.ended <= one["at"] <= later.ended
            ]
            if any(one["outcome"] == "installed" and one["version_to"] == now for one in between):
                continue  # by another baseline
            by, run = OUTSIDE, later.run
            if any(one["outcome"] == "failed" for one in between):
                by, run = UNFINISHED, between[-1]["run_id"]
            for resource in ours.get((later.host, name), ()):
                if earlier.ended <= resource["at"] <= later.ended:
                    by, run = RESOURCE, resource["run_id"]
            key = (later.host, name, arch, was, now, later.run)
            found[key] = found.get(key) or PatchChange(
                at=later.ended,
                host=later.host,
                package=name,
                arch=arch,
                before=was,
                after=now,
                outcome="found",
                by=by,
                run=run,
                baseline=later.baseline,
                commit=later.commit,
                since=earlier.ended,
            )
    return list(found.values())


def _versions(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    return {(row["name"], row["arch"]): row["from"] for row in rows if row.get("from")}
