"""Networks: hosts that are away, silent, slow, cut off, or somebody else."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.relay import Relay
from tests.faults.row import DONE, REFUSED, UNREACHABLE, Row, row
from tests.faults.scene import Scene
from tests.lab import wan
from tests.lab.machine import LabHost
from tests.lab.places import run

CONTACT_S = 10  # what is announced for name, TCP, banner, key exchange and login together
LOST_S = 30  # a lost link is noticed within


def unreachable(cause: str, within_s: float = 0) -> Callable[[Scene], None]:
    """The victim is unreachable, for this cause, told with the next step; `within_s`: of the whole command."""

    def says(scene: Scene) -> None:
        told = scene.host_told()
        assert told["outcome"] == "unreachable", told
        assert cause in told["reason"], told
        assert not within_s or scene.said is None or scene.said.seconds < within_s, scene.said

    return says


# -- nothing there, nothing listening, nothing said


def _link(scene: Scene, state: str) -> None:
    run(["ip", "-netns", scene.victim.namespace, "link", "set", "eth0", state])


row(
    Row(
        "N01",
        "the host is down",
        inject=lambda scene: _link(scene, "down"),
        mend=lambda scene: (_link(scene, "up"), scene.victim.wait_ssh())[1],
        says=unreachable("no answer"),
        doctor="no answer",
        codes=(UNREACHABLE,),
        bound_s=25,
    )
)
row(
    Row(
        "N02",
        "refused: no sshd",
        inject=lambda scene: scene.victim.stop_sshd(),
        mend=lambda scene: scene.victim.start_sshd(),
        says=unreachable("connection refused"),
        doctor="connection refused",
        codes=(UNREACHABLE,),
        bound_s=20,
    )
)
row(
    Row(
        "N03",
        "black hole: nothing answers, and nothing says so",
        inject=lambda scene: scene.victim.cut(port=22),
        mend=lambda scene: scene.victim.heal(),
        says=unreachable("no answer in 10 s"),
        doctor="no answer in 10 s",
        codes=(UNREACHABLE,),
        bound_s=25,
    )
)


def _hundred(scene: Scene) -> None:
    scene.victim.cut(port=22)
    dead = {f"hole{number:03}": {"address": scene.victim.address, "user": "root"} for number in range(99)}
    scene.reach(dead)


def _hundred_away(scene: Scene) -> None:
    assert scene.said is not None
    told = scene.said.json["hosts"]
    away = [name for name, one in told.items() if "no answer in 10 s" in one["reason"]]
    assert len(away) == 100, scene.said


row(
    Row(
        "N03.hundred",
        "a hundred black holes do not queue behind each other: 101 hosts, 50 at once, three times 10 s",
        inject=_hundred,
        mend=lambda scene: (scene.victim.heal(), scene.reach())[1],
        says=_hundred_away,
        codes=(UNREACHABLE,),
        bound_s=15 + 3 * CONTACT_S,
    )
)

# -- something else listens where sshd should

SILENT = "import socket, time; held = []; s = socket.create_server(('', 22))\nwhile True: held.append(s.accept())"
BANNER = (
    "import socket; held = []; s = socket.create_server(('', 22))\n"
    "while True: held.append(s.accept()); held[-1][0].sendall(b'SSH-2.0-slow\\r\\n')"
)
DRIBBLE = (
    "import socket, time, threading; s = socket.create_server(('', 22))\n"
    "def drip(c):\n"
    "    while True: c.sendall(b'.'); time.sleep(1)\n"
    "while True: threading.Thread(target=drip, args=(s.accept()[0],), daemon=True).start()"
)
SHUT = "import socket; s = socket.create_server(('', 22))\nwhile True: s.accept()[0].close()"


def listener(program: str) -> Callable[[Scene], subprocess.Popen[bytes]]:
    """Stop sshd and let a Python program listen in its place; it runs in the host's network, outside of its processes."""

    def inject(scene: Scene) -> subprocess.Popen[bytes]:
        scene.victim.stop_sshd()
        process = subprocess.Popen(
            ["ip", "netns", "exec", scene.victim.namespace, sys.executable, "-c", program], stderr=subprocess.DEVNULL
        )
        wait_listening(scene)
        return process

    return inject


