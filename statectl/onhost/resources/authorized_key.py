"""Public keys in a user's authorized_keys file. A key is its type and blob; comment and place in the file do not make another.

Lines that are not listed keep their place, comments too, unless `exclusive`. When the file lies in the user's home directory
it is written as that user would have it: directory 0700, file 0600, both the user's own.
"""

import re
from typing import TYPE_CHECKING, NamedTuple, Optional, Sequence

from statectl.onhost import accounts
from statectl.onhost.failure import Failed
from statectl.onhost.reading import each

if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple, Union

    from statectl.onhost.accounts import User
    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("exclusive", "file")
_LIMIT = 1024 * 1024  # bytes
_KEY = re.compile(
    r"(?:^|(?<=[ \t]))((?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)[ \t]+[A-Za-z0-9+/]+={0,3})(?=[ \t]|$)"
)


class Desired(NamedTuple):
    """keys: lines. A found one has the wanted lines it holds, as wanted, and what stands in the way: other options, or
    under `exclusive` other keys. state absent: none of the wanted keys, or no file when none are named.
    """

    name: str
    state: Optional[str] = None
    keys: Optional[Sequence[str]] = None
    exclusive: Optional[bool] = None
    file: Optional[str] = None


def identity(line: str) -> "Optional[Tuple[str, str]]":
    """'from="10.*" ssh-ed25519 AAAA me@home' -> ('ssh-ed25519 AAAA', 'from="10.*"'), or None when it is no key."""
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    match = _KEY.search(line)
    return None if match is None else (" ".join(match.group(1).split()), line[: match.start(1)].strip())


def _key(line: str) -> "Tuple[str, str]":
    """`identity` of a line that was declared. Raises Failed."""
    known = identity(line)
    if known is None:
        raise Failed("not a public key as authorized_keys has them: %s" % line, "not a public key")
    return known


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    users = accounts.users(host)
    return each(wanted, lambda want: _read_one(host, want, users))


def _read_one(host: "Host", want: "Desired", users: "Dict[str, User]") -> "Desired":
    path = _path(want, users)
    text = _text(host, path)
    if text is None:
        return Desired(want.name, state="absent", file=path)
    lines = _lines(text)
    here = dict(filter(None, map(identity, lines)))
    listed = dict(filter(None, map(identity, want.keys or ())))
    keys = [line for line in want.keys or () if here.get(_key(line)[0]) == _key(line)[1]]
    if want.state != "absent":
        keys += [line.strip() for line in lines if line.strip() and not _stays(line, want, listed)]
    if want.state == "absent" and want.keys is not None:
        state = "present" if any(key in here for key in listed) else "absent"
    else:
        state = "present"
    return Desired(want.name, state=state, keys=keys, file=path)


def _text(host: "Host", path: "Optional[str]") -> "Optional[bytes]":
    """-> bytes, None: no such file. Never through a link of the user's own: what is behind it would be copied into a file of theirs."""
    content = None if path is None else host.content_of(path)
    return None if content is None else content.read(_LIMIT)


def _lines(text: bytes) -> "List[str]":
    return text.decode("utf-8", "surrogateescape").split("\n")


def _path(want: "Desired", users: "Dict[str, User]") -> "Optional[str]":
    """None: the user does not exist yet, so nobody knows its home directory."""
    if want.file is not None:
        return want.file
    user = users.get(want.name)
    return None if user is None else user.home.rstrip("/") + "/.ssh/authorized_keys"


def same(field: str, wanted: "Any", found: "Any") -> bool:
    return sorted(wanted) == sorted(found or ()) if field == "keys" else wanted == found


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  a file is written as a whole
    users = accounts.users(host)
    path = _path(want, users)
    if path is None:
        raise Failed("no such user: %s" % want.name, "no such user")
    text = _text(host, path)
    if want.state == "absent" and want.keys is None:
        host.remove_file(path)
        return
    if text is not None and len(text) == _LIMIT:
        raise Failed("%s is over 1 MiB; that is no file of keys" % path, "file too long")
    listed = dict(filter(None, map(identity, want.keys or ())))
    lines = [line for line in _lines(text or b"") if _stays(line, want, listed)]
    while lines and not lines[-1].strip():
        lines.pop()
    if want.state != "absent":
        here = {known[0] for known in map(identity, lines) if known}
        lines += [line for line in want.keys or () if _key(line)[0] not in here]
    elif not lines:
        host.remove_file(path)
        return
    body = "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")
    _write(host, path, body, users.get(want.name), text is None)


def _stays(line: str, want: "Desired", listed: "Dict[str, str]") -> bool:
    known = identity(line)
    if known is None:
        return not (want.exclusive and line.strip() and not line.lstrip().startswith("#"))
    if want.state == "absent":
        return known[0] not in listed
    if known[0] in listed:
        return listed[known[0]] == known[1]
    return not want.exclusive


def _write(host: "Host", path: str, body: bytes, user: "Optional[User]", is_new: bool) -> None:
    if user is None or not path.startswith(user.home.rstrip("/") + "/") or not user.home.strip("/"):
        # a file of the system, as in AuthorizedKeysFile /etc/ssh/keys/%u: sshd reads it as root
        host.replace_file(path, body, mode="0644" if is_new else None)
        return
    directory = path.rpartition("/")[0]
    if host.lstat(directory) is None:
        host.make_directory(directory, owner=str(user.uid), group=str(user.gid), mode="0700")
    host.replace_file(path, body, owner=str(user.uid), group=str(user.gid), mode="0600")


def removal(record: "Removal") -> "Optional[Desired]":
    """The keys we added go. Under `exclusive` the keys that were there come back. Options that we changed stay changed."""
    want, before = record["want"], record["before"]
    if want.get("exclusive"):
        if record["created"]:
            return Desired(record["name"], state="absent", file=want.get("file"))
        return Desired(record["name"], state="present", keys=before["keys"], exclusive=True, file=want.get("file"))
    had = {known[0] for known in map(identity, before.get("keys") or ()) if known}
    added = [line for line in want.get("keys") or () if _key(line)[0] not in had]
    return Desired(record["name"], state="absent", keys=added, file=want.get("file")) if added else None
