"""What was written on a host since it was made: what a plan must not change, and what an apply did."""

import hashlib
import os
import stat
from pathlib import Path

from tests.lab.machine import LabHost

OWN = (
    "var/lib/statectl",
    "var/cache/statectl",
    "var/cache/statectl-apt",
    "run",
    "tmp",
    "var/log",
)  # where a plan may write
# rpm's own: `rpm -q` as root, by anybody, joins the readers of its database and so touches these
READERS = ("var/lib/rpm/rpmdb.sqlite-shm", "var/lib/rpm/rpmdb.sqlite-wal")


def rights(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_mode, info.st_uid, info.st_gid


def written(host: LabHost) -> dict[str, str]:
    """Everything written on a host since it was made, outside statectl's own places: path to a hash of all there is."""
    found = {}
    for top, directories, files in os.walk(host.upper):
        inside = os.path.relpath(top, host.upper)
        directories[:] = [name for name in directories if os.path.normpath(os.path.join(inside, name)) not in OWN]
        for name in [*directories, *files]:
            if os.path.join(inside, name) in READERS:
                continue
            path = Path(top, name)
            info = path.lstat()
            below = host.base / "root" / inside / name
            if stat.S_ISDIR(info.st_mode) and below.is_dir() and rights(below.lstat()) == rights(info):
                continue  # only there because something below it is
            parts = [
                info.st_mode,
                info.st_uid,
                info.st_gid,
                info.st_rdev,
                0 if stat.S_ISDIR(info.st_mode) else info.st_mtime_ns,
            ]
            if stat.S_ISLNK(info.st_mode):
                parts.append(os.readlink(path))
            elif stat.S_ISREG(info.st_mode):
                parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
            found[os.path.normpath(os.path.join(inside, name))] = repr(parts)
    for unit in host.sh("systemctl show '*.service' -p Id,MainPID,ActiveState").split("\n\n"):
        state = dict(line.split("=", 1) for line in unit.splitlines())
        if state["ActiveState"] != "inactive":  # whether systemd has an inactive one in memory means nothing
            found[f"service {state['Id']}"] = f"{state['ActiveState']} {state['MainPID']}"
    found["ip_forward"] = host.sh("sysctl -a 2>/dev/null | grep ip_forward")
    return found


def moved(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What differs between two of these; of a service, how."""
    differs = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return [
        f"{path}: {before.get(path)} -> {after.get(path)}" if path.startswith("service ") else path for path in differs
    ]
