"""A statectl project for lab hosts: its own directory, home and ssh configuration, and a way to run the command."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.inventory import ssh_config, statectl_yaml
from tests.lab.machine import LabHost
from tests.lab.places import PROJECT, run


@dataclass(frozen=True)
class Said:
    """What one run of the command gave. `seconds`: wall time of the whole process."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"not JSON: {error}\n{self}") from None

    def __str__(self) -> str:
        return f"$ statectl {' '.join(self.argv)}\nexit {self.code}\n{self.out[-6000:]}\n--- stderr\n{self.err[-6000:]}"


class LabProject:
    """`root` is the project, `home` the user's home: ~/.ssh holds the lab's key, known_hosts and a config for its hosts."""

    def __init__(self, place: Path, hosts: Sequence[LabHost], *, user: str = "root", settings: str = "") -> None:
        self.root = place / "project"
        self.home = place / "home"
        ssh = self.home / ".ssh"
        ssh.mkdir(parents=True, mode=0o700)
        (self.root / "states").mkdir(parents=True)
        (self.root / "inventories" / "lab").mkdir(parents=True)
        self.hosts = list(hosts)
        for suffix in ("", ".pub"):
            copy = ssh / f"id_ed25519{suffix}"
            copy.write_text(hosts[0].key.with_name(hosts[0].key.name + suffix).read_text())
            copy.chmod(0o600)
        (ssh / "known_hosts").write_text("".join(f"{h.name},{h.address},{h.address6} {h.host_key}\n" for h in hosts))
        text = ssh_config(hosts, user).replace(str(hosts[0].key), str(ssh / "id_ed25519"))
        (ssh / "config").write_text(text.replace(str(hosts[0].known_hosts), str(ssh / "known_hosts")))
        (ssh / "config").chmod(0o600)
        self.write("statectl.yml", f"project: lab\ninventory: inventories/lab\n{settings}")
        self.write("inventories/lab/hosts.yml", statectl_yaml(hosts, user))
        run(["git", "init", "-q", "-b", "main", self.root])
        self.commit("start")

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def commit(self, message: str) -> None:
        git = ["git", "-C", self.root, "-c", "user.name=lab", "-c", "user.email=lab@lab.invalid"]
        run([*git, "add", "-A"])
        run([*git, "commit", "-q", "--allow-empty", "-m", message])

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(PROJECT),
            "TERM": "dumb",
            **(extra or {}),
        }

    def begin(self, *argv: str) -> subprocess.Popen[str]:
        """The command in the background."""
        return subprocess.Popen(
            [sys.executable, "-m", "statectl", *argv],
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def statectl(
        self,
        *argv: str,
        expect: int | tuple[int, ...] | None = None,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        timeout: float = 180,
        at: str = "",
    ) -> Said:
        """Run the command in the project; one that hangs is killed (exit -9). With `expect`, any other exit code fails the test.

        `at`: a moment in ISO 8601 that the controller takes for now.
        """
        began = time.monotonic()
        program = ["-m", "tests.lab.at_time", at] if at else ["-m", "statectl"]
        process = subprocess.Popen(
            [sys.executable, *program, *argv],
            cwd=self.root,
            env=self.environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            out, err = process.communicate(stdin.encode(), timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += f"\nkilled: still running after {timeout:.0f} s\n".encode()
        said = Said(
            argv,
            process.returncode,
            out.decode(errors="backslashreplace"),
            err.decode(errors="backslashreplace"),
            time.monotonic() - began,
        )
        if expect is not None:
            wanted = (expect,) if isinstance(expect, int) else expect
            assert said.code in wanted, f"expected exit {expect}\n{said}"
        return said
