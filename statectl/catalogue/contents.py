"""What files shall hold: text, files of the project and secrets, to blobs that are known by hash and delivered only when needed."""

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statectl.catalogue.rendered import SecretParts
from statectl.catalogue.templates import Jail, TemplateRefused

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileOfProject:
    """A file that is delivered as it is. Held by path: it may be large."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the text of a template goes: it may differ on every host while all else is the same."""

    path: tuple[str, ...]  # ("template",), ("fragments", NAME, "template") or ("tree", FILE)


Piece = bytes | FileOfProject | SecretParts | Slot


@dataclass(frozen=True, slots=True)
class Wanted:
    """The content of one resource. `fragments`: by name, several associations may add to them; else `whole` is all of it."""

    whole: Piece | None = None
    fragments: Mapping[str, Piece] = field(default_factory=dict)

    def pieces(self) -> list[Piece]:
        if self.whole is not None:
            return [self.whole]
        return [self.fragments[name] for name in sorted(self.fragments)]

    def delivered(self, secret_id: Any, blobs: dict[str, bytes | Path]) -> dict[str, Any]:
        """The value of `content` in the catalogue."""
        return deliverable(self.pieces(), secret_id, blobs)

    def has_slots(self) -> bool:
        return isinstance(self.whole, Slot) or any(isinstance(piece, Slot) for piece in self.fragments.values())

    def filled(self, templates: Mapping[tuple[str, ...], Any]) -> "Wanted":
        """With the texts of this host's templates."""

        def fill(piece: Piece) -> Piece:
            return text_piece(templates[piece.path]) if isinstance(piece, Slot) else piece

        whole = None if self.whole is None else fill(self.whole)
        return Wanted(
            whole, {name: fill(piece) for name, piece in self.fragments.items()} if self.fragments else self.fragments
        )


class Files:
    """Files of the project, hashed once as long as they do not change."""

    def __init__(self, jail: Jail) -> None:
        self._jail = jail
        self._known: dict[str, tuple[tuple[int, int, int], FileOfProject]] = {}

    def piece(self, yaml_file: str, name: str) -> FileOfProject:
        """The file that `source` names, relative to its YAML file. Raises TemplateRefused with our own words."""
        relative = (
            name if name.startswith("/") else posixpath.normpath(posixpath.join(posixpath.dirname(yaml_file), name))
        )
        path = self._jail.find(relative, "source")
        if not path.is_file():
            raise TemplateRefused(
                "E122",
                f"source `{relative}` is not a file",
                "a directory is placed with `trees`" if path.is_dir() else "",
            )
        return self.hashed(path)

    def hashed(self, path: Path) -> FileOfProject:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._known.get(str(path))
            if known is not None and known[0] == stamp:
                return known[1]
            digest, size = hashlib.sha256(), 0
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except OSError as error:
            raise TemplateRefused(
                "E123", f"source `{path.name}` cannot be read: {(error.strerror or '').lower()}"
            ) from None
        found = FileOfProject(path, digest.hexdigest(), size)
        self._known[str(path)] = (stamp, found)
        return found


def text_piece(value: Any) -> Piece:
    """Rendered text, with or without secrets."""
    return value if isinstance(value, SecretParts) else str(value).encode("utf-8", "surrogatepass")


def deliverable(pieces: Sequence[Piece], secret_id: Any, blobs: dict[str, bytes | Path]) -> dict[str, Any]:
    """The value of `content` in the catalogue; bytes go to `blobs`. `secret_id(number)` names a secret of the renderer's register.

    Raises UnicodeDecodeError when a secret would have to be joined with bytes that are not text.
    """
    if any(isinstance(piece, SecretParts) for piece in pieces):
        parts: list[Any] = []
        for piece in pieces:
            if isinstance(piece, SecretParts):
                parts += [part if isinstance(part, str) else {"$secret": secret_id(part)} for part in piece.parts]
            else:
                parts.append(_bytes(piece).decode("utf-8"))
        return {"$parts": [part for part in parts if part != ""]}
    if len(pieces) == 1 and isinstance(pieces[0], FileOfProject):
        file = pieces[0]
        blobs[file.sha256] = file.path
        return {"$blob": file.sha256, "size": file.size}
    data = b"".join(_bytes(piece) for piece in pieces)
    sha256 = hashlib.sha256(data).hexdigest()
    blobs[sha256] = data
    return {"$blob": sha256, "size": len(data)}


def _bytes(piece: Piece) -> bytes:
    if isinstance(piece, FileOfProject):
        return piece.path.read_bytes()
    assert isinstance(piece, bytes), "templates are filled and secrets handled before"
    return piece
