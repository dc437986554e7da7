"""Service: one row a service of systemd, loaded or only installed.

One question to systemd; how each starts is told by the unit files and links themselves, which costs a tenth of asking systemd for it.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

from statectl.onhost.collect.rows import Absent
from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Service"
COLUMNS = ("Name", "DisplayName", "Status", "StartType")
DEADLINE_S = 15.0
MAX_ROWS = 3000
SUFFIX = ".service"
LINKED = ("/etc/systemd/system", "/run/systemd/system")  # where enabling a unit puts its links
DIRECTORIES = (*LINKED, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
GENERATED = ("/run/systemd/generator", "/run/systemd/generator.early", "/run/systemd/generator.late")
UP = ("active", "reloading", "activating", "refreshing")
LIMIT = 65536  # bytes of a unit file that are read


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    if host.lstat("/run/systemd/system") is None:
        raise Absent("systemd does not run here")
    argv = ["systemctl", "list-units", "--type=service", "--all", "--full", "--plain", "--no-legend", "--no-pager"]
    ran = host.run(argv, timeout=DEADLINE_S, check=False)
    if ran.timed_out:
        raise Failed("systemd did not answer in %g s" % DEADLINE_S, "timed out")
    if ran.code != 0:
        said = (ran.err.strip().splitlines() or ["exit %s" % ran.code])[0]
        raise Failed("systemd cannot be asked about services: %s" % said, "systemd does not answer")
    starts = start_types(host)
    rows: "Dict[str, List[JSON]]" = {}
    for line in ran.out.splitlines():
        words = line.lstrip("\u25cf* ").split(None, 4)
        if len(words) < 4 or not words[0].endswith(SUFFIX) or words[1] == "not-found":
            continue
        unit, _, state, sub = words[:4]
        start = starts.pop(unit, "") or starts.get(_template(unit), "")
        description = words[4] if len(words) > 4 else ""
        rows[unit] = [unit[: -len(SUFFIX)], description, status(state, sub), start or "static"]
    for unit, start in starts.items():
        if not unit.endswith("@" + SUFFIX):
            rows.setdefault(unit, [unit[: -len(SUFFIX)], "", "stopped", start])
    return list(rows.values())


def status(state: str, sub: str) -> str:
    """running, exited (a oneshot that is up), stopped, failed ... in systemd's own words but for `stopped`."""
    if state in UP:
        return sub
    return "stopped" if state == "inactive" else state


def _template(unit: str) -> str:
    """getty@tty1.service -> getty@.service"""
    name, at, _ = unit.partition("@")
    return name + at + SUFFIX if at else ""


def start_types(host: "Host") -> "Dict[str, str]":
    """{unit: enabled, disabled, masked, static or generated} of the unit files. Other names of a unit are not in it."""
    found: "Dict[str, str]" = {}
    wanted = set()
    for directory in LINKED:
        for name in host.listdir(directory):
            if name.endswith((".wants", ".requires")):
                wanted.update(host.listdir(directory + "/" + name))
    for directory in DIRECTORIES:
        for name in host.listdir(directory):
            if not name.endswith(SUFFIX) or name in found:
                continue
            to = host.readlink(directory + "/" + name)
            if to == "/dev/null":
                found[name] = "masked"
            elif name in wanted:
                found[name] = "enabled"
            elif to is None or to.rpartition("/")[2] == name:
                found[name] = "disabled" if _can_be_enabled(host, directory + "/" + name) else "static"
    for directory in GENERATED:
        for name in host.listdir(directory):
            if name.endswith(SUFFIX):
                found.setdefault(name, "generated")
    return found


def _can_be_enabled(host: "Host", path: str) -> bool:
    try:
        return b"\n[Install]" in (host.read_file(path, LIMIT) or b"")
    except Failed:
        return False
