"""Reading: one, many, below a path, descriptions, histories. What has expired is not there; what may not be seen is not there either."""

from collections.abc import Sequence
from typing import Any

from statectl.errors import Refused, UsageError
from statectl.parameters import public, rows
from statectl.parameters.context import Context
from statectl.parameters.failures import missing, not_valid, shown
from statectl.parameters.model import NO_TAGS, SECURE, Filter, Page, Parameter
from statectl.parameters.names import Selector, below, check_path, is_public, place_of
from statectl.parameters.secrecy import revealed
from statectl.parameters.values import text_problem

PAGE = 10  # of Systems Manager; here only a default for those who ask for pages
_COLUMNS = {"Type": "type", "KeyId": "key_id", "DataType": "data_type", "Name": "name"}
_OPTIONS = ("Equals", "BeginsWith", "Contains")


def get(context: Context, text: str, *, decrypt: bool) -> Parameter:
    """name, name:3 or name:label. Raises Refused: E610 missing or forbidden, E613 no such version or label, E624 expired."""
    selector = Selector.parse(text)
    if not context.rights.may("read", selector.name):
        raise missing(selector.name)
    if is_public(selector.name):
        return public.get(selector)
    with context.database.reading() as connection:
        row = selected(connection, selector, context.now())
        tags = rows.tags_of(connection, row["place"], row["life"])
    if decrypt and row["type"] == SECURE:
        one = revealed(context, [(row, selector.text, ())])[0]
    else:
        one = rows.parameter(row, selector=selector.text)
    one.tags = tags
    return one


def get_many(context: Context, texts: Sequence[str], *, decrypt: bool) -> tuple[list[Parameter], list[str]]:
    """(those that are there in the order asked for, those that are not). The same one twice is a mistake."""
    if len(set(texts)) != len(texts):
        raise UsageError("a parameter stands twice in one request", code="E612")
    found, not_found, wanted = [], [], []
    for text in texts:
        selector = Selector.parse(text)
        try:
            if not context.rights.may("read", selector.name):
                raise missing(selector.name)
            if is_public(selector.name):
                found.append((text, public.get(selector)))
            else:
                wanted.append((text, selector))
        except Refused:
            not_found.append(text)
    secrets: list[tuple[str, Any, str]] = []
    now = context.now()
    with context.database.reading() as connection:
        for text, selector in wanted:
            try:
                row = selected(connection, selector, now)
                if decrypt and row["type"] == SECURE:
                    if not context.rights.may("decrypt", row["name"]):
                        raise missing(selector.name)
                    secrets.append((text, row, selector.text))
                else:
                    found.append((text, rows.parameter(row, selector=selector.text)))
            except Refused:
                not_found.append(text)
    opened = revealed(context, [(row, selector, ()) for _, row, selector in secrets])
    found += zip((text for text, _, _ in secrets), opened, strict=True)
    order = {text: number for number, text in enumerate(texts)}
    return [one for _, one in sorted(found, key=lambda pair: order[pair[0]])], sorted(not_found, key=order.__getitem__)


def type_of(context: Context, name: str) -> str:
    if is_public(name) or not any(context.rights.may(action, name) for action in ("list", "read", "write")):
        return ""
    with context.database.reading() as connection:
        row = rows.current_one(connection, place_of(name))
    return row["type"] if row is not None and not rows.is_expired(row, context.now()) else ""


def selected(connection: Any, selector: Selector, now: str) -> Any:
    """The row that a selector means. Raises Refused."""
    place = place_of(selector.name)
    row = rows.current_one(connection, place)
    if row is None:
        raise missing(selector.name)
    if rows.is_expired(row, now):
        raise Refused(
            f"parameter {row['name']} expired {row['expires']}",
            code="E624",
            hint=f"write it anew: statectl parameter set {row['name']}",
        )
    if not selector.text:
        return row
    version = selector.version
    if version is None:
        version = rows.labels_of(connection, place, row["life"]).get(selector.label)
        if version is None:
            raise Refused(
                f"parameter {row['name']} has no version with the label {selector.label}",
                code="E613",
                hint=f"statectl parameter history {row['name']} shows versions and labels",
            )
    wanted = rows.version(connection, place, row["life"], min(max(version, -1), 2**31 - 1))
    if wanted is None:
        raise no_version(connection, row, version)
    return wanted


