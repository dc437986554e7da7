"""A project whose inventory is hostile hosts beside honest ones, and the real command run over it with its memory measured."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.cli.local_project import LocalProject, environment
from tests.hostile.servers import Listening, Servers


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str
    peak: int  # bytes of memory, at most
    seconds: float

    def __str__(self) -> str:
        return f"exit {self.code}, {self.peak >> 20} MiB, {self.seconds:.1f} s\n{self.out[-5000:]}\n--- stderr\n{self.err[-3000:]}"


def write_fleet(project: LocalProject, servers: Servers, hostile: Mapping[str, Listening], *honest: str) -> None:
    """The inventory: `hostile` by name, and this machine under each of the honest names. One file is declared for every host."""
    lines = ""
    for name, host in hostile.items():
        lines += (
            f"  {name}: {{address: 127.0.0.1, port: {host.port}, user: root, host_key: {servers.host_key},"
            f" vars: {{machine: /nonexistent}}}}\n"
        )
    for name in honest:
        (project.machine / name).mkdir(parents=True, exist_ok=True)
        lines += f"  {name}: {{connection: local, vars: {{machine: {project.machine}/{name}}}}}\n"
    project.write("inventories/local/hosts.yml", f"hosts:\n{lines}")
    limits = (
        f"limits: {{paths: [{project.machine}, /nonexistent]}}"  # so the machine's own memory lies inside the project
    )
    project.write("statectl.yml", f"project: hostile\ninventory: inventories/local\n{limits}\n")
    project.states('associations: {a: {targets: all, files: {"{{ machine }}/x": {content: "ours\\n"}}}}\n')


def _peak(pid: int) -> int:
    """Bytes that a process has had at most; wait4 would count what it was before exec as well."""
    try:
        with open(f"/proc/{pid}/status") as file:
            found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def run(
    project: LocalProject, *argv: str, timeout: float = 25, env: Mapping[str, str] | None = None, **options: Any
) -> Ran:
    """The real command, its output and its peak memory."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "statectl", *argv],
            cwd=project.root,
            env=environment(project.home, env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            **options,
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _peak(process.pid))
            if time.monotonic() - began > timeout:
                process.kill()
            time.sleep(0.01)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="backslashreplace"))
    ran = Ran(process.returncode, texts[0], texts[1], peak, time.monotonic() - began)
    assert "Traceback" not in ran.err, ran
    assert process.returncode >= 0, ran
    return ran
