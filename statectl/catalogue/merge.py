"""One address, several associations: what agrees is joined, what does not is E120 unless one side says that it overrides."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from statectl.catalogue.contents import Wanted
from statectl.catalogue.prepare import CONTENT, Prepared, Preparer
from statectl.catalogue.trees import Manifest
from statectl.problems import Note, Problem
from statectl.project.model import Association, Override

# Fields that are sets: several associations add to them. Fragments of a file are the third, by name.
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
    if len(claims) == 1:
        return Agreed(claims[0].prepared), []
    agreement = _Agreement(claims, today)
    given = agreement.fields()
    content = agreement.content()
    if agreement.problems:
        return None, agreement.problems
    # the model sees the joined fields, because fields that are right alone may be wrong together
    holder = next((claim.prepared for claim in claims if claim.prepared.content is not None), claims[0].prepared)
    if isinstance(content, Manifest):
        given |= {name: holder.given[name] for name in ("source", "templates") if name in holder.given}
    elif content is not None:
        given["content"] = ""
    first = claims[0].prepared
    joined, problems = preparer.check(first.kind, str(first.values["name"]), given, holder.declaration)
    if joined is None:
        return None, problems
    joined = replace(joined, content=content, declaration=first.declaration, span=first.span)
    return Agreed(joined, tuple(agreement.overrides.values())), []


class _Agreement:
    def __init__(self, claims: Sequence[Claim], today: dt.date) -> None:
        self._claims = claims
        self._address = claims[0].prepared.address
        self._today = today
        self.problems: list[Problem] = []
        self.overrides: dict[tuple[str, str], dict[str, str]] = {}

    def fields(self) -> dict[str, Any]:
        """The fields that somebody wrote, without those that make content."""
        given: dict[str, Any] = {}
        kind = self._claims[0].prepared.kind.name
        for field in dict.fromkeys(
            name for claim in self._claims for name in claim.prepared.given if name not in CONTENT
        ):
            having = [claim for claim in self._claims if field in claim.prepared.given]
            if (kind, field) in UNITED:
                given[field] = sorted({item for claim in having for item in claim.prepared.values.get(field) or ()})
            else:
                winner = self._winner(having, _field(field), field)
                given[field] = winner.prepared.given[field]
        return given

    def content(self) -> Wanted | Manifest | None:
        having = [claim for claim in self._claims if claim.prepared.content is not None]
        if not having:
            return None
        parts = [(claim, _fragments(claim.prepared)) for claim in having]
        if not all(fragments for _, fragments in parts):
            return self._winner(having, lambda one: one.content, "content").prepared.content
        united: dict[str, Any] = {}
        for name in sorted({name for _, fragments in parts for name in fragments}):
            of_name = [claim for claim, fragments in parts if name in fragments]
            winner = self._winner(of_name, _fragment(name), f"fragments.{name}")
            united[name] = _fragments(winner.prepared)[name]
        return Wanted(fragments=united)

    def _winner(self, claims: Sequence[Claim], value: Callable[[Prepared], Any], field: str) -> Claim:
        """The claim whose value holds: any when all agree, else the one that overrides every other that differs."""
        first = claims[0]
        if all(value(claim.prepared) == value(first.prepared) for claim in claims[1:]):
            return first
        for claim in claims:
            losers = [other for other in claims if value(other.prepared) != value(claim.prepared)]
            overrides = [_override(claim.association, self._address, other.association.name) for other in losers]
            if all(overrides):
                for override in overrides:
                    assert override is not None
                    self._note(claim, override, losers, field)
                return claim
        self._conflict(first, next(claim for claim in claims if value(claim.prepared) != value(first.prepared)), field)
        return first

    def _note(self, claim: Claim, override: Override, losers: Sequence[Claim], field: str) -> None:
        by = claim.association
        if override.until and dt.date.fromisoformat(override.until) < self._today:
            notes = tuple(
                Note(f"{one.association.name} wants otherwise", one.prepared.place(_top(field))) for one in losers
            )
            text = f"the override of {self._address} by {by.name} ended on {override.until}"
            hint = "decide again: remove the override, or give it a new date"
            self.problems.append(Problem("E121", text, by.places.value(override.path), hint=hint, notes=notes))
        loser = next(one for one in losers if one.association.name == override.of)
        place = loser.prepared.place(_top(field))
        known = self.overrides.setdefault(
            (by.name, override.of),
            {
                "of": override.of,
                "reason": override.reason,
                "until": override.until,
                "by": by.name,
                "fields": field,
                "source": f"{place.file}:{place.line}" if place is not None else "",
            },
        )
        if field not in known["fields"].split(", "):
            known["fields"] += f", {field}"

    def _conflict(self, first: Claim, other: Claim, field: str) -> None:
        one, two = first.association.name, other.association.name
        hint = f'agree on one, or write in one of them: override: {{"{self._address}": {{of: {one}, reason: ..., until: ...}}}}'
        note = Note(f"{one} wants this", first.prepared.place(_top(field)))
        text = f"{one} and {two} want different `{field}` of {self._address}"
        place = other.prepared.place(_top(field))
        self.problems.append(Problem("E120", text, place, label=f"{two} wants this", hint=hint, notes=(note,)))


def _field(name: str) -> Callable[[Prepared], Any]:
    return lambda one: one.values.get(name)


def _fragment(name: str) -> Callable[[Prepared], Any]:
    return lambda one: _fragments(one)[name]


def _fragments(prepared: Prepared) -> Mapping[str, Any]:
    return prepared.content.fragments if isinstance(prepared.content, Wanted) else {}


def _top(field: str) -> str:
    return field.split(".", 1)[0]


def _override(association: Association, address: str, other: str) -> Override | None:
    return next((one for one in association.overrides if one.of == other and one.address == address), None)
