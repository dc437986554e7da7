"""file:PATH: the outer keys in a file of mode 0600, one a line, the newest last. What rotation replaced stays in it until it is dropped."""

import os
import stat
import tempfile
from pathlib import Path

from statectl.errors import Refused
from statectl.parameters.keys import aes

HEAD = "# statectl: keys of the parameter store, the newest last. Keep a copy elsewhere: what they encrypted is lost with them.\n"


def read_private(path: Path, what: str) -> str | None:
    """A file that nobody else may read; None when it is not there. Raises Refused (E619)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            info = os.fstat(file.fileno())
            if stat.S_ISREG(info.st_mode) and not info.st_mode & 0o077 and info.st_uid in (os.geteuid(), 0):
                return file.read(1024 * 1024).decode("ascii", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{what} {path} cannot be read: {(error.strerror or 'error').lower()}", code="E619") from None
    if not stat.S_ISREG(info.st_mode):
        raise Refused(f"{what} {path} is not a file", code="E619")
    if info.st_uid not in (os.geteuid(), 0):
        raise Refused(
            f"{what} {path} belongs to another user", code="E619", hint="chown it to the user who runs statectl"
        )
    raise Refused(
        f"{what} {path} may be read by others (mode {stat.S_IMODE(info.st_mode):04o})",
        code="E619",
        hint=f"chmod 600 {path}; if others could have read it, also: statectl parameter rotate",
    )


def write_private(path: Path, text: str, *, new: bool) -> bool:
    """Whole or not at all, and durable. new: False when another process was quicker, and its file stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if new:
            try:
                os.link(name, path)
            except FileExistsError:
                return False
            finally:
                os.unlink(name)
        else:
            os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return True


class KeyFile:
    remote = False

    def __init__(self, path: str, root: Path) -> None:
        self._path = root / Path(path).expanduser()
        self._seen: tuple[int, ...] = ()
        self._keys: dict[str, bytes] = {}

    def exists(self) -> bool:
        return bool(self._read())

    def create(self) -> str:
        self._write(f"{HEAD}{aes.line_of(aes.new_key())}\n", new=True)
        return f"made the key file {self._path}; keep a copy of it elsewhere: without it no SecureString can be read"

    def holds(self, key_id: str) -> bool:
        return key_id in self._read()

    def current(self) -> str:
        keys = self._read()
        if not keys:
            raise self._missing()
        return list(keys)[-1]

    def wrap(self, data_key: bytes, name: str) -> tuple[str, bytes]:
        key_id = self.current()
        return key_id, aes.wrap(self._keys[key_id], data_key, name)

    def unwrap(self, key_id: str, wrapped: bytes, name: str) -> bytes:
        keys = self._read()
        if key_id not in keys:
            raise self._missing()
        return aes.unwrap(keys[key_id], wrapped, name)

    def renew(self) -> str:
        text = read_private(self._path, "key file")
        if text is None:
            raise self._missing()
        self._read()
        self._write(f"{text.rstrip()}\n{aes.line_of(aes.new_key())}\n", new=False)
        return f"added the key {self.current()} to {self._path}; copy the file again"

    def drop_old(self) -> int:
        keys = self._read()
        dropped = len(keys) - 1
        if dropped > 0:
            self._write(f"{HEAD}{aes.line_of(keys[self.current()])}\n", new=False)
        return max(0, dropped)

    def shown(self) -> str:
        keys = self._read()
        return (
            f"the key file {self._path} holds {', '.join(keys)}" if keys else f"the key file {self._path} is not there"
        )

    def _read(self) -> dict[str, bytes]:
        """Read again whenever it is another file than last time."""
        try:
            info = os.stat(self._path)
            seen: tuple[int, ...] = (
                info.st_dev,
                info.st_ino,
                info.st_mtime_ns,
                info.st_size,
                info.st_mode,
                info.st_uid,
            )
        except OSError:
            seen = ()
        if seen != self._seen or not seen:
            text = read_private(self._path, "key file")
            self._keys = aes.keys_of(text.splitlines(), f"key file {self._path}") if text is not None else {}
            self._seen = seen
        return self._keys

    def _write(self, text: str, *, new: bool) -> None:
        try:
            write_private(self._path, text, new=new)
        except OSError as error:
            raise Refused(
                f"key file {self._path} cannot be written: {(error.strerror or 'error').lower()}", code="E619"
            ) from None
        self._seen = ()

    def _missing(self) -> Refused:
        return Refused(
            f"the key file {self._path} is not there",
            code="E619",
            hint="put it back from your copy; without it what it encrypted is lost",
        )
