"""The parent's side of rendering: expressions and templates in, values or located failures out.

Everything is rendered in one child process (`child/`) that is started once and kept. An expression is sent once; one whose names
mean the same on many hosts is rendered once for all of them. A child that hangs, dies or grows too large is replaced, and only
the job that did it fails.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from statectl.catalogue.child_process import JOB_S, MEMORY, ChildLost, ChildProcess
from statectl.catalogue.register import Register, encoded_names
from statectl.catalogue.rendered import FUNCTIONS, HOST_NAMES, UNKNOWN, Failure, FoundHost, HostNames, Job, Scope
from statectl.catalogue.templates import Jail, NotLookedUp, TemplateRefused
from statectl.secrets import Secret

REPLACE_ABOVE = 128 * 1024 * 1024  # between two batches a larger child gives way to a fresh one
BATCH = 2000  # jobs sent at once
OWN_ROOM = 32 * 1024 * 1024  # characters of hosts' own outcomes that are kept from their first compiling to the next
NOBODY = Scope(0, HostNames(0, {}, None), {}, {})

Lookup = Callable[[str], Any]


def _not_looked_up(_: str) -> Any:
    raise NotLookedUp


class Renderer:
    """One per command. Close it, or use it as a context manager.

    `parameter` and `secret` answer `param()` and `secret()`; they raise TemplateRefused for what they do not have. Without them
    what needs a parameter waits.
    `child`: one that was started ahead, with the same `memory` and `job_s`.
    """

    def __init__(
        self,
        root: Path,
        *,
        job_s: float = JOB_S,
        memory: int = MEMORY,
        parameter: Lookup | None = None,
        secret: Lookup | None = None,
        child: ChildProcess | None = None,
    ) -> None:
        self.jail = Jail(root)
        self.register = Register()
        self.starts = 0  # of children
        self._job_s = job_s
        self._memory = memory
        self._lookups: dict[str, Lookup] = {
            "template": self.jail.read,
            "param": parameter or _not_looked_up,
            "secret": secret or _not_looked_up,
        }
        self._hosts: Callable[[str], Sequence[FoundHost]] | None = None
        self._child = child
        self._free: dict[int, dict[str, Any] | Failure] = {}
        self._free_of_variable: dict[int, frozenset[str]] = {}
        self._memo: dict[Any, tuple[list[Any], list[list[str]]]] = {}
        self._own: dict[Any, tuple[list[Any], list[list[str]]]] = {}  # what is one host's own: it is compiled twice
        self._room = OWN_ROOM

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child. The next job starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.close()
        self.register.forget_sent()

    def start(self) -> ChildProcess:
        """The child, started if there is none. It comes up while its caller does other things."""
        if self._child is None:
            self._child = ChildProcess(self._memory, self._job_s)
            self.starts += 1
        return self._child

    def answer_hosts(self, find: Callable[[str], Sequence[FoundHost]]) -> None:
        """Who answers `hosts()`. It raises TemplateRefused for targets that it does not understand."""
        self._hosts = find

    def run(self, jobs: Sequence[Job]) -> None:
        """Fill the outcomes of all jobs: values, Failure, or UNKNOWN."""
        self._analyse(number for job in jobs for number in job.sources)
        waiting: list[Job] = []
        same: dict[Any, list[Job]] = {}
        for job in jobs:
            failed = self._failed(job)
            if failed:
                job.outcomes = failed
                continue
            key = self._memo_key(job)
            if key is None:
                waiting.append(job)
            elif key in self._memo:
                job.outcomes, job.asked = self._memo[key]
            elif key in self._own:
                job.outcomes, job.asked = self._own.pop(key)
                self._room += _size(job.outcomes)
            elif key in same:
                same[key].append(job)
            else:
                same[key] = [job]
                waiting.append(job)
        for start in range(0, len(waiting), BATCH):
            self._render(waiting[start : start + BATCH])
        self._remember_slow(waiting)
        for key, group in same.items():
            first = group[0]
            if not key[3]:
                self._memo[key] = (first.outcomes, first.asked)
            elif (size := _size(first.outcomes)) <= self._room:
                self._room -= size
                self._own[key] = (first.outcomes, first.asked)
            for job in group[1:]:
                job.outcomes, job.asked = first.outcomes, first.asked

    def free_names(self, number: int) -> Mapping[str, Any] | None:
        """{names, soft, open} of a source that was rendered or analysed; None when its syntax is wrong."""
        found = self._free.get(number)
        return None if isinstance(found, Failure) else found

    # Which renderings are equal

    def _failed(self, job: Job) -> list[Any]:
        """The failures that are known before rendering: wrong syntax, or a source that has eaten its time before."""
        return [found for number in job.sources if isinstance(found := self._free[number], Failure)]

    def _remember_slow(self, jobs: Iterable[Job]) -> None:
        """What ran out of time fails at once on the next host: a thousand hosts must not wait a thousand times."""
        for job in jobs:
            for number, outcome in zip(job.sources, job.outcomes, strict=True):
                if isinstance(outcome, Failure) and outcome.report.get("slow"):
                    self._free[number] = outcome

    def _analyse(self, numbers: Iterable[int]) -> None:
        """Learn which names the sources need."""
        todo = list(dict.fromkeys(number for number in numbers if number not in self._free))
        for start in range(0, len(todo), BATCH):
            jobs = [Job(NOBODY, (number,)) for number in todo[start : start + BATCH]]
            self._render(jobs, what="names")
            for job in jobs:
                outcome = job.outcomes[0]
                if isinstance(outcome, Failure) and outcome.report["code"] == "E204":
                    outcome = {"names": [], "soft": [], "open": True}  # an include that may stand in a branch not taken
                self._free.setdefault(job.sources[0], outcome)

    def _names_of_variable(self, number: int) -> frozenset[str]:
        known = self._free_of_variable.get(number)
        if known is None:
            inside = self.register.variables[number].sources
            self._analyse(inside)
            free = [self._free[source] for source in inside]
            names = {name for one in free if not isinstance(one, Failure) for name in one["names"]}
            known = self._free_of_variable[number] = frozenset(names)
        return known

    def _memo_key(self, job: Job) -> Any:
        """Equal for jobs that must have equal outcomes; None when nobody knows. Its last part: the host, '' when it is any host's."""
        host = ""
        todo: list[str] = []
        for source in job.sources:
            free = self._free[source]
            if isinstance(free, Failure) or free["open"]:
                return None
            todo += free["names"]
        scope, local = job.scope, job.names or {}
        seen: dict[str, int] = {}
        while todo:
            name = todo.pop()
            if name in seen or name in local or name in FUNCTIONS:
                continue
            if name == "host":
                host = scope.host.host["name"]
                continue
            if name in HOST_NAMES or name in scope.probes:
                return None
            number = seen[name] = scope.names.get(name, -1)
            if number >= 0 and self.register.variables[number].sources:
                # a variable never sees item or inputs, and none can have these names
                todo += self._names_of_variable(number)
        return (job.sources, job.names_key, tuple(sorted(seen.items())), host)

    # Talking to the child

    def _render(self, jobs: Sequence[Job], what: str = "render") -> None:
        done, careful = 0, False
        while done < len(jobs):
            finished, lost = self._exchange(jobs[done:], what, careful=careful)
            done += finished
            if lost and careful:
                self._one_by_one(jobs[done], what)
                done += 1
            careful = bool(lost)  # results of fast jobs travel together: only job by job is it sure which one it was

    def _one_by_one(self, job: Job, what: str) -> None:
        """The job that a child was lost over, source by source, so that the guilty one is named and the others have values."""
        job.outcomes = []
        for number in job.sources:
            alone = Job(job.scope, (number,), job.names)
            _, lost = self._exchange([alone], what, careful=True)
            if lost:
                source = self.register.sources[number]
                template = source.text if source.kind == "template" else ""
                report = {"code": "E205", "summary": lost, "eid": number, "template": template, "slow": True}
                alone.outcomes = [Failure(report)]
            job.outcomes += alone.outcomes
            job.asked += alone.asked

    def _exchange(self, jobs: Sequence[Job], what: str, *, careful: bool) -> tuple[int, str]:
        """Have the child render; gives how many jobs have outcomes, and why there are no more ('' when all have)."""
        child = self.start()
        scopes = {job.scope.number: job.scope for job in jobs}.values()
        request = self.register.definitions(scopes, [number for job in jobs for number in job.sources])
        request["jobs"] = [[what, job.scope.number, job.sources, encoded_names(job)] for job in jobs]
        request["careful"] = careful
        index, memory = 0, 0
        try:
            for message in child.converse(request, self._answer):
                for outcomes, asked in message["results"]:
                    jobs[index].outcomes = [_outcome(*one) for one in outcomes]
                    jobs[index].asked = asked
                    index += 1
                memory = message["memory"]
        except ChildLost as lost:
            self.close()
            return index, str(lost)
        if memory > REPLACE_ABOVE:
            self.close()
        return index, ""

    def _answer(self, what: str, argument: str) -> dict[str, Any]:
        """A question of the child in the middle of a job."""
        try:
            if what == "hosts":
                return self._found_hosts(argument)
            value = self._lookups[what](argument)
        except TemplateRefused as refused:
            return {"error": [refused.code, refused.message, refused.hint]}
        except NotLookedUp:
            return {"unknown": True}
        if isinstance(value, Secret) or hasattr(value, "resolve"):
            number = self.register.secret(value)
            return {**self.register.definitions(()), "ok": {"$s": number}}
        return {"ok": value}

    def _found_hosts(self, targets: str) -> dict[str, Any]:
        if self._hosts is None:
            raise TemplateRefused("E218", "hosts() needs an inventory")
        scopes: list[Scope] = []
        answer = []
        for found in self._hosts(targets):
            scope = self.register.scope(self.register.host(found.host, found.facts), found.variables, {})
            scopes.append(scope)
            answer.append([scope.host.number, scope.number, found.facts_at])
        return {**self.register.definitions(scopes), "ok": answer}


def _outcome(status: str, value: Any) -> Any:
    if status == "ok":
        return value
    return UNKNOWN if status == "unknown" else Failure(value)


def _size(outcomes: Sequence[Any]) -> int:
    """About how many characters they hold."""
    return sum(len(one) if isinstance(one, str) else len(repr(one)) for one in outcomes)
