"""The loop that runs associations on their schedules.

    look    which slots are due? they are claimed in the store, once, whoever else looks
    place   on which hosts, and by how much later does each begin
    work    hosts that begin together are one run; several runs go on beside each other

The wall clock says what is due and may jump; waiting is measured on the other clock, never for longer than LOOK_S, so that a jump is
noticed. What runs, and how, is passed in as `Runs`.
"""

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from statectl.errors import StatectlError
from statectl.rollout.run_targets import Cancel
from statectl.schedules import next_fire
from statectl.schedules.slots import decide
from statectl.server.clock import Clock
from statectl.server.jobs import Job, delay_s, jobs_of
from statectl.server.needs import Look, Runs, SlotRecords
from statectl.server.verdict import first_of, verdict_of
from statectl.store.ids import new_id
from statectl.store.slots import Claim, Claimed, Key, Known, Passed, text_of

LOOK_S = 30.0
SOON_S = 0.05  # what begins within this time begins now
BEHIND = timedelta(hours=1)


@dataclass
class _Open:
    """A slot of ours that has not ended."""

    slot: Claimed
    began: float
    waiting: dict[str, float] = field(default_factory=dict)  # host -> when it begins, on the monotonic clock
    working: set[str] = field(default_factory=set)
    hosts: dict[str, tuple[str, str]] = field(default_factory=dict)
    stopped: bool = False


@dataclass
class Health:
    """What is told over HTTP. Written by the loop, read by others."""

    problems: dict[str, str] = field(default_factory=dict)  # project | store | clock -> what
    next: dict[str, str] = field(default_factory=dict)  # association -> UTC
    running: list[str] = field(default_factory=list)  # ids of slots
    looked: float = 0.0  # monotonic
    last_run_s: float | None = None


