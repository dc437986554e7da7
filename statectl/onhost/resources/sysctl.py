"""Kernel settings: a line `key = value` in a file of sysctl.d, and the live value below /proc/sys.

The found value says both when they differ: "file: 1, live: 0". Lines of other keys, comments and order stay; a new line goes to its
place in the alphabet.
"""

import os
from typing import TYPE_CHECKING, NamedTuple, Optional

from statectl.onhost.failure import Failed
from statectl.onhost.reading import each

if TYPE_CHECKING:
    from typing import Dict, List, Sequence, Tuple, Union

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("file", "reload")
HEADER = b"# Kernel settings, one line per key. Written by statectl; other lines are kept.\n"


class Desired(NamedTuple):
    name: str
    state: Optional[str] = None
    value: Optional[str] = None
    file: Optional[str] = None
    reload: Optional[bool] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    files: "Dict[str, Dict[str, Optional[str]]]" = {}

    def read_one(want: "Desired") -> "Desired":
        assert want.file is not None  # every wanted one names its file
        if want.file not in files:
            settings = [_setting(line) for line in _lines(host.read_file(want.file))]
            files[want.file] = {path: value for path, value in settings if path}
        return _found(host, want, files[want.file].get(proc_path(want.name)))

    return each(wanted, read_one)


def _found(host: "Host", want: "Desired", in_file: "Optional[str]") -> "Desired":
    live = _live(host, want.name) if want.reload else None
    state = "present"
    if in_file is None:
        # a live value was there before we came, and a removal gives it back
        state = "absent" if live is None or want.state == "absent" else "not in the file"
    if not want.reload or in_file == live:
        value = in_file
    else:
        value = ", ".join("%s: %s" % pair for pair in (("file", in_file), ("live", live)) if pair[1] is not None)
    return Desired(want.name, state=state, value=value, file=want.file)


def proc_path(key: str) -> str:
    """net.ipv4.conf.eth0/1.forwarding and net/ipv4/conf/eth0.1/forwarding -> the same path below /proc/sys.

    As sysctl.d(5): the first separator decides; behind a first dot, dot and slash trade places.
    """
    separators = [character for character in key if character in "./"]
    if separators and separators[0] == ".":
        key = key.translate({ord("."): "/", ord("/"): "."})
    return "/proc/sys/" + key


def _lines(data: "Optional[bytes]") -> "List[str]":
    return (data or b"").decode("utf-8", "surrogateescape").split("\n")


def _setting(line: str) -> "Tuple[Optional[str], Optional[str]]":
    """-> (path below /proc/sys, value), or (None, None) for a line that sets nothing."""
    line = line.strip()
    if not line or line[0] in "#;" or "=" not in line:
        return None, None
    key, _, value = line.partition("=")
    return proc_path(key.strip().lstrip("-").strip()), " ".join(value.split())


def _live(host: "Host", key: str) -> "Optional[str]":
    try:
        data = host.read_file(proc_path(key))
    except Failed:
        return None  # some settings can only be written
    return None if data is None else " ".join(data.decode("utf-8", "surrogateescape").split())


def validate(host: "Host", want: "Desired", found: "Desired") -> str:  # noqa: ARG001  the contract of every type
    """A /proc/sys that cannot be written, as in a container, is told before anything is written. '' : fine."""
    path = proc_path(want.name)
    if want.state != "present" or not want.reload or _live(host, want.name) == want.value:
        return ""
    if host.lstat(path) is not None and not os.access(host.path(path), os.W_OK):
        return "%s cannot be written here (read-only, as in a container); `reload: false` only writes %s" % (
            path,
            want.file,
        )
    return ""


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  both places are looked at again
    assert want.file is not None  # every wanted one names its file
    path = proc_path(want.name)
    data = host.read_file(want.file)
    lines = _lines(data)
    if want.state == "absent":
        kept = [line for line in lines if _setting(line)[0] != path]
        if not any(_setting(line)[0] for line in kept) and data is not None and data.startswith(HEADER):
            host.remove_file(want.file)  # ours, and nothing left in it
        elif kept != lines:
            _write(host, want.file, kept)
        if want.value is not None and want.reload:
            _set_live(host, want, path)
        return
    if want.reload and _live(host, want.name) != want.value:
        _set_live(
            host, want, path
        )  # first: a value that the kernel refuses must not wait in the file for the next boot
    kept = _with(lines, path, "%s = %s" % (want.name, want.value))
    if kept != lines:
        _write(host, want.file, kept if data is not None else _lines(HEADER)[:-1] + kept)


def _with(lines: "List[str]", path: str, text: str) -> "List[str]":
    """Every line that sets this key gives way to one: at the first one's place, or where the alphabet puts a new one."""
    settings = [_setting(line)[0] for line in lines]
    if path in settings:
        first = settings.index(path)
        return [
            text if place == first else line
            for place, line in enumerate(lines)
            if place == first or settings[place] != path
        ]
    place = len(lines) - 1 if lines[-1] == "" else len(lines)
    for index, setting in enumerate(settings):
        if setting and setting > path:
            place = index
            break
    return lines[:place] + [text] + (lines[place:] or [""])


def _write(host: "Host", path: str, lines: "List[str]") -> None:
    host.replace_file(path, "\n".join(lines).encode("utf-8", "surrogateescape"))


def _set_live(host: "Host", want: "Desired", path: str) -> None:
    assert want.value is not None  # nothing is set to nothing
    if host.lstat(path) is None:
        raise Failed(
            "this kernel has no setting %s (no %s); load the module that brings it, or say `reload: false`"
            % (want.name, path),
            "no such kernel setting",
        )
    ran = host.run(["tee", "--", host.path(path)], input=want.value.encode("utf-8") + b"\n", timeout=30, check=False)
    if ran.code != 0:
        reason = ran.err.strip().rpartition(": ")[2].lower() or "tee exited with code %s" % ran.code
        raise Failed("the kernel does not take %s = %s: %s" % (want.name, want.value, reason), "kernel refused a value")
    now = _live(host, want.name)
    if now is not None and now != want.value:
        raise Failed("%s was set to %s but is %s" % (want.name, want.value, now), "kernel changed a value")


def removal(record: "Removal") -> "Optional[Desired]":
    """Our line goes and the live value is set back; a line that was there gets its value back."""
    before, want = record["before"], record["want"]
    fields = {"file": want["file"], "reload": want["reload"]}
    value = before.get("value")
    if record["created"] or value is None:
        return Desired(record["name"], state="absent", **fields)
    if value.startswith("live: "):
        return Desired(record["name"], state="absent", value=value[len("live: ") :], **fields)
    if value.startswith("file: "):
        value = value[len("file: ") :].partition(", live: ")[0]
    return Desired(record["name"], state="present", value=value, **fields)
