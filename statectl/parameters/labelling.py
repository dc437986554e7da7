"""Labels of versions and tags of parameters. A label belongs to one version at a time: to give it to another is to move it."""

from collections.abc import Mapping, Sequence

from statectl.errors import Refused, UsageError
from statectl.parameters import public, rows
from statectl.parameters.checks import TAGS, tags_problem
from statectl.parameters.context import Context
from statectl.parameters.failures import missing, not_valid, shown
from statectl.parameters.model import Labelled
from statectl.parameters.names import Selector, is_public, label_problem, place_of
from statectl.parameters.reading import no_version, selected


def label(context: Context, name: str, version: int | None, labels: Sequence[str]) -> Labelled:
    """version: None for the latest. Words that cannot be labels come back as invalid; the others are moved."""
    _once(labels)
    _may_write(context, name)
    good = [one for one in labels if not label_problem(one)]
    with context.database.transaction() as connection:
        row = selected(connection, Selector(name), context.now())
        place, life = bytes(row["place"]), row["life"]
        number = row["version"] if version is None else version
        if version is not None and rows.version(connection, place, life, min(max(version, -1), 2**31 - 1)) is None:
            raise no_version(connection, row, version)
        there = [one for one, of in rows.labels_of(connection, place, life).items() if of == number]
        most = context.bounds.labels
        if len({*there, *good}) > most:
            raise Refused(
                f"parameter {row['name']}: version {number} would have {len({*there, *good})} labels; at most {most}",
                code="E614",
                hint=f"take one away: statectl parameter label --remove {row['name']} LABEL",
            )
        connection.executemany(
            "INSERT INTO parameter_labels (place, life, label, version) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (place, life, label) DO UPDATE SET version = excluded.version",
            [(place, life, one, number) for one in good],
        )
        if good:
            context.audit(connection, [("parameter.label", {"name": row["name"], "version": number, "labels": good})])
    return Labelled(number, tuple(good), tuple(one for one in labels if one not in good))


def unlabel(context: Context, name: str, version: int, labels: Sequence[str]) -> Labelled:
    """Labels that this version does not have come back as invalid."""
    _once(labels)
    _may_write(context, name)
    with context.database.transaction() as connection:
        row = selected(connection, Selector(name, version=version, text=f":{version}"), context.now())
        place, life = bytes(row["place"]), row["life"]
        there = rows.labels_of(connection, place, life)
        gone = [one for one in labels if there.get(one) == version]
        connection.executemany(
            "DELETE FROM parameter_labels WHERE place = ? AND life = ? AND label = ?",
            [(place, life, one) for one in gone],
        )
        if gone:
            context.audit(
                connection, [("parameter.unlabel", {"name": row["name"], "version": version, "labels": gone})]
            )
    return Labelled(version, tuple(gone), tuple(one for one in labels if one not in gone))


def tag(
    context: Context, name: str, tags: Mapping[str, str], remove: Sequence[str], *, replace: bool
) -> dict[str, str]:
    """Add, overwrite and remove tags; those that it then has. It makes no version. replace: all others go."""
    _may_write(context, name)
    problem = tags_problem({**dict.fromkeys(remove, ""), **tags})
    if problem:
        raise not_valid(f"parameter {shown(name)}: {problem}", code="E612")
    with context.database.transaction() as connection:
        row = selected(connection, Selector(name), context.now())
        place, life = bytes(row["place"]), row["life"]
        if replace:
            connection.execute("DELETE FROM parameter_tags WHERE place = ? AND life = ?", (place, life))
        connection.executemany(
            "INSERT INTO parameter_tags (place, life, tag, value) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (place, life, tag) DO UPDATE SET value = excluded.value",
            [(place, life, key, value) for key, value in tags.items()],
        )
        connection.executemany(
            "DELETE FROM parameter_tags WHERE place = ? AND life = ? AND tag = ?",
            [(place, life, key) for key in remove],
        )
        found = rows.tags_of(connection, place, life)
        if len(found) > TAGS:
            raise not_valid(f"parameter {shown(name)}: {len(found)} tags; at most {TAGS}", code="E612")
        context.audit(
            connection, [("parameter.tag", {"name": row["name"], "tags": sorted(tags), "removed": sorted(remove)})]
        )
    return found


def _once(labels: Sequence[str]) -> None:
    for one in labels:
        if list(labels).count(one) > 1:
            raise UsageError(f"label {shown(one)!r} stands twice in one request", code="E614")


def _may_write(context: Context, name: str) -> None:
    """Whether it is there is not told to who may not write there."""
    if not context.rights.may("write", name):
        raise missing(name)
    if is_public(name):
        raise public.read_only(place_of(name).decode())
