"""What everything about an opened project shares: its files, its inventory, its store."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from statectl.cli.opening import has_store, open_store
from statectl.problems import Problem
from statectl.project.model import Project
from statectl.reconcile.endpoints import Credentials
from statectl.targets.hosts import Inventory

if TYPE_CHECKING:
    from statectl.store.store import Store


class OpenedStore:
    def __init__(
        self,
        project: Project,
        inventory: Inventory,
        inventory_path: Path,
        problems: Sequence[Problem],
        credentials: Credentials,
        store_root: Path | None = None,
    ) -> None:
        self.project = project
        self.inventory = inventory
        self.inventory_path = inventory_path
        self.problems = list(problems)
        self.credentials = credentials
        self.root = project.root
        self.now: Callable[[], datetime] | None = (
            None  # the clock of maintenance windows, when it is not this machine's
        )
        self._store_root = store_root or project.root
        self._store: Store | None = None
        self._store_is_shared = False
        self._store_lock = threading.Lock()

    def records(self) -> "Store":
        with self._store_lock:
            if self._store is None:
                self._store = open_store(self._store_root, self.project.settings)
            return self._store

    def has_records(self) -> bool:
        """Is there a store already? Whoever only looks does not make one."""
        return self._store is not None or has_store(self._store_root, self.project.settings)
