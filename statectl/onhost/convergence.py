"""From the catalogue to the result: plan one host, and apply the plan when the controller says go. The steps of kinds plan, drift and apply.

Durable before the first write to the machine: the run counter, the plan id as used, and that this run has begun.
"""

import time
from typing import TYPE_CHECKING, Any

from statectl.onhost import health
from statectl.onhost.blobs import Blobs
from statectl.onhost.disruption import Disruption, disrupts, policies
from statectl.onhost.ending import End
from statectl.onhost.engine import Engine
from statectl.onhost.failure import Failed, system_says
from statectl.onhost.lockout.ways import ways_of
from statectl.onhost.memory import Overtaken
from statectl.onhost.redact import Redactor
from statectl.onhost.removal import shown
from statectl.onhost.wanted import Reader, secret_ids

if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.lockout.arming import Arming
    from statectl.onhost.lockout.ways import Ways
    from statectl.onhost.runner import Session
    from statectl.onhost.shapes import Counts, Message


def run(session: "Session", host: "Host") -> "End":
    if session.order["kind"] == "drift":
        return _drift(session, host)
    catalogue, session.secrets = _take_catalogue(session)
    session.redactor = host.redactor = Redactor(session.secrets.values())
    limits = dict(session.order.get("limits") or {})
    limits.update({key: value for key, value in (catalogue.get("limits") or {}).items() if value not in (None, [])})
    host.limits = limits
    reader = Reader(session.secrets, session.memory.keyed, session.memory.ledger)
    blobs = Blobs(session.wire, session.scratch, reader.blobs, session.control)
    engine = Engine(host, session.memory, catalogue, reader, blobs.fetch, limits)
    try:
        engine.fetch_first()
        refusals = engine.plan()
    except Failed as error:
        raise End("failed", error.message, "E401")
    ways = ways_of(host, session.order.get("lock_out"))
    counts = _tell_plan(session, engine, ways)
    if refusals:
        raise End("refused", "; ".join(refusals), "E505", counts)
    session.emit({"type": "planned", "counts": counts})
    if session.order["kind"] != "apply":
        return End("planned", counts=counts)
    session.state = "planned"
    return _apply(session, engine, ways, session.receive(("go",)))


def _drift(session: "Session", host: "Host") -> "End":
    """A plan of what was applied last: the ledger is the catalogue, and nothing is asked of the controller."""
    from statectl.onhost import last_applied

    host.limits = dict(session.order.get("limits") or {})
    reader = last_applied.LedgerReader(session.memory.keyed)
    catalogue = last_applied.catalogue(session.memory, session.order["host"])
    engine = Engine(host, session.memory, catalogue, reader, last_applied.fetch_from(session.memory, reader.blobs), {})
    engine.plan()
    return End("planned", counts=_tell_plan(session, engine))


def _take_catalogue(session: "Session") -> "Tuple[Message, Dict[str, str]]":
    """-> (catalogue, {id: secret}). The secrets may come first or last, and only where any are referred to."""
    catalogue: "Optional[Message]" = None
    secrets: "Optional[Dict[str, str]]" = None
    while catalogue is None or (secrets is None and _needs_secrets(catalogue)):
        expected = [kind for kind, there in (("catalogue", catalogue), ("secrets", secrets)) if there is None]
        message = session.receive(expected)
        if message["type"] == "secrets":
            secrets = message["values"]
        else:
            catalogue = message
    if catalogue["host"] != session.order["host"]:
        raise End(
            "refused",
            "the catalogue is for host %s, the order for %s" % (catalogue["host"], session.order["host"]),
            "E321",
        )
    return catalogue, secrets or {}


def _needs_secrets(catalogue: "Message") -> bool:
    """The controller says so; where nobody said, its resources are looked through."""
    said: "Optional[bool]" = catalogue.get("secrets")
    return bool(secret_ids(catalogue["resources"])) if said is None else said


