"""Controller and store: interrupted, killed, doubled, and a database that cannot be written or read."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.row import DONE, FAILED, INTERRUPTED, NOT_RUN, REFUSED, Row, row
from tests.faults.scene import Scene
from tests.lab.places import run
from tests.lab.project import Said

PAUSE = """\
associations:
  pause:
    targets: all
    commands:
      pause: {{run: [sh, -c, "touch /srv/pausing; sleep {seconds}; touch /srv/paused"], creates: /srv/paused}}
"""
SLOW = PAUSE.format(seconds=3)
RANDOM = random.Random()

NOT_RUN["C18"] = "backup and restore"


def database(scene: Scene) -> Path:
    return scene.project.root / ".statectl" / "state.db"


def signalled(*signals: int, gap_s: float = 0.3) -> Callable[[Scene], None]:
    """Signals at a random instant of the run."""

    def during(scene: Scene) -> None:
        assert scene.process is not None
        time.sleep(RANDOM.uniform(0.2, 5))
        for number in signals:
            if scene.process.poll() is None:
                scene.process.send_signal(number)
            time.sleep(gap_s)

    return during


def _interrupted(scene: Scene) -> None:
    said = scene.said
    assert said is not None
    if said.code == INTERRUPTED:
        assert "interrupted" in said.err + said.out or "stopping" in said.err, said


for name, number in (("INT", signal.SIGINT), ("TERM", signal.SIGTERM), ("HUP", signal.SIGHUP)):
    row(
        Row(
            f"C0{1 if name == 'INT' else 2}.{name}",
            f"SIG{name} once, at a random instant",
            during=signalled(number),
            says=_interrupted,
            codes=(DONE, INTERRUPTED),
            bound_s=40,
            witness=False,
            states=SLOW,
        )
    )
row(
    Row(
        "C01.twice",
        "SIGINT twice, at a random instant",
        during=signalled(signal.SIGINT, signal.SIGINT),
        says=_interrupted,
        codes=(DONE, INTERRUPTED),
        bound_s=40,
        lost=True,
        witness=False,
        states=SLOW,
    )
)
row(
    Row(
        "C03",
        "kill -9 of the controller at a random instant",
        during=signalled(signal.SIGKILL),
        codes=(DONE,),
        bound_s=40,
        silent=True,
        witness=False,
        states=SLOW,
    )
)


# -- one writer --------------------------------------------------------------------------------------------------------


def _second_store(scene: Scene) -> None:
    """The same project with a store of its own, as on another machine."""
    other = scene.project.root.with_name("other")
    shutil.copytree(scene.project.root, other, ignore=shutil.ignore_patterns(".statectl"))
    scene.injected = other


def _apply_in(scene: Scene, directory: Path) -> Said:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "statectl", "apply", "--yes", "--json"],
        cwd=directory,
        env=scene.project.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Said(("apply",), done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def _another(scene: Scene, where: Callable[[Scene], Path]) -> None:
    scene.exists_soon("/srv/pausing")
    second = _apply_in(scene, where(scene))
    assert second.code == REFUSED, second
    told = " ".join(str(host["reason"]) for host in second.json["hosts"].values()) or second.err
    assert "another apply holds this host" in told, second
    assert "run " in told, second
    assert "since " in told, second


row(
    Row(
        "C05.one-store",
        "a second apply from the same project while one runs",
        during=lambda scene: _another(scene, lambda at: at.project.root),
        states=PAUSE.format(seconds=8),
        slower_s=8,
        bound_s=40,
    )
)
row(
    Row(
        "C05.two-stores",
        "a second apply from another controller while one runs",
        inject=_second_store,
        during=lambda scene: _another(scene, lambda at: at.project.root.with_name("other")),
        states=PAUSE.format(seconds=8),
        slower_s=8,
        bound_s=40,
    )
)


def _dead_holder(scene: Scene) -> None:
    """A run whose controller and executors are all killed."""
    first = subprocess.Popen(
        [sys.executable, "-m", "statectl", "apply", "--yes"],
        cwd=scene.project.root,
        env=scene.project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    scene.exists_soon("/etc/work/link")
    first.kill()
    first.wait()
    for host in (scene.victim, scene.witness):
        lock = json.loads(host.read("/var/lib/statectl/lock"))
        host.exec(["kill", "-9", str(lock["pid"])])


row(
    Row(
        "C06",
        "the holder of the lock died with its controller",
        inject=_dead_holder,
        states=PAUSE.format(seconds=2),
        bound_s=40,
    )
)

# -- saved plans -------------------------------------------------------------------------------------------------------


def saved(change: Callable[[Scene], None]) -> Callable[[Scene], None]:
    """A saved plan, and then something moves."""

    def inject(scene: Scene) -> None:
        said = scene.run("plan", "--save", "plan.json")
        assert said.code == 0, said
        change(scene)

    return inject


def _edit_plan(scene: Scene) -> None:
    path = scene.project.root / "plan.json"
    path.write_text(path.read_text().replace("lab-tool-01", "lab-tool-02"))


def _older(scene: Scene) -> None:
    path = scene.project.root / "plan.json"
    path.write_text(path.read_text().replace("statectl.plan/1.", "statectl.plan/0."))


def _apply_it(scene: Scene) -> None:
    said = scene.run("apply", "plan.json", "--json")
    assert said.code == 0, said


def _says(*words: str) -> Callable[[Scene], None]:
    def says(scene: Scene) -> None:
        assert scene.said is not None
        for word in words:
            assert word in scene.said.err + scene.said.out, f"{word!r} is not said\n{scene.said}"

    return says


def stale(variant: str, title: str, change: Callable[[Scene], None], *words: str, **more: Any) -> None:
    row(
        Row(
            f"C08.{variant}",
            f"a saved plan: {title}",
            inject=saved(change),
            says=_says(*words),
            command=("apply", "plan.json", "--json"),
            **{"codes": (REFUSED,), "witness": False, **more},
        )
    )


stale(
    "state-moved",
    "a file was changed on one host",
    lambda scene: scene.victim.write("/etc/work/adopted.conf", "old, and not ours\n", 0o600),
    "changed since the plan was made: file:/etc/work/adopted.conf",
    witness=True,
)
stale("edited", "the file was edited", _edit_plan, "was edited", "statectl plan")
stale("other-version", "made by another version", _older, "is not a plan that this version reads")
stale("applied-twice", "applied a second time", _apply_it, "was applied at", "statectl plan")


def _move_repository(scene: Scene) -> None:
    """The branch moves on; the plan keeps to its own commit."""
    path = scene.project.root / "states" / "work.yml"
    text = path.read_text()
    path.write_text(text.replace("one\\n", "two\\n"))
    scene.project.commit("moved on")
    scene.injected = text


def _move_back(scene: Scene) -> None:
    (scene.project.root / "states" / "work.yml").write_text(scene.injected or "")
    scene.project.commit("back")


row(
    Row(
        "C08.branch-moved",
        "a saved plan: the branch moved on; what was planned is applied",
        inject=lambda scene: (saved(lambda _: None)(scene), _move_repository(scene)) and _kept_text(scene),
        mend=_move_back,
        command=("apply", "plan.json", "--json"),
    )
)


def _kept_text(scene: Scene) -> Any:
    return scene.injected


# -- the store ---------------------------------------------------------------------------------------------------------


class Held:
    """The database held by another process's write transaction."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("BEGIN IMMEDIATE")
        self._timer = threading.Timer(seconds, self.release)
        self._timer.start()

    def release(self) -> None:
        self._timer.cancel()
        self._connection.close()


