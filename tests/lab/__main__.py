"""python -m tests.lab up 3 --suite bookworm | down | list | build | shell NAME"""

import argparse
import os
import sys
import time

from tests.lab.bases import SUITES, base
from tests.lab.lab import Lab, missing_requirements, states, take_down


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab", description="real hosts on one machine; see docs/lab.md"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start hosts, print an inventory for them")
    up.add_argument("count", type=int, nargs="?", default=1)
    up.add_argument("--suite", choices=SUITES, default="bookworm")
    up.add_argument("--name", default="", help="hosts are NAME01, NAME02 ... (default: the suite)")
    up.add_argument("--disk", action="store_true", help="keep what hosts write on disk instead of in memory")
    down = verbs.add_parser("down", help="end labs that were left running")
    down.add_argument("slot", type=int, nargs="*", help="which (default: the one that `up` left)")
    down.add_argument("--all", action="store_true", help="all of this machine, also those of a running test")
    verbs.add_parser("list", help="the labs of this machine and their hosts")
    inventory = verbs.add_parser("inventory", help="print the inventory of a lab again")
    inventory.add_argument("slot", type=int, nargs="?")
    inventory.add_argument("--ansible", action="store_true")
    build = verbs.add_parser("build", help="build base roots ahead of time")
    build.add_argument("suite", nargs="*", default=[], help=f"of {', '.join(SUITES)} (default: all)")
    shell = verbs.add_parser("shell", help="a root shell in a host, or a command")
    shell.add_argument("name")
    shell.add_argument("command", nargs=argparse.REMAINDER)
    order = parser.parse_args()
    reason = missing_requirements()
    if reason:
        sys.stderr.write(f"error: {reason}\n")
        return 1
    return int(globals()[f"_{order.verb}"](order) or 0)


def _up(order: argparse.Namespace) -> None:
    base(order.suite)
    started = time.monotonic()
    lab = Lab(disk=order.disk, detached=True)
    try:
        hosts = lab.start(order.count, order.suite, name=order.name)
    except BaseException:
        lab.close()
        raise
    lab.detach()
    said = f"{len(hosts)} hosts up in {time.monotonic() - started:.1f} s"
    sys.stderr.write(
        f"{said}\n  inventory   {lab.inventory}\n  ansible     {lab.ansible_inventory}\n"
        f"  known_hosts {lab.known_hosts}\n  key         {lab.key}\n  ssh         ssh -F {lab.place / 'ssh_config'} {hosts[0].name}\n"
        f"  down        python -m tests.lab down {lab.slot}\n"
    )
    sys.stdout.write((lab.inventory / "hosts.yml").read_text())


def _down(order: argparse.Namespace) -> int:
    left = {slot: state for slot, state in states().items() if state["detached"]}
    slots = order.slot or list(left if not order.all else states())
    if not order.slot and not order.all and len(left) > 1:
        numbers = " ".join(map(str, left))
        sys.stderr.write(f"error: several labs are up, maybe not all yours: name one of {numbers}, or --all\n")
        return 1
    for slot in slots:
        state = states().get(slot)
        if state is None:
            sys.stderr.write(f"error: no lab {slot}: python -m tests.lab list\n")
            return 1
        take_down(slot)
        sys.stderr.write(f"lab {slot}: {len(state['hosts'])} hosts ended\n")
    return 0


def _list(_order: argparse.Namespace) -> None:
    for slot, state in states().items():
        kind = "left running by `up`" if state["detached"] else "owned by a running process, or crashed"
        sys.stdout.write(f"lab {slot}: {kind}; files in {state['place']}\n")
        for host in state["hosts"]:
            alive = os.path.exists(f"/proc/{host['init']}") if host["init"] else False
            sys.stdout.write(
                f"  {host['name']:16} {host['suite']:10} {host['address']:14} {'up' if alive else 'down'}\n"
            )


def _inventory(order: argparse.Namespace) -> int:
    for slot, state in states().items():
        if order.slot in (None, slot):
            name = "ansible.ini" if order.ansible else "inventory/hosts.yml"
            with open(os.path.join(state["place"], name)) as file:
                sys.stdout.write(file.read())
            return 0
    sys.stderr.write("error: no lab is up: python -m tests.lab up 3\n")
    return 1


def _build(order: argparse.Namespace) -> None:
    for name in order.suite or SUITES:
        started = time.monotonic()
        place = base(name)
        sys.stderr.write(f"{name}: {place} ({time.monotonic() - started:.0f} s)\n")


def _shell(order: argparse.Namespace) -> int:
    for state in states().values():
        for host in state["hosts"]:
            if host["name"] == order.name and os.path.exists(f"/proc/{host['init']}"):
                argv = ["nsenter", "-t", str(host["init"]), "-m", "-u", "-i", "-n", "-p", "--"]
                os.execvp("nsenter", [*argv, *(order.command or ["/bin/bash", "-l"])])
    sys.stderr.write(f"error: no running host {order.name}: python -m tests.lab list\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
