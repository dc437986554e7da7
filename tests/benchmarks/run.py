"""The benchmark, one command: the same web host of about 100 resources by statectl and its peers.

    python -m tests.benchmarks.run                      all of it, and the tables go into docs/benchmarks.md
    python -m tests.benchmarks.run --tools statectl     measure statectl again; peers as they were measured last
    python -m tests.benchmarks.run --tools statectl,salt --rows unchanged --hosts 40 --rounds 5
    python -m tests.benchmarks.run --hosts 1 --rounds 1 --tools statectl,pyinfra --print
    python -m tests.benchmarks.run --tools none         measure nothing; write the page again

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

from tests.benchmarks.contestants import TOOLS
from tests.benchmarks.measured import SCENARIOS, Measured, load, save
from tests.benchmarks.tables import merged, notes, ratio_table, times_table, write_on_page
from tests.benchmarks.tools import Tool
from tests.lab import Lab, LabHost

MOST_HOSTS = {"ansible": 10}  # with more, one run takes a quarter of an hour; measured when it is named
QUICK = ("statectl", "floor")  # measured more often than those that take minutes
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
    order = orders(argv)
    rows = {} if order.print else load()
    failed = []
    busy = os.getloadavg()[0]
    if order.tools:
        with Lab(disk=True) as lab, tempfile.TemporaryDirectory(prefix="statectl-benchmark-") as place:
            for count in order.hosts:
                lab.start(count - len(lab.hosts), order.suite)
                for name in order.tools:
                    if not order.named and count > MOST_HOSTS.get(name, count):
                        say(f"{name:14} {count:3} hosts  not measured unless named by --tools")
                        continue
                    rounds = order.rounds if name in QUICK else order.peer_rounds
                    try:
                        tool = TOOLS[name](Path(place) / str(count), lab.hosts)
                        fresh = measure(lab, tool, order.rows, rounds, busy)
                    except RuntimeError as error:
                        failed.append(f"{name} with {count} hosts")
                        say(f"{name:14} {count:3} hosts  FAILED: {error}")
                        continue
                    rows = merged(rows, fresh)
                    if not order.print:
                        save(rows.values())
    footer = f"{os.cpu_count()} cores, Python {platform.python_version()}, hosts {order.suite} on the same machine."
    text = f"{times_table(rows)}\n{notes(rows, footer)}\n{ratio_table(rows)}"
    sys.stdout.write(text)
    if not order.print:
        write_on_page("apply", text)
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def orders(argv: Sequence[str] | None) -> argparse.Namespace:
    """`hosts`, `rows` and `tools` as lists; `named`: tools were chosen."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", default="1,10,40", help="numbers of hosts (default 1,10,40)")
    parser.add_argument("--rows", default=",".join(SCENARIOS), help=f"of {', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="statectl and the floor: medians of so many (default 3)")
    parser.add_argument("--peer-rounds", type=int, default=1, help="the same for all others (default 1)")
    parser.add_argument("--tools", default="", help=f"of {', '.join(TOOLS)}, or none (default: all)")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--print", action="store_true", help="print these alone; keep nothing")
    order = parser.parse_args(argv)
    order.named = bool(order.tools)
    order.hosts = sorted(map(int, order.hosts.split(",")))
    order.rows = order.rows.split(",")
    order.tools = [] if order.tools == "none" else order.tools.split(",") if order.named else list(TOOLS)
    for given, known in ((order.tools, TOOLS), (order.rows, SCENARIOS)):
        if unknown := [word for word in given if word not in known]:
            parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return order


def measure(lab: Lab, tool: Tool, wanted: Sequence[str], rounds: int, busy: float) -> list[Measured]:
    """So many rounds of those of the wanted runs that this tool can do."""
    scenarios = [one for one in SCENARIOS if one in wanted and one in tool.scenarios]
    rows = {one: Measured(len(lab.hosts), one, tool.name, tool.version, busy) for one in scenarios}
    tool.forget()
    if tool.nothing_changed is not None and scenarios and scenarios[0] != "cold":
        as_new(lab)
        tool.run()
    for _ in range(rounds):
        for scenario in scenarios:
            seconds = one_run(lab, tool, scenario)
            rows[scenario].seconds.append(seconds)
            say(f"{tool.name:14} {len(lab.hosts):3} hosts  {scenario:10} {seconds:7.2f} s")
    tool.forget()
    return list(rows.values())


def one_run(lab: Lab, tool: Tool, scenario: str) -> float:
    """Seconds of one run; what the hosts hold after it is looked at, unless the tool is a floor, which brings them nothing."""
    if scenario == "cold":
        as_new(lab)
        tool.forget()
    elif scenario == "drifted":
        lab.each(make_drift, lab.hosts)
    seconds, said = timed(tool)
    if scenario == "unchanged" and not tool.changed_nothing(said):
        raise RuntimeError(f"{tool.name}: the second run changed something, or says so in other words\n{said[-3000:]}")
    if scenario == "cold" or tool.nothing_changed is not None:
        check(lab.hosts, tool, scenario)
    return seconds


def as_new(lab: Lab) -> None:
    lab.each(boot_anew, lab.hosts)


def boot_anew(host: LabHost) -> None:
    host.reset()
    host.wait_running()


def make_drift(host: LabHost) -> None:
    host.sh(DRIFT)


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
