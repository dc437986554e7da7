"""Files that declarations name (`template`, `source`): they exist, stay inside the project, and templates parse."""

import stat
from pathlib import Path

from statectl.problems import Problem, Span, nearest
from statectl.project.expressions import template_fault

MAX_TEMPLATE_BYTES = 4 * 1024 * 1024


class ProjectFiles:
    """Asked once per path: a template that 200 resources name is read once. `problems` are those inside templates."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self._real_root = root.resolve()
        self._known: dict[tuple[Path, str], tuple[str, str, str]] = {}

    def check(self, name: str, yaml_file: str, kind: str) -> tuple[str, str, str] | None:
        """`kind`: template, source, or directory. What is wrong: code, summary and hint; None when nothing is."""
        path = self.root / yaml_file
        path = path.parent / name
        known = self._known.get((path, kind))
        if known is None:
            known = self._look(path, kind)
            self._known[path, kind] = known
        return known if known[0] else None

    def _look(self, path: Path, kind: str) -> tuple[str, str, str]:
        try:
            real = path.resolve()
            if not real.is_relative_to(self._real_root):
                return "E122", "leaves the project", "name a file inside the project, relative to this YAML file"
            mode = real.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return "E122", "file not found", self._near(path)
        except (OSError, RuntimeError, ValueError) as error:  # a ring of links, a name no system takes
            reason = getattr(error, "strerror", None) or "no valid name"
            return "E122", f"file not found: {reason.lower()}", ""
        if mode & stat.S_IWOTH:
            return "E107", "writable for everybody; refused", f"chmod o-w {self._shown(path)}"
        if kind == "directory":
            return (
                ("", "", "") if stat.S_ISDIR(mode) else ("E122", "not a directory", "a tree is copied from a directory")
            )
        if not stat.S_ISREG(mode):
            return "E122", "not a regular file", ""
        if kind == "template":
            return self._parse(path, real)
        return "", "", ""

    def _near(self, path: Path) -> str:
        try:
            names = [entry.name for entry in path.parent.iterdir()]
        except OSError:
            return f"there is no directory {self._shown(path.parent)}"
        match = nearest(path.name, names)
        return f"did you mean {match}?" if match else f"looked for {self._shown(path)}"

    def _parse(self, path: Path, real: Path) -> tuple[str, str, str]:
        try:
            if real.stat().st_size > MAX_TEMPLATE_BYTES:
                return "E114", f"template too large (max {MAX_TEMPLATE_BYTES // 1024 // 1024} MiB)", "use source"
            text = real.read_bytes().decode("utf-8")
        except OSError as error:
            return "E123", f"file cannot be read: {(error.strerror or 'input/output error').lower()}", ""
        except UnicodeDecodeError:
            return "E123", "template is not UTF-8 text", "use `source` for other files"
        fault = template_fault(text)
        if fault is not None:
            column = fault.column or 1
            width = fault.length or max(1, len((text.splitlines() or [""])[fault.line - 1].rstrip()))
            span = Span(self._shown(path), fault.line, column, fault.line, column + width)
            self.problems.append(Problem("E202", f"template not valid: {fault.message}", span))
        return "", "", ""

    def _shown(self, path: Path) -> str:
        """Relative to the project, as every place is shown."""
        try:
            return str(path.resolve().relative_to(self._real_root))
        except ValueError:
            return str(path)
