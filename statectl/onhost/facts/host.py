"""facts.host: {hostname, fqdn, machine_id, boot_id}.

hostname is the first part of the name that the kernel has. fqdn comes from that name and /etc/hosts and never from
DNS, which may be slow, absent or somebody else's; it equals hostname where neither knows a domain. boot_id changes with every boot.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

import os

from statectl.onhost.facts import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Facts


def gather(host: "Host", known: "Facts") -> "Dict[str, str]":
    name = os.uname().nodename
    return {
        "hostname": name.partition(".")[0],
        "fqdn": name if "." in name else _in_hosts(text_of(host, "/etc/hosts"), name) or name,
        "machine_id": text_of(host, "/etc/machine-id"),
        "boot_id": text_of(host, "/proc/sys/kernel/random/boot_id"),
    }


def _in_hosts(text: str, name: str) -> str:
    for line in text.splitlines():
        names = line.partition("#")[0].split()[1:]
        if name in names:
            full = [entry for entry in names if entry.startswith(name + ".")]
            if full:
                return full[0]
    return ""
