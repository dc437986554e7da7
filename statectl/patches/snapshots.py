"""Snapshots: the moment and the baselines that a fleet is evaluated with, the same over several nights.

The first use of an id freezes both; what is first seen after that moment stays out for whoever names the id. Every baseline that was
there is frozen, so that a host that is patched on the third night finds its own.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from statectl.baselines.model import Baseline
from statectl.errors import Refused
from statectl.patches.frozen_baselines import baseline_of, document_of
from statectl.store.patch_ledger import moment_of
from statectl.store.patches import KeptSnapshot, Patches

KEEP_DAYS = 30
MAX_ID = 128


class Snapshots:
    def __init__(self, patches: Patches, keep_days: int = KEEP_DAYS) -> None:
        self._patches = patches
        self._keep = timedelta(days=keep_days)

    def snapshot(
        self, name: str, baselines: Mapping[str, Baseline], now: datetime
    ) -> tuple[datetime, dict[str, Baseline]]:
        """(as_of, baselines) of that id, made with these when it is not there. Raises Refused (E649) on an id that is none."""
        if not _is_name(name):
            raise Refused(
                f"snapshot id {name[:MAX_ID]!r} cannot be used",
                code="E649",
                hint=f"write 1 to {MAX_ID} letters, digits, . _ : and -, such as night-2026-11-24",
            )
        self.expire(now)
        documents = {key: document_of(one) for key, one in baselines.items()}
        kept = self._patches.freeze(name, documents, now)
        return moment_of(kept.as_of), {key: baseline_of(one) for key, one in kept.baselines.items()}

    def all(self) -> list[KeptSnapshot]:
        """Newest first."""
        return self._patches.snapshots()

    def expire(self, now: datetime) -> int:
        """Forget those that are too old -> how many."""
        if not any(now - moment_of(one.created) > self._keep for one in self._patches.snapshots()):
            return 0
        return self._patches.forget_snapshots(now - self._keep)


def _is_name(text: str) -> bool:
    allowed = set("._:-")
    return 0 < len(text) <= MAX_ID and all(
        (letter.isascii() and letter.isalnum()) or letter in allowed for letter in text
    )
