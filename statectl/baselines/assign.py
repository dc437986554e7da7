"""Which baselines apply to a host, and why.

1  asked for on the command line
2  named by an association that concerns the host
3  registered for the patch group in its tags
4  its `targets` match
5  the default of its system
6  the one that comes with statectl for its system

The first of these that gives any decides. Where it gives several, each is evaluated for itself: none hides another's results.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from statectl.baselines.filters import is_product
from statectl.baselines.model import Baseline
from statectl.baselines.systems import product_of, system_of

GROUP_TAGS = ("patch_group", "Patch Group", "PatchGroup")


@dataclass(frozen=True, slots=True)
class Assigned:
    """A baseline of one host. `association`: that names it, '' : none does."""

    baseline: Baseline
    why: str
    association: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """`notes`: what people should know, such as a baseline that was meant and is for another system."""

    assigned: tuple[Assigned, ...] = ()
    notes: tuple[str, ...] = ()


def assign(
    baselines: Mapping[str, Baseline],
    facts: Mapping[str, Any],
    tags: Mapping[str, str],
    *,
    named: Iterable[tuple[str, str]] = (),
    asked: Sequence[str] = (),
    matches: Callable[[str], bool | None] = lambda _: None,
) -> Assignment:
    """The baselines of one host.

    baselines   all by name, the predefined ones too
    facts       its facts `os`
    named       (association, baseline) of the associations that concern it
    asked       names from the command line
    matches     does a target expression select this host? None: not known
    """
    system = system_of(facts)
    if not system:
        what = str(facts.get("name") or facts.get("id") or "an unknown system")
        return Assignment(notes=(f"there are no baselines for {what}",))
    notes: list[str] = []
    fitting = {name: one for name, one in baselines.items() if one.os == system}
    ways: tuple[Callable[[], list[Assigned]], ...] = (
        lambda: _asked(baselines, asked, system, notes),
        lambda: _named(baselines, named, system, notes),
        lambda: _of_group(fitting, tags, system, notes),
        lambda: _targeted(fitting, matches, notes),
        lambda: [Assigned(one, f"the default of {system}") for one in fitting.values() if one.default],
        lambda: [Assigned(one, f"comes with statectl for {system}") for one in fitting.values() if one.predefined],
    )
    for way in ways:
        found = way()
        if found:
            return Assignment(tuple(_with_sources(one, facts, notes) for one in found), tuple(notes))
    return Assignment(notes=(*notes, f"no baseline for {system}"))


def _with_sources(one: Assigned, facts: Mapping[str, Any], notes: list[str]) -> Assigned:
    """With the sources that are for the product of the host."""
    baseline = one.baseline
    if not any(source.products for source in baseline.sources):
        return one
    product = product_of(facts)
    kept = tuple(source for source in baseline.sources if not source.products or is_product(product, source.products))
    if not kept:
        what = f"no source of {baseline.name} is for {product}: the host's own repositories count"
        notes.append(what)
    return replace(one, baseline=replace(baseline, sources=kept))


def _asked(baselines: Mapping[str, Baseline], asked: Sequence[str], system: str, notes: list[str]) -> list[Assigned]:
    why = "asked for on the command line"
    return [
        Assigned(baselines[name], why) for name in dict.fromkeys(asked) if _is_for(baselines, name, system, why, notes)
    ]


def _named(
    baselines: Mapping[str, Baseline], named: Iterable[tuple[str, str]], system: str, notes: list[str]
) -> list[Assigned]:
    """An association may name one for each system; a note only where it names none for this one."""
    named = list(named)
    served = {association for association, name in named if name in baselines and baselines[name].os == system}
    found: dict[str, Assigned] = {}
    for association, name in named:
        why = f"association {association} names it"
        if name in found:
            first = found[name]
            found[name] = Assigned(first.baseline, f"{first.why}, {association} too", first.association)
        elif _is_for(baselines, name, system, why, [] if association in served and name in baselines else notes):
            found[name] = Assigned(baselines[name], why, association)
    return list(found.values())


def _is_for(baselines: Mapping[str, Baseline], name: str, system: str, why: str, notes: list[str]) -> bool:
    one = baselines.get(name)
    if one is None:
        notes.append(f"there is no baseline {name} ({why})")
    elif one.os != system:
        notes.append(f"{name} is for {one.os}, the host is {system} ({why})")
    return one is not None and one.os == system


def _of_group(
    fitting: Mapping[str, Baseline], tags: Mapping[str, str], system: str, notes: list[str]
) -> list[Assigned]:
    given = {tag: tags[tag] for tag in GROUP_TAGS if tags.get(tag)}
    if len(set(given.values())) > 1:
        said = ", ".join(f"{tag}={value}" for tag, value in given.items())
        notes.append(f"its tags name several patch groups ({said}); the first one counts")
    for tag, group in given.items():
        for one in fitting.values():
            if group in one.patch_groups:
                return [Assigned(one, f"registered for its patch group ({tag}={group})")]
        notes.append(f"no baseline for {system} is registered for its patch group ({tag}={group})")
        break
    return []


def _targeted(
    fitting: Mapping[str, Baseline], matches: Callable[[str], bool | None], notes: list[str]
) -> list[Assigned]:
    found = []
    for one in fitting.values():
        selected = matches(one.targets) if one.targets else False
        if selected is None:
            notes.append(f"whether the targets of {one.name} select it is not known ({one.targets})")
        elif selected:
            found.append(Assigned(one, f"its targets select the host ({one.targets})"))
    return found
