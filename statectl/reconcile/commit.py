"""Which commit the files are of, and the files of a pinned commit. Runs git with hooks switched off."""

import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from statectl.errors import Refused

_GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")


@dataclass(frozen=True, slots=True)
class Revision:
    """`commit` is '' outside git or before the first commit. `dirty`: some file of the project differs from it."""

    commit: str = ""
    dirty: bool = False


def revision(root: Path) -> Revision:
    """The state of the project's own directory, from one git process. Never fails: without git there is no commit."""
    try:
        answer = subprocess.run(
            [*_GIT, "status", "--porcelain=v2", "--branch", "--", "."],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Revision()
    if answer.returncode != 0:
        return Revision()
    commit, dirty = "", False
    for line in answer.stdout.splitlines():
        if line.startswith("# branch.oid "):
            commit = line.split()[2]
        elif not line.startswith("#"):
            dirty = True
    return Revision("" if commit == "(initial)" else commit, dirty)


def check_out(root: Path, commit: str, into: Path) -> Path:
    """Write the files of a commit below `into`; returns the project's directory there. Raises Refused."""
    try:
        top = _git(root, "rev-parse", "--show-toplevel").decode().strip()
        with tempfile.TemporaryFile() as archive:
            subprocess.run(
                [*_GIT, "archive", "--format=tar", commit],
                cwd=top,
                stdout=archive,
                stderr=subprocess.PIPE,
                timeout=120,
                check=True,
            )
            archive.seek(0)
            with tarfile.open(fileobj=archive) as tar:
                tar.extractall(into, filter="data")
    except subprocess.CalledProcessError as error:
        cause = " ".join(error.stderr.decode("utf-8", "replace").split())
        raise Refused(
            f"the plan's commit {commit[:12]} cannot be read: {cause}",
            code="E515",
            hint=f"fetch it (git fetch origin {commit[:12]}), or make a new plan",
        ) from None
    except (OSError, subprocess.TimeoutExpired, tarfile.TarError) as error:
        raise Refused(f"the plan's commit {commit[:12]} cannot be read: {error}", code="E515") from None
    return into / root.resolve().relative_to(Path(top).resolve())


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run([*_GIT, *arguments], cwd=root, capture_output=True, timeout=30, check=True).stdout
