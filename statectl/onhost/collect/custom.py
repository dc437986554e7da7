"""Types of the user's own: files that something on the host dropped, and commands that the project declares.

A file is as AWS's agent takes it, with or without the `Custom:`

    {"SchemaVersion": "1.0", "TypeName": "Custom:Rack", "Content": {"Name": "r4", "Unit": "12"}}

Content is one map or a list of maps of names to values. A command prints such a Content. What is not like that is told and
left out; the others are taken.
"""

import json
import re
import time
from typing import TYPE_CHECKING

from statectl.onhost import process
from statectl.onhost.collect.rows import Found
from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Dict, Iterator, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

DEADLINE_S = 5.0
MAX_TYPES = 20
MAX_ROWS = 1000
MAX_COLUMNS = 50
MAX_FILES = 100
LIMIT = 1024 * 1024  # bytes of one file, or of what a command prints
TYPE = re.compile(r"[A-Z][A-Za-z0-9_]{0,63}\Z")
ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")


def dropped(host: "Host", directory: str, declared: "Dict[str, JSON]") -> "Iterator[Found]":
    """The types of the files in `directory`; in the end, as `Custom`, what was wrong with others."""
    wrong: "List[str]" = []
    found: "Dict[str, Found]" = {}
    names = [name for name in host.listdir(directory) if name.endswith(".json") and name[0] != "."]
    limit = time.monotonic() + DEADLINE_S
    if len(names) > MAX_FILES:
        wrong.append("%d files more than the %d that are read" % (len(names) - MAX_FILES, MAX_FILES))
    for name in names[:MAX_FILES]:
        try:
            if time.monotonic() > limit:
                raise ValueError("not read in time")
            one = _file(host, directory + "/" + name)
            if one.name[7:] in declared:
                raise ValueError("%s is a type that the project declares" % one.name)
            if one.name in found:
                raise ValueError("%s is the type of another file" % one.name)
            if len(found) >= MAX_TYPES:
                raise ValueError("more than %d types" % MAX_TYPES)
            found[one.name] = one
        except ValueError as error:
            wrong.append("%s: %s" % (name, error))
        except Failed as error:
            wrong.append(error.message)
    for one in found.values():
        yield one
    if wrong:
        yield Found("Custom", (), (), state="failed", reason="; ".join(wrong))


def declared(host: "Host", name: str, command: "Dict[str, JSON]") -> "Iterator[Found]":
    """The type of one command of the project. Raises Failed."""
    timeout = command["timeout_s"]
    ran = host.run(command["argv"], timeout=timeout, check=False)
    if ran.timed_out:
        raise Failed("%s did not end in %g s" % (command["argv"][0], timeout), "timed out")
    if ran.code != 0:
        raise process.failure(command["argv"], ran, timeout)
    try:
        yield _found(name, _parsed(ran.out))
    except ValueError as error:
        raise Failed("%s: %s" % (command["argv"][0], error), "custom type not valid")


def _file(host: "Host", path: str) -> "Found":
    """Raises ValueError and Failed; neither says anything of the content."""
    data = host.read_file(path, LIMIT + 1)
    if data is None:
        raise ValueError("gone before it was read")
    if len(data) > LIMIT:
        raise ValueError("larger than %d bytes" % LIMIT)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8")
    value = _parsed(text)
    if not isinstance(value, dict):
        raise ValueError("not a map of SchemaVersion, TypeName and Content")  # noqa: TRY004  of the content, not of a program
    for key in ("SchemaVersion", "TypeName", "Content"):
        if key not in value:
            raise ValueError("%s is missing" % key)
    if not isinstance(value["SchemaVersion"], str) or not re.match(
        r"[0-9]{1,6}(\.[0-9]{1,6}){0,2}\Z", value["SchemaVersion"]
    ):
        raise ValueError("SchemaVersion is not a text such as 1.0")
    name = value["TypeName"]
    if not isinstance(name, str):
        raise ValueError("TypeName is not a text")  # noqa: TRY004
    return _found(name[7:] if name.startswith("Custom:") else name, value["Content"])


def _parsed(text: str) -> "JSON":
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply")
    except ValueError:
        raise ValueError("not JSON")


def _refuse(word: str) -> None:
    raise ValueError(word)


def _found(name: str, content: "JSON") -> "Found":
    """Raises ValueError."""
    if not TYPE.match(name):
        raise ValueError("the type's name is not letters and digits after a capital")
    entries = content if isinstance(content, list) else [content]
    columns: "List[str]" = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise ValueError("Content is not a map or a list of maps")  # noqa: TRY004
        for key, value in entry.items():
            if not ATTRIBUTE.match(key):
                raise ValueError("an attribute's name is not letters, digits, _ . and -")
            if not isinstance(value, (str, int, float, bool)) and value is not None:
                raise ValueError("%s is neither text nor number" % key)
            if key not in columns:
                columns.append(key)
    if len(columns) > MAX_COLUMNS:
        raise ValueError("more than %d attributes" % MAX_COLUMNS)
    columns.sort(key=lambda key: (key != "Name", key))
    rows = [[entry.get(key) for key in columns] for entry in entries]
    return Found("Custom:" + name, columns, rows, MAX_ROWS, long=True)
