"""What was measured of growth, as tables in Markdown and plots in SVG. Pure."""

from collections.abc import Iterable, Sequence

from tests.benchmarks.grown import MIB, Grown
from tests.benchmarks.plot import Panel, chart
from tests.benchmarks.tables import verdict

ACROSS = {"hosts": "hosts", "dead": "hosts", "resources": "resources", "file": "MiB", "directory": "files"}
PLOTTED = ("hosts", "resources", "file", "directory")
ONE_HOST_MIB = 64.0  # over start-up, here and there, for a file or directory however large
FLEET_MIB = 400.0
DEAD_TIMES = 1.3
SLOT_S = 1800.0


def report(part: str, rows: Iterable[Grown], machine: str) -> str:
    """The block of one part."""
    mine = sorted((row for row in rows if row.part == part), key=lambda row: (row.count, row.run))
    if not mine:
        return ""
    table = {"hosts": fleet_table, "dead": dead_table}.get(part, host_table)(mine, ACROSS[part])
    shown = f"\n![{part}: time, processor time, memory and bytes](benchmarks/growth-{part}.svg)\n"
    picture = shown if plots(part, mine) else ""
    dates = sorted({row.date for row in mine})
    when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    load = max(row.load for row in mine)
    return f"{table}{picture}\nOne round, {when}, load of other work before it {load:.1f}. {machine}.\n"


