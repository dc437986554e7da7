"""Schedules and their slots: what was decided about each association, each slot once, whoever decides, and how it ended.

A slot belongs to who inserted it: `last` moves on and the rows are written in one transaction, so two controllers on one store never
run the same slot. Moments are UTC in whole seconds; the clock of those who call is an argument.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from statectl.store.database import Connection, Database, repeatable
from statectl.store.ids import lives, now, who

LEASE_S = 120  # silence after which a scheduler of another machine counts as gone
KEPT = timedelta(days=30)  # slots that have ended
NEVER_ENDED = "its controller ended before it knew how it ended; the next slot takes over"

Key = tuple[str, str]  # association, variant


@dataclass(frozen=True, slots=True)
class Known:
    last: datetime
    definition: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What one look decided about one schedule. `before`: what `last` was when it decided."""

    association: str
    variant: str
    before: datetime
    last: datetime
    run: tuple[datetime, ...]
    missed: tuple[datetime, ...]
    more_missed: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A slot that is ours to run."""

    association: str
    variant: str
    scheduled: datetime
    cause: str = "schedule"  # or edit

    @property
    def key(self) -> tuple[str, str, str]:
        return self.association, self.variant, text_of(self.scheduled)

    @property
    def id(self) -> str:
        """`web@2026-11-29T01:00:00Z`."""
        return f"{self.association}@{text_of(self.scheduled)}"


@dataclass(frozen=True, slots=True)
class Passed:
    """A slot that does not run, and why."""

    association: str
    scheduled: datetime
    state: str  # missed | skipped | interrupted
    reason: str


class Slots:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeatable
    def known(self) -> dict[Key, Known]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT association, variant, last, definition FROM schedules").fetchall()
        return {(row["association"], row["variant"]): Known(moment_of(row["last"]), row["definition"]) for row in rows}

    @repeatable
    def remember(self, found: Mapping[Key, str], at: datetime) -> None:
        """Schedules seen for the first time, with their definitions: only slots after `at` count."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO schedules (association, variant, last, definition) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (association, variant) DO NOTHING",
                [(*key, text_of(at), definition) for key, definition in found.items()],
            )

    @repeatable
    def claim(self, claims: Iterable[Claim], process: str) -> tuple[list[Claimed], list[Passed]]:
        """Those that are ours now, and those that do not run; what another controller decided meanwhile is left out."""
        ours: list[Claimed] = []
        passed: list[Passed] = []
        with self._database.transaction() as connection:
            for one in claims:
                moved = connection.execute(
                    "UPDATE schedules SET last = ? WHERE association = ? AND variant = ? AND last = ?",
                    (text_of(one.last), one.association, one.variant, text_of(one.before)),
                )
                if moved.rowcount != 1:
                    continue
                for place, moment in enumerate(one.missed):
                    more = ", and others before it" if one.more_missed and place == 0 else ""
                    reason = f"nobody ran it at its time{more}"
                    if _insert(connection, one, moment, "missed", process, reason):
                        passed.append(Passed(one.association, moment, "missed", reason))
                busy = _busy(connection, one.association, one.variant)
                for moment in one.run:
                    reason = f"{busy} still goes on" if busy else ""
                    if not _insert(connection, one, moment, "skipped" if busy else "due", process, reason):
                        continue
                    if busy:
                        passed.append(Passed(one.association, moment, "skipped", reason))
                    else:
                        ours.append(Claimed(one.association, one.variant, moment))
        return ours, passed

    @repeatable
    def claim_edit(self, association: str, definition: str, at: datetime, process: str, *, run: bool) -> Claimed | None:
        """Remember another definition of an association; with `run`, the slot that it asks for, unless it is remembered already.

        While a run of it goes on, nothing is remembered: the next look asks again.
        """
        slot = Claimed(association, "", at.replace(microsecond=0), "edit")
        with self._database.transaction() as connection:
            if run and _busy(connection, association):
                return None
            changed = connection.execute(
                "UPDATE schedules SET definition = ? WHERE association = ? AND definition != ?",
                (definition, association, definition),
            )
            if not run or changed.rowcount == 0 or not _insert(connection, slot, slot.scheduled, "due", process, ""):
                return None
        return slot

    @repeatable
    def begin(self, slots: Sequence[Claimed], run_id: str) -> None:
        """Durable before a host is contacted."""
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE slots SET state = 'running', run_ids = trim(run_ids || ' ' || ?)"
                " WHERE association = ? AND variant = ? AND scheduled = ?",
                [(run_id, *slot.key) for slot in slots],
            )

    @repeatable
    def end(self, ends: Sequence[tuple[Claimed, str, str]]) -> None:
        """[(slot, done | failed | interrupted, reason)], in one transaction."""
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE slots SET state = ?, reason = ?, ended = ?"
                " WHERE association = ? AND variant = ? AND scheduled = ?",
                [(state, reason, now(), *slot.key) for slot, state, reason in ends],
            )

    @repeatable
    def close_interrupted(self) -> list[Passed]:
        """Slots whose scheduler is gone, ended here as interrupted: each is returned once."""
        found = []
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT s.association, s.variant, s.scheduled, s.process, c.heard FROM slots s"
                " LEFT JOIN schedulers c ON c.process = s.process WHERE s.state IN ('due', 'running')"
            ).fetchall()
            for row in rows:
                if not _gone(row["process"], row["heard"]):
                    continue
                connection.execute(
                    "UPDATE slots SET state = 'interrupted', reason = ?, ended = ?"
                    " WHERE association = ? AND variant = ? AND scheduled = ?",
                    (NEVER_ENDED, now(), row["association"], row["variant"], row["scheduled"]),
                )
                found.append(Passed(row["association"], moment_of(row["scheduled"]), "interrupted", NEVER_ENDED))
        return found

    @repeatable
    def beat(self, process: str) -> list[str]:
        """This process schedules, and lives. Who else does: [user@machine since when]."""
        others = []
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO schedulers (process, who, started, heard) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (process) DO UPDATE SET heard = excluded.heard",
                (process, who(), now(), now()),
            )
            for row in connection.execute("SELECT * FROM schedulers WHERE process != ?", (process,)).fetchall():
                if _gone(row["process"], row["heard"]):
                    still = "SELECT 1 FROM slots WHERE process = ? AND state IN ('due', 'running')"
                    if connection.execute(still, (row["process"],)).fetchone() is None:
                        connection.execute("DELETE FROM schedulers WHERE process = ?", (row["process"],))
                else:
                    others.append(f"{row['who']} since {row['started']}")
        return others

    @repeatable
    def leave(self, process: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM schedulers WHERE process = ?", (process,))

    @repeatable
    def forget_old(self, at: datetime) -> None:
        """Remove slots that ended long before `at`; `last` remembers that they were decided about."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM slots WHERE scheduled < ? AND state NOT IN ('due', 'running')", (text_of(at - KEPT),)
            )

    @repeatable
    def rows(self, association: str | None = None) -> list[dict[str, str]]:
        """All slots, the oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM slots WHERE association = coalesce(?, association) ORDER BY scheduled, association, variant",
                (association,),
            ).fetchall()
        return [dict(row) for row in rows]

    @repeatable
    def totals(self) -> dict[str, dict[str, int]]:
        """{"slots": by state, "runs": applies by outcome, "hosts": by the worst status that was last read there}."""
        with self._database.reading() as connection:
            slots = connection.execute("SELECT state, count(*) FROM slots GROUP BY state").fetchall()
            runs = connection.execute(
                "SELECT coalesce(outcome, 'running'), count(*) FROM runs WHERE verb = 'apply' GROUP BY outcome"
            ).fetchall()
            hosts = connection.execute("SELECT DISTINCT host, status FROM current_states").fetchall()
            lost = connection.execute(
                "SELECT host FROM host_states WHERE last_outcome IN ('unreachable', 'unknown')"
            ).fetchall()
        by_host: dict[str, set[str]] = {}
        for host, status in hosts:
            by_host.setdefault(host, set()).add("compliant" if status == "exempt" else status)
        for row in lost:
            by_host.setdefault(row[0], set()).add("unknown")
        statuses: dict[str, int] = {}
        for found in by_host.values():
            status = next(word for word in WORST_FIRST if word in found)
            statuses[status] = statuses.get(status, 0) + 1
        return {
            "slots": {row[0]: row[1] for row in slots},
            "runs": {row[0]: row[1] for row in runs},
            "hosts": statuses,
        }


