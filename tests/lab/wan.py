"""A long line to a host: a relay between two TUN devices, one here and one in the host's namespace, with delay and loss.

Run as a process of its own (`python -m tests.lab.wan NAMESPACE HERE THERE ONE_WAY_MS LOSS`), so that what it delays is not the
test's own work. A TUN queue holds 500 packets; bursts above that are lost to the queue.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.lab.machine import LabHost
from tests.lab.places import PROJECT, run

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
MTU = 1400


@dataclass
class Relay:
    """`there`: the address by which the host is reached through the line."""

    there: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def start(host: LabHost, *, one_way_ms: float, loss: float) -> Relay:
    """Both devices are there when this returns; they go with the process."""
    here, there = (f"10.99.{host.slot}.{2 * host.index + end}" for end in (0, 1))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.wan", host.namespace, here, there, str(one_way_ms), str(loss)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        process.kill()
        process.wait()
        raise RuntimeError(f"no long line to {host.name}")
    return Relay(there, process)


def _device(namespace: str, name: str, address: str, peer: str) -> int:
    """A TUN device in a namespace ('' : here), up, with its address -> descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    if namespace:
        wanted = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        if libc.setns(wanted, 0):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(wanted)
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI))
        run(["ip", "address", "add", address, "peer", peer, "dev", name])
        run(["ip", "link", "set", name, "up", "mtu", str(MTU)])
    finally:
        libc.setns(before, 0)
        os.close(before)
    return device


def main(namespace: str, here: str, there: str, one_way_ms: str, loss: str) -> None:
    delay, share = float(one_way_ms) / 1000, float(loss)
    near = _device("", f"wan{namespace}"[:15], here, there)
    far = _device(namespace, "wan0", there, here)
    print("ready", flush=True)
    waiting: list[tuple[float, int, int, bytes]] = []
    chance = random.Random()
    number = 0
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 0.5
        for device in select.select([near, far], [], [], min(pause, 0.5))[0]:
            for _ in range(64):
                try:
                    packet = os.read(device, 2000)
                except BlockingIOError:
                    break
                if chance.random() >= share:
                    number += 1
                    heapq.heappush(waiting, (time.monotonic() + delay, number, far if device == near else near, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, device, packet = heapq.heappop(waiting)
            try:
                os.write(device, packet)
            except OSError:
                continue  # its queue is full, or the namespace went away: lost, as on any line


if __name__ == "__main__":
    main(*sys.argv[1:])
