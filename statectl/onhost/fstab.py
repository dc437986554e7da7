"""Where file systems are mounted: the lines of /etc/fstab, and what the kernel says is mounted now. Text in, records out."""

import re
from typing import TYPE_CHECKING, FrozenSet, NamedTuple

if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Union

FIELDS = ("device", "name", "fstype", "options", "dump", "passno")
_DEFAULTS: "Dict[str, Union[str, int]]" = {
    "options": "defaults",
    "dump": 0,
    "passno": 0,
}  # what fstab(5) takes for a field that is left out


class Entry(NamedTuple):
    """One line of fstab. number: its index in the file."""

    number: int
    name: str
    device: str
    fstype: str
    options: str
    dump: int
    passno: int


class Live(NamedTuple):
    """One mount. number: major:minor of the device; root: which directory of the file system it shows; flags: ro, noexec and so on."""

    name: str
    device: str
    fstype: str
    flags: FrozenSet[str]
    number: str
    root: str


def decode(text: str) -> str:
    """The octal escapes of fstab(5) and of the kernel to what they stand for."""
    return re.sub(r"\\([01][0-7]{2})", lambda match: chr(int(match.group(1), 8)), text)


def encode(value: object) -> str:
    """A field as it stands in fstab: blanks and backslashes escaped, and a # that would begin a comment."""
    text = re.sub(r"[ \t\n\r\\]", lambda match: "\\%03o" % ord(match.group()), str(value))
    return "\\043" + text[1:] if text.startswith("#") else text


def entries(lines: "Iterable[str]") -> "List[Entry]":
    """Lines without their ends -> [Entry]; comments, empty lines and those that name no mount point are left out."""
    found = []
    for index, line in enumerate(lines):
        words = line.split()
        if len(words) < 3 or words[0].startswith("#"):
            continue
        fields: "Dict[str, Any]" = dict(_DEFAULTS, **dict(zip(FIELDS, map(decode, words))))
        fields["name"] = fields["name"].rstrip("/") or "/"
        for field in ("dump", "passno"):
            text = str(fields[field])
            fields[field] = int(text) if text.isdigit() else 0
        found.append(Entry(number=index, **fields))
    return found


def new_line(values: "Mapping[str, Union[str, int, None]]") -> str:
    """{field: value} -> a line; options, dump and passno may be left out or None."""
    return " ".join(encode(_value(values, field)) for field in FIELDS)


def _value(values: "Mapping[str, Union[str, int, None]]", field: str) -> "Union[str, int, None]":
    value = values.get(field)
    return _DEFAULTS[field] if value is None else value


def changed_line(line: str, values: "Mapping[str, Union[str, int, None]]") -> str:
    """The line with other values for these fields; the rest of it, and the blanks between, stay as they are."""
    pieces = re.findall(r"\s+|\S+", line)
    words = [index for index, piece in enumerate(pieces) if not piece.isspace()]
    for place, field in enumerate(FIELDS):
        if place >= len(words):
            if not any(later in values for later in FIELDS[place:]):
                break
            pieces += [" ", encode(_value(values, field))]
        elif field in values:
            pieces[words[place]] = encode(values[field])
    return "".join(pieces)


def mounted(text: str) -> "List[Live]":
    """/proc/self/mountinfo -> [Live], in the order of mounting: of several at one place the last is the one that is seen."""
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if len(left) < 6 or len(right) < 2:
            continue
        flags = set(left[5].split(",")) | {flag for flag in right[-1].split(",") if flag == "ro"}
        found.append(
            Live(decode(left[4]), decode(right[1]), decode(right[0]), frozenset(flags), left[2], decode(left[3]))
        )
    return found
