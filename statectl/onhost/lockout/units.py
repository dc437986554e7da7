"""Services of the way in: whether they ran and start at boot, and back to that. Where systemd does not run there are none."""

from typing import TYPE_CHECKING, Any

from statectl.onhost.failure import Failed
from statectl.onhost.resources import service

if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Sequence, Tuple

    from statectl.onhost.host import Host

JOB_S = 90
# whose configuration is read at a start only: what is put back below these is started again with it
READS = (
    ("/etc/ssh", ("ssh.service", "sshd.service")),
    ("/etc/default/ssh", ("ssh.service",)),
    ("/etc/sysconfig/sshd", ("sshd.service",)),
    ("/etc/network", ("networking.service",)),
    ("/etc/netplan", ("systemd-networkd.service", "NetworkManager.service")),
    ("/etc/systemd/network", ("systemd-networkd.service",)),
    ("/etc/systemd/networkd.conf", ("systemd-networkd.service",)),
    ("/etc/NetworkManager", ("NetworkManager.service",)),
    ("/etc/sysconfig/network", ("network.service", "NetworkManager.service")),
    ("/etc/nftables", ("nftables.service",)),
    ("/etc/nftables.conf", ("nftables.service",)),
    ("/etc/sysconfig/nftables.conf", ("nftables.service",)),
    ("/etc/iptables", ("netfilter-persistent.service", "iptables.service", "ip6tables.service")),
    ("/etc/sysconfig/iptables", ("iptables.service",)),
    ("/etc/sysconfig/ip6tables", ("ip6tables.service",)),
    ("/etc/firewalld", ("firewalld.service",)),
    ("/etc/ufw", ("ufw.service",)),
    ("/etc/default/ufw", ("ufw.service",)),
)


def image(host: "Host", names: "Iterable[str]") -> "Dict[str, Dict[str, Any]]":
    """-> {unit: {"active": bool, "file": text, "instance": text}} of those that systemd knows."""
    found = {}
    for unit, block in _show(host, sorted(names)).items():
        if block["LoadState"] == "not-found":
            continue
        if block.get("Id", unit) != unit and block["Id"] in names:
            continue  # an alias: the unit itself is in the list
        found[unit] = {
            "active": block["ActiveState"] in service.UP,
            "file": block.get("UnitFileState", ""),
            "instance": block.get("InvocationID", ""),
        }
    return found


def put_back(host: "Host", images: "Dict[str, Dict[str, Any]]", moved: "List[str]") -> "Tuple[List[str], List[str]]":
    """moved: paths that were put back. -> (units that were touched, what could not be done, in words)"""
    if not images:
        return [], []
    troubles: Any = []
    touched = []

    def systemctl(*words: str) -> None:
        try:
            host.run(["systemctl", "--no-ask-password", *words], timeout=JOB_S)
        except Failed as error:
            troubles.append(error.message)

    if any("/systemd/system/" in path for path in moved):
        systemctl("daemon-reload")
    reading = {unit for path in moved for top, units in READS if _below(path, top) for unit in units}
    reading.update(unit for unit in images for path in moved if "/systemd/system/" + unit in path)
    now = _show(host, sorted(images))
    for unit, was in sorted(images.items()):
        block = now.get(unit)
        if block is None:
            continue
        for verb in _enabling(was["file"], block.get("UnitFileState", "")):
            systemctl(*verb, "--", unit)
            touched.append(unit)
        running = block["ActiveState"] in service.UP
        another = block.get("InvocationID", "") != was["instance"] or block.get("NRestarts", "0") not in ("", "0")
        if not was["active"] and running:
            systemctl("stop", "--", unit)
            touched.append(unit)
        elif was["active"] and (not running or another or unit in reading or was.get("notified")):
            if not running:
                systemctl("reset-failed", "--", unit)
            systemctl("restart", "--", unit)
            touched.append(unit)
    return sorted(set(touched)), troubles


def _enabling(was: str, now: str) -> "List[List[str]]":
    """Words for systemctl that lead from `now` back to `was`."""
    if was == now:
        return []
    steps = []
    if now.startswith("masked"):
        steps.append(["unmask", "--runtime"] if now == "masked-runtime" else ["unmask"])
    if was == "enabled":
        steps.append(["enable"])
    elif was == "disabled":
        steps.append(["disable"])
    elif was.startswith("masked"):
        steps.append(["mask", "--runtime"] if was == "masked-runtime" else ["mask"])
    return steps


def _show(host: "Host", names: "Sequence[str]") -> "Dict[str, Dict[str, str]]":
    try:
        return service.show(host, names)
    except Failed:
        return {}


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(top + "/")
