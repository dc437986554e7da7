"""What somebody who watches a run sees: the lines of the live area, and how the area is drawn and taken away."""

import io
import re

import pytest

from statectl.cli.formats.live_area import LiveArea
from statectl.cli.formats.live_lines import live_lines
from statectl.cli.formats.progress import Progress
from statectl.cli.formats.tally import Tally
from statectl.cli.formats.terminal import Screen, cells, screen
from statectl.plans.plan import HostPlan
from statectl.reconcile.host_result import HostResult
from statectl.reconcile.observer import Pace

PLAIN = Screen(width=100, live=True, terminal=True)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def text_of(lines, limit: int = 0) -> list[str]:
    """As LiveArea writes them, without colours."""
    area = LiveArea(io.StringIO(), PLAIN)
    return [area._painted(line, limit) for line in lines]


def thousand() -> Tally:
    """12 seconds into the third of four waves: three hosts failed, two did not answer, 50 are at work."""
    clock = Clock()
    tally = Tally(1000, clock)
    hosts = [f"web{number:04}" for number in range(1000)]
    waves = [hosts[:10], hosts[10:110], hosts[110:610], hosts[610:]]
    tally.going(Pace("F5", waves, 50, "5%", unreachable_counts=True))
    for host in hosts[:502]:
        tally.begun(host)
    for number, host in enumerate(hosts[:452]):
        if number in (112, 233, 410):
            tally.failed(host, "package:libnginx-mod-brotli", "no space left on device")
            tally.ended(host, "failed")
        elif number in (301, 302):
            tally.ended(host, "unreachable", "timed out after 10s")
        else:
            tally.ended(host, "changed")
    clock.now += 12
    return tally


def test_a_thousand_hosts_as_they_are_drawn():
    """Title with waves, bar with rate and time left, error budget, failures folded by cause, slowest host: to the letter."""
    shown = text_of(live_lines(thousand(), "apply web", PLAIN, 100, 24))
    assert shown == [
        "apply web  run F5  wave 3 of 4: ✔ 10 hosts  ✔ 100  ◷ 500  · 390",
        "█████████░░░░░░░░░░░ 452/1000   ✔ 447  ✖ 3  ⚠ 2  ◷ 50     38 hosts/s  0:12, about 14s left",
        "errors 5 of 50 allowed (max_errors 5%)",
        "  ✖ 3  package:libnginx-mod-brotli   no space left on device     web[0112,0233,0410]",
        "  ⚠ 2  unreachable: timed out after 10s                          web[0301-0302]",
        "  ◷ slowest  web0501  0:12  ",
    ]


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_narrow_terminals_lose_what_matters_least(columns):
    """From 40 columns on, every line fits without a cut in its counts; times go first, counts never."""
    lines = live_lines(thousand(), "apply web", PLAIN, columns, 24)
    whole, cut = text_of(lines), text_of(lines, columns - 1)
    assert all(cells(line) < columns for line in cut)
    assert whole[1] == cut[1]
    for count in ("452/1000", "✔ 447", "✖ 3", "⚠ 2", "◷ 50"):
        assert count in cut[1]
    assert ("hosts/s" in cut[1]) == (columns > 80)
    assert cut[3].startswith("  ✖ 3  package:lib")
    assert "web[0112" in cut[3]


def test_ascii_marks_in_an_ascii_locale():
    """Where the locale has no other characters, the live area has none either."""
    ascii_screen = Screen(width=100, unicode=False, live=True)
    shown = text_of(live_lines(thousand(), "apply web", ascii_screen, 100, 24))
    assert all(line.isascii() for line in shown)
    assert shown[1].startswith("#########........... 452/1000")


def test_hundreds_of_waves_are_counted():
    """`--batch 1` of 300 hosts: waves are counted, not listed."""
    tally = Tally(300, Clock())
    hosts = [f"h{number}" for number in range(300)]
    tally.going(Pace("F5", [[host] for host in hosts], 300, "100%"))
    for host in hosts[:41]:
        tally.begun(host)
        tally.ended(host, "ok")
    title = text_of(live_lines(tally, "apply", PLAIN, 100, 24))[0]
    assert title == "apply  run F5  wave 42 of 300: ✔ 41 waves  ◷ 1 host  · 258 waves"


