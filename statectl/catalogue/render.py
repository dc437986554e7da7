"""The parent's side of rendering: expressions and templates in, values or located failures out.

Everything is rendered in one child process (`child/`) that is started once and kept. An expression is sent once; one whose names
mean the same on many hosts is rendered once for all of them. A child that hangs, dies or grows too large is replaced, and only
the job that did it fails.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from statectl.catalogue.child import wire
from statectl.catalogue.templates import Jail, TemplateRefused
from statectl.project.scalars import Expression
from statectl.secrets import Secret

HOST_NAMES = frozenset({"facts", "host"})  # different on every host
FUNCTIONS = frozenset({"hosts", "param", "secret"})
RESERVED = HOST_NAMES | FUNCTIONS | {"inputs", "item"}
MEMORY = 256 * 1024 * 1024  # bytes that the child may use above its start
REPLACE_ABOVE = 128 * 1024 * 1024  # between two batches a larger child gives way to a fresh one
PATIENCE_S = 2.0  # the child stops a job by itself; this much later we stop the child
BATCH = 2000  # jobs sent at once


class LazySecret(Protocol):
    """A secret that is fetched only when a catalogue needs it."""

    label: str

    def resolve(self) -> Secret: ...


class Failure(NamedTuple):
    """Why something has no value. `report` is the child's: code, summary, label, line, find, root, used_by."""

    report: Mapping[str, Any]


class Unknown(NamedTuple):
    """It depends on facts or probes that are not there before the host is contacted."""


class SecretParts(NamedTuple):
    """Text with secrets: pieces of text, and numbers of the renderer's register of secrets."""

    parts: tuple[str | int, ...]


UNKNOWN = Unknown()


class FoundHost(NamedTuple):
    """One host as `hosts()` in a template sees it. `variables`: name to raw value; `facts` None: never contacted."""

    host: Mapping[str, Any]  # name, address, groups, tags
    variables: Mapping[str, Any]
    facts: Mapping[str, Any] | None
    facts_at: str


@dataclass(slots=True, eq=False)
class HostNames:
    """What is one host's own. `facts` None: not known yet. `probes`: name -> {ok, value | reason}, None: not known yet."""

    number: int
    host: Mapping[str, Any]
    facts: str | None


@dataclass(slots=True, eq=False)
class Scope:
    """The names of one association on one host: variable name to the number of its registered value."""

    number: int
    host: HostNames
    names: Mapping[str, int]
    probes: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Job:
    """Sources to be rendered in one scope with the same local names; `outcomes` has one entry for each afterwards."""

    scope: Scope
    sources: tuple[int, ...]
    names: Mapping[str, Any] | None = None  # item, inputs: rendered values
    names_key: str = ""  # equal for equal `names`
    outcomes: list[Any] = field(default_factory=list)
    memo: Any = None  # key under which outcomes are kept for other hosts; None: they are this host's own


class _ChildLost(Exception):
    """The child hung or ended. `why` ends as a problem's text when one job alone is to blame."""

    def __init__(self, why: str, done: int) -> None:
        super().__init__(why)
        self.why = why
        self.done = done


def no_parameters(what: str) -> Callable[[str], Any]:
    def refuse(name: str) -> Any:  # noqa: ARG001
        raise TemplateRefused(
            "E210",
            f"{what}() needs a parameter store, and this project has none",
            "give the variable a value_from: env:NAME, file:PATH or cmd:…",
        )

    return refuse