def _tell_plan(session: "Session", engine: "Engine", ways: "Optional[Ways]" = None) -> "Counts":
    """Send the verdicts -> counts. ways: what could lock the controller out, None when nothing is armed."""
    counts = {"ok": 0, "change": 0, "unknown": 0, "refused": 0, "orphan": 0}
    may_wait = bool(policies(engine))
    for item in engine.items + engine.removals:
        counts[item.verdict] += 1
        if item.verdict == "ok" and not (item.changes or item.reason or item.kind):
            session.right("verdict", item.association, item.address)
            continue
        verdict: Any = {}
        if ways is not None and item.verdict in ("change", "unknown") and engine.enforced(item) and ways.of(item):
            verdict["armed"] = int(-(-session.order["lock_out"]["seconds"] // 1))
        if may_wait and item.verdict == "change":
            verdict["disrupts"] = disrupts(item)
        verdict.update(
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
        session.emit(verdict)
    for address, reason in engine.orphans.kept:
        counts["orphan"] += 1
        session.emit(
            {
                "type": "verdict",
                "address": address,
                "association": session.memory.ledger[address]["association"],
                "verdict": "orphan",
                "action": "orphan",
                "reason": reason,
            }
        )
    return counts


def _apply(session: "Session", engine: "Engine", ways: "Optional[Ways]", go: "Message") -> "End":
    from statectl.onhost.lockout.arming import Arming
    from statectl.onhost.walk import Walk, moved

    plan_id = go.get("plan_id")
    used = session.memory.used(plan_id) if plan_id else None
    if used is not None:
        raise End("refused", "plan %s was applied here already, by run %s" % (plan_id, used["run"]), "E502")
    stale = moved(engine, go.get("observed") or {})
    if stale:
        raise End("stale", "changed since the plan was made: %s" % shown(stale), "E510")
    writing = [item for item in engine.items + engine.removals if item.verdict == "change" and engine.enforced(item)]
    try:
        # before the first write: from here on the channel may be lost
        engine.fetch(engine.undelivered(writing))
    except Failed as error:
        raise End("failed", "%s; nothing was written" % error.message, "E401")
    session.state = "applying"
    started = int(time.time())
    if not session.lock.ours():
        raise Overtaken("the lock of this host was taken away while this run waited; nothing was written")
    try:
        counter = session.memory.begin(
            session.order["run"],
            plan_id,
            session.order.get("controller", ""),
            session.order.get("commit"),
            engine.catalogue.get("hash"),
            _seen(session),
        )
    except OSError as error:
        raise End("failed", "cannot write the journal: %s; nothing was written" % system_says(error), "E401")
    results, notified = [], []

    def emit(message: "Message") -> None:
        if message["type"] == "result" and message["outcome"] == "ok":
            results.append({"address": message["address"], "outcome": "ok"})
            session.right("result", "", message["address"])
            return
        sent = session.emit(message)
        if message["type"] == "result":
            results.append(sent)
        elif message["type"] == "notified":
            notified.append(sent)

    order = session.order
    seconds = float((order.get("lock_out") or {}).get("seconds", 0))
    arming = Arming(engine.host, session.memory, ways, order["run"], order.get("controller", ""), seconds)
    walk = Walk(engine, session.memory, order["run"], emit, session.stop, arming)
    walk.withheld = go.get("withheld") or {}
    walk.rebooted = order.get("rebooted") or 0
    if policies(engine):
        walk.disruption = Disruption(engine, go.get("disrupt") or {})
    try:
        reason = walk.run()
    except OSError as error:
        # no record, no action: the journal tells the next contact how far this came
        raise End("failed", "cannot write the journal: %s" % system_says(error), "E401", walk.counts, _due(arming))
    undone = [] if reason else walk.undone()
    outcome = "stopped" if reason else "failed" if walk.counts["failed"] or undone else "applied"
    if undone:
        reason = "no longer as this run made it, something undid it since: %s" % shown(undone)
    reboot = None
    if walk.afterwards is not None:
        reboot = walk.afterwards.reboot(outcome, reason, arming.armed)
        session.afterwards = walk.afterwards
        outcome = "failed" if outcome == "applied" and walk.counts["failed"] else outcome
    if outcome == "applied" and reboot is None:  # else they are asked when the host is back
        changed = [one["address"] for one in results + notified if one["outcome"] == "changed"]
        unwell, stopped = health.ask(engine.host, health.of_changed(engine, changed), session.stop, emit)
        if unwell or stopped:
            outcome, reason = ("failed", unwell) if unwell else ("stopped", stopped)
    if walk.afterwards is not None and reboot is None:
        walk.afterwards.leave()
        outcome = "failed" if outcome == "applied" and walk.counts["failed"] else outcome
    result = {
        "run": session.order["run"],
        "kind": "apply",
        "plan_id": plan_id,
        "counter": counter,
        "controller": session.order.get("controller", ""),
        "commit": session.order.get("commit"),
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
        session.memory.finish(result)
    except OSError as error:
        raise End("failed", "cannot store what was done: %s" % system_says(error), "E401", walk.counts, _due(arming))
    code = session.code_of_stop() or (walk.afterwards.code if walk.afterwards is not None else "")
    return End(outcome, reason, code, walk.counts, _due(arming), reboot=reboot)


def _seen(session: "Session") -> int:
    seen = session.order.get("seen") or {}
    return seen["number"] if seen.get("host_id") == session.memory.host_id else 0


def _due(arming: "Arming") -> float:
    """Start the time in which somebody must confirm -> seconds, 0 when nothing is armed."""
    try:
        return arming.finish()
    except OSError:
        return 0  # nobody is asked to confirm, and the watchdog undoes: its time begins when this process has ended