def no_version(connection: Any, row: Any, version: int) -> Refused:
    span = connection.execute(
        "SELECT min(version) AS first, max(version) AS last FROM parameter_versions WHERE place = ? AND life = ?",
        (row["place"], row["life"]),
    ).fetchone()
    return Refused(
        f"parameter {row['name']}: version {shown(str(version))} does not exist ({span['first']} to {span['last']})",
        code="E613",
        hint=f"statectl parameter history {row['name']} shows versions and labels",
    )


def by_path(
    context: Context,
    path: str,
    *,
    recursive: bool,
    filters: Sequence[Filter] = (),
    limit: int | None = None,
    after: str = "",
    decrypt: bool = False,
) -> Page:
    """The values below a path that may be read, in the order of their names."""
    trimmed = check_path(path)
    if is_public(f"{trimmed}/x"):
        return _page([one for one in public.below(trimmed, recursive) if _may(context, "read", one)], limit, after)
    label = _only_label(filters)
    if not label and not decrypt:
        plain, more = _listed(context, trimmed, "read", recursive, filters, limit, after, columns=rows.SHOWN)
        return Page(rows.parameters(plain), plain[-1]["name"] if more else "")
    found, more = _listed(
        context, trimmed, "read", recursive, [one for one in filters if one.key != "Label"], limit, after
    )
    chosen = _labelled(context, trimmed, found, label) if label else found
    text = f":{label}" if label else ""
    if decrypt:
        seen = [row for row in chosen if row["type"] != SECURE or context.rights.may("decrypt", row["name"])]
        parameters = revealed(context, [(row, text, ()) for row in seen])
    else:
        parameters = [rows.parameter(row, selector=text) for row in chosen]
    return Page(parameters, found[-1]["name"] if more else "")


def describe(
    context: Context,
    path: str = "/",
    *,
    recursive: bool = True,
    filters: Sequence[Filter] = (),
    limit: int | None = None,
    after: str = "",
) -> Page:
    """Everything but the values, with tags, of those below a path that may be listed, in the order of their names."""
    trimmed = check_path(path)
    if is_public(f"{trimmed}/x"):
        return _page([one for one in public.below(trimmed, recursive) if _may(context, "list", one)], limit, after)
    if any(one.key == "Label" for one in filters):
        raise not_valid("descriptions have no filter Label; it chooses values below a path", code="E612")
    found, more = _listed(
        context, trimmed, "list", recursive, filters, limit, after, columns=f"place, life, {rows.DESCRIBED}"
    )
    first, behind = below(trimmed)
    tags: dict[tuple[bytes, str], dict[str, str]] = {}
    with context.database.reading() as connection:
        for row in connection.execute(
            "SELECT place, life, tag, value FROM parameter_tags WHERE place >= ? AND place < ? ORDER BY place, tag",
            (first, behind),
        ):
            tags.setdefault((bytes(row["place"]), row["life"]), {})[row["tag"]] = row["value"]
    parameters = []
    for row in found:
        place, life, *fields = row
        one = Parameter(*fields)
        one.tags = tags.get((bytes(place), life), NO_TAGS)
        parameters.append(one)
    return Page(parameters, found[-1]["name"] if more else "")


def history(context: Context, name: str, *, decrypt: bool = False) -> list[Parameter]:
    """All versions that are kept, oldest first, with their labels."""
    if not context.rights.may("read", name):
        raise missing(name)
    if is_public(name):
        return [public.get(Selector(name))]
    with context.database.reading() as connection:
        row = selected(connection, Selector(name), context.now())
        versions = rows.all_versions(connection, row["place"], row["life"])
        labels = rows.labels_of(connection, row["place"], row["life"])
    told = [
        (version, "", tuple(label for label, of in labels.items() if of == version["version"])) for version in versions
    ]
    if decrypt:
        return revealed(context, told)
    return [rows.parameter(version, labels=named) for version, _, named in told]


