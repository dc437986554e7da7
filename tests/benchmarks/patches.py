"""What judging patches costs on the controller: a fleet by several baselines, and explaining one package; each beside its goal.

python -m tests.benchmarks.patches                       the table goes into docs/benchmarks.md
python -m tests.benchmarks.patches --rounds 1 --print
"""

import argparse
import datetime as dt
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Sequence

from statectl.baselines.evaluate import Evaluator
from statectl.baselines.model import Baseline, Filter, Named, Pin, Rule
from statectl.baselines.scan import Advisory, Archive, Package, Scan, read_scan
from statectl.baselines.seen import Seen
from tests.benchmarks.tables import verdict, write_on_page

HOSTS, BASELINES, INSTALLED, AVAILABLE = 1000, 5, 400, 30
VARIANTS = 6  # versions of a package that are installed somewhere
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
T = int(NOW.timestamp())
WHAT_FLEET = f"{HOSTS:,} hosts of {INSTALLED} packages and {AVAILABLE} updates, by {BASELINES} baselines"
WHAT_ONE = "explaining one package of one host, nothing remembered"
GOALS = {WHAT_FLEET: 5.0, WHAT_ONE: 0.05}
SYSTEM = {"id": "debian", "version": "12", "id_like": []}


class Memory:
    """A ledger in memory: every version was seen a while ago, some have a predecessor that is gone."""

    def __init__(self, messages: Sequence[dict[str, object]]) -> None:
        chance = random.Random(7)
        self._moments: dict[tuple[str, str], dt.datetime] = {}
        self._seen: dict[tuple[str, str], list[Seen]] = {}
        for message in messages:
            rows = [*message["installed"], *message["available"]]  # type: ignore[misc]
            for row in rows:
                name, arch, version = row[:3]
                if (name, version) in self._moments:
                    continue
                moment = self._moments[name, version] = NOW - dt.timedelta(hours=chance.randrange(1, 500))
                package = Package(name, arch, version)
                self._seen.setdefault((name, arch), []).append(Seen("Debian:bookworm-security", package, moment, True))

    def first_seen(self, archive: str, package: Package) -> dt.datetime | None:
        del archive
        return self._moments.get((package.name, package.version))

    def versions(self, name: str, arch: str) -> Sequence[Seen]:
        return self._seen.get((name, arch), ())

    def advisory(self, archive: str, package: Package, above: str = "") -> Sequence[Advisory]:
        del archive, package, above
        return ()


def messages(count: int) -> list[dict[str, object]]:
    """Scans as hosts tell them. Hosts have their own mix of versions."""
    chance = random.Random(4711)
    archives = [
        Archive("Debian:bookworm", "stable", "bookworm", "Debian", "Debian", "main"),
        Archive(
            "Debian:bookworm-security", "stable-security", "bookworm-security", "Debian", "Debian-Security", "main"
        ),
    ]
    told = [
        {"key": one.key, "suite": one.suite, "codename": one.codename, "origin": one.origin, "label": one.label,
         "component": one.component, "security": "security" in one.key, "date": T - 9000}
        for one in archives
    ]  # fmt: skip
    found = []
    for host in range(count):
        installed, available = [], []
        for number in range(INSTALLED):
            name, variant = f"lib-package-{number:03}", chance.randrange(VARIANTS)
            section, priority = ("libs", "net", "utils")[number % 3], ("optional", "required")[number % 9 == 0]
            row = [
                name,
                "amd64",
                f"1.{number}.{variant}-1+deb12u{variant}",
                section,
                priority,
                name,
                [variant % 2],
                [],
                0,
            ]
            installed.append(row)
            if number % (INSTALLED // AVAILABLE) == 0 and len(available) < AVAILABLE:
                newer = f"1.{number}.{VARIANTS}-1+deb12u{VARIANTS}"
                available.append([name, "amd64", newer, section, priority, name, [1], [], 0, "", 0])
        fetched = [{**one, "fetched": T - 60 - host} for one in told]
        found.append(
            {"manager": "apt", "taken": T, "archives": fetched, "installed": installed, "available": available}
        )
    return found


def baselines() -> list[Baseline]:
    security = Filter(section=("security",))
    rules = (
        Rule(Filter(section=("security",), priority=("required", "important")), after_days=3, compliance="critical"),
        Rule(security, after_days=7, compliance="high"),
        Rule(Filter(package=("lib-package-1*",), suite=("bookworm*",)), after_days=14, include_non_security=True),
    )
    more = {
        "rejected": (Named("lib-package-00*"), Named("CVE-2026-1234")),
        "approved": (Named("lib-package-120"), Named("DSA-6000")),
        "pins": (Pin("lib-package-1??", "*", NOW.date(), "why"),),
        "filters": Filter(product=("Debian12",)),
    }
    names = ["", *more]
    return [Baseline(name or "plain", "debian", rules=rules, **({name: more[name]} if name else {})) for name in names]  # type: ignore[arg-type]


def measured(scans: Sequence[Scan], ledger: Memory) -> dict[str, float]:
    began = time.process_time()
    missing = 0
    for baseline in baselines():
        evaluator = Evaluator(baseline, ledger, NOW)
        for scan in scans:
            missing += len(evaluator.evaluate(scan, scanned_at=NOW).install)
    fleet = time.process_time() - began
    if not missing:
        raise RuntimeError("no host misses anything: that is not the work that was meant")
    began = time.process_time()
    evaluator = Evaluator(baselines()[0], ledger, NOW)
    told = evaluator.decisions(scans[0], "lib-package-013")
    evaluator.evaluate(scans[0], scanned_at=NOW)
    if len(told) < 2:
        raise RuntimeError(f"nothing to explain: {told}")
    return {WHAT_FLEET: fleet, WHAT_ONE: time.process_time() - began}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.patches", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many (default 3)")
    parser.add_argument("--print", action="store_true", dest="printed", help="print it alone; leave the page as it is")
    order = parser.parse_args(argv)
    load = os.getloadavg()[0]
    told = messages(HOSTS)
    ledger = Memory(told)
    scans = [read_scan(message, SYSTEM) for message in told]
    rounds = [measured(scans, ledger) for _ in range(order.rounds)]
    lines = ["| | time | goal, below | |", "| --- | ---: | ---: | --- |"]
    for what, goal in GOALS.items():
        value = statistics.median(one[what] for one in rounds)
        lines.append(f"| {what} | {shown(value)} | {shown(goal)} | {verdict(value < goal)} |")
    text = "\n".join(lines) + (
        f"\n\nMedian of {order.rounds}, processor time of one process; Python {platform.python_version()}; {os.cpu_count()} processors;"
        f" load of other work before it {load:.1f}; {time.strftime('%Y-%m-%d', time.gmtime())}.\n"
    )
    sys.stdout.write(text)
    if not order.printed:
        write_on_page("patches", text)
    return 0


def shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
