"""The executor as a process of its own, driven over pipes by a controller of a few lines; types that only tests have."""

import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import types
import unittest
from typing import Any, NamedTuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from statectl.onhost import protocol
from statectl.onhost.failure import Failed, Unknown

PHASES = {"pack": 1, "directory": 4, "file": 5, "odd": 5, "link": 6, "daemon": 9, "command": 10}
WAIT_S = 20.0


class Daemon(NamedTuple):
    """A restartable thing: the file of its name holds how often it was started; no file: it does not run."""

    name: str
    state: Any = None
    on_notify: Any = None


class Pack(NamedTuple):
    """A thing of which many are made in one transaction: a file below the directory `where`."""

    name: str
    where: Any = None
    state: Any = None


class Odd(NamedTuple):
    """A file whose making goes wrong as `how` says."""

    name: str
    text: Any = None
    how: Any = None
    secret: Any = None


def _bytes(path):
    with open(path, "rb") as stream:
        return stream.read()


def _write(path, data):
    with open(path, "wb") as stream:
        stream.write(data)


def _note(path, line):
    with open(path, "ab") as stream:
        stream.write(line.encode() + b"\n")


def _daemon():
    module = types.ModuleType("statectl.onhost.resources.daemon")

    def read(host, wanted):
        return {
            want.name: Daemon(want.name, state="running" if os.path.exists(want.name) else "stopped") for want in wanted
        }

    def start(want):
        count = int(_bytes(want.name) or b"0") if os.path.exists(want.name) else 0
        _write(want.name, b"%d" % (count + 1))

    def apply(host, want, found, differing):
        if want.state == "running":
            start(want)
        else:
            os.unlink(want.name)

    def disrupts(want, found, differing):
        return "stop" if want.state == "stopped" else ""

    def notify(host, want, verb):
        if os.path.exists(want.name + ".broken"):
            raise Failed("will not restart", "broken")
        _die(want.name + ".kill-before")
        _note(want.name + ".log", verb)
        start(want)
        _die(want.name + ".kill-after")

    def instance(host, want):
        return _bytes(want.name).decode() if os.path.exists(want.name) else ""

    def watched(host, name):
        return os.path.exists(name + ".watched")

    def fallen(host, names, stop):
        """A file `watched` that says `falls`: it ends while it is watched."""
        _note(names[0] + ".looks", " ".join(os.path.basename(name) for name in names))
        for name in names:
            _die(name + ".kill-watch")
        falling = [name for name in names if _bytes(name + ".watched") == b"falls"]
        for name in falling:
            os.unlink(name)
        return {name: Failed("active for 2.0 s, then failed", "did not stay up") for name in falling}

    module.__dict__.update(
        Desired=Daemon,
        OPTIONS=("on_notify",),
        read=read,
        apply=apply,
        notify=notify,
        disrupts=disrupts,
        instance=instance,
        watched=watched,
        fallen=fallen,
    )
    return module


def _pack():
    module = types.ModuleType("statectl.onhost.resources.pack")

    def read(host, wanted):
        _note(wanted[0].where + ".reads", " ".join(want.name for want in wanted))
        return {
            want.name: Pack(
                want.name, state="present" if os.path.exists(os.path.join(want.where, want.name)) else "absent"
            )
            for want in wanted
        }

    def apply(host, items):
        _note(items[0][0].where + ".log", " ".join(want.name for want, _, _ in items))
        for want, _, _ in items:
            if want.name == "bad":
                raise Failed("no such pack: bad", "no such pack")
            path = os.path.join(want.where, want.name)
            if want.state == "absent":
                os.unlink(path)
            else:
                _write(path, b"")

    def removal(record):
        return Pack(record["name"], record["want"]["where"], "absent") if record["created"] else None

    module.__dict__.update(Desired=Pack, OPTIONS=("where",), BATCH=True, read=read, apply=apply, removal=removal)
    return module


def _odd():
    module = types.ModuleType("statectl.onhost.resources.odd")

    def read(host, wanted):
        found = {}
        for want in wanted:
            if want.how == "unreadable":
                found[want.name] = Unknown("its tool is missing")
            elif want.how == "bug in read":
                raise KeyError("x")
            else:
                there = os.path.exists(want.name)
                found[want.name] = Odd(want.name, text=_bytes(want.name).decode()) if there else None
        return found

    def apply(host, want, found, differing):
        if want.how == "fails":
            raise Failed("it said no: {}".format("".join(want.secret or "")), "said no", ["false"], 1, "output of it")
        if want.how == "bug":
            raise KeyError(want.text)
        if want.how == "slow":
            _write(want.name + ".begun", b"")
            time.sleep(1.0)
        if want.how != "does nothing":
            _write(want.name, want.text.encode())
        _die(want.name + ".kill")

    def removal(record):
        return None

    module.__dict__.update(Desired=Odd, OPTIONS=("how", "secret"), read=read, apply=apply, removal=removal)
    return module


