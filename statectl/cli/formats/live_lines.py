"""How a run that goes on is drawn: title with waves, bar, error budget, then rows of running hosts or failures folded by cause.

    apply web  run F5  wave 3 of 4: ✔ 10 hosts  ✔ 100  ◷ 500  · 390
    █████████░░░░░░░░░░░ 452/1000   ✔ 447  ✖ 3  ⚠ 2  ◷ 50     38 hosts/s  0:12, about 14s left
    errors 5 of 50 allowed (max_errors 5%)
      ✖ 3  package:libnginx-mod-brotli   no space left on device     web[0112,0233,0410]
      ◷ slowest web0877   0:09

Lines as `live_area` takes them. Where the terminal is too narrow, what matters least goes first.
"""

from statectl.cli.formats.live_area import Line
from statectl.cli.formats.tally import Tally, Trouble
from statectl.cli.formats.terminal import Screen, cells
from statectl.rollout.budget import DEFAULT_ERRORS

MANY_HOSTS = 20  # up to here every running host has a row
BAR = 20
SHORT_BAR = 10
TROUBLES = 8  # rows of folded failures
FEW_WAVES = 6
SLOW_S = 5.0  # a host that takes less is not called slow
GAP = 5  # columns before the names of hosts
ROOM_FOR_HOSTS = 18  # columns that a row keeps for the names of hosts


