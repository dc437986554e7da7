"""Copies, moves and differences, of one parameter or of all below a path."""

import hmac
import os
from collections.abc import Sequence
from typing import Any

from statectl.errors import Refused
from statectl.parameters import public, rows
from statectl.parameters.checks import check
from statectl.parameters.context import Context, Entries
from statectl.parameters.failures import forbidden, missing, shown
from statectl.parameters.model import Difference, NewVersion, Parameter, Put
from statectl.parameters.names import below, check_name, check_path, is_public, place_of
from statectl.parameters.reading import by_path, get
from statectl.parameters.secrecy import Resealing
from statectl.parameters.writing import check_why, put_many
from statectl.secrets import Secret


def copy(context: Context, source: str, target: str, *, recursive: bool, overwrite: bool, why: str) -> list[Put]:
    """The latest versions with their descriptions, patterns, policies and tags, as new versions of their own."""
    if recursive:
        origin, destination = check_path(source), check_path(target)
        found = by_path(context, source, recursive=True, decrypt=True).parameters
        _whole(context, source, len(found))
        if not found:
            raise missing(source)
        pairs = [(one, destination + one.name[len(origin) :]) for one in found]
    else:
        pairs = [(get(context, source, decrypt=True), check_name(target, context.bounds.levels))]
    with context.database.reading() as connection:
        there = rows.current(connection, (place_of(name) for _, name in pairs))
        tags = {one.name: _tags(connection, one.name) for one, _ in pairs}
    now = context.now()
    news = []
    for one, name in pairs:
        row = there.get(place_of(name))
        exists = row is not None and not rows.is_expired(row, now)
        assert one.value is not None
        news.append(
            NewVersion(
                name,
                one.value,
                type=one.type,
                data_type=one.data_type,
                description=one.description,
                allowed_pattern=one.allowed_pattern,
                tags=None if exists else tags[one.name],
                policies=one.policies,
                overwrite=overwrite,
                why=why or f"copy of {one.name}:{one.version}",
            )
        )
    return put_many(context, news)


def _whole(context: Context, path: str, copied: int) -> None:
    """A copy of a tree is the whole tree: what may not be decrypted is not left out without a word."""
    if is_public(f"{path}/x"):
        return
    seen = len(by_path(context, path, recursive=True).parameters)
    if seen != copied:
        raise forbidden(f"decrypt {seen - copied} of the parameters below", path)


def _tags(connection: Any, name: str) -> dict[str, str]:
    row = rows.current_one(connection, place_of(name))
    return rows.tags_of(connection, row["place"], row["life"]) if row is not None else {}


def move(context: Context, source: str, target: str, *, recursive: bool, why: str) -> list[tuple[str, str]]:
    """[(old name, new name)]: with all versions, labels and tags. Nothing may be there where they go.

    Secrets are encrypted anew, every version of them: they are bound to their names.
    """
    check_why(why)
    for one in (source, target):
        if is_public(f"{one}/x"):
            raise public.read_only(one)
    if recursive:
        origin, destination = check_path(source), check_path(target)
        if f"{destination}/".startswith(f"{origin}/"):
            raise Refused(f"{shown(target)} is inside of {shown(source)}", code="E618", hint="choose another target")
        if is_public(f"{destination}/x"):
            raise public.read_only(target)
    resealing = Resealing(context)
    if resealing.asks_others:
        with context.database.reading() as connection:
            planned = [
                (one, name)
                for row, name in _moves(context, connection, source, target, recursive=recursive)
                for one in rows.all_versions(connection, row["place"], row["life"])
                if one["cipher"] is not None
            ]
        for one, name in planned:
            resealing.prepare(one, name)
    audits: Entries = []
    with context.database.transaction() as connection:
        named = _moves(context, connection, source, target, recursive=recursive)
        for row, name in named:
            _move_one(connection, row, name, resealing)
            told = {"name": row["name"], "to": name, "version": row["version"]}
            audits.append(("parameter.move", {**told, **({"why": why} if why else {})}))
        context.audit(connection, audits)
    return [(row["name"], name) for row, name in named]


