"""Writing to the file system so that a crash leaves the old or the new, and a hostile directory gains nothing.

Every write goes through a descriptor of the parent directory that was walked to here, link by link; what is checked
against the limits is the path that the kernel ended at, not the one that was asked for. A replaced file is written to
`.statectl-<16 hex digits>.tmp` beside the target (never readable by others before its mode is set), then renamed.

Documented choices: a hard link is broken (the other names keep the old content); the modification time becomes now;
a target that is a link, directory, fifo, socket or device is refused.
"""

import errno
import os
import re
import stat

from statectl.onhost.content import Content, chunks, open_regular
from statectl.onhost.failure import Failed

TEMPORARY = re.compile(r"\.statectl-[0-9a-f]{16}\.tmp\Z")
MAX_LINKS = 40
FS_IOC_GETFLAGS = 0x80086601
FLAG_IMMUTABLE = 0x10
FLAG_APPEND = 0x20
# Follow from content and place, and are made anew by the kernel; copying them would make them wrong.
NOT_COPIED = ("security.ima", "security.evm", "system.posix_acl_default")


class Place(object):
    """A name in an opened directory. Use as a context manager.

    fd         descriptor of the directory
    name       last component, '' for the root directory itself
    path       the path as it was asked for
    directory  the directory's real path
    real       real path of the name: every link resolved but the name itself
    """

    __slots__ = ("directory", "fd", "name", "path", "real", "root")

    def __init__(self, fd, name, path, directory, root):
        self.fd, self.name, self.path, self.directory, self.root = fd, name, path, directory, root
        self.real = directory.rstrip("/") + "/" + name if name else directory

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def lstat(self):
        """-> os.stat_result, or None when nothing has this name."""
        try:
            return os.stat(self.name or ".", dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def sync(self):
        os.fsync(self.fd)


def open_place(path, root=""):
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
    above = []  # (descriptor, name) of the directories on the way
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


def kind(mode):
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


def replace(place, content, uid=None, gid=None, mode=None, validate=None):
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


def _fill(fd, content, place):
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


def _dress(fd, place, old, uid, gid, mode):
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


def _copy_attributes(place, fd):
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


def remove(place):
    """Remove a name that is not a directory. Gone already is as good. -> was it there?"""
    try:
        os.unlink(place.name, dir_fd=place.fd)
        place.sync()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise explain(error, place.path, "remove it", place)
    return True


def remove_tree(place):
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


def _empty(parent, name, device, path):
    """Depth first with one descriptor per level, so that a deep tree needs no recursion."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    levels = [(os.open(name, flags, dir_fd=parent), "")]
    try:
        while levels:
            fd = levels[-1][0]
            deeper = None
            for entry in os.listdir(fd):
                info = os.stat(entry, dir_fd=fd, follow_symlinks=False)
                if info.st_dev != device:
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


def make_directory(place, uid=None, gid=None, mode=0o755):
    """Make one directory; it never has more rights than it ends with. Raises Failed when the name is taken."""
    try:
        os.mkdir(place.name, 0o700, dir_fd=place.fd)
    except FileExistsError:
        raise Failed("%s exists already and is %s" % (place.path, kind(place.lstat().st_mode)), "name is taken")
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


def make_link(place, target, force=False):
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


def set_owner(place, uid=None, gid=None):
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
        mode = stat.S_IMODE(before.st_mode)
        if mode & 0o6000 and not stat.S_ISLNK(before.st_mode):
            set_mode(place, mode)  # the kernel cleared the setuid bits; nobody asked for that
    except OSError as error:
        raise explain(error, place.path, "set its owner", place)


def set_mode(place, mode):
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


def sweep(directory, root=""):
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


def _check_room(place, size):
    """Refuse before the disk is full: filling it up would hurt everybody else on the machine."""
    try:
        room = os.fstatvfs(place.fd)
    except OSError as error:
        raise explain(error, place.path, "look at its file system", place)
    free = room.f_bfree if os.geteuid() == 0 else room.f_bavail
    if room.f_blocks and size > free * room.f_frsize:
        raise no_space(place, size)


def no_space(place, size):
    room = os.fstatvfs(place.fd)
    where = mount_point(place.root + place.directory)
    free = (room.f_bfree if os.geteuid() == 0 else room.f_bavail) * room.f_frsize
    if room.f_files and not room.f_ffree:
        return Failed("%s: no inodes left on %s" % (place.path, where), "no inodes left")
    return Failed(
        "%s: no space left on device: needs %s, %s free on %s" % (place.path, megabytes(size), megabytes(free), where),
        "no space left on device",
    )


def megabytes(size):
    return "%.1f MB" % (size / 1048576.0) if size >= 104858 else "%d bytes" % size


def mount_point(path):
    """The mount that holds `path`."""
    path = os.path.realpath(path)
    while path != "/" and not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def explain(error, path, doing, place=None, size=0):
    """OSError -> Failed with the cause that a person can act on."""
    number = error.errno
    if number == errno.ENOSPC and place is not None:
        return no_space(place, size)
    if number in (errno.EPERM, errno.EACCES) and place is not None:
        barred = _attribute(place)
        if barred:
            return Failed("%s: %s" % (path, barred), "immutable or append-only attribute")
    text, cause = {
        errno.ENOSPC: ("no space left on device", "no space left on device"),
        errno.EDQUOT: ("disk quota exceeded", "disk quota exceeded"),
        errno.EROFS: (
            "read-only file system: %s" % (mount_point(place.root + place.directory) if place is not None else "?"),
            "read-only file system",
        ),
        errno.ENOENT: ("no such file or directory", "no such file or directory"),
        errno.EBUSY: ("it is a mount point or in use; it can only be written in place", "mount point or in use"),
        errno.EXDEV: ("it is a mount point; it can only be written in place", "mount point or in use"),
        errno.ENAMETOOLONG: ("its name is too long (at most 255 bytes per part)", "name too long"),
        errno.ENOTEMPTY: ("directory is not empty", "directory is not empty"),
    }.get(number, ((error.strerror or str(error)).lower(), (error.strerror or str(error)).lower()))
    return Failed("cannot %s: %s: %s" % (doing, path, text), cause)


def _attribute(place):
    """Which attribute of the file or its directory bars a change, or ''."""
    import fcntl
    import struct

    def flags(fd):
        try:
            return struct.unpack("i", fcntl.ioctl(fd, FS_IOC_GETFLAGS, b"\0" * 4))[0]
        except OSError:
            return 0  # a file system without attributes

    try:
        with open_regular(place.name, dir_fd=place.fd) as stream:
            own = flags(stream.fileno())
    except Failed:
        own = 0
    for found, what in ((own, "it"), (flags(place.fd), "its directory %s" % place.directory)):
        if found & FLAG_IMMUTABLE:
            return "%s has the immutable attribute (chattr +i); it was not removed" % what
        if found & FLAG_APPEND:
            return "%s has the append-only attribute (chattr +a); it was not removed" % what
    return ""
