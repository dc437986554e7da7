"""The six oracles. A fault is survived only where all six hold; each raises Broken with its name and what it saw."""

import base64
import re
import time
from pathlib import Path
from typing import Any

from tests.faults.row import KILLED, Row
from tests.faults.scene import LARGE, OLD, Scene, inside, shown
from tests.lab.machine import LabHost
from tests.lab.project import Said

CLAIMS = {"ok", "changed"}  # outcomes that say: it is as declared
STRAY = r"find /etc /srv /usr/local /root /home /var/lib/statectl /var/cache/statectl -xdev -name '.statectl-*.tmp' 2>/dev/null"
GONE_WITHIN_S = 20


class Broken(AssertionError):
    """One oracle does not hold."""

    def __init__(self, oracle: str, seen: object) -> None:
        super().__init__(f"{oracle}: {seen}")
        self.oracle = oracle


class Slow(Broken):
    """The other host took too long, unless the machine itself has become slower since the clean time was taken."""


def ends(row: Row, said: Said) -> None:
    """O1: the command ends within its bound, with an exit code of the table, and never with a traceback."""
    if said.seconds > row.bound_s:
        raise Broken("O1 ends", f"{said.seconds:.1f} s, bound {row.bound_s:g} s\n{shown(said)}")
    if said.code not in ((KILLED, *row.codes) if row.silent else row.codes):
        raise Broken("O1 ends", f"exit {said.code}, expected {row.codes}\n{shown(said)}")
    if "Traceback" in said.out + said.err:
        raise Broken("O1 ends", f"a traceback\n{shown(said)}")


def alone(scene: Scene) -> None:
    """O4: the command leaves no process behind on its own machine."""
    if scene.left_here:
        raise Broken("O4 no damage", f"still running on this machine: {scene.left_here}")


def isolated(row: Row, scene: Scene, said: Said, clean_s: float) -> None:
    """O2: the other host gets there all the same, in 1.2 times the clean time (a second is granted for the machine's own noise)."""
    if row.silent or not row.witness:
        return
    if row.command[0] == "apply":
        wrong = [address for address, right in scene.truth(scene.witness).items() if not right]
        if wrong:
            raise Broken("O2 isolated", f"{scene.witness.name} has not: {', '.join(wrong)}\n{shown(said)}")
    elif row.command[0] == "run" and '"hosts"' in said.out:
        told = scene.host_told(scene.witness, said)
        if told and told["outcome"] != "ok":
            raise Broken("O2 isolated", f"{scene.witness.name} is {told['outcome']}\n{shown(said)}")
    if '"hosts"' in said.out:
        seconds = scene.host_told(scene.witness, said).get("seconds")
        if seconds is not None and seconds > 1.2 * clean_s + 1:
            raise Slow("O2 isolated", f"{scene.witness.name} took {seconds:.1f} s, clean {clean_s:.1f} s")


def true(row: Row, scene: Scene, said: Said) -> None:
    """O3: what is called ok or changed is so on the host itself; `unknown` only where the channel was lost."""
    if row.silent or '"hosts"' not in said.out:
        return
    for host in (scene.victim, scene.witness):
        if not host.alive:
            continue
        truth = scene.truth(host)
        for address, result in scene.results(host, said).items():
            if result["outcome"] in CLAIMS and truth.get(address) is False:
                raise Broken(
                    "O3 true", f"{host.name}/{address} is called {result['outcome']} and is not\n{shown(said)}"
                )
            if result["outcome"] == "unknown" and not (row.lost and host is scene.victim):
                raise Broken(
                    "O3 true", f"{host.name}/{address} is unknown though the channel was not lost\n{shown(said)}"
                )


def resolved(row: Row, scene: Scene, said: Said) -> None:
    """O3: what was unknown because the channel was lost is known after the next contact."""
    if row.silent or '"hosts"' not in said.out or "run" not in said.json or not said.json["run"]:
        return
    unknown = {name for name, told in said.json["hosts"].items() if told["outcome"] == "unknown"}
    if unknown:
        shown = scene.run("runs", "show", said.json["run"], "--json")
        still = {name for name, told in shown.json["hosts"].items() if told["outcome"] == "unknown"} & unknown
        if still:
            raise Broken("O3 true", f"still unknown after the next contact: {', '.join(sorted(still))}\n{shown}")


def undamaged(scene: Scene, *, healed: bool) -> None:
    """O4: files old or new; dpkg complains of nothing new; once healed no stray temporary file, process, lock or mount of ours."""
    for host in (scene.victim, scene.witness):
        if not host.alive:
            continue
        whole_files(scene, host)
        if healed:
            now, before = inside(host), scene.before[host.name]
            if now["audit"] and now["audit"] != before["audit"]:
                raise Broken("O4 no damage", f"dpkg --audit on {host.name}: {now['audit']}")
            if now["mounts"] != before["mounts"]:
                raise Broken("O4 no damage", f"mounts on {host.name}: {before['mounts']} -> {now['mounts']}")
            stray = host.sh(STRAY, check=False)
            if stray:
                raise Broken("O4 no damage", f"left behind on {host.name}: {stray}")
            _nobody_left(host)


