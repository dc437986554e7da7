"""The part of a catalogue that many hosts share: which resources, merged, checked, in order; all but the texts of templates."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from statectl.catalogue.contents import Wanted
from statectl.catalogue.edges import Node, Possible, put_in_order, rank
from statectl.catalogue.expand import Instance
from statectl.catalogue.merge import Agreed, Claim, agree
from statectl.catalogue.prepare import Preparer
from statectl.catalogue.rendered import SecretParts
from statectl.catalogue.shapes import AddressRef
from statectl.catalogue.trees import Manifest
from statectl.problems import Note, Problem, Span
from statectl.project.model import Association, Profile
from statectl.project.types import ResourceType
from statectl.resources.model import PHASES


@dataclass(slots=True, eq=False)
class Bone:
    """One resource. `entry`: as in the catalogue, `want` without content and with SecretParts. `slot`: whose templates fill the content."""

    entry: dict[str, Any]
    content: Wanted | Manifest | None
    slot: int  # index of the instance whose templates belong to `content`; -1: it is complete
    has_secrets: bool
    span: Span | None


@dataclass(slots=True, eq=False)
class Skeleton:
    """`bones` in execution order, or the problems that make it impossible."""

    bones: tuple[Bone, ...]
    problems: tuple[Problem, ...]


class Skeletons:
    """Makes skeletons, and keeps those whose parts all are kept."""

    def __init__(
        self, types: Mapping[str, ResourceType], preparer: Preparer, profiles: Mapping[str, Profile], today: dt.date
    ) -> None:
        self._types = types
        self._preparer = preparer
        self._profiles = profiles
        self._today = today
        self._known: dict[Any, Skeleton] = {}
        self._possible: dict[frozenset[str], Possible] = {}

    def of(self, host: str, associations: Sequence[Association], instances: Sequence[tuple[int, Instance]]) -> Skeleton:
        """`instances` with the index of their association, sorted as written."""
        if not all(instance.rendered.kept for _, instance in instances):
            return self._make(host, associations, instances)[0]
        names = tuple(association.name for association in associations)
        key = (names, tuple((index, id(one.rendered), one.order) for index, one in instances))
        known = self._known.get(key)
        if known is None:
            known, shared = self._make(host, associations, instances)
            if shared and not known.problems:  # problems name the host
                self._known[key] = known
        return known

    def _make(
        self, host: str, associations: Sequence[Association], instances: Sequence[tuple[int, Instance]]
    ) -> tuple[Skeleton, bool]:
        """The skeleton, and whether other hosts can have it too."""
        problems: list[Problem] = []
        claims: dict[str, list[Claim]] = {}
        members: dict[str, list[tuple[int, int]]] = {}  # address -> (association, instance)
        for number, (index, instance) in enumerate(instances):
            prepared, wrong = self._preparer.prepare(instance.rendered)
            problems += wrong
            if prepared is None:
                continue
            association = associations[index]
            others = claims.setdefault(prepared.address, [])
            twin = next((claim for claim in others if claim.association is association), None)
            if twin is not None:
                text = f"{prepared.address} is declared twice in {association.name}"
                problems.append(Problem("E102", text, prepared.span, notes=(Note("first here", twin.prepared.span),)))
                continue
            others.append(Claim(association, prepared))
            members.setdefault(prepared.address, []).append((index, number))
        shared = True
        agreed: dict[str, Agreed] = {}
        for address, group in claims.items():
            if len(group) > 1 and any(
                claim.prepared.content is not None and claim.prepared.content.has_slots() for claim in group
            ):
                shared = False  # whether they agree depends on this host's texts
                group = [  # noqa: PLW2901
                    Claim(
                        claim.association,
                        replace(claim.prepared, content=claim.prepared.content.filled(instances[number][1].templates)),
                    )
                    if claim.prepared.content is not None
                    else claim
                    for claim, (_, number) in zip(group, members[address], strict=True)
                ]
            one, wrong = agree(group, self._preparer, self._today)
            problems += wrong
            if one is not None:
                agreed[address] = one
        problems += _paths_once(agreed)
        nodes = [
            self._node(one, [instances[n] for _, n in members[address]], associations)
            for address, one in agreed.items()
        ]
        ordered, wrong = put_in_order(nodes, host, self._types, lambda: self._possible_in(associations))
        if problems:
            # what is missing because it has a mistake itself must not be reported as missing
            wrong = [problem for problem in wrong if problem.code != "E132"]
        problems += wrong
        if ordered is None or problems:
            return Skeleton((), tuple(dict.fromkeys(problems))), False
        declared = _declared_below(agreed)
        bones = []
        for address in ordered.order:
            owners = [(associations[index].name, instances[number][1]) for index, number in members[address]]
            entry = self._entry(
                agreed[address], owners, ordered.after[address], ordered.notify.get(address, []), declared
            )
            prepared = agreed[address].prepared
            slots = prepared.content is not None and prepared.content.has_slots()
            secret = any(_holds_secret(value) for value in entry["want"].values())
            bones.append(Bone(entry, prepared.content, members[address][0][1] if slots else -1, secret, prepared.span))
        return Skeleton(tuple(bones), ()), shared

    def _node(self, one: Agreed, members: Sequence[tuple[int, Instance]], associations: Sequence[Association]) -> Node:
        prepared = one.prepared
        index, first = members[0]
        place = prepared.place("when_changed")
        return Node(
            address=prepared.address,
            kind=prepared.kind,
            association=associations[index].name,
            rank=rank(index, prepared.kind, first.order),
            edges=prepared.edges,
            after=[ref for _, member in members for ref in member.rendered.after],
            before=[ref for _, member in members for ref in member.rendered.before],
            notify=[ref for _, member in members for ref in member.rendered.notify],
            when_changed=[AddressRef(text, place) for text in prepared.values.get("when_changed") or ()],
            span=prepared.span,
        )

    def _possible_in(self, associations: Sequence[Association]) -> Possible:
        key = frozenset(association.name for association in associations)
        if key not in self._possible:
            self._possible[key] = Possible(associations, self._profiles)
        return self._possible[key]

    def _entry(
        self,
        one: Agreed,
        owners: Sequence[tuple[str, Instance]],
        after: list[str],
        notify: list[str],
        declared: Mapping[str, set[str]],
    ) -> dict[str, Any]:
        prepared = one.prepared
        want = dict(prepared.values)
        if "declared" in prepared.kind.names and want.get("exclusive"):
            below = declared.get(str(want["name"]), set())
            whole = isinstance(
                prepared.content, Manifest
            )  # a tree reaches down, a directory owns what is directly in it
            want["declared"] = sorted(below if whole else {path for path in below if "/" not in path})
        commons = [instance.rendered.declaration.common for _, instance in owners]
        span = prepared.span
        return {
            "address": prepared.address,
            "type": prepared.kind.name,
            "association": owners[0][0],
            "owners": [name for name, _ in owners],
            "phase": PHASES.index(prepared.kind.phase),
            "after": after,
            "notify": notify,
            "want": want,
            "sensitive": any(common.sensitive for common in commons),
            "on_removal": next((common.on_removal for common in commons if common.on_removal), None),
            "protect": any(common.protect for common in commons),
            "source": None if span is None else {"file": span.file, "line": span.line},
            "overrides": list(one.overrides),
        }


def _holds_secret(value: Any) -> bool:
    if isinstance(value, SecretParts):
        return True
    if isinstance(value, dict):
        return any(map(_holds_secret, value.values()))
    return isinstance(value, list) and any(map(_holds_secret, value))


def _declared_below(agreed: Mapping[str, Agreed]) -> dict[str, set[str]]:
    """Exclusive directory or tree -> paths below it, relative, that other resources of the host stand for.

    A directory lists names, so there the first piece of a deeper path counts; a tree lists the paths themselves, and goes on
    into the directories in between.
    """
    owners = {
        str(one.prepared.values["name"]): one.prepared.kind.name == "tree"
        for one in agreed.values()
        if one.prepared.values.get("exclusive")
    }
    found: dict[str, set[str]] = {owner: set() for owner in owners}
    for one in agreed.values() if owners else ():
        if one.prepared.values.get("state") == "absent":
            continue
        for path in one.prepared.paths:
            above = path
            while above not in ("", "/"):
                above = above.rpartition("/")[0] or "/"
                if above in owners:
                    below = path[len(above) :].strip("/")
                    found[above].add(below if owners[above] else below.partition("/")[0])
    return found


def _paths_once(agreed: Mapping[str, Agreed]) -> list[Problem]:
    """Two resources of different types must not stand for one path."""
    seen: dict[str, tuple[str, Span | None]] = {}
    problems = []
    for address, one in agreed.items():
        if not one.prepared.kind.key_is_path:
            continue
        path = str(one.prepared.values["name"])
        if path in seen:
            other, span = seen[path]
            text = f"{address} and {other} both manage {path}"
            problems.append(Problem("E102", text, one.prepared.span, notes=(Note(f"{other} is declared here", span),)))
        else:
            seen[path] = (address, one.prepared.span)
    return problems
