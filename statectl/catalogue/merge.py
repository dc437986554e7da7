"""One address, several associations: what agrees is joined, what does not is E120 unless one side says that it overrides."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from statectl.catalogue.contents import Wanted, same
from statectl.catalogue.prepare import CONTENT, Prepared, Preparer
from statectl.problems import Note, Problem
from statectl.project.model import Association, Override

# Fields that are sets: several associations add to them.
UNITED = frozenset({("user", "groups"), ("authorized_key", "keys")})


@dataclass(frozen=True, slots=True)
class Claim:
    """One association's declaration of an address."""

    association: Association
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Agreed:
    """What all claims come to. `overrides`: as the catalogue shows them."""

    prepared: Prepared
    overrides: tuple[dict[str, str], ...] = ()


def agree(claims: Sequence[Claim], preparer: Preparer, today: dt.date) -> tuple[Agreed | None, list[Problem]]:
    """The one resource that the claims mean together. Claims are in the order of their associations."""
    first = claims[0].prepared
    if len(claims) == 1:
        return Agreed(first), []
    problems: list[Problem] = []
    shown: dict[tuple[str, str], dict[str, str]] = {}
    given: dict[str, Any] = {}
    for field in dict.fromkeys(name for claim in claims for name in claim.prepared.given if name not in CONTENT):
        having = [claim for claim in claims if field in claim.prepared.given]
        if (first.kind.name, field) in UNITED:
            given[field] = sorted({item for claim in having for item in _items(claim, field)}, key=str)
            continue
        winner = _winner(
            having,
            lambda claim, name=field: claim.prepared.values.get(name),
            first.address,
            field,
            shown,
            problems,
            today,
        )
        given[field] = winner.prepared.given[field]
    content = _content(claims, first.address, shown, problems, today)
    if problems:
        return None, problems
    # the model sees the joined fields, because fields that are right alone may be wrong together
    holder = next((claim for claim in claims if content is not None and claim.prepared.content is not None), claims[0])
    fields = {**given, **({"content": ""} if content is not None else {})}
    joined, problems = preparer.check(first.kind, str(first.values["name"]), fields, holder.prepared.declaration)
    if joined is None:
        return None, problems
    joined = replace(joined, content=content, declaration=first.declaration, span=first.span)
    return Agreed(joined, tuple(shown.values())), []


def _items(claim: Claim, field: str) -> Sequence[Any]:
    value = claim.prepared.values.get(field)
    return value if isinstance(value, list) else []


def _content(
    claims: Sequence[Claim],
    address: str,
    shown: dict[tuple[str, str], dict[str, str]],
    problems: list[Problem],
    today: dt.date,
) -> Wanted | None:
    having = [claim for claim in claims if claim.prepared.content is not None]
    if not having:
        return None
    parts = [claim for claim in having if claim.prepared.content is not None and claim.prepared.content.fragments]
    if len(parts) < len(having):
        winner = _winner(having, lambda claim: claim.prepared.content, address, "content", shown, problems, today)
        return winner.prepared.content
    fragments: dict[str, Any] = {}
    for name in sorted({name for claim in parts for name in _fragments(claim)}):
        of_name = [claim for claim in parts if name in _fragments(claim)]
        winner = _winner(
            of_name,
            lambda claim, name=name: _fragments(claim)[name],
            address,
            f"fragments.{name}",
            shown,
            problems,
            today,
        )
        fragments[name] = _fragments(winner)[name]
    return Wanted(fragments=fragments)


def _fragments(claim: Claim) -> Mapping[str, Any]:
    return claim.prepared.content.fragments if claim.prepared.content is not None else {}


def _winner(
    claims: Sequence[Claim],
    value: Any,
    address: str,
    field: str,
    shown: dict[tuple[str, str], dict[str, str]],
    problems: list[Problem],
    today: dt.date,
) -> Claim:
    """The claim whose value holds: any when all agree, else the one that overrides every other that differs."""
    first = claims[0]
    if all(_equal(value(claim), value(first)) for claim in claims[1:]):
        return first
    for claim in claims:
        losers = [other for other in claims if other is not claim and not _equal(value(other), value(claim))]
        overrides = [_override(claim.association, address, other.association.name) for other in losers]
        if not all(overrides):
            continue
        for override in overrides:
            assert override is not None
            if override.until and dt.date.fromisoformat(override.until) < today:
                place = claim.association.places.value(override.path)
                problems.append(
                    Problem("E121", f"the override of {address} by {claim.association.name} ended on {override.until}", place,
                            hint="decide again: remove the override, or give a new date", notes=_places(losers, field))
                )  # fmt: skip
            shown[claim.association.name, override.of] = {
                "of": override.of, "reason": override.reason, "until": override.until, "by": claim.association.name,
            }  # fmt: skip
        return claim
    other = next(claim for claim in claims[1:] if not _equal(value(claim), value(first)))
    name = field.split(".", 1)[0]
    problems.append(
        Problem(
            "E120",
            f"{first.association.name} and {other.association.name} want different `{field}` of {address}",
            other.prepared.place(name),
            label=f"{other.association.name} wants this",
            hint=f'agree on one, or in one of them: override: {{"{address}": {{of: {first.association.name}, reason: ..., until: ...}}}}',
            notes=(Note(f"{first.association.name} wants this", first.prepared.place(name)),),
        )
    )
    return first


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Wanted) and isinstance(other, Wanted):
        return same(one, other)
    return bool(one == other)


def _override(association: Association, address: str, other: str) -> Override | None:
    return next((one for one in association.overrides if one.of == other and one.address == address), None)


def _places(claims: Sequence[Claim], field: str) -> tuple[Note, ...]:
    return tuple(
        Note(f"{claim.association.name} wants otherwise", claim.prepared.place(field.split(".", 1)[0]))
        for claim in claims
    )
