"""Jobs of cron: a file of its own below /etc/cron.d, or a marked block in a shared one. cron itself notices within a minute."""

import re
import stat
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional

from statectl.onhost.compare import raw
from statectl.onhost.diff import holds_secret
from statectl.onhost.failure import Failed
from statectl.onhost.reading import each

if TYPE_CHECKING:
    from typing import List, Sequence, Tuple, Union

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("file",)
TIMES = ("minute", "hour", "day", "month", "weekday")
_VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*\Z")


class Desired(NamedTuple):
    """state of a found one may be a reason why cron does not use the file. Lines beyond the job are part of its found command."""

    name: str
    state: Optional[str] = None
    user: Optional[str] = None
    command: Optional[str] = None
    minute: Optional[str] = None
    hour: Optional[str] = None
    day: Optional[str] = None
    month: Optional[str] = None
    weekday: Optional[str] = None
    special: Optional[str] = None
    env: Optional[Mapping[str, str]] = None
    file: Optional[str] = None


def _path(want: "Desired") -> str:
    return want.file or "/etc/cron.d/statectl-" + want.name


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    return each(wanted, lambda want: _read_one(host, want))


def _read_one(host: "Host", want: "Desired") -> "Desired":
    path = _path(want)
    data = host.read_file(path)
    lines: "Optional[List[str]]" = _lines(data)
    if want.file is not None:
        begin, end = _block(_lines(data), want.name)
        lines = None if begin is None else _lines(data)[begin + 1 : end]
    if data is None or lines is None:
        return Desired(want.name, state="absent", file=want.file)
    return parse(want.name, want.file, lines)._replace(state=_unused(host, path) or "present")


def _unused(host: "Host", path: str) -> str:
    """Why cron skips this file, silently: '' when it does not."""
    status = host.lstat(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return "skipped by cron: not a regular file"
    if status.st_uid not in (0, host.uid):
        return "skipped by cron: owner %s" % host.user_name(status.st_uid)
    if status.st_mode & 0o022:
        return "skipped by cron: mode %04o" % stat.S_IMODE(status.st_mode)
    return ""


def parse(name: str, file: "Optional[str]", lines: "List[str]") -> "Desired":
    """The lines of one job -> Desired without state."""
    env, jobs = {}, []
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        variable = _VARIABLE.match(line)
        if variable:
            env[variable.group(1)] = _unquoted(variable.group(2))
        else:
            jobs.append(line.strip())
    fields: Dict[str, Any] = {"env": env, "command": "\n".join(jobs)}
    if len(jobs) == 1:
        special = jobs[0].startswith("@")
        parts = jobs[0].split(None, 2 if special else 6)
        if len(parts) == (3 if special else 7):
            fields.update(zip(("special",) if special else TIMES, parts))
            fields.update(user=parts[-2], command=parts[-1])
            if special:
                fields["special"] = parts[0][1:]
    return Desired(name, file=file, **fields)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _quoted(text: str) -> str:
    return "'%s'" % text if '"' in text else '"%s"' % text


def validate(host: "Host", want: "Desired", found: "Desired") -> str:  # noqa: ARG001  the contract of every type
    """A value that no line of a crontab can hold, told before anything is written. '' : fine."""
    for name, value in sorted((want.env or {}).items()):
        if ('"' in value and "'" in value) or "\n" in value:
            return "cron cannot take the value of %s: it holds both kinds of quotes, or a line break" % name
    return ""


def render(want: "Desired") -> "List[str]":
    """-> lines of one job"""
    assert want.user is not None  # every present one has a user and a command
    assert want.command is not None
    lines = ["%s=%s" % (name, _quoted(raw(value))) for name, value in sorted((want.env or {}).items())]
    times = ["@" + want.special] if want.special else [getattr(want, field) for field in TIMES]
    return [*lines, " ".join([*times, want.user, want.command])]


def _lines(data: "Optional[bytes]") -> "List[str]":
    return (data or b"").decode("utf-8", "surrogateescape").split("\n")


def _block(lines: "List[str]", name: str) -> "Tuple[Optional[int], Optional[int]]":
    """-> (index of the first mark, of the last), or (None, None)"""
    first, last = marks(name)
    if first not in lines:
        return None, None
    begin = lines.index(first)
    if last not in lines[begin:]:
        raise Failed(
            "the block of cron job %s has no end mark (%s); mend the file by hand" % (name, last), "damaged block"
        )
    return begin, lines.index(last, begin)


def marks(name: str) -> "Tuple[str, str]":
    return "# statectl cron job %s: begin" % name, "# statectl cron job %s: end" % name


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  a job is written as a whole
    path = _path(want)
    if want.file is None:
        if want.state == "absent":
            host.remove_file(path)
        else:
            lines = ["# cron job %s, written by statectl" % want.name, *render(want), ""]
            _write(host, path, lines, "0600" if holds_secret(want.env) else "0644")
        return
    data = host.read_file(path)
    lines = _lines(data)
    begin, end = _block(lines, want.name)
    first, last = marks(want.name)
    block = [] if want.state == "absent" else [first, *render(want), last]
    if begin is not None and end is not None:
        lines[begin : end + 1] = block
    elif block:
        while lines and not lines[-1]:
            lines.pop()
        lines += [*block, ""]
    _write(host, path, lines)


def _write(host: "Host", path: str, lines: "List[str]", mode: str = "0644") -> None:
    # cron skips what is not root's or what others may write
    host.replace_file(path, "\n".join(lines).encode("utf-8", "surrogateescape"), owner=str(host.uid), mode=mode)


def removal(record: "Removal") -> "Optional[Desired]":
    """A job we made goes; one that was there gets its old times and command back."""
    before = record["before"]
    if record["created"] or not before.get("user"):
        return Desired(record["name"], state="absent", file=record["want"].get("file"))
    fields = {field: before.get(field) for field in (*TIMES, "user", "command", "special", "env")}
    return Desired(record["name"], state="present", file=record["want"].get("file"), **fields)
