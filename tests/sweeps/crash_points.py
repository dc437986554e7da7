"""Crash points: the executor is killed, or refused the disk, at every system call of one apply that writes; one rerun heals.

    python -m tests.sweeps.crash_points                       kill -9 at every call
    python -m tests.sweeps.crash_points --fault EIO --stride 5

Every host of a lab is at another call, so that one run tries as many points as there are hosts. The executor runs under strace on
the host; what it does to itself (its journal, its ledger, its answers) counts as much as what it does to the files.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.lab import Lab, LabHost, missing_requirements
from tests.lab.project import LabProject, Said

CALLS = (
    "write,pwrite64,writev,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,"
    "fsync,fdatasync,ftruncate,fchmod,fchmodat,fchown,fchownat,lchown,setxattr,fsetxattr,lsetxattr,utimensat"
)
FAULTS = {"KILL": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
STATES = """\
associations:
  crash:
    targets: all
    directories:
      /etc/crash: {mode: "0750"}
      /etc/crash/gone: {state: absent}
    files:
      /etc/crash/adopted.conf: {content: "new\\n", owner: daemon, mode: "0640"}
      /etc/crash/made.conf: {content: "{{ 'x' * 5000 }}"}
      /etc/crash/old.conf: {state: absent}
    links: {/etc/crash/link: made.conf}
    lines:
      "/etc/crash/lines.conf: limit": {path: /etc/crash/lines.conf, line: "limit 10", match: "^limit"}
    text_blocks:
      "/etc/crash/lines.conf: ours": {path: /etc/crash/lines.conf, content: "one\\ntwo\\n"}
    trees: {/etc/crash/tree: {source: tree}}
    cron_jobs: {crash: {hour: 4, minute: 0, user: root, command: /bin/true}}
    commands:
      after: {run: [touch, /etc/crash/ran], when_changed: "file:/etc/crash/made.conf"}
