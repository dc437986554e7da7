"""What stands at a path, and the words for it."""

import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from statectl.onhost.host import Host

WORDS = {
    "file": "a file",
    "directory": "a directory",
    "link": "a symbolic link",
    "fifo": "a named pipe",
    "socket": "a socket",
    "device": "a device",
}


def kind(status: "os.stat_result") -> str:
    """os.stat_result of lstat -> file, directory, link, fifo, socket or device."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISFIFO(mode):
        return "fifo"
    if stat.S_ISSOCK(mode):
        return "socket"
    return "device"


def in_the_way(host: "Host", path: str, found_kind: str, advice: str) -> str:
    """'/etc/x is a symbolic link to /run/x; <advice>'."""
    what = WORDS[found_kind]
    if found_kind == "link":
        what += " to %s" % host.readlink(path)
    return "%s is %s; %s" % (path, what, advice)
