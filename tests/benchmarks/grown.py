"""What was measured of growth, kept between runs: a part, or one size of it, can be measured again alone."""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.benchmarks.spent import Spent
from tests.lab.places import PROJECT

FILE = PROJECT / ".cache" / "benchmarks" / "growth.json"
MIB = 1 << 20


@dataclass
class Grown:
    """One run at one size: `count` hosts, resources, MiB or files; 0: next to nothing, what the same command costs anyhow.

    Bytes on the wire are those of all hosts together, headers and all. `live_s`: until the last host that is alive had been served.
    """

    run: str
    count: int
    seconds: float
    cpu_s: float
    peak_bytes: int
    host_cpu_s: float
    to_hosts: int
    from_hosts: int
    executor_bytes: int = 0
    live_s: float = 0.0
    part: str = ""
    load: float = 0.0
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))

    @classmethod
    def of(cls, run: str, count: int, spent: Spent) -> "Grown":
        return cls(
            run,
            count,
            spent.seconds,
            spent.cpu_s,
            spent.peak_bytes,
            spent.host_cpu_s,
            spent.to_hosts,
            spent.from_hosts,
            spent.executor_bytes,
        )

    def line(self) -> str:
        each = self.cpu_s * 1000 / max(1, self.count)
        return (
            f"{self.part:10} {self.run:18} {self.count:7,}  {self.seconds:7.1f} s, {self.cpu_s:7.2f} s here ({each:.1f} ms each), "
            f"{self.peak_bytes / MIB:4.0f} MiB here, {self.executor_bytes / MIB:4.0f} there, {self.host_cpu_s:7.2f} s there, "
            f"{self.to_hosts / 1024:,.0f} KiB to, {self.from_hosts / 1024:,.0f} from"
            + (f", live {self.live_s:.1f} s" if self.live_s else "")
        )


Growth = dict[tuple[str, str, int], Grown]


def load(file: Path = FILE) -> Growth:
    return merged({}, (Grown(**row) for row in json.loads(file.read_text())) if file.exists() else ())


def save(rows: Iterable[Grown], file: Path = FILE) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    new.replace(file)


def merged(kept: Growth, fresh: Iterable[Grown]) -> Growth:
    """What is measured now takes the place of what was measured before; nothing else is lost."""
    return {**kept, **{(row.part, row.run, row.count): row for row in fresh}}
