"""The conversation with one controller, from its order to our `end`.

state      what may come                         what follows
order      order
preparing  stop, cancel                          lock (apply), memory, facts, probes, `ready`; kinds facts, inventory, ping, run: done
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
from typing import TYPE_CHECKING

from statectl.onhost.ending import End
from statectl.onhost.failure import system_says
from statectl.onhost.files import sweep
from statectl.onhost.host import Host
from statectl.onhost.lock import Busy, Lock, describe
from statectl.onhost.memory import Corrupt, Memory, Overtaken, default_state_dir, remove_flat
from statectl.onhost.protocol import ProtocolError
from statectl.onhost.redact import Redactor
from statectl.onhost.underway import UnderWay
from statectl.onhost.underway import sweep as sweep_running
from statectl.onhost.wire import Closed, TimedOut, Wire

if TYPE_CHECKING:
    from types import FrameType
    from typing import Dict, List, Optional, Sequence, Tuple, Union

    from statectl.onhost.patching.afterwards import Afterwards
    from statectl.onhost.shapes import JSON, Facts, Holder, Message

ORDER_S = 60.0  # from our start to the order
DEADLINE_S = 3600.0  # of the whole session, when the order says nothing
ACK_S = 30.0  # from our end to the controller's ack
LISTEN_S = 0.5  # how often to look whether somebody wants this run to stop
MANY = 1000  # addresses of one message
MOMENT_S = 0.5  # for which the word that a resource is right may wait for others


def serve(receive_fd: int, send_fd: int, buffered: bytes = b"") -> int:
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


def detach() -> None:
    """Losing the login must not end us or what we started: a session of our own, and SIGHUP means nothing."""
    with contextlib.suppress(OSError):  # we lead a group already: then the login's signals do not reach us either
        os.setsid()
    # a handler, not SIG_IGN: what we start must not inherit deafness
    signal.signal(signal.SIGHUP, lambda *_: None)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


class Session(object):
    """state   where the conversation is: see the table above
    order   the controller's order; {} before it came
    secrets, redactor   the values that came with the catalogue, and what masks them
    """

    def __init__(self, wire: "Wire") -> None:
        self.wire = wire
        self.order: "Message" = {}
        self.memory: "Memory" = None  # type: ignore[assignment]  # this and the lock: once the order was read
        self.lock: "Lock" = None  # type: ignore[assignment]
        self.under_way: "Optional[UnderWay]" = None
        self.state = "order"
        self._cancelled = ""
        self.told_to_end = False  # by a signal
        self.afterwards: "Optional[Afterwards]" = None  # of patches that this run installed
        self._requested = False  # by somebody else than our controller
        self.deadline = time.monotonic() + ORDER_S
        self.redactor = Redactor()
        self.secrets: "Dict[str, str]" = {}
        self._scratch_path: "Optional[str]" = None
        self._unconfirmed = ""  # the run whose change waits for its confirmation
        self._right: "List[str]" = []  # addresses that are as wanted and not told yet, all of `_right_of`
        self._right_of: "Tuple[str, str]" = ("", "")
        self._right_since = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: "Optional[FrameType]") -> None:  # noqa: ARG002  the shape of a handler
        self.told_to_end = True
        self._cancelled = "the executor was told to end by signal %d" % number
        if self.state not in ("applying", "ended"):
            raise Closed(self._cancelled)

    def close(self) -> None:
        if self._scratch_path is not None:
            remove_flat(self._scratch_path)
        if self.under_way is not None:
            self.under_way.close()
        if self.lock is not None:
            self.lock.release()

    def run(self) -> int:
        """-> exit code"""
        try:
            end = self._converse()
        except End as told:
            end = told
        except Closed as closed:
            if self.state == "order" and not self.order:
                sys.stderr.write("statectl: %s before an order came\n" % closed.reason)
            # nobody is there to be told; the attempt is for one who only broke the protocol
            end = End("failed", closed.reason, "E321")
        except TimedOut:
            end = End("stopped", "nothing was said for too long; nothing was written", "E504")
        except ProtocolError as error:
            end = End("failed", "not in the protocol: %s" % error, "E321")
        except Corrupt as error:
            end = End("refused", str(error), "E503")
        except Overtaken as error:
            end = End("failed", str(error), "E508")
        return 0 if self._end(end) else 1

    def _converse(self) -> "End":
        self.order = self.receive(("order",))
        kind = self.order["kind"]
        self.state = "preparing"
        self.deadline = time.monotonic() + (self.order.get("deadline_s") or DEADLINE_S)
        if kind == "ping":
            self._ready({}, {}, {})
            return End("done")
        try:
            self._open_memory(kind)
        except OSError as error:
            where = self.order.get("state_dir") or default_state_dir()
            raise End("refused", "cannot use the state directory %s: %s" % (where, system_says(error)), "E503")
        host = Host({}, {})
        if kind == "confirm":
            from statectl.onhost.lockout import contact

            contact.confirm(self)
        if kind in ("follow", "cancel"):
            from statectl.onhost import attending

            attending.run(self)
        if kind == "run":
            from statectl.onhost import adhoc

            self._ready({}, {}, self._summary())
            return adhoc.run(self, host)
        if kind == "health":
            from statectl.onhost import health

            self._ready({}, {}, self._summary())
            self.state = "applying"  # until its end it is asked for, and may be cancelled
            return health.run(self, host)
        from statectl.onhost import facts, probes

        host.facts = facts.gather(host)
        answers = probes.ask(host, self.order.get("probes") or ())
        patches = None
        if self.order.get("patching") is not None:
            from statectl.onhost.patching import scanning

            patches = scanning.scan(host, self.order["patching"], self.memory)
        self._ready(host.facts, answers, self._summary(), patches)
        if kind == "facts":
            return End("done")
        if kind == "inventory":
            from statectl.onhost import collect

            return collect.run(self, host)
        from statectl.onhost import convergence

        return convergence.run(self, host)

    # -- memory and lock

    def _open_memory(self, kind: str) -> None:
        self.memory = Memory(self.order.get("state_dir") or default_state_dir())
        self.memory.load()
        self.lock = Lock(self.memory.path("lock"))
        if kind != "confirm" and os.path.exists(self.memory.path("armed/record.json")):
            self._heed_armed(kind)
        if kind in ("apply", "run"):
            sweep_running(self.memory.path("running"))
            self.under_way = UnderWay(self.memory.path("running"), self.order)
            self.wire.tee = self.under_way.tell
        if kind == "apply":
            self._wait_for_lock()
            self.memory.reload()
            self.memory.recover(sweep)
        elif self.order.get("lock_timeout_s") and kind in ("plan", "drift", "run"):
            self._wait_for_lock()
            self.memory.reload()
            self.memory.recover(sweep)
            self.lock.release()
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

    def _heed_armed(self, kind: str) -> None:
        """A change of an earlier run waits for its confirmation, or nobody confirmed it."""
        from statectl.onhost.lockout import contact

        self._unconfirmed = contact.before(self, kind)
        self.memory.reload()

    def _wait_for_lock(self) -> None:
        who = {}  # who only reads waits until nobody writes, and holds nothing
        if self.order["kind"] == "apply":
            who = {"controller": self.order.get("controller", ""), "run": self.order["run"]}
        timeout = self.order.get("lock_timeout_s") or 0
        try:
            self.lock.wait(who, timeout, self._tell_waiting, self._left_alone)
        except Busy as busy:
            waited = " after waiting %g s" % timeout if timeout else ""
            reason = "another apply holds this host%s: %s" % (waited, busy)
            raise End("refused", reason, "E501", holder=busy.holder)

    def _left_alone(self) -> bool:
        """While waiting for the lock: is nobody there any more who wants it? Raises End when asked to stop."""
        for message in self.wire.waiting(("stop", "cancel")):
            self.control(message)
        self._heed_request()
        return bool(self.wire.ended)

    def _heed_request(self) -> None:
        """Before anything is written: raises End when somebody asked this run to stop."""
        asked = self.under_way.asked() if self.under_way is not None else ""
        if asked:
            raise End("stopped", "%s; nothing was written" % asked, "E519")

    def _tell_waiting(self, holder: "Holder") -> None:
        self.wire.send({"type": "waiting", "holder": holder, "reason": "waiting for " + describe(holder)})

    def _summary(self) -> "Dict[str, JSON]":
        holder = self.lock.holder()
        summary = self.memory.summary(holder)
        if self._unconfirmed:
            # how it ended is not known yet, whatever its executor thought
            summary["undelivered"] = [one for one in summary["undelivered"] if one["run"] != self._unconfirmed]
        return summary

    def scratch(self) -> str:
        """Of this session's own, made when it is first needed."""
        if self._scratch_path is None:
            self._scratch_path = self.memory.temporary()
        return self._scratch_path

    # -- messages

    def receive(self, expected: "Sequence[str]") -> "Message":
        """The next message that is one of `expected`; ack is taken wherever it comes, stop and cancel end the session."""
        while True:
            try:
                message = self.wire.receive(max(0.0, min(LISTEN_S, self.deadline - time.monotonic())))
            except TimedOut:
                if time.monotonic() >= self.deadline:
                    raise
                if self.state in ("ready", "planned"):
                    self._heed_request()
                continue
            if isinstance(message, dict) and message["type"] in expected:
                return message
            self.control(message)

    def control(self, message: "Union[Message, bytes]") -> None:
        """What may come at any time once the order is known."""
        told: "Message" = message if isinstance(message, dict) else {"type": "bytes"}
        kind = told["type"]
        if kind == "ack" and self.memory is not None:
            self.memory.undelivered.acknowledge(told["runs"])
        elif kind == "cancel" and self.state == "applying":
            self._cancelled = self._cancelled or "cancelled by the controller"
        elif kind in ("stop", "cancel") and self.state not in ("order", "applying"):
            raise End("stopped", "nothing was written")
        elif kind == "secrets" and not self.secrets and self.state in ("ready", "planned"):
            # nothing in the catalogue refers to them, and still none of them may be shown
            self.secrets = told["values"]
            self.redactor = Redactor(self.secrets.values())
        else:
            raise ProtocolError("%s came while %s" % (kind, self.state))

    def look(self) -> str:
        """Take in what has come without waiting -> why to stop, or ''."""
        for message in self.wire.waiting():
            try:
                self.control(message)
            except ProtocolError as error:
                self.wire.refuse(str(error))
        return self._cancelled

    def stop(self) -> str:
        """At a resource border: '' or why to stop here."""
        if not self.look():
            self._cancelled = self.under_way.asked() if self.under_way is not None else ""
            self._requested = bool(self._cancelled)
        if not self._cancelled and time.monotonic() > self.deadline:
            self._cancelled = "the deadline of this run is over"
        return self._cancelled

    @property
    def cancelled(self) -> bool:
        return self._cancelled.startswith("cancelled by ")

    def code_of_stop(self) -> str:
        """E519 when somebody else than our controller asked for it."""
        return "E519" if self._requested and self.cancelled else ""

    def tell_ready(self) -> None:
        """Without facts: who only confirms wants to know no more than what became of it."""
        self._ready({}, {}, self._summary())

    def _ready(
        self, facts: "Facts", probes: "Dict[str, JSON]", memory: "Dict[str, JSON]", patches: "Optional[JSON]" = None
    ) -> None:
        from statectl import __version__

        self.state = "ready"
        message: "Message" = {
            "type": "ready",
            "executor": __version__,
            "python": "%d.%d.%d" % sys.version_info[:3],
            "pid": os.getpid(),
            "uid": os.geteuid(),
            "facts": facts,
            "probes": probes,
            "memory": memory,
        }
        if patches is not None:
            message["patches"] = patches
        self.wire.send(message)

    def right(self, kind: str, association: str, address: str) -> None:
        """Tell that a resource is as wanted, in place of a verdict or result of its own: many in one message.

        They go before anything else that is told, and are kept back for a moment only.
        """
        now = time.monotonic()
        late = len(self._right) >= MANY or now - self._right_since > MOMENT_S
        if self._right and (late or self._right_of != (kind, association)):
            self._tell_right()
        if not self._right:
            self._right_of, self._right_since = (kind, association), now
        self._right.append(address)

    def _tell_right(self) -> None:
        if self._right:
            addresses, self._right = self._right, []
            kind, association = self._right_of
            message = {"type": "right", "of": kind, "association": association, "addresses": addresses}
            self.wire.send(self.redactor.message(message))

    def emit(self, message: "Message") -> "Message":
        """Send a message with every secret in it masked, behind all that was told before -> the message as it was sent."""
        self._tell_right()
        masked = self.redactor.message(message)
        self.wire.send(masked)
        return masked

    def _end(self, end: "End") -> bool:
        """-> was it sent? Then wait for the ack, so that results do not travel twice."""
        self._tell_right()
        message: "Message" = {
            "type": "end",
            "outcome": end.outcome,
            "counts": end.counts,
            "reason": self.redactor.text(end.reason),
        }
        if end.armed_s:
            message["armed"] = end.armed_s
        if end.holder:
            message["holder"] = end.holder
        if end.reboot is not None:
            message["reboot"] = self.redactor.message(end.reboot)
        if end.code:
            message["code"] = end.code
        message["digest"] = self.wire.digest.value()
        sent = self.wire.send(message)
        self.state = "ended"
        if self.under_way is not None:
            self.under_way.close()
        if self.lock is not None and end.reboot is None:
            self.lock.release()
        self.deadline = time.monotonic() + ACK_S
        granted = False
        while sent and self.memory is not None:
            try:
                answer = self.wire.receive(max(0.0, self.deadline - time.monotonic()))
                if isinstance(answer, dict) and answer["type"] == "ack":
                    self.control(answer)
                    granted = bool(answer.get("reboot"))
                    break
            except (Closed, TimedOut):
                break
        if end.reboot is not None:
            from statectl.onhost.patching import rebooting

            rebooting.carry_out(self, end.reboot, granted)
            self.lock.release()
        return sent
