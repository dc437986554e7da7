"""Contents that stood on the machine before statectl changed them, kept by id so that a removal can restore them.

Policy: one content is kept once. What the ledger refers to (the content at the time a resource was adopted) is kept for
as long as it is managed. Older versions of managed files are kept for looking back, newest first, up to MAX_SPARE_BYTES
together. A content over MAX_ONE_BYTES, or whose copy would leave the disk less than RESERVE_BYTES, is not kept: the caller
records that it was not.

The id is the content's sha256, or a keyed hash when it is secret: the plain hash of a secret would let it be guessed.
"""

import os

from statectl.onhost.content import Content, chunks
from statectl.onhost.memory.files import sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Optional, Set

MAX_ONE_BYTES = 64 * 1024 * 1024
MAX_SPARE_BYTES = 256 * 1024 * 1024
RESERVE_BYTES = 64 * 1024 * 1024


class Preimages(object):
    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._there: "Optional[Set[str]]" = None  # what is kept, once somebody asked

    def path(self, identity: str) -> str:
        return os.path.join(self._directory, identity)

    def __contains__(self, identity: str) -> bool:
        """Is it kept? Asked of all that is as wanted, so the directory is listed once."""
        if self._there is None:
            self._there = set(os.listdir(self._directory))
        return identity in self._there

    def put(self, content: "Content", identity: str, durable: bool = True) -> bool:
        """Keep a found Content under `identity` (hex). -> was it kept?"""
        path = self.path(identity)
        if os.path.exists(path):
            os.utime(path)
            return True
        if content.size > MAX_ONE_BYTES:
            return False
        room = os.statvfs(self._directory)
        if room.f_bavail * room.f_frsize < content.size + RESERVE_BYTES:
            return False
        temporary = path + ".new"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as target, content.open() as source:
            for chunk in chunks(source):
                target.write(chunk)
            if durable:
                target.flush()
                os.fsync(target.fileno())
        os.rename(temporary, path)
        if self._there is not None:
            self._there.add(identity)
        if durable:
            sync_directory(self._directory)
        return True

    def get(self, identity: str, secret: bool = False) -> "Optional[Content]":
        """-> Content, or None when it is no longer here."""
        path = self.path(identity)
        if not os.path.exists(path):
            return None
        content = Content.of_file(path)
        content.secret = secret
        return content

    def keep(self, needed: "Collection[str]") -> None:
        """Forget the oldest of what the ledger does not need, until the rest fits."""
        spare = []
        for name in os.listdir(self._directory):
            if name not in needed:
                info = os.stat(self.path(name))
                spare.append((info.st_mtime, info.st_size, name))
        total = sum(size for _, size, _ in spare)
        for _, size, name in sorted(spare):
            if total <= MAX_SPARE_BYTES and not name.endswith(".new"):
                continue
            os.unlink(self.path(name))
            total -= size
            self._there = None
