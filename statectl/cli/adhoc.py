"""Run one command on many hosts over the executor, and fold what they say."""

import asyncio
import base64
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from statectl.cli.deciding import worst
from statectl.cli.formats.lasting import Writable
from statectl.cli.formats.terminal import Screen, clean, one_line
from statectl.cli.kept_output import KeptOutput
from statectl.cli.options import Outputs, to_json, to_json_lines
from statectl.cli.planning import run_interruptible
from statectl.errors import Interrupted, Refused, StatectlError, Unreachable
from statectl.reconcile.fleet import Rate
from statectl.reconcile.watch import Watch
from statectl.rollout.budget import (
    DEFAULT_CONCURRENCY,
    DEFAULT_ERRORS,
    Budget,
    allowed_errors,
    batches,
    concurrency,
    split,
)
from statectl.rollout.run_targets import Cancel, run_targets
from statectl.store.ids import new_id

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.store.records import HostRecord
    from statectl.transport.session import ExecutorSession


SHOWN = 1024 * 1024  # bytes of one stream in the text of several hosts
PARTING_S = 2.0  # for a last word to a host that is let go
LONGEST_LINE = 65536  # bytes of one line that is shown as it comes


@dataclass(frozen=True, slots=True)
class Command:
    argv: list[str]
    script: str | None = None
    user: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 1800.0

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = {
            "env": dict(self.env),
            "timeout_s": self.timeout_s,
            "user": self.user,
            "cwd": self.cwd,
        }
        return message | ({"script": self.script} if self.script is not None else {"argv": self.argv})

    def shown(self) -> str:
        return "(script)" if self.script is not None else " ".join(self.argv)


@dataclass
class Answer:
    """What one host said. Output is kept as it came; of a very long one both ends."""

    outcome: str = "unknown"  # ok | failed | stopped | unreachable | unknown | refused | terminated
    code: int | None = None
    reason: str = ""
    error: str = ""  # code of the reason
    hint: str = ""
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)


class Answers(dict[str, Answer]):
    """{host: Answer}. `interrupted`: by a signal, so that some hosts were not asked or let go."""

    interrupted: bool = False


