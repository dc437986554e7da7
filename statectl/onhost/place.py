"""Where a path really leads: its directory, opened link by link, and the name in it.

What is written goes through the descriptor that was walked to, so nobody can put a link in the way afterwards; what is checked
against the limits is the path that the walk ended at.
"""

import os
import stat
from typing import TYPE_CHECKING, Any

from statectl.onhost.causes import explain
from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Optional

MAX_LINKS = 40


class Place(object):
    """A name in an opened directory. Use as a context manager.

    fd         descriptor of the directory
    name       last component, '' for the root directory itself
    path       the path as it was asked for
    directory  the directory's real path
    real       real path of the name: every link resolved but the name itself
    """

    __slots__ = ("directory", "fd", "name", "path", "real", "root")

    def __init__(self, fd: int, name: str, path: str, directory: str, root: str) -> None:
        self.fd, self.name, self.path, self.directory, self.root = fd, name, path, directory, root
        self.real = directory.rstrip("/") + "/" + name if name else directory

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def lstat(self) -> "Optional[os.stat_result]":
        """-> os.stat_result, or None when nothing has this name."""
        try:
            return os.stat(self.name or ".", dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def sync(self) -> None:
        os.fsync(self.fd)


def open_place(path: str, root: str = "") -> "Place":
    """Walk to the directory that holds `path` -> Place. Raises Failed: missing, not a directory, a link not to be trusted.

    `root`: a directory that stands for "/" (tests). Links in the way are followed, except those of a user that lead to a
    directory of another one: whoever owns ~/.ssh could else point root at /root/.ssh.
    """
    if not path.startswith("/"):
        raise Failed("%s: path is not absolute" % path, "path is not absolute")
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    name = todo.pop(0) if todo else ""
    if name == "..":
        raise Failed("%s: a path may not end in .." % path, "path ends in ..")
    fd = os.open(root or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    above: Any = []  # (descriptor, name) of the directories on the way
    strangers = set()
    links = 0
    try:
        while todo:
            part = todo.pop()
            if part == "..":
                if above:
                    os.close(fd)
                    fd = above.pop()[0]
                continue
            here = "/" + "/".join([entry[1] for entry in above] + [part])
            try:
                step = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            except FileNotFoundError:
                raise Failed("%s: directory missing: %s" % (path, here), "directory missing")
            except OSError as error:
                raise explain(error, path, "open directory %s" % here)
            info = os.fstat(step)
            if stat.S_ISLNK(info.st_mode):
                target = os.readlink("", dir_fd=step)
                os.close(step)
                links += 1
                if links > MAX_LINKS:
                    raise Failed("%s: too many symbolic links" % path, "too many symbolic links")
                if info.st_uid not in (0, os.geteuid()):
                    strangers.add(info.st_uid)
                if target.startswith("/"):
                    os.close(fd)
                    for entry in above:
                        os.close(entry[0])
                    del above[:]
                    fd = os.open(root or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                todo.extend(piece for piece in reversed(target.split("/")) if piece not in ("", "."))
            elif stat.S_ISDIR(info.st_mode):
                above.append((fd, part))
                fd = step
            else:
                os.close(step)
                raise Failed("%s: not a directory: %s" % (path, here), "not a directory")
        directory = "/" + "/".join(entry[1] for entry in above)
        owner = os.fstat(fd).st_uid
        if strangers - {owner}:
            raise Failed(
                "%s: a link of user id %d leads to %s, which is of user id %d"
                % (path, min(strangers - {owner}), directory, owner),
                "link of another user",
            )
        try:
            usable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
        except OSError as error:
            raise explain(error, path, "open directory %s" % directory)
        return Place(usable, name, path, directory, root)
    finally:
        os.close(fd)
        for entry in above:
            os.close(entry[0])


def kind(mode: int) -> str:
    """What a name is, in words: "a regular file", "a symbolic link" ..."""
    for test, word in (
        (stat.S_ISREG, "a regular file"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a fifo"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
    ):
        if test(mode):
            return word
    return "of an unknown kind"