class Scheduler:
    def __init__(
        self,
        runs: Runs,
        slots: SlotRecords,
        clock: Clock,
        process: str,
        say: Callable[[str], None] = lambda _: None,
        warn: Callable[[str], None] = lambda _: None,
        tidy: Callable[[], object] = lambda: None,
    ) -> None:
        """tidy: what else is to be done once a day, in a thread of its own."""
        self.health = Health()
        self.codes: list[int] = []  # exit codes of the runs
        self._runs = runs
        self._slots = slots
        self._clock = clock
        self._process = process
        self._say = say
        self._warn = warn
        self._tidy = tidy
        self._look: Look | None = None
        self._definitions: dict[str, str] = {}  # as this process saw them last
        self._next: dict[Key, datetime | None] = {}
        self._timings: dict[Key, object] = {}
        self._due: list[Claimed] = []
        self._open: dict[tuple[str, str, str], _Open] = {}
        self._concerned: Mapping[str, frozenset[str]] = {}
        self._tasks: dict[asyncio.Task[None], Cancel] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._others: list[str] = []
        self._cleaned: float | None = None
        self._unsaid: list[tuple[Claimed, str, str]] = []  # ends that the store could not take

    def stop(self) -> None:
        """Once: nothing new begins, hosts in hand finish. Twice: what runs is let go."""
        self._stopping = True
        for cancel in self._tasks.values():
            cancel.request()
        self._wake.set()

    async def serve(self, *, once: bool = False) -> None:
        """Until it is told to stop; `once`: until what is due now has ended."""
        await self._begin()
        looked = False
        try:
            while not self._stopping:
                self._wake.clear()
                if not (once and looked):
                    await self.look()
                    looked = True
                await self.start()
                if once and not self._due and not self._open:
                    return
                await self._clock.wait(self._wake, self._until_next(once=once))
            await self._give_back()
            while self._tasks:
                await asyncio.wait(list(self._tasks))
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self._open:
            await asyncio.to_thread(self._slots.leave, self._process)

    async def _begin(self) -> None:
        for other in await asyncio.to_thread(self._slots.beat, self._process):
            self._warn(f"another scheduler works on this store: {other}; each slot runs once, by whoever is first")
        await self._close_interrupted()

    async def _close_interrupted(self) -> None:
        for passed in await asyncio.to_thread(self._slots.close_interrupted):
            self._warn(_told(passed))

    # --- what is due

    async def look(self) -> None:
        """Claim what is due. A store or project in trouble is told, and tried again at the next look."""
        failure = await self._read_project()
        try:
            await asyncio.to_thread(self._slots.beat, self._process)
            await self._close_interrupted()
            await self._say_again()
            if self._look is not None:
                await self._decide(self._look, failure)
            if self._cleaned is None or self._clock.monotonic() - self._cleaned > 86400:
                self._cleaned = self._clock.monotonic()
                await asyncio.to_thread(self._slots.forget_old, self._clock.now())
                await asyncio.to_thread(self._tidy)
            self._trouble("store", "")
        except StatectlError as error:
            self._next = {}  # whatever was due is decided about at the next look
            self._trouble("store", error.message)
        self.health.looked = self._clock.monotonic()

    async def _read_project(self) -> str:
        """The first mistake in the files, '' when there is none. What they said before holds until they can be read again."""
        failure = ""
        try:
            self._look = await asyncio.to_thread(self._runs.look)
        except StatectlError as error:
            failure = first_of(error)
        self._trouble("project", failure)
        return failure

    async def _decide(self, look: Look, failure: str) -> None:
        now = self._clock.now()
        known = await asyncio.to_thread(self._slots.known)
        self._next = {line.key: self._next[line.key] for line in look.lines if line.key in self._next}
        # on a store that nobody scheduled from, what is there is no edit; later, an association that is new is one
        new = {line.key: "" if known else line.definition for line in look.lines if line.key not in known}
        if new:
            await asyncio.to_thread(self._slots.remember, new, now)
        claims, behind = [], []
        for line in look.lines:
            last = known[line.key].last if line.key in known else now.replace(microsecond=0)
            if line.timing is None:
                continue
            if last - now > BEHIND:
                behind.append(line.association)
            settled = self._timings.get(line.key) is line.timing and line.key in self._next and last <= now
            upcoming = self._next.get(line.key)
            if settled and (upcoming is None or upcoming > now):
                continue
            decision = decide(line.association, line.timing, last, now, missed=look.missed)
            self._timings[line.key] = line.timing
            self._next[line.key] = next_fire(line.timing, max(now, last))
            if decision.last != last:
                run = tuple(slot.scheduled for slot in decision.run)
                missed = tuple(slot.scheduled for slot in decision.missed)
                claims.append(Claim(*line.key, last, decision.last, run, missed, decision.more_missed))
        self._trouble("clock", _behind(behind))
        ours, passed = await asyncio.to_thread(self._slots.claim, claims, self._process) if claims else ([], [])
        if not failure:
            ours += await self._edited(look, {**{key: Known(now, text) for key, text in new.items()}, **known}, now)
        for one in passed:
            self._warn(_told(one))
        self._show_next(look)
        if failure and ours:
            await self._end([(slot, "failed", f"the project cannot be read: {failure}") for slot in ours])
            self.codes.append(4)
        else:
            self._due += ours

    async def _edited(self, look: Look, known: Mapping[Key, Known], now: datetime) -> list[Claimed]:
        """Slots for associations that are other than they were when somebody looked last.

        Whoever has seen no other definition than this one asks for nothing: two controllers with different files do not take turns.
        """
        found = []
        for line in look.lines:
            name, definition = line.association, line.definition
            if line.variant or self._definitions.get(name) == definition:
                continue
            self._definitions[name] = definition
            if known[line.key].definition == definition:
                continue
            run = not line.only_at_schedule
            slot = await asyncio.to_thread(self._slots.claim_edit, name, definition, now, self._process, run=run)
            if slot is not None:
                found.append(slot)
            elif run:
                del self._definitions[name]  # it may be busy: the next look asks again
        return found

    def _show_next(self, look: Look) -> None:
        upcoming: dict[str, datetime] = {}
        for line in look.lines:
            moment = self._next.get(line.key)
            if moment is not None:
                upcoming[line.association] = min(moment, upcoming.get(line.association, moment))
        self.health.next = {name: text_of(moment) for name, moment in sorted(upcoming.items())}

    # --- where it runs, and when each host begins

    async def start(self) -> None:
        """Place what was claimed, and begin with the hosts whose moment has come."""
        fresh = [slot for slot in self._due if not self._is_busy(slot)]
        fresh = list({(slot.association, slot.variant): slot for slot in reversed(fresh)}.values())[::-1]
        if fresh:
            await self._place(fresh)
        if self._stopping:
            return
        moment = self._clock.monotonic() + SOON_S
        parts = [(one.slot, host) for one in self._open.values() for host, at in one.waiting.items() if at <= moment]
        for slot, host in parts:
            one = self._open[slot.key]
            del one.waiting[host]
            one.working.add(host)
        for job in jobs_of(parts, self._concerned):
            cancel = Cancel()
            task = asyncio.create_task(self._work(job, cancel))
            self._tasks[task] = cancel
            task.add_done_callback(self._done)
        self._show_running()

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(task, None)
        self._wake.set()

    def _is_busy(self, slot: Claimed) -> bool:
        return any(
            one.slot.association == slot.association and one.slot.variant == slot.variant for one in self._open.values()
        )

    async def _place(self, slots: Sequence[Claimed]) -> None:
        self._due = [slot for slot in self._due if slot not in slots]
        try:
            placed, concerned = await asyncio.to_thread(self._runs.place, slots)
        except StatectlError as error:
            await self._end([(slot, "failed", first_of(error)) for slot in slots])
            self.codes.append(error.exit_code)
            return
        self._concerned = {**self._concerned, **concerned}
        now, moment = self._clock.now(), self._clock.monotonic()
        await self._end([(one.slot, "done", "no hosts") for one in placed if not one.hosts])
        for one in placed:
            if not one.hosts:
                continue
            # of a slot that is late the delays have gone by; a clock that went back meanwhile makes nobody wait for it
            since = max(0.0, (now - one.slot.scheduled).total_seconds())
            waiting = {
                host: moment + max(0.0, delay_s(one.slot.association, host, one.jitter_s) - since) for host in one.hosts
            }
            self._open[one.slot.key] = _Open(one.slot, moment, waiting)

    def _until_next(self, *, once: bool) -> float:
        """Seconds to wait; `once`: nothing else becomes due."""
        if self._due and not self._open:
            return 0.0
        waits = [LOOK_S]
        now, moment = self._clock.now(), self._clock.monotonic()
        waits += [(at - now).total_seconds() for at in self._next.values() if at is not None and not once]
        waits += [at - moment for one in self._open.values() for at in one.waiting.values()]
        return max(0.0, min(waits))

    # --- runs

    async def _work(self, job: Job, cancel: Cancel) -> None:
        run_id = new_id()
        began = self._clock.monotonic()
        hosts: Mapping[str, tuple[str, str]] = {}
        try:
            await asyncio.to_thread(self._slots.begin, job.slots, run_id)
            for slot in job.slots:
                mine = sum(host in self._open[slot.key].working for host in job.hosts)
                self._say(f"{slot.id}  {'edited' if slot.cause == 'edit' else 'due'}: run {run_id} on {_hosts(mine)}")
            ended = await self._runs.run(job, run_id, cancel)
            hosts = ended.hosts
            self.codes.append(ended.code)
        except StatectlError as error:
            hosts = dict.fromkeys(job.hosts, ("failed", first_of(error)))
            self.codes.append(error.exit_code)
        except Exception as error:  # noqa: BLE001 - a bug in one run must not end the others; it is told whole
            self._warn(traceback.format_exc())
            hosts = dict.fromkeys(job.hosts, ("failed", f"internal error: {type(error).__name__}"))
            self.codes.append(1)
        self.health.last_run_s = self._clock.monotonic() - began
        stopped = cancel.requested.is_set()
        ends = [self._hosts_ended(slot, job.hosts, hosts, stopped=stopped) for slot in job.slots]
        await self._end([end for end in ends if end is not None])

    def _hosts_ended(
        self, slot: Claimed, of: Sequence[str], hosts: Mapping[str, tuple[str, str]], *, stopped: bool
    ) -> tuple[Claimed, str, str] | None:
        """The end of the slot, when these were its last hosts."""
        one = self._open[slot.key]
        for host in of:
            if host in one.working:
                one.working.discard(host)
                one.hosts[host] = hosts.get(host, ("not contacted", "the inventory no longer has it"))
        one.stopped = one.stopped or stopped
        if one.working or (one.waiting and not self._stopping):
            return None
        return slot, *verdict_of(one.hosts, stopped=one.stopped or bool(one.waiting), left=len(one.waiting))

    async def _end(self, ends: Sequence[tuple[Claimed, str, str]]) -> None:
        """The last word on slots. A store that cannot take it is asked again; what it never hears, the next start calls interrupted."""
        if not ends:
            return
        try:
            await asyncio.to_thread(self._slots.end, ends)
        except StatectlError as error:
            self._unsaid += ends
            self._trouble("store", error.message)
        for slot, state, reason in ends:
            one = self._open.pop(slot.key, None)
            seconds = self._clock.monotonic() - one.began if one is not None else 0.0
            upcoming = self.health.next.get(slot.association)
            tell = self._say if state == "done" else self._warn
            following = f"next {upcoming}" if upcoming else "no next one"
            tell(f"{slot.id}  {state} in {seconds:.0f} s: {reason}; {following}")
        self._show_running()

    async def _say_again(self) -> None:
        if self._unsaid:
            await asyncio.to_thread(self._slots.end, self._unsaid)
            self._unsaid = []

    async def _give_back(self) -> None:
        """What was not begun when it was to stop."""
        ends = [(slot, "interrupted", "stopped before it began") for slot in self._due]
        self._due = []
        idle = [one for one in self._open.values() if not one.working]
        ends += [(one.slot, *verdict_of(one.hosts, stopped=True, left=len(one.waiting))) for one in idle]
        await self._end(ends)

    def _show_running(self) -> None:
        self.health.running = sorted({one.slot.id for one in self._open.values()})

    def _trouble(self, where: str, what: str) -> None:
        if what and self.health.problems.get(where) != what:
            self._warn(f"{where}: {what}")
        problems = {key: text for key, text in self.health.problems.items() if key != where}
        self.health.problems = {**problems, where: what} if what else problems


def _told(passed: Passed) -> str:
    return f"{passed.association}@{text_of(passed.scheduled)}  {passed.state}: {passed.reason}"


def _behind(associations: Sequence[str]) -> str:
    if not associations:
        return ""
    more = f" and {len(associations) - 1} more" if associations[1:] else ""
    return f"the clock is over an hour behind what was decided last of {associations[0]}{more}; nothing of them is due before that"


def _hosts(count: int) -> str:
    return f"{count} host{'s' * (count != 1)}"
