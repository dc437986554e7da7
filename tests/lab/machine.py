"""One lab host: its overlay, its namespace, its processes."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.lab import network
from tests.lab.places import run

HIERARCHIES = tuple(
    path
    for path in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"))
    if (path / "cgroup.procs").exists()
)
BOOT_LIMIT_S = 60.0
REBOOTS = 133  # exit code of systemd-nspawn when its host wants to be booted again


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@dataclass
class LabHost:
    """A booted system. `upper` holds every file that was written since it was made; `root` is the merged tree."""

    name: str
    suite: str
    slot: int
    index: int
    base: Path  # holds root and pool
    repositories: Path
    place: Path  # upper, work, root and console.log of this host
    key: Path  # private key of root, admin, operator and plain
    known_hosts: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # absolute path -> text, written before every boot
    groups: tuple[str, ...] = ()
    host_key: str = ""  # public half, as in known_hosts
    init: int = 0  # pid of the host's own init, seen from here
    process: subprocess.Popen[bytes] | None = field(
        default=None, repr=False
    )  # systemd-nspawn, when started by this process

    @property
    def address(self) -> str:
        return network.ipv4(self.slot, self.index)

    @property
    def address6(self) -> str:
        return network.ipv6(self.slot, self.index)

    @property
    def namespace(self) -> str:
        return network.namespace(self.slot, self.index)

    @property
    def upper(self) -> Path:
        return self.place / "upper"

    @property
    def root(self) -> Path:
        return self.place / "root"

    @property
    def ssh_options(self) -> list[str]:
        """Options that make plain ssh reach this host: `ssh *host.ssh_options admin@ADDRESS`."""
        return [
            *("-F", "none", "-i", str(self.key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "StrictHostKeyChecking=yes"),
        ]

    # -- inside the host, without the network ------------------------------------------------------------------------

    def exec(
        self, argv: Sequence[str], *, stdin: str = "", check: bool = True, timeout: float = 120, user: str = "root"
    ) -> Ran:
        """Run in the host's namespaces, as root unless said otherwise; with `check`, a failure raises."""
        done = subprocess.run(
            [
                *self.enter(),
                *(("setpriv", f"--reuid={user}", "--init-groups", "--reset-env") if user != "root" else ()),
                *argv,
            ],
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=timeout,
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C.UTF-8",
                "HOME": "/root",
            },
        )
        ran = Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        if check and ran.code:
            raise RuntimeError(f"{self.name}: {' '.join(argv)} exited {ran.code}\n{ran.out[-2000:]}{ran.err[-2000:]}")
        return ran

    def enter(self) -> list[str]:
        """The argv in front of a command that shall run inside the host."""
        if not self.alive:
            raise RuntimeError(f"{self.name} is not running")
        return ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "--"]

    def sh(self, script: str, *, check: bool = True) -> str:
        """A shell line in the host, its stdout without the last newline."""
        return self.exec(["/bin/sh", "-c", script], check=check).out.rstrip("\n")

    def _within(self, path: str) -> Path:
        """A path of the host as seen from here, through its own mounts."""
        return Path(f"/proc/{self.init}/root" if self.alive else self.root) / path.lstrip("/")

    def read(self, path: str) -> str:
        return self._within(path).read_text()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        target = self._within(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def exists(self, path: str) -> bool:
        return os.path.lexists(self._within(path))

    def stat(self, path: str) -> os.stat_result | None:
        """Of the path itself, when it is a link; None when nothing is there."""
        try:
            return os.lstat(self._within(path))
        except OSError:
            return None

    def ssh(self, argv: Sequence[str], *, user: str = "root", check: bool = True) -> Ran:
        """The same over real ssh."""
        done = subprocess.run(
            ["ssh", *self.ssh_options, f"{user}@{self.address}", "--", *argv],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: ssh exited {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return Ran(done.returncode, done.stdout, done.stderr)

    # -- faults ------------------------------------------------------------------------------------------------------

    def cut(self, verdict: str = "drop", port: int | None = None) -> None:
        """Lose all traffic (or that of one TCP port) in both directions; verdict `reject` answers with a reset instead."""
        network.cut(self.slot, self.index, verdict, port)

    def heal(self) -> None:
        network.heal(self.slot, self.index)

    def stop_sshd(self) -> None:
        self.exec(["systemctl", "stop", "ssh.service"])

    def start_sshd(self) -> None:
        self.exec(["systemctl", "start", "ssh.service"])
        self.wait_ssh()

    # -- life --------------------------------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self.init > 0 and Path(f"/proc/{self.init}").exists()

    def processes(self) -> list[int]:
        """The ids, seen from here, of all that runs in the host."""
        return sorted({pid for group in _groups(self.slot, self.namespace) for pid in _pids(group)})

    def boot(self) -> None:
        """Mount a fresh overlay, write what makes this host itself, start its init. Returns before sshd answers."""
        for directory in (self.upper, self.place / "work", self.root):
            directory.mkdir(parents=True, exist_ok=True)
        lower = self.base / "root"
        options = f"lowerdir={lower},upperdir={self.upper},workdir={self.place / 'work'}"
        run(["mount", "-t", "overlay", f"lab-{self.namespace}", "-o", options, self.root])
        self._seed()
        self.start()

    def start(self) -> None:
        """Boot what is mounted: after `kill`, the same files."""
        groups = []
        for group in _groups(self.slot, self.namespace):
            group.mkdir(parents=True, exist_ok=True)
            groups.append(str(group / "cgroup.procs"))
        # the shell puts itself into the host's control groups, so that everything started below it can be found by them
        join = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"'
        with (self.place / "console.log").open("ab") as console:
            self.process = nspawn = subprocess.Popen(
                [
                    *("/bin/sh", "-ec", join, "sh", *groups, "--"),
                    *("systemd-nspawn", "--quiet", "--settings=no", f"--directory={self.root}", "--boot"),
                    *("--register=no", "--keep-unit", f"--machine={self.namespace}", f"--hostname={self.name}"),
                    *(f"--network-namespace-path=/run/netns/{self.namespace}", "--resolv-conf=off", "--timezone=off"),
                    *("--link-journal=no", "--capability=CAP_NET_ADMIN", f"--bind-ro={self.repositories}:/srv/lab"),
                    *(f"--bind-ro={self.base / 'pool'}:/srv/debian", "--console=pipe"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                # "network": /proc/sys/net is the host's own and may be written, the rest of /proc/sys is this machine's
                env={**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network", **self.environment},
                start_new_session=True,
            )
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
        limit = time.monotonic() + BOOT_LIMIT_S
        while time.monotonic() < limit:
            if nspawn.poll() is not None:
                raise RuntimeError(f"{self.name} did not boot:\n{self.console()[-2000:]}")
            for child in children.read_text().split():
                if _is_init(int(child)):
                    self.init = int(child)
                    return
            time.sleep(0.01)
        raise RuntimeError(f"{self.name} has no init after {BOOT_LIMIT_S:.0f} s:\n{self.console()[-2000:]}")

    @contextmanager
    def reboots(self, limit: int | None = None) -> Iterator[list[float]]:
        """While inside, the host boots again when it asks for a reboot, as a real machine does; `limit`: at most so often.

        Gives the moments (monotonic) of its boots. A host that may boot no more stays away, with its files.
        """
        boots: list[float] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                process = self.process
                if process is not None and process.poll() == REBOOTS and (limit is None or len(boots) < limit):
                    self.init = 0
                    self.start()
                    boots.append(time.monotonic())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield boots
        finally:
            over.set()
            thread.join()

    def console(self) -> str:
        path = self.place / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _seed(self) -> None:
        etc = self.root / "etc"
        (etc / "hostname").write_text(self.name + "\n")
        (etc / "machine-id").write_text(secrets.token_hex(16) + "\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {self.name}\n")
        for name in ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"):
            shutil.copy(self.place / name, etc / "ssh" / name)
        public = self.key.with_suffix(".pub").read_text()
        for home in ("root", "home/admin", "home/operator", "home/plain"):
            ssh = self.root / home / ".ssh"
            (ssh / "authorized_keys").write_text(public)
            os.chown(ssh / "authorized_keys", ssh.stat().st_uid, ssh.stat().st_gid)
            (ssh / "authorized_keys").chmod(0o600)
        for path, text in self.files.items():
            target = self.root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.write_text(text)

    def make_host_key(self) -> None:
        """Its own key, kept over resets."""
        self.place.mkdir(parents=True, exist_ok=True)
        key = self.place / "ssh_host_ed25519_key"
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", key])
        self.host_key = " ".join((self.place / "ssh_host_ed25519_key.pub").read_text().split()[:2])

    def wait_ssh(self, limit_s: float = BOOT_LIMIT_S) -> None:
        """Until sshd sends its banner."""
        limit = time.monotonic() + limit_s
        while True:
            try:
                with socket.create_connection((self.address, 22), timeout=1) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                pass  # not up yet: the limit below decides
            if time.monotonic() > limit:
                raise RuntimeError(f"{self.name}: no ssh banner in {limit_s:.0f} s\n{self.console()[-2000:]}")
            time.sleep(0.03)

    def wait_running(self) -> str:
        """Until systemd has finished booting; its word: running, degraded ..."""
        limit = time.monotonic() + BOOT_LIMIT_S
        while True:
            state = self.exec(["systemctl", "is-system-running"], check=False).out.strip()
            if state not in ("", "initializing", "starting", "offline", "unknown") or time.monotonic() > limit:
                return state
            time.sleep(0.05)

    def kill(self) -> None:
        """Power off without warning; files stay. Ends every process in the host's control groups, and no other."""
        end_processes(self.slot, self.namespace)
        if self.process is not None:
            self.process.wait()
        self.process, self.init = None, 0

    def reset(self) -> None:
        """As new: same name, address and host key, all files as at the first boot."""
        self.kill()
        unmount(self.root)
        for directory in (self.upper, self.place / "work"):
            run(["rm", "-rf", "--", directory])
        self.heal_quietly()
        self.boot()
        self.wait_ssh()

    def heal_quietly(self) -> None:
        if Path("/run/netns", self.namespace).exists():
            self.heal()


def _is_init(pid: int) -> bool:
    """Is this the host's own init (first in its pid namespace), already executing systemd?"""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        program = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1" and program.endswith("/systemd")


def end_processes(slot: int, namespace: str) -> None:
    """Kill what runs in the control groups of one host, wait until it is gone, remove the groups.

    The payload first: systemd-nspawn then collects its init and ends by itself, and no zombie is left.
    """
    tops = _groups(slot, namespace)
    now = time.monotonic()
    patience, limit = now + 1, now + 20
    while True:
        pids = {pid for top in tops for pid in _pids(top)}
        if not pids:
            break
        if time.monotonic() > limit:
            raise RuntimeError(f"{namespace}: processes {sorted(pids)} do not end")
        payload = {pid for top in tops for pid in _pids(top / "payload")}
        for pid in sorted(payload if time.monotonic() < patience else pids, reverse=True):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    _remove_groups(tops, limit)


def remove_groups(slot: int) -> None:
    """The control groups of a lab whose hosts have ended."""
    _remove_groups(_groups(slot), time.monotonic() + 5)


def _groups(slot: int, namespace: str = "") -> list[Path]:
    return [hierarchy / f"statectl-lab-{slot}" / namespace for hierarchy in HIERARCHIES]


def _remove_groups(tops: Sequence[Path], limit: float) -> None:
    while any(top.exists() for top in tops):
        for directory in sorted((walked[0] for top in tops for walked in os.walk(top)), reverse=True):
            try:
                os.rmdir(directory)
            except OSError as error:  # busy for a moment after its last process
                if time.monotonic() > limit:
                    raise RuntimeError(f"cannot remove control group {directory}: {error}") from error
                time.sleep(0.01)


def _pids(top: Path) -> list[int]:
    found = []
    for directory, _, _ in os.walk(top):
        try:
            found += [int(line) for line in Path(directory, "cgroup.procs").read_text().split()]
        except OSError:
            continue  # the group went away with its last process
    return [pid for pid in found if pid > 1]


def unmount(root: Path) -> None:
    """Until nothing is mounted there any more. The kernel lets go of a dead namespace's mounts a moment after its last process."""
    limit = time.monotonic() + 10
    while f" {root} " in Path("/proc/self/mountinfo").read_text():
        try:
            run(["umount", root])
        except RuntimeError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)
