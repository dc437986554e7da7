"""Disk: one row a block device that is no part of another: no partitions, loop devices or memory."""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

from typing import TYPE_CHECKING

from statectl.onhost.facts import text_of

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Disk"
COLUMNS = ("Name", "SizeMB", "Model", "Vendor", "Rotational", "Removable", "ReadOnly")
DEADLINE_S = 3.0
SECTOR = 512  # bytes: the unit of /sys, whatever the disk's own
NO_DISKS = ("loop", "ram", "zram", "nbd")


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    rows = []
    for name in host.listdir("/sys/block"):
        size = _number(host, name, "size")
        if name.startswith(NO_DISKS) or not size:
            continue
        rows.append(
            [
                name,
                size * SECTOR >> 20,
                text_of(host, "/sys/block/%s/device/model" % name, 256),
                text_of(host, "/sys/block/%s/device/vendor" % name, 256),
                _flag(host, name, "queue/rotational"),
                _flag(host, name, "removable"),
                _flag(host, name, "ro"),
            ]
        )
    return rows


def _number(host: "Host", name: str, what: str) -> "JSON":
    text = text_of(host, "/sys/block/%s/%s" % (name, what), 64)
    return int(text) if text.isdigit() else None


def _flag(host: "Host", name: str, what: str) -> "JSON":
    number = _number(host, name, what)
    return None if number is None else number != 0
