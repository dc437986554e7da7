"""What the commands about indexes, feeds and the package cache work with: the project's settings, the store and the clock."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statectl.cli.formats.terminal import one_line
from statectl.errors import UsageError
from statectl.problems import nearest

if TYPE_CHECKING:
    from statectl.baselines.patching import Patching
    from statectl.patches.cache import PackageCache
    from statectl.store.store import Store

EXITS = {"E640": 3, "E641": 5, "E642": 1, "E643": 1, "E644": 1}  # of what went wrong with one of several


def clock() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Memory:
    root: Path
    patching: "Patching"
    store: "Store"

    def cache(self) -> "PackageCache | None":
        """None: statectl.yml names none."""
        if not self.patching.cache:
            return None
        from statectl.patches.cache import PackageCache

        directory = self.root / self.patching.cache
        return PackageCache(self.store.patches, directory, self.patching.cache_max, self.patching.cache_days)


@contextmanager
def memory(obj: Mapping[str, Any]) -> Iterator[Memory]:
    """Raises ConfigError and what the store raises."""
    from statectl.cli.opening import open_settings, open_store

    root, settings = open_settings(obj)
    store = open_store(root, settings)
    try:
        yield Memory(root, settings.patching, store)
    finally:
        store.close()


def chosen(kind: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The names that were typed, all that there are without any. Raises UsageError on one that is not there."""
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else f"statectl.yml names {', '.join(known) or 'none'}"
            raise UsageError(f"no {kind} {one_line(name)!r} in statectl.yml", hint=hint)
    return [name for name in known if not names or name in names]


def ago(then: str, at: dt.datetime) -> str:
    from statectl.cli.formats.ages import age

    return f"{age(then, at.isoformat())} ago" if then else "never"


def size_text(size: int) -> str:
    """In the unit that people use."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