class Renderer:
    """One per command. Close it, or use it as a context manager."""

    def __init__(
        self,
        root: Path,
        *,
        job_s: float = 5.0,
        memory: int = MEMORY,
        parameter: Callable[[str], Any] | None = None,
        secret: Callable[[str], Any] | None = None,
    ) -> None:
        self.jail = Jail(root)
        self._job_s = job_s
        self._memory = memory
        self._answers: dict[str, Callable[[str], Any]] = {
            "template": self.jail.read,
            "param": parameter or no_parameters("param"),
            "secret": secret or no_parameters("secret"),
        }
        self._hosts: Callable[[str], Sequence[FoundHost]] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        # registers; an object's place in one is its number in the protocol, and the register keeps it alive so that ids stay true
        self._expressions: list[tuple[str, str, Any]] = []  # kind, source, Expression or None
        self._expression_numbers: dict[Any, int] = {}
        self._variables: list[
            tuple[Any, str, tuple[int, ...], tuple[int, ...]]
        ] = []  # value, JSON, expressions in it, secrets in it
        self._variable_numbers: dict[int, int] = {}
        self.secrets: list[Secret | LazySecret] = []
        self._secret_numbers: dict[int, int] = {}
        self._next_scope = self._next_host = 0
        self._free: dict[int, dict[str, Any] | Failure] = {}
        self._free_of_variable: dict[int, frozenset[str]] = {}
        self._memo: dict[Any, tuple[list[Any], list[str]]] = {}
        self._forget_sent()
        self.hosts_asked: list[str] = []  # by hosts() in the jobs of the last run()

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        continue  # unsent bytes of a child that is gone
        self._forget_sent()

    def _forget_sent(self) -> None:
        self._sent_expressions: set[int] = set()
        self._sent_variables: set[int] = set()
        self._sent_secrets = 0
        self._sent_hosts: set[int] = set()
        self._sent_scopes: set[int] = set()
        self._dropped: tuple[list[int], list[int]] = ([], [])

    # Registers

    def source(self, kind: str, what: Expression | str) -> int:
        """The number of an expression (kind value or condition), or of a template by its path in the project (kind template)."""
        key = (kind, what) if isinstance(what, str) else (kind, id(what))
        number = self._expression_numbers.get(key)
        if number is None:
            number = len(self._expressions)
            self._expression_numbers[key] = number
            text = what if isinstance(what, str) else what.source
            self._expressions.append((kind, text, what if isinstance(what, Expression) else None))
        return number

    def expression(self, number: int) -> Expression | None:
        return self._expressions[number][2]

    def template_path(self, number: int) -> str:
        """The template that a source is, '' when it is an expression."""
        kind, text, _ = self._expressions[number]
        return text if kind == "template" else ""

    def _variable(self, value: Any) -> int:
        number = self._variable_numbers.get(id(value))
        if number is None:
            inside: list[int] = []
            hidden: list[int] = []

            def other(item: Any) -> Any:
                if isinstance(item, Expression):
                    inside.append(self.source("condition" if item.bare else "value", item))
                    return {"$x": inside[-1]}
                if isinstance(item, str):
                    return str.__str__(item)
                if isinstance(item, SecretParts):
                    hidden.extend(part for part in item.parts if isinstance(part, int))
                    return {"$parts": list(item.parts)}
                if isinstance(item, Mapping):
                    return wire.encode(dict(item), other)
                if isinstance(item, list | tuple):
                    return wire.encode(list(item), other)
                if isinstance(item, bool | int | float):
                    return item
                hidden.append(self.secret_number(item))
                return {"$s": hidden[-1]}

            text = json.dumps(wire.encode(value, other), separators=(",", ":"))
            number = len(self._variables)
            self._variable_numbers[id(value)] = number
            self._variables.append((value, text, tuple(inside), tuple(hidden)))
        return number

    def secret_number(self, secret: Any) -> int:
        number = self._secret_numbers.get(id(secret))
        if number is None:
            if not isinstance(secret, Secret) and not hasattr(secret, "resolve"):
                raise TypeError(f"a variable holds a {type(secret).__name__}")
            number = len(self.secrets)
            self._secret_numbers[id(secret)] = number
            self.secrets.append(secret)
        return number

    def answer_hosts(self, find: Callable[[str], Sequence[FoundHost]]) -> None:
        """Who answers `hosts()`. It raises TemplateRefused for targets that it does not understand."""
        self._hosts = find

    def host(self, host: Mapping[str, Any], facts: Mapping[str, Any] | None) -> HostNames:
        self._next_host += 1
        return HostNames(self._next_host, host, None if facts is None else json.dumps(facts, separators=(",", ":")))

    def scope(self, host: HostNames, names: Mapping[str, Any], probes: Mapping[str, Any]) -> Scope:
        """`names`: variable to raw value; `probes`: those of the association, None where not known yet."""
        self._next_scope += 1
        return Scope(self._next_scope, host, {name: self._variable(value) for name, value in names.items()}, probes)

    def drop(self, scopes: Iterable[Scope]) -> None:
        """These scopes and their hosts are not needed any more."""
        for scope in scopes:
            if scope.number in self._sent_scopes:
                self._sent_scopes.discard(scope.number)
                self._dropped[0].append(scope.number)
            if scope.host.number in self._sent_hosts:
                self._sent_hosts.discard(scope.host.number)
                self._dropped[1].append(scope.host.number)

    # Rendering

    def run(self, jobs: Sequence[Job]) -> list[str]:
        """Fill the outcomes of all jobs. Gives the targets that `hosts()` was asked for on the way."""
        self.hosts_asked = []
        self._analyse(number for job in jobs for number in job.sources)
        waiting: list[Job] = []
        same: dict[Any, list[Job]] = {}
        for job in jobs:
            failed = [self._free[number] for number in job.sources if isinstance(self._free[number], Failure)]
            if failed and len(job.sources) == 1:
                job.outcomes = failed
                continue
            job.memo = self._memo_key(job)
            if job.memo is None:
                waiting.append(job)
            elif job.memo in self._memo:
                job.outcomes, asked = self._memo[job.memo]
                self.hosts_asked += [targets for targets in asked if targets not in self.hosts_asked]
            elif job.memo in same:
                same[job.memo].append(job)
            else:
                same[job.memo] = [job]
                waiting.append(job)
        for start in range(0, len(waiting), BATCH):
            self._render(waiting[start : start + BATCH])
        for key, group in same.items():
            self._memo[key] = (group[0].outcomes, list(self.hosts_asked) if key[0] else [])
            for job in group[1:]:
                job.outcomes = group[0].outcomes
        return self.hosts_asked

    def free_names(self, number: int) -> Mapping[str, Any] | None:
        """{names, soft, open} of a source already rendered or analysed; None when its syntax is wrong."""
        found = self._free.get(number)
        return None if found is None or isinstance(found, Failure) else found

    def _analyse(self, numbers: Iterable[int]) -> None:
        """Learn which names the sources need, so that equal renderings are found."""
        todo = list(dict.fromkeys(number for number in numbers if number not in self._free))
        while todo:
            nobody = Scope(0, HostNames(0, {}, None), {}, {})
            jobs = [Job(nobody, (number,)) for number in todo]
            self._render(jobs, what="names")
            for number, job in zip(todo, jobs, strict=True):
                outcome = job.outcomes[0]
                if isinstance(outcome, Failure) and outcome.report["code"] == "E204":
                    outcome = {"names": [], "soft": [], "open": True}  # an include that may stand in a branch not taken
                self._free[number] = outcome
            todo = []

    def _names_of_variable(self, number: int) -> frozenset[str]:
        known = self._free_of_variable.get(number)
        if known is None:
            inside = self._variables[number][2]
            self._analyse(inside)
            names: set[str] = set()
            for source in inside:
                free = self._free[source]
                if not isinstance(free, Failure):
                    names.update(free["names"])
            known = self._free_of_variable[number] = frozenset(names)
        return known

    def _memo_key(self, job: Job) -> Any:
        """Equal for jobs that must have equal outcomes, whatever the host; None when the outcome is the host's own."""
        todo: list[str] = []
        for number in job.sources:
            free = self._free[number]
            if isinstance(free, Failure):
                continue
            if free["open"]:
                return None
            todo += free["names"]
        scope, local = job.scope, job.names or {}
        seen: dict[str, int] = {}
        asks = False
        while todo:
            name = todo.pop()
            if name in seen or name in local:
                continue
            if name in HOST_NAMES or name in scope.probes:
                return None
            if name in FUNCTIONS:
                asks = asks or name == "hosts"
                continue
            number = scope.names.get(name, -1)
            seen[name] = number
            if number >= 0 and self._variables[number][2]:
                # what a variable refers to never sees item or inputs, so a name hidden by a local one is looked at again
                for inner in self._names_of_variable(number):
                    if inner in local:
                        return None
                    todo.append(inner)
        return (asks, job.sources, job.names_key, tuple(sorted(seen.items())))

    def _render(self, jobs: Sequence[Job], what: str = "render") -> None:
        done = 0
        single = False
        while done < len(jobs):
            rest = jobs[done:]
            if single:
                rest = rest[:1]
                done += self._one_by_one(rest[0], what)
                single = done < len(jobs) and self._process is None
                continue
            try:
                self._exchange(rest, what)
                return
            except _ChildLost as lost:
                self.close()
                done += lost.done
                single = True

    def _one_by_one(self, job: Job, what: str) -> int:
        """The job that a child was lost over, source by source in a fresh one: the guilty source is named, the others get values."""
        job.outcomes = []
        for number in job.sources:
            alone = Job(job.scope, (number,), job.names)
            try:
                self._exchange([alone], what)
                job.outcomes += alone.outcomes
            except _ChildLost as lost:
                self.close()
                kind, text, _ = self._expressions[number]
                report = {
                    "code": "E205",
                    "summary": lost.why,
                    "eid": number,
                    "line": 1,
                    "find": [],
                    "used_by": [],
                    "template": text if kind == "template" else "",
                }
                job.outcomes.append(Failure(report))
                # on the next host it would cost the same time again
                self._free[number] = Failure(report)
        return 1

    def _exchange(self, jobs: Sequence[Job], what: str) -> None:
        """Send the jobs to the child, answer its questions, fill in outcomes. Raises _ChildLost."""
        process = self._child()
        assert process.stdin is not None
        assert process.stdout is not None
        request = self._definitions(jobs)
        request["jobs"] = [[what, job.scope.number, job.sources, self._encoded_names(job)] for job in jobs]
        request["single"] = len(jobs) == 1
        index = 0
        try:
            wire.write_frame(process.stdin, request)
            process.stdin.flush()
            for message in self._messages(process):
                if "bug" in message:
                    raise RuntimeError(f"the rendering process failed:\n{message['bug']}")
                if "ask" in message:
                    wire.write_frame(process.stdin, self._answer(message["ask"], message["argument"]))
                    process.stdin.flush()
                    continue
                for results in message["results"]:
                    jobs[index].outcomes = [self._outcome(*pair) for pair in results]
                    index += 1
                if message["done"]:
                    self.hosts_asked += [
                        targets for targets in message["hosts_asked"] if targets not in self.hosts_asked
                    ]
                    if message["memory"] > REPLACE_ABOVE:
                        self.close()
                    return
        except (BrokenPipeError, wire.WireError) as error:
            raise _ChildLost(f"rendering stopped: {error}", index) from None
        except _ChildLost as lost:
            raise _ChildLost(lost.why, index) from None

    def _messages(self, process: subprocess.Popen[bytes]) -> Iterator[Any]:
        """Frames of the child; silence longer than a job may last is the end of it."""
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        buffer = bytearray()
        while True:
            while (payload := wire.take_frame(buffer)) is not None:
                yield wire.decode(payload, self._tag)
            if not select.select([pipe], [], [], self._job_s + PATIENCE_S)[0]:
                raise _ChildLost(f"render took more than {self._job_s:g} s", 0)
            data = os.read(pipe, 1 << 20)
            if not data:
                raise _ChildLost(self._ending(process), 0)
            buffer += data

    def _tag(self, name: str, content: Any) -> Any:
        if name == "$parts" and all(type(part) in (str, int) for part in content):
            return SecretParts(tuple(content))
        raise wire.WireError("unknown tag")

    def _outcome(self, status: str, value: Any) -> Any:
        if status == "ok":
            return value
        return UNKNOWN if status == "unknown" else Failure(value)

    def _encoded_names(self, job: Job) -> Any:
        """item and inputs are rendered values: plain data and SecretParts."""

        def other(item: Any) -> Any:
            if isinstance(item, SecretParts):
                return {"$parts": list(item.parts)}
            if isinstance(item, str):
                return str.__str__(item)
            raise TypeError(f"a local name holds a {type(item).__name__}")

        return None if job.names is None else {name: wire.encode(value, other) for name, value in job.names.items()}

    def _definitions(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """What the child needs for these jobs and does not have."""
        scopes: list[Any] = []
        hosts: list[Any] = []
        variables: list[Any] = []
        needed: list[int] = [number for job in jobs for number in job.sources]
        for scope in {job.scope.number: job.scope for job in jobs if job.scope.number}.values():
            if scope.number not in self._sent_scopes:
                self._send_scope(scope, scopes, hosts, variables, needed)
        expressions = []
        for number in needed:
            if number not in self._sent_expressions:
                self._sent_expressions.add(number)
                expressions.append([number, *self._expressions[number][:2]])
        labels = [[number, self.secrets[number].label] for number in range(self._sent_secrets, len(self.secrets))]
        self._sent_secrets = len(self.secrets)
        (drop, drop_hosts), self._dropped = self._dropped, ([], [])
        return {
            "scopes": scopes,
            "hosts": hosts,
            "variables": variables,
            "expressions": expressions,
            "secrets": labels,
            "drop": drop,
            "drop_hosts": drop_hosts,
        }

    def _send_scope(
        self, scope: Scope, scopes: list[Any], hosts: list[Any], variables: list[Any], needed: list[int]
    ) -> None:
        self._sent_scopes.add(scope.number)
        if scope.host.number not in self._sent_hosts:
            self._sent_hosts.add(scope.host.number)
            hosts.append([scope.host.number, scope.host.host, scope.host.facts])
        for number in scope.names.values():
            if number not in self._sent_variables:
                self._sent_variables.add(number)
                variables.append([number, self._variables[number][1]])
                needed += self._variables[number][2]
        scopes.append(
            [scope.number, scope.host.number, scope.names, json.dumps(scope.probes) if scope.probes else None]
        )

    def _answer(self, what: str, argument: str) -> dict[str, Any]:
        try:
            if what == "hosts":
                return self._answer_hosts(argument)
            value = self._answers[what](argument)
            if isinstance(value, Secret) or hasattr(value, "resolve"):
                number = self.secret_number(value)
                return {**self._definitions([]), "ok": {"$s": number}}
            return {"ok": value}
        except TemplateRefused as refused:
            return {"error": [refused.code, refused.message, refused.hint]}

    def _answer_hosts(self, targets: str) -> dict[str, Any]:
        if self._hosts is None:
            raise TemplateRefused("E210", "hosts() needs an inventory")
        scopes: list[Any] = []
        hosts: list[Any] = []
        variables: list[Any] = []
        needed: list[int] = []
        answer = []
        for found in self._hosts(targets):
            scope = self.scope(self.host(found.host, found.facts), found.variables, {})
            self._send_scope(scope, scopes, hosts, variables, needed)
            answer.append([scope.host.number, scope.number, found.facts_at])
        more = self._definitions([])
        more["expressions"] = [
            [number, *self._expressions[number][:2]] for number in needed if number not in self._sent_expressions
        ]
        self._sent_expressions.update(needed)
        return {**more, "scopes": scopes, "hosts": hosts, "variables": variables, "ok": answer}

    def _ending(self, process: subprocess.Popen[bytes]) -> str:
        code = process.wait(timeout=PATIENCE_S)
        return (
            "render used more than it may have of memory or time"
            if code < 0
            else f"the rendering process ended with {code}"
        )

    def _child(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            import jinja2
            import markupsafe

            homes = dict.fromkeys(
                str(Path(str(file)).parents[depth])
                for file, depth in ((__file__, 2), (jinja2.__file__, 1), (markupsafe.__file__, 1))
            )
            start = f"import sys; sys.path += {list(homes)!r}; from statectl.catalogue.child.serve import main; main()"
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", start, str(self._memory), str(self._job_s)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd="/",
                env={},
                stderr=subprocess.DEVNULL,
                close_fds=True,
                start_new_session=True,
            )
            self.starts += 1
        return self._process
