"""No secret is seen: canaries as passwords, secret variables and sensitive contents, through every command, on a real host."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from pathlib import Path

from tests.hostile.canaries import project as canary_project
from tests.hostile.canaries.scanner import Canary, Scanner
from tests.hostile.canaries.scene import SCRIPT, STDIN, WRONG, Scene

BROKEN = """\
import statectl.reconcile.host_run as host_run

def broken(verdicts, ok):
    raise RuntimeError("planted")

host_run.HostRun._host_plan = lambda self, verdicts, ok: broken(verdicts, ok)
"""
FORMATS = ("json", "jsonl", "md", "junit")


def test_no_secret_is_seen(lab_host, project_for, tmp_path: Path) -> None:
    """G8: 0 canaries in any sink on either side, after every command, failures, crashes and rotation; and all that are planted are found."""
    scene = Scene(project_for([lab_host]), lab_host, tmp_path)
    with scene.watched():
        keep_parameters(scene)
        look_and_plan(scene)
        apply_and_crash(scene)
        assert not told(scene), "after a crash, before anything healed it"
        heal_and_ask(scene)
        rotate_and_remove(scene)
    assert not told(scene)
    planted_are_found(scene)


def told(scene: Scene) -> str:
    """One line for each place that knows a secret it must not know."""
    return "\n".join(sorted({f"{one.place}: {one.where}" for one in scene.leaks()}))


def keep_parameters(scene: Scene) -> None:
    """SecureStrings come into the store and into git; whatever tells of them afterwards tells no value."""
    scene.statectl("parameter", "set", "/canary/stored", "--type", "SecureString", stdin=scene.value("stored"))
    cipher = scene.statectl("parameter", "encrypt", "/canary/in-git", stdin=scene.value("in git")).out.strip()
    states = scene.project.root / "states/parameters.yml"
    states.write_text(canary_project.parameters(scene.given, cipher))
    scene.project.commit("parameters")
    for argv in (
        ("get", "/canary/stored"),
        ("get", "/canary/stored", "--json"),
        ("list", "/canary", "-o", "csv"),
        ("history", "/canary/stored", "-v"),
        ("users", "/canary/declared", "--json"),
        ("git", "textconv", str(states)),
    ):
        scene.statectl("parameter", *argv)


def look_and_plan(scene: Scene) -> None:
    """What contacts nothing, files that are wrong, and plans in every format."""
    scene.statectl("validate", "-v")
    scene.statectl("config", "show")
    scene.statectl("inventory", "show", "target", "--json")
    scene.statectl("explain", "var", "v_content", "--host", "target")
    right = (scene.project.root / "states/canary.yml").read_text()
    scene.project.write("states/canary.yml", canary_project.MISTAKES)
    for argv in (("validate", "--json"), ("plan", "-vvv")):
        scene.statectl(*argv, expect=4)
    scene.project.write("states/canary.yml", right)
    scene.statectl("run", "--", "id", sudo=WRONG, expect=3)
    written = [option for name in FORMATS for option in ("-o", f"{name}={scene.temporary / name}")]
    scene.statectl("plan", "-vvv", "--full", "--color=always", "-o", "text", *written, "--save", "./kept.json")


def apply_and_crash(scene: Scene) -> None:
    """The saved plan; then an apply whose controller is told to dump core and whose executor is killed, both in the middle."""
    written = [option for name in FORMATS for option in ("-o", f"{name}={scene.temporary / name}")]
    scene.statectl("apply", "./kept.json", "--yes", "-vvv", "-o", "text", *written, expect=1)
    host = scene.host
    assert host.read("/etc/canary/content.conf") == f"key = {scene.value('content')}\n"
    assert not host.exists("/etc/canary/refused.conf")
    host.sh("rm /root/slow; touch /root/wait; echo else > /etc/canary/rotated.conf")
    process = scene.start("apply", "--yes", "-vvv")
    try:
        limit = time.monotonic() + 60
        while not host.exists("/root/slow") and time.monotonic() < limit:
            time.sleep(0.05)
        executor = scene.executor()
        limits = host.read(f"/proc/{executor}/limits")
        assert [line.split()[4] for line in limits.splitlines() if "core" in line] == ["0"]
        process.send_signal(signal.SIGQUIT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGQUIT
    finally:
        process.kill()
    scene.running.scan(out + err, "output of the killed controller")
    host.exec(["kill", "-KILL", str(executor)])
    assert host.exists("/var/lib/statectl/journal.jsonl")
    host.sh("rm /root/wait; kill -KILL $(cat /root/slow)")


def heal_and_ask(scene: Scene) -> None:
    """What the killed run left is handed over; a controller that breaks; and all that tells of runs."""
    scene.statectl("apply", "--yes", "--lock-timeout", "60s", "--json", expect=1)
    place = scene.temporary / "broken"
    place.mkdir()
    (place / "sitecustomize.py").write_text(BROKEN)
    assert "Traceback" in scene.statectl("plan", "-vvv", path=str(place), expect=1).err
    scene.statectl("drift", "-vvv", "--full", expect=(0, 2))
    run = scene.statectl("runs", "list", "--json").json["runs"][0]["id"]
    for argv in (("show", run), ("show", run, "--json")):
        scene.statectl("runs", *argv)
    scene.statectl("compliance", "--json")
    scene.statectl("inventory", "list", "--json")
    scene.statectl("doctor", "target", expect=(0, 3))
    script = scene.given / "script"
    script.write_text(f"x='{scene.value(SCRIPT)}'\nsleep 0.1\ncat > /dev/null\n")
    scene.statectl("run", "--script", str(script), stdin=scene.value(STDIN))


def rotate_and_remove(scene: Scene) -> None:
    """The secret of one file changes, that of another becomes plain text; then all of it is removed."""
    scene.canaries["rotated anew"] = Canary.made("rotated anew")
    (scene.given / "v_rotated").write_text(scene.value("rotated anew"))
    states = scene.project.root / "states/canary.yml"
    scene.canaries["put anew"] = Canary.made("put anew")
    (scene.given / "declared").write_text(scene.value("put anew"))
    retired = canary_project.FILES.replace("{{ v_retired }}", "no secret")
    states.write_text(retired)
    scene.statectl("parameter", "rotate")
    scene.statectl("apply", "--yes", "--full", "-vvv")
    assert scene.host.read("/etc/canary/declared.conf") == f"key = {scene.value('put anew')}\n"
    scene.statectl("parameter", "diff", "/canary/declared:1", "/canary/declared")
    scene.statectl("parameter", "copy", "/canary/stored", "/canary/copied")
    scene.statectl("parameter", "delete", "/canary/copied")
    scene.host.sh("rm /etc/canary/declared.conf")
    assert scene.value("rotated anew") in scene.host.read("/etc/canary/rotated.conf")
    scene.host.sh("rm /etc/canary/rotated.conf")
    states.with_name("parameters.yml").unlink()
    states.write_text('associations: {files: {targets: all, files: {/etc/canary/lines.conf: {content: "first\\n"}}}}\n')
    scene.statectl("apply", "--prune", "--yes", "--full", "-vvv")


def planted_are_found(scene: Scene) -> None:
    """The control: one canary in each kind of sink, each in another encoding; the same search names them all."""
    host, root = scene.host, scene.project.root
    (store,) = root.rglob("*.db")
    upper = {
        "state of the host": "/var/lib/statectl/x",
        "cache of the host": "/var/cache/statectl/x",
        "its files": "/etc/x",
    }
    volatile = {"run of the host": "/run/x", "tmp of the host": "/tmp/x", "shm of the host": "/dev/shm/x"}
    here = {
        "project": root / "x",
        "own state": root / ".statectl" / "x",
        "home": scene.project.home / "x",
        "temporary files": scene.temporary / "x",
        "plan file": root / "kept.json",
        "core file": root / "core",
        "beside the store": store.with_name(store.name + "-x"),
    }
    elsewhere = (
        "a row",
        "its write-ahead log",
        "journal",
        "output",
        "argv here",
        "environ here",
        "argv there",
        "environ there",
    )
    planted = {place: Canary.made(place, plain=True) for place in (*upper, *volatile, *here, *elsewhere)}
    value = {place: canary.value for place, canary in planted.items()}
    forms = [
        lambda data: data,
        lambda data: data.hex().encode(),
        lambda data: b"\x00\xff" + zlib.compress(b"filler" * 9 + data),
    ]
    for number, (place, path) in enumerate(here.items()):
        path.write_bytes(b"before " + forms[number % 3](value[place].encode()) + b" after")
    for place, path in {**upper, **volatile}.items():
        host.write(path, f"before {value[place].encode().hex()} after")
    scene.said[0] = type(scene.said[0])(("x",), 0, f"told {value['output']}", "", 0.0)
    host.exec(["logger", f"said {value['journal']}"])
    scanner, scene.running = scene.scanner(planted.values()), scene.scanner(planted.values())
    with scene.watched() as watched:
        seen = watched.samples
        local = subprocess.Popen(["sleep", "60"], env={"X": value["environ here"]})
        argv = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", value["argv here"]])
        there = ["env", f"X={value['environ there']}", "sh", "-c", "sleep 1; :", value["argv there"]]
        host.exec(there)
        for process in (local, argv):
            process.kill()
            process.wait()
        assert watched.samples > seen + 10
    with contextlib.closing(sqlite3.connect(store)) as database:
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("UPDATE host_runs SET reason = ? WHERE rowid = 1", (value["its write-ahead log"],))
        database.execute(
            "UPDATE host_runs SET results = ?", (zlib.compress(os.urandom(9000) + value["a row"].encode()),)
        )
        database.commit()
        found = scene.leaks(scanner)
    assert {one.place for one in found} == set(planted), sorted(set(planted) - {one.place for one in found})
    wheres = {one.place: one.where for one in found}
    for place, path in {**upper, **volatile}.items():
        assert wheres[place].endswith(path)
    assert Scanner([]).found == set()
