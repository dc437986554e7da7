"""Process: those that use most of the processor and most of the memory, from /proc. Only the latest reading is kept.

Of a process its name and its executable are told, never its arguments: people put passwords there. CPUPercent is the share of one
processor over the life of the process.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

import os
from typing import TYPE_CHECKING

from statectl.onhost.collect.times import iso
from statectl.onhost.facts import text_of

if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Process"
COLUMNS = ("Name", "Pid", "User", "FileName", "StartTime", "CPUPercent", "MemoryMB", "Threads")
DEADLINE_S = 5.0
LASTING = False
TOP = 10  # by processor, and as many by memory
MAX_PROCESSES = 20000


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    booted = boot_time(text_of(host, "/proc/stat", 1 << 20))
    uptime = float((text_of(host, "/proc/uptime").split() or ["0"])[0])
    found = []
    for pid, directory in directories(host):
        try:
            with open(directory + "/stat", "rb") as stream:
                name, fields = split_stat(stream.read(4096))
            uid = os.stat(directory).st_uid
            started = int(fields[19]) / ticks
            cpu = (int(fields[11]) + int(fields[12])) / ticks
            found.append((name, pid, uid, started, cpu, int(fields[21]) * page, int(fields[17])))
        except (OSError, ValueError, IndexError):
            continue  # it has ended
    top = sorted(found, key=lambda one: -one[4] / max(1.0, uptime - one[3]))[:TOP]
    top += sorted((one for one in found if one not in top), key=lambda one: -one[5])[:TOP]
    rows: "List[List[JSON]]" = []
    for name, pid, uid, started, cpu, memory, threads in top:
        share = round(100 * cpu / max(1.0, uptime - started), 1)
        if share or memory:  # a thread of the kernel that does nothing is nobody's news
            executable = (host.readlink("/proc/%d/exe" % pid) or "").replace(" (deleted)", "")
            moment = iso(int(booted + started)) if booted else None
            rows.append([name, pid, host.user_name(uid), executable, moment, share, memory >> 20, threads])
    return rows


def directories(host: "Host") -> "Iterator[Tuple[int, str]]":
    """(pid, its directory) in the order of the numbers."""
    pids = sorted(int(name) for name in host.listdir("/proc") if name.isdigit())
    for pid in pids[:MAX_PROCESSES]:
        yield pid, host.path("/proc/%d" % pid)


def split_stat(data: bytes) -> "Tuple[str, List[str]]":
    """/proc/PID/stat -> (name, fields from the state on). The name may hold spaces and brackets."""
    head, _, tail = data.rpartition(b")")
    name = head.partition(b"(")[2].decode("utf-8", "surrogateescape")
    return name, tail.decode("ascii", "replace").split()


def boot_time(stat: str) -> int:
    for line in stat.splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0
