"""A host reboots in the middle of a run: wait until it is back, and be sure that it was booted and is the same host.

    `end` asks for a reboot  ->  the result so far is stored  ->  ack with `reboot`  ->  the host goes down
    new logins, again and again, until the boot id is another  ->  the run goes on there, in a new conversation

Nothing is rebooted without that ack, so a host that nobody waits for stays up.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from statectl.errors import StatectlError, Unreachable
from statectl.reconcile.host_result import HostResult

PAUSES_S = (0.5, 0.5, 1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 10.0)  # between logins; the last one again and again
ANSWER_S = 60.0  # of one contact, from its login to its end
NOT_GOING_S = 45.0  # a host that has not begun to go down by then, and of which nobody holds the lock, will not
GOING = "the reboot was asked for, and the host did not come back yet"


class Conversation(Protocol):
    """What is needed of `transport.session.ExecutorSession`."""

    async def receive(self) -> dict[str, Any]: ...
    async def close(self) -> None: ...


@dataclass(frozen=True)
class Asked:
    """`reboot` of an `end`."""

    boot_id: str
    timeout_s: float
    most: int  # reboots of this host in one run
    addresses: tuple[str, ...]
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Asked":
        return cls(
            str(told["boot_id"]),
            float(told["timeout_s"]),
            int(told["max_reboots"]),
            tuple(map(str, told["addresses"])),
            tuple(map(str, told.get("reasons") or ())),
        )

    @property
    def why(self) -> str:
        return ", ".join(self.reasons[:3]) or "no reason given"


@dataclass(frozen=True)
class Back:
    """What became of the host. outcome: back, away, not booted, another host, stopped."""

    outcome: str
    seconds: float = 0.0
    reason: str = ""

    def fails(self, result: HostResult, asked: Asked) -> None:
        """It is not back: what that makes of the result."""
        self._concludes(result)
        told: dict[str, Any] = {
            "type": "notified",
            "verb": "reboot",
            "outcome": "unknown",
            "because": [],
            "error": None,
        }
        result.notified += [{**told, "address": address, "reason": result.reason} for address in asked.addresses]

    def _concludes(self, result: HostResult) -> None:
        after = f"{self.seconds:.0f} s"
        result.outcome = "failed"
        if self.outcome == "away":
            result.code = "E530"
            result.reason = f"it did not come back from its reboot within {after} ({self.reason})"
            result.hint = "look at its console; when it is up again, statectl apply goes on with what is left"
        elif self.outcome == "not booted":
            result.code = "E532"
            result.reason = f"it was not booted: {after} after the word it still runs as before; the reboot stays owed"
            result.hint = "look there at: systemctl list-jobs, systemd-inhibit --list; or reboot it by hand"
        elif self.outcome == "another host":
            result.code = "E533"
            result.reason = "another host answers at its address since the reboot; nothing was done there"
            result.hint = (
                "compare with statectl inventory show; a memory that was lost in the reboot looks like that as well"
            )
        else:
            result.outcome, result.code = "unknown", "E534"
            result.reason = (
                f"the run was stopped while the host was rebooting; {after} after the word nobody had seen it back"
            )
            result.hint = "statectl apply --resume goes on with it"


def circle(result: HostResult, asked: Asked, reboots: int) -> None:
    """It wants more reboots than it may have in one run."""
    times = f"{reboots} reboot{'s' * (reboots != 1)}"
    result.outcome, result.code = "failed", "E531"
    result.reason = f"still wants a reboot after {times} ({asked.why})"
    result.hint = (
        "what asks for it again after each boot has to be found there; max_reboots of the baseline allows more"
    )


def own_boot_id() -> str:
    """'' where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def ourselves(result: HostResult, asked: Asked) -> None:
    """It is the machine that this runs on: nobody would wait for it, and the run would end in the middle."""
    result.outcome, result.code = "failed", "E535"
    result.reason = f"it needs a reboot ({asked.why}), and this run goes on there itself; the reboot stays owed"
    result.hint = "reboot it by hand, or apply from another machine; the next apply looks at what came of it"


async def wait(
    open_conversation: Callable[[], Awaitable[Conversation]],
    asked: Asked,
    host_id: str,
    stopped: asyncio.Event,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Back:
    """Log in until the host is back. Never raises for what a host may do; `stopped`: nobody wants to wait any more."""
    begun = now()
    tries = 0
    old, said = False, "no login was tried"  # old: the last contact found the same boot
    while True:
        try:
            ready = await _once(open_conversation)
        except StatectlError as error:
            old, said = False, error.message
        else:
            memory = ready["memory"]
            if memory.get("host_id") != host_id:
                return Back("another host", now() - begun)
            if str((ready["facts"].get("host") or {}).get("boot_id") or "") != asked.boot_id:
                return Back("back", now() - begun)
            old = True
            if not memory.get("lock") and now() - begun > NOT_GOING_S:
                return Back("not booted", now() - begun)
        pause = PAUSES_S[min(tries, len(PAUSES_S) - 1)]
        tries += 1
        if now() + pause > begun + asked.timeout_s:
            return Back("not booted" if old else "away", now() - begun, said)
        if await _stopped(stopped, sleep(pause)):
            return Back("stopped", now() - begun)


async def _once(open_conversation: Callable[[], Awaitable[Conversation]]) -> Mapping[str, Any]:
    """One contact of kind facts -> its `ready`."""
    try:
        async with asyncio.timeout(ANSWER_S):
            conversation = await open_conversation()
            try:
                ready: Mapping[str, Any] = {}
                while True:
                    message = await conversation.receive()
                    if message["type"] == "ready":
                        ready = message
                    elif message["type"] == "end":
                        break
            finally:
                await conversation.close()
    except TimeoutError:
        raise Unreachable(f"no answer in {ANSWER_S:.0f} s", code="E310") from None
    if not ready:
        raise Unreachable("it let nobody in yet", code="E322")
    return ready


async def _stopped(stopped: asyncio.Event, pausing: Awaitable[None]) -> bool:
    """Pause, or less when nobody wants to wait any more."""
    asked = asyncio.ensure_future(stopped.wait())
    pause = asyncio.ensure_future(pausing)
    try:
        await asyncio.wait({asked, pause}, return_when=asyncio.FIRST_COMPLETED)
        return asked.done()
    finally:
        asked.cancel()
        pause.cancel()
        await asyncio.gather(asked, pause, return_exceptions=True)
