"""Directories of the project that are placed whole: what is in them, and which of it are templates."""

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from statectl.catalogue.contents import Files, Piece, Slot, deliverable, text_piece
from statectl.catalogue.templates import PRIVATE, Jail, TemplateRefused

MAX_ENTRIES = 20_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a tree. `path` is relative to the tree on the host; `file` to the project, for kind file only."""

    path: str
    kind: str  # file | directory | link
    file: str = ""
    template: bool = False
    executable: bool = False
    to: str = ""  # of a link, as written
    piece: Piece | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """All entries of a tree with their contents."""

    entries: tuple[Entry, ...]

    def has_slots(self) -> bool:
        return any(isinstance(entry.piece, Slot) for entry in self.entries)

    def filled(self, templates: Mapping[tuple[str, ...], Any]) -> "Manifest":
        """With the texts of this host's templates."""
        return Manifest(
            tuple(
                replace(one, piece=text_piece(templates[one.piece.path])) if isinstance(one.piece, Slot) else one
                for one in self.entries
            )
        )

    def delivered(self, secret_id: Any, blobs: dict[str, bytes | Path]) -> dict[str, Any]:
        """The value of `manifest` in the catalogue."""
        found = []
        for entry in self.entries:
            one: dict[str, Any] = {"path": entry.path, "kind": entry.kind}
            if entry.kind == "link":
                one["to"] = entry.to
            if entry.piece is not None:
                one["content"] = deliverable([entry.piece], secret_id, blobs)
            if entry.executable:
                one["executable"] = True
            found.append(one)
        return {"$manifest": found}


class Trees:
    """Directories of the project, walked once."""

    def __init__(self, jail: Jail) -> None:
        self._jail = jail
        self._known: dict[tuple[str, tuple[str, ...]], tuple[Entry, ...]] = {}

    def entries(self, yaml_file: str, source: str, templates: Sequence[str]) -> tuple[Entry, ...]:
        """What a tree holds, sorted by path. Raises TemplateRefused: E203 outside the project, E204 missing, E219 what cannot be placed."""
        name = (
            source
            if source.startswith("/")
            else posixpath.normpath(posixpath.join(posixpath.dirname(yaml_file), source))
        )
        key = (name, tuple(templates))
        if key not in self._known:
            top = self._jail.find(name, "source")
            if not top.is_dir():
                raise TemplateRefused("E122", f"source `{name}` is not a directory", "one file is placed with `files`")
            patterns = [_pattern(glob) for glob in templates]
            found: list[Entry] = []
            self._walk(top, "", patterns, found)
            twice = (
                sorted(path for path in {one.path for one in found} if sum(one.path == path for one in found) > 1)
                if templates
                else []
            )
            if twice:
                raise TemplateRefused(
                    "E219", f"two files of source `{name}` are both placed at {twice[0]}", "a template loses its .j2"
                )
            self._known[key] = tuple(sorted(found, key=lambda one: one.path))
        return self._known[key]

    def manifest(self, yaml_file: str, source: str, templates: Sequence[str], files: Files) -> Manifest:
        """The entries with their contents; slots where templates go."""
        found = []
        for entry in self.entries(yaml_file, source, templates):
            if entry.kind == "file":
                piece: Piece = (
                    Slot(("tree", entry.file)) if entry.template else files.hashed(self._jail.root / entry.file)
                )
                found.append(replace(entry, piece=piece))
            else:
                found.append(entry)
        return Manifest(tuple(found))

    def _walk(self, directory: Path, prefix: str, patterns: Sequence[re.Pattern[str]], found: list[Entry]) -> None:
        try:
            items = sorted(os.scandir(directory), key=lambda item: item.name)
        except OSError as error:
            raise TemplateRefused(
                "E123", f"directory `{directory.name}` cannot be read: {(error.strerror or '').lower()}"
            ) from None
        for item in items:
            if item.name in PRIVATE:
                continue
            path = prefix + item.name
            if len(found) >= MAX_ENTRIES:
                raise TemplateRefused(
                    "E219", f"a tree of more than {MAX_ENTRIES:,} entries", "place an archive instead, or several trees"
                )
            if item.is_symlink():
                found.append(Entry(path, "link", to=os.readlink(item.path)))
            elif item.is_dir():
                found.append(Entry(path, "directory"))
                self._walk(Path(item.path), f"{path}/", patterns, found)
            elif item.is_file():
                template = any(pattern.fullmatch(path) for pattern in patterns)
                file = str(Path(item.path).relative_to(self._jail.root))
                placed = path.removesuffix(".j2") if template else path
                found.append(Entry(placed, "file", file, template, bool(item.stat().st_mode & 0o111)))
            else:
                raise TemplateRefused("E219", f"`{path}` of a tree is no file, directory or link")


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """Without a slash, names at any depth; with one, paths from the top, where ** crosses directories and * does not."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = [
        words.get(piece) or re.escape(piece) for piece in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", glob.lstrip("/"))
    ]
    return re.compile(("" if "/" in glob else "(?:.*/)?") + "".join(pieces), re.DOTALL)
