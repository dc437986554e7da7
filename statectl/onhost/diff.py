"""Changes as people see them: one per differing field, with secrets left out where the change is made, not where it is shown."""

from statectl.onhost.compare import is_absent, plain, raw, want_gone
from statectl.onhost.content import Content, SecretText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, List, NoReturn, Optional, Sequence

    from statectl.onhost.shapes import JSON, Change, Found, Record, ResourceType

MAX_DIFFED_BYTES = 512 * 1024  # of one side; larger contents are told by hash and size
MAX_LINES = 2000
MAX_LINE = 2000  # characters of one shown line
CONTEXT = 3
MAX_VALUE = 8192  # characters of a found or wanted text
MAX_ENTRIES = 1000  # of a found or wanted list or map


def changes(
    module: "ResourceType", want: "Record", found: "Found", fields: "Sequence[str]", hide: "Collection[str]" = ()
) -> "List[Change]":
    """-> list of change dicts, one per field, never empty when `fields` is not.

    hide: fields of which no value may be shown. A field that holds a secret on either side is hidden in any case.
    """
    if getattr(module, "KIND_RUN", False):
        return [_run(want, "run" in hide)]
    told = [_of_type(module, field, want, found, field in hide) for field in fields]
    chosen = getattr(found, "chosen", None)
    if found is not None and chosen is not None and "state" in fields and "version" not in hide:
        # which version it will be is what people want to know of a package
        told = [change for change in told if change["field"] != "version"]
        told.append({"field": "version", "found": found.version, "wanted": chosen})
    return told


def _of_type(module: "ResourceType", field: str, want: "Record", found: "Found", hide: bool) -> "Change":
    """A type may tell a field's change in lines of its own, diff(field, want, found), and as data beside them, detail(field, want, found)."""
    wanted, there = getattr(want, field), _found(found, field, want)
    own = getattr(module, "diff", None)
    if own is not None and found is not None and not (hide or holds_secret(wanted) or holds_secret(there)):
        lines = own(field, want, found)
        if lines:
            detail = getattr(module, "detail", None)
            return dict(detail(field, want, found) if detail is not None else {}, field=field, diff=list(lines))
    return _change(field, wanted, there, hide)


def _found(found: "Found", field: str, want: "Record") -> "JSON":
    """What stood in the field; the missing state of a missing thing is `absent`."""
    if found is None or (is_absent(found) and field == "state"):
        return "absent" if field == "state" else None
    value = getattr(found, field)
    if field == "state" and value is None and want_gone(want):
        return "present"
    return value


def _run(want: "Record", hide: bool) -> "Change":
    if hide or holds_secret(want.run):
        return {"field": "run", "secret": True}
    return {"field": "run", "found": None, "wanted": _shown(want.run)}


def _change(field: str, wanted: "JSON", found: "JSON", hide: bool) -> "Change":
    if not hide and isinstance(wanted, Content) and wanted.pieces:
        lines = _without_secrets(wanted, found)
        if lines:
            return {"field": field, "diff": lines}
    if hide or holds_secret(wanted) or holds_secret(found):
        return {"field": field, "secret": True}
    if isinstance(wanted, Content) and (found is None or isinstance(found, Content)):
        return _content(field, wanted, found)
    return {"field": field, "found": _shown(found), "wanted": _shown(wanted)}


def _without_secrets(wanted: "Content", found: "JSON") -> "Optional[List[str]]":
    """-> lines of a diff, or None: what is there cannot be told line by line."""
    if not (found is None or isinstance(found, Content)) or not wants_bytes(wanted, found):
        return None
    old = "" if found is None else _text(found)
    if old is None:
        return None
    from statectl.onhost.secret_diff import changed_lines

    return _bounded(changed_lines(wanted.pieces, _lines(old), _NO_NEWLINE))


def holds_secret(value: "JSON") -> bool:
    if isinstance(value, SecretText) or (isinstance(value, Content) and value.secret):
        return True
    if isinstance(value, dict):
        return any(holds_secret(key) or holds_secret(item) for key, item in value.items())
    return isinstance(value, (list, tuple, set, frozenset)) and any(holds_secret(item) for item in value)


