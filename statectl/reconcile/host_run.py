"""One host's part of a run: contact, plan, then apply or let go. One channel, one conversation.

    contact()  ->  HostPlan     the host is read and compared; nothing is written
    apply(...) ->  HostResult   over the same channel, or over a new one when it was not kept

An outcome is never better than what the executor's `end` message says: a channel that ends before it is `unknown`.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any, Protocol

from statectl.errors import ConfigError, Refused, StatectlError, Unreachable
from statectl.plans.plan import HostPlan
from statectl.reconcile.confirm import confirm, lock_out
from statectl.reconcile.disruption import Windows, WindowsOfRun, policies
from statectl.reconcile.heard import AFTER_GO, BEFORE_GO, Heard, right_result
from statectl.reconcile.holder import hint, holder_of, known_here
from statectl.reconcile.host_plan import Compiled, host_plan, moved_since
from statectl.reconcile.host_result import HostResult, conclude, joined, settle
from statectl.transport.channel import Endpoint

if TYPE_CHECKING:
    from statectl.reconcile.patching import PatchRun

CONTACT_DEADLINE_S = 10.0  # name, TCP, banner, key exchange and login together
MAX_WARNINGS = 100  # of one host that are kept
LONGEST_WARNING = 2000  # characters
SILENCE_LIMIT_S = 3600.0  # no message at all; the executor bounds its own steps far below


class _Stopped(StatectlError):
    """The executor ended because it was told to, before anything was written."""


class Conversation(Protocol):
    """What is needed of `transport.session.ExecutorSession`."""

    async def send(self, message: Mapping[str, Any]) -> None: ...
    async def send_blob(self, sha256: str, source: bytes | Path) -> None: ...
    async def receive(self) -> dict[str, Any]: ...
    async def close(self) -> None: ...


@dataclass
class Order:
    """What is asked of every host of one run."""

    run_id: str
    kind: str  # plan | apply | drift
    controller: str
    commit: str = ""
    lock_timeout_s: float = 0.0
    deadline_s: float = 1800.0
    plan_id: str = ""


class HostRun:
    """Drives one host. `open_conversation(endpoint, order message)` starts the executor there."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        order: Order,
        *,
        open_conversation: Callable[[Endpoint, Mapping[str, Any]], Any],
        compile_with: Callable[[Mapping[str, Any], Mapping[str, Any]], Compiled] | None,
        probes: Sequence[Mapping[str, Any]] = (),
        limits: Mapping[str, Any] | None = None,
        delivered: Sequence[str] = (),
        expected: HostPlan | None = None,
        seen: Mapping[str, Any] | None = None,
        progress: Callable[[str], tuple[int, int]] = lambda _: (0, 0),
        windows: Windows | None = None,
        patching: "PatchRun | None" = None,
    ) -> None:
        """seen: the highest run counter that this host has shown, {"host_id", "number"}; progress: see reconcile.holder."""
        self.name = name
        self.endpoint = endpoint
        self.order = order
        self.facts: dict[str, Any] | None = None
        self.memory: dict[str, Any] = {}
        self.compiled: Compiled | None = None
        self.plan = HostPlan(outcome="not contacted")
        self.undelivered: list[dict[str, Any]] = []
        self.read: list[
            tuple[str, str]
        ] = []  # (association, address) of every verdict; one text for all hosts that have it
        self._open = open_conversation
        self._compile = compile_with
        self._probes = probes
        self._limits = limits or {}
        self._delivered = list(delivered)
        self._expected = expected
        self._seen = seen
        self._progress = progress
        self._windows = WindowsOfRun(windows or Windows({}))
        self.patching = patching
        self.holder: dict[str, Any] | None = None  # of the lock, while we waited for it or were refused
        self._conversation: Conversation | None = None
        self._partings: list[asyncio.Task[None]] = []
        self._heard = Heard()
        self._warnings: list[str] = []
        self._more_warnings = 0
        self.on_message: Callable[[str, Mapping[str, Any]], None] | None = None  # told of every message as it comes
        self.take_over: Callable[[Mapping[str, Any]], Awaitable[None]] | None = (
            None  # stores a result the host kept for us
        )
        self.record: Callable[[HostResult], Awaitable[None]] | None = (
            None  # stores the result of this run, before its ack
        )
        self.interim: Callable[[HostResult], Awaitable[None]] | None = None  # stores what is known before a reboot
        self._reboots = 0  # of this host in this run
        self._before_reboot: tuple[HostPlan, HostResult] | None = None
        self._stopping: asyncio.Event | None = None  # while we wait for a reboot: set when the run is stopped
        self.begun = False  # the plan was begun here already, by a run that this one goes on with
        self.keep = True  # keep the channel between plan and go
        self.held_back: Callable[[], str] = lambda: ""  # why it must not be told to go any more, '' when it may
        self.withheld: Callable[[], Mapping[str, str]] = (
            dict  # {association: why it must be left alone}, asked before `go`
        )

    @property
    def kept(self) -> bool:
        """Is the channel still open, waiting for `go`?"""
        return self._conversation is not None

    def declared(self) -> list[dict[str, Any]]:
        """The resources of the catalogue that this run was about."""
        if self.compiled is None:
            return []
        catalogue = self.compiled.catalogue
        selected = {entry["name"] for entry in catalogue["associations"] if entry.get("selected", True)}
        only = catalogue.get("only")
        return [
            entry
            for entry in catalogue["resources"]
            if selected.intersection(entry["owners"]) and (only is None or entry["address"] in only)
        ]

    async def contact(self) -> HostPlan:
        """Read and compare. Never raises for what a host may do; the plan's outcome says it."""
        try:
            self.plan = await self._contact()
        except Unreachable as error:
            await self.drop()
            outcome = "unknown" if self.facts is not None else "unreachable"
            self.plan = HostPlan(outcome=outcome, reason=error.message, code=error.code, hint=error.hint)
        except Refused as error:
            await self.drop()
            reason, advice = error.message, error.hint
            if error.code == "E501" and self.holder is not None:
                reason += self._known_here(self.holder)
                advice = hint(self.holder)
            self.plan = HostPlan(outcome="refused", reason=reason, code=error.code, hint=advice)
        except ConfigError as error:
            await self.drop()
            first = error.problems[0]
            place = f"{first.span}: " if first.span else ""
            more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
            self.plan = HostPlan(
                outcome="failed", reason=f"{place}{first.summary}{more}", code=first.code, hint=first.hint
            )
        except _Stopped as error:
            await self.drop()
            self.plan = HostPlan(outcome="not contacted", reason=self.held_back() or error.message)
        except StatectlError as error:
            await self.drop()
            self.plan = HostPlan(outcome="failed", reason=error.message, code=error.code, hint=error.hint)
        return self.plan

    async def _contact(self) -> HostPlan:
        self._heard = Heard()
        conversation: Conversation = await self._open(self.endpoint, self._order_message())
        self._conversation = conversation
        ready = await self._receive(("ready", "end"))
        if ready["type"] == "end":
            raise _ended(ready)
        _expect(ready, "ready")
        self.facts = ready["facts"]
        self.memory = ready["memory"]
        self.undelivered = list(self.memory.get("undelivered", ()))
        if self._compile is not None:
            compiled = await asyncio.to_thread(self._compile, ready["facts"], ready["probes"])
            self.compiled = compiled
            errors = [problem for problem in compiled.problems if not problem.is_warning]
            if errors:
                await self._stop()
                raise ConfigError(errors)
            if self.patching is not None and ready.get("patches") is not None:
                try:
                    said = await asyncio.to_thread(
                        self.patching.compiled,
                        self.name,
                        compiled,
                        ready["facts"],
                        ready["patches"],
                        self.order.run_id,
                    )
                except ValueError as error:
                    await self._stop()
                    raise Unreachable(f"not in the protocol: {error}", code="E321") from None
                for text in said:
                    self._tell(text)
            if self._is_another(compiled.catalogue["hash"]):
                await self._stop()
                raise Refused(
                    "stale: with the facts of now this host's catalogue is not the planned one",
                    code="E510",
                    hint="make a new plan: statectl plan",
                )
            await conversation.send(compiled.catalogue)
            if compiled.secrets:
                values = {key: secret.reveal() for key, secret in compiled.secrets.items()}
                await conversation.send({"type": "secrets", "values": values})
        verdicts: list[dict[str, Any]] = []
        remarks: list[dict[str, Any]] = []  # of what is right, with a word on it
        ours = self._addresses()
        ok = 0
        self.read = []
        while True:
            message = await self._receive(BEFORE_GO)
            kind = message["type"]
            if kind == "need":
                await self._deliver(message["blobs"])
            elif kind == "right":
                self._heard.right(message, ours, "verdict")
                ok += len(message["addresses"])
                owner = intern(str(message.get("association") or ""))
                self.read += [(owner, intern(str(address))) for address in message["addresses"]]
            elif kind == "verdict":
                message = self._heard.kept(message, ours)
                if message["verdict"] == "ok":
                    ok += 1
                    remarks += [message] if message.get("reason") else []
                else:
                    verdicts.append(message)
                owner = intern(str(message.get("association") or ""))
                self.read.append((owner, intern(str(message["address"]))))
            elif kind == "planned" and self.order.kind == "apply":
                break  # whoever only plans has the last word to come, with the digest of all that was said
            elif kind == "end":
                if message["outcome"] != "planned":
                    raise _ended(message)
                break
        if self.patching is not None and self.patching.judged.get(self.name):
            for text in await asyncio.to_thread(self.patching.looked, self.name, [*verdicts, *remarks]):
                self._tell(text)
        plan = self._host_plan(verdicts, ok)
        moved = moved_since(self._expected, plan)
        if moved:
            await self._stop()
            raise Refused(
                f"stale: {moved[0]} was right when planned and is not now"
                + (f" (and {len(moved) - 1} more)" if moved[1:] else ""),
                code="E510",
                hint="make a new plan: statectl plan",
            )
        if self.order.kind != "apply":
            await self._finish()
        elif not self.keep:
            await self._stop()
        return plan

    def _is_another(self, catalogue: str) -> bool:
        """Is this catalogue not the planned one? Patches that a run which was begun here installed are in it no more."""
        expected = self._expected
        if expected is None or catalogue == expected.catalogue:
            return False
        return not (self.begun and any(verdict.address.startswith("patches:") for verdict in expected.verdicts))

    async def apply(self, observed: Mapping[str, str], plan_id: str = "") -> HostResult:
        """Say `go` and follow to the end. Contacts the host again when the channel was not kept."""
        started = time.monotonic()
        result = await self._apply(observed, plan_id)
        result.seconds = time.monotonic() - started
        result.warnings = self.warnings()
        await self.drop()
        return result

    async def _apply(self, observed: Mapping[str, str], plan_id: str) -> HostResult:
        if not self.kept:
            self.keep = True
            await self.contact()
            if self.plan.outcome != "planned":
                outcome = "terminated" if self.plan.outcome == "not contacted" else self.plan.outcome
                return HostResult(outcome, self.plan.reason, self.plan.code, self.plan.hint)
        result = HostResult("unknown")
        ours = self._addresses()
        try:
            if self._reboots and self._stopping is not None and self._stopping.is_set():
                await self.release()
                return self._whole(
                    HostResult("stopped", "it is back from its reboot; the run was stopped before it went on")
                )
            if (
                not self._reboots and self.held_back()
            ):  # while it was contacted again: nothing was written yet, and nothing shall be
                await self.release()
                return HostResult("terminated", self.held_back())
            withheld = dict(self.withheld())
            told = {**self._granted(), **({"withheld": withheld} if withheld else {})}
            await self._say({"type": "go", "plan_id": plan_id or None, "observed": dict(observed), **told})
            while True:
                message = await self._receive(AFTER_GO)
                kind = message["type"]
                if kind == "need":
                    await self._deliver(message["blobs"])
                elif kind == "right":
                    self._heard.right(message, ours, "result")
                    result.results += map(right_result, message["addresses"])
                elif kind == "result":
                    result.results.append(self._heard.kept(message, ours))
                elif kind == "notified":
                    result.notified.append(self._heard.kept(message, ours))
                elif kind == "end":
                    conclude(result, message)
                    asked = message.get("reboot")
                    if asked and result.outcome in ("ok", "changed"):
                        return await self._rebooted(result, asked)
                    self._whole(result)
                    if message.get("armed"):
                        return await self._confirmed(result, message["armed"])
                    if self.record is not None:
                        result.warnings = self.warnings()
                        await self.record(result)
                    await self._finish()
                    return result
        except Unreachable as error:
            # the executor goes on without us and keeps its result; the next contact fetches it
            result.reason, result.code, result.hint = error.message, error.code, error.hint
            armed = max((verdict.armed for verdict in self.plan.verdicts), default=0)
            if armed and result.outcome == "unknown":  # it may be the change itself that ended the channel
                return await self._confirmed(result, armed)
        except StatectlError as error:
            result.outcome, result.reason, result.code, result.hint = "failed", error.message, error.code, error.hint
        return result

    async def _rebooted(self, result: HostResult, told: Mapping[str, Any]) -> HostResult:
        """Let the host reboot, wait until it is back, and go on there. Once more for each reboot that it may have."""
        from statectl.reconcile import rebooting

        asked = rebooting.Asked.of(told)
        ourselves = asked.boot_id == rebooting.own_boot_id()
        if ourselves or self._reboots >= asked.most:
            if ourselves:
                rebooting.ourselves(result, asked)
            else:
                rebooting.circle(result, asked, self._reboots)
            self._whole(result)
            result.warnings = self.warnings()
            if self.record is not None:
                await self.record(result)
            await self._finish()
            return result
        self._stopping = self._stopping or asyncio.Event()
        if self.interim is not None:
            await self.interim(replace(result, outcome="unknown", reason=rebooting.GOING, warnings=self.warnings()))
        self._say_here(f"rebooting: {asked.why}")
        host_id = str(self.memory.get("host_id", ""))
        with contextlib.suppress(Unreachable):  # whether our word came through shows when it is back
            await self._finish(reboot=True)
        await self.drop()
        self.endpoint = replace(self.endpoint, new_login=True)
        self._reboots += 1
        message = {**self._order_message(), "kind": "facts", "lock_out": None, "probes": [], "patching": None}
        back = await rebooting.wait(lambda: self._open(self.endpoint, message), asked, host_id, self._stopping)
        if back.outcome != "back":
            back.fails(result, asked)
            return self._whole(result)
        self._say_here(f"back after {back.seconds:.0f} s")
        if self._before_reboot is not None:
            joined(self._before_reboot[1], result)
        self._before_reboot = self._before_reboot[0] if self._before_reboot else self.plan, result
        self._expected = None  # what it was compared with is done in part
        after = await self._apply({}, "")
        if self._before_reboot is not None:  # it did not go on there
            after.outcome = "unknown" if after.outcome in ("unreachable", "unknown") else "failed"
            after.reason = f"it is back from its reboot, and then: {after.reason}"
        return self._whole(after)

    def _whole(self, result: HostResult) -> HostResult:
        """With what was done before a reboot. The plan that people agreed to is the one of the whole run."""
        if self._before_reboot is not None:
            (plan, earlier), self._before_reboot = self._before_reboot, None
            joined(earlier, result)
            self.plan = plan.model_copy(update={"debts": self.plan.debts, "pending": self.plan.pending})
        return result

    def _say_here(self, text: str) -> None:
        """A word on what is going on, as one of the host's."""
        if self.on_message:
            self.on_message(self.name, {"type": "waiting", "reason": text})

    async def _confirmed(self, result: HostResult, seconds: float) -> HostResult:
        """The result, once a new login came through, or what the host did because none came."""
        with contextlib.suppress(Unreachable):  # a channel that was lost is no reason not to come back
            await self._finish(own=False)
        await self.drop()
        await self.parted()
        message = {key: value for key, value in self._order_message().items() if key not in ("lock_out", "probes")}
        message["kind"] = "confirm"

        anew = replace(self.endpoint, new_login=True)
        told = await confirm(lambda: self._open(anew, message), self.order.run_id, seconds, self._tell)
        settle(result, told)
        result.warnings = self.warnings()
        if self.record is not None:
            await self.record(result)
        await told.acknowledge(self.order.run_id)
        return result

    def _tell(self, text: str) -> None:
        """A warning of ours, as one of the host's."""
        self.warn(text)
        if self.on_message:
            self.on_message(self.name, {"type": "log", "level": "warning", "text": text})

    def warn(self, text: str) -> None:
        """Keep a warning for the result."""
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings.append(text if len(text) <= LONGEST_WARNING else text[:LONGEST_WARNING] + " ...")
        else:
            self._more_warnings += 1

    def warnings(self) -> list[str]:
        """What was said in warning so far; of very many, how many are left out."""
        return [*self._warnings, *([f"{self._more_warnings} more warnings"] if self._more_warnings else [])]

    async def cancel(self) -> None:
        """Ask the executor to stop at its next resource border."""
        if self._stopping is not None:
            self._stopping.set()
        if self._conversation is not None:
            await self._say({"type": "cancel"})

    async def release(self) -> None:
        """Let a planned host go without writing."""
        if self._conversation is not None:
            try:
                await self._stop()
            except StatectlError:
                await self.drop()  # nothing was asked of it, so nothing is lost with the channel

    async def _stop(self) -> None:
        await self._say({"type": "stop"})
        while (await self._receive(BEFORE_GO))["type"] != "end":
            pass
        await self._finish()

    async def _finish(self, *, own: bool = True, reboot: bool = False) -> None:
        """After `end`: what is stored here the host may forget. Then close. `own`: also the result of this run; `reboot`: it may."""
        runs = [self.order.run_id] if own else []
        for entry in self.undelivered:
            if self.take_over is not None:
                await self.take_over(entry)
                runs.append(str(entry["run"]))
        await self._say({"type": "ack", "runs": runs, **({"reboot": True} if reboot else {})})
        conversation, self._conversation = self._conversation, None
        self._heard = Heard()  # nothing more is heard of this one, and thousands of hosts may follow
        if conversation is not None:  # until the executor is gone takes a round trip, in which nobody need wait
            self._partings.append(asyncio.create_task(conversation.close()))

    async def parted(self) -> None:
        """Wait until what was heard to its end is closed."""
        while self._partings:
            await self._partings.pop()

    async def drop(self) -> None:
        """Close the channel, whatever state it is in."""
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            await conversation.close()

    async def _say(self, message: Mapping[str, Any]) -> None:
        if self._conversation is None:
            raise Unreachable("channel lost", code="E310")
        await self._conversation.send(message)

    def _addresses(self) -> frozenset[str]:
        """What the catalogue has, each of which the host may speak of."""
        return (
            frozenset(entry["address"] for entry in self.compiled.catalogue["resources"])
            if self.compiled
            else frozenset()
        )

    async def _receive(self, expected: Collection[str]) -> dict[str, Any]:
        """The next message that is one of `expected`; anything else but words on what is going on ends the conversation."""
        if self._conversation is None:
            raise Unreachable("channel lost", code="E310")
        try:
            async with asyncio.timeout(SILENCE_LIMIT_S):
                while True:
                    message = await self._conversation.receive()
                    self._heard.in_turn(message["type"], expected)
                    message = self._of_the_lock(message)
                    if message["type"] == "log" and message.get("level") == "warning":
                        self.warn(str(message.get("text") or ""))
                    if self.on_message:
                        self.on_message(self.name, message)
                    if message["type"] not in ("log", "waiting"):
                        return message
        except TimeoutError:
            raise Unreachable(f"silent for {SILENCE_LIMIT_S:.0f} s", code="E310") from None

    def _of_the_lock(self, message: dict[str, Any]) -> dict[str, Any]:
        holder = holder_of(message)
        if holder is None:
            return message
        self.holder = holder
        if message["type"] != "waiting":
            return message
        return {**message, "reason": str(message.get("reason") or "") + self._known_here(holder)}

    def _known_here(self, holder: Mapping[str, Any]) -> str:
        return known_here(holder, self.order.controller, self._progress)

    async def _deliver(self, wanted: Sequence[str]) -> None:
        blobs = self.compiled.blobs if self.compiled is not None else {}
        self._heard.contents(wanted)
        for sha256 in wanted:
            if sha256 not in blobs:
                raise Unreachable("the host asked for content that is not its own", code="E321")
            if self._conversation is None:
                raise Unreachable("channel lost", code="E310")
            await self._conversation.send_blob(sha256, blobs[sha256])

    def _order_message(self) -> dict[str, Any]:
        order = self.order
        return {
            "type": "order",
            "run": order.run_id,
            "host": self.name,
            "kind": order.kind,
            "state_dir": self.endpoint.state_dir or None,
            "limits": dict(self._limits),
            "probes": [dict(probe) for probe in self._probes],
            "deadline_s": order.deadline_s,
            "lock_timeout_s": order.lock_timeout_s,
            "controller": order.controller,
            "commit": order.commit,
            "known": self._delivered,
            "seen": self._seen,
            "lock_out": lock_out(self.endpoint) if order.kind in ("plan", "apply") else None,
            "patching": self._asked_of_patches(),
            **({"rebooted": self._reboots} if self._reboots else {}),
        }

    def _asked_of_patches(self) -> dict[str, Any] | None:
        if self.patching is None or self.order.kind not in ("plan", "apply"):
            return None
        return self.patching.asked(self.name)

    def _host_plan(self, verdicts: Sequence[Mapping[str, Any]], ok: int) -> HostPlan:
        return host_plan(self.compiled, self.memory, self._windows, verdicts, ok)

    def _granted(self) -> dict[str, Any]:
        """What may disrupt from now on, for `go`; nothing where no association says more than always."""
        granted = self._windows.granted(policies(self.compiled.catalogue)) if self.compiled is not None else {}
        return {"disrupt": granted} if granted else {}


def _expect(message: Mapping[str, Any], kind: str) -> None:
    if message["type"] != kind:
        raise Unreachable(f"the executor said {message['type']!r} where {kind!r} was due", code="E321")


def _ended(message: Mapping[str, Any]) -> StatectlError:
    """An `end` that came before the work was done."""
    reason = str(message.get("reason") or message["outcome"])
    code = str(message.get("code") or "")
    if message["outcome"] in ("refused", "stale"):
        return Refused(reason, code=code or "E501")
    if message["outcome"] == "stopped" and not code:
        return _Stopped(reason)
    return StatectlError(reason, code=code or "E401")
