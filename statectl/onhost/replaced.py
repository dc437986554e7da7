"""Which files does a running unit still use although they were replaced or removed on disk? What needrestart looks for.

A library or program that a package manager replaced is another file under the same name; processes that started before have
the old one mapped, which the kernel shows as `(deleted)`. Only code is looked at: scripts of an interpreter are data to it and
are not seen.
"""

import os

from statectl.onhost.failure import Unknown, system_says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Set

    from statectl.onhost.host import Host

CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
DELETED = " (deleted)"
# Gone by design: anonymous memory with a name, and code that programs write for themselves
NEVER_FILES = ("/dev/", "/memfd:", "/SYSV", "/[", "/run/", "/tmp/", "/var/tmp/")  # noqa: S108  compared with, not written to


def used(host: "Host", control_group: str) -> "List[str]":
    """-> paths, sorted. control_group: as systemd says it, '' for none. Raises Unknown where it may not be looked at."""
    found: "Set[str]" = set()
    for pid in set(_processes(host, control_group)):
        found.update(_mapped(host, pid))
    return sorted(found)


def everywhere(host: "Host") -> "Dict[str, List[str]]":
    """-> {process: paths, sorted} of all processes that use any. One look at each; those that may not be looked at are left out."""
    found = {}
    for pid in os.listdir(host.root + "/proc"):
        if not pid.isdigit():
            continue
        try:
            with open("%s/proc/%s/maps" % (host.root, pid), "rb") as stream:
                if b" (deleted)\n" not in stream.read():
                    continue
            files = sorted(set(_mapped(host, pid)))
        except (OSError, Unknown):
            continue  # it ended meanwhile, or is not ours to look at
        if files:
            found[pid] = files
    return found


def _processes(host: "Host", control_group: str) -> "Iterator[str]":
    if not control_group.strip("/"):
        return
    for base in CGROUPS:
        for directory, _, names in os.walk(host.root + base + control_group):
            if "cgroup.procs" in names:
                try:
                    with open(os.path.join(directory, "cgroup.procs")) as stream:
                        yield from stream.read().split()
                except OSError:
                    continue  # this group ended meanwhile


def _mapped(host: "Host", pid: str) -> "Iterator[str]":
    try:
        with open("%s/proc/%s/maps" % (host.root, pid), encoding="utf-8", errors="surrogateescape") as stream:
            lines = stream.read().splitlines()
    except PermissionError as error:
        raise Unknown("cannot see which files process %s uses: %s" % (pid, system_says(error)))
    except OSError:
        return  # it ended meanwhile
    for line in lines:
        words = line.split(None, 5)
        if len(words) == 6 and "x" in words[1] and words[5].endswith(DELETED):
            path = words[5][: -len(DELETED)]
            if path.startswith("/") and not path.startswith(NEVER_FILES):
                yield path
