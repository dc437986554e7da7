"""The first key of a store, and the change from one outer key to the next: data keys are wrapped anew, values are not touched."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from statectl.errors import Refused
from statectl.parameters.context import Context
from statectl.parameters.failures import forbidden

BATCH = 200


@dataclass(frozen=True, slots=True)
class Rotated:
    key_id: str
    renewed: str  # what was done to the key, in words
    wrapped: int  # data keys that were wrapped anew
    dropped: int  # old keys that were forgotten


def ready(context: Context) -> str:
    """Make the first key when nothing was ever encrypted; what was made, in words.

    Raises Refused (E619) when the key was lost, and when it is another one than that of the secrets that are there: half of them under a
    key that others do not have would be lost for them.
    """
    outer = context.keys.outer
    if outer.exists():
        _check_known(context)
        return ""
    with context.database.transaction() as connection:
        if outer.exists():
            return ""  # another process was quicker
        row = connection.execute(
            "SELECT count(*) AS number, min(key_id) AS key_id FROM parameter_versions WHERE cipher IS NOT NULL"
        ).fetchone()
        if row["number"]:
            raise Refused(
                f"{outer.shown()}, and {row['number']} secrets are encrypted with the key {row['key_id']}",
                code="E619",
                hint="put the key back from your copy; a new one is made only when those secrets are deleted",
            )
        return outer.create()


def _check_known(context: Context) -> None:
    current = context.keys.outer.current()
    with context.database.reading() as connection:
        ours = connection.execute(
            "SELECT key_id FROM parameter_versions WHERE cipher IS NOT NULL AND key_id = ? LIMIT 1", (current,)
        ).fetchone()
        if ours is not None:
            return
        others = connection.execute(
            "SELECT key_id, count(*) AS number FROM parameter_versions WHERE cipher IS NOT NULL GROUP BY key_id ORDER BY key_id"
        ).fetchall()
    if others and not any(context.keys.can_unwrap(row["key_id"]) for row in others):
        raise Refused(
            f"{others[0]['number']} secrets are encrypted with the key {others[0]['key_id']}; {context.keys.outer.shown()}",
            code="E619",
            hint="name their key in the setting parameters.key, or move them to this one: statectl parameter rotate --from KEY",
        )


def rotate(context: Context, *, renew: bool, drop_old: bool, tell: Callable[[int], None] = lambda _: None) -> Rotated:
    """Wrap every data key with the newest outer key.

    renew       make a new key before
    drop_old    forget the others after it; a copy of the store from before cannot be read any more then
    tell        is told how many are done
    Killed in the middle, it is continued by running it again: each data key is under the one key or the other.
    """
    if not context.rights.everywhere("decrypt"):
        raise forbidden("rotate the key of", "/**")
    outer = context.keys.outer
    ready(context)
    renewed = outer.renew() if renew else ""
    with context.database.transaction() as connection:
        context.audit(connection, [("parameter.rotate", {"key": outer.current()})])
    done = 0
    left = _all(context)
    for start in range(0, len(left), BATCH):
        done += _rewrap(context, left[start : start + BATCH])
        tell(done)
    dropped = 0
    if drop_old:
        with context.database.transaction() as connection:  # nobody wraps meanwhile
            stale = connection.execute(
                "SELECT count(*) AS number FROM parameter_versions WHERE cipher IS NOT NULL AND key_id <> ?",
                (outer.current(),),
            ).fetchone()["number"]
            if stale:
                raise Refused(
                    f"{stale} secrets were written with an old key in the meantime; no key was dropped",
                    code="E619",
                    hint="run the same command again",
                )
            dropped = outer.drop_old()
    return Rotated(outer.current(), renewed, done, dropped)


def _all(context: Context) -> list[tuple[bytes, str, int]]:
    with context.database.reading() as connection:
        found = connection.execute(
            "SELECT place, life, version FROM parameter_versions WHERE cipher IS NOT NULL ORDER BY place, life, version"
        ).fetchall()
    return [(bytes(row["place"]), row["life"], row["version"]) for row in found]


def _rewrap(context: Context, some: list[tuple[bytes, str, int]]) -> int:
    """Those of a batch that are still there. The keys are asked while nobody is kept waiting."""
    outer = context.keys.outer
    found: list[Any] = []
    with context.database.reading() as connection:
        for key in some:
            row = connection.execute(
                "SELECT place, life, version, name, data_key, key_id FROM parameter_versions"
                " WHERE place = ? AND life = ? AND version = ? AND cipher IS NOT NULL",
                key,
            ).fetchone()
            found += [row] if row is not None else []
    changes = []
    for row in found:
        if row["key_id"] == outer.current() and not outer.remote:
            continue
        data_key = context.keys.unwrap(row["key_id"], bytes(row["data_key"]), row["name"], row["version"])
        key_id, wrapped = outer.wrap(data_key, row["name"])
        changes.append((key_id, wrapped, bytes(row["place"]), row["life"], row["version"], bytes(row["data_key"])))
    with context.database.transaction() as connection:
        connection.executemany(
            "UPDATE parameter_versions SET key_id = ?, data_key = ?"
            " WHERE place = ? AND life = ? AND version = ? AND data_key = ?",
            changes,
        )
    return len(changes)
