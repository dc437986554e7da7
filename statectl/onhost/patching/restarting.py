"""Which services that run old code may be restarted, and which not blindly: those that others would lose, sessions, and our own way in."""

import re
from typing import TYPE_CHECKING

from statectl.onhost.patching.needs import REBOOT_ONLY
from statectl.onhost.resources import service

if TYPE_CHECKING:
    from typing import Dict, Iterable, Tuple

    from statectl.onhost.host import Host

# as needrestart has it: sessions of people, networks and what others run inside
BY_HAND = re.compile(
    r"(?:getty|autovt|serial-getty|console-getty|container-getty|user|user-runtime-dir|emergency|rescue|elogind"
    r"|gdm|gdm3|kdm|nodm|sddm|wdm|xdm|lightdm|slim|lxdm|display-manager"
    r"|bird|networking|network|NetworkManager|ModemManager|systemd-networkd|wpa_supplicant|openvpn(?:-\w+)?|frr|quagga|tinc"
    r"|strongswan|openswan|libreswan|bluetooth"
    r"|docker|containerd|lxcfs|lxd|libvirtd|virtlogd|virtlockd|xendomains|zfs-fuse|cloud-\w+|rc-local)(?:@.*)?\.service\Z"
)
PROPERTIES = "Id,Type,KillMode,RefuseManualStart,RefuseManualStop,ActiveState"


def sorted_out(host: "Host", units: "Iterable[str]") -> "Tuple[Dict[str, str], Dict[str, str]]":
    """Units that use replaced files -> ({may be restarted: ''}, {may not: why}). Raises Failed where systemd does not answer."""
    names = sorted(units)
    may: "Dict[str, str]" = {}
    may_not: "Dict[str, str]" = {}
    shown = _show(host, [name for name in names if name not in REBOOT_ONLY and not BY_HAND.match(name)])
    ours = _own_unit(host)
    for name in names:
        if name in REBOOT_ONLY:
            may_not[name] = "only a reboot renews it"
        elif name not in shown:
            may_not[name] = "it is not restarted blindly"
        else:
            why = _why_not(shown[name], name == ours)
            (may_not if why else may)[name] = why
    return may, may_not


def _why_not(block: "Dict[str, str]", ours: bool) -> str:
    if "yes" in (block.get("RefuseManualStart"), block.get("RefuseManualStop")):
        return "systemd lets nobody restart it"
    if block.get("Type") == "oneshot":
        return "it is a job that ends by itself"
    if block.get("ActiveState") not in service.UP:
        return "it is %s" % (block.get("ActiveState") or "not there")
    if ours and block.get("KillMode") != "process":
        return "this run goes on inside of it"
    return ""


def _show(host: "Host", names: "Iterable[str]") -> "Dict[str, Dict[str, str]]":
    names = list(names)
    if not names:
        return {}
    argv = ["systemctl", "show", "--no-pager", "--property=" + PROPERTIES, "--", *names]
    blocks = host.run(argv, timeout=60).out.split("\n\n")
    read = [dict(line.split("=", 1) for line in block.split("\n") if "=" in line) for block in blocks if block.strip()]
    return dict(zip(names, read))


def _own_unit(host: "Host") -> str:
    from statectl.onhost.patching.needs import unit_of

    return unit_of(host, "self")