def _listed(
    context: Context,
    path: str,
    action: str,
    recursive: bool,
    filters: Sequence[Filter],
    limit: int | None,
    after: str,
    *,
    columns: str = rows.EVERYTHING,
) -> tuple[list[Any], bool]:
    """(rows, are there more) that are there, fit, and may be seen."""
    first, behind = below(path)
    conditions = ["is_current = 1", "place >= ?", "place < ?", "(expires IS NULL OR expires > ?)"]
    values: list[Any] = [max(first, place_of(after) + b"\0") if after else first, behind, context.now()]
    for one in filters:
        condition, more = _condition(one)
        conditions.append(condition)
        values += more
    everywhere = context.rights.everywhere(action)
    counted = limit is not None and everywhere and recursive
    asked = f" LIMIT {int(limit) + 1}" if counted and limit is not None else ""
    with context.database.reading() as connection:
        found = connection.execute(
            f"SELECT {columns} FROM parameter_versions WHERE {' AND '.join(conditions)} ORDER BY place{asked}",  # noqa: S608
            values,
        ).fetchall()
    if not recursive:
        depth = path.count("/") + 1
        found = [row for row in found if (row["name"].count("/") or 1) == depth]
    if not everywhere:
        found = [row for row in found if context.rights.may(action, row["name"])]
    if limit is not None and len(found) > limit:
        return found[:limit], True
    return found, False


def _condition(one: Filter) -> tuple[str, list[str]]:
    if any(text_problem(text) for text in (one.key, *one.values)):
        raise not_valid(f"a filter of {shown(one.key)!r} is not text", code="E612")
    if one.option not in _OPTIONS:
        raise not_valid(f"filter option {one.option!r} is not known; one of {', '.join(_OPTIONS)}", code="E612")
    if one.key.startswith("tag:"):
        alternatives = " OR ".join(_comparison("t.value", one, value) for value in one.values) or "1 = 1"
        there = (
            "EXISTS (SELECT 1 FROM parameter_tags t WHERE t.place = parameter_versions.place"  # noqa: S608
            f" AND t.life = parameter_versions.life AND t.tag = ? AND ({alternatives}))"
        )
        return there, [one.key[4:], *one.values]
    column = _COLUMNS.get(one.key)
    if column is None or not one.values:
        known = ", ".join([*_COLUMNS, "Label", "tag:NAME"])
        raise not_valid(f"filter {shown(one.key)!r} is not known, or has no value; one of {known}", code="E612")
    return f"({' OR '.join(_comparison(column, one, value) for value in one.values)})", list(one.values)


def _comparison(column: str, one: Filter, value: str) -> str:
    """With case, on every database; LIKE is not the same everywhere."""
    if one.option == "Equals":
        return f"{column} = ?"
    if one.option == "BeginsWith":
        return f"substr({column}, 1, {len(value)}) = ?"
    return f"replace({column}, ?, '') <> {column}"


def _only_label(filters: Sequence[Filter]) -> str:
    labels = [one for one in filters if one.key == "Label"]
    if not labels:
        return ""
    if len(labels) > 1 or len(labels[0].values) != 1 or labels[0].option != "Equals":
        raise not_valid("the filter Label takes one label, with Equals", code="E612")
    return labels[0].values[0]


def _labelled(context: Context, path: str, found: Sequence[Any], label: str) -> list[Any]:
    """Instead of the latest versions those that carry the label; without those that have none."""
    chosen = []
    with context.database.reading() as connection:
        carrying = {
            (bytes(row["place"]), row["life"]): row["version"]
            for row in connection.execute(
                "SELECT place, life, version FROM parameter_labels WHERE label = ? AND place >= ? AND place < ?",
                (label, *below(path)),
            )
        }
        for row in found:
            version = carrying.get((bytes(row["place"]), row["life"]))
            if version == row["version"]:
                chosen.append(row)
            elif version is not None:
                chosen.append(rows.version(connection, row["place"], row["life"], version))
    return chosen


def _may(context: Context, action: str, one: Parameter) -> bool:
    return context.rights.may(action, one.name)


def _page(found: list[Parameter], limit: int | None, after: str) -> Page:
    left = [one for one in found if not after or place_of(one.name) > place_of(after)]
    if limit is None or len(left) <= limit:
        return Page(left)
    return Page(left[:limit], left[limit - 1].name)
