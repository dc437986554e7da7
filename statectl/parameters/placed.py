"""What a project's declarations put into the parameter store: one row a parameter, so that what moved and what nobody declares any more is known.

The row is written before the parameter is: a put that never happened is told from one that somebody undid by its version.
"""

from dataclasses import dataclass

from statectl.parameters.model import Parameter
from statectl.store.database import Database, repeatable
from statectl.store.ids import now

COLUMNS = "name, association, version, modified, made, before_version, file, line, run_id, at"


@dataclass(frozen=True, slots=True)
class Placed:
    """One parameter that an apply of this project put, or took over as it was.

    version   that it had then; 0: it was declared absent
    modified  when that version was written, as the store says it; '' before the put has come to its end
    made      it was not there before
    before    the version that was there before the first put, None when there was none
    """

    name: str
    association: str
    version: int
    modified: str
    made: bool
    before: int | None
    file: str
    line: int
    run_id: str
    at: str = ""

    @property
    def begun(self) -> bool:
        """The put was about to be done; whether it was, the store knows."""
        return self.version > 0 and not self.modified

    @property
    def mark(self) -> str:
        """What the reason of our own version ends with."""
        return f"(run {self.run_id})"

    def is_of(self, found: Parameter) -> bool:
        """Is this the version that was put? Numbers begin again when a parameter is deleted and made anew."""
        ours = found.why.endswith(self.mark) if self.begun else found.modified == self.modified
        return found.version == self.version and ours


class Ledger:
    """Of one project."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    @repeatable
    def all(self) -> dict[str, Placed]:
        """By name."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM declared_parameters WHERE project = ? ORDER BY name",  # noqa: S608 our own names
                (self._project,),
            ).fetchall()
        return {
            row["name"]: Placed(
                row["name"],
                row["association"],
                row["version"],
                row["modified"],
                bool(row["made"]),
                row["before_version"],
                row["file"],
                row["line"],
                row["run_id"],
                row["at"],
            )
            for row in rows
        }

    @repeatable
    def remember(self, one: Placed) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT INTO declared_parameters (project, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
                " ON CONFLICT (project, name) DO UPDATE SET association = excluded.association, version = excluded.version,"
                " modified = excluded.modified, made = excluded.made, before_version = excluded.before_version, file = excluded.file,"
                " line = excluded.line, run_id = excluded.run_id, at = excluded.at",
                (
                    self._project,
                    one.name,
                    one.association,
                    one.version,
                    one.modified,
                    int(one.made),
                    one.before,
                    one.file,
                    one.line,
                    one.run_id,
                    now(),
                ),
            )

    @repeatable
    def forget(self, name: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM declared_parameters WHERE project = ? AND name = ?", (self._project, name))
