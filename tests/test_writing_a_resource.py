"""docs/writing-a-resource.md is followed to the letter: its example is put where it says and must pass the tests it brings."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLE = re.compile(r"^`(?P<file>\S+\.py)`:\n\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def followed(tmp_path):
    """A copy of the project with the files of the example in it."""
    ignore = shutil.ignore_patterns("__pycache__", "hosts", "lab", "benchmarks")
    for name in ("statectl", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    written = []
    for match in EXAMPLE.finditer((ROOT / "docs/writing-a-resource.md").read_text()):
        path = tmp_path / match["file"]
        assert not path.exists(), f"{match['file']} exists already: the example needs another type"
        path.write_text(match["code"])
        written.append(match["file"])
    assert len(written) == 3, "two halves and a test"
    return tmp_path, written


def run(directory, *argv):
    done = subprocess.run([sys.executable, *argv], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_works_as_printed(followed):
    """Its own tests pass, and it keeps the contract of every type."""
    directory, (_, _, test) = followed
    options = ("-q", "-p", "no:cacheprovider", "-n0")
    run(
        directory,
        "-m",
        "pytest",
        *options,
        test,
        "tests/test_contract.py",
        "-k",
        "alternative or Alternatives or unique",
    )


def test_the_example_is_found_without_a_list(followed):
    """Putting the files there is all it takes."""
    directory, _ = followed
    code = "from statectl.project.types import resource_types; assert resource_types()['alternatives'].name == 'alternative'"
    run(directory, "-c", code)


def test_the_example_keeps_the_style(followed):
    """Linter, formatter and types have nothing to say."""
    directory, written = followed
    run(directory, "-m", "ruff", "check", "--no-cache", *written)
    run(directory, "-m", "ruff", "format", "--no-cache", "--check", *written)
    run(directory, "-m", "mypy", "--strict", "--cache-dir=/dev/null", *written[:2])


def test_the_page_names_what_exists():
    """Paths in backquotes stand in the project, but for those of the example and patterns."""
    text = (ROOT / "docs/writing-a-resource.md").read_text()
    for path in re.findall(r"`((?:statectl|tests|docs)/[\w/.]+)`", text):
        if "alternative" not in path:
            assert (ROOT / path).exists(), path
