"""In which order an apply goes over the hosts, for people: waves, who waits for whom, and what is done around each host of a rollout."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from statectl.cli.formats.terminal import Screen, one_line
from statectl.plans.plan import HostOrder, PlannedRollout, PlannedStep

SHOWN_WAVES = 6
Compress = Callable[[Sequence[str]], str]


def order_lines(order: HostOrder, screen: Screen, compress: Compress) -> Iterator[str]:
    """Nothing when all hosts change at once and nothing is done around them."""
    shown = order.waves if len(order.waves) <= SHOWN_WAVES else order.waves[: SHOWN_WAVES - 1]
    for number, wave in enumerate(shown, 1):
        count = _hosts(len(wave))
        yield screen.fit(
            f"{screen.mark('waiting')} wave {number} of {len(order.waves)}: {count:8}  {compress(wave)}".rstrip()
        )
    rest = order.waves[len(shown) :]
    if rest:
        left = sum(map(len, rest))
        yield f"{screen.mark('waiting')} {screen.mark('more')} {len(rest)} more waves, {_hosts(left)}"
    for wait in order.waits:
        yield f"{screen.mark('then')} {wait.association} on {compress(wait.hosts)} waits for {wait.requires} on {compress(wait.on)}"
    for rollout in order.rollouts:
        yield from _rollout(rollout, screen, compress)


def _rollout(rollout: PlannedRollout, screen: Screen, compress: Compress) -> Iterator[str]:
    if len(rollout.batches) <= 1 and not (rollout.health or rollout.before or rollout.after):
        return
    many = len(rollout.batches) != 1
    said = [_batches(rollout.batches)]
    if rollout.bake_s and many:
        said.append(f"{_seconds(rollout.bake_s)} apart")
    said.append("the first failure stops it" if rollout.on_failure == "stop" else "failures do not stop it")
    yield f"{screen.mark('waiting')} rollout of {rollout.association}: {', '.join(said)}"
    for when, steps in (("before", rollout.before), ("after", rollout.after)):
        yield from (_step(when, step, screen, compress) for step in steps)
        if when == "before" and rollout.health:
            yield f"  {screen.mark('then')} health of each: {one_line(rollout.health)}"


def _step(when: str, step: PlannedStep, screen: Screen, compress: Compress) -> str:
    return f"  {screen.mark('then')} {when} each, on {compress(step.on)}: {one_line(' '.join(step.run))}"


def _batches(sizes: Sequence[int]) -> str:
    """`3 batches of 2 hosts`, `14 batches: 1, 10 (12 times) and 4 hosts`"""
    parts = [(size, len(list(group))) for size, group in groupby(sizes)]
    count = f"{len(sizes)} batch{'es' * (len(sizes) != 1)}"
    if len(parts) == 1:
        return f"{count} of {_hosts(sizes[0])}"
    words = [f"{size} ({times} times)" if times > 1 else str(size) for size, times in parts]
    return f"{count}: {', '.join(words[:-1])} and {words[-1]} hosts"


def _hosts(count: int) -> str:
    return f"{count} host{'s' * (count != 1)}"


def _seconds(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"
