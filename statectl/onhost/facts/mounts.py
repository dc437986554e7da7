"""facts.mounts: [{path, device, type, read_only, size_mb, available_mb}], file systems that hold files, at most 64.

size_mb and available_mb are null where the file system did not answer in time: a dead server must not hold up a run. facts.missing.mounts
then says which. All but those on this machine's own disks, and what lies below them, are asked in a child that is killed at the
deadline; automount points are left alone.
"""

import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

from statectl.onhost.facts import text_of

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON, Facts

DEADLINE_S = 2.0
MAX_HUNG = 3  # file systems that are waited for; behind the last of them none is asked
MAX_MOUNTS = 64
# Without files of their own, or not to be touched.
# fmt: off
SKIPPED = frozenset((
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "ramfs",
    "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs", "tracefs",
))
# fmt: on
# No server that could be dead stands behind these.
LOCAL = frozenset(("btrfs", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "overlay", "tmpfs", "vfat", "xfs", "zfs"))
REMOTE = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "gluster", "afs", "lustre", "gpfs", "ncp")


def gather(host: "Host", known: "Facts") -> "List[Dict[str, JSON]]":
    found: "Dict[str, Dict[str, JSON]]" = {}
    for line in text_of(host, "/proc/self/mounts", 1024 * 1024).splitlines():
        fields = line.split(" ")
        if len(fields) < 4 or fields[2] in SKIPPED:
            continue
        device, path, kind, options = (unescape(field) for field in fields[:4])
        if kind == "tmpfs" and path.startswith(("/run/user", "/run/credentials", "/dev", "/sys")):
            continue
        found[path] = {  # a later mount on the same place hides the earlier one
            "path": path,
            "device": device,
            "type": kind,
            "read_only": "ro" in options.split(","),
            "size_mb": None,
            "available_mb": None,
        }
    mounts = sorted(found.values(), key=lambda mount: (mount["path"].count("/"), mount["path"]))[:MAX_MOUNTS]
    doubted = [mount["path"].rstrip("/") + "/" for mount in mounts if mount["type"] not in LOCAL]
    order = sorted(range(len(mounts)), key=lambda place: mounts[place]["type"].startswith(REMOTE))
    left = []
    for place in order:
        path = host.path(mounts[place]["path"])
        if (mounts[place]["path"] + "/").startswith(tuple(doubted)):
            left.append((place, path))
        else:
            mounts[place]["size_mb"], mounts[place]["available_mb"] = size_of(path) or (None, None)
    hung: Any = []
    while left and len(hung) < MAX_HUNG:
        answers = sizes(left)
        for place, size, available in answers:
            if size >= 0:
                mounts[place]["size_mb"], mounts[place]["available_mb"] = size, available
        hung += [mounts[place]["path"] for place, _ in left[len(answers) : len(answers) + 1]]
        left = left[len(answers) + 1 :]
    if hung:
        others = " and %d more not asked" % len(left) if left else ""
        known["missing"]["mounts"] = "no answer in %g s: %s%s" % (DEADLINE_S, ", ".join(hung), others)
    return sorted(mounts, key=lambda mount: mount["path"])


def unescape(text: str) -> str:
    """The kernel writes space, tab, newline and backslash as a backslash and three octal digits."""
    head, *rest = text.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)


def size_of(path: str) -> "Optional[Tuple[int, int]]":
    """(size_mb, available_mb) of the file system there; None: not for this user, or gone."""
    try:
        room = os.statvfs(path)
    except OSError:
        return None
    return room.f_blocks * room.f_frsize >> 20, room.f_bavail * room.f_frsize >> 20


def sizes(places: "List[Tuple[int, str]]", deadline_s: float = DEADLINE_S) -> "List[Tuple[int, ...]]":
    """[(key, path)] -> [(key, size_mb, available_mb)] in the same order, up to the first that did not answer before the deadline.

    -1 for both: not for this user, or gone.
    """
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            # one that hangs for good must not hold the channel or a pipe of ours open
            os.closerange(0, write_end)
            os.closerange(write_end + 1, 1024)
            for key, path in places:
                text = "%d %d %d\n" % ((key,) + (size_of(path) or (-1, -1)))
                os.write(write_end, text.encode("ascii"))
        finally:
            os._exit(0)
    os.close(write_end)
    limit = time.monotonic() + deadline_s
    data = b""
    poller = select.poll()
    poller.register(read_end, select.POLLIN)
    try:
        while True:
            left = limit - time.monotonic()
            if left <= 0 or not poller.poll(int(left * 1000)):
                break
            chunk = os.read(read_end, 65536)
            if not chunk:
                break
            data += chunk
    finally:
        os.close(read_end)
        os.kill(pid, signal.SIGKILL)
        # A child stuck in the kernel does not die of that; it is not waited for.
        end = time.monotonic() + 0.2
        while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < end:
            time.sleep(0.001)
    return [tuple(int(word) for word in line.split()) for line in data.decode("ascii").splitlines()]
