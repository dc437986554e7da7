"""File systems: one line of /etc/fstab, and the mount of now.

the line     mounted               wanted mounted                 wanted present    wanted absent
missing      no                    mounted, then written          written           ok
missing      yes                   as wanted or refitted,         written           unmounted
                                   then written
right        no                    mounted                        ok                line removed
right        as the line says      ok                             ok                unmounted, line removed
right        otherwise             refitted                       ok                unmounted, line removed
differs      as the line says      refitted, then written         field by field    unmounted, line removed
two lines    any                   refused                        refused           refused

Refitted: remounted where options differ, unmounted and mounted where the device or the kind does. What is mounted comes first, so that
nothing that the kernel refuses waits in fstab for the next boot. Options are compared as text in fstab; of the mount only the flags that
the kernel shows (ro, nosuid, nodev, noexec, noatime, nodiratime) must be there. Other lines, comments and blanks of fstab stay.
"""

from typing import TYPE_CHECKING, NamedTuple, Optional

from statectl.onhost import fstab, mount_points
from statectl.onhost.content import SecretText
from statectl.onhost.editing import read_lines, write_lines
from statectl.onhost.failure import Failed
from statectl.onhost.reading import each

if TYPE_CHECKING:
    from typing import Dict, List, Sequence, Union

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

FSTAB = "/etc/fstab"
REFUSED = ("/", "/dev", "/etc", "/proc", "/run", "/sys")
RUNNING = (
    "/usr",
    "/var",
    "/var/lib",
    "/var/lib/statectl",
)  # what this run stands on: another one cannot take its place under it
LIVE_ONLY = "mounted, not in /etc/fstab"
MOUNT_TIMEOUT_S = 120


class Desired(NamedTuple):
    """Found: the fields are those of fstab, and state is

    absent, present (only in fstab), mounted (both), LIVE_ONLY, or why what is mounted is not what fstab or the declaration means.
    """

    name: str
    device: Optional[str] = None
    fstype: Optional[str] = None
    options: Optional[str] = None
    dump: Optional[int] = None
    passno: Optional[int] = None
    state: Optional[str] = None


def path_of(want: "Desired") -> str:
    """What limits.paths is asked about; writing fstab asks again."""
    return want.name


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    lines, table = read_lines(host, FSTAB).bare(), mount_points.mounts(host)
    return each(wanted, lambda want: _read_one(host, want, lines, table))


def _read_one(host: "Host", want: "Desired", lines: "List[str]", table: "List[fstab.Live]") -> "Desired":
    entry, live = _entry(lines, want.name), mount_points.at(table, want.name)
    if entry is None:
        if live is None:
            return Desired(want.name, state="absent")
        return Desired(want.name, device=live.device, fstype=live.fstype, state=LIVE_ONLY)
    state = "present"
    if live is not None:
        why = mount_points.difference(host, table, live, entry)
        if why and want.device is not None and not mount_points.difference(host, table, live, _meant(want)):
            why = ""
        state = why or "mounted"
    return Desired(want.name, entry.device, entry.fstype, entry.options, entry.dump, entry.passno, state)


def _meant(want: "Desired") -> "fstab.Entry":
    """What is declared, as a line of fstab would hold it."""
    assert want.device is not None  # only a removal names no device, and none of the other two
    assert want.fstype is not None
    assert want.options is not None
    return fstab.Entry(-1, want.name, want.device, want.fstype, want.options, want.dump or 0, want.passno or 0)


def _entry(lines: "List[str]", name: str) -> "Optional[fstab.Entry]":
    """-> fstab.Entry or None. Raises Failed when several lines are about one mount point: which of them is right is not ours to say."""
    entries = [entry for entry in fstab.entries(lines) if entry.name == name]
    if len(entries) > 1:
        numbers = ", ".join(str(entry.number + 1) for entry in entries)
        raise Failed("%s has several lines for %s (%s); leave one" % (FSTAB, name, numbers), "ambiguous fstab")
    return entries[0] if entries else None


def same(field: str, wanted: object, found: object) -> bool:
    if field == "state" and wanted == "present":
        return found != LIVE_ONLY
    return wanted == found


def disrupts(want: "Desired", found: "Desired", differing: "Sequence[str]") -> str:
    """See disruption.py. A line of fstab alone is read at the next boot."""
    if found.state in ("present", "absent"):
        return ""  # nothing is mounted
    if want.state == "absent":
        return "unmount"
    moves = [field for field in differing if field in ("device", "fstype", "options", "state")]
    return "remount" if want.state == "mounted" and moves else ""


def validate(host: "Host", want: "Desired", found: "Desired") -> str:
    """What is dangerous, or cannot be mounted, told before anything is written. '' : fine."""
    if want.name in REFUSED:
        return "the mount point %s belongs to the system and is not managed" % want.name
    if any(isinstance(value, SecretText) for value in want):
        return (
            "everybody may read %s; put the secret into a file and name it in `options`: credentials=/etc/key" % FSTAB
        )
    host.check_path(FSTAB)
    host.check_path(want.name, whole_tree=want.state != "present")
    if want.state in ("absent", LIVE_ONLY):
        return ""
    fstype = _meant(want).fstype
    if not mount_points.knows_type(host, fstype):
        return "this kernel has no file system %s, and there is no program mount.%s; a package may bring it" % (
            fstype,
            fstype,
        )
    if want.state == "present" or (found.state == "mounted" and found.device == want.device):
        return ""
    return _refuses_mount(host, want)


