"""Rows of the database, and what is made of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from statectl.parameters.model import Parameter
from statectl.store.ids import new_id

SHOWN = (
    "name, type, version, value, data_type, description, allowed_pattern, policies, expires, modified, who, why, key_id"
)
DESCRIBED = SHOWN.replace(" value,", " NULL,")
EVERYTHING = f"place, life, is_current, cipher, data_key, deleted, deleted_by, {SHOWN}"
ALL_COLUMNS = (
    "place", "life", "version", "is_current", "name", "type", "data_type", "value", "cipher", "data_key", "key_id",
    "description", "allowed_pattern", "policies", "expires", "modified", "who", "why",
)  # fmt: skip
_INSERT = f"INSERT INTO parameter_versions ({', '.join(ALL_COLUMNS)}) VALUES ({', '.join('?' * len(ALL_COLUMNS))})"  # noqa: S608
SOME = 500  # places in one question: databases have a limit


def parameter(row: Any, *, selector: str = "", labels: tuple[str, ...] = ()) -> Parameter:
    return Parameter(
        row["name"],
        row["type"],
        row["version"],
        row["value"],
        row["data_type"],
        row["description"],
        row["allowed_pattern"],
        row["policies"],
        row["expires"],
        row["modified"],
        row["who"],
        row["why"],
        row["key_id"],
        selector,
        labels,
    )


def parameters(found: Iterable[Any]) -> list[Parameter]:
    """Of rows with the columns SHOWN, which are in the order of its fields: this is where many are made."""
    return [Parameter(*row) for row in found]


def insert(connection: Any, rows: Sequence[dict[str, Any]]) -> None:
    connection.executemany(_INSERT, [tuple(row[column] for column in ALL_COLUMNS) for row in rows])


def current(connection: Any, places: Iterable[bytes]) -> dict[bytes, Any]:
    """The latest versions at these places, expired or not."""
    wanted = list(dict.fromkeys(places))
    found = {}
    for start in range(0, len(wanted), SOME):
        some = wanted[start : start + SOME]
        for row in connection.execute(
            f"SELECT {EVERYTHING} FROM parameter_versions"  # noqa: S608  our own words
            f" WHERE is_current = 1 AND place IN ({', '.join('?' * len(some))})",
            some,
        ):
            found[bytes(row["place"])] = row
    return found


def current_one(connection: Any, place: bytes) -> Any:
    return connection.execute(
        f"SELECT {EVERYTHING} FROM parameter_versions WHERE is_current = 1 AND place = ?",  # noqa: S608
        (place,),
    ).fetchone()


def tree(connection: Any, first: bytes, behind: bytes) -> list[Any]:
    """The latest versions of [first, behind), in order, expired or not."""
    found: list[Any] = connection.execute(
        f"SELECT {EVERYTHING} FROM parameter_versions"  # noqa: S608
        " WHERE is_current = 1 AND place >= ? AND place < ? ORDER BY place",
        (first, behind),
    ).fetchall()
    return found


def version(connection: Any, place: bytes, life: str, number: int) -> Any:
    return connection.execute(
        f"SELECT {EVERYTHING} FROM parameter_versions WHERE place = ? AND life = ? AND version = ?",  # noqa: S608
        (place, life, number),
    ).fetchone()


def all_versions(connection: Any, place: bytes, life: str) -> list[Any]:
    """Oldest first."""
    found: list[Any] = connection.execute(
        f"SELECT {EVERYTHING} FROM parameter_versions WHERE place = ? AND life = ? ORDER BY version",  # noqa: S608
        (place, life),
    ).fetchall()
    return found


def labels_of(connection: Any, place: bytes, life: str) -> dict[str, int]:
    return {
        row["label"]: row["version"]
        for row in connection.execute(
            "SELECT label, version FROM parameter_labels WHERE place = ? AND life = ? ORDER BY label", (place, life)
        )
    }


def tags_of(connection: Any, place: bytes, life: str) -> dict[str, str]:
    return {
        row["tag"]: row["value"]
        for row in connection.execute(
            "SELECT tag, value FROM parameter_tags WHERE place = ? AND life = ? ORDER BY tag", (place, life)
        )
    }


def is_expired(row: Any, now: str) -> bool:
    return row["expires"] is not None and row["expires"] <= now


def new_life(connection: Any, place: bytes) -> str:
    """Later lives of one place sort behind earlier ones: times are of seconds, and which was deleted last has to be known."""
    last = connection.execute("SELECT max(life) AS life FROM parameter_versions WHERE place = ?", (place,)).fetchone()
    number = int(last["life"][:6]) + 1 if last["life"] is not None else 1
    return f"{number:06d}{new_id()}"


def values_of(row: Any) -> dict[str, Any]:
    """A row that can be changed and inserted."""
    return {column: row[column] for column in ALL_COLUMNS}
