"""A lab: some hosts on one bridge, with an inventory, and everything needed to take it down again.

What a lab made is written to its state file before it is made: `down`, the next lab in the same slot, or a later
process can clean up after a crash. A slot is one of 32 disjoint address ranges, so several labs may be up at once.
"""

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.lab import network
from tests.lab.bases import SUITES, base
from tests.lab.inventory import write_inventories
from tests.lab.machine import LabHost, end_processes, remove_groups, unmount
from tests.lab.places import cache, locked, run
from tests.lab.repositories import repositories

STATE = Path("/run/statectl-lab")
TOOLS = {  # command -> Debian package
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "dpkg-deb": "dpkg",
    "dpkg-scanpackages": "dpkg-dev",
    "createrepo_c": "createrepo-c",
    "rpmbuild": "rpm",
    "gpg": "gnupg",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
}


def missing_requirements() -> str:
    """Why no lab can be had here, with what to do about it; '' when one can."""
    if os.geteuid() != 0:
        return "lab hosts need root: run the tests as root on Debian"
    packages = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if packages:
        return f"lab hosts need more packages: apt-get install {' '.join(packages)}"
    return ""


class Lab:
    """`with Lab() as lab: hosts = lab.start(3, suite="bookworm")`. Upper directories are on tmpfs unless `disk`."""

    def __init__(self, *, disk: bool = False, detached: bool = False) -> None:
        reason = missing_requirements()
        if reason:
            raise RuntimeError(reason)
        self.hosts: list[LabHost] = []
        self._disk = disk
        self._detached = detached
        self._made: list[dict[str, Any]] = []
        self.slot, self._lock = _free_slot()
        self.place = cache() / "run" / str(self.slot)
        self.key = _key()
        self.known_hosts = self.place / "known_hosts"
        self._write_state()
        _raise_limits()
        self.place.mkdir(parents=True, exist_ok=True)
        if not disk:
            run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=80%", "statectl-lab", self.place])
        network.make_bridge(self.slot)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(
        self,
        count: int,
        suite: str = "bookworm",
        *,
        name: str = "",
        files: Mapping[str, str] | None = None,
        groups: Sequence[str] = (),
    ) -> list[LabHost]:
        """Boot hosts NAME01, NAME02 ... and wait for their sshd. `files` (path -> text) are there before the boot."""
        name = name or suite
        root = base(suite)
        shared = repositories()
        taken = {host.name for host in self.hosts}
        numbers = (number for number in range(1, network.MOST_HOSTS) if f"{name}{number:02}" not in taken)
        first = max((host.index for host in self.hosts), default=0) + 1
        new = []
        for offset in range(count):
            index = first + offset
            new.append(
                LabHost(
                    name=f"{name}{next(numbers):02}",
                    suite=suite,
                    slot=self.slot,
                    index=index,
                    base=root,
                    repositories=shared,
                    place=self.place / network.namespace(self.slot, index),
                    key=self.key,
                    known_hosts=self.known_hosts,
                    environment=SUITES[suite].environment,
                    files=dict(files or {}),
                    groups=tuple(groups) or (suite,),
                )
            )
        self.hosts += new
        self._write_state()
        _each(lambda host: host.make_host_key(), new)
        self._write_names()
        _each(_create, new)
        _each(lambda host: host.wait_ssh(), new)
        self._write_state()
        return new

    def _write_names(self) -> None:
        self.known_hosts.write_text(
            "".join(f"{h.name},{h.address},{h.address6} {h.host_key}\n" for h in self.hosts if h.host_key)
        )
        write_inventories(self.place, self.hosts)

    @property
    def inventory(self) -> Path:
        """Our own format: an inventory directory with hosts.yml."""
        return self.place / "inventory"

    @property
    def ansible_inventory(self) -> Path:
        return self.place / "ansible.ini"

    def each(self, work: Callable[[LabHost], None], hosts: Sequence[LabHost]) -> None:
        """Do the same to several hosts at once; the first failure is raised after all have ended."""
        _each(work, hosts)

    def remove(self, hosts: Sequence[LabHost]) -> None:
        """Take some hosts down for good."""
        _each(lambda host: _take_down(host.slot, host.index, host.place), hosts)
        self.hosts = [host for host in self.hosts if host not in hosts]
        self._write_names()
        self._write_state()

    def close(self) -> None:
        """Take everything down; what a test left behind too."""
        if self._lock is None:
            return
        for host in self.hosts:
            if host.process is not None:
                host.kill()
        take_down(self.slot)
        self.hosts = []
        self._lock.close()
        self._lock = None

    def detach(self) -> None:
        """Leave the hosts running after this process has ended; `python -m tests.lab down` ends them."""
        self._detached = True
        self._write_state()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _write_state(self) -> None:
        state = {
            "boot": _boot_id(),
            "detached": self._detached,
            "place": str(self.place),
            "hosts": [
                {
                    "name": h.name,
                    "suite": h.suite,
                    "index": h.index,
                    "place": str(h.place),
                    "init": h.init,
                    "address": h.address,
                }
                for h in self.hosts
            ],
        }
        path = STATE / f"{self.slot}.json"
        path.with_suffix(".new").write_text(json.dumps(state, indent=1))
        path.with_suffix(".new").replace(path)