def wait_listening(scene: Scene) -> None:
    def listening() -> bool:
        return bool(run(["ip", "netns", "exec", scene.victim.namespace, "ss", "-Hltn", "sport = 22"]).strip())

    scene.wait_for(listening, "somebody who listens on port 22")


def sshd_again(scene: Scene) -> None:
    if scene.injected is not None:
        scene.injected.kill()
        scene.injected.wait()
    scene.victim.start_sshd()


for variant, title, program, cause, doctor in (
    ("", "accepts and says nothing", SILENT, "no SSH banner in 10 s", "no SSH banner in 10 s"),
    (".banner", "shows a banner and stops", BANNER, "no SSH key exchange in 10 s", "no SSH key exchange in 10 s"),
    (".drip", "sends a character a second", DRIBBLE, "no SSH banner in 10 s", "no SSH banner in 10 s"),
    (".shut", "accepts and closes", SHUT, "closed before SSH began", "closed before SSH began"),
):
    row(
        Row(
            f"N04{variant}",
            f"tarpit: {title}",
            inject=listener(program),
            mend=sshd_again,
            says=unreachable(cause),
            doctor=doctor,
            codes=(UNREACHABLE,),
            bound_s=45 if variant == ".shut" else 15 + CONTACT_S,
        )
    )

FAKE_SSHD = """\
import asyncio, asyncssh, sys
class Server(asyncssh.SSHServer):
    def begin_auth(self, username): return False
    def session_requested(self):
        async def never(): await asyncio.sleep(3600)
        return never()
async def main():
    await asyncssh.listen('', 22, server_host_keys=[sys.argv[1]], server_factory=Server)
    await asyncio.sleep(3600)
asyncio.run(main())
"""


def _never_a_channel(scene: Scene) -> subprocess.Popen[bytes]:
    scene.victim.stop_sshd()
    process = subprocess.Popen(
        [
            *("ip", "netns", "exec", scene.victim.namespace, sys.executable, "-c", FAKE_SSHD),
            str(scene.victim.place / "ssh_host_ed25519_key"),
        ],
        stderr=subprocess.DEVNULL,
    )
    wait_listening(scene)
    return process


def sshd_says(scene: Scene, *lines: str) -> None:
    """Settings of the victim's sshd; none: as it was."""
    path = "/etc/ssh/sshd_config.d/00-row.conf"
    if lines:
        scene.victim.write(path, "".join(f"{line}\n" for line in lines))
    else:
        scene.victim.exec(["rm", "-f", path])
    scene.victim.exec(["systemctl", "restart", "ssh.service"])
    scene.victim.wait_ssh()


row(
    Row(
        "N05.channel",
        "tarpit after login: no channel is ever opened",
        inject=_never_a_channel,
        mend=sshd_again,
        says=unreachable("no start of the executor in 10 s"),
        doctor="no start of the executor in 10 s",
        codes=(UNREACHABLE,),
        bound_s=40,
    )
)
row(
    Row(
        "N05.hello",
        "tarpit after login: the executor never says a word",
        inject=lambda scene: sshd_says(scene, "ForceCommand sleep 3600"),
        mend=sshd_says,
        says=unreachable("did not start in"),
        doctor="did not run a command in 20 s",
        codes=(UNREACHABLE,),
        bound_s=45,
    )
)

# -- slow and lossy


def _far_away(scene: Scene) -> tuple[wan.Relay, float]:
    clean = scene.run("plan", "--json")
    assert clean.code == DONE, clean
    relay = wan.start(scene.victim, one_way_ms=40, loss=0.05)
    scene.reach(address=relay.there, host_key=scene.victim.host_key)
    return relay, clean.seconds


