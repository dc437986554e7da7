"""What every verb of the parameter store works with: the database, the keys, the rights of whoever asks, the clock."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from statectl.parameters.access import Rights
from statectl.parameters.keys import Keys
from statectl.parameters.model import Bounds
from statectl.parameters.policies import stamp
from statectl.store.audit import append_audits
from statectl.store.database import Database

Entries = list[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Context:
    database: Database
    keys: Keys
    rights: Rights
    who: str  # the principal and the machine, as audit rows and versions say it
    clock: Callable[[], dt.datetime]
    bounds: Bounds

    def moment(self) -> dt.datetime:
        return self.clock().astimezone(dt.UTC)

    def now(self) -> str:
        return stamp(self.clock())

    def audit(self, connection: Any, entries: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Rows of the audit, in the transaction of what they tell about."""
        append_audits(connection, entries, by=self.who, at=self.now())
