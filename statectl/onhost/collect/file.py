"""File: one row a file that the project asks for, by directory and pattern. Contents are hashed where that is asked for."""

import fnmatch
import os
import stat
import time
from typing import TYPE_CHECKING

from statectl.onhost.collect.times import iso
from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "File"
COLUMNS = ("InstalledDir", "Name", "Size", "ModificationTime", "Owner", "Group", "Mode", "Sha256")
DEADLINE_S = 20.0
MAX_ROWS = 500  # as in AWS's inventory
SCANNED = 5000  # entries of directories that one entry of `files` looks at
HASHED = 64 * 1024 * 1024  # bytes: a larger file has no hash
CHUNK = 1 << 20


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    limit = time.monotonic() + DEADLINE_S
    found: "Dict[str, List[JSON]]" = {}
    for one in asked.get("files") or ():
        for directory, name, status in matching(host, one):
            path = directory.rstrip("/") + "/" + name
            if time.monotonic() > limit or len(found) > MAX_ROWS:
                break
            known = found.get(path)
            if known is None or (one.get("hash") and not known[-1]):
                digest = sha256(host.path(path), status.st_size) if one.get("hash") else ""
                found[path] = [
                    directory,
                    name,
                    status.st_size,
                    iso(int(status.st_mtime)),
                    host.user_name(status.st_uid),
                    host.group_name(status.st_gid),
                    "%04o" % stat.S_IMODE(status.st_mode),
                    digest,
                ]
    return list(found.values())


def matching(host: "Host", one: "Dict[str, JSON]") -> "Iterator[Tuple[str, str, os.stat_result]]":
    """(directory, name, status) of the regular files of one entry. Links are not followed, other file systems not entered."""
    left = int(one.get("scan") or SCANNED)
    try:
        device = os.lstat(host.path(one["path"])).st_dev
    except OSError:
        return  # there is no such directory here
    waiting = [(one["path"], int(one.get("depth") or 1))]
    while waiting and left > 0:
        directory, depth = waiting.pop(0)
        try:
            names = host.listdir(directory)
        except Failed:
            continue  # not for this user
        for name in names:
            left -= 1
            if left < 0:
                return
            path = directory.rstrip("/") + "/" + name
            try:
                status = os.lstat(host.path(path))
            except OSError:
                continue  # gone meanwhile
            if stat.S_ISDIR(status.st_mode):
                if depth > 1 and status.st_dev == device:
                    waiting.append((path, depth - 1))
            elif stat.S_ISREG(status.st_mode) and any(fnmatch.fnmatchcase(name, wanted) for wanted in one["pattern"]):
                yield directory, name, status


def sha256(path: str, size: int) -> str:
    """Of the content; '' when it is too large or not for us."""
    import hashlib

    if size > HASHED:
        return ""
    digest = hashlib.sha256()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as stream:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return ""
            left = HASHED
            while left > 0:
                data = stream.read(min(CHUNK, left))
                if not data:
                    break
                left -= len(data)
                digest.update(data)
    except OSError:
        return ""
    return digest.hexdigest()
