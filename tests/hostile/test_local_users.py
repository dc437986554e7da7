"""Other users of the same machine, and directories of theirs that a command is run in."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.local_project import environment
from tests.hostile.fleets import run, write_fleet
from tests.hostile.servers import Servers

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the attacker is another user")


def test_modes_without_a_umask(servers: Servers, project) -> None:
    """T29: started with umask 0, whatever is written on the controller is writable for nobody else, and store and plans are ours alone."""
    write_fleet(project, servers, {}, "here")
    shutil.rmtree(project.root / ".statectl", ignore_errors=True)
    for argv in (("plan", "--save", "saved.plan"), ("apply", "--yes"), ("drift",), ("plan", "-o", "json=plan.json")):
        run(project, *argv, umask=0)
    private = [project.root / "saved.plan", *(project.root / ".statectl").rglob("*")]
    assert {path.name for path in private} >= {"saved.plan", "hosts"}, private
    assert any(path.suffix == ".db" or "store" in path.name for path in private), private
    for path in [project.root / ".statectl", *private]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        inside = path.is_relative_to(project.root / ".statectl") and path != project.root / ".statectl"
        allowed = 0o755 if inside and path.name == ".gitignore" else 0o700
        assert mode & ~allowed == 0, f"{path}: {mode:o}"
    for path in project.root.rglob("*"):
        if not path.is_symlink() and project.machine not in path.parents:
            assert not path.stat().st_mode & 0o022, f"{path}: {path.stat().st_mode:o}"


TRAPS = ("sitecustomize", "usercustomize", "jinja2", "yaml", "asyncssh", "click", "json", "zlib", "statectl")


def test_hostile_working_directory(servers: Servers, project, tmp_path) -> None:
    """T31: a command started inside an attacker's directory takes no module, configuration or inventory from there."""
    write_fleet(project, servers, {}, "here")
    trap, mark = tmp_path / "trap", tmp_path / "mark"
    trap.mkdir()
    for name in TRAPS:
        (trap / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
    (trap / "ansible.cfg").write_text("[defaults]\ninventory = ./evil.sh\n")
    (trap / "evil.sh").write_text(f"#!/bin/sh\necho inventory >> {mark}\n")
    (trap / "git").write_text(f"#!/bin/sh\necho git >> {mark}\n")
    for name in ("evil.sh", "git"):
        (trap / name).chmod(0o755)
    (trap / ".env").write_text("STATECTL_INVENTORY=./evil.sh\n")
    for command in ("plan", "drift", "validate"):
        done = subprocess.run(
            [Path(sys.executable).parent / "statectl", "-C", project.root, command],
            cwd=trap,
            env={name: value for name, value in environment(project.home).items() if name != "PYTHONPATH"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode in (0, 2), done
    assert not mark.exists(), mark.read_text()


@AS_ROOT
def test_project_of_another_user(project) -> None:
    """T31: a project that another user owns, or that everybody may write to, is not read."""
    os.chown(project.root / "statectl.yml", NOBODY, NOBODY)
    ran = run(project, "plan")
    assert ran.code == 4 and "[E107]" in ran.err, ran
    os.chown(project.root / "statectl.yml", 0, 0)
    project.root.chmod(0o777)
    ran = run(project, "plan")
    assert ran.code == 4 and "[E107]" in ran.err, ran


def test_git_configuration_runs_nothing(servers: Servers, project, tmp_path) -> None:
    """T31: hooks and monitors that a repository's own configuration names are not run by a plan."""
    write_fleet(project, servers, {}, "here")
    mark, trap = tmp_path / "mark", tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho run >> {mark}\n")
    trap.chmod(0o755)
    subprocess.run(["git", "init", "-q", project.root], check=True)
    for name in ("core.fsmonitor", "core.hooksPath", "core.sshCommand", "core.pager", "core.editor"):
        subprocess.run(["git", "-C", project.root, "config", name, trap], check=True)
    run(project, "plan")
    assert not mark.exists()


SWAPPER = """
import os, sys
home, victim = sys.argv[1:3]
os.chdir(home)
os.symlink(victim, "link")
while True:
    try:
        os.rename("d", "away")
        os.rename("link", "d")
        os.rename("d", "link")
        os.rename("away", "d")
    except OSError:
        pass
"""


@pytest.fixture
def contested() -> Iterator[Path]:
    """home/ belongs to nobody and holds d/; victim/ is root's."""
    place = Path(tempfile.mkdtemp(prefix="statectl-hostile-"))
    place.chmod(0o755)
    for name in ("home", "victim", "home/d"):
        (place / name).mkdir(mode=0o755)
    for name in ("home", "home/d"):
        os.chown(place / name, NOBODY, NOBODY)
    (place / "victim" / "f").write_text("victim\n")
    yield place
    shutil.rmtree(place)


@AS_ROOT
@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_link_swaps(servers: Servers, project, contested: Path, rounds: int) -> None:
    """T30: a user who swaps a directory of theirs for a link to root's while root writes there never has root write elsewhere."""
    write_fleet(project, servers, {}, "here")
    project.write(
        "statectl.yml",
        f"project: hostile\ninventory: inventories/local\nlimits: {{paths: [{contested}, {project.machine}]}}\n",
    )
    home = contested / "home" / "d"
    swapper = subprocess.Popen(
        ["/usr/bin/python3", "-I", "-c", SWAPPER, contested / "home", contested / "victim"], user=NOBODY, group=NOBODY
    )
    try:
        for number in range(rounds):
            files = "".join(
                f"      {home}/f{n}: {{content: 'round {number}', mode: 0666, owner: nobody}}\n" for n in range(20)
            )
            project.states(
                f"associations:\n  a:\n    targets: all\n    files:\n      {home}/f: {{content: 'round {number}', mode: 0666}}\n{files}"
                f"    directories:\n      {home}/sub: {{mode: 0777, owner: nobody}}\n"
                f"    lines:\n      l: {{path: {home}/l, line: 'round {number}', create: true}}\n"
            )
            run(project, "apply", "--yes", "--json")
            assert sorted(path.name for path in (contested / "victim").iterdir()) == ["f"]
            info = (contested / "victim" / "f").stat()
            assert (contested / "victim" / "f").read_text() == "victim\n"
            assert (info.st_uid, stat.S_IMODE(info.st_mode) & 0o022) == (0, 0)
    finally:
        swapper.kill()
        swapper.wait()


@AS_ROOT
@pytest.mark.parametrize(
    "how", ["link", "directory of another user", "file of another user", "writable for all", "other content"]
)
def test_cache_made_before_us(how: str, tmp_path) -> None:
    """T30: an executor that somebody else put into the cache, or may write to, is not run; the true one is sent instead."""
    import asyncio

    from statectl.transport import session
    from statectl.transport.local import LocalTransport
    from tests.unit.stand_in import endpoint, executor

    bundle = executor(tmp_path)
    here = endpoint(tmp_path)

    async def once() -> None:
        started = await session.start(LocalTransport(), here, bundle, {"type": "order"})
        while (await started.receive())["type"] != "end":
            pass
        await started.close()

    asyncio.run(once())
    (cached,) = Path(here.state_dir, "cache").glob("*.bin")
    good = cached.read_bytes()
    mark = tmp_path / "mark"
    evil = good[:130] + b"open(%r, 'w')" % str(mark).encode() + good[150:]
    if how == "link":
        (tmp_path / "evil").write_bytes(evil)
        cached.unlink()
        cached.symlink_to(tmp_path / "evil")
    else:
        cached.write_bytes(evil if how == "other content" else good)
        if how == "directory of another user":
            os.chown(cached.parent, NOBODY, NOBODY)
        elif how == "file of another user":
            os.chown(cached, NOBODY, NOBODY)
        elif how == "writable for all":
            cached.chmod(0o666)
    started = _first_word(here, bundle)
    assert started.startswith("need"), started
    assert not mark.exists()


def _first_word(here, bundle) -> str:
    """What the bootstrap answers: have or need."""
    argv = bundle.command("ab" * 8, cache=f"{here.state_dir}/cache")
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30)
    return done.stdout.decode().partition("statectl:" + "ab" * 8 + ":")[2].strip()


def test_nothing_of_ours_in_argv(servers: Servers, project) -> None:
    """T29: another user sees in the process list neither passwords nor anything of a catalogue."""
    write_fleet(project, servers, {}, "here")
    project.states('associations: {a: {targets: all, files: {"{{ machine }}/x": {content: "content-canary-91"}}}}\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "statectl", "apply", "--yes", "--become-password-fd", "0"],
        cwd=project.root, env=environment(project.home), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(b"password-canary-17\n")
    process.stdin.close()
    seen = b""
    while process.poll() is None:
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                try:
                    seen += Path(entry.path, "cmdline").read_bytes()
                except OSError:
                    continue
    assert b"statectl" in seen
    assert b"canary" not in seen
