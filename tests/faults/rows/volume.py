"""Volume and process control: too much output, output that is no text, commands that do not end, five hundred hosts."""

import base64
import json
import os
import pty
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.row import DONE, FAILED, INTERRUPTED, Row, row
from tests.faults.scene import Scene

GIB = 1 << 30
MORE_MEMORY_KIB = 64 * 1024  # that 1 GiB of output may cost the controller
WORK = "/usr/local/bin/work"
DONE_MARK = "/srv/worked"
COMMAND = f"""\
associations:
  row:
    targets: all
    commands:
      work: {{{{run: [{WORK}], creates: {DONE_MARK}, timeout: {{timeout}}}}}}
"""
GOOD = f"#!/bin/sh\ntouch {DONE_MARK}\n"


def working(victim: str, witness: str = GOOD) -> Callable[[Scene], None]:
    """Both hosts have a program; the victim's is the one that is not as it should be."""

    def inject(scene: Scene) -> None:
        scene.victim.write(WORK, victim, 0o755)
        scene.witness.write(WORK, witness, 0o755)

    return inject


def mended(scene: Scene) -> None:
    scene.victim.write(WORK, GOOD, 0o755)


def document(scene: Scene) -> Any:
    """What the command wrote with `-o json=said.json`."""
    return json.loads((scene.project.root / "said.json").read_text())["hosts"]


# -- a gigabyte


def _peak_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) if found else 0


def watched(scene: Scene) -> None:
    """Remember the most memory that the command ever had, and how much its executor there had."""
    assert scene.process is not None
    peaks: dict[str, int] = scene.injected
    while scene.process.poll() is None:
        peaks["here"] = max(peaks["here"], _peak_kib(scene.process.pid))
        time.sleep(0.05)


def flooding(victim: str) -> Callable[[Scene], dict[str, int]]:
    def inject(scene: Scene) -> dict[str, int]:
        peaks = {"here": 0}
        working(GOOD)(scene)
        scene.injected = peaks
        usual = scene.run("run", "-o", "json=said.json", "--", WORK, during=watched)
        assert usual.code == DONE, usual
        peaks["usual"], peaks["here"] = peaks["here"], 0
        for host in (scene.victim, scene.witness):
            host.exec(["rm", "-f", DONE_MARK])
        working(victim)(scene)
        return peaks

    return inject


def _bounded_memory(scene: Scene) -> None:
    more = scene.injected["here"] - scene.injected["usual"]
    assert scene.injected["usual"] > 0, scene.injected
    assert more < MORE_MEMORY_KIB, f"{more // 1024} MiB more memory than usual"


def _counted(scene: Scene) -> None:
    _bounded_memory(scene)
    told = document(scene)[scene.victim.name]
    assert told["outcome"] == "ok", {**told, "out": "..."}
    kept, left_out = len(told["out"]), re.search(r"\[(\d+) bytes left out\]", told["out"])
    assert left_out is not None
    assert abs(kept + int(left_out[1]) - GIB) < 100, (kept, left_out[1])


FLOOD = f"#!/bin/sh\nyes | head -c {GIB}\ntouch {DONE_MARK}\n"
NO_LINE = f"#!/bin/sh\nhead -c {GIB} /dev/zero | tr '\\0' x\ntouch {DONE_MARK}\n"
RUN_TO_FILE = ("run", "-o", "json=said.json", "--", WORK)
for name, title, text in (("V01", "1 GiB of lines", FLOOD), ("V02", "1 GiB without a newline", NO_LINE)):
    row(
        Row(
            f"{name}.run",
            f"{title} from a command",
            inject=flooding(text),
            during=watched,
            mend=mended,
            says=_counted,
            command=RUN_TO_FILE,
            bound_s=240,
        )
    )
    row(
        Row(
            f"{name}.resource",
            f"{title} from a declared command",
            inject=flooding(text),
            during=watched,
            mend=mended,
            says=_bounded_memory,
            states=COMMAND.format(timeout=200),
            bound_s=200,
        )
    )
TO_NOWHERE = ("/bin/sh", "-c", 'exec "$@" >/dev/null', "sh")
row(
    Row(
        "V02.stream",
        "64 MiB without a newline, shown as they come",
        inject=flooding(NO_LINE.replace(str(GIB), str(64 << 20))),
        during=watched,
        mend=mended,
        says=_bounded_memory,
        command=("run", "--stream", "--", WORK),
        prefix=TO_NOWHERE,
        bound_s=120,
    )
)

# -- what is no text


def _random_bytes(scene: Scene) -> None:
    working(f"#!/bin/sh\ncat /srv/bytes\ntouch {DONE_MARK}\n")(scene)
    scene.victim.sh("{ printf '\\000\\r\\n\\033[31m\\377\\376\\200'; head -c 300000 /dev/urandom; } > /srv/bytes")