def test_up_to_twenty_hosts_have_rows():
    """20 hosts: a bar, one row for each that is at work with what was heard of it last, and what failed."""
    clock = Clock()
    tally = Tally(20, clock)
    hosts = [f"web{number:02}" for number in range(1, 21)]
    tally.going(Pace("F5", [hosts], 20, "100%"))
    for host in hosts[:5]:
        tally.begun(host)
    tally.heard("web03", "package:nginx")
    tally.ended("web01", "changed")
    tally.failed("web02", "file:/etc/motd", "read-only file system")
    tally.ended("web02", "failed")
    clock.now += 3
    assert text_of(live_lines(tally, "apply web", PLAIN, 100, 24)) == [
        "apply web  run F5",
        "██░░░░░░░░░░░░░░░░░░ 2/20   ✔ 1  ✖ 1  ◷ 3     0:03, about 27s left",
        "  ◷ web03   0:03  package:nginx",
        "  ◷ web04   0:03  at work",
        "  ◷ web05   0:03  at work",
        "  ✖ 1  file:/etc/motd   read-only file system     web02",
    ]


def test_one_host_is_one_row():
    """One host needs no bar: what it is at, and for how long."""
    clock = Clock()
    tally = Tally(1, clock)
    tally.going(Pace("F5", [["web01"]], 1, "100%"))
    tally.begun("web01")
    clock.now += 65
    assert text_of(live_lines(tally, "apply", PLAIN, 100, 24)) == ["  ◷ web01   1:05  at work"]


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8])
def test_low_terminals_say_how_much_is_hidden(rows):
    """The area is never taller than the terminal; rows that have no room are counted."""
    tally = Tally(20, Clock())
    hosts = [f"web{number:02}" for number in range(1, 21)]
    tally.going(Pace("F5", [hosts], 20, "100%"))
    for host in hosts:
        tally.begun(host)
    shown = text_of(live_lines(tally, "apply", PLAIN, 100, rows))
    assert len(shown) <= rows
    if rows >= 3:
        assert re.fullmatch(rf"  … {20 - (rows - 3)} more at work", shown[-1])
    many = thousand()
    for number in range(30):
        many.failed(f"web{number:04}", f"file:/{number}", "no")
    shown = text_of(live_lines(many, "apply", PLAIN, 100, max(5, rows)))
    assert len(shown) <= max(5, rows)
    assert any(re.match(r"  … \d+ more on \d+ hosts?", line) for line in shown)


def test_a_host_that_sickens_moves_from_right_to_wrong():
    """A host that ended well and is not well after the bake is counted once, as failed, and against the budget."""
    tally = Tally(2, Clock())
    tally.going(Pace("F5", [["a"], ["b"]], 0, "0"))
    tally.ended("a", "changed")
    tally.ended("a", "failed", "60 s after its change: no answer")
    assert tally.kinds == {"ok": 0, "failed": 1, "warning": 0}
    assert tally.budget.errors == 1
    assert len(tally.outcomes) == 1


def test_wide_characters_take_two_columns():
    """A cut is made by the columns that characters take, not by their number."""
    assert cells("日本") == 4
    assert Screen(width=5).fit("日本語") == "日本…"
    assert cells(Screen(width=6).fit("日本語の")) <= 6


def watched(total: int, **options):
    stream = io.StringIO()
    clock = Clock()
    progress = Progress(stream, PLAIN, total, title="apply", clock=clock, **options)
    return progress, stream, clock


def test_the_cursor_is_never_hidden_and_no_mode_changed():
    """Nothing that is written needs to be undone: the area only clears, and moves up over what it has just written."""
    progress, stream, clock = watched(30)
    progress.going(Pace("F5", [[f"h{number}" for number in range(30)]], 30, "100%"))
    for number in range(30):
        clock.now += 1
        progress.begun(f"h{number}")
        progress.message(f"h{number}", {"type": "result", "address": "file:/x", "outcome": "failed", "reason": "no"})
        progress.applied(f"h{number}", HostResult("failed"))
    progress.say("a line that stays")
    progress.close()
    assert set(re.findall(r"\x1b[^A-Za-z]*[A-Za-z]", stream.getvalue())) - {"\x1b[J"} <= {
        f"\x1b[{up}A" for up in range(1, 24)
    }
    assert stream.getvalue().endswith("\r\x1b[J")


def test_lines_that_stay_are_never_written_over():
    """The cursor rests on the first line of the area, so a clear to the end of the screen hits nothing above."""
    progress, stream, clock = watched(3)
    progress.going(Pace("F5", [["a", "b", "c"]], 3, "100%"))
    for host in "abc":
        progress.begun(host)
        clock.now += 1
    progress.say("kept")
    written = stream.getvalue()
    at = written.index("kept\n")
    assert written[:at].endswith("\r\x1b[J")
    area = written[at + len("kept\n") :]
    rows = area.count("\n")
    assert rows >= 3
    assert area.endswith(f"\r\x1b[{rows}A")


