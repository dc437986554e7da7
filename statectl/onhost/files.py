"""Writing to the file system so that a crash leaves the old or the new, and a hostile directory gains nothing.

Every write goes through a place.Place. A replaced file is written to `.statectl-<16 hex digits>.tmp` beside the target,
never readable by others before its mode is set, then renamed.

Documented choices: a hard link is broken (the other names keep the old content); the modification time becomes now;
a target that is a link, directory, fifo, socket or device is refused.
"""

import errno
import os
import re
import stat

from statectl.onhost.causes import explain, no_space
from statectl.onhost.content import Content, chunks, open_regular
from statectl.onhost.failure import Failed
from statectl.onhost.place import kind, open_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional, Union

    from statectl.onhost.place import Place

TEMPORARY = re.compile(r"\.statectl-[0-9a-f]{16}\.tmp\Z")
# Follow from content and place, and are made anew by the kernel; copying them would make them wrong.
NOT_COPIED = ("security.ima", "security.evm", "system.posix_acl_default")


def replace(
    place: "Place",
    content: "Union[Content, bytes]",
    uid: "Optional[int]" = None,
    gid: "Optional[int]" = None,
    mode: "Optional[int]" = None,
    validate: "Optional[Callable[[str], None]]" = None,
) -> None:
    """Give `place` this content, atomically and durably.

    content   Content, or bytes; read in chunks and checked against its hash on the way
    uid, gid  None: those of the file that is there, or of this process
    mode      permission bits; None: those of the file that is there, or 0644
    validate  called with the temporary file's path before it takes the target's place; raises Failed to refuse

    ACL and extended attributes of the file that is there are kept. On any failure the target is as it was and the
    temporary file is gone.
    """
    if not isinstance(content, Content):
        content = Content.of_bytes(content)
    try:
        old = place.lstat()
    except OSError as error:
        raise explain(error, place.path, "look at it", place)
    if old is not None and not stat.S_ISREG(old.st_mode):
        raise Failed(
            "%s is %s, not a regular file; remove it first" % (place.path, kind(old.st_mode)),
            "target is " + kind(old.st_mode),
        )
    _check_room(place, content.size)
    temporary = ".statectl-%s.tmp" % "".join("%02x" % byte for byte in bytearray(os.urandom(8)))
    try:
        fd = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place.fd
        )
    except OSError as error:
        raise explain(error, place.path, "write it", place, content.size)
    renamed = False
    try:
        try:
            _fill(fd, content, place)
            _dress(fd, place, old, uid, gid, mode)
            if validate is not None:
                validate(os.path.join(place.root + place.directory, temporary))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, place.name, src_dir_fd=place.fd, dst_dir_fd=place.fd)
        renamed = True
        place.sync()
    except OSError as error:
        raise explain(error, place.path, "replace it", place, content.size)
    finally:
        if not renamed:
            os.unlink(temporary, dir_fd=place.fd)


def _fill(fd: int, content: "Content", place: "Place") -> None:
    import hashlib

    digest = hashlib.sha256()
    with content.open() as stream:
        for chunk in chunks(stream):
            digest.update(chunk)
            written = 0
            while written < len(chunk):
                written += os.write(fd, memoryview(chunk)[written:])
    if digest.hexdigest() != content.sha256:
        raise Failed(
            "%s: the content to write is not what its hash says" % place.path, "content does not match its hash"
        )


def _dress(
    fd: int,
    place: "Place",
    old: "Optional[os.stat_result]",
    uid: "Optional[int]",
    gid: "Optional[int]",
    mode: "Optional[int]",
) -> None:
    """Owner, then attributes, then mode: a change of owner clears setuid bits, and the mode sets the mask of an ACL."""
    now = os.fstat(fd)
    uid = (now.st_uid if old is None else old.st_uid) if uid is None else uid
    gid = (now.st_gid if old is None else old.st_gid) if gid is None else gid
    if (uid, gid) != (now.st_uid, now.st_gid):
        try:
            os.fchown(fd, uid, gid)
        except PermissionError:
            raise Failed(
                "%s: cannot give it to user id %d, group id %d: not root" % (place.path, uid, gid),
                "not allowed to set the owner",
            )
    if old is not None:
        _copy_attributes(place, fd)
    os.fchmod(fd, mode if mode is not None else 0o644 if old is None else stat.S_IMODE(old.st_mode))