def _shown(value: "JSON") -> "JSON":
    value = plain(value, _no_secret_here)
    if isinstance(value, str) and len(value) > MAX_VALUE:
        return value[:MAX_VALUE] + " ... %d more characters" % (len(value) - MAX_VALUE)
    if isinstance(value, (list, dict)) and len(value) > MAX_ENTRIES:
        return "%d entries" % len(value)
    return value


def _no_secret_here(data: bytes) -> "NoReturn":  # noqa: ARG001  the shape of `keyed`
    raise AssertionError("a secret reached a change that was not hidden")


def wants_bytes(wanted: "Content", found: "Optional[Content]") -> bool:
    """Would the wanted bytes be shown in a diff? Only then are they asked for to make a plan."""
    return wanted.size <= MAX_DIFFED_BYTES and (found is None or found.size <= MAX_DIFFED_BYTES)


def _content(field: str, wanted: "Content", found: "Optional[Content]") -> "Change":
    if wanted.delivered and wants_bytes(wanted, found):
        new, old = _text(wanted), _text(found) if found is not None else ""
        if new is not None and old is not None:
            return {"field": field, "diff": _unified(old, new)}
    there = None if found is None else {"sha256": found.sha256, "size": found.size}
    return {
        "field": field,
        "found": there,
        "wanted": {"sha256": wanted.sha256, "size": wanted.size},
        "binary": True,
    }


def _text(content: "Content") -> "Optional[str]":
    """-> str, or None: binary."""
    data = content.read()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _unified(old: str, new: str) -> "List[str]":
    """-> lines of a unified diff without the two file lines; says what it leaves out.

    Only a newline ends a line: a carriage return or form feed is part of one, or a diff would show no difference.
    """
    import difflib

    before, after = _lines(old), _lines(new)
    if not before and not after:
        return ["\\ an empty file"]
    if not before:
        lines = ["@@ -0,0 +1,%d @@" % len(after)] + ["+" + line for line in after]
    elif not after:
        lines = ["@@ -1,%d +0,0 @@" % len(before)] + ["-" + line for line in before]
    else:
        lines = list(difflib.unified_diff(before, after, n=CONTEXT, lineterm=""))[2:]
    return _bounded(lines)


def _bounded(lines: "List[str]") -> "List[str]":
    """What is shown of them, saying what is left out."""
    shown = []
    for line in lines[:MAX_LINES]:
        if len(line) > MAX_LINE:
            line = line[:MAX_LINE] + " ... %d more characters" % (len(line) - MAX_LINE)  # noqa: PLW2901
        if line.endswith(_NO_NEWLINE):
            shown += [line[: -len(_NO_NEWLINE)], "\\ no newline at end of file"]
        else:
            shown.append(line)
    if len(lines) > MAX_LINES:
        shown.append("\\ %d more lines" % (len(lines) - MAX_LINES))
    return shown


_NO_NEWLINE = "\0"  # texts with a NUL are binary, so no line can end with it by itself


def _lines(text: str) -> "List[str]":
    """Lines without their ends; a last line without one carries a mark, so that it differs from one that has it."""
    if not text:
        return []
    lines = text.split("\n")
    last = lines.pop()
    return lines if last == "" else [*lines, last + _NO_NEWLINE]


def still_differs(want: "Record", found: "Found", fields: "Sequence[str]", hide: "Collection[str]" = ()) -> str:
    """-> 'mode: found 0600, wanted 0644; content: not as wanted' after an apply that did not do it."""
    parts = []
    for field in fields:
        wanted, there = getattr(want, field), None if found is None else getattr(found, field)
        if field in hide or holds_secret(wanted) or holds_secret(there) or isinstance(wanted, Content):
            parts.append("%s: not as wanted" % field)
        elif found is None or (is_absent(found) and field != "state"):
            parts.append("%s: nothing there, wanted %s" % (field, _word(wanted)))
        else:
            parts.append("%s: found %s, wanted %s" % (field, _word(there), _word(wanted)))
    return "; ".join(parts)


def _word(value: "JSON") -> str:
    text = raw(value) if isinstance(value, str) else repr(_shown(value))
    return text if len(text) <= 200 else text[:200] + "..."
