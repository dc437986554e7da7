"""Single lines of text files.

A line is *present* when it stands in the file exactly, and no other line matches `match`. A line is *absent* when no line
equals it, and no line matches `match`. Where it stands is not part of the state: `insert_after` and `insert_before` say where a
new one goes, once.

the file                               wanted present                             wanted absent
holds the line, no other match         ok                                         removed, each of them
holds the line, and other matches      the others are removed                     all are removed
no such line, one match                the match is replaced, in its place        the match is removed
no such line, several matches          the first is replaced, the others removed  all are removed
neither                                inserted                                   ok
is missing                             made with the line if `create`, or failed  ok

Without `match` there are no matches. Patterns are Python's, searched in each line without its end; a line that occurs twice
and is wanted is fine.
"""

import re
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional

from statectl.onhost.content import SecretText
from statectl.onhost.editing import read_lines, write_lines
from statectl.onhost.reading import each

if TYPE_CHECKING:
    from typing import Dict, Sequence, Tuple, Union

    from statectl.onhost.editing import Lines
    from statectl.onhost.failure import Failed
    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("path", "match", "insert_after", "insert_before", "create", "validate")


class Desired(NamedTuple):
    """Found: line is the wanted one, or what stands there instead: text, or a list where several lines match.

    create, wanted with `absent`, means: remove the file when it ends up empty.
    """

    name: str
    path: Optional[str] = None
    line: Any = None
    match: Optional[str] = None
    insert_after: Optional[str] = None
    insert_before: Optional[str] = None
    state: Optional[str] = None
    create: Optional[bool] = None
    validate: Optional[List[str]] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    return each(wanted, lambda want: _read_one(host, want))


def _read_one(host: "Host", want: "Desired") -> "Desired":
    assert want.path is not None  # every wanted one names its file
    lines = read_lines(host, want.path)
    equal, others = _occurrences(lines, want)
    if not equal and not others:
        return Desired(want.name, state="absent")
    bare = lines.bare()
    texts = [bare[index] for index in others] + ([want.line] if equal else [])
    found = want.line if not others else texts[0] if len(texts) == 1 else texts
    return Desired(want.name, line=found, state="present")


def _occurrences(lines: "Lines", want: "Desired") -> "Tuple[List[int], List[int]]":
    """-> (indexes of lines that equal the wanted one, indexes of other lines that match)"""
    pattern = re.compile(want.match) if want.match is not None else None
    equal, others = [], []
    for index, line in enumerate(lines.bare()):
        if want.line is not None and line == want.line:
            equal.append(index)
        elif pattern is not None and pattern.search(line):
            others.append(index)
    return equal, others


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  read anew: another line of this file may have just been written
    assert want.path is not None  # every wanted one names its file
    lines = read_lines(host, want.path)
    equal, others = _occurrences(lines, want)
    if want.state == "absent":
        lines.remove(equal + others)
    elif equal:
        lines.remove(others)
    elif others:
        lines.replace(others[0], want.line)
        lines.remove(others[1:])
    else:
        lines.insert(lines.place(want.insert_after, want.insert_before), [want.line])
    if want.state == "absent" and want.create and not lines.full:
        host.remove_file(want.path)
        return
    write_lines(host, want.path, lines, want.create, want.validate, isinstance(want.line, SecretText))


def removal(record: "Removal") -> "Optional[Desired]":
    """A line we added goes, and a file that `create` may have made when nothing else is in it; a line we replaced is put back."""
    before, want = record["before"], record["want"]
    if want.get("state") == "absent" or not isinstance(want.get("line"), str):
        return None
    there = Desired(record["name"], path=want["path"], validate=want.get("validate"))
    if record["created"]:
        return there._replace(line=want["line"], state="absent", create=want.get("create"))
    old = before.get("line")
    if not isinstance(old, str) or old == want["line"]:
        return None  # it stood there already, or several lines became one: nothing tells where they stood
    return there._replace(line=old, match="^%s$" % re.escape(want["line"]), state="present")
