"""Which host keys are trusted: the inventory's own known_hosts first, then the user's and the machine's.

`inventory trust` writes the inventory's file, which belongs into git: a CI runner then trusts what the team enrolled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.errors import Refused

if TYPE_CHECKING:
    import asyncssh

USER_FILES = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))


@dataclass
class TrustedKeys:
    """Host keys from files, and what a host showed when it was refused."""

    files: Sequence[Path]
    _parsed: "asyncssh.SSHKnownHosts | None" = field(default=None, repr=False)

    def _load(self) -> "asyncssh.SSHKnownHosts":
        import asyncssh

        if self._parsed is None:
            text = ""
            for file in self.files:
                path = file.expanduser()
                if path.is_file():
                    text += path.read_text("utf-8", "replace").rstrip("\n") + "\n"
            self._parsed = asyncssh.import_known_hosts(text)
        return self._parsed

    def matcher(self) -> Callable[[str, str, int | None], Any]:
        """What asyncssh asks for the keys of one host."""
        return lambda host, addr, port: self._load().match(host, addr, port)

    def known(self, host: str, address: str, port: int) -> list[str]:
        """Fingerprints that are on file for a host: to tell a changed key from an unknown one."""
        keys = self._load().match(host, address, port)[0]
        return [key.get_fingerprint() for key in keys]

    def known_algorithms(self, host: str, address: str, port: int) -> list[str]:
        return [str(key.algorithm.decode()) for key in self._load().match(host, address, port)[0]]


def standard_files(inventory: Path | None) -> tuple[Path, ...]:
    """The files in the order they are read. `inventory`: a directory, or a file with its known_hosts beside it."""
    own: tuple[Path, ...] = ()
    if inventory is not None:
        own = (own_file(inventory),)
    return own + USER_FILES


def own_file(inventory: Path) -> Path:
    """Where `inventory trust` writes."""
    return inventory / "known_hosts" if inventory.is_dir() else inventory.with_name(f"{inventory.name}.known_hosts")


def enrol(file: Path, address: str, port: int, key: "asyncssh.SSHKey", *, replace: bool) -> None:
    """Write one host's key; the file stays sorted and free of doubles. Raises Refused when another key is on file."""
    name = address if port == 22 else f"[{address}]:{port}"
    exported = key.export_public_key("openssh").decode().split()
    line = f"{name} {exported[0]} {exported[1]}"
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    others = [entry for entry in lines if entry.split()[:2] == [name, exported[0]] and entry != line]
    if others and not replace:
        raise Refused(
            f"another key of {name} is on file in {file.name}",
            code="E312",
            hint="if the host was reinstalled: --replace",
        )
    kept = [entry for entry in lines if entry not in others and entry != line]
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_text("".join(f"{entry}\n" for entry in sorted([*kept, line])), "utf-8")
    temporary.replace(file)