def _copy_attributes(place: "Place", fd: int) -> None:
    with open_regular(place.name, dir_fd=place.fd) as source:
        try:
            names = os.listxattr(source.fileno())
        except OSError as error:
            if error.errno in (errno.ENOTSUP, errno.ENOSYS):
                return
            raise
        kept = [name for name in names if name not in NOT_COPIED]
        for name in kept:
            value = os.getxattr(source.fileno(), name)
            try:
                if name in os.listxattr(fd) and os.getxattr(fd, name) == value:
                    continue  # the kernel's own label of a new file is already right; setting it may be forbidden
                os.setxattr(fd, name, value)
            except OSError as error:
                raise Failed(
                    "%s: cannot keep its attribute %s: %s" % (place.path, name, error.strerror),
                    "extended attribute not kept",
                )
        for name in os.listxattr(
            fd
        ):  # a default ACL of the directory gave the new file an ACL the old one does not have
            if name not in kept and name.startswith("system.posix_acl_access"):
                os.removexattr(fd, name)


def remove(place: "Place", durable: bool = True) -> bool:
    """Remove a name that is not a directory. Gone already is as good. -> was it there?

    durable   False: who removes many makes the directory durable once, when all are gone
    """
    try:
        os.unlink(place.name, dir_fd=place.fd)
        if durable:
            place.sync()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise explain(error, place.path, "remove it", place)
    return True


def sync_directory(place: "Place") -> None:
    """Make durable which names are in the directory that a place names; nothing when it is gone."""
    try:
        fd = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.fd)
    except FileNotFoundError:
        return
    except OSError as error:
        raise explain(error, place.path, "look into it", place)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_tree(place: "Place") -> bool:
    """Remove a directory with all below it, never following a link, never crossing into another file system."""
    info = place.lstat()
    if info is None:
        return False
    if not stat.S_ISDIR(info.st_mode):
        return remove(place)
    if info.st_dev != os.fstat(place.fd).st_dev:
        raise Failed("%s is a mount point; unmount it first" % place.path, "mount point")
    try:
        _empty(place.fd, place.name, info.st_dev, place.path)
        os.rmdir(place.name, dir_fd=place.fd)
        place.sync()
    except OSError as error:
        raise explain(error, place.path, "remove it", place)
    return True