def _moves(context: Context, connection: Any, source: str, target: str, *, recursive: bool) -> list[tuple[Any, str]]:
    """(latest version, new name) of each. Raises Refused when one of them may not go, or not there."""
    now = context.now()
    if recursive:
        origin, destination = check_path(source), check_path(target)
        found = [row for row in rows.tree(connection, *below(origin)) if not rows.is_expired(row, now)]
        named = [(row, destination + row["name"][len(origin) :]) for row in found]
    else:
        row = rows.current_one(connection, place_of(source))
        named = [] if row is None or rows.is_expired(row, now) else [(row, target.strip(" "))]
    if not named or not all(context.rights.may("read", row["name"]) for row, _ in named):
        raise missing(source)
    for row, name in named:
        _may_move(context, connection, row, name)
        check(name, {}, context.bounds, context.moment())
    there = rows.current(connection, (place_of(name) for _, name in named))
    for name in (name for _, name in named if place_of(name) in there):
        raise Refused(f"parameter {name} is there already", code="E618", hint="delete it first, or choose another name")
    return named


def _may_move(context: Context, connection: Any, row: Any, name: str) -> None:
    """A secret in any version takes the right to decrypt: where it goes, it might be read."""
    if not context.rights.may("delete", row["name"]):
        raise missing(row["name"])
    if not context.rights.may("decrypt", row["name"]):
        versions = rows.all_versions(connection, row["place"], row["life"])
        if any(one["cipher"] is not None for one in versions):
            raise missing(row["name"])
    if not context.rights.may("write", name):
        raise forbidden("write", name)


def _move_one(connection: Any, row: Any, name: str, resealing: Resealing) -> None:
    place, life = bytes(row["place"]), row["life"]
    moved = []
    for one in rows.all_versions(connection, place, life):
        made = rows.values_of(one)
        made.update(place=place_of(name), name=name)
        if one["cipher"] is not None:
            resealing.reseal(one, made)
        moved.append(made)
    connection.execute("DELETE FROM parameter_versions WHERE place = ? AND life = ?", (place, life))
    rows.insert(connection, moved)
    for table in ("parameter_labels", "parameter_tags", "parameter_notices"):
        connection.execute(
            f"UPDATE {table} SET place = ? WHERE place = ? AND life = ?",  # noqa: S608  our own words
            (place_of(name), place, life),
        )


def diff(context: Context, left: str, right: str, *, recursive: bool, decrypt: bool) -> list[Difference]:
    """What is different between two parameters or versions, or between what is below two paths; equal ones are left out.

    Secrets are compared only with `decrypt`, which takes the right to, and an audit row each.
    """
    if not recursive:
        return _differing([("", get(context, left, decrypt=decrypt), get(context, right, decrypt=decrypt))])
    trees = []
    for path in (left, right):
        trimmed = check_path(path)
        found = by_path(context, path, recursive=True, decrypt=decrypt).parameters
        trees.append({one.name[len(trimmed) :]: one for one in found})
    names = sorted({*trees[0], *trees[1]})
    return _differing([(name, trees[0].get(name), trees[1].get(name)) for name in names])


def _differing(pairs: Sequence[tuple[str, Parameter | None, Parameter | None]]) -> list[Difference]:
    key = os.urandom(32)
    found = []
    for name, left, right in pairs:
        differs = True if left is None or right is None else _differ(left, right, key)
        if differs is not False:
            found.append(Difference(name or (left or right).name, left, right, differs))  # type: ignore[union-attr]
    return found


def _differ(left: Parameter, right: Parameter, key: bytes) -> bool | None:
    if left.type != right.type:
        return True
    if isinstance(left.value, Secret) and isinstance(right.value, Secret):
        return not hmac.compare_digest(left.value.fingerprint(key), right.value.fingerprint(key))
    if left.is_secure:
        return (
            False if (left.name, left.version, left.modified) == (right.name, right.version, right.modified) else None
        )
    return left.value != right.value
