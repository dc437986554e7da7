"""Equal problems of many hosts and of many ways to one mistake, said once."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from statectl.problems import Problem


def once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Equal problems once. One mistake that is met on several ways keeps the notes of the first."""
    seen: dict[tuple[Any, ...], Problem] = {}
    for one in problems:
        seen.setdefault((one.code, one.summary, one.span, one.label, one.hint), one)
    return tuple(seen.values())


def fold(found: Mapping[str, Iterable[Problem]], fleet: int, general: Iterable[Problem] = ()) -> tuple[Problem, ...]:
    """Equal problems of several hosts once, with the hosts; without them when it holds for the whole fleet."""
    hosts: dict[Problem, list[str]] = {problem: [] for problem in general}
    same = {(one.code, one.summary, one.span, one.label, one.hint): one for one in hosts}
    for name, problems in found.items():
        for problem in problems:
            first = same.setdefault((problem.code, problem.summary, problem.span, problem.label, problem.hint), problem)
            hosts.setdefault(first, []).append(name)
    return tuple(replace(one, hosts=() if len(names) in (0, fleet) else tuple(names)) for one, names in hosts.items())
