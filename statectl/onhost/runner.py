"""The conversation with one controller, from its order to our `end`.

state      what may come                         what follows
order      order
preparing  stop, cancel                          lock (apply), memory, facts, probes, `ready`; kinds facts, ping, run: done
ready      catalogue, secrets, ack, stop         catalogue, and the secrets it refers to: a verdict each, `planned`
planned    go, stop, ack, secrets                kinds plan and drift end without waiting for any of them
applying   cancel, ack, blobs that were asked    results; the channel may be lost without harm
ended      ack                                   results that were handed over are deleted

stop and cancel before `go`, and the loss of the channel before it, end the session with nothing written. After `go` the work
goes on without the channel, unless `cancel` came: then it stops at the next resource border. The result stays on the host
until a controller acknowledges it.
"""

import contextlib
import os
import signal
import sys
import time

from statectl.onhost.blobs import Blobs
from statectl.onhost.content import Content
from statectl.onhost.engine import Engine
from statectl.onhost.failure import Failed
from statectl.onhost.files import sweep
from statectl.onhost.host import Host
from statectl.onhost.lock import Busy, Lock, describe
from statectl.onhost.memory import Corrupt, Memory, default_state_dir, remove_flat
from statectl.onhost.protocol import ProtocolError
from statectl.onhost.redact import Redactor
from statectl.onhost.removal import shown
from statectl.onhost.wanted import Reader, secret_ids
from statectl.onhost.wire import Closed, TimedOut, Wire

ORDER_S = 60.0  # from our start to the order
DEADLINE_S = 3600.0  # of the whole session, when the order says nothing
ACK_S = 30.0  # from our end to the controller's ack
PLANNING = ("plan", "drift", "apply")


class End(Exception):
    """The session is over: what to say last."""

    def __init__(self, outcome, reason="", code="", counts=None):
        super(End, self).__init__(reason or outcome)
        self.outcome = outcome
        self.reason = reason
        self.code = code
        self.counts = counts or {}


def serve(receive_fd, send_fd, buffered=b""):
    """Serve one controller over two descriptors; `buffered`: bytes that were read from it already. -> exit code

    0: an `end` message was sent and the digest is in it; 1: the controller was gone before that.
    """
    detach()
    wire = Wire(receive_fd, send_fd, buffered)
    session = Session(wire)
    try:
        return session.run()
    finally:
        session.close()


def detach():
    """Losing the login must not end us or what we started: a session of our own, and SIGHUP means nothing."""
    with contextlib.suppress(OSError):  # we lead a group already: then the login's signals do not reach us either
        os.setsid()
    # a handler, not SIG_IGN: what we start must not inherit deafness
    signal.signal(signal.SIGHUP, lambda *_: None)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


