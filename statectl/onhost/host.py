"""Host: the only way from a resource type to the machine.

Reading is free. Every write is checked against the limits of the run and announced to `on_write` before it happens.
A path is the machine's own path; `root` puts a test tree in front of it.
"""

import os
import stat

from statectl.onhost import files, process
from statectl.onhost.content import Content, SecretText
from statectl.onhost.failure import Failed, Unknown, system_says
from statectl.onhost.place import kind, open_place
from statectl.onhost.process import Ran
from statectl.onhost.redact import Redactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

    from statectl.onhost.place import Place
    from statectl.onhost.shapes import Deliver, Facts, Limits

__all__ = ["Content", "Failed", "Host", "Ran", "SecretText", "Unknown"]


class Host(object):
    """facts     dict of namespaces, as facts/ gathers them
    limits    {"paths": [...], "deny": [...]}: empty paths: everywhere; deny wins
    root      a directory that stands for "/" (tests)
    on_write  None, or called as on_write(action, path) before every write: action is replace, remove, remove_tree,
              make_directory, make_link, set_owner or set_mode. What it raises stops the write.
    uid       effective user id of this process
    redactor  masks the secrets of this run in what is told of a command before any of it is cut off
    """

    def __init__(
        self,
        facts: "Optional[Facts]" = None,
        limits: "Optional[Limits]" = None,
        root: str = "",
        on_write: "Optional[Callable[[str, str], None]]" = None,
    ) -> None:
        self.facts = facts or {}
        self.limits = limits or {}
        self.root = root.rstrip("/")
        self.on_write = on_write
        self.uid = os.geteuid()
        self.redactor = Redactor()
        self._resolved: "Dict[str, List[str]]" = {}
        # services that this run started: when, and what they were then
        self.started: "Dict[str, Tuple[float, Dict[str, str]]]" = {}
        self.units: "Dict[str, Dict[str, str]]" = {}  # as systemd showed them when they were read last

    # -- commands

    def run(
        self,
        argv: "Sequence[Union[str, os.PathLike[str]]]",
        timeout: float = 300,
        input: "Union[bytes, IO[bytes]]" = b"",  # noqa: A002  the name that subprocess gave it
        env: "Optional[Mapping[str, str]]" = None,
        cwd: "Optional[str]" = None,
        user: "Optional[Union[str, int, None]]" = None,
        check: bool = True,
        on_output: "Optional[Deliver]" = None,
        stop: "Optional[Callable[[], bool]]" = None,
    ) -> "Ran":
        """Run argv -> Ran(code, out, err, timed_out); out and err are text (UTF-8, surrogateescape).

        In a session of its own, end of file on stdin after `input` (bytes, or an open file), PATH and locale fixed,
        ended with all its children after `timeout` seconds. env: additions; user: name or id to become; check: raise
        Failed with argv, code and the last 4 KiB unless it exits 0. on_output and stop: see process.run.
        """
        words = [os.fspath(part) for part in argv]
        ran = process.run(
            words,
            timeout=timeout,
            stdin=input,
            env=env,
            cwd=cwd,
            identity=None if user is None else self.identity(user),
            on_output=on_output,
            stop=stop,
        )
        if ran.timed_out or ran.code != 0:
            # now, for whoever tells of the failure shows a part of it
            ran = ran._replace(out=self.redactor.text(ran.out), err=self.redactor.text(ran.err))
            if check:
                raise process.failure(words, ran, timeout)
        return ran

    def which(self, name: str) -> "Optional[str]":
        """-> absolute path of a command in the fixed search list (not $PATH), or None."""
        return process.which(name)

    def identity(self, user: "Union[str, int]") -> "Optional[process.Identity]":
        """Who a command runs as -> process.Identity, or None when that is us already."""
        import pwd

        try:
            entry = pwd.getpwuid(int(user)) if str(user).isdigit() else pwd.getpwnam(str(user))
        except KeyError:
            raise Failed("no such user: %s" % user, "no such user")
        if entry.pw_uid == self.uid:
            return None
        if self.uid != 0:
            raise Failed("cannot run as user %s: not root" % user, "not allowed to change user")
        groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        return process.Identity(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)

    # -- reading

    def path(self, path: str) -> str:
        """The path to open for the machine's `path`."""
        return self.root + path

    def read_file(self, path: str, limit: "Optional[int]" = None) -> "Optional[bytes]":
        """-> bytes, at most `limit` of them, or None when there is no such file. Follows links; refuses what is no file.

        Raises Failed when it is there and cannot be read.
        """
        try:
            fd = os.open(self.path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Failed("cannot read %s: %s" % (path, system_says(error)), system_says(error))
        with os.fdopen(fd, "rb") as stream:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Failed("cannot read %s: it is %s" % (path, kind(os.fstat(fd).st_mode)), "not a regular file")
            try:
                return stream.read() if limit is None else stream.read(limit)
            except OSError as error:
                raise Failed("cannot read %s: %s" % (path, system_says(error)), system_says(error))

    def lstat(self, path: str) -> "Optional[os.stat_result]":
        """-> os.stat_result of the name itself, or None when it is not there."""
        try:
            return os.lstat(self.path(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Failed("cannot look at %s: %s" % (path, system_says(error)), system_says(error))

    def listdir(self, path: str) -> "List[str]":
        """-> sorted names, [] when there is no such directory."""
        try:
            return sorted(os.listdir(self.path(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise Failed("cannot list %s: %s" % (path, system_says(error)), system_says(error))

    def readlink(self, path: str) -> "Optional[str]":
        """-> text of a symbolic link, or None when the name is missing or something else."""
        try:
            return os.readlink(self.path(path))
        except OSError:
            return None

    def content_of(self, path: str) -> "Optional[Content]":
        """-> Content of the regular file at `path`, hashed now; None when there is none."""
        info = self.lstat(path)
        return Content.of_file(self.path(path)) if info is not None and stat.S_ISREG(info.st_mode) else None

    # -- users and groups: asked anew every time, because packages and our own changes add them

    def user_id(self, user: "Union[str, int]") -> "Optional[int]":
        """Name, number or digits -> uid; None: no such name."""
        import pwd

        if isinstance(user, int) or user.isdigit():
            return int(user)
        try:
            return pwd.getpwnam(user).pw_uid
        except KeyError:
            return None

    def group_id(self, group: "Union[str, int]") -> "Optional[int]":
        """Name, number or digits -> gid; None: no such name."""
        import grp

        if isinstance(group, int) or group.isdigit():
            return int(group)
        try:
            return grp.getgrnam(group).gr_gid
        except KeyError:
            return None

    def user_name(self, uid: int) -> str:
        """-> name, or the number as text."""
        import pwd

        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def group_name(self, gid: int) -> str:
        """-> name, or the number as text."""
        import grp

        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)

    # -- writing

    def replace_file(
        self,
        path: str,
        content: "Union[Content, bytes]",
        owner: "Optional[Union[str, int, None]]" = None,
        group: "Optional[Union[str, int, None]]" = None,
        mode: "Optional[Union[str, int, None]]" = None,
        validate: "Optional[Sequence[str]]" = None,
    ) -> None:
        """Atomically and durably give `path` this content (Content or bytes). See files.replace.

        owner, group  name, number or digits; None: as it is
        mode          int, or text as "0644"; None: as it is, 0644 for a new file
        validate      argv in which %s becomes the path of the new content, run before it replaces the old
        """
        uid, gid = self._ids(path, owner, group)
        check = None
        if validate:

            def check(temporary: str) -> None:
                self.run([part.replace("%s", temporary) for part in validate], timeout=60)

        with self._writing("replace", path) as place:
            files.replace(place, content, uid, gid, None if mode is None else permission(mode), check)

    def remove_file(self, path: str, durable: bool = True) -> bool:
        """Remove a file, link, fifo, socket or device; missing is fine. -> was it there?

        durable   False: `sync_directory` follows, once for many
        """
        return self._remove("remove", path, lambda place: files.remove(place, durable))

    def sync_directory(self, path: str) -> None:
        """Make durable which names are in a directory."""
        with open_place(path, self.root) as place:
            files.sync_directory(place)

    def remove_tree(self, path: str) -> bool:
        """Remove a directory and all below it; missing is fine. Stops at mount points. -> was it there?"""
        return self._remove("remove_tree", path, files.remove_tree)

    def _remove(self, action: str, path: str, remove: "Callable[[Place], bool]") -> bool:
        if self.lstat(path) is None:
            return False
        with self._writing(action, path) as place:
            return remove(place)

    def make_directory(
        self,
        path: str,
        owner: "Optional[Union[str, int, None]]" = None,
        group: "Optional[Union[str, int, None]]" = None,
        mode: "Optional[Union[str, int, None]]" = None,
    ) -> None:
        """Make one directory, 0755 unless `mode` says otherwise; its parent must exist."""
        uid, gid = self._ids(path, owner, group)
        with self._writing("make_directory", path) as place:
            files.make_directory(place, uid, gid, 0o755 if mode is None else permission(mode))

    def make_link(self, path: str, to: str, force: bool = False) -> None:
        """A symbolic link at `path` with text `to`; replaces a link, and with `force` a file or an empty directory."""
        with self._writing("make_link", path) as place:
            files.make_link(place, to, force)

    def set_owner(
        self,
        path: str,
        owner: "Optional[Union[str, int, None]]" = None,
        group: "Optional[Union[str, int, None]]" = None,
    ) -> None:
        """Of the name itself, never of what a link points to."""
        uid, gid = self._ids(path, owner, group)
        with self._writing("set_owner", path) as place:
            files.set_owner(place, uid, gid)

    def set_mode(self, path: str, mode: "Union[str, int]") -> None:
        with self._writing("set_mode", path) as place:
            files.set_mode(place, permission(mode))

    def check_path(self, path: str, whole_tree: bool = False) -> None:
        """Raises Failed unless the limits let this run write to the real path `path`; whole_tree: and to all below it."""
        allowed = self._limit("paths")
        if allowed and not any(_below(path, limit) for limit in allowed):
            raise Failed("%s is outside limits.paths (%s)" % (path, ", ".join(allowed)), "outside limits.paths")
        for limit in self._limit("deny"):
            if _below(path, limit) or (whole_tree and _below(limit, path)):
                raise Failed("%s is denied by limits.deny (%s)" % (path, limit), "denied by limits.deny")

    def _limit(self, key: str) -> "List[str]":
        """The entries of limits.<key> with links resolved, so that /var/run means /run here as everywhere."""
        if key not in self._resolved:
            entries = []
            for path in self.limits.get(key) or ():
                real = os.path.realpath(self.path(path))
                entries.append(real[len(os.path.realpath(self.root)) :] or "/" if self.root else real)
            self._resolved[key] = entries
        return self._resolved[key]

    def _writing(self, action: str, path: str) -> "Place":
        place = open_place(path, self.root)
        try:
            self.check_path(place.real, whole_tree=action == "remove_tree")
            if self.on_write is not None:
                self.on_write(action, path)
        except BaseException:
            place.__exit__()
            raise
        return place

    def _ids(
        self, path: str, owner: "Union[str, int, None]", group: "Union[str, int, None]"
    ) -> "Tuple[Optional[int], Optional[int]]":
        uid = None if owner is None else self.user_id(owner)
        if owner is not None and uid is None:
            raise Failed("%s: no such user: %s" % (path, owner), "no such user")
        gid = None if group is None else self.group_id(group)
        if group is not None and gid is None:
            raise Failed("%s: no such group: %s" % (path, group), "no such group")
        return uid, gid


def permission(mode: "Union[str, int]") -> int:
    """0644 as int, "0644" or "644" as octal text -> int."""
    return int(mode, 8) if isinstance(mode, str) else mode


def _below(path: str, limit: str) -> bool:
    return path == limit or path.startswith(limit.rstrip("/") + "/")
