"""The loop of the child: define, render, answer; under limits that the kernel keeps."""

import codecs
import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from types import FrameType
from typing import Any, BinaryIO

import jinja2.debug  # noqa: F401 jinja imports it when an error is raised, and then no file can be opened any more

from statectl.catalogue.child import wire
from statectl.catalogue.child.environment import Sandbox, encode_result
from statectl.catalogue.child.failures import Answer, Located, TooSlow, locate
from statectl.catalogue.child.scope import HostRecord, Scope
from statectl.catalogue.child.values import NotYetKnown

FLUSH_S = 0.2  # results wait at most so long before they are sent, so that the parent sees progress
MAX_WAITING = 200


class Child:
    def __init__(self, source: BinaryIO, sink: BinaryIO, job_s: float) -> None:
        self._in = source
        self._out = sink
        self._job_s = job_s
        self._env = Sandbox(self._ask)
        self._hosts: dict[int, HostRecord] = {}
        self._scopes: dict[int, Scope] = {}
        self._waiting: list[Any] = []
        self._flushed = time.monotonic()
        self._statm = os.open("/proc/self/statm", os.O_RDONLY)
        self.at_start = self.memory()
        signal.signal(signal.SIGPROF, self._too_long)

    def memory(self) -> int:
        """Bytes of address space in use."""
        return int(os.pread(self._statm, 100, 0).split()[0]) * resource.getpagesize()

    def serve(self) -> None:
        while True:
            request = wire.read_frame(self._in, self._env.tag)
            if request is None:
                return
            self._define(request)
            self._more_cpu()
            for job in request["jobs"]:
                self._env.asked = []
                self._waiting.append([self._job(job), self._env.asked])
                if (
                    request["careful"]
                    or len(self._waiting) >= MAX_WAITING
                    or time.monotonic() - self._flushed > FLUSH_S
                ):
                    self._flush()
            self._flush(done=True)

    def _define(self, request: dict[str, Any]) -> None:
        for number in request.get("drop", ()):
            self._scopes.pop(number, None)
        for number in request.get("drop_hosts", ()):
            self._hosts.pop(number, None)
        for number, label in request.get("secrets", ()):
            self._env.define_secret(number, label)
        for eid, kind, text, base in request.get("sources", ()):
            self._env.define(eid, kind, text, base)
        for number, text in request.get("variables", ()):
            self._env.define_variable(number, wire.decode(text, self._env.tag))
        for number, host, facts in request.get("hosts", ()):
            self._hosts[number] = HostRecord(host, facts)
        for number, host, names, probes in request.get("scopes", ()):
            self._scopes[number] = Scope(self._env, names, self._hosts.get(host), probes)

    def _job(self, job: list[Any]) -> Any:
        """[what, scope, [eid], names] to the list of [status, value] of its expressions, or its report."""
        what, number, eids, names = job
        results: list[Any] = []
        for eid in eids:
            result: list[Any] = []
            try:
                with self._timed():
                    result = self._result(what, number, eid, names or {})
            except TooSlow as slow:
                # its time was over while a failure of it was being located, or in the moment of its end
                result = result or ["error", _report(locate(slow, self._env, eid))]
            results.append(result)
        return results

    def _result(self, what: str, number: int, eid: int, names: dict[str, Any]) -> list[Any]:
        try:
            if what == "names":
                return ["ok", self._env.free_names(eid)]
            return ["ok", self._encoded(self._env.evaluate(eid, self._scopes[number], names), eid)]
        except Located as failure:
            return ["error", failure.report]
        except NotYetKnown:
            return ["unknown", None]

    def _encoded(self, value: Any, eid: int) -> Any:
        try:
            return encode_result(value)
        except NotYetKnown:
            raise
        except Exception as error:  # noqa: BLE001 a value that cannot be sent is a mistake of its expression
            raise locate(error, self._env, eid) from None

    @contextlib.contextmanager
    def _timed(self) -> Any:
        """Processor time, not the clock's: a busy machine must not make a good template fail."""
        signal.setitimer(signal.ITIMER_PROF, self._job_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _too_long(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        raise TooSlow(f"render took more than {self._job_s:g} s")

    def _more_cpu(self) -> None:
        """The kernel kills us when one stretch between two flushes eats far more than a job may, even if the parent is gone."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + self._job_s) + 5
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))

    def _flush(self, done: bool = False) -> None:
        memory = self.memory() - self.at_start if done else 0
        wire.write_frame(self._out, {"results": self._waiting, "done": done, "memory": memory})
        self._out.flush()
        self._waiting = []
        self._flushed = time.monotonic()
        self._more_cpu()

    def _ask(self, what: str, argument: str) -> Any:
        """A question to the parent in the middle of a job."""
        wire.write_frame(self._out, {"ask": what, "argument": argument})
        self._out.flush()
        answer = wire.read_frame(self._in, self._env.tag)
        if answer is None:
            raise SystemExit(0)
        if "error" in answer:
            raise Answer(*answer["error"])
        if "unknown" in answer:
            raise NotYetKnown
        self._define(answer)
        if what == "hosts":
            return [self._host_view(*found) for found in answer["ok"]]
        return answer["ok"]

    def _host_view(self, number: int, scope: int, at: str) -> dict[str, Any]:
        """What `hosts()` gives for one host. `vars` holds names of its own scope, rendered there when touched."""
        record = self._hosts[number]
        return {**record.host, "facts": record.facts(), "facts_at": at, "vars": self._scopes[scope].mapping()}


def _report(failure: Exception) -> dict[str, Any]:
    if isinstance(failure, Located):
        return failure.report
    raise failure


def restrict(limit: int) -> None:
    """After this nothing can be opened or written but what is open: the two pipes. `limit`: bytes of address space."""
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(1500)


def main() -> None:
    memory, job_s = int(sys.argv[1]), float(sys.argv[2])
    child = Child(sys.stdin.buffer, sys.stdout.buffer, job_s)
    for name in ("unicode_escape", "idna"):  # looked up by name on first use, when no file can be opened any more
        codecs.lookup(name)
    restrict(child.at_start + memory)
    try:
        child.serve()
    except Exception:  # noqa: BLE001 the parent shows it and stops: a bug here must not look like a fault of a template
        wire.write_frame(sys.stdout.buffer, {"bug": traceback.format_exc()})
        sys.stdout.buffer.flush()
