"""What still runs old code: services and processes that use replaced files, a kernel that is not the newest, and marks that ask for a reboot.

a reboot is needed when                                        found by
a package left its mark, as postinst scripts do                /run/reboot-required, and .pkgs beside it
zypper left its mark                                           /run/reboot-needed
another kernel is the newest of the running one's flavour      /lib/modules (not in a container)
what a reboot alone renews was updated since the boot (rpm)    when it was installed, as `dnf needs-restarting -r` does
init, the message bus or the login manager use replaced files  their processes: they cannot be restarted under a running system
"""

import os
from typing import TYPE_CHECKING

from statectl.onhost import replaced
from statectl.onhost.facts import text_of

if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.memory import Memory
    from statectl.onhost.shapes import JSON

MARK = "/run/reboot-required"
ZYPPER_MARK = "/run/reboot-needed"
INIT = "init.scope"
REBOOT_ONLY = ("dbus.service", "dbus-broker.service", "systemd-logind.service", INIT)
CORE = (  # rpm packages whose update is complete after a reboot only
    "dbus",
    "dbus-broker",
    "dbus-daemon",
    "glibc",
    "kernel",
    "kernel-core",
    "kernel-rt",
    "linux-firmware",
    "microcode_ctl",
    "systemd",
)
MOST_FILES = 20  # of one service that are told
MOST_PROCESSES = 200
_UNITS = (".service", ".scope")


def gather(host: "Host", manager: str = "") -> "Dict[str, JSON]":
    """-> `needs` of a scan. manager: apt, dnf, zypper, '' when nobody knows."""
    services, processes, init = _users(replaced.everywhere(host), host)
    reasons = _marks(host) + _kernel(host)
    if manager in ("dnf", "zypper"):
        reasons += _updated(host)
    for name in REBOOT_ONLY:
        files = init if name == INIT else services.get(name)
        if files:
            reasons.append("%s uses replaced %s" % ("init" if name == INIT else name, _some(files)))
    return {
        "reboot": bool(reasons),
        "reasons": reasons,
        "services": {name: sorted(files)[:MOST_FILES] for name, files in sorted(services.items())},
        "processes": sorted(processes)[:MOST_PROCESSES],
    }


def pending_reboot(memory: "Memory", boot_id: str, needed: bool) -> "List[List[str]]":
    """-> [[name, arch, version], ...] of what we installed since the boot, where a reboot is needed, or owed to `reboot: always`."""
    from statectl.onhost.patching import since_boot

    owed = any(debt.get("boot") == boot_id and debt["of"]["reboot"] == "always" for debt in memory.debts.values())
    return since_boot.versions(memory, boot_id) if needed or owed else []


def _users(using: "Dict[str, List[str]]", host: "Host") -> "Tuple[Dict[str, Set[str]], List[str], Set[str]]":
    """{process: files} -> ({unit: files}, [process of no service], files of init)."""
    services: "Dict[str, Set[str]]" = {}
    processes: "List[str]" = []
    init: "Set[str]" = set()
    for pid, files in using.items():
        if int(pid) == os.getpid() or _elsewhere(host, pid):
            continue
        unit = unit_of(host, pid)
        if unit == INIT or pid == "1":
            init.update(files)
        elif unit.endswith(".service"):
            services.setdefault(unit, set()).update(files)
        else:
            name = text_of(host, "/proc/%s/comm" % pid, 64).strip()
            processes.append("%s %s" % (pid, name or "?"))
    return services, processes, init


def unit_of(host: "Host", pid: str) -> str:
    """The unit that a process belongs to, '' for none."""
    group = _group(host, pid)
    top = _group(host, "1").rpartition("/" + INIT)[0]  # of a container: it may see the groups around it
    return _unit(group[len(top) :] if top and group.startswith(top + "/") else group)


def _group(host: "Host", pid: str) -> str:
    """The control group of a process as systemd sees it; '' when it has ended."""
    for line in text_of(host, "/proc/%s/cgroup" % pid, 65536).splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "name=systemd" or (number == "0" and controllers == "" and path != "/"):
            return path
    return ""


def _unit(group: str) -> str:
    """'/system.slice/system-getty.slice/getty@tty1.service' -> 'getty@tty1.service'; the outermost one, '' when there is none."""
    for part in group.split("/"):
        if part.endswith(_UNITS):
            return part
    return ""


def _elsewhere(host: "Host", pid: str) -> bool:
    """Is it of a container? Its files are not ours, and what became of them neither."""
    try:
        ours = os.readlink(host.root + "/proc/self/ns/pid")
        return os.readlink("%s/proc/%s/ns/pid" % (host.root, pid)) != ours
    except OSError:
        return False


def _marks(host: "Host") -> "List[str]":
    reasons: "List[str]" = []
    if host.lstat(MARK) is not None:
        names = sorted(set(text_of(host, MARK + ".pkgs", 65536).split()))
        reasons += ["%s asks for a reboot" % name for name in names] or ["%s is there" % MARK]
    if host.lstat(ZYPPER_MARK) is not None:
        reasons.append("%s is there" % ZYPPER_MARK)
    return reasons


def _kernel(host: "Host") -> "List[str]":
    from statectl.onhost.collect import kernel

    if (host.facts.get("virtualization") or "") in kernel.CONTAINERS:
        return []
    ((running, newest, _, _, _),) = kernel.gather(host, {})
    return ["kernel %s is installed, %s runs" % (newest, running)] if newest and newest != running else []


def _updated(host: "Host") -> "List[str]":
    """What of CORE was installed since the boot. The system was booted when its init began, in a container as well."""
    booted = _booted(host)
    if booted is None or host.which("rpm") is None:
        return []
    argv = ["rpm", "--query", "--queryformat", "%{NAME}\t%{VERSION}-%{RELEASE}\t%{INSTALLTIME}\n", *CORE]
    reasons = []
    for line in host.run(argv, timeout=60, check=False).out.splitlines():
        words = line.split("\t")
        if len(words) == 3 and words[2].isdigit() and int(words[2]) > booted:
            reasons.append("%s %s was installed since the boot" % (words[0], words[1]))
    return reasons


def _booted(host: "Host") -> "Optional[float]":
    """Seconds since 1970, None when it cannot be told."""
    begun = text_of(host, "/proc/1/stat", 4096).rpartition(")")[2].split()
    for line in text_of(host, "/proc/stat", 1 << 20).splitlines():
        words = line.split()
        if len(begun) > 19 and len(words) == 2 and words[0] == "btime":
            return int(words[1]) + int(begun[19]) / os.sysconf("SC_CLK_TCK")
    return None


def _some(files: "Set[str]") -> str:
    shown = sorted(files)
    return shown[0] + (" and %d more" % (len(shown) - 1) if shown[1:] else "")
