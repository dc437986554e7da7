"""What a scan of patches costs on a Debian host, beside `apt-get update && apt-get -s dist-upgrade` on that host alone.

python -m tests.benchmarks.patches_apt                      the table goes into docs/benchmarks.md
python -m tests.benchmarks.patches_apt --rounds 3 --print

The indexes are Debian's own of bookworm and its security suite, served from this machine; one host, the two in turn. Processor time is
that of all processes, wall time that of the command. `changed` fetches every index anew on both sides; `unchanged` is told that
nothing has changed; in `fresh` the scan asks nobody, for the index is young enough, and the host alone still does.
"""

import argparse
import functools
import hashlib
import http.server
import json
import os
import platform
import resource
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.tables import verdict, write_on_page
from tests.hosts.patching_on_host import PLACE, OnHost
from tests.lab import Lab, LabHost, network
from tests.lab.pending_updates import mirrors
from tests.lab.places import cache, run

GOAL = 1.5
SUITE = "bookworm"
ALONE = "apt-get update -qq && apt-get -s -q dist-upgrade >/dev/null"
CASES = ("changed", "unchanged", "fresh")
Figures = dict[str, list[tuple[float, float]]]  # what -> [(wall, CPU), ...]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def archive() -> Path:
    """Debian's indexes as this machine's apt fetches them, kept: every run measures the same ones."""
    place = cache() / f"indexes-{SUITE}"
    if not place.is_dir():
        made = place.with_suffix(f".tmp{os.getpid()}")
        shutil.rmtree(made, ignore_errors=True)
        for top, uri, suite in zip(("debian", "debian-security"), mirrors(), (SUITE, f"{SUITE}-security"), strict=True):
            dist = made / top / "dists" / suite
            index = dist / "main" / "binary-amd64"
            (index / "by-hash" / "SHA256").mkdir(parents=True)
            for path in ("InRelease", "main/binary-amd64/Packages.xz"):
                run(["/usr/lib/apt/apt-helper", "download-file", f"{uri}dists/{suite}/{path}", dist / path])
            packed = index / "Packages.xz"
            shutil.copy(packed, index / "by-hash" / "SHA256" / hashlib.sha256(packed.read_bytes()).hexdigest())
        made.rename(place)
    return place


def spent(host: LabHost, argv: Sequence[str], asked: str = "") -> tuple[float, float]:
    """(wall, CPU) seconds of a command and all that it started, on the host."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    host.exec(argv, stdin=asked, timeout=600)
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(host: LabHost, rounds: int) -> dict[str, Figures]:
    OnHost(host)
    alone = ["sh", "-c", ALONE]
    scan = ["python3", f"{PLACE}/drive.py"]
    found: dict[str, Figures] = {case: {"alone": [], "scan": []} for case in CASES}

    def asked(refresh_s: int) -> str:
        return json.dumps({"verb": "scan", "manager": "apt", "lock_s": 120, "with": {"refresh_s": refresh_s}})

    def forget() -> None:
        host.sh("rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/statectl-apt")

    for _ in range(rounds):
        forget()
        found["changed"]["alone"].append(spent(host, alone))
        found["unchanged"]["alone"].append(spent(host, alone))
        found["fresh"]["alone"].append(spent(host, alone))
        forget()
        found["changed"]["scan"].append(spent(host, scan, asked(0)))
        found["unchanged"]["scan"].append(spent(host, scan, asked(0)))
        found["fresh"]["scan"].append(spent(host, scan, asked(86400)))
    return found


def table(found: dict[str, Figures]) -> str:
    lines = [
        "| index | host alone | scan | wall | CPU | goal |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for case, figures in found.items():
        (wall, cpu), (wall_, cpu_) = (
            tuple(statistics.median(column) for column in zip(*figures[who], strict=True)) for who in ("alone", "scan")
        )
        worst = max(wall_ / wall, cpu_ / cpu)
        lines.append(
            f"| {case} | {wall:.2f} s, {cpu:.2f} s CPU | {wall_:.2f} s, {cpu_:.2f} s CPU | {wall_ / wall:.2f}x | {cpu_ / cpu:.2f}x "
            f"| {GOAL}x: {verdict(worst <= GOAL)} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.patches_apt", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many (default 5)")
    parser.add_argument("--print", action="store_true", dest="printed", help="print it alone; leave the page as it is")
    order = parser.parse_args(argv)
    with Lab() as lab:
        (host,) = lab.start(1, SUITE)
        handler = functools.partial(Quiet, directory=str(archive()))
        server = http.server.ThreadingHTTPServer((network.ipv4(host.slot, 0), 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://{server.server_address[0]!s}:{server.server_address[1]}"
        host.sh("rm -f /etc/apt/sources.list.d/*")
        host.write(
            "/etc/apt/sources.list.d/debian.list",
            f"deb {uri}/debian {SUITE} main\ndeb {uri}/debian-security {SUITE}-security main\n",
        )
        host.write("/etc/apt/apt.conf.d/99dates", 'Acquire::Check-Valid-Until "false";\nAcquire::Languages "none";\n')
        text = table(measure(host, order.rounds))
        server.shutdown()
    where = f"{platform.machine()}, {os.cpu_count()} processors, {order.rounds} rounds, medians"
    text = f"{where}\n\n{text}\n"
    if order.printed:
        sys.stdout.write(text)
    else:
        write_on_page("patches-apt", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