def fleet_table(rows: Sequence[Grown], _across: str) -> str:
    """By number of hosts, and what one more of them costs between a row and the one above of the same run."""
    lines = [
        "| hosts | run | time | controller CPU | one more host | memory here | to a host | from a host | CPU of a host |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    before: dict[str, Grown] = {}
    for row in rows:
        each = max(1, row.count)
        cells = [
            f"{row.seconds:.1f} s",
            f"{row.cpu_s:.2f} s",
            f"{marginal_ms(before[row.run], row):.1f} ms" if row.run in before else "",
            f"{row.peak_bytes / MIB:.0f} MiB",
            f"{row.to_hosts / 1024 / each:.1f} KiB" if row.count else "",
            f"{row.from_hosts / 1024 / each:.1f} KiB" if row.count else "",
            f"{row.host_cpu_s * 1000 / each:.0f} ms" if row.count else "",
        ]
        lines.append(f"| {row.count:,} | {row.run} | {' | '.join(cells)} |")
        before[row.run] = row
    goals = [
        (
            "memory here, 1,000 hosts",
            f"{row.peak_bytes / MIB:.0f} MiB",
            f"{FLEET_MIB:.0f} MiB",
            row.peak_bytes / MIB <= FLEET_MIB,
        )
        for row in rows
        if row.count == 1000 and row.peak_bytes == max(one.peak_bytes for one in rows if one.count == 1000)
    ] + [
        ("drift check of 10,000 hosts", f"{row.seconds / 60:.1f} min", f"{SLOT_S / 60:.0f} min", row.seconds < SLOT_S)
        for row in rows
        if (row.run, row.count) == ("drift", 10_000)
    ]
    return "\n".join(lines) + "\n" + _goals(goals)


def marginal_ms(less: Grown, more: Grown) -> float:
    """Controller CPU of one more host, ms."""
    return (more.cpu_s - less.cpu_s) * 1000 / (more.count - less.count)


def dead_table(rows: Sequence[Grown], _across: str) -> str:
    lines = [
        "| hosts | | time of the run | live hosts done after | of the clean time | goal, at most | |",
        "| ---: | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    clean = {row.count: row.live_s for row in rows if row.run == "all alive"}
    for row in rows:
        times = row.live_s / clean[row.count] if clean.get(row.count) else None
        dead = row.run != "all alive"
        goal = f"{DEAD_TIMES:.2f} x" if dead else ""
        judged = verdict(times <= DEAD_TIMES) if dead and times is not None else ""
        shown = "" if times is None else f"{times:.2f} x"
        lines.append(
            f"| {row.count:,} | {row.run} | {row.seconds:.1f} s | {row.live_s:.1f} s | {shown} | {goal} | {judged} |"
        )
    return "\n".join(lines) + "\n"


def host_table(rows: Sequence[Grown], across: str) -> str:
    """One host: by how many resources, MiB or files. Memory is that above the row of 0 of the same controller and executor."""
    heads = ("time", "controller CPU", "host CPU", "memory here", "memory there", "to the host", "from the host")
    lines = [f"| {across} | run | {' | '.join(heads)} |", f"| ---: | --- |{' ---: |' * len(heads)}"]
    here = min((row.peak_bytes for row in rows if row.count == 0), default=0)
    there = min((row.executor_bytes for row in rows if row.count == 0), default=0)
    for row in rows:
        over = row.count > 0
        cells = [
            f"{row.seconds:.1f} s",
            f"{row.cpu_s:.2f} s",
            f"{row.host_cpu_s:.2f} s",
            f"{max(0, row.peak_bytes - here) / MIB:.0f} MiB" if over else f"({here / MIB:.0f} MiB)",
            f"{max(0, row.executor_bytes - there) / MIB:.0f} MiB" if over else f"({there / MIB:.0f} MiB)",
            _bytes(row.to_hosts),
            _bytes(row.from_hosts),
        ]
        lines.append(f"| {row.count:,} | {row.run} | {' | '.join(cells)} |")
    goals = []
    if across in ("MiB", "files"):
        largest = [row for row in rows if row.count == rows[-1].count > 0]
        for row in largest:
            for where, value in (
                ("here", max(0, row.peak_bytes - here)),
                ("there", max(0, row.executor_bytes - there)),
            ):
                what = f"{row.run} of {row.count:,} {across}, memory {where} over start-up"
                goals.append((what, f"{value / MIB:.0f} MiB", f"{ONE_HOST_MIB:.0f} MiB", value / MIB <= ONE_HOST_MIB))
    return "\n".join(lines) + "\n" + _goals(goals)


def _goals(goals: Sequence[tuple[str, str, str, bool]]) -> str:
    if not goals:
        return ""
    lines = ["", "| | measured | goal, at most | |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {what} | {value} | {goal} | {verdict(met)} |" for what, value, goal, met in goals]
    return "\n".join(lines) + "\n"


def _bytes(count: int) -> str:
    return f"{count / MIB:.1f} MiB" if count >= MIB else f"{count / 1024:.1f} KiB"


def plots(part: str, rows: Iterable[Grown]) -> dict[str, str]:
    """{name: SVG}; nothing for a part that has too few sizes to show a curve."""
    mine = [row for row in rows if row.part == part and row.count > 0]
    if part not in PLOTTED or not mine:
        return {}
    runs = list(dict.fromkeys(row.run for row in mine))

    def panel(title: str, unit: str, names: Sequence[tuple[str, str, float]]) -> Panel:
        curves = {}
        for run in runs:
            for what, shown, factor in names:
                points = [(float(row.count), getattr(row, what) * factor) for row in mine if row.run == run]
                curves[f"{run}{shown}"] = [(x, y) for x, y in points if y > 0]
        return Panel(title, unit, curves)

    memory = (
        [("peak_bytes", "", 1 / MIB)]
        if part == "hosts"
        else [("peak_bytes", ", here", 1 / MIB), ("executor_bytes", ", there", 1 / MIB)]
    )
    panels = [
        panel("time", "s", [("seconds", "", 1.0)]),
        panel("processor time of the controller", "s", [("cpu_s", "", 1.0)]),
        panel("peak of memory", "MiB", memory),
        panel("bytes to and from all hosts", "MiB", [("to_hosts", ", to", 1 / MIB), ("from_hosts", ", from", 1 / MIB)]),
    ]
    return {f"growth-{part}": chart(panels, ACROSS[part])}