def whole_files(scene: Scene, host: LabHost) -> None:
    """O4: each file of the workload is what it was, or what it was to become, or not there yet."""
    allowed = {
        "/etc/work/adopted.conf": {OLD, f"new {host.name}\n"},
        "/etc/work/large.conf": {LARGE},
        "/etc/work/secret.conf": {scene.canary + "\n"},
        "/etc/work/service.conf": {"one\n"},
    }
    for path, contents in allowed.items():
        if host.exists(path):
            text = host.read(path)
            if text not in contents:
                raise Broken("O4 no damage", f"{path} on {host.name} is neither old nor new ({len(text)} characters)")
        elif path == "/etc/work/adopted.conf":
            raise Broken("O4 no damage", f"{path} on {host.name} is gone")


def _nobody_left(host: LabHost) -> None:
    """An executor that lost its controller may finish what it has in hand; then nothing of ours lives there."""
    end = time.monotonic() + GONE_WITHIN_S
    while True:
        left = processes_of_ours(host)
        if not left:
            return
        if time.monotonic() > end:
            raise Broken("O4 no damage", f"still running on {host.name}: {left}")
        time.sleep(0.1)


def processes_of_ours(host: LabHost) -> list[str]:
    """Command lines of executors, and of whatever an executor started (it carries a mark in its environment)."""
    marked = set(host.sh("grep -lsaz '^STATECTL_PROCESS=' /proc/[0-9]*/environ", check=False).split())
    found = []
    for line in host.exec(["ps", "-eo", "pid,args", "--no-headers"]).out.splitlines():
        pid, _, args = line.strip().partition(" ")
        ours = re.search(r"python3? .*(statectl|-c import)", args)
        # a daemon that a service manager or a package's script started rightly is not ours
        if ours or (f"/proc/{pid}/environ" in marked and not args.startswith("/usr/sbin/")):
            found.append(args)
    return found


def heals(row: Row, scene: Scene) -> None:
    """O5: the same command once: converged; once more: nothing changed. No manual step in between."""
    first = scene.run("apply", "--yes", "--json", "--lock-timeout", "60")
    if first.code != row.heal_code:
        raise Broken("O5 heals", f"the next run exits {first.code}\n{shown(first)}")
    for host in (scene.victim, scene.witness):
        wrong = [address for address, right in scene.truth(host).items() if not right]
        if wrong:
            raise Broken("O5 heals", f"after the next run {host.name} has not: {', '.join(wrong)}\n{shown(first)}")
    second = scene.run("apply", "--yes", "--json")
    touched = [
        f"{name}/{entry['address']} {entry['outcome']}"
        for name, told in second.json["hosts"].items()
        for entry in told["results"]
        if entry["outcome"] != "ok"
    ]
    if second.code != 0 or touched:
        raise Broken("O5 heals", f"the run after that changed {touched}\n{shown(second)}")


def kept(scene: Scene, acknowledged: set[str], said: Said) -> None:
    """O6: every run that was told is still in the history with its results, and the secret is in no sink on either side."""
    listed = scene.run("runs", "list", "--json", "--limit", "1000")
    known = {run["id"] for run in listed.json["runs"]}
    if acknowledged - known:
        raise Broken("O6 kept", f"runs {sorted(acknowledged - known)} are no longer in the history")
    places: dict[str, Any] = {"stdout": said.out, "stderr": said.err, "history": listed.out}
    for name, text in places.items():
        if scene.canary in text:
            raise Broken("O6 kept", f"the secret stands in {name}")
    for path in scene.project.root.rglob("*"):
        if path.is_file() and ".git" not in path.parts and path.name != "work.yml" and _holds(path, scene.canary):
            raise Broken("O6 kept", f"the secret stands in {path.relative_to(scene.project.root)}")
    for host in (scene.victim, scene.witness):
        where = secret_places(scene, host)
        if where:
            raise Broken("O6 kept", f"the secret stands in {where[0]} of {host.name}")


def secret_places(scene: Scene, host: LabHost) -> list[Path]:
    """Files that were written on a host, other than the one that is to hold it, in which the secret stands."""
    own = host.upper / "etc/work/secret.conf"
    holding = (path for path in _written(host.upper) if path != own and _holds(path, scene.canary))
    return [path.relative_to(host.upper) for path in holding]


def _holds(path: Path, secret: str) -> bool:
    data = path.read_bytes()
    return any(needle in data for needle in _spellings(secret))


def _spellings(secret: str) -> list[bytes]:
    """Raw, hexadecimal, and base64 in each of its three alignments, without the characters that depend on what stands beside it."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"\0" * shift + raw)[4 * (shift > 0) : len(raw) * 4 // 3 - 4] for shift in range(3)]
    return [raw, raw.hex().encode(), *shifted]


def _written(upper: Path) -> list[Path]:
    return [path for path in upper.rglob("*") if path.is_file() and not path.is_symlink()]
