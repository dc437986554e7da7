"""What the host remembers about itself, in one directory (0700, ours): the controller's store is only a copy of it.

    identity.json    host id, and the key of the keyed hashes (never leaves the host)
    ledger.json      every address we manage: who declared it, created or adopted, what was there before
    debt.json        restarts, runs and reboots that are owed
    patched.json     what was installed since the boot: see patching/since_boot.py
    runs.json        run counter (the fencing number), last run, plan ids that were used
    journal.jsonl    what the running apply is doing; there only while one runs, or after one died
    undelivered/     results that no controller has acknowledged yet
    preimages/       contents that were on the machine before us
    lock             see lock.py
    running/         what living executors tell to those who follow them: see underway.py
    armed/           a change that waits for its confirmation: see lockout/
    tmp/             blobs of the running session

JSON files are replaced whole and carry a checksum. One that cannot be trusted is never guessed at: `Corrupt` names
the file and what to do, and the run is refused. A lost ledger removes nothing, because only what it lists can be an orphan.

Every secret is stored as a keyed hash, wherever it would stand.
"""

import hashlib
import hmac
import os
import re
import stat
import time
from typing import TYPE_CHECKING

from statectl.onhost.failure import system_says
from statectl.onhost.memory.files import Corrupt, check_of, create_json, read_checked, read_json, write_json
from statectl.onhost.memory.journal import Journal, Overtaken, replay
from statectl.onhost.memory.preimages import Preimages
from statectl.onhost.memory.undelivered import Undelivered

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Set, Tuple

    from statectl.onhost.shapes import JSON, Address, Debt, Holder, Ledger, LedgerEntry, Message

__all__ = ["Corrupt", "Memory", "Overtaken", "default_state_dir"]

_SCRATCH = re.compile(r"([0-9]+)-[0-9a-f]+\Z")
_UNFINISHED = re.compile(r".*\.json\.([0-9]+)\.new\Z")
MAX_USED_PLANS = 10000  # plans expire after a day: nobody brings one from before the last ten thousand


def default_state_dir() -> str:
    """/var/lib/statectl for root, else below $XDG_STATE_HOME or ~/.local/state."""
    if os.geteuid() == 0:
        return "/var/lib/statectl"
    base = os.environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):
        import pwd

        base = os.path.join(pwd.getpwuid(os.geteuid()).pw_dir, ".local", "state")
    return os.path.join(base, "statectl")


