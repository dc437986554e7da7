"""Back to the images, and the memory with them: the ledger as before the run, the run failed, and that to be handed over.

Every step may be done twice: one that was killed in the middle is done again as a whole.
"""

import time
from typing import TYPE_CHECKING, Any

from statectl.onhost.failure import Failed
from statectl.onhost.files import sweep
from statectl.onhost.host import Host
from statectl.onhost.lock import Busy, Lock
from statectl.onhost.lockout import account_lines, firewall, units
from statectl.onhost.lockout.images import Images
from statectl.onhost.memory import Memory

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.lockout.record import Armed
    from statectl.onhost.shapes import JSON, Error

LOOK_S = 0.2
LEFTOVERS_S = 20.0  # how long a command that a dead executor left behind is waited for


def undo(state_dir: str, armed: "Armed") -> None:
    """Undo what is armed, once. Does nothing when it was settled meanwhile. Raises Corrupt."""
    memory = Memory(state_dir)
    memory.load()
    lock = Lock(memory.path("lock"))
    _take(lock, armed)
    try:
        record = armed.read()
        if record is None:
            return
        memory.reload()
        memory.recover(sweep)
        troubles = put_back(record, armed)
        reason = "locked out: no new login confirmed the change within %g s; undone by the host" % record["seconds"]
        if troubles:
            reason += ", but not all of it: " + "; ".join(troubles)
        memory.undone(record["run"], record["addresses"], _result(memory, record, reason))
        armed.settle(record["run"], "undone", reason)
    finally:
        lock.release()


def _take(lock: "Lock", armed: "Armed") -> None:
    started = time.monotonic()
    while True:
        record = armed.read()
        if record is None:
            return
        try:
            lock.take({"controller": "the host itself, which undoes an unconfirmed change", "run": record["run"]})
            return
        except Busy as busy:
            if busy.holder.get("command") and time.monotonic() - started > LEFTOVERS_S:
                lock.take({}, leftovers=False)
                return
        time.sleep(LOOK_S)


def put_back(record: "Dict[str, JSON]", armed: "Armed") -> "List[str]":
    """-> what could not be put back, in words."""
    host = Host()
    troubles: "List[str]" = []
    _packages(host, record["packages"], troubles)
    moved, failed = Images(armed.path("contents"), record["paths"]).put_back(host)
    troubles += failed
    try:
        account_lines.put_back(host, record["accounts"])
    except Failed as error:
        troubles.append(error.message)
    for path, value in sorted(record["kernel"].items()):
        try:
            with open(path, "w") as stream:
                stream.write(value)
        except OSError as error:
            troubles.append("%s: %s" % (path, error.strerror))
    _, failed = units.put_back(host, record["units"], moved)
    troubles += failed
    if record["firewall"] is not None:
        # last: stopping or starting a service of it changed the rules
        _, failed = firewall.put_back(host, record["firewall"])
        troubles += failed
    return troubles


def _packages(host: "Host", were: "List[Dict[str, Any]]", troubles: "List[str]") -> None:
    """Packages as they were, as far as the manager still has them."""
    from statectl.onhost.resources import package

    if not were:
        return
    from statectl.onhost import facts

    host.facts = facts.gather(host)
    for was in were:
        want = package.Desired(was["name"], state="present", version=was["version"], manager=was["manager"])
        try:
            found = package.read(host, [want])[want.name]
            if isinstance(found, Exception):
                raise Failed("package %s cannot be read: %s" % (was["name"], found))
            if found.state == "present" and found.version == was["version"]:
                continue
            if found.refusal:
                raise Failed(found.refusal)
            package.apply(host, [(want, found, ("state", "version"))])
        except Failed as error:
            troubles.append("package %s %s: %s" % (was["name"], was["version"], error.message))


def _result(memory: "Memory", record: "Dict[str, JSON]", reason: str) -> "Dict[str, JSON]":
    """The result of the run, with what was undone as failed."""
    result = memory.undelivered.get(record["run"]) or {
        "run": record["run"],
        "kind": "apply",
        "plan_id": None,
        "counter": memory.runs["counter"],
        "controller": record["controller"],
        "commit": None,
        "catalogue": None,
        "started": int(time.time()),
        "results": [],
        "notified": [],
        "counts": {},
    }
    told = {entry["address"]: entry for entry in result["results"]}
    for address in record["addresses"]:
        entry = told.get(address, {"type": "result", "address": address, "action": "change", "changes": []})
        if entry.get("outcome") == "failed":
            continue
        error: "Error" = {"cause": "undone by the host", "message": reason, "argv": [], "code": None, "output": ""}
        told[address] = dict(entry, outcome="failed", reason=reason, error=error)
    results = list(told.values())
    counts: Any = {}
    for entry in results:
        counts[entry["outcome"]] = counts.get(entry["outcome"], 0) + 1
    return dict(
        result, outcome="failed", reason=reason, code="E341", results=results, counts=counts, ended=int(time.time())
    )