def _near_again(scene: Scene) -> None:
    if scene.injected is not None:
        scene.injected[0].stop()
    scene.reach()


def _twenty_more(scene: Scene) -> None:
    """No false failure in 20 of 20; on average within three times the clean time and 20 round trips (one lost packet may cost seconds)."""
    clean_s, took = scene.injected[1], []
    for _ in range(20):
        said = scene.run("plan", "--json", limit_s=60)
        assert said.code == DONE, said
        took.append(said.seconds)
    assert sum(took) / len(took) < 3 * clean_s + 20 * 0.08, f"clean {clean_s:.1f} s, then {took}"


row(
    Row(
        "N06",
        "80 ms and 5 % loss",
        inject=_far_away,
        mend=_near_again,
        says=_twenty_more,
        doctor="the link is slow",
        bound_s=60,
    )
)

# -- cut off in the middle


def cut_when(path: str) -> Callable[[Scene], None]:
    """All traffic is lost from the moment at which the run has made this path."""

    def during(scene: Scene) -> None:
        scene.exists_soon(path)
        scene.victim.cut()

    return during


def _lost_in_time(scene: Scene) -> None:
    told = scene.host_told()
    assert told["outcome"] in ("unknown", "unreachable", "changed"), told
    if told["outcome"] != "changed":
        assert told["code"] in ("E302", "E310"), told


row(
    Row(
        "N08",
        "the link is cut in mid-run and stays cut",
        during=cut_when("/etc/work/large.conf"),
        mend=lambda scene: scene.victim.heal(),
        says=_lost_in_time,
        doctor="no answer in 10 s",
        codes=(UNREACHABLE,),
        bound_s=20 + LOST_S,
        lost=True,
    )
)


def _through_relay(after: int) -> Callable[[Scene], Relay]:
    """The way to the victim goes through a relay that falls silent for good after so many pieces of answer."""

    def inject(scene: Scene) -> Relay:
        relay = Relay(scene.victim.address, 22, silent_after=after)
        scene.reach(address="127.0.0.1", port=relay.port, host_key=scene.victim.host_key)
        return relay

    return inject


def _direct_again(scene: Scene) -> None:
    if scene.injected is not None:
        scene.injected.close()
    scene.reach()


# A whole run is about 50 pieces: banner to login, the executor's first words, verdicts, then a result each, the last word
for after in (2, 6, 10, 14, 18, 22, 26, 30, 36, 44):
    row(
        Row(
            f"N08.{after:02}",
            f"the link falls silent after {after} pieces of answer",
            inject=_through_relay(after),
            mend=_direct_again,
            says=_lost_in_time,
            codes=(DONE, UNREACHABLE),
            bound_s=20 + LOST_S,
            lost=True,
        )
    )


def _cut_for_five_seconds(scene: Scene) -> None:
    scene.exists_soon("/etc/work/large.conf")
    scene.victim.cut()
    time.sleep(5)
    scene.victim.heal()


row(Row("N09", "the link is cut for 5 s and comes back", during=_cut_for_five_seconds, bound_s=60))

# -- somebody else, or not yet known


def _other_key(scene: Scene) -> None:
    scene.victim.sh(
        "mkdir -p /root/keys; cp -p /etc/ssh/ssh_host_ed25519_key* /root/keys/; rm /etc/ssh/ssh_host_ed25519_key*"
    )
    scene.victim.sh("ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh")
    scene.victim.wait_ssh()
    scene.victim.sh("journalctl --rotate -q; journalctl --vacuum-time=1s -q")


def _own_key(scene: Scene) -> None:
    scene.victim.sh("mv /root/keys/* /etc/ssh/; rmdir /root/keys; systemctl restart ssh")
    scene.victim.wait_ssh()


def _fingerprint(scene: Scene, path: str) -> str:
    return scene.victim.sh(f"ssh-keygen -l -f {path}").split()[1]


