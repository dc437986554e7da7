"""After a change that may have locked us out: come back by a new login, or the host undoes the change by itself.

The new login goes all the way, through jump hosts and sudo to a new executor, whose order is `confirm`. Until the time is over a
failed login is tried again, with pauses that grow: a network that has just been reconfigured needs a moment, and an sshd that refuses us must not
take us for an attacker. After that we ask a little longer, because the host lets us in again and then tells what it did.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from statectl.errors import StatectlError, Unreachable
from statectl.transport.channel import Endpoint

PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # between logins; the last one again and again
AFTERWARDS_S = 30.0  # how long we ask what became of it, once the time is over
ANSWER_S = 150.0  # to one confirmation: a host that is undoing just then answers when it has


class Conversation(Protocol):
    """What is needed of `transport.session.ExecutorSession`."""

    async def send(self, message: Mapping[str, Any]) -> None: ...
    async def receive(self) -> dict[str, Any]: ...
    async def close(self) -> None: ...


@dataclass
class Confirmation:
    """What became of the change. `conversation` is open until the run is recorded here: then acknowledge, and close."""

    outcome: str  # confirmed | undone | unknown | nothing (is armed there for this run)
    reason: str = ""
    code: str = ""
    hint: str = ""
    kept: dict[str, Any] = field(default_factory=dict)  # the host's own result of the run, {} when it has none
    conversation: Conversation | None = None

    async def acknowledge(self, run_id: str) -> None:
        """The run is recorded here: the host may forget its result."""
        conversation, self.conversation = self.conversation, None
        if conversation is not None:
            try:
                await conversation.send({"type": "ack", "runs": [run_id]})
            except Unreachable:
                return  # then the next contact hands it over once more
            finally:
                await conversation.close()


def lock_out(endpoint: Endpoint) -> dict[str, Any] | None:
    """`lock_out` of an order: what we need to come back, None when nothing has to be armed."""
    login = endpoint.connection == "ssh"
    sudo = endpoint.become is not None and endpoint.become.user != endpoint.user
    if not endpoint.undo_after or not (login or sudo):
        return None
    return {"seconds": endpoint.undo_after, "login": login, "sudo": sudo}


async def confirm(
    open_conversation: Callable[[], Awaitable[Conversation]],
    run_id: str,
    seconds: float,
    tell: Callable[[str], None],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Confirmation:
    """Confirm run `run_id`, whose change is undone in `seconds`. Never raises for what a host may do."""
    deadline = now() + seconds
    tries = 0
    while True:
        try:
            return await _once(open_conversation, run_id)
        except StatectlError as error:
            said = error
        if not tries:
            tell(f"no new login: {said.message}; unless one succeeds, the host undoes the change in {seconds:.0f} s")
        pause = PAUSES_S[min(tries, len(PAUSES_S) - 1)]
        tries += 1
        if now() + pause > deadline + AFTERWARDS_S:
            return Confirmation(
                "unknown",
                f"locked out? No new login after the change: {said.message}; the host undoes it by itself after {seconds:.0f} s",
                "E340",
                "the next contact tells what became of it: statectl plan",
            )
        await sleep(pause)


async def _once(open_conversation: Callable[[], Awaitable[Conversation]], run_id: str) -> Confirmation:
    conversation = await open_conversation()
    try:
        async with asyncio.timeout(ANSWER_S):
            ready = await _next(conversation, ("ready", "end"))
            end = ready if ready["type"] == "end" else await _next(conversation, ("end",))
    except TimeoutError:
        await conversation.close()
        raise Unreachable(f"no answer to the confirmation in {ANSWER_S:.0f} s", code="E310") from None
    except BaseException:
        await conversation.close()
        raise
    reason, code = str(end.get("reason") or end["outcome"]), str(end.get("code") or "")
    kept = next((entry for entry in _undelivered(ready) if entry["run"] == run_id), {})
    if end["outcome"] == "done":
        return Confirmation("confirmed", kept=kept, conversation=conversation)
    if code == "E341":
        hint = "mend what kept the login out; statectl plan shows the change again"
        return Confirmation("undone", reason, code, hint, kept, conversation)
    if code == "E340":
        return Confirmation("nothing", reason, code, kept=kept, conversation=conversation)
    await conversation.close()
    raise StatectlError(reason, code=code or "E401")


def _undelivered(ready: Mapping[str, Any]) -> Collection[dict[str, Any]]:
    found: Collection[dict[str, Any]] = ready.get("memory", {}).get("undelivered", ())
    return found


async def _next(conversation: Conversation, expected: Collection[str]) -> dict[str, Any]:
    while True:
        message = await conversation.receive()
        if message["type"] in expected:
            return message
        if message["type"] not in ("log", "waiting"):
            raise Unreachable(
                "the host's answer is not in the protocol: something came when it was not due", code="E321"
            )