class Session(object):
    def __init__(self, wire):
        self.wire = wire
        self.order = {}
        self.memory = None
        self.lock = None
        self._state = "order"
        self._cancelled = ""
        self._deadline = time.monotonic() + ORDER_S
        self._redactor = Redactor()
        self._secrets = {}
        self._scratch = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number, frame):  # noqa: ARG002  the shape of a handler
        self._cancelled = "the executor was told to end by signal %d" % number
        if self._state not in ("applying", "ended"):
            raise Closed(self._cancelled)

    def close(self):
        if self._scratch is not None:
            remove_flat(self._scratch)
        if self.lock is not None:
            self.lock.release()

    def run(self):
        """-> exit code"""
        try:
            end = self._converse()
        except End as told:
            end = told
        except Closed as closed:
            if self._state == "order" and not self.order:
                sys.stderr.write("statectl: %s before an order came\n" % closed.reason)
            # nobody is there to be told; the attempt is for one who only broke the protocol
            end = End("failed", closed.reason, "E321")
        except TimedOut:
            end = End("stopped", "nothing was said for too long; nothing was written", "E504")
        except ProtocolError as error:
            end = End("failed", "not in the protocol: %s" % error, "E321")
        except Corrupt as error:
            end = End("refused", str(error), "E503")
        return 0 if self._end(end) else 1

    def _converse(self):
        self.order = self._receive(("order",))
        kind = self.order["kind"]
        self._state = "preparing"
        self._deadline = time.monotonic() + (self.order.get("deadline_s") or DEADLINE_S)
        if kind == "ping":
            self._ready({}, {}, {})
            return End("done")
        self._open_memory(kind)
        host = Host({}, {})
        if kind == "run":
            self._ready({}, {}, self._summary())
            return self._adhoc(host)
        from statectl.onhost import facts, probes

        host.facts = facts.gather(host)
        answers = probes.ask(host, self.order.get("probes") or ())
        self._ready(host.facts, answers, self._summary())
        if kind == "facts":
            return End("done")
        return self._plan(host)

    # -- memory and lock

    def _open_memory(self, kind):
        self.memory = Memory(self.order.get("state_dir") or default_state_dir())
        self.memory.load()
        self.lock = Lock(self.memory.path("lock"))
        if kind == "apply":
            self._wait_for_lock()
            self.memory.reload()
            self.memory.recover(sweep)
        elif self.memory.interrupted is not None:
            # either somebody applies right now, or a run was cut off and its result waits to be handed over
            try:
                self.lock.take({})
            except Busy:
                pass
            else:
                self.memory.reload()
                self.memory.recover(sweep)
                self.lock.release()
        self.memory.undelivered.acknowledge(self.order.get("known") or ())

    def _wait_for_lock(self):
        who = {"controller": self.order.get("controller", ""), "run": self.order["run"]}
        timeout = self.order.get("lock_timeout_s") or 0
        try:
            self.lock.wait(who, timeout, self._tell_waiting, self._left_alone)
        except Busy as busy:
            waited = " after waiting %g s" % timeout if timeout else ""
            raise End("refused", "another apply holds this host%s: %s" % (waited, busy), "E501")

    def _left_alone(self):
        """While waiting for the lock: is nobody there any more who wants it? Raises End when asked to stop."""
        for message in self.wire.waiting(("stop", "cancel")):
            self._control(message)
        return bool(self.wire.ended)

    def _tell_waiting(self, holder):
        self.wire.send({"type": "waiting", "holder": holder, "reason": "waiting for " + describe(holder)})

    def _summary(self):
        holder = self.lock.holder()
        return self.memory.summary(holder)

    def _directory(self):
        """Of this session's own, made when it is first needed."""
        if self._scratch is None:
            self._scratch = self.memory.temporary()
        return self._scratch

    # -- messages

    def _receive(self, expected):
        """The next message that is one of `expected`; ack is taken wherever it comes, stop and cancel end the session."""
        while True:
            message = self.wire.receive(max(0.0, self._deadline - time.monotonic()))
            kind = message.get("type") if isinstance(message, dict) else "bytes"
            if kind in expected:
                return message
            self._control(message)

    def _control(self, message):
        """What may come at any time once the order is known."""
        kind = message.get("type") if isinstance(message, dict) else "bytes"
        if kind == "ack" and self.memory is not None:
            self.memory.undelivered.acknowledge(message["runs"])
        elif kind == "cancel" and self._state == "applying":
            self._cancelled = self._cancelled or "cancelled by the controller"
        elif kind in ("stop", "cancel") and self._state not in ("order", "applying"):
            raise End("stopped", "nothing was written")
        elif kind == "secrets" and not self._secrets and self._state in ("ready", "planned"):
            # nothing in the catalogue refers to them, and still none of them may be shown
            self._secrets = message["values"]
            self._redactor = Redactor(self._secrets.values())
        else:
            raise ProtocolError("%s came while %s" % (kind, self._state))

    def _look(self):
        """Take in what has come without waiting -> why to stop, or ''."""
        for message in self.wire.waiting():
            try:
                self._control(message)
            except ProtocolError as error:
                self.wire.refuse(error)
        return self._cancelled

    def _stop(self):
        """At a resource border: '' or why to stop here."""
        if not self._look() and time.monotonic() > self._deadline:
            self._cancelled = "the deadline of this run is over"
        return self._cancelled

    def _ready(self, facts, probes, memory):
        from statectl import __version__

        self._state = "ready"
        self.wire.send(
            {
                "type": "ready",
                "executor": __version__,
                "python": "%d.%d.%d" % sys.version_info[:3],
                "pid": os.getpid(),
                "uid": os.geteuid(),
                "facts": facts,
                "probes": probes,
                "memory": memory,
            }
        )

    def _emit(self, message):
        """Send a verdict or result with every secret in it masked -> the message as it was sent."""
        masked = dict(message)
        if "changes" in masked:
            masked["changes"] = self._redactor.changes(masked["changes"])
        for key in ("reason", "error", "text"):
            if masked.get(key):
                masked[key] = self._redactor.clean(masked[key])
        self.wire.send(masked)
        return masked

    def _end(self, end):
        """-> was it sent? Then wait for the ack, so that results do not travel twice."""
        message = {
            "type": "end",
            "outcome": end.outcome,
            "counts": end.counts,
            "reason": self._redactor.text(end.reason),
        }
        if end.code:
            message["code"] = end.code
        message["digest"] = self.wire.digest.value()
        sent = self.wire.send(message)
        self._state = "ended"
        if self.lock is not None:
            self.lock.release()
        self._deadline = time.monotonic() + ACK_S
        while sent and self.memory is not None:
            try:
                message = self.wire.receive(max(0.0, self._deadline - time.monotonic()))
                if isinstance(message, dict) and message["type"] == "ack":
                    self._control(message)
                    break
            except (Closed, TimedOut):
                break
        return sent

    # -- plan and apply

    def _plan(self, host):
        catalogue, self._secrets = self._take_catalogue()
        self._redactor = Redactor(self._secrets.values())
        limits = dict(self.order.get("limits") or {})
        limits.update({key: value for key, value in (catalogue.get("limits") or {}).items() if value is not None})
        host.limits = limits
        reader = Reader(self._secrets, self.memory.keyed)
        blobs = Blobs(self.wire, self._directory, reader.blobs, self._control)
        engine = Engine(host, self.memory, catalogue, reader, blobs.fetch, limits)
        try:
            refusals = engine.plan()
        except Failed as error:
            raise End("failed", error.message, "E401")
        counts = self._tell_plan(engine)
        if refusals:
            raise End("refused", "; ".join(refusals), "E505", counts)
        self.wire.send({"type": "planned", "counts": counts})
        if self.order["kind"] != "apply":
            return End("planned", counts=counts)
        self._state = "planned"
        return self._apply(engine, self._receive(("go",)))

    def _take_catalogue(self):
        """-> (catalogue, {id: secret}). The secrets may come first or last, and only where any are referred to."""
        catalogue = secrets = None
        while catalogue is None or (secrets is None and secret_ids(catalogue["resources"])):
            expected = [kind for kind, have in (("catalogue", catalogue), ("secrets", secrets)) if have is None]
            message = self._receive(expected)
            if message["type"] == "secrets":
                secrets = message["values"]
            else:
                catalogue = message
        if catalogue["host"] != self.order["host"]:
            raise End(
                "refused", "the catalogue is for host %s, the order for %s" % (catalogue["host"], self.order["host"])
            )
        return catalogue, secrets or {}

    def _tell_plan(self, engine):
        """Send the verdicts -> counts."""
        counts = {"ok": 0, "change": 0, "unknown": 0, "refused": 0, "orphan": 0}
        for item in engine.items + engine.removals:
            counts[item.verdict] += 1
            self._emit(
                {
                    "type": "verdict",
                    "address": item.address,
                    "association": item.association,
                    "verdict": item.verdict,
                    "action": item.action,
                    "predicted_after": item.predicted_after,
                    "unknown_until": item.unknown_until,
                    "changes": item.changes,
                    "notify": engine.notices(item) if item.verdict == "change" else [],
                    "found_hash": item.found_hash,
                    "reason": item.reason,
                    "kind": item.kind,
                }
            )
        for address, reason in engine.orphans.kept:
            counts["orphan"] += 1
            self._emit(
                {
                    "type": "verdict",
                    "address": address,
                    "association": self.memory.ledger[address]["association"],
                    "verdict": "orphan",
                    "action": "orphan",
                    "reason": reason,
                }
            )
        return counts

    def _apply(self, engine, go):
        from statectl.onhost.walk import Walk, moved

        plan_id = go.get("plan_id")
        used = self.memory.used(plan_id) if plan_id else None
        if used is not None:
            raise End("refused", "plan %s was applied here already, by run %s" % (plan_id, used["run"]), "E502")
        stale = moved(engine, go.get("observed") or {})
        if stale:
            raise End("stale", "changed since the plan was made: %s" % shown(stale), "E510")
        writing = [
            item for item in engine.items + engine.removals if item.verdict == "change" and engine.enforced(item)
        ]
        try:
            # before the first write: from here on the channel may be lost
            engine.fetch(engine.undelivered(writing))
        except Failed as error:
            raise End("failed", "%s; nothing was written" % error.message, "E401")
        self._state = "applying"
        started = int(time.time())
        try:
            counter = self.memory.begin(
                self.order["run"],
                plan_id,
                self.order.get("controller", ""),
                self.order.get("commit"),
                engine.catalogue.get("hash"),
            )
        except OSError as error:
            raise End("failed", "cannot write the journal: %s; nothing was written" % error.strerror.lower(), "E401")
        results, notified = [], []

        def emit(message):
            sent = self._emit(message)
            if message["type"] == "result":
                short = {"address": sent["address"], "outcome": "ok"}
                results.append(short if sent["outcome"] == "ok" else sent)
            elif message["type"] == "notified":
                notified.append(sent)

        walk = Walk(engine, self.memory, self.order["run"], emit, self._stop)
        try:
            reason = walk.run()
        except OSError as error:
            # no record, no action: the journal tells the next contact how far this came
            raise End("failed", "cannot write the journal: %s" % error.strerror.lower(), "E401", walk.counts)
        outcome = "stopped" if reason else "failed" if walk.counts["failed"] else "applied"
        result = {
            "run": self.order["run"],
            "kind": "apply",
            "plan_id": plan_id,
            "counter": counter,
            "controller": self.order.get("controller", ""),
            "commit": self.order.get("commit"),
            "catalogue": engine.catalogue.get("hash"),
            "started": started,
            "ended": int(time.time()),
            "outcome": outcome,
            "reason": reason,
            "results": results,
            "notified": notified,
            "counts": walk.counts,
        }
        try:
            self.memory.finish(result)
        except OSError as error:
            raise End("failed", "cannot store what was done: %s" % error.strerror.lower(), "E401", walk.counts)
        return End(outcome, reason, counts=walk.counts)

    # -- one command

    def _adhoc(self, host):
        from statectl.onhost.adhoc import AdHoc

        command = self.order.get("command") or {}
        limits = self.order.get("limits") or {}
        self._state = "applying"
        job = AdHoc(host, self.wire, self._directory, self._stop)
        started = int(time.time())
        try:
            stdin = None
            if command.get("stdin"):
                stdin = Content.wanted(command["stdin"]["$blob"], command["stdin"]["size"])
                Blobs(self.wire, self._directory, {stdin.sha256: [stdin]}, self._control).fetch([stdin])
            if limits.get("paths"):
                raise End("refused", "limits.paths is set: no command runs on this host")
            if limits.get("become") is False and command.get("user") and host.identity(command["user"]):
                raise End("refused", "limits.become is false: no command runs as %s" % command["user"])
            code, reason = job.run(command, stdin, self._deadline - time.monotonic())
            outcome = "done" if not reason else "failed"
        except Failed as error:
            code, reason, outcome = None, error.message, "failed"
        # a signal as shells tell it; no code at all when the command was ended by us
        counts = {} if code is None or reason else {"code": code if code >= 0 else 128 - code}
        if self.wire.broken or self.wire.ended:
            self.memory.undelivered.put(
                self.order["run"],
                {
                    "run": self.order["run"],
                    "kind": "run",
                    "controller": self.order.get("controller", ""),
                    "started": started,
                    "ended": int(time.time()),
                    "outcome": outcome,
                    "reason": reason,
                    "counts": counts,
                    "results": [],
                    "notified": [],
                    "output": job.tail.decode("utf-8", "backslashreplace"),
                },
            )
        return End(outcome, reason, counts=counts)
