"""What the memory of patches costs: scans of a fleet, an index, a feed and judging all of it. Nothing is contacted.

python -m tests.benchmarks.patch_memory                      the table goes into docs/benchmarks.md
python -m tests.benchmarks.patch_memory --print
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from statectl.baselines.evaluate import Evaluator
from statectl.baselines.model import Baseline, Filter, Rule
from statectl.baselines.patching import Feed, Index
from statectl.baselines.scan import read_scan
from statectl.patches.exposure import Exposures
from statectl.patches.feeds import FeedReader
from statectl.patches.ledger import StoredLedger
from statectl.patches.polling import Poller
from statectl.store.store import Store
from tests.benchmarks.tables import write_on_page
from tests.benchmarks.tools import plain_environment
from tests.lab.places import PROJECT

HOSTS, INSTALLED, AVAILABLE, ADVISED = 1000, 700, 40, 60_000
TRACKED, RELEASES = 3_600, ("bullseye", "bookworm", "trixie", "forky", "sid")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SYSTEM = {"id": "debian", "version_id": "12", "codename": "bookworm", "version": "12"}
KEY = "Debian:bookworm-security"
Figures = dict[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.patch_memory", description=__doc__)
    parser.add_argument("--print", action="store_true", dest="printed", help="only print the table")
    parser.add_argument("--feed", metavar="FILE", help=argparse.SUPPRESS)  # in a process of its own, for its memory
    order = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="statectl-patches-") as place:
        if order.feed:
            return read_feed(Path(order.feed), Path(place))
        text = table(measured(Path(place)))
    print(text, end="")
    if not order.printed:
        write_on_page("patch_memory", text)
    return 0


def measured(root: Path) -> Figures:
    figures: Figures = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        found = work()
        figures[name] = f"{time.process_time() - began:.2f} s"
        return found

    store = Store.open("sqlite:state.db", root)
    patches = store.patches
    messages = {f"web{number:04}": message(number) for number in range(HOSTS)}
    scans = {host: read_scan(told, SYSTEM) for host, told in messages.items()}
    for name, at in (("the first time", NOW), ("the same again", NOW + timedelta(days=1))):
        ledger = StoredLedger(patches)
        text = f"{HOSTS:,} scans of {INSTALLED} packages, noted and kept, {name}"
        timed(
            text,
            lambda ledger=ledger, at=at: [
                keep(patches, ledger, scans[host], host, messages[host], at) for host in messages
            ],
        )
    figures["the store after it"] = f"{sum(path.stat().st_size for path in root.glob('state.db*')) / 1024**2:.0f} MiB"
    kept = timed(f"{HOSTS:,} scans read from the store", patches.scans)
    assert len(kept) == HOSTS
    ledger = StoredLedger(patches)
    evaluators = [Evaluator(one, ledger, NOW + timedelta(days=9)) for one in baselines()]
    timed(
        f"{HOSTS:,} hosts by {len(evaluators)} baselines",
        lambda: [one.evaluate(scan) for scan in scans.values() for one in evaluators],
    )
    archive(root / "archive", NOW + timedelta(days=2))
    index = Index("main", f"file://{root}/archive", ("bookworm",), ("main",), ("amd64",), trusted="a benchmark")
    for name in ("first", "again, unchanged"):
        poller = Poller(patches, root, lambda: NOW + timedelta(days=2))
        (polled,) = timed(f"an index of {ADVISED:,} packages: {name}", lambda poller=poller: list(poller.poll([index])))
        assert not polled.trouble, polled.trouble
    tracker(root / "tracker.json")
    size = (root / "tracker.json").stat().st_size / 1024**2
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.patch_memory", "--feed", str(root / "tracker.json")],
        cwd=PROJECT, env={**plain_environment(root), "PYTHONPATH": str(PROJECT)}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    seconds, memory = done.stdout.split()
    figures[f"a feed as the tracker of Debian, {size:.0f} MiB"] = f"{float(seconds):.2f} s, {memory} MiB of memory"
    list(FeedReader(patches, root, lambda: NOW).update([Feed("tracker", "debian", "tracker.json")]))
    systems = dict.fromkeys(messages, SYSTEM)
    for cve in ("CVE-2026-100007", ""):
        known = timed(
            f"who is exposed to {'one vulnerability' if cve else 'all of them'}, {HOSTS:,} hosts",
            lambda cve=cve: asked(patches, systems, cve),
        )
        assert any(one.state == "exposed" for some in known for one in some)
    store.close()
    return figures


def keep(patches: Any, ledger: StoredLedger, scan: Any, host: str, told: dict[str, Any], at: datetime) -> None:
    ledger.note(scan, at)
    patches.keep_scan(host, told, at.strftime("%Y-%m-%dT%H:%M:%SZ"))


def asked(patches: Any, systems: dict[str, Any], cve: str) -> list[Any]:
    known = Exposures(patches, patches.scans(), systems, cve)
    return [known.of(host) for host in systems]


def message(number: int) -> dict[str, Any]:
    """Hosts of one image that went their own ways: each has some packages that few others have, in versions of its own."""
    own = {(number * 7 + place) % 3000 for place in range(60)}
    names = [*range(INSTALLED - len(own)), *(3000 + one for one in sorted(own))]
    installed = [
        [f"pkg-{one:05}", "amd64", f"1.{(number + one) % 3}-1", "libs", "optional", f"src-{one % 3600:05}", [0], [], 0]
        for one in names
    ]
    available = [
        [row[0], "amd64", "1.9-1", "libs", "optional", row[5], [0], [], 0, f"{place:064x}", 1000]
        for place, row in enumerate(installed[:AVAILABLE])
    ]
    made = int((NOW - timedelta(days=1)).timestamp())
    return {
        "manager": "apt",
        "taken": int(NOW.timestamp()) + number,
        "archives": [{"key": KEY, "suite": "stable-security", "codename": "bookworm-security", "origin": "Debian", "security": True, "date": made, "fetched": int(NOW.timestamp())}],
        "installed": installed,
        "available": available,
        "advisories": {},
    }  # fmt: skip


def baselines() -> list[Baseline]:
    return [
        Baseline(f"b{days}", "debian", rules=(Rule(Filter(suite=("*-security",)), after_days=days), Rule(Filter(section=("libs",)), after_days=days + 1)), max_index_age_s=10**9)
        for days in range(5)
    ]  # fmt: skip


def archive(root: Path, made: datetime) -> None:
    import gzip
    import hashlib
    from email.utils import format_datetime

    rows = [
        f"Package: pkg-{number:05}\nArchitecture: amd64\nVersion: 2.{number % 7}-1\nPriority: optional\nSection: libs\nMaintainer: A <a@example.org>\n"
        f"Depends: libc6 (>= 2.36), pkg-{number // 2:05}\nFilename: pool/p/pkg-{number:05}.deb\nSize: {1000 + number}\nSHA256: {number:064x}\n"
        f"Description: package {number} of a benchmark\n"
        for number in range(ADVISED)
    ]
    packed = gzip.compress("\n".join(rows).encode(), 1)
    place = root / "dists/bookworm/main/binary-amd64"
    place.mkdir(parents=True)
    (place / "Packages.gz").write_bytes(packed)
    digest = hashlib.sha256(packed).hexdigest()
    (root / "dists/bookworm/Release").write_text(
        f"Origin: Debian\nSuite: stable\nCodename: bookworm\nDate: {format_datetime(made, usegmt=True)}\nSHA256:\n {digest} {len(packed)} main/binary-amd64/Packages.gz\n"
    )


def tracker(path: Path) -> None:
    """As large as the real one: some thousands of source packages, one of them with very many vulnerabilities."""
    described = (
        "A vulnerability of a benchmark, described with as many words as such descriptions have on the average. " * 2
    )
    with path.open("w") as out:
        out.write("{")
        for number in range(TRACKED):
            count = 6000 if number == 40 else 11
            entry = {
                f"CVE-2026-{100_000 + number * 11 + place if number != 40 else 500_000 + place}": {
                    "description": described,
                    "scope": "local",
                    "releases": {
                        release: {
                            "status": "resolved",
                            "repositories": {release: "1.0-1", f"{release}-security": "1.1-1"},
                            "fixed_version": "1.2-1" if place % 10 == 7 else "0.9-1",
                            "urgency": "not yet assigned",
                        }
                        for release in RELEASES
                    },
                }
                for place in range(count)
            }
            out.write(("," if number else "") + f'"src-{number:05}": ' + json.dumps(entry))
        out.write("}")


def read_feed(path: Path, root: Path) -> int:
    """Seconds, and MiB at most on top of what the process has before."""
    store = Store.open("sqlite:state.db", root)
    reader = FeedReader(store.patches, path.parent, lambda: NOW)
    before, began = most_memory(), time.process_time()
    (one,) = reader.update([Feed("tracker", "debian", path.name)])
    assert not one.trouble, one.trouble
    print(time.process_time() - began, (most_memory() - before) // 1024)
    store.close()
    return 0


def most_memory() -> int:
    """KiB at most, of this process since it began."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def table(figures: Figures) -> str:
    lines = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in figures.items())]
    said = (
        f"One round, processor time, SQLite; Python {platform.python_version()}; {os.cpu_count()} processors; load before it {os.getloadavg()[2]:.1f};"
        f" {time.strftime('%Y-%m-%d', time.gmtime())}."
    )
    return "\n".join([*lines, "", said]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
