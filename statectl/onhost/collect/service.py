"""Service: one row a service of systemd, loaded or only installed. One question to systemd; what is not loaded is told by its files."""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

from statectl.onhost.collect.rows import Absent
from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Service"
COLUMNS = ("Name", "DisplayName", "Status", "StartType", "ServiceType")
DEADLINE_S = 15.0
MAX_ROWS = 3000
SUFFIX = ".service"
PROPERTIES = "Id,Description,LoadState,ActiveState,SubState,UnitFileState,Type"
DIRECTORIES = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")  # fmt: skip
UP = ("active", "reloading", "activating", "refreshing")


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    if host.lstat("/run/systemd/system") is None:
        raise Absent("systemd does not run here")
    argv = ["systemctl", "show", "--no-pager", "--all", "--property=" + PROPERTIES, "*" + SUFFIX]
    ran = host.run(argv, timeout=DEADLINE_S, check=False)
    if ran.timed_out:
        raise Failed("systemd did not answer in %g s" % DEADLINE_S, "timed out")
    if ran.code != 0:
        said = (ran.err.strip().splitlines() or ["exit %s" % ran.code])[0]
        raise Failed("systemd cannot be asked about services: %s" % said, "systemd does not answer")
    rows: "Dict[str, List[JSON]]" = {}
    for block in ran.out.split("\n\n"):
        found = dict(line.split("=", 1) for line in block.split("\n") if "=" in line)
        name = found.get("Id", "")
        if name.endswith(SUFFIX) and found.get("LoadState") != "not-found":
            rows[name] = [
                name[: -len(SUFFIX)],
                found.get("Description", ""),
                status(found),
                found.get("UnitFileState") or "static",
                found.get("Type", ""),
            ]
    for name, start in installed(host).items():
        rows.setdefault(name, [name[: -len(SUFFIX)], "", "stopped", start, ""])
    return list(rows.values())


def status(found: "Dict[str, str]") -> str:
    """running, exited (a oneshot that is up), stopped, failed ... in systemd's own words but for `stopped`."""
    state, sub = found.get("ActiveState", ""), found.get("SubState", "")
    if state in UP:
        return sub or state
    return "stopped" if state == "inactive" else state


def installed(host: "Host") -> "Dict[str, str]":
    """{unit: enabled, disabled or masked} of the unit files; templates are none that could run."""
    found: "Dict[str, str]" = {}
    wanted = set()
    for directory in DIRECTORIES[:2]:
        for name in host.listdir(directory):
            if name.endswith((".wants", ".requires")):
                wanted.update(host.listdir(directory + "/" + name))
    for directory in DIRECTORIES:
        for name in host.listdir(directory):
            if not name.endswith(SUFFIX) or name.endswith("@" + SUFFIX) or name in found:
                continue
            to = host.readlink(directory + "/" + name)
            found[name] = "masked" if to == "/dev/null" else "enabled" if name in wanted else "disabled"
    return found
