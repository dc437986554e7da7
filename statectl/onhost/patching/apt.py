"""Patches by apt: what the modules beside this one come to. See the package for what is told and done.

apt_lists.py         which indexes: the host's own, or fresher ones of ours
apt_release.py       dates and fields of Release files
apt_packages.py      what dpkg and apt's tools say, read
apt_scan.py          the scan
apt_pins.py          a wanted set of versions as preferences of apt, and what a simulation under them means
apt_delivered.py     package files from the controller, as one more archive
apt_transaction.py   looking ahead and installing
"""

from typing import TYPE_CHECKING

from statectl.onhost.patching import apt_packages
from statectl.onhost.patching.apt_scan import scan
from statectl.onhost.patching.apt_transaction import Prepared
from statectl.onhost.resources.package.apt import usable

if TYPE_CHECKING:
    from typing import Dict, Sequence, Tuple

    from statectl.onhost.host import Host

__all__ = ["Prepared", "current", "interrupted", "scan", "usable"]


def current(host: "Host", names: "Sequence[str]") -> "Dict[Tuple[str, str], str]":
    """-> {(name, arch): version}; one of the host's own architecture is also there as `all`, which may be its next version's word."""
    packages = apt_packages.dpkg(host)
    own, wanted = apt_packages.native(packages), frozenset(names)
    found = {}
    for one in apt_packages.here(packages):
        if one.name in wanted:
            found[one.name, one.arch] = one.version
            if one.arch in (own, "all"):
                found[one.name, own] = found[one.name, "all"] = one.version
    return found


def interrupted(host: "Host") -> bool:
    """Must dpkg come to the end of something before anything else is done?"""
    from statectl.onhost.resources.package import apt

    return apt.interrupted(host) or bool(apt_packages.broken(apt_packages.dpkg(host)))
