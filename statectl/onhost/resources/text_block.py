"""Blocks of text between two marker lines in a file that somebody else owns.

The block is what stands between the first line that equals the begin marker and the next line that equals the end marker.

the file                         wanted present                          wanted absent
holds the block                  its content compared, newline to newline    removed with its markers
holds it more than once          the first is made right, others removed     all are removed
has a begin without an end       refused: where it ends is a person's guess  refused
does not hold it                 inserted, once                              ok
is missing                       made with the block if `create`, or failed  ok

Where the block stands is not part of its state. A file with CRLF lines gets the block with CRLF lines.
"""

from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional

from statectl.onhost.content import Content
from statectl.onhost.editing import read_lines, write_lines
from statectl.onhost.failure import Failed
from statectl.onhost.reading import each

if TYPE_CHECKING:
    from typing import Dict, Sequence, Set, Tuple, Union

    from statectl.onhost.editing import Lines
    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Removal

OPTIONS = ("path", "marker", "insert_after", "insert_before", "create", "validate")
MARKER = "# {mark} statectl %s"
BROKEN = "a begin marker without an end"


class Desired(NamedTuple):
    """content is a Content. Found: state is 'present', 'absent', 'present 2 times', or BROKEN.

    create, wanted with `absent`, means: remove the file when it ends up empty.
    """

    name: str
    path: Optional[str] = None
    content: Any = None
    marker: Optional[str] = None
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
    blocks = _blocks(lines, want)
    if not blocks:
        return Desired(want.name, state="absent")
    if blocks[-1][1] is None:
        return Desired(want.name, state=BROKEN)
    first, last = blocks[0]
    content = _as_wanted("".join(lines.full[first + 1 : last]), want.content)
    state = "present" if len(blocks) == 1 else "present %d times" % len(blocks)
    return Desired(want.name, content=content, state=state)


def _markers(want: "Desired") -> "Tuple[str, str]":
    marker = want.marker or MARKER % want.name
    return marker.replace("{mark}", "BEGIN"), marker.replace("{mark}", "END")


def _blocks(lines: "Lines", want: "Desired") -> "List[Tuple[int, Optional[int]]]":
    """-> list of (index of the begin marker, index of the end marker); the last end is None when there is none."""
    begin, end = _markers(want)
    blocks: "List[Tuple[int, Optional[int]]]" = []
    start = None
    for index, line in enumerate(lines.bare()):
        if start is None and line == begin:
            start = index
        elif start is not None and line == end:
            blocks.append((start, index))
            start = None
    if start is not None:
        blocks.append((start, None))
    return blocks


def _as_wanted(text: str, wanted: "Optional[Content]") -> "Content":
    """Content of the found text, in the spelling that equals the wanted one when only its final newline or CRLF differ."""
    unix = text.replace("\r\n", "\n")
    spellings = [text, unix]
    spellings += [spelling[:-1] for spelling in spellings if spelling.endswith("\n")]
    contents = [Content.of_bytes(spelling.encode("utf-8", "surrogateescape")) for spelling in spellings]
    for content in contents:
        if content == wanted:
            return content
    return contents[1]


def validate(host: "Host", want: "Desired", found: "Desired") -> str:  # noqa: ARG001  every `validate` is called alike
    """What will be refused, told before anything is written. '' : nothing."""
    if found.state == BROKEN:
        return "%s has the line %r and no line %r after it; put it right by hand" % (want.path, *_markers(want))
    return ""


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  read anew: another block of this file may have just been written
    assert want.path is not None  # every wanted one names its file
    lines = read_lines(host, want.path)
    blocks = _blocks(lines, want)
    if blocks and blocks[-1][1] is None:
        raise Failed(validate(host, want, Desired(want.name, state=BROKEN)), BROKEN)
    if want.state == "absent":
        lines.remove(_indexes(blocks))
        if want.create and not lines.full:
            host.remove_file(want.path)
            return
        write_lines(host, want.path, lines, True, want.validate, False)
        return
    new = _block(want)
    at = blocks[0][0] if blocks else lines.place(want.insert_after, want.insert_before)
    lines.remove(_indexes(blocks))
    lines.insert(at, new)
    write_lines(host, want.path, lines, want.create, want.validate, want.content.secret)


def _indexes(blocks: "List[Tuple[int, Optional[int]]]") -> "Set[int]":
    return {index for first, last in blocks if last is not None for index in range(first, last + 1)}


def _block(want: "Desired") -> "List[str]":
    """-> the lines of the wanted block with its markers, without their ends."""
    begin, end = _markers(want)
    text = want.content.read().decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    if begin in lines or end in lines:
        raise Failed(
            "%s: the content of text block %s holds one of its own markers; give it another `marker`"
            % (want.path, want.name),
            "content holds its own marker",
        )
    return [begin, *lines, end]


def removal(record: "Removal") -> "Optional[Desired]":
    """A block we added goes, and a file that `create` may have made when nothing else is in it; an adopted one gets its old content back."""
    before, want = record["before"], record["want"]
    if want.get("state") == "absent":
        return None
    there = Desired(record["name"], path=want["path"], marker=want.get("marker"), validate=want.get("validate"))
    if record["created"]:
        return there._replace(state="absent", create=want.get("create"))
    if before.get("content") is None:
        return None
    return there._replace(content=before["content"], state="present")
