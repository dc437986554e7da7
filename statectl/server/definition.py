"""What an association is, in one hash: its own text, the profiles that it uses, and the files that it names.

When and how fast it runs, and what it says for people, is no part of it: to edit that is no reason to run it.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from statectl.project.model import Association, Body, Declaration, Profile, Variant
from statectl.project.scalars import Expression

FILE_FIELDS = ("template", "source")
_BESIDES = frozenset(
    (
        "places",
        "path",
        "position",
        "span",
        "description",
        "schedule",
        "timezone",
        "schedule_offset",
        "jitter_s",
        "only_at_schedule",
        "max_concurrency",
        "max_errors",
        "rollout",
        "severity",
    )
)
_BLOCK = 1 << 20


class Definitions:
    """Hashes of associations. Contents of files are read again only where size or times have changed."""

    def __init__(self) -> None:
        self._contents: dict[str, tuple[tuple[int, ...], str]] = {}

    def of(self, association: Association, profiles: Mapping[str, Profile], root: Path) -> tuple[str, set[Path]]:
        """The hash, and the files and directories that are named; one that cannot be read counts as such."""
        used: dict[str, Profile] = {}
        _used(association.body, profiles, used)
        digest = hashlib.sha256()
        named: set[Path] = set()
        parts: list[Association | Profile] = [association, *(used[name] for name in sorted(used))]
        for part in parts:
            digest.update("".join(_words(part)).encode("utf-8", "surrogatepass"))
            named.update(root / Path(file).parent / name for file, name in _files(part.body))
        for path in sorted(named):
            for file in _below(path):
                digest.update(
                    f"\0{os.path.relpath(file, root)}\0{self._content(file)}".encode("utf-8", "surrogatepass")
                )
        return digest.hexdigest(), named

    def _content(self, path: str) -> str:
        try:
            found = os.stat(path)
            seen = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_mode)
            known = self._contents.get(path)
            if known is not None and known[0] == seen:
                return known[1]
            digest = hashlib.sha256()
            with open(path, "rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        except OSError as error:
            return f"unreadable: {error.errno}"
        self._contents[path] = (seen, digest.hexdigest())
        return digest.hexdigest()


def _used(body: Body, profiles: Mapping[str, Profile], found: dict[str, Profile]) -> None:
    for use in body.uses:
        if use.profile in profiles and use.profile not in found:
            found[use.profile] = profiles[use.profile]
            _used(profiles[use.profile].body, profiles, found)
    for given in body.given:
        _used(given.body, profiles, found)


def _words(value: Any) -> Iterator[str]:
    """A text that is the same for the same meaning, wherever it stands in its file."""
    if isinstance(value, Expression):
        yield f"expression({value.source!r},{value.bare})"
    elif isinstance(value, Variant):
        fields_now = {name: below for name, below in value.fields.items() if name not in _BESIDES}
        yield from _words((value.targets, fields_now))
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"{type(value).__name__}("
        for one in fields(value):
            if one.name not in _BESIDES:
                yield f"{one.name}="
                yield from _words(getattr(value, one.name))
        yield ")"
    elif isinstance(value, Mapping):
        yield "{"
        for key, below in value.items():
            yield from _words(key)
            yield ":"
            yield from _words(below)
            yield ","
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for item in value:
            yield from _words(item)
            yield ","
        yield "]"
    else:
        yield f"{type(value).__name__}({value!s},{len(str(value))})"


def _files(body: Body) -> Iterator[tuple[str, str]]:
    """(file of the project that names it, name as written) of every file whose name is no expression."""
    for declaration in body.declarations:
        yield from ((declaration.places.file, name) for name in _named(declaration))
    for given in body.given:
        yield from _files(given.body)


def _named(declaration: Declaration) -> Iterator[str]:
    def below(value: Any) -> Iterator[str]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if key in FILE_FIELDS and isinstance(inner, str):
                    yield str.__str__(inner)
                else:
                    yield from below(inner)

    yield from below(declaration.fields)


def _below(path: Path) -> Iterator[str]:
    """The file, or all files of the directory, in one order."""
    if not path.is_dir():
        yield str(path)
        return
    for top, directories, names in os.walk(path):
        directories.sort()
        yield from (os.path.join(top, name) for name in sorted(names))


def looked_at(paths: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """How files, and all files of directories, stand now: two looks are equal when nothing was edited between them."""
    found: dict[str, tuple[int, ...]] = {}
    for path in paths:
        for file in _below(path):
            try:
                one = os.stat(file)
                found[file] = (one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino)
            except OSError as error:
                found[file] = (error.errno or 0,)
    return found
