"""Deleting: a parameter is gone at once. What was text can be restored for a time; what was secret is wiped for good.

Its ciphertexts and data keys are overwritten in the same transaction: nobody who gets the key later can read them.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from statectl.parameters import public, rows
from statectl.parameters.context import Context, Entries
from statectl.parameters.failures import missing
from statectl.parameters.names import below, check_path, is_public, place_of
from statectl.parameters.policies import stamp


def delete_many(context: Context, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """(names that were deleted, names that are not there or may not be deleted), in one transaction."""
    deleted, invalid, found = [], [], []
    for name in names:
        if is_public(name) and context.rights.may("delete", name):
            raise public.read_only(name)
    with context.database.transaction() as connection:
        there = rows.current(connection, map(place_of, names))
        for name in names:
            row = there.pop(place_of(name), None)
            if row is None or rows.is_expired(row, context.now()) or not context.rights.may("delete", name):
                invalid.append(name)
            else:
                deleted.append(name)
                found.append(row)
        _delete(context, connection, found, "parameter.delete")
    return deleted, invalid


def delete(context: Context, name: str) -> None:
    """Raises Refused (E610)."""
    _, invalid = delete_many(context, [name])
    if invalid:
        raise missing(name)


def delete_tree(context: Context, path: str) -> list[str]:
    """The names of what was below the path, that it has deleted: all that may be, in one transaction."""
    trimmed = check_path(path)
    if is_public(f"{trimmed}/x"):
        raise public.read_only(path)
    with context.database.transaction() as connection:
        found = rows.tree(connection, *below(trimmed))
        if not context.rights.everywhere("delete"):
            found = [row for row in found if context.rights.may("delete", row["name"])]
        if not found:
            raise missing(path)
        _delete(context, connection, found, "parameter.delete")
    return [row["name"] for row in found]


def sweep(context: Context) -> tuple[list[str], int]:
    """Delete what has expired, and forget for good what was deleted long enough ago. (names that expired, parameters forgotten)

    For whoever runs all the time; reading obeys an expiration without it.
    """
    moment = context.moment()
    with context.database.transaction() as connection:
        expired = connection.execute(
            f"SELECT {rows.EVERYTHING} FROM parameter_versions"  # noqa: S608
            " WHERE is_current = 1 AND expires IS NOT NULL AND expires <= ? ORDER BY place",
            (context.now(),),
        ).fetchall()
        _delete(context, connection, expired, "parameter.expire", by="statectl: expired")
        before = stamp(moment - dt.timedelta(days=context.bounds.keep_deleted_days))
        lives = connection.execute(
            "SELECT DISTINCT place, life FROM parameter_versions WHERE deleted IS NOT NULL AND deleted <= ?", (before,)
        ).fetchall()
        keys = [(bytes(row["place"]), row["life"]) for row in lives]
        for table in ("parameter_labels", "parameter_tags", "parameter_notices", "parameter_versions"):
            connection.executemany(f"DELETE FROM {table} WHERE place = ? AND life = ?", keys)  # noqa: S608  our own words
    return [row["name"] for row in expired], len(keys)


def bury(connection: Any, found: Sequence[Any], now: str, by: str) -> None:
    """The parameters of these latest versions, deleted; the secrets in all their versions overwritten."""
    keys = [(now, by, bytes(row["place"]), row["life"]) for row in found]
    connection.executemany(
        "UPDATE parameter_versions SET is_current = 0, deleted = ?, deleted_by = ?, cipher = NULL, data_key = NULL"
        " WHERE place = ? AND life = ?",
        keys,
    )


def _delete(context: Context, connection: Any, found: Sequence[Any], action: str, by: str = "") -> None:
    bury(connection, found, context.now(), by or context.who)
    audits: Entries = [(action, {"name": row["name"], "version": row["version"]}) for row in found]
    if audits:
        context.audit(connection, audits)