"""
PREPARE = """set -e
rm -rf /etc/crash /etc/cron.d/*crash* /var/lib/statectl /run/crash-point
mkdir -m 0750 -p /etc/crash/gone
echo old > /etc/crash/adopted.conf; chown daemon /etc/crash/adopted.conf
echo old > /etc/crash/old.conf
printf 'first\\nlimit 5\\nlast\\n' > /etc/crash/lines.conf
"""
CHECK = """
cd /etc/crash || exit 0
for file in adopted.conf made.conf lines.conf tree/a tree/b/c; do
  [ -e "$file" ] && printf '%s %s\\n' "$file" "$(sha256sum < "$file" | cut -c1-12)"
done
true
"""
STRAY = "find /etc /var/lib/statectl /var/cache/statectl -xdev -name '.statectl-*.tmp'; test ! -e /etc/crash/old.conf || echo old.conf"
WRAPPER = """#!/bin/sh
point=$(cat /run/crash-point 2>/dev/null) || exec /usr/bin/python3 "$@"
exec /usr/local/lib/strace/ld.so --library-path /usr/local/lib/strace /usr/local/lib/strace/strace -qq -o /run/crash-point.log $point \\
    /usr/bin/python3 "$@"
"""


def install(host: LabHost) -> None:
    """strace with its libraries, and a python3 that runs under it when /run/crash-point says so."""
    strace = shutil.which("strace")
    if strace is None:
        raise RuntimeError("needs strace: apt-get install strace")
    place = host.root / "usr/local/lib/strace"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(strace, place / "strace")
    for line in subprocess.run(["ldd", strace], capture_output=True, text=True, check=True).stdout.splitlines():
        path = next((word for word in line.split() if word.startswith("/")), "")
        if path:
            shutil.copy(path, place / ("ld.so" if "ld-linux" in path else Path(path).name))
    host.write("/usr/local/bin/traced-python", WRAPPER, 0o755)


class Sweep:
    """Hosts, each of which meets its fault at a call of its own."""

    def __init__(self, lab: Lab, place: Path, count: int) -> None:
        self.hosts = lab.start(count)
        for host in self.hosts:
            install(host)
        self.project = LabProject(place, self.hosts)
        inventory = self.project.root / "inventories/lab/hosts.yml"
        inventory.write_text(
            inventory.read_text().replace(
                "    user: root\n", "    user: root\n    python: /usr/local/bin/traced-python\n"
            )
        )
        self.project.write("states/crash.yml", STATES)
        self.project.write("states/tree/a", "a\n")
        self.project.write("states/tree/b/c", "c\n")
        self.project.commit("crash points")

    def apply(self, *more: str) -> Said:
        return self.project.statectl("apply", "--yes", "--json", "--lock-timeout", "30", *more)

    def learn(self) -> tuple[int, dict[str, set[str]]]:
        """How many calls an apply makes, and what each file may hold: before and after."""
        host = self.hosts[0]
        for one in self.hosts:
            one.sh(PREPARE)
        allowed: dict[str, set[str]] = {}
        self._note(allowed, host)
        host.write("/run/crash-point", f"-e trace={CALLS}")
        said = self.apply()
        if said.code:
            raise AssertionError(f"the apply does not converge without a fault\n{said}")
        self._note(allowed, host)
        # a file edited twice has a content in between that is whole as well
        allowed["lines.conf"] |= {self._hash("first\nlimit 10\nlast\n"), *self._blocks()}
        return len(host.read("/run/crash-point.log").splitlines()), allowed

    def _note(self, allowed: dict[str, set[str]], host: LabHost) -> None:
        for line in host.sh(CHECK).splitlines():
            name, digest = line.split()
            allowed.setdefault(name, set()).add(digest)

    def _hash(self, text: str) -> str:
        import hashlib

        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _blocks(self) -> set[str]:
        """The block alone, should it come before the line."""
        final = self.hosts[0].read("/etc/crash/lines.conf")
        return {self._hash(final.replace("limit 10", "limit 5"))}

    def round(self, fault: str, points: Sequence[int], allowed: dict[str, set[str]]) -> list[str]:
        """One point on each host -> what is wrong, a line each."""
        wrong = []
        used = list(zip(self.hosts, points, strict=False))
        for host in self.hosts:
            host.sh(PREPARE)
        for host, point in used:
            host.write("/run/crash-point", f"-e trace={CALLS} -e inject={CALLS}:{FAULTS[fault]}:when={point}")
        cut = self.apply()
        if "Traceback" in cut.err:
            wrong.append(f"{fault} at {points}: a traceback\n{cut}")
        for host, point in used:
            host.sh("rm -f /run/crash-point")
            for line in host.sh(CHECK).splitlines():
                name, digest = line.split()
                if digest not in allowed[name]:
                    wrong.append(f"{fault} at call {point}: {name} is neither old nor new")
        healed = self.apply()
        if healed.code:
            wrong.append(f"{fault} at {points}: the next run exits {healed.code}\n{healed}")
        again = self.apply()
        for host, point in used:
            told = again.json["hosts"][host.name]["results"]
            touched = [entry["address"] for entry in told if entry["outcome"] != "ok"]
            if touched:
                wrong.append(f"{fault} at call {point}: the run after the next changes {touched}")
            stray = host.sh(STRAY)
            if stray:
                wrong.append(f"{fault} at call {point}: left behind {stray}")
            if not host.exists("/etc/crash/ran"):
                wrong.append(f"{fault} at call {point}: what a change asked for was never run")
        return wrong


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.crash_points", description=__doc__.splitlines()[0])
    parser.add_argument("--fault", choices=FAULTS, action="append", help="default: KILL; repeatable")
    parser.add_argument("--stride", type=int, default=1, help="every so many calls (default 1: all)")
    parser.add_argument("--hosts", type=int, default=12, help="points tried at once (default 12)")
    order = parser.parse_args(argv)
    reason = missing_requirements()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    failed = tried = 0
    with Lab() as lab, tempfile.TemporaryDirectory() as place:
        sweep = Sweep(lab, Path(place), order.hosts)
        calls, allowed = sweep.learn()
        for fault in order.fault or ["KILL"]:
            points = list(range(1, calls + 1, order.stride))
            for first in range(0, len(points), order.hosts):
                batch = points[first : first + order.hosts]
                wrong = sweep.round(fault, batch, allowed)
                tried += len(batch)
                failed += len(wrong)
                for line in wrong:
                    print(line, flush=True)
            print(f"{fault}: {len(points)} of {calls} calls", flush=True)
    print(f"crash points: {tried} tried, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
