"""What was measured as Markdown: seconds by tool, and ratios beside their goals. Pure, but for the page itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.benchmarks.measured import SCENARIOS, Measured
from tests.lab.places import PROJECT

PAGE = PROJECT / "docs" / "benchmarks.md"
OURS, FLOOR, SCRIPT = "statectl", "floor", "script"
PEERS = ("mitogen", "salt-ssh", "pyinfra", "ansible-core")
FAST_PEERS = ("mitogen", "salt-ssh")  # before these two are measured, nobody knows which peer is the fastest
COLUMNS = (OURS, *PEERS, FLOOR, SCRIPT)

# (scenario, hosts) -> the largest share of the fastest peer's time
OF_THE_FASTEST_PEER = {
    ("cold", 1): 0.30,
    ("cold", 10): 0.22,
    ("cold", 40): 0.22,
    ("unchanged", 1): 0.22,
    ("unchanged", 10): 0.12,
    ("unchanged", 40): 0.06,
}
OF_THE_FLOOR = {("unchanged", 40): 2.0}
OF_THE_SCRIPT = {("cold", 40): 1.6}
OF_OUR_OWN_UNCHANGED = 1.25  # drifted, at any number of hosts

Rows = Mapping[tuple[int, str, str], Measured]


@dataclass(frozen=True)
class Ratio:
    """Our time by that of another, and what it may be at most; None: no goal."""

    hosts: int
    scenario: str
    other: str
    other_seconds: float
    value: float
    goal: float | None

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.value <= self.goal


def ratios(rows: Rows) -> Iterator[Ratio]:
    """By hosts and scenario: of the fastest peer, of the floor or the script, and a drifted run of an unchanged one."""
    for count, scenario in _places(rows):
        ours = rows.get((count, scenario, OURS))
        if ours is None:
            continue
        peers = [row for name in PEERS if (row := rows.get((count, scenario, name)))]
        if peers:
            fastest = min(peers, key=lambda row: row.median)
            known = all((count, scenario, name) in rows for name in FAST_PEERS)
            yield _ratio(ours, fastest, OF_THE_FASTEST_PEER.get((scenario, count)) if known else None)
        for name, goals in ((FLOOR, OF_THE_FLOOR), (SCRIPT, OF_THE_SCRIPT)):
            if other := rows.get((count, scenario, name)):
                yield _ratio(ours, other, goals.get((scenario, count)))
        if scenario == "drifted" and (unchanged := rows.get((count, "unchanged", OURS))):
            yield _ratio(ours, unchanged, OF_OUR_OWN_UNCHANGED, "statectl, unchanged")


def _ratio(ours: Measured, other: Measured, goal: float | None, name: str = "") -> Ratio:
    name = name or other.tool
    return Ratio(ours.hosts, ours.scenario, name, other.median, ours.median / other.median, goal)


def ratio_table(rows: Rows) -> str:
    lines = [
        "| hosts | run | compared with | statectl takes | goal, at most | |",
        "| ---: | --- | --- | ---: | ---: | --- |",
    ]
    for one in ratios(rows):
        goal = "" if one.goal is None else f"{one.goal:.2f} x"
        with_what = f"{one.other}, {one.other_seconds:.2f} s"
        lines.append(
            f"| {one.hosts} | {one.scenario} | {with_what} | {one.value:.2f} x | {goal} | {verdict(one.met)} |"
        )
    return "\n".join(lines) + "\n"


def times_table(rows: Rows) -> str:
    """A row per number of hosts and scenario, a column per tool; in brackets how many times as long as statectl."""
    named = [tool for tool in COLUMNS if any(row.tool == tool for row in rows.values())]
    heads = [f"{tool} {next(row.version for row in rows.values() if row.tool == tool)}" for tool in named]
    lines = [f"| hosts | run | {' | '.join(heads)} |", f"| ---: | --- |{' ---: |' * len(heads)}"]
    for count, scenario in _places(rows):
        ours = rows.get((count, scenario, OURS))
        cells = []
        for tool in named:
            row = rows.get((count, scenario, tool))
            times = f" ({row.median / ours.median:.1f} x)" if row and ours and tool in PEERS else ""
            cells.append(f"{row.median:.2f} s{times}" if row else "")
        lines.append(f"| {count} | {scenario} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def notes(rows: Rows, footer: str) -> str:
    """How, when and beside what else it was measured."""
    said = []
    for tool in COLUMNS:
        mine = [row for row in rows.values() if row.tool == tool]
        if not mine:
            continue
        rounds = min(len(row.seconds) for row in mine)
        spread = max(row.spread for row in mine)
        several = f"median of {rounds}, widest spread {spread:.0%}" if rounds > 1 else "one round"
        dates = sorted({row.date for row in mine})
        when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
        said.append(f"{tool}: {several}, {when}, load of other work before it {max(row.load for row in mine):.1f}")
    return f"Wall time of the whole process. {'; '.join(said)}. {footer}\n"


def verdict(met: bool | None) -> str:
    return "" if met is None else "met" if met else "missed"


def put_on_page(name: str, text: str, page: str) -> str:
    """The page with this text between its two markers."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"docs/benchmarks.md: {begin} and {end} must stand there once each, in this order")
    return f"{page.partition(begin)[0]}{begin}\n{text}{end}{page.partition(end)[2]}"


def write_on_page(name: str, text: str) -> None:
    PAGE.write_text(put_on_page(name, text, PAGE.read_text()))


def _places(rows: Rows) -> list[tuple[int, str]]:
    """(hosts, scenario) of all rows, as they are shown."""
    found = {(row.hosts, row.scenario) for row in rows.values()}
    return sorted(found, key=lambda one: (one[0], SCENARIOS.index(one[1])))


def merged(kept: Rows, fresh: Iterable[Measured]) -> dict[tuple[int, str, str], Measured]:
    """What is measured now takes the place of what was measured before; nothing else is lost."""
    return {**kept, **{(row.hosts, row.scenario, row.tool): row for row in fresh}}
