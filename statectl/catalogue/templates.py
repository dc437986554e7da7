"""Where templates and sources may come from: the project, and nothing that leads out of it."""

from pathlib import Path, PurePosixPath

MAX_TEMPLATE = 16 * 1024 * 1024  # bytes
PRIVATE = frozenset({".git", ".statectl"})  # the project's own memory is nobody's template


class NotLookedUp(Exception):
    """Nobody looks it up here: what needs it waits, as what needs facts does before the first contact."""


class TemplateRefused(Exception):
    """A question that a template may not ask, or that has no answer. `code` and texts as of a Problem."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class Jail:
    """Files of the project by their path relative to it. Links may lead anywhere inside, never out."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._texts: dict[str, str] = {}

    def find(self, name: str, kind: str = "template") -> Path:
        """The file of a path relative to the project. Raises TemplateRefused: E203 outside, E204 missing."""
        parts = PurePosixPath(name).parts
        if "\0" in name or len(name) > 4000:
            raise TemplateRefused("E204", f"no {kind} of this name")
        if name.startswith("/") or ".." in parts:
            raise TemplateRefused("E203", f"{kind} leaves the repository: {name}", f"put the {kind} into the project")
        try:
            path = (self.root / name).resolve(strict=True)
        except (OSError, RuntimeError):
            raise TemplateRefused("E204", f"no {kind} `{name}`") from None
        if not path.is_relative_to(self.root):
            raise TemplateRefused(
                "E203", f"{kind} leaves the repository by a link: {name}", f"put the {kind} into the project"
            )
        if PRIVATE & set(path.relative_to(self.root).parts):
            raise TemplateRefused("E203", f"{kind} lies in a private directory of the project: {name}")
        return path

    def read(self, name: str) -> str:
        """The text of a template."""
        if name not in self._texts:
            path = self.find(name)
            if not path.is_file():
                raise TemplateRefused("E204", f"template `{name}` is not a file")
            if path.stat().st_size > MAX_TEMPLATE:
                raise TemplateRefused("E205", f"template `{name}` is larger than 16 MiB")
            try:
                self._texts[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise TemplateRefused(
                    "E204", f"template `{name}` is not UTF-8 text", "use `source` for binary files"
                ) from None
            except OSError as error:
                raise TemplateRefused(
                    "E204", f"template `{name}` cannot be read: {(error.strerror or '').lower()}"
                ) from None
        return self._texts[name]