def _empty(parent: int, name: str, device: int, path: str) -> None:
    """Depth first with one descriptor per level, so that a deep tree needs no recursion."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    levels = [(os.open(name, flags, dir_fd=parent), "")]
    try:
        while levels:
            fd = levels[-1][0]
            deeper = None
            for entry in os.listdir(fd):
                info = os.stat(entry, dir_fd=fd, follow_symlinks=False)
                # directories only: on overlayfs a file may tell the device of the layer it lies in
                if stat.S_ISDIR(info.st_mode) and info.st_dev != device:
                    below = "/".join(part for _, part in levels[1:]) + "/" + entry
                    raise Failed("%s/%s is a mount point; unmount it first" % (path, below.lstrip("/")), "mount point")
                if stat.S_ISDIR(info.st_mode):
                    try:
                        os.rmdir(entry, dir_fd=fd)
                    except OSError as error:
                        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                            raise
                        deeper = entry
                        break
                else:
                    os.unlink(entry, dir_fd=fd)
            if deeper is not None:
                levels.append((os.open(deeper, flags, dir_fd=fd), deeper))
                continue
            gone, part = levels.pop()
            os.close(gone)
            if levels:
                os.rmdir(part, dir_fd=levels[-1][0])
    finally:
        for fd, _ in levels:
            os.close(fd)


def make_directory(place: "Place", uid: "Optional[int]" = None, gid: "Optional[int]" = None, mode: int = 0o755) -> None:
    """Make one directory; it never has more rights than it ends with. Raises Failed when the name is taken."""
    try:
        os.mkdir(place.name, 0o700, dir_fd=place.fd)
    except FileExistsError:
        there = place.lstat()
        what = "gone again" if there is None else kind(there.st_mode)
        raise Failed("%s exists already and is %s" % (place.path, what), "name is taken")
    except OSError as error:
        raise explain(error, place.path, "make it", place)
    try:
        fd = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.fd)
        try:
            if uid is not None or gid is not None:
                os.fchown(fd, -1 if uid is None else uid, -1 if gid is None else gid)
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        place.sync()
    except OSError as error:
        os.rmdir(place.name, dir_fd=place.fd)
        raise explain(error, place.path, "make it", place)


def make_link(place: "Place", target: str, force: bool = False) -> None:
    """A symbolic link, put in place by rename: there is always the old one or the new one.

    An existing link is replaced; anything else only with `force`, and a directory only when it is empty.
    """
    old = place.lstat()
    if old is not None and not stat.S_ISLNK(old.st_mode):
        if not force:
            raise Failed(
                "%s is %s; set force to put a link in its place" % (place.path, kind(old.st_mode)), "name is taken"
            )
        if stat.S_ISDIR(old.st_mode):
            try:
                os.rmdir(place.name, dir_fd=place.fd)
            except OSError as error:
                raise explain(error, place.path, "put a link in its place", place)
    temporary = ".statectl-%s.tmp" % "".join("%02x" % byte for byte in bytearray(os.urandom(8)))
    try:
        os.symlink(target, temporary, dir_fd=place.fd)
        try:
            os.rename(temporary, place.name, src_dir_fd=place.fd, dst_dir_fd=place.fd)
        except OSError:
            os.unlink(temporary, dir_fd=place.fd)
            raise
        place.sync()
    except OSError as error:
        raise explain(error, place.path, "make the link", place)


def set_owner(place: "Place", uid: "Optional[int]" = None, gid: "Optional[int]" = None) -> None:
    """Owner and group of whatever has the name, a link included; never of what a link points to."""
    before = place.lstat()
    try:
        os.chown(
            place.name or ".",
            -1 if uid is None else uid,
            -1 if gid is None else gid,
            dir_fd=place.fd,
            follow_symlinks=False,
        )
        mode = 0 if before is None else before.st_mode
        if mode & 0o6000 and not stat.S_ISLNK(mode):
            set_mode(place, stat.S_IMODE(mode))  # the kernel cleared the setuid bits; nobody asked for that
    except OSError as error:
        raise explain(error, place.path, "set its owner", place)


def set_mode(place: "Place", mode: int) -> None:
    """Permission bits of a file or directory; a link is refused, and a fifo or device is never opened for it."""
    fd = None
    try:
        fd = os.open(place.name or ".", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.fd)
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise Failed("%s is a symbolic link; a link has no mode" % place.path, "target is a symbolic link")
        os.chmod("/proc/self/fd/%d" % fd, mode)  # by descriptor: the name cannot be swapped for a link meanwhile
    except OSError as error:
        raise explain(error, place.path, "set its mode", place)
    finally:
        if fd is not None:
            os.close(fd)


def sweep(directory: str, root: str = "") -> "List[str]":
    """Remove what an interrupted replace left in `directory` -> names removed.

    For the engine, which knows from its journal where it was writing. A missing directory has nothing left in it.
    """
    try:
        place = open_place(directory.rstrip("/") + "/any", root)
    except Failed as error:
        if error.cause in ("directory missing", "not a directory"):
            return []
        raise
    removed = []
    with place:
        fd = place.fd
        for name in os.listdir(fd):
            if TEMPORARY.match(name) and not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=fd)
                removed.append(name)
        if removed:
            os.fsync(fd)
    return removed


def _check_room(place: "Place", size: int) -> None:
    """Refuse before the disk is full: filling it up would hurt everybody else on the machine."""
    try:
        room = os.fstatvfs(place.fd)
    except OSError as error:
        raise explain(error, place.path, "look at its file system", place)
    free = room.f_bfree if os.geteuid() == 0 else room.f_bavail
    if room.f_blocks and size > free * room.f_frsize:
        raise no_space(place, size)
