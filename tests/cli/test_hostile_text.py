"""T06 and T07: what comes from a host is shown, and steers nothing: neither a terminal, nor a log, nor a file of results."""

import base64
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from statectl.cli.adhoc import Answer, Answers, shown_result
from statectl.cli.formats.apply_text import notified_line, report_lines, result_line
from statectl.cli.formats.compliance_text import compliance_lines
from statectl.cli.formats.junit import apply_junit, plan_junit
from statectl.cli.formats.markdown import plan_markdown
from statectl.cli.formats.plan_text import plan_lines
from statectl.cli.formats.terminal import Screen, clean, one_line
from statectl.cli.options import outputs, to_json, to_json_lines
from statectl.compliance.judge import Compliance, Entry
from statectl.plans.plan import Change, HostPlan, Verdict
from statectl.reconcile.fleet import Run
from statectl.reconcile.host_result import HostResult
from statectl.transport import messages
from tests.cli.on_terminal import in_a_terminal
from tests.cli.plans import compress, plan_of

PAYLOADS = {
    "colour": "\x1b[31mred",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;pwned\x07",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "hyperlink": "\x1b]8;;http://evil\x1b\\x\x1b]8;;\x1b\\",
    "DCS": "\x1bP+q544e\x1b\\",
    "carriage return": "failed\rok    ",
    "backspace": "failed\b\b\b\b\b\bok",
    "bell and NUL": "\x07\x00",
    "vertical tab and form feed": "a\x0bb\x0cc",
    "shift out": "\x0e\x0f",
    "DEL": "\x7f",
    "C1 CSI": "\x9b31m",
    "C1 OSC": "\x9d0;x\x9c",
    "next line": "a\x85b",
    "line separators": "a\u2028b\u2029c",
    "bidi override": "\u202egnp.exe",
    "bidi isolates": "\u2066x\u2069\u2067",
    "marks": "\u200e\u200f\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\ufeff",
    "word joiners": "\u2060\u2061\u2064",
    "tags": "\U000e0041\U000e007f",
    "GitHub command": "::set-output name=x::y\n::error::z",
    "Azure command": "##vso[task.setvariable]x",
    "GitLab section": "section_start:1:x\r\x1b[0K",
    "new line and a false summary": "x\nPlan AAAAAAAA: No changes.",
    "template": "{{ 7*7 }}{% for x in y %}",
    "CDATA and tags": "]]></failure><script>alert(1)</script>&amp;",
    "lone surrogate": "a\ud800b",
    "noncharacters": "\ufffe\uffff",
}  # fmt: skip
# what may reach a terminal: no C0 but newline and tab, no DEL, no C1, nothing that reorders, hides or separates
HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)
EVERY = pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
PAST_THE_BORDER = pytest.mark.parametrize(
    "payload", [messages.untrusted(text) for text in PAYLOADS.values()], ids=PAYLOADS
)


def hostile_plan(payload: str):
    """A plan with the payload in every place that a host can fill."""
    verdict = Verdict(
        address=f"file:/{payload}",
        association="a",
        verdict="change",
        action="change",
        reason=payload,
        notify=[f"reload service:{payload}"],
        predicted_after=[f"package:{payload}"],
        unknown_until=[f"user:{payload}"],
        changes=[
            Change(field=f"f{payload}", found=payload, wanted=[payload, {payload: payload}]),
            Change(field="content", diff=["@@", f"-{payload}", "+x"]),
            Change(field="content", found=payload, wanted=payload, binary=True),
            Change(field="version", found=payload, wanted=payload),
        ],
    )
    hosts = {
        "one": HostPlan(outcome="planned", verdicts=[verdict], debts=[payload]),
        "two": HostPlan(outcome="unreachable", reason=payload, code="E310", hint=payload),
    }
    return plan_of(hosts)


def hostile_run(payload: str) -> Run:
    error = {"message": payload, "cause": payload, "output": f"{payload}\n{payload}"}
    results = [
        {"type": "result", "address": f"file:/{payload}", "outcome": "failed", "action": "change", "reason": payload, "error": error, "duration_ms": 2000},
        {"type": "result", "address": "file:/x", "outcome": "skipped", "action": "change", "reason": payload, "error": None},
    ]  # fmt: skip
    notified = [
        {"type": "notified", "address": f"service:{payload}", "verb": payload, "outcome": "failed", "error": error}
    ]
    return Run(
        "RUNRUNRU",
        hostile_plan(payload),
        {"one": HostResult("failed", payload, "E1", payload, results, notified), "two": HostResult("unknown", payload)},
    )


def check(text: str) -> None:
    found = HARMFUL.search(text)
    assert found is None, f"U+{ord(found[0]):04X} in {text[max(0, found.start() - 60) : found.end() + 20]!r}"
    text.encode()  # can be written


