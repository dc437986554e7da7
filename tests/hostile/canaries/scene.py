"""One controller and one lab host full of canaries: the commands that are run, and everything they may have written, on both sides."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.hostile.canaries import project as canary_project
from tests.hostile.canaries.scanner import Canary, Found, Scanner, Watched
from tests.lab import LabHost
from tests.lab.project import LabProject, Said

LOGIN, SUDO, WRONG, SCRIPT, STDIN = "login password", "sudo password", "wrong password", "script", "stdin of a run"
# the only files of the host that may hold a secret: those that are declared to, and the database of passwords
DECLARED = {
    **{
        f"/etc/canary/{place}.conf": place
        for place in ("content", "template", "adopted", "rotated", "retired", "environment", "stored", "declared")
    },
    "/etc/canary/in-git.conf": "in git",
    "/etc/canary/fragments.conf": "fragment",
    "/etc/canary/sensitive.conf": "sensitive source",
    "/etc/canary/tree/leaf.conf": "tree",
    "/etc/systemd/system/canary.service": "unit",
    "/etc/canary/appended.conf": "line",
    "/etc/canary/block.conf": "block",
    "/etc/cron.d/statectl-canary": "cron",
    "/etc/shadow": "hash",
    "/etc/shadow-": "hash",
}
DECLARED["/etc/canary/environment.conf"] = "from environment"


# what is given in the environment is in that of the command and of what it starts: git, and how Python looks for libraries
CHILDREN = ("git", "gcc", "x86_64-linux-gnu-gcc", "collect2", "ld", "x86_64-linux-gnu-ld", "ldconfig")


class Scene:
    """`place`: a directory of this test. The host's operator logs in by one password and becomes root by another."""

    def __init__(self, project: LabProject, host: LabHost, place: Path) -> None:
        self.project, self.host = project, host
        self.temporary, self.given = place / "tmp", place / "given"
        self.temporary.mkdir()
        self.canaries = canary_project.canaries()
        for other in (LOGIN, SUDO, WRONG, SCRIPT, STDIN):
            self.canaries[other] = Canary.made(other)
        self.said: list[Said] = []
        self.running = self.scanner()
        canary_project.write(project.root, self.given, host.address, self.canaries)
        project.commit("canaries")
        for key in (project.home / ".ssh").glob("id_*"):
            key.unlink()
        (project.home / ".ssh" / "config").unlink()
        host.write("/root/echo.py", canary_project.ECHO)
        host.write("/etc/canary/adopted.conf", self.value("adopted") + "\n", 0o600)
        host.write("/etc/ssh/sshd_config.d/00-password.conf", "PasswordAuthentication yes\n")
        host.write("/etc/sudoers.d/zz-canary", "Defaults:operator rootpw\n", 0o440)
        passwords = f"operator:{self.value(LOGIN)}\nroot:{self.value(SUDO)}\n"
        host.exec(["chpasswd"], stdin=passwords)
        host.sh("systemctl reload ssh")

    def value(self, place: str) -> str:
        return self.canaries[place].value

    def scanner(self, canaries: Iterable[Canary] | None = None) -> Scanner:
        chosen = list(self.canaries.values()) if canaries is None else list(canaries)
        return Scanner([*chosen, *(half for canary in chosen for half in canary.halves())])

    def watched(self) -> Watched:
        return Watched(self.running)

    # -- commands

    def statectl(
        self, *argv: str, expect: int | tuple[int, ...] = 0, stdin: str = "", sudo: str = SUDO, path: str = ""
    ) -> Said:
        """The real command with both passwords on descriptors. `path`: goes in front of where Python looks for modules."""
        began = time.monotonic()
        process = self.start(*argv, sudo=sudo, path=path)
        out, err = process.communicate(stdin.encode(), timeout=120)
        said = Said(argv, process.returncode, out.decode(), err.decode(), time.monotonic() - began)
        self.said.append(said)
        wanted = (expect,) if isinstance(expect, int) else expect
        assert said.code in wanted, f"expected exit {expect}\n{said}"
        return said

    def start(self, *argv: str, sudo: str = SUDO, path: str = "") -> subprocess.Popen[bytes]:
        extra = {"TMPDIR": str(self.temporary), "CANARY": self.value("from environment")}
        environment = self.project.environment(extra)
        if path:
            environment["PYTHONPATH"] = f"{path}:{environment['PYTHONPATH']}"
        descriptors = []
        if argv[0] in ("plan", "apply", "drift", "run", "doctor", "compliance"):
            descriptors = [_filled(self.value(LOGIN)), _filled(self.value(sudo))]
            login = ("--password-fd", str(descriptors[0])) if argv[0] != "doctor" else ()
            argv = (argv[0], *login, "--become-password-fd", str(descriptors[1]), *argv[1:])
        process = subprocess.Popen(
            # a crash would leave its memory in a file of the working directory, were it for us
            # whoever runs the tests in the background of a script has SIGQUIT ignored, and we would inherit that
            ["env", "--default-signal=QUIT", "prlimit", "--core=unlimited", sys.executable, "-m", "statectl", *argv],
            cwd=self.project.root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=descriptors,
        )
        for descriptor in descriptors:
            os.close(descriptor)
        return process

    def executor(self) -> int:
        """Process id, on the host, of the executor that holds its lock."""
        return int(
            self.host.sh("""python3 -c 'import json; print(json.load(open("/var/lib/statectl/lock"))["pid"])'""")
        )

    # -- sinks

    def leaks(self, scanner: Scanner | None = None) -> set[Found]:
        """Every canary in a place that is not its own, on either side, as things stand now."""
        scanner = scanner or self.scanner()
        for number, said in enumerate(self.said):
            scanner.scan(said.out.encode(), f"stdout {number} {said.argv[0]}")
            scanner.scan(said.err.encode(), f"stderr {number} {said.argv[0]}")
        for tree in (self.project.root, self.project.home, self.temporary):
            scanner.scan_tree(tree)
        for store in self.project.root.rglob("*.db"):
            scanner.scan_database(store)
        scanner.scan_tree(self.host.upper)
        for volatile in ("run", "tmp", "dev/shm"):
            scanner.scan_tree(Path(f"/proc/{self.host.init}/root", volatile))
        journal = self.host.exec(["journalctl", "--all", "--no-pager", "--output=export"]).out
        scanner.scan(journal.encode("utf-8", "surrogateescape"), "journal")
        found = scanner.found | self.running.found
        return {one for one in found if not self._declared(one)}

    def _declared(self, found: Found) -> bool:
        where = found.where.partition(" [compressed")[0]
        if where.startswith("/proc/PID/environ of "):
            argv = where.partition(" of ")[2]
            if found.place == "from environment":
                return "-m statectl" in argv or Path(argv.split()[0]).name in CHILDREN
            return found.place == "echoed" and argv.startswith("python3 /root/echo.py")
        return (found.place, where) in self._own

    @property
    def _own(self) -> set[tuple[str, str]]:
        """(place, where) of what is declared to hold the secret: on the host, and the project's own sensitive files here."""
        own = {(place, f"{self.host.upper}{path}") for path, place in DECLARED.items()}
        for place, name in canary_project.SENSITIVE.items():
            own.add((place, str(self.project.root / "states" / name)))
            git = ["git", "-C", str(self.project.root), "rev-parse", f"HEAD:states/{name}"]
            blob = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
            own.add((place, str(self.project.root / ".git/objects" / blob[:2] / blob[2:])))
        return own


def _filled(text: str) -> int:
    """A descriptor from which the text can be read once."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading
