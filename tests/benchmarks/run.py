"""The benchmark, one command: the same web host of about 100 resources by statectl, ansible-core and pyinfra.

    python -m tests.benchmarks.run                      all of it, and the table goes into docs/benchmarks.md
    python -m tests.benchmarks.run --tools statectl     measure statectl again; peers as they were measured last
    python -m tests.benchmarks.run --hosts 1 --repeat 1 --tools statectl,pyinfra --print

Measured is the wall time of the whole process, from its start to its end. Hosts are lab hosts whose files lie on disk.
Every run is checked: after it, the hosts hold the whole workload, and an unchanged run must say that it changed nothing.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.measured import Measured, load, save, table
from tests.benchmarks.tools import TOOLS, Tool
from tests.lab import Lab, LabHost
from tests.lab.places import PROJECT

PAGE = PROJECT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- apply: begin -->", "<!-- apply: end -->"
PRESENT = r"""set -e
test "$(ls /etc/bench | wc -l)" = 50
test "$(grep -l '^host = '"$(hostname)" /etc/bench/*.conf | wc -l)" = 50
! grep -q drift /etc/bench/*.conf
test "$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 'lab-tool-*' 'lab-service-*' | grep -c '^ii')" = 25
test "$(getent passwd bench1 bench2 bench3 bench4 bench5 | wc -l)" = 5
test "$(getent group benchgroup1 benchgroup2 benchgroup3 benchgroup4 benchgroup5 | wc -l)" = 5
test "$(grep -c '^bench[1-5] soft nofile 100' /etc/security/limits.conf)" = 5
test "$(cat /etc/cron.d/* | grep -c 'root /bin/true [1-5]')" = 5
for number in 1 2 3 4 5; do
  systemctl is-active --quiet lab-service-0$number
  systemctl is-enabled --quiet lab-service-0$number
done
"""
DRIFT = """set -e
for number in 1 2 3; do echo drift >> /etc/bench/app-$number.conf; done
systemctl stop lab-service-01
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", default="1,10", help="numbers of hosts (default 1,10)")
    parser.add_argument("--repeat", type=int, default=3, help="statectl: medians of so many rounds (default 3)")
    parser.add_argument(
        "--peer-repeat", type=int, default=1, help="the same for its peers, which take minutes (default 1)"
    )
    parser.add_argument("--tools", default=",".join(TOOLS), help=f"of {', '.join(TOOLS)} (default: all)")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--print", action="store_true", help="print these alone; keep nothing")
    order = parser.parse_args(argv)
    tools = order.tools.split(",")
    rows = {} if order.print else load()
    busy = os.getloadavg()[0]
    with Lab(disk=True) as lab, tempfile.TemporaryDirectory(prefix="statectl-benchmark-") as place:
        for count in map(int, order.hosts.split(",")):
            lab.start(count - len(lab.hosts), order.suite)
            ready = [TOOLS[name](Path(place) / str(count), lab.hosts) for name in tools]
            for tool in ready:
                rounds = order.repeat if tool.name == "statectl" else order.peer_repeat
                measured: dict[str, Measured] = {}
                for _ in range(rounds):
                    for scenario, seconds in one_round(lab, tool).items():
                        fresh = Measured(count, scenario, tool.name, tool.version, busy)
                        measured.setdefault(scenario, fresh).seconds.append(seconds)
                        say(f"{tool.name:14} {count:3} hosts  {scenario:10} {seconds:7.2f} s")
                rows |= {(count, scenario, tool.name): row for scenario, row in measured.items()}
                if not order.print:
                    save(rows.values())
    footer = f"{os.cpu_count()} cores, Python {platform.python_version()}, hosts {order.suite} on the same machine."
    text = table(rows, ("statectl", "pyinfra", "ansible-core"), footer)
    sys.stdout.write(text)
    if not order.print:
        page = PAGE.read_text()
        head, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}{END}{rest.partition(END)[2]}")
    return 0


def one_round(lab: Lab, tool: Tool) -> dict[str, float]:
    """Hosts as new, then: everything to do, nothing to do, three files and a service to put right."""
    lab.each(lambda host: host.reset(), lab.hosts)
    lab.each(lambda host: host.wait_running() and None, lab.hosts)
    tool.forget()
    seconds = {"cold": timed(tool)[0]}
    check(lab.hosts, tool, "cold")
    seconds["unchanged"], said = timed(tool)
    if not tool.nothing_changed.search(said):
        raise RuntimeError(f"{tool.name}: the second run changed something, or says so in other words\n{said[-3000:]}")
    lab.each(lambda host: host.sh(DRIFT) and None, lab.hosts)
    seconds["drifted"] = timed(tool)[0]
    check(lab.hosts, tool, "drifted")
    tool.forget()
    return seconds


def timed(tool: Tool) -> tuple[float, str]:
    began = time.monotonic()
    said = tool.run()
    return time.monotonic() - began, said


def check(hosts: Sequence[LabHost], tool: Tool, scenario: str) -> None:
    """The hosts hold the whole workload, or the time means nothing."""
    for host in hosts:
        ran = host.exec(["/bin/sh", "-xc", PRESENT], check=False)
        if ran.code:
            raise RuntimeError(f"{tool.name}, {scenario}: {host.name} is not as declared\n{ran.err[-1500:]}")


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
