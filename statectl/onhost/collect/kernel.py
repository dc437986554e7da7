"""Kernel: one row, which one runs, which is the newest installed one, and whether the host should be restarted.

RebootRequired is true when the distribution left its mark (/run/reboot-required), or when the newest kernel of the running
one's flavour is another. Where neither can be told it is null.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

import os
import re
from typing import TYPE_CHECKING

from statectl.onhost.facts import text_of

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Kernel"
COLUMNS = ("Running", "Newest", "RebootRequired", "RebootPackages", "BootId")
DEADLINE_S = 3.0
_FLAVOUR = re.compile(r"[-._][A-Za-z_][-A-Za-z0-9_.]*\Z")
MARKS = ("/run/reboot-required", "/var/run/reboot-required")
CONTAINERS = ("docker", "lxc", "systemd-nspawn", "podman", "openvz")  # the kernel is not theirs


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    running = (host.facts.get("kernel") or {}).get("release") or os.uname().release
    flavour = _flavour(running)
    installed = [name for name in host.listdir("/lib/modules") if _flavour(name) == flavour and _is_whole(host, name)]
    newest = installed[0] if installed else ""
    if len(installed) > 1:
        from statectl.onhost.resources.package.rpm import newest_first  # costs more than all the rest here

        newest = newest_first(installed)[0]
    marked = any(host.lstat(mark) is not None for mark in MARKS)
    packages = " ".join(text_of(host, MARKS[0] + ".pkgs", 4096).split())
    contained = (host.facts.get("virtualization") or "") in CONTAINERS
    required = True if marked else None
    if required is None and not contained and newest:
        required = newest != running
    return [[running, newest, required, packages, (host.facts.get("host") or {}).get("boot_id", "")]]


def _flavour(release: str) -> str:
    """'6.1.0-18-cloud-amd64' -> '-cloud-amd64', '5.14.0-427.el9.x86_64' -> '.el9.x86_64'."""
    match = _FLAVOUR.search(release)
    return match.group() if match else ""


def _is_whole(host: "Host", name: str) -> bool:
    """A removed kernel may leave an empty directory of modules behind."""
    return host.lstat("/lib/modules/%s/modules.order" % name) is not None