class Memory(object):
    """The directory's contents. Call `load` first; `recover`, `begin` and `finish` only while holding the lock.

    ledger   {address: entry}; entry: association, project, owners, run, created, before, want, want_hash, on_removal, protect,
             notify, since, position. want_hash '': not known to have been reached
    debts    {address: {"verb", "because": [addresses], "since", "run", "paying": None | {"instance": text}}}
    """

    def __init__(self, state_dir: str) -> None:
        self.directory = state_dir
        self.ledger: "Ledger" = {}
        self.debts: "Dict[Address, Debt]" = {}
        self.runs: "Dict[str, JSON]" = {"counter": 0, "last": None, "used_plans": {}}
        self.host_id = ""
        self.interrupted: "Optional[Dict[str, JSON]]" = (
            None  # the run that a crash cut off, as `journal.replay` tells it
        )
        self.journal: "Journal" = None  # type: ignore[assignment]  # between `begin` and `finish`
        self.preimages = Preimages(os.path.join(state_dir, "preimages"))
        self.undelivered = Undelivered(os.path.join(state_dir, "undelivered"))
        self._key = b""
        self._stored: "Dict[str, Optional[str]]" = {}  # the checks of what the files hold
        self._seen: "Dict[str, Optional[Tuple[int, ...]]]" = {}  # which files they were read from

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    # -- reading

    def load(self) -> None:
        """Read all, make what is missing. Raises Corrupt. What an interrupted run left is taken into account, not stored."""
        make_private(self.directory)
        for name in ("undelivered", "preimages", "running", "tmp"):
            make_private(self.path(name))
        consequence = "a new identity is made; saved plans of this host become stale"
        identity = read_json(self.path("identity.json"), consequence)
        if identity is None:
            create_json(self.path("identity.json"), {"host_id": os.urandom(16).hex(), "key": os.urandom(32).hex()})
            identity = read_json(self.path("identity.json"), consequence)
        self.host_id = identity["host_id"]
        self._key = bytes.fromhex(identity["key"])
        self.reload()

    def reload(self) -> None:
        """Read again what another executor may have written. Raises Corrupt."""
        if self.interrupted is not None:
            self._seen.clear()  # what it left was added to what had been read
        self.ledger = self._read(
            "ledger.json", self.ledger, {}, "nothing is removed; what is declared is adopted by the next apply"
        )
        self.debts = self._read(
            "debt.json", self.debts, {}, "restarts that were owed are forgotten; restart by hand what needs it"
        )
        self.runs = self._read(
            "runs.json",
            self.runs,
            {"counter": 0, "last": None, "used_plans": {}},
            "the run counter starts again, and plans that were applied could be applied again",
        )
        self.interrupted = replay(self.path("journal.jsonl"))
        if self.interrupted is not None:
            self._take_in(self.interrupted)
        if any(debt.get("boot") for debt in self.debts.values()):
            from statectl.onhost.patching import since_boot

            since_boot.settle(self.debts)

    def _read(self, name: str, known: "Dict[str, Any]", empty: "Dict[str, JSON]", consequence: str) -> "Dict[str, Any]":
        """What the file holds; `known`, as it was read before, when it is still the same file: they are only ever replaced."""
        which = _which(self.path(name))
        if name in self._seen and self._seen[name] == which:
            return known
        found, self._stored[name] = read_checked(self.path(name), consequence)
        self._seen[name] = which
        return empty if found is None else found

    def _take_in(self, told: "Dict[str, JSON]") -> None:
        """The effect of a journal that no `finish` followed."""
        begin = told["begin"]
        if begin is None:
            return
        self.runs["counter"] = max(self.runs["counter"], begin["counter"])
        if begin["plan_id"]:
            self.runs["used_plans"][begin["plan_id"]] = {"run": begin["run"], "at": begin["at"]}
        for address, entry in told["entries"].items():
            if entry is None:
                self.ledger.pop(address, None)
            else:
                self.ledger[address] = entry
        for address, debt in told["debts"].items():
            if debt is None:
                self.debts.pop(address, None)
            else:
                self.debts[address] = debt

    # -- hashes

    def keyed(self, data: bytes) -> str:
        """bytes -> hex; tells whether two secrets are equal on this host, and nothing to anybody else."""
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()

    # -- one run

    def recover(self, sweep: "Callable[[str], object]") -> None:
        """Make what an interrupted run left durable, and its result ready to be handed over. Holder of the lock only.

        sweep(directory) removes temporary files from where the run was writing.
        """
        told = self.interrupted
        if told is not None:
            for directory in sorted(told["directories"]):
                sweep(directory)
            self._store()
            if told["result"] is not None:
                self.undelivered.put(told["begin"]["run"], told["result"])
            os.unlink(self.path("journal.jsonl"))
            self.interrupted = None
        self.sweep_temporary()

    def sweep_temporary(self) -> None:
        """What sessions left whose process is gone: the names of their files hold its id."""
        for directory, pattern in (("tmp", _SCRATCH), ("", _UNFINISHED), ("undelivered", _UNFINISHED)):
            for name in os.listdir(self.path(directory)):
                left = pattern.match(name)
                if left is not None and not os.path.exists("/proc/" + left.group(1)):
                    remove_flat(os.path.join(self.path(directory), name))

    def temporary(self) -> str:
        """A new directory for the blobs of this session. The caller removes it with `remove_flat`."""
        path = os.path.join(self.path("tmp"), "%d-%s" % (os.getpid(), os.urandom(8).hex()))
        os.mkdir(path, 0o700)
        return path

    def used(self, plan_id: str) -> "Optional[Dict[str, JSON]]":
        """-> {"run", "at"} when this plan was applied here before, else None."""
        used: "Dict[str, Dict[str, JSON]]" = self.runs["used_plans"]
        return used.get(plan_id)

    def begin(
        self,
        run: str,
        plan_id: "Optional[str]",
        controller: str,
        commit: "Optional[str]",
        catalogue_hash: "Optional[str]",
        seen: int = 0,
    ) -> int:
        """Durable before the first write: the fencing number goes up, the plan id is used. -> the number

        seen: the highest number that the controller has seen here. It is never used again, also when this memory came
        back from a backup.
        """
        counter = max(int(self.runs["counter"]), seen) + 1
        self.runs["counter"] = counter
        now = int(time.time())
        if plan_id:
            self.runs["used_plans"][plan_id] = {"run": run, "at": now}
        self.journal = Journal(self.path("journal.jsonl"))
        self.journal.add(
            {
                "what": "begin",
                "run": run,
                "plan_id": plan_id,
                "counter": counter,
                "controller": controller,
                "commit": commit,
                "catalogue": catalogue_hash,
                "at": now,
            }
        )
        return counter

    def finish(self, result: "Message") -> None:
        """The run is over: its result can be handed over, its effects are stored, the journal goes. Durable on return.

        Raises Overtaken.
        """
        self.journal.check()
        self.runs["last"] = {
            key: result.get(key) for key in ("run", "outcome", "controller", "counter", "commit", "catalogue", "ended")
        }
        plans = self.runs["used_plans"]
        for plan_id in sorted(plans, key=lambda name: plans[name]["at"])[: max(0, len(plans) - MAX_USED_PLANS)]:
            del plans[plan_id]
        self.undelivered.put(result["run"], result)
        self._store()
        self.journal.close()
        os.unlink(self.path("journal.jsonl"))
        self.journal = None  # type: ignore[assignment]

    def undone(self, run: str, entries: "Dict[Address, Optional[LedgerEntry]]", result: "Message") -> None:
        """What that run did to these addresses was undone: their entries are as before it, and its result is another.

        entries: {address: entry or None}. Restarts that only they asked for are not owed any more. Durable on return.
        """
        for address, entry in entries.items():
            if entry is None:
                self.ledger.pop(address, None)
            else:
                self.ledger[address] = entry
        for target, debt in list(self.debts.items()):
            because = [address for address in debt["because"] if address not in entries]
            if not because:
                del self.debts[target]
            elif because != debt["because"]:
                self.debts[target] = dict(debt, because=because)
        self.undelivered.put(run, result)
        self._store()

    def keep_debts(self) -> None:
        """After `finish`, while the lock is still held: debts that changed since. Durable on return."""
        self._store()

    def _store(self) -> None:
        for name, data in (("ledger.json", self.ledger), ("debt.json", self.debts), ("runs.json", self.runs)):
            check = check_of(data)
            if check != self._stored.get(name) and (data or self._stored.get(name) is not None):
                write_json(self.path(name), data)
                self._stored[name] = check
        self.preimages.keep(_references(self.ledger))

    def summary(self, lock_holder: "Optional[Holder]") -> "Dict[str, JSON]":
        """As `memory` of the ready message."""
        return {
            "run_counter": self.runs["counter"],
            "host_id": self.host_id,
            "debts": [
                {"address": address, "verb": debt["verb"], "because": debt["because"], "since": debt["since"]}
                for address, debt in sorted(self.debts.items())
            ],
            "undelivered": self.undelivered.all(),
            "last_run": self.runs["last"],
            "lock": lock_holder,
        }