def _no_login(scene: Scene) -> None:
    log = scene.victim.sh("journalctl -o cat -u ssh --no-pager")
    assert "Accepted" not in log, log  # no login, so nothing of ours was sent


def _key_changed(scene: Scene) -> None:
    told = scene.host_told()
    new = _fingerprint(scene, "/etc/ssh/ssh_host_ed25519_key.pub")
    old = _fingerprint(scene, "/root/keys/ssh_host_ed25519_key.pub")
    assert f"host key changed: shown {new}, on file {old}" in told["reason"], told
    assert f"statectl inventory trust --replace {scene.victim.name}" in scene.run("plan").out
    _no_login(scene)
    assert scene.victim.host_key in _known_hosts(scene).read_text()


def _known_hosts(scene: Scene) -> Path:
    return scene.project.home / ".ssh" / "known_hosts"


row(
    Row(
        "N14",
        "the host key changed",
        inject=_other_key,
        mend=_own_key,
        says=_key_changed,
        doctor="host key changed",
        codes=(REFUSED,),
        bound_s=30,
    )
)


def _forget(scene: Scene) -> str:
    known = _known_hosts(scene).read_text()
    _known_hosts(scene).write_text(
        "".join(line for line in known.splitlines(True) if scene.victim.host_key not in line)
    )
    scene.victim.sh("journalctl --rotate -q; journalctl --vacuum-time=1s -q")
    return known


def _key_unknown(scene: Scene) -> None:
    told = scene.host_told()
    shown = _fingerprint(scene, "/etc/ssh/ssh_host_ed25519_key.pub")
    assert f"host key unknown: shown {shown}" in told["reason"], told
    assert f"statectl inventory trust {scene.victim.name}" in scene.run("plan").out
    _no_login(scene)


row(
    Row(
        "N15",
        "an unknown key at first contact",
        inject=_forget,
        mend=lambda scene: scene.run("inventory", "trust", scene.victim.name, "--yes") and None,
        says=_key_unknown,
        doctor="host key unknown",
        codes=(REFUSED,),
        bound_s=30,
    )
)

# -- a narrow door


def _few_at_a_time(scene: Scene) -> None:
    sshd_says(scene, "MaxStartups 2:100:2")
    many = {f"door{number:02}": {"address": scene.victim.address, "user": "root"} for number in range(49)}
    scene.reach(many)


def _fifty_of_fifty(scene: Scene) -> None:
    assert scene.said is not None
    outcomes = [told["outcome"] for told in scene.said.json["hosts"].values()]
    assert outcomes == ["ok"] * 51, scene.said


row(
    Row(
        "N16.startups",
        "MaxStartups 2:100:2 and fifty logins at once",
        inject=_few_at_a_time,
        mend=lambda scene: (sshd_says(scene), scene.reach())[1],
        says=_fifty_of_fifty,
        doctor="executor",
        command=("run", "--json", "--", "true"),
        bound_s=120,
    )
)
row(
    Row(
        "N16.sessions",
        "MaxSessions 1",
        inject=lambda scene: sshd_says(scene, "MaxSessions 1"),
        mend=sshd_says,
        doctor="executor",
    )
)


def _six_keys(scene: Scene) -> None:
    sshd_says(scene, "MaxAuthTries 2")
    ssh = scene.project.home / ".ssh"
    for number in range(5):
        if not (ssh / f"other{number}").exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ssh / f"other{number}"])
    scene.reach(identity_files=[*(str(ssh / f"other{number}") for number in range(5)), str(ssh / "id_ed25519")])


row(
    Row(
        "N16.tries",
        "MaxAuthTries 2 with six keys, the right one last",
        inject=_six_keys,
        mend=lambda scene: (sshd_says(scene), scene.reach())[1],
        doctor="executor",
    )
)

# -- behind a jump host


