"""A user swaps a directory and a file of theirs for links to root's while root writes there: does root ever write elsewhere?

    sudo .venv/bin/python -m tests.sweeps.link_swaps --writes 100000

One process is the user: without pause it exchanges a directory for a link to another one, and the file in it for a symbolic link,
a hard link or a pipe. The other one is root and uses the resource types as the executor does: reads, applies what differs. The
other directory, which only root may write to, must be at the end what it was at the beginning.
"""

import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from statectl.onhost.content import Content
from statectl.onhost.failure import Failed, Unknown
from statectl.onhost.host import Host
from statectl.onhost.resources import directory, file, line, link, text_block

NOBODY = 65534
LOOK_EVERY = 1000  # writes
SWAPPER = """
import os, random, sys
home, victim = sys.argv[1:3]
os.chdir(home)
os.symlink(victim, "link")
fd = os.open("d", os.O_RDONLY | os.O_DIRECTORY)
def other(name):
    how = random.random()
    if how < 0.5:
        os.symlink(victim + "/f", name, dir_fd=fd)
    elif how < 0.75:
        os.link(victim + "/f", name, dst_dir_fd=fd)
    else:
        os.mkfifo(name, dir_fd=fd)
swaps = 0
sys.stdout.write("ready\\n")
sys.stdout.flush()
while True:
    swaps += 1
    try:
        os.rename("d", "away")
        os.rename("link", "d")
        os.rename("d", "link")
        os.rename("away", "d")
    except OSError:
        pass
    if random.random() < 0.01:
        try:
            os.unlink("f", dir_fd=fd)
            other("f")
        except OSError:
            pass
"""


class Wrong(Exception):
    """What root owns is not what it was."""


def seen(victim: Path) -> list[tuple[Any, ...]]:
    """Everything about the other directory that a write could change."""
    found: list[tuple[Any, ...]] = []
    for path in [victim, *sorted(victim.rglob("*"))]:
        status = path.lstat()
        text = path.read_text() if path.is_file() else ""
        found.append((path.name, status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_mtime_ns, text))
    return found


def wanted(chance: random.Random, at: str, number: int) -> tuple[Any, Any]:
    """A resource below the contested directory, another one each time -> (its module, wanted)."""
    name = f"{at}/{chance.choice(('f', 'g', 'sub/h'))}"
    kind = chance.randrange(8)
    if kind < 3:
        content = Content.of_bytes(f"write {number}\n".encode())
        owner = chance.choice((None, "nobody"))
        return file, file.Desired(
            name, content=content, owner=owner, mode=chance.choice(("0644", "0666")), state="present"
        )
    if kind == 3:
        return file, file.Desired(name, state="absent")
    if kind == 4:
        return line, line.Desired(f"l{number}", path=name, line=f"write {number}", state="present", create=True)
    if kind == 5:
        content = Content.of_bytes(f"write {number}\n".encode())
        return text_block, text_block.Desired(
            "b", path=name, content=content, marker="# {mark} b", state="present", create=True
        )
    if kind == 6:
        return link, link.Desired(f"{at}/l", to=f"/nowhere/{number}", force=True, state="present")
    state = chance.choice(("present", "present", "absent"))
    if state == "absent":
        return directory, directory.Desired(f"{at}/sub", state="absent", recurse=True)
    return directory, directory.Desired(
        f"{at}/sub", mode=chance.choice(("0777", "0755")), owner="nobody", state="present"
    )


def write(host: Host, module: Any, want: Any) -> str:
    """One turn of the engine for one resource -> how it went."""
    same = getattr(module, "same", lambda _, wanted, found: wanted == found)
    options = ("name", *getattr(module, "OPTIONS", ()))
    try:
        found = module.read(host, [want])[want.name]
        if isinstance(found, (Failed, Unknown)):
            return "not read"
        differing = [
            field
            for field in want._fields
            if field not in options
            and getattr(want, field) is not None
            and not same(field, getattr(want, field), getattr(found, field))
        ]
        if not differing:
            return "as wanted"
        if hasattr(module, "validate") and module.validate(host, want, found):
            return "refused before"
        module.apply(host, want, found, differing)
    except (Failed, Unknown):
        return "refused"
    except OSError:
        return "failed"
    return "written"


@contextmanager
def swapped(place: Path) -> Iterator[tuple[str, Path]]:
    """-> (contested directory, the directory of root's), while the user is at it."""
    place.chmod(0o755)
    for name in ("home", "victim", "home/d"):
        (place / name).mkdir(mode=0o755)
    for name in ("home", "home/d"):
        os.chown(place / name, NOBODY, NOBODY)
    (place / "victim" / "f").write_text("victim\n")
    (place / "victim" / "sub").mkdir()
    (place / "victim" / "sub" / "h").write_text("victim\n")
    user = subprocess.Popen(
        ["/usr/bin/python3", "-I", "-c", SWAPPER, place / "home", place / "victim"],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert user.stdout is not None
        if user.stdout.readline() != "ready\n":
            raise SystemExit("the user who swaps did not start")
        yield f"{place}/home/d", place / "victim"
    finally:
        user.kill()
        user.communicate()


def sweep(
    place: Path, writes: int, seed: int, turn: Callable[[Host, Any, Any], str] = write
) -> collections.Counter[str]:
    """-> how many writes went how. Raises Wrong."""
    chance = random.Random(seed)
    went: collections.Counter[str] = collections.Counter()
    host = Host()
    with swapped(place) as (at, victim):
        before = seen(victim)
        for number in range(1, writes + 1):
            module, want = wanted(chance, at, number)
            went[turn(host, module, want)] += 1
            if number % LOOK_EVERY == 0 or number == writes:
                after = seen(victim)
                if after != before:
                    raise Wrong(f"by write {number}: {before} has become {after}")
    return went


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writes", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    if os.geteuid() != 0:
        print("link swaps: needs root, who alone has something to lose here")
        return 1
    # in memory: what is asked is who wrote where, and a disk only makes it slower
    place = Path(tempfile.mkdtemp(prefix="statectl-link-swaps-", dir="/dev/shm"))
    began = time.monotonic()
    try:
        went = sweep(place, given.writes, given.seed)
    except Wrong as wrong:
        print(f"WRONG (seed {given.seed}): {wrong}")
        return 1
    finally:
        shutil.rmtree(place)
    told = ", ".join(f"{count} {word}" for word, count in sorted(went.items()))
    print(f"{given.writes} writes, 0 elsewhere (seed {given.seed}, {time.monotonic() - began:.0f} s; {told})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
