"""What one run of a command spends: processor time and memory here, processor time and bytes on each host."""

import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab import LabHost
from tests.lab.machine import HIERARCHIES
from tests.lab.project import LabProject

SAMPLE_S = 0.02
IDLE_S = 2.0


@dataclass(frozen=True)
class Spent:
    """`cpu_s`, `peak_bytes`: of the command and its children. `host_cpu_s`, `host_bytes`: of one host, the mean of all.

    `seconds`: from start to end. `to_hosts`, `from_hosts`: bytes, of all hosts. `executor_bytes`: the peak of the greatest executor.
    """

    said: str
    cpu_s: float
    peak_bytes: int
    host_cpu_s: float
    host_bytes: float
    seconds: float = 0.0
    to_hosts: int = 0
    from_hosts: int = 0
    executor_bytes: int = 0


def run_and_account(
    argv: Sequence[str], project: LabProject, hosts: Sequence[LabHost], *, code: int = 0, executors: bool = False
) -> Spent:
    """Run to the end; an exit code other than this one raises. `executors`: watch their memory as well, which takes processor time."""
    idle = _cpu_s(hosts)
    time.sleep(IDLE_S if hosts else 0)
    idle_rate = (_cpu_s(hosts) - idle) / IDLE_S
    cpu, went, came, began = _cpu_s(hosts), *_bytes(hosts), time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        argv,
        cwd=project.root,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    memory = _Memory(lambda: sum(map(_high_water, _family(process.pid))))
    there = _Memory(lambda: max(map(_high_water, _executors(hosts)), default=0)) if executors else None
    try:
        said = process.communicate()[0].decode(errors="backslashreplace")
    finally:
        process.kill()
        process.wait()
        for one in (memory, there):
            if one is not None:
                one.end()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.monotonic() - began
    if process.returncode != code:
        raise RuntimeError(f"{' '.join(argv)} exited {process.returncode}, not {code}\n{said[-3000:]}")
    count = max(1, len(hosts))
    to_hosts, from_hosts = _bytes(hosts)
    return Spent(
        said=said,
        cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        peak_bytes=memory.peak,
        host_cpu_s=max(0.0, _cpu_s(hosts) - cpu - idle_rate * seconds) / count,
        host_bytes=(to_hosts - went + from_hosts - came) / count,
        seconds=seconds,
        to_hosts=to_hosts - went,
        from_hosts=from_hosts - came,
        executor_bytes=there.peak if there is not None else 0,
    )


class _Memory:
    """The greatest that was ever seen: of the sum of the peaks of a process and its children, say, that were alive together."""

    def __init__(self, look: Callable[[], int]) -> None:
        self.peak = 0
        self._look = look
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.peak = max(self.peak, self._look())

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def _family(pid: int) -> list[int]:
    """A process and all below it, but for those that have not become another program yet: their memory is their parent's."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue  # a thread that has ended
        for child in map(int, children):
            if _command(child) != _command(pid):
                found += _family(child)
    return found


def _executors(hosts: Sequence[LabHost]) -> Iterator[int]:
    """Processes of these hosts that are executors, or start one."""
    return (pid for host in hosts for pid in host.processes() if b"\0-c\0import sys,zlib" in _command(pid))


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _high_water(pid: int) -> int:
    """Bytes; 0 for a process that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def _cpu_s(hosts: Sequence[LabHost]) -> float:
    return sum(_group_cpu_s(host) for host in hosts)


def _group_cpu_s(host: LabHost) -> float:
    """Processor seconds of all that ever ran in this host's control group."""
    for hierarchy in HIERARCHIES:
        stat = hierarchy / f"statectl-lab-{host.slot}" / host.namespace / "cpu.stat"
        if stat.exists():
            lines = dict(line.split() for line in stat.read_text().splitlines())
            return int(lines["usage_usec"]) / 1e6
    raise RuntimeError(f"{host.name}: no control group with cpu.stat (cgroup v2) below {HIERARCHIES}")


def _bytes(hosts: Sequence[LabHost]) -> tuple[int, int]:
    """Bytes that went to the hosts, and that came from them, through their interfaces."""
    went = came = 0
    for host in hosts:
        counters = Path(f"/sys/class/net/slab{host.slot}v{host.index}/statistics")
        went += int((counters / "tx_bytes").read_text())
        came += int((counters / "rx_bytes").read_text())
    return went, came
