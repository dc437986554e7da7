"""OSError -> Failed with the cause that a person can act on: how much is free and where, which attribute bars it."""

import errno
import os

from statectl.onhost.content import open_regular
from statectl.onhost.failure import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from statectl.onhost.place import Place

FS_IOC_GETFLAGS = 0x80086601
FLAG_IMMUTABLE = 0x10
FLAG_APPEND = 0x20


def no_space(place: "Place", size: int) -> "Failed":
    room = os.fstatvfs(place.fd)
    where = mount_point(place.root + place.directory)
    free = (room.f_bfree if os.geteuid() == 0 else room.f_bavail) * room.f_frsize
    if room.f_files and not room.f_ffree:
        return Failed("%s: no inodes left on %s" % (place.path, where), "no inodes left")
    return Failed(
        "%s: no space left on device: needs %s, %s free on %s" % (place.path, megabytes(size), megabytes(free), where),
        "no space left on device",
    )


def megabytes(size: int) -> str:
    return "%.1f MB" % (size / 1048576.0) if size >= 104858 else "%d bytes" % size


def mount_point(path: str) -> str:
    """The mount that holds `path`."""
    path = os.path.realpath(path)
    while path != "/" and not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def explain(error: "OSError", path: str, doing: str, place: "Optional[Place]" = None, size: int = 0) -> "Failed":
    """OSError -> Failed with the cause that a person can act on."""
    number = error.errno or 0
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


def _attribute(place: "Place") -> str:
    """Which attribute of the file or its directory bars a change, or ''."""
    import fcntl
    import struct

    def flags(fd: int) -> int:
        try:
            (found,) = struct.unpack("i", fcntl.ioctl(fd, FS_IOC_GETFLAGS, b"\0" * 4))
        except OSError:
            return 0  # a file system without attributes
        return int(found)

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
