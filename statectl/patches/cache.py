"""Package files that are kept: a version that a newer one replaced in its index can still be installed, exactly that one.

A file is called by its SHA-256 and appears whole or not at all, on the disk before it is in the store. Which ones there are stands in the
store; a controller without the directory has none.
"""

import errno
import hashlib
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from statectl.errors import Failed
from statectl.patches.fetching import NotFetched, fetch, joined
from statectl.patches.index_files import Listed
from statectl.store.patch_indexes import KeptFile
from statectl.store.patch_ledger import moment_of, text_of
from statectl.store.patches import Patches

MAX_FILE = 2 * 1024**3
LEFT_BEHIND = ".part-"


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many went, and how many bytes; `lost`: files that the store names and the directory has no more."""

    files: int
    size: int
    lost: int


class PackageCache:
    """`most`: bytes of all files; `days`: since a file was last delivered, or listed by an index."""

    def __init__(self, patches: Patches, directory: Path, most: int, days: int) -> None:
        self._patches = patches
        self._directory = directory
        self._most = most
        self._days = timedelta(days=days)

    def path(self, sha256: str) -> Path | None:
        """The file, None when it is not there or is another than it was."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):  # a name made of what a host told
            return None
        path = self._directory / sha256[:2] / sha256
        try:
            with path.open("rb") as source:
                return path if hashlib.file_digest(source, "sha256").hexdigest() == sha256 else None
        except OSError:
            return None

    def held(self) -> dict[str, KeptFile]:
        return {one.sha256: one for one in self._patches.files.all()}

    def add(self, listed: Listed, base: str, now: datetime) -> KeptFile:
        """Fetch and keep the file of a package. Raises Failed (E644); nothing half-written stays."""
        found = listed.found
        name = f"{found.package} {found.version}"
        if not found.sha256:
            raise self._failed(f"{name}: its index names no SHA-256, so its file cannot be checked")
        if listed.size > min(MAX_FILE, self._most):
            raise self._failed(f"{name}: {listed.size} bytes are more than the cache may hold")
        part = ""
        try:
            place = self._directory / found.sha256[:2]
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(prefix=LEFT_BEHIND, dir=place)  # 0600
            os.close(handle)
            got = fetch(joined(base, listed.location), Path(part), most=listed.size or min(MAX_FILE, self._most))
            if got.sha256 != found.sha256:
                raise self._failed(f"{name}: the file has another checksum than the index says")
            _durable(Path(part), place / found.sha256)
            part = ""
        except NotFetched as error:
            raise self._failed(f"{name}: {listed.location[:200]} {error.why}") from None
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            hint = "free space, or set cache_max lower and run: statectl patch cache prune" if full else ""
            text = f"package cache {self._directory}: {error.strerror or error} while {name} was written"
            raise self._failed(text, hint) from None
        finally:
            if part:
                Path(part).unlink(missing_ok=True)
        at = text_of(now)
        kept = KeptFile(found.sha256, found.package, found.arch, found.version, found.archive, got.size, at, at)
        self._patches.files.add(kept)
        return kept

    def prune(self, now: datetime) -> Pruned:
        """What was not used for too long goes, then what was used longest ago until the rest fits; what is not there is forgotten."""
        held = self._patches.files.all()
        lost = [one for one in held if not (self._directory / one.sha256[:2] / one.sha256).is_file()]
        left = [one for one in held if one not in lost]
        gone = [one for one in left if one.used and now - moment_of(one.used) > self._days]
        rest = [one for one in left if one not in gone]
        size = sum(one.size for one in rest)
        for one in rest:
            if size <= self._most:
                break
            gone.append(one)
            size -= one.size
        self._patches.files.forget(one.sha256 for one in (*gone, *lost))  # first, so that nobody is promised what goes
        for one in gone:
            (self._directory / one.sha256[:2] / one.sha256).unlink(missing_ok=True)
        self._sweep(now)
        return Pruned(len(gone), sum(one.size for one in gone), len(lost))

    def _sweep(self, now: datetime) -> None:
        """What a process that was killed left behind, an hour ago or more."""
        for left in self._directory.glob(f"??/{LEFT_BEHIND}*"):
            if now.timestamp() - left.stat().st_mtime > 3600:
                left.unlink(missing_ok=True)

    def _failed(self, message: str, hint: str = "") -> Failed:
        return Failed(message, code="E644", hint=hint or "statectl explain E644")


def _durable(part: Path, path: Path) -> None:
    """On the disk, under its name, before anybody is told that it is there."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
