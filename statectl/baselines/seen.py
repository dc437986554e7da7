"""What is remembered of versions: the first-seen ledger as an evaluation asks it. `patches/ledger.py` is the one of the store."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from statectl.baselines.scan import Advisory, Package


@dataclass(frozen=True, slots=True)
class Seen:
    """A version in an archive, also when the archive has it no more."""

    archive: str  # Archive.key
    package: Package  # its archives and advisories are those of no scan: ()
    first_seen: dt.datetime
    security: bool = False
    seeded: bool = False  # the moment comes from the archive or a changelog: it was there when we first looked
    cached: str = ""  # sha256 of the package file that we keep, '' : we have none


class Ledger(Protocol):
    def first_seen(self, archive: str, package: Package) -> dt.datetime | None:
        """When this version was first seen in this archive; None: never."""

    def versions(self, name: str, arch: str) -> Sequence[Seen]:
        """Every version that was ever seen of it, in any archive."""

    def advisory(self, archive: str, package: Package, above: str = "") -> Sequence[Advisory]:
        """What feeds and changelogs say of this version, beside what the host told. `above`: only what that version has not fixed."""