def _refuses_mount(host: "Host", want: "Desired") -> str:
    """Why it cannot be mounted now, '' when it can."""
    meant = _meant(want)
    bind = mount_points.is_bind(meant.options)
    why = mount_points.refuses_place(host, want.name, bind)
    if why:
        return why
    if mount_points.at(mount_points.mounts(host), want.name) is None and want.name in RUNNING:
        return (
            "what runs now stands on %s; say `state: present`, move what is in it, and restart the machine" % want.name
        )
    path = mount_points.block_path(meant.device)
    known = path is not None and (not path.startswith("/dev/disk/") or host.lstat(path.rpartition("/")[0]) is not None)
    if known and path is not None and host.lstat(path) is None:
        return "there is no %s; `state: present` writes the line alone" % want.device
    return ""


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  looked at again: another line of this file may have just been written
    lines = read_lines(host, FSTAB)
    entry = _entry(lines.bare(), want.name)
    if want.state == "absent":
        _unmount(host, want.name)
    elif want.state == "mounted":
        _mount(host, want, entry, differing)
    if want.state in ("absent", LIVE_ONLY):
        if entry is None:
            return
        lines.remove([entry.number])
    else:
        values = {field: getattr(want, field) for field in fstab.FIELDS}
        if entry is None:
            lines.insert(len(lines.full), [fstab.new_line(values)])
        else:
            values = {field: values[field] for field in differing if field in values}
            if not values:
                return
            lines.replace(entry.number, fstab.changed_line(lines.bare()[entry.number], values))
    write_lines(host, FSTAB, lines, create=True, validate=None, secret=False)
    if host.lstat("/run/systemd/system") is not None:
        host.run(["systemctl", "daemon-reload"], timeout=120)  # its units of mounts are made from fstab


# -- the mount of now


def _mount(host: "Host", want: "Desired", entry: "Optional[fstab.Entry]", differing: "Sequence[str]") -> None:
    table = mount_points.mounts(host)
    live = mount_points.at(table, want.name)
    meant = _meant(want)
    if live is None:
        _run_mount(host, meant, meant.options)
        return
    why = mount_points.difference(host, table, live, meant._replace(options=_without_flags(meant.options)))
    if why:
        _unmount(host, want.name)
        try:
            _run_mount(host, meant, meant.options)
        except Failed:
            if entry is not None:  # what was there is put back; why it had to go is what counts
                host.run(_argv(entry, entry.options), timeout=MOUNT_TIMEOUT_S, check=False)
            raise
    elif "options" in differing or "state" in differing:
        options = meant.options.replace("rbind", "bind") if mount_points.is_bind(meant.options) else meant.options
        _run_mount(host, meant, "remount," + options)


def _without_flags(options: str) -> str:
    """What is left to compare when flags can be changed by a remount."""
    return ",".join(option for option in options.split(",") if option in ("bind", "rbind"))


def _argv(what: "fstab.Entry", options: str) -> "List[str]":
    # with nofail, mount would call a missing device a success
    options = ",".join(option for option in options.split(",") if option != "nofail") or "defaults"
    return ["mount", "-t", what.fstype, "-o", options, "--", what.device, what.name]


def _run_mount(host: "Host", want: "fstab.Entry", options: str) -> None:
    argv = _argv(want, options)
    ran = host.run(argv, timeout=MOUNT_TIMEOUT_S, check=False)
    if ran.timed_out:
        raise Failed(
            "mounting %s took more than %d s" % (want.name, MOUNT_TIMEOUT_S), "mount timed out", argv, ran.code
        )
    if ran.code != 0:
        said = ran.err.strip().splitlines() or ["mount exited with code %s" % ran.code]
        raise Failed("cannot mount %s: %s" % (want.name, said[0]), "cannot be mounted", argv, ran.code, ran.err)


def _unmount(host: "Host", name: str) -> None:
    """Everything that is mounted at this place, whatever lies under it."""
    table = mount_points.mounts(host)
    for _ in [live for live in table if live.name == name]:
        argv = ["umount", "--", name]
        ran = host.run(argv, timeout=MOUNT_TIMEOUT_S, check=False)
        if ran.code == 0 and not ran.timed_out:
            continue
        below = sorted({live.name for live in table if live.name.startswith(name + "/")})
        holders = ["%s, mounted below it" % path for path in below] or mount_points.holders(host, name)
        if holders:
            raise Failed("%s is in use: %s" % (name, ", ".join(holders)), "mount point in use", argv, ran.code, ran.err)
        said = ran.err.strip().splitlines() or ["umount exited with code %s" % ran.code]
        raise Failed("cannot unmount %s: %s" % (name, said[0]), "cannot be unmounted", argv, ran.code, ran.err)


def removal(record: "Removal") -> "Optional[Desired]":
    """What we mounted goes with its line; a line that was there gets its fields back, and a mount without one only loses ours."""
    name, before = record["name"], record["before"]
    if record["created"] or not before.get("state"):
        return Desired(name, state="absent")
    if before["state"] == LIVE_ONLY:
        return Desired(name, state=LIVE_ONLY)
    state = "present" if before["state"] == "present" else "mounted"
    return Desired(name, state=state, **{field: before.get(field) for field in fstab.FIELDS if field != "name"})