def live_lines(tally: Tally, title: str, screen: Screen, columns: int, rows: int) -> list[Line]:
    """At most `rows` lines."""
    if tally.total == 1:
        return _running(tally, screen, 1)[:rows]
    lines = [_title(tally, title, screen), _bar(tally, screen, columns)]
    if tally.pace is not None and tally.pace.max_errors != DEFAULT_ERRORS:
        allowed = f"{tally.budget.errors} of {tally.pace.errors_allowed} allowed"
        spent = tally.budget.spent
        lines.append([(f"errors {allowed} (max_errors {tally.pace.max_errors})", "failed" if spent else "")])
    room = max(0, rows - len(lines))
    if tally.total > MANY_HOSTS:
        slowest = _slowest(tally, screen)
        lines += [*_troubles(tally, screen, columns, min(TROUBLES, room - len(slowest))), *slowest]
    else:
        troubles = _troubles(tally, screen, columns, min(TROUBLES, room // 2))
        lines += [*_running(tally, screen, room - len(troubles)), *troubles]
    return lines[:rows]


def last_lines(tally: Tally, title: str, screen: Screen, columns: int) -> list[Line]:
    """What stays where nothing else says how it ended: everything that went wrong, whole."""
    troubles = _troubles(tally, screen, columns, len(tally.troubles), whole=True)
    return [_title(tally, title, screen), _bar(tally, screen, columns), *troubles]


def _title(tally: Tally, title: str, screen: Screen) -> Line:
    if tally.pace is None:
        return [(title, "bold"), ("  reading", "")]
    parts: list[tuple[str, str]] = [(title, "bold"), (f"  run {tally.pace.run_id}", "")]
    if len(tally.waves) < 2:
        return parts
    parts.append((f"  wave {tally.wave} of {len(tally.waves)}:", ""))
    if len(tally.waves) > FEW_WAVES:
        over, now = tally.wave - 1, tally.waves[tally.wave - 1][0]
        counted = (("ok", over, "wave"), ("waiting", now, "host"), ("unknown", len(tally.waves) - tally.wave, "wave"))
        shown = [(mark, f"{count} {word}{'s' * (count != 1)}") for mark, count, word in counted if count]
    else:
        shown = [
            ("ok" if ended >= size else "waiting" if begun or ended else "unknown", str(size))
            for size, begun, ended in tally.waves
        ]
        shown[0] = shown[0][0], f"{shown[0][1]} host{'s' * (tally.waves[0][0] != 1)}"
    for number, (mark, text) in enumerate(shown):
        parts += [
            (" " if not number else "  ", ""),
            (screen.mark(mark), mark if mark == "ok" else ""),
            (f" {text}", ""),
        ]
    return parts


def _bar(tally: Tally, screen: Screen, columns: int) -> Line:
    done = len(tally.outcomes)
    counts = [(f"  {screen.mark(kind)} {count}", kind) for kind, count in tally.kinds.items() if count or kind == "ok"]
    if tally.running:
        counts.append((f"  {screen.mark('waiting')} {len(tally.running)}", ""))
    share = f" {done}/{tally.total} "
    clock = clock_time(tally.elapsed)
    left = tally.elapsed * (tally.total - done) / done if done else 0.0
    about = f", about {_about(left)} left" if done and done < tally.total and tally.elapsed >= 1 else ""
    rate = f"{_rate(done / tally.elapsed)}  " if done and tally.elapsed >= 1 and tally.total > MANY_HOSTS else ""
    taken = cells(share) + sum(cells(text) for text, _ in counts)
    shapes = (
        (BAR, f"     {rate}{clock}{about}"),
        (BAR, f"  {clock}{about}"),
        (SHORT_BAR, f"  {clock}{about}"),
        (SHORT_BAR, f"  {clock}"),
        (SHORT_BAR, ""),
        (0, ""),
    )
    size, tail = next((shape for shape in shapes if shape[0] + taken + len(shape[1]) < columns), shapes[-1])
    full = size * done // max(1, tally.total)
    bar: list[tuple[str, str]] = [(screen.mark("done") * full, "ok"), (screen.mark("left") * (size - full), "dim")]
    return [*bar, (share, ""), *counts, (tail, "")]


def _running(tally: Tally, screen: Screen, room: int) -> list[Line]:
    """The hosts at work, those that began first on top."""
    names = list(tally.running)
    hidden = len(names) - room if len(names) > room else 0
    if hidden:
        hidden, names = hidden + 1, names[: max(0, room - 1)]
    longest = max(map(cells, names), default=0)
    rows: list[Line] = []
    for name in names:
        age = clock_time(tally.clock() - tally.running[name])
        words = tally.words.get(name) or ("reading" if tally.pace is None else "at work")
        rows.append([(f"  {screen.mark('waiting')} {name}{' ' * (longest - cells(name))}  {age:>5}  {words}", "")])
    if hidden and room > 0:
        rows.append([(f"  {screen.mark('more')} {hidden} more at work", "dim")])
    return rows


def _slowest(tally: Tally, screen: Screen) -> list[Line]:
    """The host that has been at work the longest, or was."""
    at_work = [(tally.clock() - since, host) for host, since in tally.running.items()]
    seconds, host = max([tally.slowest, *at_work])
    if seconds < SLOW_S:
        return []
    words = tally.words.get(host, "") if host in tally.running else "has ended"
    return [[(f"  {screen.mark('waiting')} slowest  {host}  {clock_time(seconds)}  {words}", "dim")]]


def _troubles(tally: Tally, screen: Screen, columns: int, room: int, *, whole: bool = False) -> list[Line]:
    found = tally.troubles
    if room <= 0 or not found:
        return []
    shown = found[: room - 1] if len(found) > room else found
    heads = [f"{len(one.hosts)}" for one in shown]
    figures = max(map(len, heads), default=1)
    whats = [_what(one) for one in shown]
    start = 2 + cells(screen.mark("failed")) + 1 + figures + 2
    most = max(12, columns - 1 - start - GAP - ROOM_FOR_HOSTS)
    width = max(map(cells, whats), default=0) if whole else min(most, max(map(cells, whats), default=0))
    rows: list[Line] = []
    for one, head, what in zip(shown, heads, whats, strict=True):
        text = what if whole else screen.fit(what, width)
        mark = screen.mark(one.kind)
        padding = " " * (cells(screen.mark("failed")) - cells(mark))
        rows.append(
            [
                (f"  {mark}{padding} {head:>{figures}}", one.kind),
                (f"  {text}{' ' * (width - cells(text) + GAP)}{one.names}", ""),
            ]
        )
    if len(found) > len(shown):
        rest = found[len(shown) :]
        hosts_of_them = len({host for one in rest for host in one.hosts})
        words = f"{len(rest)} more on {hosts_of_them} host{'s' * (hosts_of_them != 1)}"
        rows.append([(f"  {screen.mark('more')} {words}", "dim")])
    return rows


def _what(trouble: Trouble) -> str:
    return f"{trouble.what}: {trouble.cause}" if trouble.kind == "warning" else f"{trouble.what}   {trouble.cause}"


def clock_time(seconds: float) -> str:
    """0:12, 61:05 as 1:01:05."""
    whole = int(max(0.0, seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _about(seconds: float) -> str:
    whole = int(seconds)
    if whole < 100:
        return f"{whole}s"
    return f"{(whole + 30) // 60}m" if whole < 5400 else f"{(whole + 1800) // 3600}h"


def _rate(each_second: float) -> str:
    if each_second >= 1:
        return f"{each_second:.0f} hosts/s"
    return f"{each_second * 60:.0f} hosts/min"