def held(seconds: float) -> Callable[[Scene], Held]:
    def inject(scene: Scene) -> Held:
        return Held(database(scene), seconds)

    return inject


row(
    Row(
        "C10.5s", "the database is held by another process for 5 s", inject=held(5), mend=lambda s: s.injected.release()
    )
)
row(
    Row(
        "C10.for-ever",
        "the database is held by another process for ever",
        inject=held(120),
        mend=lambda scene: scene.injected.release(),
        says=_says("is held by another process"),
        codes=(REFUSED,),
        bound_s=30,
        witness=False,
    )
)


def _nothing_was_done(scene: Scene) -> None:
    """No record, no action."""
    for host in (scene.victim, scene.witness):
        done = [address for address, right in scene.truth(host).items() if right and address != "directory:/etc/work"]
        assert not done, f"{host.name}: {done} though nothing could be recorded"


def _mounted(scene: Scene, *options: str) -> Path:
    place = database(scene).parent
    keep = place.with_name("statectl-kept")
    shutil.copytree(place, keep)
    run(["mount", "-t", "tmpfs", *options, "statectl-fault", place])
    for file in keep.iterdir():
        shutil.copy2(file, place / file.name)
    shutil.rmtree(keep)
    return place


def _fill(place: Path) -> None:
    """Until nothing more fits."""
    with (place / "filler").open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"\0" * 4096)
        except OSError:
            return


