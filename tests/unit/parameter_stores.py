"""A parameter store for tests: its clock is turned by hand, its key file stands beside it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statectl.parameters.access import Access
from statectl.parameters.keys import Keys
from statectl.parameters.model import Bounds
from statectl.parameters.store import ParameterStore
from statectl.store.database import Database, open_database


@dataclass
class Rule:
    who: Sequence[str]
    may: Sequence[str]
    paths: Sequence[str]


class Clock:
    def __init__(self, text: str = "2026-06-01T12:00:00Z") -> None:
        self.now = dt.datetime.fromisoformat(text)

    def __call__(self) -> dt.datetime:
        return self.now

    def on(self, **span: float) -> None:
        self.now += dt.timedelta(**span)


class Place:
    """A directory with a store in it, which may be opened many times."""

    def __init__(self, root: Path, url: str = "sqlite:.statectl/state.db") -> None:
        self.root = root
        self.url = url
        self.clock = Clock()
        self.opened: list[Database] = []

    @property
    def key_file(self) -> Path:
        return self.root / ".statectl" / "parameters.key"

    def database(self) -> Database:
        self.opened.append(open_database(self.url, self.root))
        return self.opened[-1]

    def store(
        self,
        principal: str = "ana",
        *,
        rules: Sequence[Rule] | None = None,
        key: str = "",
        old: tuple[str, ...] = (),
        **bounds: Any,
    ) -> ParameterStore:
        return ParameterStore(
            self.database(),
            keys=Keys.open(key, self.root, old),
            access=Access(rules, groups=lambda user: {"ops"} if user == "olaf" else set()),
            principal=principal,
            clock=self.clock,
            bounds=Bounds(**bounds),
        )

    def audit(self) -> list[tuple[str, str, str]]:
        """(who, action, detail), oldest first."""
        with self.opened[-1].reading() as connection:
            found = connection.execute("SELECT who, action, detail FROM audit ORDER BY sequence").fetchall()
        return [(row["who"].partition("@")[0], row["action"], row["detail"]) for row in found]

    def close(self) -> None:
        for database in self.opened:
            database.close()
        self.opened.clear()
