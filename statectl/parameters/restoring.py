"""Bringing back what was deleted, or what was there at a time. A secret that was deleted is gone, and that is said."""

import datetime as dt
from typing import Any, NamedTuple

from statectl.errors import Refused
from statectl.parameters import public, rows
from statectl.parameters.context import Context, Entries
from statectl.parameters.failures import missing
from statectl.parameters.keeping_keys import ready
from statectl.parameters.model import SECURE, Put, Restored
from statectl.parameters.names import Selector, below, check_path, is_public, place_of
from statectl.parameters.policies import stamp
from statectl.parameters.reading import selected
from statectl.parameters.secrecy import Resealing
from statectl.parameters.writing import check_why, other_version, trim


class _Back(NamedTuple):
    """A parameter that comes back: its latest version, and those whose secrets are gone."""

    latest: Any
    wiped: list[Any]


def restore(context: Context, what: str, *, recursive: bool, at: dt.datetime | None) -> list[Restored]:
    """One parameter, or all below a path, in one transaction.

    at      None: what was deleted last under these names. Else: the values of that moment, as new versions where others came since;
            what was made since stays, and is said to have been kept.
    """
    if is_public(f"{what}/x"):
        raise public.read_only(what)
    now = context.now()
    if at is not None and stamp(at) > now:
        raise Refused(f"{stamp(at)} has not come yet", code="E625")
    bounds = below(check_path(what)) if recursive else None
    wanted = stamp(at) if at is not None else None
    resealing = Resealing(context)
    if wanted is not None:
        _prepare(context, resealing, place_of(what), bounds, wanted)
    with context.database.transaction() as connection:
        lives = _lives(connection, place_of(what), bounds)
        done: list[Restored] = []
        back: list[_Back] = []
        audits: Entries = []
        for rows_of_place in lives:
            name = rows_of_place[-1]["name"]
            if not context.rights.may("write", name) or not context.rights.may("read", name):
                continue
            one = (
                _revive(rows_of_place, now, back)
                if wanted is None
                else _as_of(context, connection, rows_of_place, wanted, resealing)
            )
            if one is None:
                continue
            done.append(one)
            if one.outcome in ("revived", "put"):
                audits.append(
                    (
                        "parameter.restore",
                        {"name": one.name, "version": one.version, **({"at": wanted} if wanted else {})},
                    )
                )
        _bring_back(connection, back)
        if not done:
            raise missing(what) if recursive or at is not None else _nothing(connection, context, what)
        if audits:
            context.audit(connection, audits)
    return done


def _nothing(connection: Any, context: Context, name: str) -> Refused:
    row = rows.current_one(connection, place_of(name))
    if row is not None and context.rights.may("read", name):
        if rows.is_expired(row, context.now()):
            return Refused(f"parameter {row['name']} expired {row['expires']}", code="E624", hint="write it anew")
        return Refused(
            f"parameter {row['name']} is there: it was not deleted", code="E625", hint="--at TIME: its value of then"
        )
    return missing(name)


def _lives(connection: Any, place: bytes, bounds: tuple[bytes, bytes] | None) -> list[list[Any]]:
    """All versions of each place, those of one life together, the living or last deleted one at the end."""
    condition, values = ("place >= ? AND place < ?", bounds) if bounds is not None else ("place = ?", (place,))
    found = connection.execute(
        f"SELECT {rows.EVERYTHING} FROM parameter_versions WHERE {condition}"  # noqa: S608
        " ORDER BY place, CASE WHEN deleted IS NULL THEN 1 ELSE 0 END, deleted, modified, life, version",
        values,
    ).fetchall()
    grouped: dict[bytes, list[Any]] = {}
    for row in found:
        grouped.setdefault(bytes(row["place"]), []).append(row)
    return list(grouped.values())


def _is_wiped(row: Any) -> bool:
    return bool(row["type"] == SECURE and row["cipher"] is None)


def _last_life(versions: list[Any]) -> list[Any]:
    life = versions[-1]["life"]
    return sorted((row for row in versions if row["life"] == life), key=lambda row: row["version"])


def _revived(connection: Any, versions: list[Any], now: str) -> Restored | None:
    """At once."""
    back: list[_Back] = []
    one = _revive(versions, now, back)
    _bring_back(connection, back)
    return one


def _revive(versions: list[Any], now: str, back: list[_Back]) -> Restored | None:
    """What was deleted last, with its versions and labels, is added to `back`. None when nothing was deleted."""
    last = _last_life(versions)
    row = last[-1]
    if row["deleted"] is None:
        return None
    if rows.is_expired(row, now):
        return Restored(row["name"], "expired")
    if _is_wiped(row):
        return Restored(row["name"], "gone")
    back.append(_Back(row, [one for one in last if _is_wiped(one)]))
    return Restored(row["name"], "revived", row["version"])