def _full(scene: Scene) -> Path:
    place = _mounted(scene, "-o", "size=1m")
    _fill(place)
    return place


def _unmount(scene: Scene) -> None:
    """What was in it stays: the next run finds the same database."""
    place: Path = database(scene).parent
    keep = place.with_name("statectl-kept")
    run(["mount", "-o", "remount,rw", place])
    shutil.copytree(place, keep, ignore=shutil.ignore_patterns("filler"))
    run(["umount", place])
    for file in keep.iterdir():
        shutil.copy2(file, place / file.name)
    shutil.rmtree(keep)


def _refused_before_acting(scene: Scene) -> None:
    assert scene.said is not None
    assert "store " in scene.said.err, scene.said
    _nothing_was_done(scene)


row(
    Row(
        "C11.full",
        "the store's disk is full",
        inject=_full,
        mend=_unmount,
        says=_refused_before_acting,
        codes=(REFUSED,),
        witness=False,
    )
)


def _read_only(scene: Scene) -> None:
    place = _mounted(scene, "-o", "size=8m")
    run(["mount", "-o", "remount,ro", place])


row(
    Row(
        "C11.read-only",
        "the store is on a read-only file system",
        inject=_read_only,
        mend=_unmount,
        says=_refused_before_acting,
        codes=(REFUSED,),
        witness=False,
    )
)