WORST_FIRST = ("failed", "unknown", "drifted", "pending", "compliant")


def text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _insert(
    connection: Connection, of: Claim | Claimed, scheduled: datetime, state: str, process: str, reason: str
) -> bool:
    """False: the slot is there already."""
    ended = None if state == "due" else now()
    cause = of.cause if isinstance(of, Claimed) else "schedule"
    done = connection.execute(
        "INSERT INTO slots (association, variant, scheduled, state, cause, process, run_ids, decided, ended, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, ?) ON CONFLICT (association, variant, scheduled) DO NOTHING",
        (of.association, of.variant, text_of(scheduled), state, cause, process, now(), ended, reason),
    )
    return done.rowcount == 1


def _busy(connection: Connection, association: str, variant: str | None = None) -> str:
    """A slot that has not ended: of this variant, or one that an edit asked for and that is about all of them; '' when there is none."""
    row = connection.execute(
        "SELECT scheduled FROM slots WHERE state IN ('due', 'running') AND association = ?"
        " AND (cause = 'edit' OR variant = coalesce(?, variant)) LIMIT 1",
        (association, variant),
    ).fetchone()
    return f"the run of {row['scheduled']}" if row is not None else ""


def _gone(process: str, heard: str | None) -> bool:
    known = lives(process)
    if known is not None:
        return not known
    return heard is None or datetime.now(UTC) - moment_of(heard) > timedelta(seconds=LEASE_S)