def remove_flat(path: str) -> None:
    """A file, or a directory of files."""
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            os.unlink(os.path.join(path, name))
        os.rmdir(path)
    else:
        os.unlink(path)


def make_private(path: str) -> None:
    """A directory of ours alone, 0700; made with its parents. Refuses one that somebody else owns or may write to."""
    try:
        os.makedirs(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise Corrupt("cannot make the state directory %s: %s" % (path, system_says(error)))
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode):
        raise Corrupt("%s is not a directory; move it away" % path)
    if info.st_uid != os.geteuid():
        raise Corrupt("%s belongs to user %d, not to us (%d); move it away" % (path, info.st_uid, os.geteuid()))
    if stat.S_IMODE(info.st_mode) != 0o700:
        os.chmod(path, 0o700)


def _which(path: str) -> "Optional[Tuple[int, ...]]":
    """Tells one file of that name from another; None when there is none."""
    try:
        info = os.stat(path)
    except FileNotFoundError:
        return None
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def _references(ledger: "Ledger") -> "Set[str]":
    """Ids of the contents that the ledger still needs: what was there before us, and what was applied last."""
    found = set()

    def look(value: "JSON") -> None:
        if isinstance(value, dict):
            for kind in ("$preimage", "$blob"):
                if isinstance(value.get(kind), str):
                    found.add(value[kind])
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    for entry in ledger.values():
        look(entry.get("before"))
        look(entry.get("want"))
    return found