def _no_audit(scene: Scene) -> None:
    """Everything in the store works but the trail of who did what."""
    with contextlib.closing(sqlite3.connect(database(scene))) as connection:
        connection.execute(
            "CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        )
        connection.commit()


def _audit_again(scene: Scene) -> None:
    with contextlib.closing(sqlite3.connect(database(scene))) as connection:
        connection.execute("DROP TRIGGER no_audit")
        connection.commit()


row(
    Row(
        "C13",
        "the audit trail cannot be written",
        inject=_no_audit,
        mend=_audit_again,
        says=_refused_before_acting,
        codes=(REFUSED,),
        witness=False,
    )
)


def _small(scene: Scene) -> Path:
    return _mounted(scene, "-o", "size=4m")


def _fills_up(scene: Scene) -> None:
    scene.exists_soon("/etc/work/link")
    _fill(scene.injected)


def _told_and_kept_by_the_host(scene: Scene) -> None:
    """The results could not be recorded: that is said, and the hosts keep them for the next contact."""
    assert scene.said is not None
    assert "store " in scene.said.err, scene.said
    assert scene.victim.sh("ls /var/lib/statectl/undelivered"), "the host has forgotten a result that nobody recorded"


row(
    Row(
        "C11.fills-up",
        "the store's disk fills up in mid-run",
        inject=_small,
        during=_fills_up,
        mend=_unmount,
        says=_told_and_kept_by_the_host,
        codes=(FAILED, REFUSED),
        states=SLOW,
        witness=False,
    )
)


def damaged(how: Callable[[Path], None]) -> Callable[[Scene], Path]:
    def inject(scene: Scene) -> Path:
        for _ in range(3):
            said = scene.run("plan", "--json")
            assert said.code == 0, said
        path = database(scene)
        keep = path.with_name("before.db")
        shutil.copy2(path, keep)
        how(path)
        return keep

    return inject


def _put_back(scene: Scene) -> None:
    path = database(scene)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.move(scene.injected, path)


def _flip_page(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()[0]
    connection.close()
    with path.open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(os.urandom(size))


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()


for variant, title, how, words in (
    ("flipped-page", "a page of the database is garbage", _flip_page, ("is damaged",)),
    ("truncated", "half of the database is missing", _truncate, ("is damaged",)),
    ("no-database", "the file is no database", lambda path: path.write_text("garbage\n" * 5000), ("is damaged",)),
    ("newer", "the database is of a newer version", _newer, ("newer statectl",)),
):
    row(
        Row(
            f"C12.{variant}",
            title,
            inject=damaged(how),
            mend=_put_back,
            says=lambda scene, words=words: (_says(*words)(scene), _nothing_was_done(scene))[0],  # type: ignore[misc]
            codes=(REFUSED,),
            witness=False,
        )
    )


def _no_wal(scene: Scene) -> None:
    """A controller was killed and somebody tidied up: the log that held the last rows is gone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "statectl", "apply", "--yes"],
        cwd=scene.project.root,
        env=scene.project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    scene.exists_soon("/etc/work/link")
    process.kill()
    process.wait()
    for suffix in ("-wal", "-shm"):
        database(scene).with_name(database(scene).name + suffix).unlink(missing_ok=True)


row(
    Row(
        "C12.wal-deleted",
        "a killed controller's write-ahead log was deleted",
        inject=_no_wal,
        command=("apply", "--yes", "--json", "--lock-timeout", "60"),
    )
)
row(
    Row(
        "C12.empty",
        "the database is empty",
        inject=damaged(lambda path: os.truncate(path, 0)),
        mend=_put_back,
        says=_says("is empty"),
        codes=(REFUSED,),
        witness=False,
    )
)


def _killed_in_migration(scene: Scene) -> None:
    """The first start is killed at a write of the database that it makes."""
    subprocess.run(
        [
            *("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64"),
            *("-e", f"inject=pwrite64:signal=KILL:when={RANDOM.randrange(1, 30)}"),
            *(sys.executable, "-m", "statectl", "runs", "list"),
        ],
        cwd=scene.project.root,
        env=scene.project.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )


row(Row("C12.killed-in-migration", "killed while the database was made", inject=_killed_in_migration))


# -- git ---------------------------------------------------------------------------------------------------------------


def _dirty(scene: Scene) -> None:
    (scene.project.root / "states" / "notes.txt").write_text("not committed\n")


row(Row("C17.dirty", "the tree has files that are not committed", inject=_dirty))
row(
    Row(
        "C17.index-lock",
        "another git process left its lock",
        inject=lambda scene: (scene.project.root / ".git" / "index.lock").write_text(""),
        mend=lambda scene: (scene.project.root / ".git" / "index.lock").unlink(),
    )
)


def _two_branches(scene: Scene) -> None:
    git = ["git", "-C", scene.project.root]
    run([*git, "checkout", "-q", "-b", "other"])
    for name in ("aaa", "zzz"):
        scene.project.write(
            f"states/{name}.yml",
            f"associations: {{{name}: {{targets: all, files: {{/etc/{name}: {{content: x}}}}}}}}\n",
        )
    scene.project.commit("other")
    run([*git, "checkout", "-q", "main"])


def _switch(scene: Scene) -> None:
    """Between the branches, as fast as git can, while the command reads the files."""
    assert scene.process is not None
    branches = ["other", "main"]
    while scene.process.poll() is None:
        run(["git", "-C", scene.project.root, "checkout", "-q", branches[0]])
        branches.reverse()
    run(["git", "-C", scene.project.root, "checkout", "-q", "main"])


def _one_of_both(scene: Scene) -> None:
    """Files of one commit, or a refusal that says why: never some of each."""
    assert scene.said is not None
    both = [scene.witness.exists(f"/etc/{name}") for name in ("aaa", "zzz")]
    assert both[0] == both[1], f"half of a commit was applied: {both}\n{scene.said}"
    if scene.said.code:
        assert "while they were read" in scene.said.err, scene.said


row(
    Row(
        "C17.checkout",
        "another branch is checked out while the files are read",
        inject=_two_branches,
        during=_switch,
        says=_one_of_both,
        codes=(DONE, REFUSED, 4),
        witness=False,
    )
)