def run_everywhere(
    opened: "Opened", hosts: Sequence[str], command: Command, rate: Rate, *, stream: TextIO | None
) -> Answers:
    """{host: Answer}. The run is recorded before the first host is contacted: no record, no action."""
    answers = Answers({host: Answer() for host in hosts})
    heard = {host: {"out": KeptOutput(), "err": KeptOutput()} for host in hosts}
    recorded: set[str] = set()
    records = opened.records()
    run_id = new_id()
    scope = {"command": command.shown(), "hosts": list(hosts)}
    records.begin_run("run", scope, run_id=run_id, commit="", plan_id="", hosts=list(hosts))
    lines = {host: Lines(host, stream) for host in hosts} if stream is not None else {}

    async def one(host: str) -> str:
        answer = answers[host]
        await watch.begun(host)
        try:
            conversation = await opened.converse(
                host,
                run_id,
                "run",
                command=command.message(),
                deadline_s=rate.deadline_s,
                lock_timeout_s=rate.lock_timeout_s,
            )
            speaking[host] = conversation
            try:
                while True:
                    message = await conversation.receive()
                    if message["type"] == "output":
                        data = output_of(message["data"])
                        heard[host][message["stream"]].add(data)
                        if host in lines:
                            lines[host].add(data)
                    elif message["type"] == "end":
                        concluded(answer, message)
                        settled(answer, heard.pop(host))
                        # durable before the host is told that it may forget
                        await asyncio.to_thread(records.record_host, run_id, host_row(host, answer))
                        recorded.add(host)
                        break
                    elif message["type"] not in ("ready", "log", "waiting"):
                        raise Unreachable(
                            f"the host's answer is not in the protocol: {message['type']} came when it was not due",
                            code="E321",
                        )
                await conversation.send({"type": "ack", "runs": [run_id]})
            except asyncio.CancelledError:
                with suppress(StatectlError, TimeoutError):
                    # we let go of it: without a word the command would go on to its end
                    async with asyncio.timeout(PARTING_S):
                        await conversation.send({"type": "cancel"})
                raise
            finally:
                del speaking[host]
                await conversation.close()
                if host in heard:
                    settled(answer, heard.pop(host))
                if host in lines:
                    lines[host].close()
        except StatectlError as error:
            answer.reason, answer.error, answer.hint = error.message, error.code, error.hint
            if isinstance(error, Unreachable):
                answer.outcome = "unknown" if answer.out or answer.err else "unreachable"
            else:
                answer.outcome = "refused" if isinstance(error, Refused) else "failed"
        return answer.outcome

    budget = Budget(allowed_errors(rate.max_errors or DEFAULT_ERRORS, len(hosts)), rate.unreachable_counts)
    cancel = Cancel()
    watch = Watch(records.under_way, run_id, cancel)
    speaking: dict[str, ExecutorSession] = {}

    async def pass_on_cancel() -> None:
        """Ctrl-C lets running commands end; who cancels the run from elsewhere wants them to."""
        await cancel.requested.wait()
        if watch.cancelled_by:
            word = {"type": "cancel"}
            await asyncio.gather(*(one.send(word) for one in list(speaking.values())), return_exceptions=True)

    async def everywhere() -> dict[str, str]:
        async with watch:
            passing = asyncio.create_task(pass_on_cancel())
            try:
                return await run_targets(
                    split(list(hosts), batches(rate.batch or "100%", len(hosts))),
                    one,
                    concurrency=concurrency(rate.max_concurrency or DEFAULT_CONCURRENCY, len(hosts)),
                    budget=budget,
                    cancel=cancel,
                )
            finally:
                passing.cancel()

    outcomes = run_interruptible(everywhere, cancel, abort_at_once=False)
    counts: dict[str, int] = {}
    for host, outcome in outcomes.items():
        answers[host].outcome = outcome
        counts[outcome] = counts.get(outcome, 0) + 1
    rest = [host_row(host, answers[host]) for host in outcomes if host not in recorded]
    records.record_hosts(run_id, rest)
    ended = "cancelled" if watch.cancelled_by else "interrupted" if cancel.requested.is_set() else "done"
    records.end_run(run_id, ended, counts)
    answers.interrupted = ended == "interrupted"
    return answers


def output_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Unreachable("the host's answer is not in the protocol: output that is not base64", code="E321") from None


def settled(answer: Answer, kept: Mapping[str, KeptOutput]) -> None:
    answer.out += bytes(kept["out"])
    answer.err += bytes(kept["err"])


def host_row(host: str, answer: Answer) -> "HostRecord":
    from statectl.store.records import HostRecord

    result = {
        "type": "output",
        "code": answer.code,
        "out": base64.b64encode(answer.out).decode(),
        "err": base64.b64encode(answer.err).decode(),
    }
    return HostRecord(host, answer.outcome, answer.reason, results=[result])


def concluded(answer: Answer, message: Mapping[str, Any]) -> None:
    code = (message.get("counts") or {}).get("code")
    answer.code = min(int(code), 255) if code is not None else None  # 256 would leave us as 0
    answer.reason = str(message.get("reason") or "")
    answer.outcome = "ok" if answer.code == 0 else "failed"
    if message["outcome"] in ("refused", "stopped"):
        answer.outcome = str(message["outcome"])


