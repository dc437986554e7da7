"""Tags that people set on hosts: kept here, beside those that the inventory declares. Every change is audited with who and when."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from statectl.errors import Refused
from statectl.store.audit import append_audits
from statectl.store.database import Database, repeatable
from statectl.store.ids import now, who


@dataclass(frozen=True, slots=True)
class Changed:
    """Of one host, {key: value}: what was set, and what was there before of what was set or removed."""

    put: Mapping[str, str] = field(default_factory=dict)
    removed: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)


class Tags:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeatable
    def all(self) -> dict[str, dict[str, str]]:
        """{host: {key: value}}."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT host, tag, value FROM host_tags ORDER BY host, tag").fetchall()
        found: dict[str, dict[str, str]] = {}
        for row in rows:
            found.setdefault(row["host"], {})[row["tag"]] = row["value"]
        return found

    @repeatable
    def change(
        self, hosts: Iterable[str], put: Mapping[str, str], remove: Collection[str], *, most: int
    ) -> dict[str, Changed]:
        """All of it or nothing; what it came to on each host where something became another. Raises Refused above `most` on a host."""
        at, by = now(), who()
        changes: dict[str, Changed] = {}
        with self._database.transaction() as connection:
            for host in hosts:
                rows = connection.execute("SELECT tag, value FROM host_tags WHERE host = ?", (host,)).fetchall()
                there = {row["tag"]: row["value"] for row in rows}
                fresh = {key: value for key, value in put.items() if there.get(key) != value}
                gone = {key: there[key] for key in remove if key in there}
                if not fresh and not gone:
                    continue
                if len((there.keys() | fresh.keys()) - gone.keys()) > most:
                    raise Refused(f"{host} would have more than {most} stored tags", hint="--remove KEY takes one away")
                before = {key: there[key] for key in fresh if key in there}
                changes[host] = Changed(fresh, gone, before)
                connection.executemany(
                    "DELETE FROM host_tags WHERE host = ? AND tag = ?", [(host, key) for key in gone]
                )
                connection.executemany(
                    "INSERT INTO host_tags (host, tag, value, set_at, set_by) VALUES (?, ?, ?, ?, ?) ON CONFLICT (host, tag)"
                    " DO UPDATE SET value = excluded.value, set_at = excluded.set_at, set_by = excluded.set_by",
                    [(host, key, value, at, by) for key, value in fresh.items()],
                )
            append_audits(
                connection,
                [
                    ("host.tag", {"host": host, "set": one.put, "removed": one.removed, "before": one.before})
                    for host, one in changes.items()
                ],
                by=by,
                at=at,
            )
        return changes
