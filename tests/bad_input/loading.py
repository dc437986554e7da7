"""A project in a temporary directory, loaded from text."""

from pathlib import Path

from statectl.cli.formats.problems import line_of
from statectl.project.model import Project
from statectl.sections import load

HEAD = "project: demo\ninventory: inventories/prod\n"


def write(directory: Path, files: dict[str, str | bytes]) -> Path:
    """Files by name below `directory`; statectl.yml is there unless it is among them."""
    for name, text in {"statectl.yml": HEAD, **files}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    (directory / ".git").mkdir(exist_ok=True)
    return directory


def load_files(directory: Path, files: dict[str, str | bytes]) -> Project:
    return load(write(directory, files), env={})


def lines(project: Project) -> list[str]:
    return [line_of(problem) for problem in project.problems]


def association(body: str, name: str = "web") -> str:
    """A file of one association that has `body`, whose first line is line 4 and whose keys begin at column 5."""
    inner = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines())
    return f"associations:\n  {name}:\n    targets: all\n{inner}"


def baseline(body: str, os: str = "debian") -> str:
    """A file of one patch baseline that has `body`, whose first line is line 4 and whose keys begin at column 5."""
    inner = "".join(f"    {line}\n" for line in body.splitlines())
    return f"patch_baselines:\n  b:\n    os: {os}\n{inner}"
