"""A user of the local account files, line by line: other users, made or changed meanwhile, stay as they are.

image of one name: {"passwd": line or None, "shadow": line or None, "groups": {group: line of /etc/group},
"gshadow": {group: line of /etc/gshadow}}, the groups being those that hold the name as a member or are its own.
"""

import os
import time

from statectl.onhost.failure import Failed, system_says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional

    from statectl.onhost.host import Host

LOCK = "/etc/.pwd.lock"  # what useradd and its kin hold while they write
LOCK_S = 15.0


def image(host: "Host", names: "Iterable[str]") -> "Dict[str, Dict[str, Any]]":
    """-> {name: image}. Files that may not be read count as empty: then nothing of them is put back."""
    found = {}
    for name in sorted(names):
        line = _named(host, "/etc/passwd", name)
        groups = _groups(host, "/etc/group", name)
        own = line.split(":")[3] if line and line.count(":") >= 3 else ""
        for row in _lines(host, "/etc/group"):
            if own and row.split(":")[2:3] == [own]:
                groups[row.split(":")[0]] = row
        found[name] = {
            "passwd": line,
            "shadow": _named(host, "/etc/shadow", name),
            "groups": groups,
            "gshadow": _groups(host, "/etc/gshadow", name),
        }
    return found


def put_back(host: "Host", images: "Dict[str, Dict[str, Any]]") -> "List[str]":
    """-> [files that were changed]. Raises Failed."""
    if not any(one["passwd"] for one in images.values()):
        return []
    lock = _lock()
    try:
        changed = []
        for path, texts in (
            ("/etc/passwd", {name: one["passwd"] for name, one in images.items()}),
            ("/etc/shadow", {name: one["shadow"] for name, one in images.items()}),
        ):
            lines = _lines(host, path)
            if _write(host, path, lines, _with_lines(lines, texts)):
                changed.append(path)
        for path, key in (("/etc/group", "groups"), ("/etc/gshadow", "gshadow")):
            lines = _lines(host, path)
            new = lines
            for name, one in images.items():
                new = _with_membership(new, name, one[key])
            if _write(host, path, lines, new):
                changed.append(path)
        return changed
    finally:
        os.close(lock)


def _lines(host: "Host", path: str) -> "List[str]":
    try:
        text = host.read_file(path) or b""
    except Failed:
        return []
    return text.decode("utf-8", "surrogateescape").split("\n")


def _named(host: "Host", path: str, name: str) -> "Optional[str]":
    return next((line for line in _lines(host, path) if line.split(":")[0] == name), None)


def _groups(host: "Host", path: str, name: str) -> "Dict[str, str]":
    return {line.split(":")[0]: line for line in _lines(host, path) if name in _members(line)}


def _members(line: str) -> "List[str]":
    fields = line.split(":")
    return fields[3].split(",") if len(fields) > 3 else []


def _with_lines(lines: "List[str]", texts: "Dict[str, Optional[str]]") -> "List[str]":
    """Each name's line as it was; one that is gone comes back at the end."""
    new = [texts.get(line.split(":")[0]) or line for line in lines]
    there = {line.split(":")[0] for line in lines}
    missing = [text for name, text in sorted(texts.items()) if text and name not in there]
    end = len(new) - (bool(new) and new[-1] == "")
    return new[:end] + missing + new[end:]


def _with_membership(lines: "List[str]", name: str, groups: "Dict[str, str]") -> "List[str]":
    """`name` is in exactly these groups; a group that is gone comes back as it was."""
    new = []
    for line in lines:
        fields = line.split(":")
        if len(fields) > 3:
            members = [member for member in fields[3].split(",") if member]
            if fields[0] in groups and name in _members(groups[fields[0]]):
                members += [] if name in members else [name]
            else:
                members = [member for member in members if member != name]
            fields[3] = ",".join(members)
        new.append(":".join(fields))
    there = {line.split(":")[0] for line in lines}
    missing = [groups[group] for group in sorted(groups) if group not in there]
    end = len(new) - (bool(new) and new[-1] == "")
    return new[:end] + missing + new[end:]


def _write(host: "Host", path: str, old: "List[str]", new: "List[str]") -> bool:
    if old == new or not any(old):
        return False
    host.replace_file(path, "\n".join(new).encode("utf-8", "surrogateescape"))
    return True


def _lock() -> int:
    """Descriptor that holds the lock. One that is not let go within LOCK_S holds nobody up for longer."""
    import fcntl

    try:
        fd = os.open(LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failed("cannot open %s: %s" % (LOCK, system_says(error)), system_says(error))
    limit = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except OSError:
            if time.monotonic() > limit:
                return fd
            time.sleep(0.1)