def test_lines_of_another_width_are_not_drawn_again(monkeypatch):
    """After a resize, lines made for the terminal as it was would be folded: they are made anew before they are drawn."""
    sizes = [(100, 24)]
    monkeypatch.setattr(LiveArea, "size", lambda _: sizes[-1])
    progress, stream, clock = watched(3)
    progress.going(Pace("F5", [["a", "b", "c"]], 3, "100%"))
    for host in "ab":
        clock.now += 1
        progress.begun(host)
    sizes.append((40, 24))
    at = len(stream.getvalue())
    progress.say("kept")
    assert stream.getvalue()[at:] == "\r\x1b[Jkept\n"
    clock.now += 1
    progress.begun("c")
    drawn = stream.getvalue()[at:].partition("kept\n")[2]
    assert "apply  run F5" in drawn
    assert all(len(line) < 40 for line in re.sub(r"\r|\x1b[^A-Z]*[A-Z]", "", drawn).split("\n"))


def test_an_exception_leaves_what_went_wrong():
    """When the run ends with an exception, the folded failures stay on the terminal: nothing else may say them."""
    progress, stream, clock = watched(30)
    progress.going(Pace("F5", [[f"h{number}" for number in range(30)]], 30, "100%"))
    clock.now += 1
    progress.message("h1", {"type": "result", "address": "file:/x", "outcome": "failed", "reason": "disk is full"})
    with pytest.raises(ValueError, match="bug"), progress:
        raise ValueError("bug")
    assert stream.getvalue().endswith("  ✖ 1  file:/x   disk is full     h1\n")


def test_text_of_hosts_is_harmless_in_the_area():
    """What a host says cannot steer the terminal from inside the live area either."""
    progress, stream, clock = watched(30)
    evil = "\x1b]0;owned\x07\x1b[2J\r\n\u202ereversed"
    progress.begun("h1")
    progress.planned("h1", HostPlan(outcome="unreachable", reason=evil))
    ended = {"h1": HostResult("unreachable", evil)}
    progress.going(Pace("F5", [[f"h{number}" for number in range(2, 30)]], 30, "100%", ended=ended))
    progress.begun("h2")
    progress.begun("h3")
    clock.now += 10
    progress.message("h2", {"type": "result", "address": f"file:/{evil}", "outcome": "failed", "reason": evil})
    progress.message("h3", {"type": "waiting", "reason": evil})
    progress.applied("h2", HostResult("failed", evil))
    clock.now += 1
    progress.tick()
    progress.close(keep=True)
    rest = re.sub(r"\r?\x1b\[(J|\d+A)", "", stream.getvalue())
    assert "owned" in rest
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", rest.replace("\r", "")), repr(rest)


@pytest.mark.parametrize(
    ("environ", "live"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({}, False),
        ({"TERM": "xterm", "CI": "true"}, False),
    ],
)
def test_what_is_drawn_anew_and_where(environ, live):
    """A terminal that can, and nowhere else: not in CI, not on a dumb terminal, not in a pipe. NO_COLOR takes only colours."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert screen(Terminal(), environ=environ).live is live
    assert not screen(io.StringIO(), environ=environ).live
    assert not ("NO_COLOR" in environ and screen(Terminal(), environ=environ).colour)


def test_a_pipe_has_one_line_a_failure_and_one_each_tenth():
    """In a pipe nothing is drawn anew: each failure has its line, and progress one for each 10 % or 10 s."""
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, Screen(), 100, title="apply", clock=clock)
    progress.going(Pace("F5", [[f"h{number}" for number in range(100)]], 100, "100%"))
    for number in range(100):
        clock.now += 0.01
        progress.begun(f"h{number}")
        if number in (7, 70):
            message = {"type": "result", "address": "file:/x", "outcome": "failed", "reason": "no space"}
            progress.message(f"h{number}", message)
        progress.applied(f"h{number}", HostResult("failed" if number in (7, 70) else "changed"))
    clock.now += 11
    progress.tick()
    progress.close()
    lines = stream.getvalue().splitlines()
    assert "\x1b" not in stream.getvalue()
    assert [line for line in lines if "no space" in line] == [
        "✖ h7/file:/x  no space",
        "✖ h70/file:/x  no space",
    ]
    assert len([line for line in lines if line.startswith("apply ")]) == 11
    assert lines[-1] == "apply 100/100  98 changed  2 failed"
