"""What is wrong between patch baselines, and between them and what names them."""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from statectl.problems import Note, Problem, Span, did_you_mean, nearest
from statectl.project.model import Association

if TYPE_CHECKING:
    from statectl.baselines.model import Baseline


def baselines_by_name(
    baselines: "Iterable[Baseline]",
    associations: Iterable[Association],
    windows: Collection[str],
    broken: Collection[str] = (),
) -> "tuple[dict[str, Baseline], list[Problem]]":
    """All of the files by name, and every problem between them.

    windows: names of all maintenance windows; broken: names of baselines that are there and could not be read
    """
    problems: list[Problem] = []
    named: dict[str, Baseline] = {}
    for one in baselines:
        first = named.setdefault(one.name, one)
        if first is not one:
            summary, hint = f"patch baseline `{one.name}` is defined twice", "rename or remove one of them"
            problems.append(_between("E102", summary, one.span, first.span, hint))
    _defaults(named.values(), problems)
    _patch_groups(named.values(), problems)
    for one in named.values():
        if one.window and one.window not in windows:
            match = nearest(one.window, windows)
            hint = "" if match else "windows stand below `maintenance_windows:`; statectl window list shows them"
            label = did_you_mean(one.window, windows)
            summary = f"no maintenance window `{one.window}`, which `{one.name}` names"
            problems.append(Problem("E119", summary, one.span, label, hint))
    for association in associations:
        _used(association, named, broken, problems)
    return named, problems


def _between(code: str, summary: str, span: Span | None, first: Span | None, hint: str) -> Problem:
    label = f"first at {first}" if first is not None else ""
    return Problem(code, summary, span, label, hint, (Note("first here", first),))


def _defaults(baselines: "Iterable[Baseline]", problems: list[Problem]) -> None:
    found: dict[str, Baseline] = {}
    for one in baselines:
        first = found.setdefault(one.os, one) if one.default else one
        if first is not one:
            summary = f"`{first.name}` and `{one.name}` are both the default of {one.os}"
            problems.append(_between("E173", summary, one.span, first.span, "leave `default: true` to one of them"))


def _patch_groups(baselines: "Iterable[Baseline]", problems: list[Problem]) -> None:
    found: dict[tuple[str, str], Baseline] = {}
    for one in baselines:
        for group in one.patch_groups:
            first = found.setdefault((one.os, group), one)
            if first is not one:
                summary = f"patch group `{group}` has two baselines for {one.os}: `{first.name}` and `{one.name}`"
                problems.append(_between("E173", summary, one.span, first.span, "remove it from one of them"))


def _used(
    association: Association, named: "Mapping[str, Baseline]", broken: Collection[str], problems: list[Problem]
) -> None:
    """Every baseline that it names, also in a variant, must be there; of one system it names one."""
    said = [(association.patch_baseline, association.path)]
    said += [(tuple(variant.fields.get("patch_baseline", ())), variant.path) for variant in association.where]
    for names, path in said:
        if not names:
            continue
        from statectl.baselines.predefined import predefined  # for projects that name any

        every = {**predefined(), **named}
        known = {*every, *broken}
        by_system: dict[str, str] = {}
        for index, name in enumerate(names):
            place = (*path, "patch_baseline", index)
            span = association.places.value(place)
            if name not in known:
                match = nearest(name, known)
                hint = (
                    "" if match else "baselines stand below `patch_baselines:`; statectl patch baseline list shows them"
                )
                label, fix = did_you_mean(name, known), match or None
                problems.append(Problem("E119", f"no patch baseline `{name}`", span, label, hint, replacement=fix))
            elif name in every:
                first = by_system.setdefault(every[name].os, name)
                if first != name:
                    summary = f"`{first}` and `{name}` are both for {every[name].os}"
                    problems.append(Problem("E173", summary, span, hint="an association names one for each system"))
