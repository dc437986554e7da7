"""The scene of every row: two hosts with the same workload, one of them meets the fault; probes that ask the host itself."""

import json
import os
import secrets
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.looking import look
from tests.lab.machine import LabHost
from tests.lab.project import LabProject, Said

WORKLOAD = """\
associations:
  work:
    targets: all
    packages: [lab-service-01, lab-tool-01]
    unix_groups: {{crew: {{}}}}
    users: {{sailor: {{groups: [crew], home: /srv/sailor}}}}
    directories: {{/etc/work: {{mode: "0750"}}}}
    files:
      /etc/work/adopted.conf: {{content: "new {{{{ host.name }}}}\\n", owner: daemon, group: daemon, mode: "0640"}}
      /etc/work/large.conf: {{content: "{{{{ 'a line of some length, many times\\n' * 6000 }}}}"}}
      /etc/work/secret.conf: {{content: "{canary}\\n", sensitive: true}}
      /etc/work/service.conf: {{content: "one\\n", notify: "service:lab-service-01"}}
    links: {{/etc/work/link: adopted.conf}}
    services: {{lab-service-01: {{state: running, enabled: true}}}}
"""
OLD = "old, and not ours\n"
LARGE = "a line of some length, many times\n" * 6000


class Scene:
    """What a row's functions are given. `victim` meets the fault, `witness` does not."""

    def __init__(self, place: Path, hosts: Sequence[LabHost], *, states: str = "", user: str = "root") -> None:
        self.victim, self.witness, *self.extras = hosts
        self.canary = "canary-" + secrets.token_hex(12)
        self.project = LabProject(place, [self.victim, self.witness], user=user)
        self.project.write("states/work.yml", WORKLOAD.format(canary=self.canary))
        if states:
            self.project.write("states/row.yml", states)
        self.project.commit("workload")
        self.prepared: Any = None
        self.closers: list[Callable[[], object]] = []  # called at the end, the last one first
        self.injected: Any = None
        self.process: subprocess.Popen[bytes] | None = None
        self.said: Said | None = None  # of the command that met the fault
        self.before: dict[str, Any] = {}
        self.left_here: list[str] = []  # what the command that met the fault left running on this machine
        for host in (self.victim, self.witness):
            host.sh("mkdir -m 0750 -p /etc/work")
            host.write("/etc/work/adopted.conf", OLD, 0o640)
            host.sh("chown daemon:daemon /etc/work/adopted.conf")
            self.before[host.name] = inside(host)

    def reach(self, more: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> None:
        """Write the inventory anew: the victim with these connection fields (None takes one away), and more hosts. Without any: as it was."""
        hosts: dict[str, dict[str, Any]] = {
            host.name: {"address": host.address, "user": "root", "groups": list(host.groups)}
            for host in (self.victim, self.witness)
        }
        hosts[self.victim.name] |= fields
        hosts[self.victim.name] = {key: value for key, value in hosts[self.victim.name].items() if value is not None}
        document = {
            "hosts": {**hosts, **{name: dict(said) for name, said in (more or {}).items()}},
            "groups": {group: {} for host in (self.victim, self.witness) for group in host.groups},
        }
        self.project.write("inventories/lab/hosts.yml", json.dumps(document, indent=1) + "\n")
        self.project.commit("inventory")

    # -- the command -------------------------------------------------------------------------------------------------

    def run(
        self,
        *argv: str,
        during: Callable[["Scene"], None] | None = None,
        limit_s: float = 180,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        prefix: Sequence[str] = (),
    ) -> Said:
        """Run statectl in the project; `during` goes along in a thread, and what it raises is raised here."""
        words, cwd, environment = self.command(argv)
        began = time.monotonic()
        self.process = subprocess.Popen(
            [*prefix, *words],
            cwd=cwd,
            env={**environment, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        trouble: list[BaseException] = []

        def along() -> None:
            try:
                if during is not None:
                    during(self)
            except BaseException as error:  # noqa: BLE001  raised below, in the thread that judges
                trouble.append(error)

        thread = threading.Thread(target=along)
        thread.start()
        try:
            out, err = self.process.communicate(stdin.encode(), limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            out, err = self.process.communicate()
            err += f"\nkilled: still running after {limit_s:.0f} s\n".encode()
        seconds = time.monotonic() - began
        self.left_here = _session(self.process.pid)
        thread.join()
        if trouble:
            raise trouble[0]
        return Said(
            argv,
            self.process.returncode,
            out.decode(errors="backslashreplace"),
            err.decode(errors="backslashreplace"),
            seconds,
        )

    def command(self, argv: Sequence[str]) -> tuple[list[str], Path, dict[str, str]]:
        """-> (words, working directory, environment)"""
        return [sys.executable, "-m", "statectl", *argv], self.project.root, self.project.environment()

    def results(self, host: LabHost, said: Said | None = None) -> dict[str, dict[str, Any]]:
        """address -> result of one host, as the command printed it in JSON."""
        told = (said or self.said).json["hosts"].get(host.name, {})  # type: ignore[union-attr]
        return {entry["address"]: entry for entry in told.get("results", [])}

    def host_told(self, host: LabHost | None = None, said: Said | None = None) -> dict[str, Any]:
        """All that the command printed in JSON about a host (the victim)."""
        return dict((said or self.said).json["hosts"].get((host or self.victim).name, {}))  # type: ignore[union-attr]

    # -- moments -----------------------------------------------------------------------------------------------------

    def wait_for(self, condition: Callable[[], object], what: str, limit_s: float = 30) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {limit_s:g} s: {what}")
            time.sleep(0.01)

    def exists_soon(self, path: str, host: LabHost | None = None, limit_s: float = 30) -> None:
        """Until a path exists on the host: the moment in a run when a certain resource has been written."""
        at = host or self.victim
        self.wait_for(lambda: at.exists(path), f"{path} on {at.name}", limit_s)

    # -- what the hosts really hold ----------------------------------------------------------------------------------

    def truth(self, host: LabHost) -> dict[str, bool]:
        """address -> is it as declared? Asked through the host's namespaces, never through statectl."""
        seen = look(host)
        secret = self.canary + "\n"

        def text(path: str, content: str, mode: int, owner: str = "root") -> bool:
            found = host.stat(path)
            return bool(
                found is not None
                and stat.S_ISREG(found.st_mode)
                and stat.S_IMODE(found.st_mode) == mode
                and found.st_uid == {"root": 0, "daemon": 1}[owner]
                and host.read(path) == content
            )

        user = seen.user("sailor")
        service = seen.service("lab-service-01")
        directory, link = host.stat("/etc/work"), host.stat("/etc/work/link")
        return {
            "package:lab-service-01": seen.package("lab-service-01").is_installed,
            "package:lab-tool-01": seen.package("lab-tool-01").is_installed,
            "unix_group:crew": seen.group("crew").exists,
            "user:sailor": bool(user.exists and "crew" in user.groups),
            "directory:/etc/work": bool(directory and directory.st_mode == stat.S_IFDIR | 0o750),
            "file:/etc/work/adopted.conf": text("/etc/work/adopted.conf", f"new {host.name}\n", 0o640, "daemon"),
            "file:/etc/work/large.conf": text("/etc/work/large.conf", LARGE, 0o644),
            "file:/etc/work/secret.conf": text("/etc/work/secret.conf", secret, 0o600),
            "file:/etc/work/service.conf": text("/etc/work/service.conf", "one\n", 0o644),
            "link:/etc/work/link": bool(
                link and stat.S_ISLNK(link.st_mode) and host.sh("readlink /etc/work/link") == "adopted.conf"
            ),
            "service:lab-service-01": bool(service.is_running and service.is_enabled),
        }


def shown(said: Said) -> str:
    """What the command said, without what went well."""
    try:
        hosts = json.loads(said.out)["hosts"]
    except (ValueError, KeyError, TypeError):
        return str(said)
    lines = [f"$ statectl {' '.join(said.argv)}", f"exit {said.code} after {said.seconds:.1f} s"]
    for name, told in hosts.items():
        lines.append(f"{name}: {told['outcome']}: {told.get('reason', '')}")
        lines += [
            f"  {entry['address']}: {entry['outcome']}: {entry.get('error') or entry.get('reason')}"
            for entry in [*told.get("results", ()), *told.get("notified", ())]
            if entry["outcome"] not in ("ok", "changed")
        ]
    return "\n".join([*lines, "--- stderr", said.err[-3000:]])


def _session(leader: int) -> list[str]:
    """Command lines of what still runs in the session that a process of ours began; not of what has ended and waits to be reaped."""
    done = subprocess.run(["ps", "-s", str(leader), "-o", "stat=,args="], capture_output=True, text=True, check=False)
    found = (line.split(None, 1) for line in done.stdout.splitlines())
    return [args for state, args in found if not state.startswith("Z")]


def inside(host: LabHost) -> dict[str, Any]:
    """What must not be worse afterwards: packages that dpkg complains of, mounts, and processes of ours."""
    return {
        "audit": host.exec(["dpkg", "--audit"], check=False).out,
        "mounts": sorted(line.split()[4] for line in Path(f"/proc/{host.init}/mountinfo").read_text().splitlines()),
    }
