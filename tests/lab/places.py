"""Where the lab keeps its things, and the one way it runs a command."""

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def cache() -> Path:
    """Base roots, repositories and keys; safe to delete while no lab is up. STATECTL_LAB_CACHE puts it elsewhere."""
    path = Path(os.environ.get("STATECTL_LAB_CACHE") or PROJECT / ".cache" / "lab")
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def run(
    argv: Sequence[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None, text: str = ""
) -> str:
    """Run to the end and return stdout; a failure raises with the last lines of what it said."""
    done = subprocess.run(
        [str(word) for word in argv],
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        check=False,
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise RuntimeError(f"{argv[0]} exited {done.returncode}: {' '.join(map(str, argv))}\n{said}")
    return done.stdout


def digest_of(*parts: str | bytes) -> str:
    """Twelve hex digits that change with any of the parts."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()[:12]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock: only one process builds a thing, others wait and find it built."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
