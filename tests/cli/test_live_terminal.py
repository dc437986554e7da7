"""The live area in a real terminal: tmux holds one, and is asked what stands on its screen."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.local_project import environment
from tests.cli.simulated import simulated

pytestmark = pytest.mark.skipif(
    not shutil.which("tmux"), reason="NO TMUX: the live area is not looked at in a terminal"
)
LIMIT_S = 60


class Terminal:
    """A tmux server of its own with one window; commands of the simulated fleet run in it, below a shell that stays."""

    def __init__(self, project, columns: int, rows: int, **environ: str) -> None:
        self._project = project
        self._socket = f"statectl-{os.getpid()}-{time.monotonic_ns()}"
        clean = environment(project.home, {"PS1": "$ ", **environ})
        clean.pop("TERM")
        self._tmux(
            "new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(project.root), "/bin/sh", env=clean
        )
        self._tmux("set-option", "-g", "history-limit", "5000")

    def _tmux(self, *argv: str, env=None) -> str:
        argv = ("tmux", "-L", self._socket, "-f", os.devnull, *argv)
        done = subprocess.run(argv, check=True, capture_output=True, text=True, env=env, timeout=LIMIT_S)
        return done.stdout

    def start(self, *argv: str, before: str = "") -> None:
        self.type(f"{before} {sys.executable} -m tests.cli.simulated {' '.join(argv)}; echo ended with $?")

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def press(self, key: str) -> None:
        self._tmux("send-keys", key)

    def let_go(self) -> None:
        """Ctrl-C twice: pressed at once they would be one signal."""
        self.press("C-c")
        self.until("stopping: nothing new is started")
        self.press("C-c")
        self.until("^ended with 130")

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def shown(self, *options: str) -> list[str]:
        """The screen, without the empty lines at its end."""
        return self._tmux("capture-pane", "-p", *options).rstrip("\n").split("\n")

    def everything(self) -> list[str]:
        """The screen and what has scrolled out of it."""
        return self.shown("-S", "-")

    def cursor_is_shown(self) -> bool:
        return self._tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"

    def until(self, pattern: str, *options: str) -> list[str]:
        """The screen once a line of it matches."""
        end = time.monotonic() + LIMIT_S
        while True:
            lines = self.shown(*options)
            if any(re.search(pattern, line) for line in lines):
                return lines
            assert time.monotonic() < end, "\n".join(lines)
            time.sleep(0.05)

    def command_pid(self) -> int:
        """Of what the shell runs."""
        (pid,) = self._commands()
        return pid

    def _commands(self) -> list[int]:
        shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        asked = subprocess.run(("pgrep", "-P", shell), capture_output=True, text=True, check=False)
        return [int(pid) for pid in asked.stdout.split()]

    def close(self) -> None:
        """A command whose terminal goes ends what it has begun, and a stuck host never ends; tmux leaves the file of its socket."""
        for pid in self._commands():
            os.kill(pid, signal.SIGKILL)
        socket = Path(self._tmux("display-message", "-p", "#{socket_path}").strip())
        subprocess.run(("tmux", "-L", self._socket, "kill-server"), check=False, capture_output=True)
        socket.unlink(missing_ok=True)


@pytest.fixture
def terminal(project):
    opened = []

    def open_terminal(columns: int = 100, rows: int = 24, **environ: str) -> Terminal:
        opened.append(Terminal(project, columns, rows, **environ))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


NAMES = [f"web{number:04}" for number in range(1000)]
KINDS = {
    **dict.fromkeys(("web0012", "web0033", "web0040"), "fails"),
    "web0301": "unreachable",
    "web0302": "unreachable",
}
APPLY = ("apply", "--yes", "--batch", "1%,10%,50%,100%", "--max-errors", "5%")


def test_a_thousand_hosts(project, terminal):
    """1,000 hosts in waves: title, bar, budget and folded failures stand there once, and nothing of them is left at the end."""
    simulated(project, NAMES, files=1, kinds=KINDS, seconds=0.4)
    view = terminal()
    view.start(*APPLY)
    lines = view.until(r"[1-9]\d\d/1000 .*✖ 3  ⚠ 2")
    (title,) = [place for place, line in enumerate(lines) if line.startswith("apply  run ")]
    area = lines[title:]
    assert re.fullmatch(r"apply  run [A-Z0-9]{8}  wave [23] of 4: ✔ 9 hosts  [◷✔] 99  [◷·] 499  · 391", area[0])
    bar = re.fullmatch(
        r"(█*)(░*) (\d+)/1000   ✔ (\d+)  ✖ 3  ⚠ 2(?:  ◷ (\d+))? +(\d+ hosts/s  )?0:\d\d(, about \d+s left)?", area[1]
    )
    assert bar, area[1]
    assert len(bar[1] + bar[2]) == 20
    assert len(bar[1]) == int(bar[3]) * 20 // 1000
    assert int(bar[3]) == int(bar[4]) + 5
    assert int(bar[5] or 0) <= 50
    assert area[2] == "errors 3 of 50 allowed (max_errors 5%)"
    assert area[3] == "  ✖ 3  file:/etc/app-0.conf   no space left on device     web[0012,0033,0040]"
    assert area[4] == "  ⚠ 2  unreachable: timed out after 10s                   web[0301-0302]"
    view.until(r"^ended with 1")
    whole = view.everything()
    assert not [line for line in whole if "█" in line or "hosts/s" in line or line.startswith("errors ")]
    assert any("✖ 1  file:/etc/app-0.conf — no space left on device   web[0012,0033,0040]" in line for line in whole)
    assert view.cursor_is_shown()


def test_twenty_hosts(project, terminal):
    """20 hosts: each change has its line, above a bar and a row for each host that is at work."""
    simulated(project, NAMES[:20], kinds={"web0003": "fails", "web0004": "stuck"}, seconds=1)
    view = terminal()
    view.start("apply", "--yes", "--max-concurrency", "5")
    lines = view.until(r"^█+░+ [5-9]/20   ✔ \d+  ✖ 1")
    (title,) = [place for place, line in enumerate(lines) if line.startswith("apply  run ")]
    assert re.fullmatch(r"█+░+ \d+/20   ✔ \d+  ✖ 1  ◷ \d     0:\d\d, about \d+s left", lines[title + 1])
    rows = [line for line in lines[title + 2 :] if line.startswith("  ◷ ")]
    assert 2 <= len(rows) <= 5
    assert any(re.fullmatch(r"  ◷ web0004   0:0\d  at work", row) for row in rows)
    assert "✔ web0000/file:/etc/app-0.conf  changed" in lines[:title]
    assert "✖ web0003/file:/etc/app-0.conf  no space left on device" in lines[:title]
    view.press("C-c")
    view.until("stopping: nothing new is started, running resources finish; again to let go now")
    view.press("C-c")
    view.until("^ended with 130")
    assert view.cursor_is_shown()
    whole = view.everything()
    assert not [line for line in whole if "█" in line or line.startswith("  ◷ ")]
    assert sum("✔ web0000/file:/etc/app-0.conf  changed" in line for line in whole) == 1


def test_one_host(project, terminal):
    """One host: one line for each change, and what it is at below; no bar."""
    simulated(project, ["web01"], kinds={}, files=3, seconds=1.5)
    view = terminal()
    view.start("apply", "--yes")
    lines = view.until(r"◷ web01   0:0[1-9]  file:/etc/app-1.conf")
    assert [line for line in lines if line.startswith("✔ ")] == [
        "✔ file:/etc/app-0.conf  changed",
        "✔ file:/etc/app-1.conf  changed",
    ]
    assert not [line for line in lines if "░" in line]
    view.until("^ended with 0")
    assert not [line for line in view.everything() if "◷" in line]


def test_a_resize_leaves_nothing_behind(project, terminal):
    """Narrower, wider, lower, 40 columns: the area stands there once, fits, and every line that stays is still there."""
    simulated(project, NAMES[:20], kinds={"web0019": "stuck"}, seconds=0.5)
    view = terminal(100, 30)
    view.start("apply", "--yes", "--max-concurrency", "3")
    view.until(r"^█+░+ [1-9]")
    for columns, rows in ((40, 30), (120, 30), (60, 10), (40, 8), (100, 30), (40, 24)):
        view.resize(columns, rows)
        time.sleep(0.8)
        lines = view.shown()
        assert len([line for line in lines if line.startswith("apply  run ")]) == 1, "\n".join(lines)
        bars = [line for line in lines if "/20 " in line]
        assert len(bars) == 1, "\n".join(lines)
        assert len(bars[0]) < columns
    view.resize(100, 60)
    view.until(r"^\S+ 19/20 ")
    view.let_go()
    whole = view.everything()
    for name in NAMES[:19]:
        for number in range(2):
            kept = f"✔ {name}/file:/etc/app-{number}.conf  changed"
            assert sum(kept in line for line in whole) == 1, kept
    assert not [line for line in whole if "░" in line]


@pytest.mark.parametrize("kind", ["kill", "exception"])
def test_the_cursor_outlives_the_command(project, terminal, kind):
    """Killed or fallen over, the command leaves a terminal on which the cursor is seen and typing is echoed."""
    simulated(project, NAMES[:3], kinds={"web0002": "dies" if kind == "exception" else "stuck"}, seconds=1)
    view = terminal()
    view.start("apply", "--yes")
    if kind == "kill":
        view.until(r"◷ web0002   0:0[1-9]")
        os.kill(view.command_pid(), 9)
    view.until(r"ended with (137|1|70)")
    assert view.cursor_is_shown()
    view.type("echo still $((40 + 2))")
    view.until("^still 42")


def test_no_color_and_colours(project, terminal):
    """NO_COLOR takes the colours, and only them; without it, the marks have some."""
    simulated(project, NAMES[:20], kinds={"web0000": "stuck"}, seconds=0.3)
    plain, coloured = terminal(NO_COLOR="1"), terminal()
    for view in (plain, coloured):
        view.start("apply", "--yes")
        view.until(r"19/20 ")
    assert "\x1b[" not in "\n".join(plain.shown("-e")).replace("\x1b[39m", "")
    assert re.search(r"\x1b\[32m.*█", "\n".join(coloured.shown("-e")))
    plain.let_go()


def test_a_dumb_terminal_is_only_written_to(project, terminal):
    """TERM=dumb: lines and nothing else; no bar is drawn, and no line anew."""
    simulated(project, NAMES[:30], kinds={"web0005": "fails"}, seconds=0.3)
    view = terminal(TERM="dumb")
    view.start("apply", "--yes", before="TERM=dumb")
    view.until("^ended with 1")
    whole = view.everything()
    assert any(line == "✖ web0005/file:/etc/app-0.conf  no space left on device" for line in whole)
    assert any(re.fullmatch(r"apply 30/30  29 changed  1 failed", line) for line in whole)
    assert not [line for line in whole if "░" in line or "█" in line]


def test_text_of_hosts_cannot_steer_the_terminal(project, terminal):
    """Escapes in what hosts say are shown as text in the live area and above it: title, screen and cursor stay ours."""
    evil = "\x1b]2;owned\x07\x1b[2J\x1b[Hgone\x1b[?25l\u202e\nsecond line"
    kinds = {"web0000": "fails", "web0001": "unreachable", "web0002": "waits", "web0003": "warns", "web0004": "stuck"}
    simulated(project, NAMES[:5], kinds=kinds, texts=dict.fromkeys(kinds, evil), seconds=0.5)
    view = terminal(160, 40)
    view.start("apply", "--yes")
    lines = view.until(r"✖ 1  file:/etc/app-0.conf   \\x1b\]2;owned\\x07\\x1b\[2J")
    assert any(line.startswith("web0003: \\x1b]2;owned") for line in lines)
    assert any("tests.cli.simulated apply" in line for line in lines)
    assert view.cursor_is_shown()
    assert "owned" not in view._tmux("display-message", "-p", "#{pane_title}")
    view.let_go()
    assert view.cursor_is_shown()


def test_following_is_drawn_the_same(project, terminal):
    """Who follows a run sees the same area as who started it: title, waves, counts, budget, failures; and can leave it."""
    simulated(project, NAMES[:100], files=1, kinds={"web0003": "fails", "web0099": "stuck"}, seconds=0.4)
    own, other = terminal(), terminal()
    own.start("apply", "--yes", "--max-concurrency", "10", "--batch", "50%,100%", "--max-errors", "5%")
    lines = own.until(r"^apply  run ")
    (run,) = re.findall(r"^apply  run (\w+)", "\n".join(lines), re.MULTILINE)
    other.start("runs", "follow", run)
    for view in (own, other):
        view.until(r" 99/100 ")
    areas = []
    for view in (own, other):
        lines = view.shown()
        (title,) = [place for place, line in enumerate(lines) if line.startswith("apply  run ")]
        area = [line for line in lines[title:] if "◷ slowest" not in line]
        areas.append([re.sub(r"  (\d+ hosts/\w+  )?\d+:\d\d.*$", "", line) for line in area])
    assert areas[0] == areas[1]
    assert areas[0][2] == "errors 1 of 5 allowed (max_errors 5%)"
    assert areas[0][3] == "  ✖ 1  file:/etc/app-0.conf   no space left on device     web0003"
    other.press("C-c")
    other.until("no longer following; the run goes on")
    assert other.cursor_is_shown()
    own.let_go()
