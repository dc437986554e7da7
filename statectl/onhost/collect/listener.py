"""Listener: one row a TCP or UDP port that something waits on, with the program behind it as far as we may see.

UDP ports of the range that the kernel hands out by itself are left out: they belong to questions under way, not to services.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

import os
import sys
from typing import TYPE_CHECKING

from statectl.onhost.collect.process import directories
from statectl.onhost.facts import text_of

if TYPE_CHECKING:
    from typing import Dict, List, Set, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Listener"
COLUMNS = ("Protocol", "Address", "Port", "Process", "User")
DEADLINE_S = 5.0
LISTENING = {"tcp": "0A", "udp": "07"}
LIMIT = 4 * 1024 * 1024
EPHEMERAL = (32768, 60999)


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    words = text_of(host, "/proc/sys/net/ipv4/ip_local_port_range").split()
    low, high = (int(word) for word in words) if len(words) == 2 else EPHEMERAL
    found: "Set[Tuple[str, str, int, int, str]]" = set()
    for protocol in ("tcp", "udp"):
        for version in ("", "6"):
            for line in text_of(host, "/proc/net/%s%s" % (protocol, version), LIMIT).splitlines()[1:]:
                fields = line.split()
                if len(fields) < 10 or fields[3] != LISTENING[protocol]:
                    continue
                address, _, port = fields[1].partition(":")
                number = int(port, 16)
                if protocol == "tcp" or not low <= number <= high:
                    found.add((protocol, address_of(address), number, int(fields[7]), fields[9]))
    owners = owners_of(host, {inode for _, _, _, _, inode in found})
    rows = {
        (protocol, address, port, owners.get(inode, ""), host.user_name(uid))
        for protocol, address, port, uid, inode in found
    }
    return [list(row) for row in rows]


def address_of(text: str) -> str:
    """'0100007F' -> '127.0.0.1': words of four bytes, each in this machine's byte order."""
    import _socket as socket  # what `socket` is made of; see facts/network.py

    data = b"".join(int(text[place : place + 8], 16).to_bytes(4, sys.byteorder) for place in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def owners_of(host: "Host", inodes: "Set[str]") -> "Dict[str, str]":
    """{inode: name of the first process that holds it}. Other users' processes are closed to all but root."""
    left = {"socket:[%s]" % inode: inode for inode in inodes}
    found: "Dict[str, str]" = {}
    for _, directory in directories(host):
        if not left:
            break
        try:
            names = os.listdir(directory + "/fd")
        except OSError:
            continue
        for name in names:
            try:
                inode = left.pop(os.readlink("%s/fd/%s" % (directory, name)), "")
            except OSError:
                continue  # closed meanwhile
            if inode:
                found[inode] = _name(directory)
    return found


def _name(directory: str) -> str:
    try:
        with open(directory + "/comm", "rb") as stream:
            return stream.read(256).decode("utf-8", "surrogateescape").strip()
    except OSError:
        return ""  # it ended meanwhile