def states() -> dict[int, dict[str, Any]]:
    """The state of every lab of this machine, by slot."""
    found = {}
    for path in STATE.glob("[0-9]*.json"):
        try:
            found[int(path.stem)] = json.loads(path.read_text())
        except FileNotFoundError:
            continue  # ended since the directory was listed
    return dict(sorted(found.items()))


def take_down(slot: int) -> None:
    """End and remove whatever the lab of this slot made, as far as it got."""
    path = STATE / f"{slot}.json"
    if not path.exists():
        return
    state = json.loads(path.read_text())
    _each(lambda host: _take_down(slot, host["index"], Path(host["place"])), state["hosts"])
    remove_groups(slot)
    network.remove_bridge(slot)
    place = Path(state["place"])
    unmount(place)
    if place.exists():
        run(["rm", "-rf", "--one-file-system", "--", place])
    path.unlink()


def _take_down(slot: int, index: int, place: Path) -> None:
    end_processes(slot, network.namespace(slot, index))
    unmount(place / "root")
    network.remove_namespace(slot, index)
    run(["rm", "-rf", "--one-file-system", "--", place])


def _create(host: LabHost) -> None:
    network.make_namespace(host.slot, host.index)
    host.boot()


def _each(work: Callable[[Any], None], items: Sequence[Any]) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        for done in [pool.submit(work, item) for item in items]:
            done.result()


def _free_slot() -> tuple[int, IO[str]]:
    """A slot nobody holds, cleaned of what a dead owner left there; its lock is held by the returned file."""
    STATE.mkdir(mode=0o755, exist_ok=True)
    for slot in range(network.LABS):
        lock = (STATE / f"{slot}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        state = states().get(slot)
        if state and state["detached"] and state["boot"] == _boot_id():
            lock.close()
            continue
        if state:
            sys.stderr.write(f"lab: cleaning up after a lab that did not end well (slot {slot})\n")
            take_down(slot)
        return slot, lock
    raise RuntimeError(f"all {network.LABS} labs of this machine are in use: python -m tests.lab down --all")


def _key() -> Path:
    """One key pair for all hosts, kept in the cache."""
    key = cache() / "key"
    with locked(cache() / "key.lock"):
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "statectl-lab", "-f", key])
    return key


def _raise_limits() -> None:
    """Every systemd uses inotify; the default of 128 instances per user ends at about ten hosts."""
    for name, least in (("max_user_instances", 65536), ("max_user_watches", 1048576)):
        path = Path("/proc/sys/fs/inotify", name)
        if path.exists() and int(path.read_text()) < least:
            path.write_text(str(least))


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
