"""The way in: what a controller's next login depends on, by path, by name and by program.

family    what                                                      matters to whom
ssh       sshd, its configuration and host keys                     who logs in by ssh
network   interfaces, packet filters                                who logs in by ssh
account   the connecting user, its groups, home and keys; PAM       who logs in by ssh or becomes root by sudo
sudo      sudoers                                                   who becomes root by sudo

Not here: /etc/resolv.conf (sshd lets in without names), file systems (a mount over /home), and commands that change one of
these under a name that says nothing.
"""

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Optional, Set

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON
    from statectl.onhost.wanted import Item

_PATHS = {
    "ssh": ("/etc/ssh", "/etc/default/ssh", "/etc/sysconfig/sshd", "/etc/hosts.allow", "/etc/hosts.deny"),
    "network": (
        "/etc/network",
        "/etc/netplan",
        "/etc/systemd/network",
        "/etc/systemd/networkd.conf",
        "/etc/NetworkManager",
        "/etc/sysconfig/network",
        "/etc/sysconfig/network-scripts",
        "/etc/nftables.conf",
        "/etc/nftables",
        "/etc/sysconfig/nftables.conf",
        "/etc/iptables",
        "/etc/sysconfig/iptables",
        "/etc/sysconfig/ip6tables",
        "/etc/firewalld",
        "/etc/ufw",
        "/etc/default/ufw",
    ),
    "account": (
        "/etc/pam.d",
        "/etc/pam.conf",
        "/etc/security",
        "/etc/nsswitch.conf",
        "/etc/nologin",
        "/etc/shells",
        "/etc/passwd",
        "/etc/shadow",
        "/etc/group",
        "/etc/gshadow",
    ),
    "sudo": ("/etc/sudoers", "/etc/sudoers.d", "/etc/sudo.conf"),
}
UNITS = {
    "ssh": ("ssh.service", "sshd.service", "ssh.socket", "sshd.socket"),
    "network": (
        "networking.service",
        "network.service",
        "NetworkManager.service",
        "systemd-networkd.service",
        "nftables.service",
        "iptables.service",
        "ip6tables.service",
        "netfilter-persistent.service",
        "firewalld.service",
        "ufw.service",
    ),
}
_PACKAGES = {
    "ssh": ("openssh-server", "ssh"),
    "network": (
        "ifupdown",
        "netplan.io",
        "network-manager",
        "NetworkManager",
        "nftables",
        "iptables",
        "iptables-persistent",
        "netfilter-persistent",
        "firewalld",
        "ufw",
    ),
    "account": ("libpam-runtime", "libpam-modules", "libpam-systemd", "pam", "sssd", "libnss-sss", "libpam-sss"),
    "sudo": ("sudo", "sudo-ldap"),
}
_PROGRAMS = {
    "ssh": ("sshd", "ssh-keygen"),
    "network": (
        "nft",
        "iptables",
        "ip6tables",
        "iptables-restore",
        "ip6tables-restore",
        "ufw",
        "firewall-cmd",
        "netplan",
        "ifup",
        "ifdown",
        "ifconfig",
        "nmcli",
        "networkctl",
        "ip",
    ),
    "account": (
        "usermod",
        "userdel",
        "passwd",
        "chpasswd",
        "chage",
        "gpasswd",
        "groupdel",
        "groupmod",
        "pam-auth-update",
    ),
    "sudo": ("visudo",),
}
_KERNEL = re.compile(r"net[./].*[./](disable_ipv6|rp_filter|arp_ignore|arp_filter|accept_ra)\Z")
_WORD = re.compile(r"[A-Za-z0-9_./-]+")
_OF_UNITS = "/etc/systemd/system/"


def connecting_people() -> "Dict[str, str]":
    """-> {name: home} of who we are, and of who became that by sudo."""
    import pwd

    found = {}
    for key in (os.environ.get("SUDO_USER", ""), os.geteuid()):
        try:
            entry = pwd.getpwnam(key) if isinstance(key, str) else pwd.getpwuid(key)
        except KeyError:
            continue
        found[entry.pw_name] = entry.pw_dir
    return found


def ways_of(host: "Host", asked: "Optional[Dict[str, JSON]]") -> "Optional[Ways]":
    """asked: `lock_out` of the order. -> Ways, or None: nothing is armed in this run."""
    if not asked:
        return None
    from statectl.onhost import accounts

    homes = connecting_people()
    groups = [name for name, group in accounts.groups(host).items() if set(homes) & set(group.members)]
    return Ways(asked["login"], asked["sudo"], homes, groups)


