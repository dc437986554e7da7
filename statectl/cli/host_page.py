"""The page of a host: what the store knows of it beside what the inventory declares. Contacts nothing, and makes no store."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from statectl.cli.formats.ages import age
from statectl.cli.formats.terminal import one_line
from statectl.errors import Refused
from statectl.store.ids import now

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened

FACTS = ("os.name", "kernel.release", "kernel.arch", "cpu.count", "memory.total_mb", "virtualization", "host.fqdn")


def host_page(opened: "Opened", host: str) -> dict[str, Any]:
    """{identity, last_seen, last_outcome, facts, associations, parameters, collected}; {} when nothing is stored, {store_problem} when it cannot be read."""
    if not opened.has_records():
        return {}
    try:
        records = opened.records()
        state = records.host_states().get(host)
        facts, facts_at = records.facts().get(host, ({}, ""))
        current = [row for row in records.current() if row["host"] == host]
        standings = records.collected.standings(host=host)
        uses = records.parameter_uses(host)
    except Refused as error:  # what the inventory says is true all the same
        return {"store_problem": error.message}
    if state is None and not current and not standings:
        return {}
    associations: dict[str, dict[str, Any]] = {}
    for row in current:
        one = associations.setdefault(row["association"], {"statuses": Counter(), "checked": row["checked"]})
        one["statuses"][row["status"]] += 1
        one["checked"] = max(one["checked"], row["checked"])
    machine = facts.get("host") if isinstance(facts.get("host"), Mapping) else {}
    return {
        "identity": {
            "host_id": state["host_id"] if state else "",
            "machine_id": str((machine or {}).get("machine_id") or ""),
            "fqdn": str((machine or {}).get("fqdn") or ""),
        },
        "last_seen": (state or {}).get("last_contact"),
        "last_outcome": (state or {}).get("last_outcome") or None,
        "facts_at": facts_at or None,
        "facts": {name: value for name in FACTS if (value := _fact(facts, name)) not in (None, "")},
        "associations": {
            name: {"statuses": dict(one["statuses"]), "checked": one["checked"]}
            for name, one in sorted(associations.items())
        },
        "parameters": {one["selector"]: one["version"] for one in uses},
        "collected": {
            one.type: {
                "since": one.since or None,
                "checked": one.checked or None,
                "state": one.state,
                "reason": one.reason,
            }
            for one in standings
        },
    }


def page_lines(page: Mapping[str, Any]) -> list[str]:
    """The same in words, below the lines of the inventory."""
    if "store_problem" in page:
        return [f"  store    {one_line(page['store_problem'])}"]
    if not page:
        return []
    at = now()
    identity = page["identity"]
    known = [one_line(text) for text in (identity["host_id"], identity["fqdn"]) if text]
    lines = [f"  identity {'  '.join(known)}"] if known else []
    if page["last_seen"]:
        outcome = f", last run {one_line(page['last_outcome'])}" if page["last_outcome"] else ""
        lines.append(f"  seen     {age(page['last_seen'], at)} ago{outcome}")
    lines += [f"  {name:20} {one_line(str(value))}" for name, value in page["facts"].items()]
    for name, one in page["associations"].items():
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(one["statuses"].items()))
        lines.append(f"  association {one_line(name)}: {statuses}  (checked {age(one['checked'], at)} ago)")
    if page["parameters"]:
        used = (
            f"{one_line(name)} v{version}" if version else one_line(name)
            for name, version in page["parameters"].items()
        )
        lines.append(f"  uses     {', '.join(used)}")
    if page["collected"]:
        checked = [one["checked"] for one in page["collected"].values() if one["checked"]]
        count = f"{len(checked)} types, {age(max(checked), at)} ago" if checked else "nothing"
        lines.append(f"  collected {count}")
        lines += [
            f"    {one_line(name)}: {one_line(one['reason'] or one['state'])}"
            for name, one in page["collected"].items()
            if one["state"] in ("failed", "timed out")
        ]
    return lines


def _fact(facts: Mapping[str, Any], name: str) -> Any:
    value: Any = facts
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if isinstance(value, Mapping | list) else value