def _behind(scene: Scene) -> None:
    bastion, other = scene.extras
    (scene.project.home / ".ssh" / "config").unlink()
    with _known_hosts(scene).open("a") as known:
        known.write("".join(f"{host.address} {host.host_key}\n" for host in scene.extras))
    jump = [f"root@{bastion.address}"]
    for name in ("adopted.conf",):
        other.sh("mkdir -m 0750 -p /etc/work")
        other.write(f"/etc/work/{name}", "old, and not ours\n", 0o640)
    scene.reach({other.name: {"address": other.address, "user": "root", "jump": jump}}, jump=jump)


def _kill_sshd(host: LabHost) -> None:
    host.exec(["systemctl", "stop", "ssh.service", "ssh.socket"], check=False)
    host.sh("kill -KILL $(pidof sshd)", check=False)


def _bastion_dies(how: Callable[[LabHost], None]) -> Callable[[Scene], None]:
    def during(scene: Scene) -> None:
        scene.exists_soon("/etc/work/large.conf")
        how(scene.extras[0])

    return during


def _one_cause(scene: Scene) -> None:
    bastion, other = scene.extras
    told = [{"outcome": one["outcome"], "reason": one["reason"]} for one in map(scene.host_told, (scene.victim, other))]
    assert [one["outcome"] for one in told] == ["unknown", "unknown"], told
    assert told[0]["reason"] == told[1]["reason"], told
    assert bastion.address in told[0]["reason"], told
    text = (scene.project.root / "said.txt").read_text()
    assert text.count(told[0]["reason"]) == 1, text


def _bastion_back(scene: Scene) -> None:
    bastion = scene.extras[0]
    bastion.heal()
    bastion.exec(["systemctl", "start", "ssh.service"], check=False)
    bastion.wait_ssh()


PAUSED = """\
associations:
  pause:
    targets: all
    commands:
      pause: {run: [sh, -c, "sleep 5; touch /srv/paused"], creates: /srv/paused}
"""
for variant, title, how, doctor in (
    ("killed", "is killed", _kill_sshd, "connection refused"),
    ("silent", "falls silent", lambda host: host.cut(), "no answer in 10 s"),
):
    row(
        Row(
            f"N18.{variant}",
            f"the jump host {title} in mid-run",
            inject=_behind,
            during=_bastion_dies(how),
            mend=_bastion_back,
            says=_one_cause,
            doctor=doctor,
            codes=(UNREACHABLE,),
            command=("apply", "--yes", "-o", "json", "-o", "text=said.txt"),
            states=PAUSED,
            slower_s=5,
            bound_s=20 + LOST_S,
            lost=True,
            extras=2,
        )
    )

# -- IPv6


def _spelled(scene: Scene, spelling: str) -> str:
    address = scene.victim.address6
    head, _, tail = address.partition("::")
    groups = [*head.split(":"), *["0"] * (8 - len(head.split(":")) - len(tail.split(":"))), *tail.split(":")]
    return {
        "plain": address,
        "brackets": f"[{address}]",
        "upper": address.upper(),
        "long": ":".join(group.zfill(4) for group in groups),
        "mapped": f"::ffff:{scene.victim.address}",
        "zone": _link_local(scene),
    }[spelling]


def _link_local(scene: Scene) -> str:
    shown = run(["ip", "-netns", scene.victim.namespace, "-6", "-o", "address", "show", "dev", "eth0", "scope", "link"])
    return f"{shown.split()[3].partition('/')[0]}%slab{scene.victim.slot}"


def _version_six(spelling: str) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        (scene.project.home / ".ssh" / "config").unlink(missing_ok=True)
        scene.reach(address=_spelled(scene, spelling))
        trusted = scene.run("inventory", "trust", scene.victim.name, "--yes")
        assert trusted.code == DONE, trusted

    return inject


for spelling in ("plain", "brackets", "upper", "long", "mapped", "zone"):
    row(
        Row(
            f"N20.{spelling}",
            f"IPv6, address written as: {spelling}",
            inject=_version_six(spelling),
            mend=lambda scene: None,
            doctor="executor",
        )
    )