def _kept_exactly(scene: Scene) -> None:
    """Stored byte for byte and given to a pipe byte for byte; shown escaped."""
    there = Path(f"/proc/{scene.victim.init}/root/srv/bytes").read_bytes()
    assert (scene.project.root / "said.bytes").read_bytes() == there
    (newest,) = scene.run("runs", "list", "--json", "--limit", "1").json["runs"]
    (result,) = scene.run("runs", "show", newest["id"], "--json").json["hosts"][scene.victim.name]["results"]
    assert base64.b64decode(result["out"]) == there
    harmless(scene.run("run", "--", "cat", "/srv/bytes").out)
    harmless(on_terminal(scene, "run", "-t", scene.victim.name, "--", WORK))


row(
    Row(
        "V03",
        "random bytes",
        inject=_random_bytes,
        mend=mended,
        says=_kept_exactly,
        command=("run", "-t", "{victim}", "--", WORK),
        prefix=("/bin/sh", "-c", 'exec "$@" >said.bytes', "sh"),
    )
)

HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
OUR_OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[[0-9]*[AJKF]|\x1b\[\?25[lh]|\r")
PAYLOADS = (
    *(
        "\x1b[2J",
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "\x1b]52;c;Y3VybA==\x07",
        "\x1b]8;;http://x\x1b\\link",
        "\x1b[1A\x1b[2K",
    ),
    *(
        "\x1bP+q\x1b\\",
        "\x1b_G\x1b\\",
        "\x1bX\x1b\\",
        "\x1b^\x1b\\",
        "\x1b[?1049h",
        "\x1b[5n",
        "\x1b[c",
        "\x1bc",
        "\x1b(0",
    ),
    *(
        "\x9b31m",
        "\x9d0;t\x9c",
        "\x90q\x9c",
        "\x85",
        "\x07\x07",
        "\x08\x08\x08ok",
        "\x0e",
        "\x7f",
        "a\rb",
        "\x0b",
        "\x0c",
    ),
    *("\u202egnp.exe", "\u2066x\u2069", "\u200b\u200d", "\ufeff", "\u2028", "\U000e0041"),
)


def harmless(text: str) -> None:
    """What we printed has no control, direction or hiding character but our own colours and cursor moves."""
    bare = OUR_OWN.sub("", text.replace("\r\n", "\n"))
    found = HARMFUL.search(bare)
    assert found is None, f"{found[0]!r} in {bare[max(0, found.start() - 60) : found.end() + 60]!r}"


def on_terminal(scene: Scene, *argv: str) -> str:
    """Run the command on a terminal -> all that it wrote there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(scene.project.root)
        environment = {**scene.project.environment(), "TERM": "xterm"}
        os.execve(sys.executable, [sys.executable, "-m", "statectl", *argv], environment)
    written = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break  # the last process on it has ended
        if not piece:
            break
        written += piece
    os.close(terminal)
    os.waitpid(pid, 0)
    return written.decode("utf-8", "surrogateescape")


def _payloads(scene: Scene) -> None:
    working("#!/bin/sh\ncat /srv/payloads\ncat /srv/payloads >&2\nexit 1\n")(scene)
    scene.victim.write("/srv/payloads", "\n".join(PAYLOADS) + "\n")
    scene.victim.sh("sed -i 's/^PRETTY_NAME=.*//' /etc/os-release")
    with Path(f"/proc/{scene.victim.init}/root/etc/os-release").open("a") as release:
        release.write('NAME="' + "\x1b]0;os\x07\u202e" + '"\n')


def _inert(scene: Scene) -> None:
    assert scene.said is not None
    harmless(scene.said.out.replace("\\u001b", ""))
    harmless(scene.said.err)
    name = scene.victim.name
    raw = re.compile("|".join(map(re.escape, ("\x1b]", "\x1b[2J", "\x1b[31mred", "\x1b[?1049h", "\x1bP", "\x9b"))))
    for argv in (
        ("run", "-t", name, "--", "cat", "/srv/payloads"),
        ("run", "--", "cat", "/srv/payloads"),
        ("run", "--stream", "--", "cat", "/srv/payloads"),
        ("apply", "--yes"),
        ("plan",),
        ("doctor", name),
        ("runs", "show", scene.said.json["run"]),
    ):
        for text in (on_terminal(scene, *argv), scene.run(*argv).err):
            harmless(text)
            found = raw.search(text)
            assert found is None, (argv, found)


row(
    Row(
        "V04",
        f"terminal escapes: {len(PAYLOADS)} payloads in output, errors and facts, through every command that prints",
        inject=_payloads,
        mend=mended,
        says=_inert,
        codes=(FAILED,),
        states=COMMAND.format(timeout=20),
        bound_s=60,
    )
)

# -- commands that do not end
# 987654: seconds that nobody else sleeps

SLEEPERS = {
    "V07.plain": ("sleeps for ever", "exec sleep 987654\n"),
    "V07.group": ("sleeps for ever with children in its group", "sleep 987654 & sleep 987654 & sleep 987654\n"),
    "V07.escaped": (
        "sleeps for ever with children in sessions of their own",
        "setsid sleep 987654 & setsid -f sleep 987654; sleep 987654\n",
    ),
    "V08.term": ("ignores TERM", "trap '' TERM INT HUP; while :; do sleep 987654; done\n"),
    "V08.fork": ("forks twice", "(setsid sh -c 'sleep 987654 & sleep 987654' &); sleep 987654\n"),
    "V08.setsid": (
        "children ignore TERM in sessions of their own",
        "setsid sh -c \"trap '' TERM; sleep 987654 & wait; sleep 987654\" & sleep 987654\n",
    ),
    "V08.nohup": ("nohup", "nohup sleep 987654 >/dev/null 2>&1 & sleep 987654\n"),
    "V08.stopped": ("stops itself", "kill -STOP $$\n"),
}


def no_sleeper(scene: Scene) -> None:
    left = scene.victim.exec(["ps", "-eo", "pid,args", "--no-headers"]).out
    assert "987654" not in left, left


def _ended(scene: Scene) -> None:
    no_sleeper(scene)
    told = document(scene)[scene.victim.name]
    assert told["outcome"] == "failed", told
    assert "did not end within 3 s" in told["reason"], told


def _ended_resource(scene: Scene) -> None:
    no_sleeper(scene)
    result = scene.results(scene.victim)["command:work"]
    assert result["outcome"] == "failed", result
    assert "did not end within 3 s" in json.dumps(result), result


for name, (title, text) in SLEEPERS.items():
    row(
        Row(
            f"{name}-run",
            f"a command {title}",
            inject=working("#!/bin/sh\n" + text),
            mend=mended,
            says=_ended,
            codes=(FAILED,),
            command=("run", "--timeout", "3", "-o", "json=said.json", "--", WORK),
            bound_s=30,
        )
    )
    row(
        Row(
            f"{name}-resource",
            f"a declared command {title}",
            inject=working("#!/bin/sh\n" + text),
            mend=mended,
            says=_ended_resource,
            codes=(FAILED,),
            states=COMMAND.format(timeout=3),
            bound_s=30,
        )
    )


def _at_once(scene: Scene) -> None:
    assert scene.said is not None
    assert scene.said.seconds < 12, scene.said


row(
    Row(
        "V08.daemon-run",
        "a daemon keeps the output of a command that has ended",
        inject=working(f"#!/bin/sh\nsetsid sleep 15 &\ntouch {DONE_MARK}\necho done\n"),
        mend=mended,
        says=_at_once,
        command=("run", "--json", "--", WORK),
        bound_s=30,
    )
)
row(
    Row(
        "V08.daemon-resource",
        "a daemon keeps the output of a declared command that has ended",
        inject=working(f"#!/bin/sh\nsetsid sleep 15 &\ntouch {DONE_MARK}\necho done\n"),
        mend=mended,
        states=COMMAND.format(timeout=60),
        bound_s=30,
    )
)
row(
    Row(
        "V09",
        "a command reads stdin",
        inject=working(f"#!/bin/sh\ncat\nread line\ntouch {DONE_MARK}\n"),
        mend=mended,
        says=_at_once,
        command=("run", "--json", "--", WORK),
        stdin="not for the host\n",
        bound_s=30,
    )
)


def _no_terminal(scene: Scene) -> None:
    told = scene.host_told()
    assert told["outcome"] == "failed", told
    assert "/dev/tty" in told["err"], told


row(
    Row(
        "V11.run",
        "a command prompts on /dev/tty",
        inject=working(f"#!/bin/sh\nprintf 'Password: ' >/dev/tty && read line </dev/tty && touch {DONE_MARK}\n"),
        mend=mended,
        says=_no_terminal,
        codes=(FAILED,),
        command=("run", "--json", "--", WORK),
        bound_s=30,
    )
)
row(
    Row(
        "V11.resource",
        "a declared command prompts on /dev/tty",
        inject=working(f"#!/bin/sh\nread line </dev/tty && touch {DONE_MARK}\n"),
        mend=mended,
        codes=(FAILED,),
        states=COMMAND.format(timeout=20),
        bound_s=30,
    )
)

# -- five hundred hosts: executors on this machine, whose memory and cache are theirs alone

MANY = 500
ALLOWED = 25  # 5 %
AT_ONCE = 50  # 10 %
OWN_PLACES = (
    *("unshare", "--mount", "--propagation", "private", "/bin/sh", "-ec"),
    'mount -t tmpfs tmpfs /var/lib; mount -t tmpfs tmpfs /var/cache; exec "$@"',
    "sh",
)


def _many_hosts(scene: Scene) -> None:
    scene.reach({f"sim{number:03}": {"connection": "local"} for number in range(MANY)})
    (scene.project.root / "did").mkdir()


def _did(scene: Scene) -> int:
    return len(list((scene.project.root / "did").iterdir()))


def _outcomes(scene: Scene) -> dict[str, int]:
    counts: dict[str, int] = {}
    for told in document(scene).values():
        counts[told["outcome"]] = counts.get(told["outcome"], 0) + 1
    assert sum(counts.values()) == MANY, counts
    return counts


def _stopped_by_errors(least: int, most: int) -> Callable[[Scene], None]:
    def says(scene: Scene) -> None:
        counts = _outcomes(scene)
        assert set(counts) == {"failed", "terminated"}, counts
        assert least <= counts["failed"] <= most, counts
        assert _did(scene) == counts["failed"], (counts, _did(scene))  # who is called terminated did nothing

    return says


def _cancelled(scene: Scene) -> None:
    said, counts = scene.said, _outcomes(scene)
    assert said is not None
    assert time.monotonic() - scene.injected["signalled"] < 60
    assert scene.injected["took"] < 5, scene.injected
    assert set(counts) <= {"ok", "terminated"}, counts
    assert counts["ok"] == _did(scene), (counts, _did(scene))
    assert counts["terminated"] > 0, counts


def _let_go(scene: Scene) -> None:
    counts = _outcomes(scene)
    assert scene.injected["took"] < 5, scene.injected
    assert counts["terminated"] >= MANY - 2 * AT_ONCE, counts
    assert counts.get("ok", 0) == 0, counts
    scene.wait_for(lambda: not _sleepers_here(scene), "that what the hosts ran has ended", 20)


def _sleepers_here(scene: Scene) -> list[str]:
    """Commands of the simulated hosts, which run on this machine, by the environment that they have from this row's command."""
    needle, found = str(scene.project.root).encode(), []
    for entry in Path("/proc").iterdir():
        try:
            if (
                entry.name.isdigit()
                and b"987654" in (entry / "cmdline").read_bytes()
                and needle in (entry / "environ").read_bytes()
            ):
                found.append(entry.name)
        except OSError:
            continue  # ended meanwhile
    return found


def _signals(after: int, times: int) -> Callable[[Scene], None]:
    """SIGINT when so many hosts have begun; what it took from the last one to the end."""

    def during(scene: Scene) -> None:
        assert scene.process is not None
        scene.wait_for(lambda: _did(scene) >= after, f"{after} hosts that began", 120)
        for number in range(times):
            if number:
                time.sleep(0.3)
            scene.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        scene.process.wait(60)
        scene.injected = {"signalled": began, "took": time.monotonic() - began}

    return during


MARK = 'mktemp -p "$1/did" >/dev/null; '
for variant, title, script, at_once, says, fields in (
    (
        "errors",
        "stops at the 26th, and what is in flight ends",
        "exit 1",
        "10%",
        _stopped_by_errors(26, 25 + AT_ONCE),
        {},
    ),
    ("exact", "one at a time stops at exactly 26", "exit 1", "1", _stopped_by_errors(26, 26), {}),
    (
        "cancel",
        "one Ctrl-C in the middle",
        "sleep 0.2",
        "10%",
        _cancelled,
        {"during": _signals(100, 1), "codes": (INTERRUPTED,)},
    ),
    (
        "let-go",
        "two Ctrl-C while commands run",
        'exec env ROW="$1" sleep 987654',
        "10%",
        _let_go,
        {"during": _signals(AT_ONCE, 2), "codes": (INTERRUPTED,)},
    ),
):
    row(
        Row(
            **{
                "id": f"V12.{variant}",
                "title": f"{MANY} hosts, errors up to 5 %: {title}",
                "inject": _many_hosts,
                "mend": lambda scene: scene.reach(),
                "says": says,
                "codes": (FAILED,),
                "command": (
                    *("run", "-t", "sim*", "--max-errors", "5%", "--max-concurrency", at_once),
                    *("-o", "json=said.json", "--", "sh", "-c", MARK + script, "sh", "{project}"),
                ),
                "prefix": OWN_PLACES,
                "witness": False,
                "bound_s": 240,
                **fields,
            }
        )
    )
