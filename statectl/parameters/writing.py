"""Writing versions: one or many, all or none.

What takes time (patterns, an outer key on another machine) is done before the store is held, on what is there then; when somebody wrote
in between, it is done again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from statectl.errors import Refused, UsageError
from statectl.parameters import crypto, policies, rows
from statectl.parameters.checks import check, check_patterns
from statectl.parameters.context import Context, Entries
from statectl.parameters.deleting import bury
from statectl.parameters.failures import forbidden, shown
from statectl.parameters.keeping_keys import ready
from statectl.parameters.model import SECURE, TYPES, NewVersion, Put
from statectl.parameters.names import check_names_once, place_of
from statectl.parameters.secrecy import sealed
from statectl.parameters.values import data_type_problem, text_of, text_problem

WHY = 1024
TRIES = 20


@dataclass(slots=True)
class Prepared:
    new: NewVersion
    place: bytes
    text: str
    before: tuple[str, int] | None = None  # life and version on which the rest was decided
    type: str = ""
    data_type: str = "text"
    description: str = ""
    pattern: str = ""
    policies: str = "[]"
    wrapped: tuple[str, bytes] = ("", b"")
    data_key: bytes = b""


def put_many(context: Context, news: Sequence[NewVersion]) -> list[Put]:
    """Raises UsageError for what can never be written, Refused for what is there or may not be done."""
    check_names_once([one.name for one in news])
    now = context.moment()
    prepared = []
    for new in news:
        if not context.rights.may("write", new.name):
            raise forbidden("write", new.name)
        text = text_of(new.value)
        fields = {
            "type": new.type,
            "value": text,
            "data_type": new.data_type,
            "description": new.description,
            "allowed_pattern": new.allowed_pattern,
            "tags": new.tags,
        }
        check(new.name, fields, context.bounds, now)
        check_why(new.why)
        policies.normal(new.policies, now)
        prepared.append(Prepared(new, place_of(new.name), text))
    for _ in range(TRIES):
        with context.database.reading() as connection:
            there = rows.current(connection, (one.place for one in prepared))
        doubts = _prepare(context, prepared, there)
        with context.database.transaction() as connection:
            there = rows.current(connection, (one.place for one in prepared))
            if all(one.before == _version_of(there.get(one.place)) for one in prepared) and all(
                not one.wrapped[0] or context.keys.outer.holds(one.wrapped[0]) for one in prepared
            ):
                puts = _write(context, connection, prepared, there)
                return [replace(put, warnings=tuple(doubts.get(put.name, ()))) for put in puts]
    raise Refused("others keep writing to the same parameters", code="E618", hint="try again")


def check_why(why: str) -> None:
    """Raises UsageError."""
    if len(why) > WHY or text_problem(why):
        raise UsageError(f"the reason of a write is text of at most {WHY:,} characters", code="E612")


def _version_of(row: Any) -> tuple[str, int] | None:
    return (row["life"], row["version"]) if row is not None else None


def _prepare(context: Context, prepared: Sequence[Prepared], there: dict[bytes, Any]) -> dict[str, list[str]]:
    """Fill in what is kept of the version before, and check the whole. Returns doubts about each by its stored name."""
    now = context.now()
    doubts: dict[str, list[str]] = {}
    for one in prepared:
        new, row = one.new, there.get(one.place)
        one.before = _version_of(row)
        if row is not None and rows.is_expired(row, now):
            row = None
        _may_follow(one, row)
        one.type = new.type or (row["type"] if row is not None else "")
        if not one.type:
            raise UsageError(
                f"parameter {shown(new.name)} is new and needs a type", code="E615", hint=f"one of {', '.join(TYPES)}"
            )
        if row is not None and one.type == SECURE != row["type"]:
            doubts[row["name"]] = [f"its earlier versions are of type {row['type']}, and hold their values in clear"]
        one.data_type = _kept(new.data_type, row, "data_type", "text") or "text"
        one.description = _kept(new.description, row, "description", "")
        one.pattern = _kept(new.allowed_pattern, row, "allowed_pattern", "")
        one.policies = policies.normal(new.policies, context.moment()) or (row["policies"] if row is not None else "[]")
        problem = data_type_problem(one.data_type, one.text)
        if problem:
            raise UsageError(f"parameter {shown(new.name)}: {problem}", code="E615")
    for name, doubt in check_patterns([(_stored_name(one, there), one.pattern, one.text) for one in prepared]):
        doubts.setdefault(name, []).append(doubt)
    secure = [one for one in prepared if one.type == SECURE]
    if secure:
        made = ready(context)
        if made:
            doubts.setdefault(_stored_name(secure[0], there), []).append(made)
        for one in secure:
            if not one.data_key or not context.keys.outer.holds(one.wrapped[0]):
                one.data_key = crypto.new_data_key()
                one.wrapped = context.keys.outer.wrap(one.data_key, _stored_name(one, there))
    return doubts


def _stored_name(one: Prepared, there: dict[bytes, Any]) -> str:
    row = there.get(one.place)
    return row["name"] if row is not None else one.new.name.strip(" ")


def _kept(new: str | None, row: Any, column: str, default: str) -> str:
    """What was not said stays as it was."""
    if new is not None:
        return new
    return str(row[column]) if row is not None else default


def _may_follow(one: Prepared, row: Any) -> None:
    """May this version come after what is there? Raises Refused."""
    new = one.new
    name = shown(new.name)
    version = row["version"] if row is not None else 0
    if new.expected_version is not None and new.expected_version != version:
        raise other_version(new.name, new.expected_version, row)
    if row is None:
        return
    other = new.type is not None and new.type != row["type"]
    if not new.overwrite and new.expected_version is None:
        needs = "--overwrite --type" if other else "--overwrite"
        also = f" of type {row['type']}" if other else ""
        raise Refused(
            f"parameter {row['name']} is there already{also} (version {version}): needs {needs}",
            code="E618",
            hint=f"--expected-version {version} writes only when nobody else did in between",
        )
    if new.name.strip(" ") != row["name"]:
        raise Refused(f"parameter {name} and {row['name']} are the same; write it as {row['name']}", code="E618")
    if new.tags is not None:
        raise UsageError(
            f"parameter {name}: tags are given to a new parameter, not to a version",
            code="E612",
            hint=f"statectl parameter tag {name} KEY=VALUE",
        )


def other_version(name: str, expected: int, row: Any) -> Refused:
    """Somebody else was quicker. row: what is there, or None."""
    there = "it is not there"
    if row is not None:
        there = f"it has version {row['version']}, written {row['modified']} by {row['who']}"
    return Refused(
        f"parameter {shown(name)}: expected version {expected}, and {there}; nothing was written",
        code="E618",
        hint=f"look at what changed (statectl parameter history {shown(name)}), then write on top of it",
    )


def _write(context: Context, connection: Any, prepared: Sequence[Prepared], there: dict[bytes, Any]) -> list[Put]:
    now = context.now()
    superseded, inserted, tags, puts = [], [], [], []
    audits: Entries = []
    for one in prepared:
        row = there.get(one.place)
        if row is not None and rows.is_expired(row, now):
            bury(connection, [row], now, "statectl: expired")
            audits.append(("parameter.expire", {"name": row["name"], "version": row["version"]}))
            row = None
        version = row["version"] + 1 if row is not None else 1
        made: dict[str, Any] = {
            "place": one.place,
            "life": row["life"] if row is not None else rows.new_life(connection, one.place),
            "version": version,
            "is_current": 1,
            "name": row["name"] if row is not None else one.new.name.strip(" "),
            "type": one.type,
            "data_type": one.data_type,
            "value": one.text,
            "cipher": None,
            "data_key": None,
            "key_id": None,
            "description": one.description,
            "allowed_pattern": one.pattern,
            "policies": one.policies,
            "expires": policies.expires(json.loads(one.policies)),
            "modified": now,
            "who": context.who,
            "why": one.new.why,
        }
        if one.type == SECURE:
            sealed(made, one.text, one.wrapped, one.data_key)
        changed = row is None or one.type == SECURE or (row["type"], row["value"]) != (one.type, one.text)
        if row is not None:
            superseded.append((one.place, row["life"], row["version"]))
            if version > context.bounds.versions:
                trim(context, connection, row, version)
        inserted.append(made)
        tags += [(one.place, made["life"], tag, value) for tag, value in (one.new.tags or {}).items()]
        puts.append(Put(made["name"], version, changed))
        audits.append(("parameter.put", _told(made["name"], version, one.type, one.new.why)))
    connection.executemany(
        "UPDATE parameter_versions SET is_current = 0 WHERE place = ? AND life = ? AND version = ?", superseded
    )
    rows.insert(connection, inserted)
    connection.executemany("INSERT INTO parameter_tags (place, life, tag, value) VALUES (?, ?, ?, ?)", tags)
    context.audit(connection, audits)
    return puts


def _told(name: str, version: int, kind: str, why: str) -> dict[str, Any]:
    return {"name": name, "version": version, "type": kind, **({"why": why} if why else {})}


def trim(context: Context, connection: Any, row: Any, version: int) -> None:
    """Drop the oldest versions so that with the new one as many are there as are kept. One with a label is not dropped."""
    place, life = row["place"], row["life"]
    last_dropped = version - context.bounds.versions
    held = [label for label, of in rows.labels_of(connection, place, life).items() if of <= last_dropped]
    if held:
        oldest = rows.labels_of(connection, place, life)[held[0]]
        raise Refused(
            f"parameter {row['name']}: version {oldest} is the oldest of {context.bounds.versions} and has the label {held[0]}",
            code="E614",
            hint=f"move the label to a later version: statectl parameter label {row['name']} {held[0]} --version N",
        )
    connection.execute(
        "DELETE FROM parameter_versions WHERE place = ? AND life = ? AND version <= ?", (place, life, last_dropped)
    )
