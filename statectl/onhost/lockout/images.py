"""What stood at a path, kept so that it can be put back: an entry for each name, contents in files named by their hash.

kind        keys                          put back
file        mode, uid, gid, content       content, owner and mode
link        to                            the link
directory   mode, uid, gid                made, owner and mode; what is in it has entries of its own
absent                                    what is there now is removed
other                                     left: a socket or device is nobody's configuration
"""

import os
import stat
from typing import TYPE_CHECKING, Any

from statectl.onhost.content import Content, chunks
from statectl.onhost.failure import Failed, system_says
from statectl.onhost.memory.files import sync_directory

if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

MAX_NAMES = 5000
MAX_BYTES = 64 * 1024 * 1024


class Images(object):
    """directory  where contents are kept
    entries      {path: entry}, to be made durable by whoever holds them
    """

    def __init__(self, directory: str, entries: "Dict[str, Dict[str, JSON]]") -> None:
        self._directory = directory
        self.entries = entries
        self._bytes = sum(entry.get("size", 0) for entry in entries.values())

    def take(self, path: str) -> None:
        """The name itself, unless it is taken already. Raises Failed: too much, or it cannot be read."""
        if path in self.entries:
            return
        if len(self.entries) >= MAX_NAMES:
            raise Failed("more than %d names would have to be kept" % MAX_NAMES, "too much to keep")
        try:
            info = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            self.entries[path] = {"kind": "absent"}
            return
        except OSError as error:
            raise Failed("cannot look at %s: %s" % (path, system_says(error)), system_says(error))
        about: Any = {"mode": stat.S_IMODE(info.st_mode), "uid": info.st_uid, "gid": info.st_gid}
        if stat.S_ISLNK(info.st_mode):
            about = {"kind": "link", "to": os.readlink(path)}
        elif stat.S_ISDIR(info.st_mode):
            about["kind"] = "directory"
        elif stat.S_ISREG(info.st_mode):
            about.update(kind="file", size=info.st_size, content=self._keep(path, info.st_size))
        else:
            about = {"kind": "other"}
        self.entries[path] = about

    def take_all(self, path: str) -> None:
        """The name and everything below it. A name that is not there is no entry."""
        if not os.path.lexists(path):
            return
        self.take(path)
        if os.path.islink(path) or not os.path.isdir(path):
            return
        try:
            names = sorted(os.listdir(path))
        except OSError as error:
            raise Failed("cannot list %s: %s" % (path, system_says(error)), system_says(error))
        for name in names:
            self.take_all(os.path.join(path, name))

    def _keep(self, path: str, size: int) -> str:
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise Failed("more than %d MiB would have to be kept" % (MAX_BYTES // 1048576), "too much to keep")
        content = Content.of_file(path)
        target = os.path.join(self._directory, content.sha256)
        if not os.path.exists(target):
            fd = os.open(target + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as stream, content.open() as source:
                for chunk in chunks(source):
                    stream.write(chunk)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(target + ".new", target)
        return content.sha256

    def sync(self) -> None:
        """Contents that were kept stay kept from here on."""
        sync_directory(self._directory)

    def put_back(self, host: "Host") -> "Tuple[List[str], List[str]]":
        """Everything as it was -> ([paths that were not], [what could not be put back, in words])."""
        moved, troubles = [], []
        # what was there from the top, what was not from the bottom
        order = [path for path in sorted(self.entries) if self.entries[path]["kind"] != "absent"]
        order += [path for path in sorted(self.entries, reverse=True) if self.entries[path]["kind"] == "absent"]
        for path in order:
            try:
                if self._put_back(host, path, self.entries[path]):
                    moved.append(path)
            except Failed as error:
                troubles.append(error.message)
        return moved, troubles

    def _put_back(self, host: "Host", path: str, entry: "Dict[str, JSON]") -> bool:
        """-> was it not as it was?"""
        info = host.lstat(path)
        kind = entry["kind"]
        if kind == "absent":
            return info is not None and (
                host.remove_tree(path) if stat.S_ISDIR(info.st_mode) else host.remove_file(path)
            )
        if kind == "link":
            if host.readlink(path) == entry["to"]:
                return False
            self._clear(host, path, info, stat.S_ISLNK)
            host.make_link(path, entry["to"])
            return True
        if kind == "directory":
            moved = self._clear(host, path, info, stat.S_ISDIR)
            if moved:
                self._parents(host, path)
                host.make_directory(path, mode=entry["mode"])
            return self._dress(host, path, entry) or moved
        return kind == "file" and self._put_back_file(host, path, entry, info)

    def _put_back_file(
        self, host: "Host", path: str, entry: "Dict[str, JSON]", info: "Optional[os.stat_result]"
    ) -> bool:
        if info is not None and stat.S_ISREG(info.st_mode):
            if info.st_size == entry["size"] and Content.of_file(path).sha256 == entry["content"]:
                return self._dress(host, path, entry)
        else:
            self._clear(host, path, info, stat.S_ISREG)
            self._parents(host, path)
        content = Content.of_file(os.path.join(self._directory, entry["content"]))
        host.replace_file(path, content, str(entry["uid"]), str(entry["gid"]), entry["mode"])
        return True

    @staticmethod
    def _clear(host: "Host", path: str, info: "Optional[os.stat_result]", is_it: "Callable[[int], bool]") -> bool:
        """Make room for what was there -> must it be made?"""
        if info is not None and is_it(info.st_mode):
            return False
        if info is not None:
            host.remove_tree(path)
        return True

    @staticmethod
    def _parents(host: "Host", path: str) -> None:
        missing = []
        parent = os.path.dirname(path)
        while parent != "/" and host.lstat(parent) is None:
            missing.append(parent)
            parent = os.path.dirname(parent)
        for directory in reversed(missing):
            host.make_directory(directory)

    @staticmethod
    def _dress(host: "Host", path: str, entry: "Dict[str, JSON]") -> bool:
        """Owner and mode -> were they others?"""
        info = host.lstat(path)
        moved = False
        if info is None:
            return False  # it went away meanwhile
        if (info.st_uid, info.st_gid) != (entry["uid"], entry["gid"]):
            host.set_owner(path, str(entry["uid"]), str(entry["gid"]))
            moved = True
        now = host.lstat(path)
        if now is not None and stat.S_IMODE(now.st_mode) != entry["mode"]:
            host.set_mode(path, entry["mode"])
            moved = True
        return moved