def _die(path):
    """kill -9 of the executor, once, where the file says so."""
    if os.path.exists(path):
        os.unlink(path)
        os.kill(os.getpid(), signal.SIGKILL)


for _make in (_daemon, _pack, _odd):
    _module = _make()
    sys.modules[_module.__name__] = _module


def _kill_at(number):
    """kill -9 of this process right before its call of that number that changes the disk."""
    left = [number]

    def counted(call):
        def before(*args, **keywords):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **keywords)

        return before

    for name in (
        "rename",
        "replace",
        "unlink",
        "link",
        "symlink",
        "mkdir",
        "rmdir",
        "fsync",
        "ftruncate",
        "chmod",
        "fchmod",
    ):
        setattr(os, name, counted(getattr(os, name)))


class Ended(Exception):
    """The executor closed its side."""


def as_told(message, address):
    """The verdict or result of one address of a message that says it of many."""
    told = {"type": message["of"], "address": address, "action": "none", "changes": [], "reason": "", "kind": ""}
    if message["of"] == "verdict":
        return dict(
            told, association=message["association"], verdict="ok", predicted_after=[], unknown_until=[], notify=[]
        )
    return dict(told, outcome="ok", error=None, duration_ms=0)


class Controller:
    """One conversation with one executor process."""

    def __init__(self, kill_at=0):
        receive_fd, self.to = os.pipe()
        self.source, send_fd = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                os.close(self.to)
                os.close(self.source)
                from statectl.onhost import runner

                if kill_at:
                    _kill_at(kill_at)
                code = runner.serve(receive_fd, send_fd, b"")
            except BaseException:  # noqa: BLE001  the child must not go on as a second test run
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        os.close(receive_fd)
        os.close(send_fd)
        self.status = None
        self.messages = []
        self._decoder = protocol.Decoder()
        self._frames = []
        self._digest = protocol.Digest()
        self.blobs = {}

    def send(self, message):
        os.write(self.to, protocol.encode(message))

    def receive(self):
        """Next message; blobs that are needed are sent on the way. Raises Ended."""
        import select

        while True:
            while not self._frames:
                if not select.select([self.source], [], [], WAIT_S)[0]:
                    raise AssertionError(f"the executor said nothing for {WAIT_S} s")
                data = os.read(self.source, 65536)
                if not data:
                    raise Ended
                self._frames.extend(self._decoder.feed(data))
            payload = self._frames.pop(0)[1]
            message = json.loads(payload.decode("ascii"))
            if message["type"] == "end":
                assert message["digest"] == self._digest.value(), "the digest does not fit"
            self._digest.add(payload)
            self.messages.append(message)
            if message["type"] != "need":
                return message
            for sha256 in message["blobs"]:
                self.send({"type": "blob", "sha256": sha256, "size": len(self.blobs[sha256])})
                if self.blobs[sha256]:
                    os.write(self.to, protocol.encode_blob(self.blobs[sha256]))

    def until(self, *kinds):
        """Receive up to a message of one of these types, which is returned."""
        while True:
            message = self.receive()
            if message["type"] in kinds:
                return message

    def of(self, kind):
        """All messages of a kind; one that says of many resources that they are right counts as the messages it stands for."""
        found = []
        for message in self.messages:
            if message["type"] == "right" and message["of"] == kind:
                found += [as_told(message, address) for address in message["addresses"]]
            elif message["type"] == kind:
                found.append(message)
        return found

    def hang_up(self):
        if self.to is not None:
            os.close(self.to)
            os.close(self.source)
            self.to = self.source = None

    def wait(self):
        """-> exit status as os.waitpid gives it."""
        limit = time.time() + WAIT_S
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            elif time.time() > limit:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError("the executor did not end")
            else:
                time.sleep(0.01)
        return self.status

    def close(self):
        self.hang_up()
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


