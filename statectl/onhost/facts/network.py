"""facts.network: {interfaces, addresses, default_address}.

interfaces       {name: {mac, up, addresses: ["10.0.0.5/24", "fe80::1/64"]}}, at most 256
addresses        every address without its length, loopback and link-local ones left out, IPv4 first
default_address  the one that a packet to the internet would carry, '' without a route there. Nothing is sent to find out.

Read from the kernel over netlink, which is what `ip address` does.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON, Facts

RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 18, 20, 22
NLM_F_REQUEST_DUMP = 0x1 | 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
IFLA_ADDRESS, IFLA_IFNAME = 1, 3
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFF_UP = 0x1
SCOPE_UNIVERSE, SCOPE_SITE = 0, 200
TIMEOUT_S = 2.0
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port


def gather(host: "Host", known: "Facts") -> "Dict[str, JSON]":
    import _socket as socket  # what `socket` is made of; that one costs 5 ms more, for names and streams not used here

    interfaces: Any = {}
    names, found = {}, []
    for body in dump(socket, RTM_GETLINK, RTM_NEWLINK):
        _, _, index, flags, _ = struct.unpack_from("=BxHiII", body)
        fields = attributes(body[16:])
        name = fields.get(IFLA_IFNAME, b"").rstrip(b"\0").decode("utf-8", "surrogateescape")
        mac = ":".join("%02x" % byte for byte in bytearray(fields.get(IFLA_ADDRESS, b"")[:20]))
        names[index] = name
        interfaces[name] = {"mac": mac, "up": bool(flags & IFF_UP), "addresses": []}
    for body in dump(socket, RTM_GETADDR, RTM_NEWADDR):
        family, length, _, scope, index = struct.unpack_from("=BBBBi", body)
        fields = attributes(body[8:])
        raw = fields.get(IFA_LOCAL) or fields.get(IFA_ADDRESS)
        if family not in (socket.AF_INET, socket.AF_INET6) or raw is None or index not in names:
            continue
        address = socket.inet_ntop(family, raw)
        interfaces[names[index]]["addresses"].append("%s/%d" % (address, length))
        if scope in (SCOPE_UNIVERSE, SCOPE_SITE) and address not in ("127.0.0.1", "::1"):
            found.append((family == socket.AF_INET6, address))
    return {
        "interfaces": interfaces,
        "addresses": [address for _, address in sorted(found, key=lambda entry: entry[0])],
        "default_address": default_address(socket),
    }


def dump(socket: "ModuleType", request: int, answer: int) -> "List[bytes]":
    """Bodies of all messages of type `answer` that the kernel gives for `request`."""
    bodies: "List[bytes]" = []
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)  # 0: NETLINK_ROUTE
    try:
        channel.settimeout(TIMEOUT_S)
        channel.bind((0, 0))
        channel.send(HEADER.pack(HEADER.size + 16, request, NLM_F_REQUEST_DUMP, 1, 0) + b"\0" * 16)
        while True:
            data = channel.recv(262144)
            while len(data) >= HEADER.size:
                length, kind, _, _, _ = HEADER.unpack_from(data)
                if kind == NLMSG_DONE:
                    return bodies
                if kind == NLMSG_ERROR or length < HEADER.size:
                    raise OSError("the kernel did not list network interfaces")
                if kind == answer:
                    bodies.append(data[HEADER.size : length])
                data = data[(length + 3) & ~3 :]
    finally:
        channel.close()


def attributes(data: bytes) -> "Dict[int, bytes]":
    """Type-length-value list -> {type: bytes}."""
    fields = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        fields[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return fields


def default_address(socket: "ModuleType") -> str:
    """Connecting a datagram socket picks the source address and sends nothing. The targets are documentation addresses."""
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            channel = socket.socket(family, socket.SOCK_DGRAM)
        except OSError:
            continue  # this kernel has no such family
        try:
            channel.connect((target, 9))
            return str(channel.getsockname()[0])
        except OSError:
            continue  # no route: the other family may have one
        finally:
            channel.close()
    return ""
