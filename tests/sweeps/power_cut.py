"""Power cuts: a real file system loses its power before every system call of a file replace; the file is old or new, always.

    python -m tests.sweeps.power_cut --runs 2000

ext4 and xfs on loop devices, ended by the shutdown ioctl as a power cut would: with flag 1 the journal is written and data is
not, with flag 2 nothing is. Then the file system is mounted again, and what stands there is compared.
"""

import argparse
import fcntl
import itertools
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from statectl.onhost import files
from statectl.onhost.place import open_place
from tests.lab.places import run

SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
FLAGS = {"journal written": 1, "nothing written": 2}
SYSTEMS = {"ext4": (64, ("mkfs.ext4", "-q", "-F")), "xfs": (400, ("mkfs.xfs", "-q", "-f"))}  # MB, program
STEPS = (
    "open",
    "write",
    "fchown",
    "fchmod",
    "fsync",
    "close",
    "rename",
    "unlink",
    "setxattr",
    "getxattr",
    "link",
    "mkdir",
)
SIZES = (0, 1, 3000, 300_000, 3_000_000)


def missing() -> str:
    """Why this cannot run here; '' when it can."""
    if os.geteuid() != 0:
        return "power cuts need root: loop devices are mounted"
    for _, (program, *_) in SYSTEMS.values():
        if shutil.which(program) is None:
            return f"power cuts need {program}: apt-get install e2fsprogs xfsprogs"
    return ""


@contextmanager
def disk(system: str, place: Path) -> Iterator["Disk"]:
    size, program = SYSTEMS[system]
    image, mount = place / f"{system}.img", place / system
    with image.open("wb") as stream:
        stream.truncate(size * 1024 * 1024)
    run([*program, image])
    mount.mkdir()
    made = Disk(image, mount)
    made.mount()
    try:
        yield made
    finally:
        run(["umount", mount])


class Disk:
    """A loop-mounted file system."""

    def __init__(self, image: Path, at: Path) -> None:
        self.image, self.at = image, at

    def mount(self) -> None:
        run(["mount", "-o", "loop", self.image, self.at])

    def power_on(self) -> None:
        """After a cut: what the medium holds is mounted again."""
        run(["umount", self.at])
        self.mount()


def _shut_down(at: Path, flag: int) -> None:
    """The power goes, for this file system."""
    fcntl.ioctl(os.open(at, os.O_RDONLY), SHUTDOWN, struct.pack("I", flag))


def replace_until(at: Path, flag: int, step: int, work: Callable[[], None]) -> bool:
    """Do `work` in a child whose file system loses power before its call number `step` -> was it cut before the end?

    A step beyond the last call: the power goes right after the work has said that it is done.
    """
    pid = os.fork()
    if pid == 0:
        try:
            seen = itertools.count(1)

            def stepping(real: Any) -> Any:
                def call(*arguments: Any, **options: Any) -> Any:
                    if next(seen) == step:
                        for other, unstepped in reals.items():
                            setattr(os, other, unstepped)
                        _shut_down(at, flag)
                        os._exit(7)
                    return real(*arguments, **options)

                return call

            reals = {name: getattr(os, name) for name in STEPS}
            for name, real in reals.items():
                setattr(os, name, stepping(real))
            work()
            for name, real in reals.items():
                setattr(os, name, real)
            _shut_down(at, flag)
            os._exit(8)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (7, 8):
        raise AssertionError(f"the work itself failed at step {step}")
    return code == 7


def replaced(target: Path, new: bytes) -> None:
    """As statectl writes."""
    with open_place(str(target)) as place:
        files.replace(place, new, mode=0o640)


def renamed(target: Path, new: bytes) -> None:
    """As many do: a temporary file and a rename, and nothing waits for the disk. The control: cuts must be seen to hurt it."""
    fd = os.open(f"{target}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    os.write(fd, new)
    os.close(fd)
    os.rename(f"{target}.new", target)


WRITERS: dict[str, Callable[[Path, bytes], None]] = {"statectl": replaced, "rename": renamed}


def one(
    medium: Disk, flag: int, step: int, old: bytes | None, new: bytes, write: Callable[[Path, bytes], None]
) -> tuple[bool, str]:
    """One power cut -> (was it before the end, what is wrong)."""
    target = medium.at / "managed.conf"
    target.unlink(missing_ok=True)
    if old is not None:
        target.write_bytes(old)
        target.chmod(0o640)
    os.sync()

    before = replace_until(medium.at, flag, step, lambda: write(target, new))
    medium.power_on()
    wrong = ""
    found = target.read_bytes() if target.exists() else None
    if found not in ((old, new) if before else (new,)):
        size = "missing" if found is None else f"{len(found)} bytes"
        wrong = f"{size} where {'old or new' if before else 'new'} was promised"
    elif found is not None and target.stat().st_mode & 0o777 != 0o640:
        wrong = f"mode {target.stat().st_mode & 0o777:o}"
    files.sweep(str(medium.at))
    stray = [path.name for path in medium.at.iterdir() if path.name not in ("managed.conf", "lost+found")]
    return before, wrong or (f"left behind after the next sweep: {stray}" if stray else "")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.power_cut", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000, help="power cuts in all (default 2000)")
    parser.add_argument("--writer", choices=WRITERS, default="statectl", help="rename: the control, which must fail")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    order = parser.parse_args(argv)
    reason = missing()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    if not order.alone:
        # mounts of our own: another namespace that copied one would keep the file system alive over its power cut
        command = [sys.executable, "-m", "tests.sweeps.power_cut", "--alone"]
        command += ["--runs", str(order.runs), "--writer", order.writer]
        return subprocess.run(["unshare", "--mount", "--propagation", "private", *command], check=False).returncode
    chance = random.Random(1)
    failed = tried = last_step = 0
    with tempfile.TemporaryDirectory() as place:
        for system in SYSTEMS:
            with disk(system, Path(place)) as medium:
                step, here = 0, 0
                while here < order.runs // len(SYSTEMS):
                    step += 1
                    before = True
                    for name, flag in FLAGS.items():
                        old = None if chance.random() < 0.2 else chance.randbytes(chance.choice(SIZES))
                        new = chance.randbytes(chance.choice(SIZES))
                        before, wrong = one(medium, flag, step, old, new, WRITERS[order.writer])
                        tried, here = tried + 1, here + 1
                        if wrong:
                            failed += 1
                            sizes = f"{'no file' if old is None else len(old)} -> {len(new)} bytes"
                            print(f"{system}, {name}, before call {step}, {sizes}: {wrong}", flush=True)
                    if not before:
                        last_step, step = max(last_step, step), 0
    where = f"each of {last_step - 1} calls and after the last" if last_step else "some of the calls"
    print(f"power cuts: {tried} before {where}, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
