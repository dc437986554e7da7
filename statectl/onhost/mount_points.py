"""Questions about one mount point: is what is mounted what was meant, what stands in the way, and who keeps it busy."""

from statectl.onhost.fstab import mounted
from statectl.onhost.kinds import in_the_way, kind
from statectl.onhost.protected import resolved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Set, Tuple

    from statectl.onhost.fstab import Entry, Live
    from statectl.onhost.host import Host

FLAGS = (
    "ro",
    "nosuid",
    "nodev",
    "noexec",
    "noatime",
    "nodiratime",
)  # what the kernel shows for each mount, under the same name
TAGS = {"UUID": "uuid", "LABEL": "label", "PARTUUID": "partuuid", "PARTLABEL": "partlabel", "ID": "id"}
MAX_HOLDERS = 5


def mounts(host: "Host") -> "List[Live]":
    """-> [fstab.Live] of now, without the triggers that systemd or autofs lay over a mount point."""
    data = host.read_file("/proc/self/mountinfo") or b""
    return [live for live in mounted(data.decode("utf-8", "surrogateescape")) if live.fstype != "autofs"]


def at(table: "List[Live]", path: str) -> "Optional[Live]":
    """-> what is seen at this mount point, or None"""
    here = [live for live in table if live.name == path]
    return here[-1] if here else None


def is_bind(options: str) -> bool:
    return bool({"bind", "rbind"} & set(options.split(",")))


def difference(host: "Host", table: "List[Live]", live: "Live", entry: "Entry") -> str:
    """Why what is mounted is not what these fields (device, fstype, options) mean; '' where it is, or nobody can tell."""
    wanted_type = entry.fstype
    if is_bind(entry.options):
        if (live.number, live.root) != _shown_at(table, entry.device):
            return "another directory is mounted"
    elif wanted_type != "auto" and not _same_type(wanted_type, live.fstype):
        return "mounted as %s" % live.fstype
    elif not _same_device(host, entry.device, live.device):
        return "%s is mounted" % live.device
    lacking = [flag for flag in required_flags(entry.options) if flag not in live.flags]
    return "mounted without %s" % ",".join(lacking) if lacking else ""


def _same_type(wanted: str, live: str) -> bool:
    return live in wanted.split(",") or live.startswith((wanted + ".", "fuse")) or {wanted, live} == {"nfs", "nfs4"}


def _same_device(host: "Host", wanted: str, live: str) -> bool:
    block = block_path(wanted)
    if block is None:
        if ":" in wanted or wanted.startswith("//"):
            return wanted.rstrip("/") == live.rstrip("/")
        return True  # a mere word, as for tmpfs
    if host.lstat(block) is None:
        return True  # nothing to compare with
    real, there = resolved(block, host.root), resolved(live, host.root)
    if there.startswith("/dev/loop"):
        backing = host.read_file("/sys/block/%s/loop/backing_file" % there.rpartition("/")[2])
        if backing is not None:
            return backing.decode("utf-8", "surrogateescape").rstrip("\n") in (real, block)
    return real == there


def block_path(device: str) -> "Optional[str]":
    """A path on this host that names the device; None where it is something else, such as a word or server:/path."""
    tag, equals, value = device.partition("=")
    if equals and tag in TAGS:
        return "/dev/disk/by-%s/%s" % (TAGS[tag], value.strip('"').replace("/", "\\x2f").replace(" ", "\\x20"))
    return device if device.startswith("/") and not device.startswith("//") else None


def _shown_at(table: "List[Live]", path: str) -> "Optional[Tuple[str, str]]":
    """-> (device number, directory inside its file system) that is seen at a path"""
    above = [live for live in table if path == live.name or path.startswith(live.name.rstrip("/") + "/")]
    if not above:
        return None
    longest = max(len(live.name) for live in above)
    live = [live for live in above if len(live.name) == longest][-1]
    return live.number, (live.root.rstrip("/") + "/" + path[len(live.name) :].strip("/")).rstrip("/") or "/"


def required_flags(options: str) -> "List[str]":
    """Options text -> the flags that must be seen on the mount. Of an option and its opposite the last counts, as for mount(8)."""
    found = set()
    for option in options.split(","):
        if option in ("user", "users", "owner", "group"):
            found |= {"nosuid", "nodev"} | ({"noexec"} if option in ("user", "users") else set())
        if option == "defaults":
            found -= {"ro", "nosuid", "nodev", "noexec"}
        found -= {"no" + option, "ro" if option == "rw" else ""}
        if option in FLAGS:
            found.add(option)
    return [flag for flag in FLAGS if flag in found]


def refuses_place(host: "Host", path: str, bind: bool) -> str:
    """Why nothing can be mounted here, '' when it can."""
    status = host.lstat(path)
    if status is None:
        return "there is no directory %s to mount on; declare it in `directories`" % path
    found_kind = kind(status)
    if found_kind == "link":
        return in_the_way(host, path, found_kind, "name the directory it points to")
    if found_kind != "directory" and not (bind and found_kind == "file"):
        return in_the_way(host, path, found_kind, "only a directory can be mounted on")
    real = resolved(path, host.root)
    return "" if real == path else "%s is reached through a symbolic link; name %s" % (path, real)


def knows_type(host: "Host", fstype: str) -> bool:
    """Can a file system of this kind be mounted: by the kernel as it is, with a module it can load, or by a program mount.TYPE?"""
    for name in fstype.split(","):
        if name in ("auto", "none") or name in _loaded_types(host):
            return True
        if host.which("mount.%s" % name) or host.which("mount.%s" % name.partition(".")[0]):
            return True
        import os

        aliases = host.read_file("/lib/modules/%s/modules.alias" % os.uname()[2]) or b""
        if ("alias fs-%s " % name).encode("utf-8") in aliases:
            return True
    return False


def _loaded_types(host: "Host") -> "Set[str]":
    data = host.read_file("/proc/filesystems") or b""
    return {line.split()[-1] for line in data.decode("utf-8", "replace").splitlines() if line.strip()}


def holders(host: "Host", path: str) -> "List[str]":
    """Who uses something below a mount point -> ['nginx (process 12)', ...], as far as one is allowed to see."""
    found = []
    for number in host.listdir("/proc"):
        if not number.isdigit():
            continue
        place = "/proc/" + number
        links = [place + "/cwd", place + "/root", place + "/exe"] + [
            "%s/fd/%s" % (place, name) for name in _names(host, place + "/fd")
        ]
        if any(_below(host.readlink(link), path) for link in links):
            name = (_comm(host, place) or b"?").decode("utf-8", "replace").strip()
            found.append("%s (process %s)" % (name, number))
    more = ["%d more" % (len(found) - MAX_HOLDERS)] if len(found) > MAX_HOLDERS else []
    return found[:MAX_HOLDERS] + more


def _names(host: "Host", directory: str) -> "List[str]":
    import os

    try:
        return os.listdir(host.path(directory))
    except OSError:
        return []  # of another user, or it has just ended


def _comm(host: "Host", place: str) -> "Optional[bytes]":
    from statectl.onhost.failure import Failed

    try:
        return host.read_file(place + "/comm")
    except Failed:
        return None  # it has just ended


def _below(target: "Optional[str]", path: str) -> bool:
    return target is not None and (target == path or target.startswith(path + "/"))