def _bring_back(connection: Any, back: list[_Back]) -> None:
    # versions whose secrets were wiped cannot be shown any more
    wiped = [(bytes(row["place"]), row["life"], row["version"]) for one in back for row in one.wiped]
    connection.executemany("DELETE FROM parameter_versions WHERE place = ? AND life = ? AND version = ?", wiped)
    connection.executemany("DELETE FROM parameter_labels WHERE place = ? AND life = ? AND version = ?", wiped)
    connection.executemany(
        "UPDATE parameter_versions SET deleted = NULL, deleted_by = NULL,"
        " is_current = CASE WHEN version = ? THEN 1 ELSE 0 END WHERE place = ? AND life = ?",
        [(one.latest["version"], bytes(one.latest["place"]), one.latest["life"]) for one in back],
    )


def _prepare(context: Context, resealing: Resealing, place: bytes, bounds: tuple[bytes, bytes] | None, at: str) -> None:
    """What restoring secrets of a time asks of the keys, before the store is held."""
    with context.database.reading() as connection:
        asked = []
        for versions in _lives(connection, place, bounds):
            then, name = _at(versions, at), versions[-1]["name"]
            if then is not None and then["cipher"] is not None and then["is_current"] == 0:
                asked += [then] if context.rights.may("write", name) and context.rights.may("read", name) else []
    if asked:
        ready(context)
    if resealing.asks_others:
        for then in asked:
            resealing.prepare(then, then["name"])


def _as_of(context: Context, connection: Any, versions: list[Any], at: str, resealing: Resealing) -> Restored | None:
    now = context.now()
    then = _at(versions, at)
    living = [row for row in versions if row["is_current"] == 1 and not rows.is_expired(row, now)]
    current = living[0] if living else None
    if then is None:
        return Restored(current["name"], "kept", current["version"]) if current is not None else None
    if current is not None and (current["life"], current["version"]) == (then["life"], then["version"]):
        return Restored(current["name"], "unchanged", current["version"])
    if _is_wiped(then):
        return Restored(then["name"], "gone")
    if current is None:
        last = _last_life(versions)
        if (
            last[-1]["life"] == then["life"]
            and last[-1]["version"] == then["version"]
            and last[-1]["deleted"] is not None
        ):
            return _revived(connection, versions, now)
        if last[-1]["life"] == then["life"] and last[-1]["deleted"] is not None and not _is_wiped(last[-1]):
            _revived(connection, versions, now)
            current = rows.current_one(connection, bytes(then["place"]))
    if then["expires"] is not None and then["expires"] <= now:
        return Restored(then["name"], "expired")
    return Restored(then["name"], "put", _put(context, connection, then, current, resealing, f"restored as of {at}"))


def _at(versions: list[Any], at: str) -> Any:
    """The version that was the latest then, or None."""
    found = None
    for row in versions:
        gone = (row["deleted"] is not None and row["deleted"] <= at) or rows.is_expired(row, at)
        if row["modified"] <= at and not gone and (found is None or row["modified"] >= found["modified"]):
            found = row
    return found


def put_back(context: Context, name: str, version: int, *, expected_version: int | None, why: str) -> Put:
    """The value and the fields of an earlier version as a new one."""
    if not context.rights.may("read", name) or not context.rights.may("write", name):
        raise missing(name)
    if is_public(name):
        raise public.read_only(name)
    check_why(why)
    now = context.now()
    earlier = Selector(name, version=version, text=f":{version}")
    resealing = Resealing(context)
    if resealing.asks_others:
        with context.database.reading() as connection:
            then = selected(connection, earlier, now)
        if then["cipher"] is not None:
            resealing.prepare(then, then["name"])
    with context.database.transaction() as connection:
        current = selected(connection, Selector(name), now)
        if expected_version is not None and expected_version != current["version"]:
            raise other_version(name, expected_version, current)
        then = selected(connection, earlier, now)
        if rows.is_expired(then, now):
            raise Refused(f"parameter {name}: version {version} expired {then['expires']}", code="E624")
        number = _put(context, connection, then, current, resealing, why or f"version {version} again")
        context.audit(connection, [("parameter.restore", {"name": current["name"], "version": number, "of": version})])
    same = then["type"] != SECURE and (then["type"], then["value"]) == (current["type"], current["value"])
    return Put(current["name"], number, not same)


def _put(context: Context, connection: Any, then: Any, current: Any, resealing: Resealing, why: str) -> int:
    """A new version with what a row holds, behind the current one or as the first; its number."""
    made = rows.values_of(then)
    version: int = current["version"] + 1 if current is not None else 1
    made.update(
        life=current["life"] if current is not None else rows.new_life(connection, bytes(then["place"])),
        name=current["name"] if current is not None else then["name"],
        version=version,
        is_current=1,
        modified=context.now(),
        who=context.who,
        why=why,
    )
    if then["cipher"] is not None:
        resealing.reseal(then, made)
    if current is not None:
        if version > context.bounds.versions:
            trim(context, connection, current, version)
        connection.execute(
            "UPDATE parameter_versions SET is_current = 0 WHERE place = ? AND life = ? AND version = ?",
            (bytes(current["place"]), current["life"], current["version"]),
        )
    rows.insert(connection, [made])
    return version