class ExecutorCase(unittest.TestCase):
    """`self.top`: a directory that stands for the machine. `self.state`: the executor's memory."""

    def setUp(self):
        self.top = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.top)
        self.state = os.path.join(self.top, "state")
        self.machine = os.path.join(self.top, "machine")
        os.mkdir(self.machine)
        self.blobs = {}
        self.secrets = {}
        self.runs = 0

    def at(self, name):
        return os.path.join(self.machine, name)

    def put(self, name, text):
        _write(self.at(name), text.encode())

    def text(self, name):
        return _bytes(self.at(name)).decode()

    def exists(self, name):
        return os.path.exists(self.at(name))

    # -- catalogues

    def blob(self, text):
        data = text.encode()
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs[sha256] = data
        return {"$blob": sha256, "size": len(data)}

    def resource(self, kind, name, association="web", **fields):
        common = {
            key: fields.pop(key)
            for key in ("after", "notify", "sensitive", "on_removal", "protect", "owners", "phase")
            if key in fields
        }
        entry = {
            "address": f"{kind}:{name}",
            "type": kind,
            "association": association,
            "owners": [association],
            "phase": PHASES[kind],
            "after": [],
            "notify": [],
            "sensitive": False,
            "on_removal": None,
            "protect": False,
            "source": {"file": "states/web.yml", "line": 1},
            "want": dict(fields, name=name),
        }
        entry.update(common)
        return entry

    def file(self, name, text="x\n", **fields):
        if text is not None:
            fields["content"] = self.blob(text)
        fields.setdefault("state", "present")
        return self.resource("file", self.at(name), **fields)

    def absent(self, name, **fields):
        return self.resource("file", self.at(name), state="absent", **fields)

    def daemon(self, name="daemon", **fields):
        fields.setdefault("state", "running")
        return self.resource("daemon", self.at(name), **fields)

    def odd(self, name, **fields):
        fields.setdefault("text", "odd")
        return self.resource("odd", self.at(name), **fields)

    def pack(self, name, **fields):
        return self.resource("pack", name, where=self.machine, **dict({"state": "present"}, **fields))

    def command(self, name, run, **fields):
        return self.resource("command", name, run=run, **fields)

    def catalogue(self, *resources, **options):
        names = []
        for entry in resources:
            if entry["association"] not in names:
                names.append(entry["association"])
        associations = options.pop("associations", None) or [{"name": name} for name in names or ["web"]]
        entry = {
            "type": "catalogue",
            "format": 1,
            "host": "web01",
            "hash": "0" * 64,
            "associations": [
                dict({"requires": [], "mode": "enforce", "selected": True}, **association)
                for association in associations
            ],
            "resources": list(resources),
            "limits": {"paths": [], "deny": [], "max_removals": None, "become": None},
            "prune": False,
            "release": False,
            "only": None,
        }
        entry.update(options)
        return entry

    # -- conversations

    def order(self, kind, kill_at=0, **fields):
        self.runs += 1
        controller = Controller(kill_at)
        self.addCleanup(controller.close)
        controller.blobs = self.blobs
        message = {
            "type": "order",
            "run": f"R{self.runs}",
            "host": "web01",
            "kind": kind,
            "state_dir": self.state,
            "controller": "ana@laptop",
        }
        message.update(fields)
        controller.run = message["run"]
        controller.send(message)
        return controller

    def planned(self, kind, catalogue, **fields):
        """An executor that has planned -> Controller."""
        controller = self.order(kind, **fields)
        controller.ready = controller.until("ready", "end")
        assert controller.ready["type"] == "ready", controller.ready
        controller.send(catalogue)
        if self.secrets:
            controller.send({"type": "secrets", "values": self.secrets})
        controller.planned = controller.until("planned", "end")
        controller.verdicts = {message["address"]: message for message in controller.of("verdict")}
        return controller

    def plan(self, *resources, **options):
        """A whole plan -> {address: verdict message}; `self.ended` is the end message."""
        controller = self.planned("plan", self.catalogue(*resources, **options))
        self.ended = controller.planned if controller.planned["type"] == "end" else controller.until("end")
        controller.hang_up()
        controller.wait()
        self.controller = controller
        return controller.verdicts

    def apply(self, *resources, **options):
        """A whole apply -> {address: result message}. options: observed, plan_id, disrupt, withheld, order (fields), ack, and the catalogue's."""
        observed, plan_id = options.pop("observed", {}), options.pop("plan_id", None)
        ack, disrupt = options.pop("ack", True), options.pop("disrupt", None)
        withheld = options.pop("withheld", None)
        controller = self.planned("apply", self.catalogue(*resources, **options.pop("catalogue", options)))
        self.controller = controller
        if controller.planned["type"] == "end":
            self.ended = controller.planned
            controller.hang_up()
            controller.wait()  # it holds the lock until it is gone
            return {}
        go = {"type": "go", "plan_id": plan_id, "observed": observed}
        go = go if disrupt is None else dict(go, disrupt=disrupt)
        controller.send(go if withheld is None else dict(go, withheld=withheld))
        self.ended = controller.until("end")
        if ack:
            controller.send({"type": "ack", "runs": [controller.run]})
        else:
            controller.hang_up()
        controller.wait()
        self.notified = controller.of("notified")
        return {message["address"]: message for message in controller.of("result")}

    def apply_until_killed(self, *resources, **options):
        """An apply whose executor dies on the way (see _die) -> results that came before."""
        controller = self.planned("apply", self.catalogue(*resources, **options))
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        try:
            while True:
                controller.receive()
        except Ended:
            pass
        assert controller.wait() == signal.SIGKILL, "the executor was not killed"
        return {message["address"]: message for message in controller.of("result")}

    def outcomes(self, results):
        """{last part of the address: outcome}"""
        return {address.rpartition("/")[2].rpartition(":")[2]: one["outcome"] for address, one in results.items()}

    def verdicts(self, verdicts):
        return {address.rpartition("/")[2].rpartition(":")[2]: one["verdict"] for address, one in verdicts.items()}

    def record(self, name):
        """The data of one of the memory's JSON files."""
        with open(os.path.join(self.state, name)) as stream:
            return json.load(stream)["data"]
