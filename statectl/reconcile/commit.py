"""Which commit the files are of, and the files of a pinned commit. Runs git with hooks switched off."""

import hashlib
import subprocess
import tarfile
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from statectl.errors import Refused

GIT_AT_WORK_S = 2.0  # how long another git process may take before its lock is taken for one that was left behind
_GIT = ("git", "--no-optional-locks", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")


@dataclass(frozen=True, slots=True)
class Revision:
    """`commit` is '' outside git or before the first commit. `dirty`: some file of the project differs from it.

    `seen` tells two looks at the same files apart when something moved between them; '' where nobody looked.
    """

    commit: str = ""
    dirty: bool = False
    seen: str = ""


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
    seen = hashlib.sha256(answer.stdout.encode())
    for line in answer.stdout.splitlines():
        if line.startswith("# branch.oid "):
            commit = line.split()[2]
        elif not line.startswith("#"):
            dirty = True
            try:  # paths of files that differ end the line; an odd name is quoted, and its time is then not looked at
                seen.update(str((root / line.rpartition(" ")[2]).stat().st_mtime_ns).encode())
            except OSError:
                continue
    return Revision("" if commit == "(initial)" else commit, dirty, seen.hexdigest())


class Reading:
    """Files that are being read: `ended` says of which commit they are, or that they moved meanwhile.

    The first look goes along in a thread of its own, so that it costs nobody time.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._first = Revision()
        _wait_for_git(root)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        self._first = revision(self._root)

    def ended(self) -> Revision:
        """All files have been read. Raises Refused when they are not those of one moment."""
        self._thread.join()
        _wait_for_git(self._root)
        now = revision(self._root)
        if now != self._first:
            raise moved()
        return now


def moved() -> Refused:
    """What is said when files are not those of one moment."""
    return Refused(
        "the project's files changed while they were read",
        code="E523",
        hint="run the same command again when nobody edits or checks out files; nothing was contacted",
    )


def _wait_for_git(root: Path) -> None:
    """Until no other git process is at work on these files; one that left its lock behind is not waited for."""
    lock = next((top / ".git" / "index.lock" for top in (root, *root.parents) if (top / ".git").is_dir()), None)
    limit = time.monotonic() + GIT_AT_WORK_S
    while lock is not None and lock.exists() and time.monotonic() < limit:
        time.sleep(0.02)


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
