"""The lab's own network: a bridge, and for each host a network namespace with one veth. Private addresses, no route out.

Lab number S (0 to 31) uses 10.98.(8*S).0/21 and fd98:0:0:S::/64; the machine itself is the first address of each.
"""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from tests.lab.places import run

LABS = 32
MOST_HOSTS = 2000


def bridge(slot: int) -> str:
    return f"slab{slot}"


def ipv4(slot: int, index: int) -> str:
    """Address of host `index` (from 1); 0 is the machine."""
    return str(IPv4Address("10.98.0.1") + slot * 2048 + index)


def ipv6(slot: int, index: int) -> str:
    return str(IPv6Address("fd98::1") + (slot << 64) + index)


def mac(slot: int, index: int) -> str:
    """The same one for the next host at this address, or the machine would go on sending to the one before for a while."""
    return f"02:00:98:{slot:02x}:{index >> 8:02x}:{index & 255:02x}"


def namespace(slot: int, index: int) -> str:
    return f"slab{slot}-{index}"


def make_bridge(slot: int) -> None:
    name = bridge(slot)
    if not Path("/sys/class/net", name).exists():
        run(["ip", "link", "add", name, "type", "bridge", "mcast_snooping", "0"])
    run(["ip", "address", "replace", f"{ipv4(slot, 0)}/21", "dev", name])
    run(["ip", "-6", "address", "replace", f"{ipv6(slot, 0)}/64", "dev", name, "nodad"])
    run(["ip", "link", "set", name, "up"])


def remove_bridge(slot: int) -> None:
    if Path("/sys/class/net", bridge(slot)).exists():
        run(["ip", "link", "delete", bridge(slot)])


def make_namespace(slot: int, index: int) -> None:
    """A namespace whose `eth0` is joined to the bridge."""
    space = namespace(slot, index)
    outside = f"slab{slot}v{index}"
    run(["ip", "netns", "add", space])
    peer = ["peer", "name", "eth0", "address", mac(slot, index), "netns", space]
    run(["ip", "link", "add", outside, "type", "veth", *peer])
    run(["ip", "link", "set", outside, "master", bridge(slot), "up"])
    inside = (
        "link set lo up\nlink set eth0 up\n"
        f"address add {ipv4(slot, index)}/21 dev eth0\n-6 address add {ipv6(slot, index)}/64 dev eth0 nodad\n"
    )
    run(["ip", "-netns", space, "-batch", "-"], text=inside.replace("-6 ", ""))


def remove_namespace(slot: int, index: int) -> None:
    space = namespace(slot, index)
    outside = f"slab{slot}v{index}"
    if Path("/sys/class/net", outside).exists():
        run(["ip", "link", "delete", outside])
    if Path("/run/netns", space).exists():
        run(["ip", "netns", "delete", space])


def cut(slot: int, index: int, verdict: str, port: int | None) -> None:
    """Drop or reject packets in both directions, all of them or those of one TCP port of the host."""
    answer = "reject with tcp reset" if verdict == "reject" and port else verdict
    inward, outward = (f"tcp dport {port} ", f"tcp sport {port} ") if port else ("", "")
    rules = (
        "table inet lab_cut {\n"
        f"chain inward {{ type filter hook input priority -10; iif lo accept; {inward}{answer}; }}\n"
        f"chain outward {{ type filter hook output priority -10; oif lo accept; {outward}drop; }}\n}}\n"
    )
    if verdict == "reject":
        rules = rules.replace(f"{outward}drop;", "")  # the reset itself must get out
    run(
        ["ip", "netns", "exec", namespace(slot, index), "nft", "-f", "-"],
        text="table inet lab_cut\ndelete table inet lab_cut\n" + rules,
    )


def heal(slot: int, index: int) -> None:
    run(
        ["ip", "netns", "exec", namespace(slot, index), "nft", "-f", "-"],
        text="table inet lab_cut\ndelete table inet lab_cut\n",
    )
