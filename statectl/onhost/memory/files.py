"""JSON files that are whole or not there: replaced by rename, durable on return, checked when read."""

import contextlib
import hashlib
import json
import os

from statectl.onhost.failure import system_says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from statectl.onhost.shapes import JSON

FORMAT = 1


class Corrupt(Exception):
    """A record on this host cannot be trusted. The text is one line: what, and what to do."""


def _canonical(data: "JSON") -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode("ascii")


def check_of(data: "JSON") -> str:
    """Equal for equal data; a file carries that of its own."""
    return hashlib.sha256(_canonical(data)).hexdigest()


def read_json(path: str, consequence: str) -> "JSON":
    """-> the data, or None when there is no such file. Raises Corrupt; `consequence`: of moving the file away."""
    return read_checked(path, consequence)[0]


def read_checked(path: str, consequence: str) -> "Tuple[JSON, Optional[str]]":
    """-> (the data, its check), or (None, None)."""
    try:
        with open(path, "rb") as stream:
            raw = stream.read()
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise Corrupt("cannot read %s: %s" % (path, system_says(error)))
    remedy = "restore it from a backup, or move it away (then %s)" % consequence
    try:
        document = json.loads(raw.decode("ascii"))
        written_as = document["format"]
        check, data = document["check"], document["data"]
    except (ValueError, KeyError, TypeError):
        raise Corrupt("%s is damaged: not a record of ours; %s" % (path, remedy))
    if written_as != FORMAT:
        raise Corrupt("%s has format %s, this statectl reads %d; use the newer statectl" % (path, written_as, FORMAT))
    if check != check_of(data):
        raise Corrupt("%s is damaged: its checksum does not fit; %s" % (path, remedy))
    return data, check


def write_json(path: str, data: "JSON") -> None:
    """Old or new after a crash at any moment; 0600. Raises OSError."""
    os.rename(_write_beside(path, data), path)
    sync_directory(os.path.dirname(path))


def create_json(path: str, data: "JSON") -> None:
    """As write_json, but what is there already stays: two first contacts at once agree on one file."""
    temporary = _write_beside(path, data)
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    os.unlink(temporary)
    sync_directory(os.path.dirname(path))


def _write_beside(path: str, data: "JSON") -> str:
    """-> the path of a durable new file next to `path`."""
    canonical = _canonical(data)
    check = hashlib.sha256(canonical).hexdigest().encode("ascii")
    data = b'{"check": "%s", "data": %s, "format": %d}\n' % (check, canonical, FORMAT)
    temporary = "%s.%d.new" % (path, os.getpid())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)  # of a writer that died and had our process id
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    return temporary


def sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