class Ways(object):
    """login  does the controller come by ssh?      sudo  does it become another user by sudo?
    homes     {name: home directory} of the connecting user and of who we are
    groups    names of the groups that people are in
    """

    def __init__(self, login: bool, sudo: bool, homes: "Dict[str, str]", groups: "Iterable[str]") -> None:
        self.people = frozenset(homes)
        self.homes = homes
        self.groups = frozenset(groups)
        self.families = [
            family
            for family, matters in (("ssh", login), ("network", login), ("account", login or sudo), ("sudo", sudo))
            if matters
        ]
        self.units = {unit: family for family in self.families for unit in UNITS.get(family, ())}
        self._paths: "Dict[str, str]" = {}
        for family in self.families:
            for path in _PATHS[family]:
                self._paths[path] = family
        if login:
            for home in homes.values():
                self._paths[home.rstrip("/") + "/.ssh"] = "account"
        for unit, family in self.units.items():
            self._paths[_OF_UNITS + unit] = self._paths[_OF_UNITS + unit + ".d"] = family
        # the watched names with links in their way resolved: /etc/sysconfig may lead elsewhere
        for path, family in list(self._paths.items()):
            self._paths.setdefault(os.path.realpath(path), family)

    def paths(self, family: str) -> "List[str]":
        """-> the paths of one family that are there, none of them below another."""
        there = sorted(path for path, of in self._paths.items() if of == family and os.path.lexists(path))
        return [path for path in there if not any(below(path, other) for other in there if other != path)]

    def at(self, path: str) -> str:
        """The family that what stands at `path` belongs to, '' for none."""
        for watched, family in self._paths.items():
            if below(path, watched):
                return family
        return ""

    def beneath(self, path: str) -> "Dict[str, str]":
        """The watched paths below `path` -> {path: family}; {} for most paths."""
        return {watched: family for watched, family in self._paths.items() if watched != path and below(watched, path)}

    def of(self, item: "Item") -> "List[str]":
        """The families that a change of this item touches, as far as its declaration tells; [] for nearly all."""
        found = set(_BY_TYPE.get(item.type, _by_path)(self, item))
        return [family for family in self.families if family in found]


def below(path: str, top: str) -> bool:
    """Is `path` that, or below it?"""
    return path == top or path.startswith(top.rstrip("/") + "/")


def _by_path(ways: "Ways", item: "Item") -> "Set[str]":
    from statectl.onhost.engine import written_path

    path = written_path(item)
    if not isinstance(path, str):
        return set()
    # as it is named, and where that leads
    for name in (path, os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))):
        if ways.at(name):
            return {ways.at(name)}
    beneath = ways.beneath(path)
    if item.type == "tree":
        names = [entry.get("path") for entry in item.want.manifest or () if isinstance(entry, dict)]
        inside = [ways.at(os.path.join(path, name)) for name in names if isinstance(name, str)]
        # the directory of the tree itself, as it leads to something below
        return {family for family in inside if family} | (set(beneath.values()) if _leads(item) else set())
    return set(beneath.values()) if item.type != "directory" or _leads(item) else set()


def _leads(item: "Item") -> bool:
    """Does the change of a directory concern those who go through it?"""
    return bool(set(item.fields) & {"owner", "group", "mode", "recurse", "exclusive", "state"})


def _service(ways: "Ways", item: "Item") -> "Set[str]":
    name = item.want.name if "." in item.want.name else item.want.name + ".service"
    return {ways.units[name]} if name in ways.units else set()


def _package(ways: "Ways", item: "Item") -> "Set[str]":
    return {family for family in ways.families if item.want.name in _PACKAGES[family]}


def _user(ways: "Ways", item: "Item") -> "Set[str]":
    return {"account"} if item.want.name in ways.people else set()


def _group(ways: "Ways", item: "Item") -> "Set[str]":
    return {"account"} if item.want.name in ways.groups else set()


def _sysctl(ways: "Ways", item: "Item") -> "Set[str]":  # noqa: ARG001  every one of these is called alike
    return {"network"} if _KERNEL.match(item.want.name) else set()


def _command(ways: "Ways", item: "Item") -> "Set[str]":
    found: "Set[str]" = set()
    run = item.want.run
    words = _WORD.findall(run) if isinstance(run, str) else [word for part in run or () for word in _WORD.findall(part)]
    for word in words:
        name = word.rpartition("/")[2]
        found.update(family for family in ways.families if name in _PROGRAMS[family])
        unit = name if "." in name else name + ".service"
        if unit in ways.units:
            found.add(ways.units[unit])
        if word.startswith("/") and ways.at(word):
            found.add(ways.at(word))
    return found


def _key(ways: "Ways", item: "Item") -> "Set[str]":
    return {"account"} if item.want.name in ways.people else _by_path(ways, item)


_BY_TYPE = {
    "service": _service,
    "package": _package,
    "user": _user,
    "unix_group": _group,
    "sysctl": _sysctl,
    "command": _command,
    "authorized_key": _key,
}
