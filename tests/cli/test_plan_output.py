"""How a plan looks: golden texts at several widths, with and without colour, in ASCII; and what is never too long.

After a wanted change of the output: STATECTL_GOLDEN=write pytest tests/cli/test_plan_output.py, then read the difference.
"""

import io
import os
import re
import time
from pathlib import Path

import pytest

from statectl.cli.formats.markdown import LIMIT, plan_markdown
from statectl.cli.formats.plan_text import plan_lines
from statectl.cli.formats.terminal import Screen, screen
from statectl.plans.fold import fold
from tests.cli.plans import compress, fleet, many, plan_of, web

GOLDEN = Path(__file__).parent / "golden"


def shown(plan, view: Screen, **options: bool) -> str:
    return "\n".join(plan_lines(plan, view, compress, **options)) + "\n"


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("marks", ["unicode", "ascii", "colour"])
def test_golden(width, marks):
    """A plan looks as it was looked at and found good, at every width, in ASCII and in colour."""
    view = Screen(width=width, unicode=marks != "ascii", colour=marks == "colour")
    text = shown(fleet(), view)
    file = GOLDEN / f"plan-{width}-{marks}.txt"
    if os.environ.get("STATECTL_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_that_fold_fit(width):
    """Lists of hosts and values are cut to the width and say so; what must be whole (addresses, diffs, reasons) may be longer."""
    for line in shown(fleet(), Screen(width=width)).splitlines():
        if re.match(r"  \d+ hosts? ", line) or "\u2502 " in line:
            assert len(line) <= width, line


def test_colour_repeats_meaning():
    """Without its colours the coloured text is the plain one: colour says nothing of its own."""
    coloured = shown(fleet(), Screen(width=80, colour=True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == shown(fleet(), Screen(width=80))


def test_ascii_is_ascii():
    """Where the locale has no other characters, marks are ASCII."""
    assert shown(fleet(), Screen(width=80, unicode=False)).isascii()


def test_a_thousand_hosts_are_one_screen():
    """1,000 hosts, each with its own name in a file and one edited by hand: under 60 lines, and that one is named."""
    plan = many(1000)
    lines = shown(plan, Screen(width=80)).splitlines()
    assert len(lines) < 60
    (outlier,) = [line for line in lines if "differs from its peers" in line]
    assert outlier.split()[:3] == ["1", "host", "web0417"]
    assert "999 hosts" in "\n".join(lines)
    assert len(shown(plan, Screen(width=80), by_host=True).splitlines()) > 1000


def test_ten_thousand_changes_fold_at_once():
    """Folding 10,000 changes takes a fraction of a second (the budget is 0.1 s on a quiet machine)."""
    hosts = many(2500).hosts
    own = {name: {name: "{{ host.name }}"} for name in hosts}
    best = 9.0
    for _ in range(3):
        began = time.process_time()
        assert len(fold(hosts, own, ["web"])) == 2
        best = min(best, time.process_time() - began)
    assert best < 0.25


def test_a_host_named_like_a_word_of_the_plan():
    """A host called `change`, or like its association, folds with its peers and breaks nothing."""
    plan = plan_of({name: web() for name in ("change", "true", "web")})
    assert [sorted(block.hosts) for block in plan.blocks] == [["change", "true", "web"]]
    assert "~ file:/etc/nginx/nginx.conf" in shown(plan, Screen(width=80))


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "terminal", "colour"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"CI": "true"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, True),
    ],
)
def test_when_there_is_colour(environ, terminal, colour):
    """Colour on a terminal only, unless forced; NO_COLOR, TERM=dumb and CI are respected, a flag wins over all."""
    stream = Terminal() if terminal else io.StringIO()
    assert screen(stream, environ=environ).colour is colour
    assert screen(stream, color="never", environ={**environ, "FORCE_COLOR": ""}).colour is False
    assert screen(stream, color="always", environ=environ).colour is True


@pytest.mark.parametrize(
    ("environ", "unicode"),
    [
        ({}, True),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LC_ALL": "C"}, False),
        ({"LC_ALL": "POSIX", "LANG": "C.UTF-8"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LC_ALL": "C", "PYTHONUTF8": "1"}, True),
    ],
)
def test_when_marks_are_ascii(environ, unicode):
    """The locale that the user chose decides; what Python makes of the locale C by itself does not count."""
    assert screen(Terminal(), environ=environ).unicode is unicode


@pytest.mark.parametrize(
    "environ", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "de_DE.ISO-8859-1"}], ids=str
)
def test_real_command_in_other_locales(project, environ):
    """The real command in a locale without UTF-8 prints ASCII and never fails for a character it cannot write."""
    project.states('associations: {a: {targets: all, files: {"{{ machine }}/x": {content: "größer → kleiner"}}}}\n')
    project.machine.mkdir()
    said = project.statectl("plan", env=environ, expect=0)
    marks = re.sub(r"gr.*kleiner", "", said.out)
    assert marks.isascii()
    assert "Plan " in said.out


def test_markdown_fits_into_a_comment():
    """A comment is at most 60,000 characters, summary first, cut in the middle, and says how much is missing."""
    hosts = {}
    for number in range(400):
        plan = web(str(number))
        plan.verdicts[1].changes[0].diff += [f"+line {line} of {number} ```" for line in range(20)]
        hosts[f"web{number}"] = plan
    text = plan_markdown(plan_of(hosts), compress)
    assert len(text) <= LIMIT == 60_000
    assert text.startswith("<!-- statectl:plan:shop -->\n### statectl plan V7KQ2MXP\n\n| add |")
    assert re.search(r"… \d+ characters left out here; statectl plan --full shows them …", text)
    assert text.count("```") == 2  # a fence inside a diff does not end ours
    assert text.endswith("```\n")
    small = plan_markdown(fleet(), compress)
    assert "left out" not in small
    assert "web[01-35]" in small
    names, _, counts = [line.strip("| ").split(" | ") for line in small.splitlines() if line.startswith("|")]
    counted = dict(zip(names, counts, strict=True))
    assert (counted["only audited"], counted["unreachable"], counted["refused"], counted["failed"]) == (
        "0",
        "1",
        "1",
        "0",
    )
