"""An override list: what one install takes, whatever baselines approve. The form of Systems Manager's InstallOverrideList."""

from pathlib import Path
from typing import Any

from statectl.baselines.names import OverrideEntry
from statectl.cli.formats.terminal import one_line
from statectl.errors import ConfigError, UsageError
from statectl.problems import Problem
from statectl.project.yaml_nodes import Path as Place
from statectl.project.yaml_tree import read_yaml

MOST = 10_000


def read_override(path: Path) -> tuple[OverrideEntry, ...]:
    """patches: [{id: 'kernel.x86_64', title: '32:9.8.2-0.62.*'}]. Other keys are ignored, as there. Raises ConfigError, UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "error").lower() if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"--override {one_line(str(path))}: cannot be read: {reason}") from None
    tree, places, problems = read_yaml(text, str(path))
    if problems:
        raise ConfigError(problems)

    def wrong(place: Place, said: str) -> ConfigError:
        return ConfigError(
            [Problem("E108", said, places.value(place), hint="patches: [{id: openssl.amd64, title: '3.0.*'}]")]
        )

    rows = tree.get("patches") if isinstance(tree, dict) else None
    if not isinstance(rows, list) or not rows or len(rows) > MOST:
        raise wrong(("patches",) if isinstance(rows, list) else (), "expected `patches`, a list of maps with `id`")
    return tuple(_entry(row, ("patches", number), wrong) for number, row in enumerate(rows))


def _entry(row: Any, place: Place, wrong: Any) -> OverrideEntry:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"].strip():
        raise wrong(place, "expected a map with `id`, the name and architecture of a package")
    title = row.get("title")
    if title is not None and (isinstance(title, bool | dict | list) or not str(title).strip()):
        raise wrong((*place, "title"), "expected a version, perhaps with *")
    return OverrideEntry(str(row["id"]).strip(), "" if title is None else str(title).strip())
