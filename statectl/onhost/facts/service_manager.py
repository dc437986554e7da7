"""facts.service_manager: systemd, openrc, runit, sysvinit, or '' (a container without one). What runs, not what is installed."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Facts
# ruff: noqa: ARG001  the signature of gather is the contract of all topics


def gather(host: "Host", known: "Facts") -> str:
    for name, path in (("systemd", "/run/systemd/system"), ("openrc", "/run/openrc"), ("runit", "/run/runit")):
        if host.lstat(path) is not None:
            return name
    first = host.read_file("/proc/1/comm", 64)
    return "sysvinit" if first == b"init\n" and host.lstat("/etc/init.d") is not None else ""
