"""The real command in a project of this machine alone: `init --example local`, which can touch nothing outside its directory."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Said:
    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"$ statectl {' '.join(self.argv)}\nexit {self.code}\n{self.out[-6000:]}\n--- stderr\n{self.err[-6000:]}"


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the one who runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "TERM": "dumb",
        **(extra or {}),
    }


def statectl(
    *argv: str | bytes,
    cwd: Path,
    home: Path,
    expect: int | None = None,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> Said:
    """Run the command; with `expect`, any other exit code fails the test."""
    done = subprocess.run(
        [sys.executable, "-m", "statectl", *argv],
        cwd=cwd,
        env=environment(home, env),
        input=(stdin or "").encode(),
        capture_output=True,
        check=False,
        timeout=timeout,
    )
    said = Said(
        tuple(str(word) for word in argv),
        done.returncode,
        done.stdout.decode(errors="backslashreplace"),
        done.stderr.decode(errors="backslashreplace"),
    )
    assert "Traceback" not in said.err, said
    if expect is not None:
        assert said.code == expect, f"expected exit {expect}\n{said}"
    return said


class LocalProject:
    """`root` is the project, `machine` the only directory that it manages."""

    def __init__(self, place: Path) -> None:
        self.root = place / "demo"
        self.home = place / "home"
        self.machine = self.root / "machine"
        self.home.mkdir()
        statectl("init", str(self.root), "--example", "local", cwd=place, home=self.home, expect=0)

    def statectl(self, *argv: str | bytes, **options: Any) -> Said:
        return statectl(*argv, cwd=options.pop("cwd", self.root), home=self.home, **options)

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def states(self, text: str) -> None:
        """Replace all states by this file; {{ machine }} is the managed directory."""
        for file in (self.root / "states").rglob("*.yml"):
            file.unlink()
        self.write("states/only.yml", text)

    def hosts(self, *names: str, more: str = "") -> None:
        """An inventory of this machine under several names, and what `more` says."""
        lines = "".join(
            f"  {name}: {{connection: local, vars: {{machine: {self.machine}/{name}}}}}\n" for name in names
        )
        for name in names:
            (self.machine / name).mkdir(parents=True, exist_ok=True)
        self.write("inventories/local/hosts.yml", f"hosts:\n{lines}{more}")
