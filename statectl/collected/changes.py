"""What a host had at a moment, and what became another between two moments. Entries are keyed by what names them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from statectl.collected.questions import with_moment
from statectl.store.collected import Collected, Snapshot
from statectl.targets.collected import TYPES

Keyed = Mapping[str, Mapping[str, Any]]
"""{name: {attribute: value}}"""


@dataclass(frozen=True, slots=True)
class Changed:
    """One type of one host became another at `at`. `first`: nothing was known of it before."""

    at: str
    type: str
    first: bool
    count: int
    added: Keyed = field(default_factory=dict)
    removed: Keyed = field(default_factory=dict)
    changed: Mapping[str, Mapping[str, tuple[Any, Any]]] = field(
        default_factory=dict
    )  # {name: {attribute: (before, after)}}


def history(collected: Collected, host: str, *, type_name: str = "", since: str = "") -> list[Changed]:
    """Every change after `since`, newest first."""
    found = []
    before: Snapshot | None = None
    for snapshot in collected.snapshots(host, type_name=type_name, since=since):
        earlier = before if before is not None and before.type == snapshot.type else None
        before = snapshot
        if snapshot.at <= since:
            continue
        if earlier is None:
            found.append(Changed(snapshot.at, snapshot.type, first=True, count=len(snapshot.ids)))
        else:
            added, removed, changed = differences(keyed(collected, earlier), keyed(collected, snapshot))
            found.append(Changed(snapshot.at, snapshot.type, False, len(snapshot.ids), added, removed, changed))
    return sorted(found, key=lambda one: (one.at, one.type), reverse=True)


def at_moment(collected: Collected, host: str, moment: str, *, type_name: str = "") -> dict[str, Snapshot]:
    """{type: what the host had then}. Without a snapshot from then or before, the type is not in it."""
    return {one.type: one for one in collected.snapshots(host, type_name=type_name, since=moment, until=moment)}


def compared(
    collected: Collected, host: str, since: str, at: str, *, type_name: str = ""
) -> Iterator[tuple[str, Keyed, Keyed]]:
    """(type, entries then, entries later) of the types that differ. A type that was first collected in between is left out."""
    then = at_moment(collected, host, since, type_name=type_name)
    later = at_moment(collected, host, at, type_name=type_name)
    for name in sorted(then.keys() & later.keys()):
        if then[name].at != later[name].at:
            yield name, keyed(collected, then[name]), keyed(collected, later[name])


def people_diff(before: Keyed, after: Keyed) -> list[tuple[str, str, str, Any, Any]]:
    """[(mark, name, attribute, before, after)] as deepdiff finds it: mark add, change or remove; attribute '' of a whole entry."""
    from deepdiff import DeepDiff

    # entries that are the same are not its business: with thousands of them it takes seconds
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    tree = DeepDiff(
        {name: before[name] for name in names if name in before},
        {name: after[name] for name in names if name in after},
        view="tree",
        threshold_to_diff_deeper=0,
    )
    found = []
    for kind in tree.values():
        for level in kind:
            name, *rest = level.path(output_format="list")
            gone, new = _value(level.t1), _value(level.t2)
            attribute = str(rest[0]) if rest else ""
            mark = "change"
            if not rest:
                mark = "add" if name not in before else "remove"
            found.append((mark, str(name), attribute, gone, new))
    return sorted(found, key=lambda one: (one[1], one[2]))


def differences(before: Keyed, after: Keyed) -> tuple[Keyed, Keyed, dict[str, dict[str, tuple[Any, Any]]]]:
    """(added, removed, changed) by name."""
    changed = {}
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if old != new:
            attributes = [key for key in {**old, **new} if old.get(key) != new.get(key)]
            changed[name] = {key: (old.get(key), new.get(key)) for key in attributes}
    added = {name: after[name] for name in sorted(after.keys() - before.keys())}
    removed = {name: before[name] for name in sorted(before.keys() - after.keys())}
    return added, removed, dict(sorted(changed.items()))


def keyed(collected: Collected, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Its entries by name. Several of one name are told apart by their architecture, else by a number."""
    kind = TYPES.get(snapshot.type)
    own = kind.own if kind is not None else ""
    entries = collected.entries(snapshot.ids)
    rows: list[tuple[str, dict[str, Any]]] = []
    for place, number in enumerate(snapshot.ids):
        if number in entries:
            entry = with_moment(json.loads(entries[number].text), own, snapshot, place)
            rows.append((entries[number].name or snapshot.type, dict(entry)))
    names = [name for name, _ in rows]
    several = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    found: dict[str, dict[str, Any]] = {}
    for name, entry in sorted(rows, key=lambda row: (row[0], json.dumps(row[1], sort_keys=True))):
        architecture = entry.get("Architecture")
        key = f"{name}:{architecture}" if name in several and architecture else name
        number = 2
        while key in found:
            key = f"{name}#{number}"
            number += 1
        found[key] = entry
    return found


def sorted_entries(kind_name: str, entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By what names them."""
    kind = TYPES.get(kind_name)
    key = kind.key if kind is not None else ("Name",)
    return sorted(entries, key=lambda entry: [(isinstance(entry.get(name), str), entry.get(name) or 0) for name in key])


def _value(found: Any) -> Any:
    """deepdiff's word for what is not there is an object of its own."""
    return None if type(found).__name__ == "NotPresent" else found
