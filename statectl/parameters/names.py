"""Names, places and selectors: `/my-app/dev/db-url`, `/my-app/dev/db-url:3`, `/my-app/dev/db-url:prod`."""

import re
from dataclasses import dataclass

from statectl.errors import UsageError
from statectl.parameters.failures import not_valid, shown

LONGEST = 1011
MOST_LEVELS = 15
NO_LIMIT = LONGEST  # of levels, for names that may have been written under another setting
PUBLIC_ROOT = "/statectl/"
ALLOWED = "allowed: letters digits . _ -"
_SEGMENT = re.compile(r"[A-Za-z0-9_.-]+")
_RESERVED = re.compile(r"/?(aws|ssm)", re.IGNORECASE)
_LABEL = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]{0,99}")
_RESERVED_LABEL = re.compile(r"(aws|ssm)", re.IGNORECASE)


def name_problem(name: str, levels: int = MOST_LEVELS) -> str:
    """What is wrong with a name, or ''. Spaces around it do not count."""
    name = name.strip(" ")
    if not name or name == "/":
        return f"a name is missing; {ALLOWED}, in segments behind /"
    if len(name) > LONGEST:
        return f"{len(name):,} characters; at most {LONGEST:,}"
    segments = name.removeprefix("/").split("/")
    for number, segment in enumerate(segments, 1):
        if not segment:
            return f"segment {number} is empty; {ALLOWED}"
        if not _SEGMENT.fullmatch(segment):
            return f"segment {number} has a character that is not allowed; {ALLOWED}"
        if not segment.strip("."):
            return f"segment {number} is {segment}; {ALLOWED}, and not only dots"
    if len(segments) > 1 and not name.startswith("/"):
        return f"a name with / begins with /; write /{shown(name)}"
    if len(segments) > levels:
        return f"{len(segments)} levels; at most {levels}"
    if _RESERVED.match(name):
        return f"{_RESERVED.match(name)[0]} is a reserved prefix"  # type: ignore[index]  # it just matched
    return ""


def check_name(name: str, levels: int = MOST_LEVELS) -> str:
    """The name without the spaces around it. Raises UsageError."""
    problem = name_problem(name, levels)
    if problem:
        raise not_valid(f"parameter name {shown(name)!r}: {problem}", code="E612")
    return name.strip(" ")


def place_of(name: str) -> bytes:
    """`x` and `/x` are one place. Of a name that is not checked it is a place at which nothing is."""
    return ("/" + name.strip(" ").removeprefix("/")).encode("utf-8", "backslashreplace")


def check_path(path: str) -> str:
    """A path without its last slash: '' for everything. Raises UsageError."""
    if not path.startswith("/"):
        raise not_valid(f"path {shown(path)!r}: a path begins with /", code="E612")
    trimmed = path.removesuffix("/")
    problem = "" if not trimmed or trimmed.startswith("/statectl") else name_problem(trimmed)
    if problem:
        raise not_valid(f"path {shown(path)!r}: {problem}", code="E612")
    return trimmed


def below(path: str) -> tuple[bytes, bytes]:
    """[first, behind the last) of the places below a checked path."""
    prefix = path.encode() + b"/"
    return prefix, prefix[:-1] + b"0"  # `0` is the character behind `/`


def is_public(name: str) -> bool:
    return place_of(name).startswith(PUBLIC_ROOT.encode())


@dataclass(frozen=True, slots=True)
class Selector:
    """name, and at most one of version and label."""

    name: str
    version: int | None = None
    label: str = ""
    text: str = ""  # with its colon

    @classmethod
    def parse(cls, text: str) -> "Selector":
        name, colon, rest = text.strip(" ").partition(":")
        check_name(name, NO_LIMIT)  # what can be no name is told from what is not there
        if not colon:
            return cls(name)
        if re.fullmatch(r"-?[0-9]+", rest):
            return cls(name, version=int(rest[:20]), text=f":{rest}")
        if label_problem(rest):
            raise not_valid(
                f"{shown(text)!r}: behind : stands a version or a label; {label_problem(rest)}", code="E613"
            )
        return cls(name, label=rest, text=f":{rest}")


def label_problem(label: str) -> str:
    """What is wrong with a label, or ''."""
    if len(label) > 100:
        return f"a label has at most 100 characters, not {len(label):,}"
    if label[:1].isdigit():
        return "a label does not begin with a digit: that is a version"
    if _RESERVED_LABEL.match(label):
        return "a label does not begin with aws or ssm"
    return "" if _LABEL.fullmatch(label) else f"not a label; {ALLOWED}"


def check_names_once(names: list[str]) -> None:
    """Raises UsageError when one stands there twice."""
    seen: set[bytes] = set()
    for name in names:
        if place_of(name) in seen:
            raise UsageError(f"parameter {shown(name)} stands twice in one request", code="E612")
        seen.add(place_of(name))
