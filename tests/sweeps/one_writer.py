"""Many controllers at one host: does ever one write while another does, and does a number ever fall?

    python -m tests.sweeps.one_writer --runs 1000      prints `1000 runs wrote, ... 0 wrong`

Executors are real processes with real locks, on one state directory. Each controller has a store of its own, that is: it knows
nothing of the others. Some executors are killed, some stopped by a signal and continued, some lose their channel, some are
cancelled from beside. Every write is noted by the host in a history, before and after:

    enter | leave, run counter, run, resource, hash before, hash after

which `judge` reads like a Jepsen checker; it knows nothing of locks and journals.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.onhost.executor_case import Controller, Ended

CONTROLLERS = 6
RESOURCES = ("a", "b", "c")
WHO = ("ana@laptop", "bob@desk", "ci@runner")
# chances of what becomes of a run that was told to go
FAULTS = (("killed", 0.08), ("stopped", 0.08), ("cut", 0.06), ("cancelled", 0.05))


class Wrong(AssertionError):
    """The history breaks a rule."""


class Witness(NamedTuple):
    """A file that is written in two halves with a pause between, and noted before and after."""

    name: str
    text: Any = None


class Line(NamedTuple):
    what: str  # enter | leave
    number: int
    run: str
    resource: str
    before: str
    after: str


@dataclass
class Told:
    """What the controllers saw."""

    acknowledged: set[tuple[str, str]] = field(default_factory=set)  # (run, resource) that an executor said is changed
    killed: set[str] = field(default_factory=set)  # runs whose executor was killed
    ends: Counter[str] = field(default_factory=Counter)


# -- the host ----------------------------------------------------------------------------------------------------------


def prepare(history: Path) -> None:
    """The type of resource that only this sweep has, and the number of the run that is under way."""
    from statectl.onhost import memory

    number = [0, ""]
    begin = memory.Memory.begin

    def noted(self: Any, run: str, *rest: Any) -> int:
        number[:] = [begin(self, run, *rest), run]
        return int(number[0])

    memory.Memory.begin = noted  # type: ignore[assignment, method-assign]
    module = types.ModuleType("statectl.onhost.resources.witness")

    def read(_: Any, wanted: Any) -> dict[str, Any]:
        return {
            want.name: Witness(want.name, _text(want.name)) if os.path.exists(want.name) else None for want in wanted
        }

    def apply(_: Any, want: Any, *__: Any) -> None:
        before = _hash(_text(want.name))
        _note(history, "enter", *number, want.name, before, "")
        with open(want.name, "w") as stream:
            stream.write(want.text[: len(want.text) // 2])
            stream.flush()
            time.sleep(random.uniform(0, 0.01))
            stream.write(want.text[len(want.text) // 2 :])
        _note(history, "leave", *number, want.name, before, _hash(_text(want.name)))

    module.__dict__.update(Desired=Witness, OPTIONS=(), read=read, apply=apply, removal=lambda _: None)
    sys.modules[module.__name__] = module


def _text(path: str) -> str:
    try:
        with open(path) as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _note(history: Path, *words: Any) -> None:
    """One line in one write: O_APPEND keeps the order in which it happened."""
    fd = os.open(history, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, (json.dumps(words) + "\n").encode())
    os.close(fd)


# -- one controller ----------------------------------------------------------------------------------------------------


class Racing:
    """One of several controllers, a process of its own; what it was told it writes to a file."""

    def __init__(self, place: Path, name: int, seed: int) -> None:
        self._place = place
        self._name = name
        self._random = random.Random(seed * 1000 + name)
        self._who = WHO[name % len(WHO)]
        self._runs = 0

    def run(self, enough: Callable[[], bool]) -> None:
        with open(self._place / f"told-{self._name}", "w") as told:
            while not enough():
                self._runs += 1
                json.dump(self._one(f"R{self._name}-{self._runs}"), told)
                told.write("\n")
                told.flush()

    def order(self, run: str, kind: str, **more: Any) -> Controller:
        controller = Controller()
        state_dir = str(self._place / "state")
        message = {"type": "order", "run": run, "host": "web01", "kind": kind, "state_dir": state_dir}
        controller.send({**message, "controller": self._who, **more})
        return controller

    def _one(self, run: str) -> dict[str, Any]:
        """-> {"run", "end", "changed": [resources], "fault"}"""
        timeout = self._random.choice((0, 0, 0.5, 5))
        number = self._random.choice((0, 0, 1, 7))  # an old number must do no harm
        controller = self.order(
            run, "apply", lock_timeout_s=timeout, seen={"host_id": "of another host", "number": number}
        )
        said: dict[str, Any] = {"run": run, "end": "lost", "changed": [], "fault": ""}
        try:
            try:
                self._converse(controller, run, said)
            except (Ended, BrokenPipeError):
                said["end"] = "killed" if said["fault"] == "killed" else "lost"
        finally:
            self._leave(controller)
        return said

    def _converse(self, controller: Controller, run: str, said: dict[str, Any]) -> None:
        message = controller.until("ready", "end")
        if message["type"] == "ready":
            kept = message["memory"]["undelivered"]
            said["taken"] = [
                (one["run"], [entry["address"] for entry in one["results"] if entry["outcome"] == "changed"])
                for one in kept
            ]
            said["torn"] = [one["run"] for one in kept if any(each["outcome"] == "unknown" for each in one["results"])]
            controller.send(self._catalogue(run))
            message = controller.until("planned", "end")
        if message["type"] == "planned":
            controller.send({"type": "go", "plan_id": None, "observed": {}})
            said["fault"] = self._fault()
            self._do(controller, run, said["fault"])
            if said["fault"] == "cut":
                return
            message = controller.until("end")
        said["end"] = message["outcome"] + message.get("code", "")
        if message.get("code") == "E501":
            holder = message.get("holder") or {}
            said["named"] = all(holder.get(key) for key in ("controller", "run", "pid", "since"))
        said["changed"] = [one["address"] for one in controller.of("result") if one["outcome"] == "changed"]
        controller.send({"type": "ack", "runs": [run, *(name for name, _ in said.get("taken", ()))]})

    def _fault(self) -> str:
        drawn = self._random.random()
        for name, chance in FAULTS:
            if drawn < chance:
                return name
            drawn -= chance
        return ""

    def _do(self, controller: Controller, run: str, fault: str) -> None:
        time.sleep(self._random.uniform(0, 0.4) if fault else 0)
        if fault == "killed":
            os.kill(controller.pid, signal.SIGKILL)
        elif fault == "stopped":
            os.kill(controller.pid, signal.SIGSTOP)
            time.sleep(self._random.uniform(0.05, 0.5))
            os.kill(controller.pid, signal.SIGCONT)
        elif fault == "cancelled":
            beside = self.order(run + "-x", "cancel", about=run, wait_s=5)
            try:
                beside.until("end")
            except (Ended, BrokenPipeError):
                raise Wrong(f"the request to cancel {run} was not answered") from None
            finally:
                self._leave(beside)

    def _leave(self, controller: Controller) -> None:
        controller.hang_up()
        controller.wait()

    def _catalogue(self, run: str) -> dict[str, Any]:
        return {
            "type": "catalogue",
            "format": 1,
            "host": "web01",
            "associations": [{"name": "web"}],
            "resources": [
                {
                    "address": f"witness:{self._place}/{name}",
                    "type": "witness",
                    "association": "web",
                    "phase": 5,
                    "want": {"name": f"{self._place}/{name}", "text": f"{run} {name} " * 50},
                }
                for name in RESOURCES
            ],
        }


# -- the judge ---------------------------------------------------------------------------------------------------------


def judge(lines: list[Line], told: Told) -> None:
    """Raises Wrong with the first line that breaks a rule."""
    numbers: dict[int, str] = {}
    last = 0
    inside: Line | None = None  # entered and not left
    content: dict[str, str] = {}  # resource: hash of what was left there
    left = set()
    for place, line in enumerate(lines, 1):
        where = f"line {place} of the history ({line.what} {line.number} {line.run} {line.resource})"
        if line.number < last:
            raise Wrong(f"{where}: a run with number {last} had begun to write before")
        if numbers.setdefault(line.number, line.run) != line.run:
            raise Wrong(f"{where}: the number was run {numbers[line.number]}'s")
        if inside is not None and line.what == "enter" and inside.run not in told.killed:
            raise Wrong(f"{where}: {inside.run} was still writing {inside.resource}")
        if line.what == "leave":
            if inside is None or (inside.run, inside.resource) != (line.run, line.resource):
                raise Wrong(f"{where}: it did not enter, or another did since")
            content[line.resource] = line.after
            left.add((line.run, line.resource))
            inside = None
        else:
            torn = inside is not None and inside.resource == line.resource
            if not torn and content.get(line.resource, line.before) != line.before:
                raise Wrong(f"{where}: it was not found as the last writer left it")
            if inside is not None:
                content.pop(inside.resource, None)  # its writer was killed in the middle
            inside = line
        last = line.number
    missing = told.acknowledged - left
    if missing:
        raise Wrong(f"acknowledged, and not in the history of the host: {sorted(missing)[:3]}")
    known = {run for run, _ in told.acknowledged} | told.killed
    unknown = {run for run, _ in left} - known
    if unknown:
        raise Wrong(
            f"the host changed something in these runs, and no controller ever heard of it: {sorted(unknown)[:3]}"
        )


def read_history(path: Path) -> list[Line]:
    if not path.exists():
        return []
    return [Line(*json.loads(line)) for line in path.read_text().splitlines()]


def read_told(place: Path) -> Told:
    told = Told()
    for path in place.glob("told-*"):
        for text in path.read_text().splitlines():
            said = json.loads(text)
            run = said["run"]
            told.ends[said["end"]] += 1
            told.ends.update(["fault " + said["fault"]] if said["fault"] else [])
            if said.get("named") is False:
                raise Wrong(f"run {run} was refused, and not told who holds the host, which run, and since when")
            if said["fault"] == "killed":
                told.killed.add(run)
            told.killed.update(said.get("torn", ()))  # ended in the middle, and handed over as unknown
            for owner, addresses in [(run, said["changed"]), *said.get("taken", ())]:
                # what was killed in the middle is handed over as unknown: it may or may not stand in the history
                if owner not in told.killed:
                    told.acknowledged |= {(owner, address.partition(":")[2]) for address in addresses}
    told.acknowledged = {entry for entry in told.acknowledged if entry[0] not in told.killed}
    return told


# -- the sweep ---------------------------------------------------------------------------------------------------------


def race(place: Path, runs: int, seed: int, controllers: int = CONTROLLERS) -> tuple[list[Line], Told]:
    """Until so many runs have written. Raises Wrong."""
    history = place / "history"
    prepare(history)

    def enough() -> bool:
        return len({line.number for line in read_history(history)}) >= runs

    children = []
    for name in range(controllers):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                Racing(place, name, seed).run(enough)
                code = 0
            except BaseException:  # noqa: BLE001  the traceback is the answer, and this child must not run on
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            finally:
                os._exit(code)
        children.append(pid)
    failed = [pid for pid in children if os.waitpid(pid, 0)[1]]
    if failed:
        raise Wrong(f"{len(failed)} controllers ended with an error")
    _last_contact(place)
    lines, told = read_history(history), read_told(place)
    judge(lines, told)
    return lines, told


def _last_contact(place: Path) -> None:
    """What nobody has fetched yet is fetched: a result is never lost."""
    with open(place / "told-last", "w") as stream:
        said = Racing(place, 99, 0)._one("R99-1")
        while said["end"] != "applied":
            json.dump(said, stream)
            stream.write("\n")
            said = Racing(place, 99, int(time.time()))._one(f"R99-{time.monotonic_ns()}")
        json.dump(said, stream)
        stream.write("\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="runs that write")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--directory", type=Path, default=None, help="where to make the host; a temporary one otherwise"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="statectl-one-writer-", dir=given.directory) as directory:
        began = time.monotonic()
        try:
            lines, told = race(Path(directory).resolve(), given.runs, given.seed)
        except Wrong as wrong:
            print(f"WRONG (seed {given.seed}): {wrong}")
            return 1
        ends = ", ".join(f"{count} {word}" for word, count in sorted(told.ends.items()))
        numbers = {line.number for line in lines}
        print(
            f"{len(numbers)} runs wrote, {len(lines)} lines of history, numbers {min(numbers)} to {max(numbers)}, 0 wrong"
            f" (seed {given.seed}, {time.monotonic() - began:.0f} s; {ends})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