@PAST_THE_BORDER
def test_text_outputs(payload):
    """Nothing of a payload that a host puts anywhere survives as itself in any output for people, and no line begins with it."""
    plan, run, view = hostile_plan(payload), hostile_run(payload), Screen(width=80)
    lines = [*plan_lines(plan, view, compress, full=True), *plan_lines(plan, view, compress, by_host=True)]
    lines += report_lines(run, view, compress, Path("/nonexistent"))
    for entry in run.results["one"].results:
        lines.append(result_line("one", entry, view, with_host=True))
    lines.append(notified_line("one", run.results["one"].notified[0], view, with_host=True))
    deviation = {"address": f"file:/{payload}", "status": "drifted", "since": "2026-01-01T00:00:00Z", "reason": payload}
    entry = Entry(
        host="one",
        association="a",
        status="unknown",
        checked="2026-01-01T00:00:00Z",
        deviations=[deviation],
        reason=payload,
    )
    judged = Compliance(as_of="2026-01-01T00:01:00Z", hosts_total=1, hosts_compliant=0, by_status={"unknown": 1}, oldest_check="2026-01-01T00:00:00Z", entries=[entry])  # fmt: skip
    lines += compliance_lines(judged, view, compress)
    for line in lines:
        check(line)
        assert "\n" not in line
        assert not line.startswith(("::", "##vso", "section_start", "Plan AAAAAAAA"))
    check(plan_markdown(plan, compress).replace("``\u200b`", ""))
    for document in (plan_junit(plan, compress), apply_junit(run)):
        check(document)
        ET.fromstring(document)


@PAST_THE_BORDER
def test_json_outputs(payload):
    """JSON escapes it, so that a terminal is safe and a program gets every character back."""
    value = {payload: [payload]}
    for text in (to_json(value), to_json_lines([value])):
        check(text)
        assert json.loads(text) == value
    plan = hostile_plan(payload).model_dump(mode="json")
    check(to_json(plan))
    assert json.loads(to_json(plan)) == plan


@EVERY
def test_output_of_a_command(payload, capsys):
    """`run` on several hosts folds and escapes; every line of a host stands behind a mark of ours."""
    answers = Answers(
        {
            name: Answer(
                "ok", 0, out=bytearray(payload.encode("utf-8", "surrogatepass")), err=bytearray(b"\xff\x9b31m")
            )
            for name in ("one", "two")
        }
    )
    shown = outputs([], ("text", "json", "jsonl"), as_json=False, quiet=False, verbose=0, color="never")
    assert shown_result(answers, shown, streamed=False) == 0
    out = capsys.readouterr().out
    check(out)
    first, *rest = out.splitlines()
    assert "2 hosts" in first
    assert all(line.startswith("  \u2502 ") for line in rest)


def test_messages_from_a_host_can_be_stored_and_printed():
    """Lone surrogates, which no file and no database takes, do not get past the border."""
    payload = json.dumps({"type": "log", "level": "info", "text": "a\ud800 \udcffb"}).encode()
    text = messages.parse(payload)["text"]
    assert text.encode() == b"a\\ud800 \\udcffb"


def test_clean_keeps_what_is_readable():
    """Newlines, tabs and every language's letters stay as they are."""
    assert clean("größer\n\tпривет 你好 🙂 e\u0301") == "größer\n\tпривет 你好 🙂 e\u0301"
    assert one_line("a\n\tb") == "a\\n\\tb"


def test_a_terminal_in_front_of_the_real_command(project):
    """The whole way: a file of the machine full of payloads, through executor, plan, drift, apply and JSON, onto a terminal."""
    everything = "\n".join(text for text in PAYLOADS.values() if "\x00" not in text).encode("utf-8", "surrogatepass")
    project.states(
        'associations: {a: {targets: all, files: {"{{ machine }}/x": {content: "ours\\n"}},'
        ' commands: {}, lines: {l: {path: "{{ machine }}/l", line: x, create: true}}}}\n'.replace(" commands: {},", "")
    )
    project.machine.mkdir()
    text = everything.decode("utf-8", "replace")
    for argv, expected in (
        (("plan", "--full"), 0),
        (("plan", "--json"), 0),
        (("plan", "-o", "jsonl"), 0),
        (("apply", "--yes", "-vvv"), 0),
        (("drift", "--full"), 2),
        (("runs", "list"), 0),
    ):
        (project.machine / "x").write_text(text)
        code, seen = in_a_terminal(project, *argv)
        assert code == expected, seen
        shown = (
            seen.decode().replace("\r\n", "\n").replace("\r\x1b[K", "")
        )  # the terminal's own line ends; our live line
        check(shown)
        if argv[0] in ("plan", "drift"):
            assert "pwned" in shown  # it is there, and harmless
    assert base64.b64decode("cm0gLXJmIC8=") == b"rm -rf /"