class Lines:
    """Whole lines of one host to the terminal, each behind the host's name: no line of ours starts with a host's bytes."""

    def __init__(self, host: str, stream: Writable | None) -> None:
        self._host, self._stream, self._rest = host, stream, b""

    def add(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._write(line)

    def close(self) -> None:
        """What came behind the last newline is a line as well."""
        if self._rest:
            self._write(self._rest)
            self._rest = b""

    def _write(self, line: bytes) -> None:
        if self._stream is not None:
            self._stream.write(f"{self._host} | {clean(line.decode('utf-8', 'replace'))}\n")
            self._stream.flush()


def shown_result(answers: Answers, shown: Outputs, *, streamed: bool) -> int:
    """Write the answers; returns the exit code."""

    def text() -> str:
        return "" if streamed and len(answers) > 1 else _text(answers, shown.screen)

    def document() -> dict[str, Any]:
        return {
            "format": "statectl.output/1.0",
            "hosts": {
                host: {
                    "outcome": answer.outcome,
                    "code": answer.code,
                    "reason": answer.reason,
                    "out": answer.out.decode("utf-8", "replace"),
                    "err": answer.err.decode("utf-8", "replace"),
                }
                for host, answer in answers.items()
            },
        }

    if len(answers) == 1 and shown.formats() == ["text"]:
        code = _bare(next(iter(answers.values())), shown)
        return Interrupted.exit_code if answers.interrupted else code
    shown.write(
        {
            "text": text,
            "json": lambda: to_json(document()),
            "jsonl": lambda: to_json_lines({"host": host, **entry} for host, entry in document()["hosts"].items()),
        }
    )
    codes = {"failed": 1, "terminated": 1, "stopped": 1, "unknown": 3, "unreachable": 3, "refused": 5}
    found = [codes[answer.outcome] for answer in answers.values() if answer.outcome in codes]
    return worst([*found, Interrupted.exit_code] if answers.interrupted else found)


def _bare(answer: Answer, shown: Outputs) -> int:
    """One host: its output and its exit code, nothing else. On a terminal what could steer it is escaped; a pipe gets the bytes."""
    for data, stream, view in ((answer.out, sys.stdout, shown.screen), (answer.err, sys.stderr, shown.err)):
        if view.terminal:
            stream.write(clean(data.decode("utf-8", "replace")))
        else:
            stream.buffer.write(data)
        stream.flush()
    if answer.code is not None:
        return answer.code
    coded = f"[{answer.error}]" if answer.error else ""
    sys.stderr.write(f"error{coded}: {answer.outcome}: {one_line(answer.reason)}\n")
    if answer.hint:
        sys.stderr.write(f"  hint: {one_line(answer.hint)}\n")
    return {"unreachable": 3, "unknown": 3, "refused": 5}.get(answer.outcome, 1)


def _text(answers: Mapping[str, Answer], screen: Screen) -> str:
    from statectl.targets.ranges import compress

    folded: dict[tuple[str, int | None, str, str, bytes, bytes], list[str]] = {}
    for host, answer in answers.items():
        why = one_line(answer.reason) + (f" [{answer.error}]" if answer.error else "")
        key = (answer.outcome, answer.code, why, one_line(answer.hint), bytes(answer.out), bytes(answer.err))
        folded.setdefault(key, []).append(host)
    lines: list[str] = []
    for (outcome, code, why, hint, out, err), names in sorted(folded.items(), key=lambda item: -len(item[1])):
        mark = screen.paint(screen.mark("ok" if outcome == "ok" else "failed"), "ok" if outcome == "ok" else "failed")
        count = f"{len(names)} host{'s' * (len(names) != 1)}"
        ended = f"exit {code}" if code is not None else outcome
        tail = f": {why}" if why else ""
        lines.append(f"{mark} {count}  {compress(names)}  {ended}{tail}")
        lines += [f"    hint: {hint}"] if hint else []
        lines += _block(out, f"  {screen.mark('bar')} ", "", screen)
        lines += _block(err, f"  {screen.mark('bar')} ", "warning", screen)
    return "\n".join(lines) + "\n"


def _block(data: bytes, margin: str, style: str, screen: Screen) -> list[str]:
    """Output behind a margin, as one text: a list of its lines would take many times the memory. Of a very long one both ends."""
    if not data:
        return []
    parts = [data]
    if len(data) > SHOWN:
        parts = [data[: SHOWN // 2], data[-SHOWN // 2 :]]
    shown = []
    for part in parts:
        text = clean(part.decode("utf-8", "replace").replace("\r\n", "\n")).rstrip("\n")
        shown.append(margin + screen.paint(text, style).replace("\n", "\n" + margin))
    gap = f"{margin}{screen.mark('more')} {len(data) - SHOWN:,} bytes more; runs show RUN --json has them"
    return [shown[0], gap, shown[1]] if len(shown) > 1 else shown
