"""What a rolling change asks of hosts beside its changes: commands on other hosts, recorded as runs of their own, and health again."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from statectl.errors import StatectlError, Unreachable
from statectl.store.ids import new_id

if TYPE_CHECKING:
    from statectl.cli.adhoc import Answer, Command
    from statectl.cli.fleet import Opened
    from statectl.reconcile.rolling import Around
    from statectl.store.store import Store
    from statectl.transport.session import ExecutorSession

SLACK_S = 60.0  # of a session behind the limit of what it does: contact, start, last words
PARTING_S = 2.0  # for a last word to a host that is let go


class Beside:
    """Wired into `Fleet`: `run_step` and `check_health`."""

    def __init__(self, opened: "Opened") -> None:
        self._opened = opened

    async def run_step(self, host: str, step: "Around", about: Mapping[str, str]) -> str:
        """'' when the command exited 0, else why not. The run is recorded before the host is contacted: no record, no action."""
        from statectl.cli.adhoc import Answer, Command, host_row

        records = await asyncio.to_thread(self._opened.records)
        command, answer, run_id = Command(argv=list(step.argv), timeout_s=step.timeout_s), Answer(), new_id()
        scope = {"command": command.shown(), "hosts": [host], "rollout": dict(about)}

        def begin() -> None:
            records.begin_run("run", scope, run_id=run_id, commit="", plan_id="", hosts=[host])
            records.under_way.begun(run_id, [host])

        def end() -> None:
            records.record_hosts(run_id, [host_row(host, answer)])
            records.end_run(run_id, "done", {answer.outcome: 1})

        await asyncio.to_thread(begin)
        try:
            await self._run(records, host, run_id, command, answer)
        except StatectlError as error:
            answer.reason = error.message
            answer.outcome = "unreachable" if isinstance(error, Unreachable) else "failed"
        finally:
            await asyncio.shield(asyncio.to_thread(end))
        if answer.outcome == "ok":
            return ""
        shown = answer.reason or f"{command.shown()} exited with code {answer.code}"
        said = bytes(answer.err or answer.out).decode("utf-8", "replace").strip().splitlines()
        return f"{shown}{': ' + said[-1][:200] if said else ''} (run {run_id})"

    async def _run(self, records: "Store", host: str, run_id: str, command: "Command", answer: "Answer") -> None:
        from statectl.cli.adhoc import concluded, output_of, settled
        from statectl.cli.kept_output import KeptOutput

        heard = {"out": KeptOutput(), "err": KeptOutput()}
        conversation = await self._opened.converse(
            host, run_id, "run", command=command.message(), deadline_s=command.timeout_s + SLACK_S
        )
        try:
            message = await self._last_word(
                conversation, lambda one: heard[one["stream"]].add(output_of(one["data"])), command.timeout_s
            )
            concluded(answer, message)
            settled(answer, heard)
            await asyncio.to_thread(_record, records, run_id, host, answer)  # before the host may forget
            await conversation.send({"type": "ack", "runs": [run_id]})
        finally:
            await conversation.close()

    async def check_health(self, host: str, checks: Sequence[Mapping[str, Any]]) -> str:
        """'' when all hold, else why not: also when it cannot be asked."""
        longest = sum(float(check["within_s"]) for check in checks)
        try:
            conversation = await self._opened.converse(
                host, new_id(), "health", checks=[dict(check) for check in checks], deadline_s=longest + SLACK_S
            )
            try:
                message = await self._last_word(conversation, lambda _: None, longest)
            finally:
                await conversation.close()
        except StatectlError as error:
            return f"its health cannot be asked: {error.message}"
        return "" if message["outcome"] == "done" else str(message.get("reason") or message["outcome"])

    async def _last_word(self, conversation: "ExecutorSession", heard: Any, seconds: float) -> dict[str, Any]:
        """The `end` message. Raises Unreachable: it never came, or something came that is not due."""
        try:
            async with asyncio.timeout(seconds + SLACK_S):
                while True:
                    message = await conversation.receive()
                    if message["type"] == "end":
                        return message
                    if message["type"] == "output":
                        heard(message)
                    elif message["type"] not in ("ready", "log", "waiting"):
                        text = f"the host's answer is not in the protocol: {message['type']} came when it was not due"
                        raise Unreachable(text, code="E321")
        except TimeoutError:
            raise Unreachable(f"no last word within {seconds + SLACK_S:g} s", code="E310") from None
        except asyncio.CancelledError:
            with suppress(StatectlError, TimeoutError):  # without a word it would go on to its end
                async with asyncio.timeout(PARTING_S):
                    await conversation.send({"type": "cancel"})
            raise


def _record(records: "Store", run_id: str, host: str, answer: "Answer") -> None:
    from statectl.cli.adhoc import host_row

    records.record_host(run_id, host_row(host, answer))
