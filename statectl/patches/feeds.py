"""Feeds of vulnerabilities: fetched or read, understood whole, and only then put in place of what was known."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from statectl.baselines.patching import Feed
from statectl.patches.debian_feed import load_debian
from statectl.patches.fetching import NotFetched, fetch
from statectl.patches.json_pieces import NotJSON
from statectl.patches.loaded_feed import BrokenFeed, FeedFile, Loaded
from statectl.patches.osv_feed import load_osv
from statectl.patches.oval_feed import load_oval
from statectl.store.patch_feeds import CHANGELOGS, KeptFeed
from statectl.store.patch_ledger import text_of
from statectl.store.patches import Patches

MAX_FEED = 1024**3  # as it is fetched
LOADERS: Mapping[str, Callable[[FeedFile], Loaded]] = {"debian": load_debian, "osv": load_osv, "oval": load_oval}
NEVER = KeptFeed("", "", "", "", "", 0, {}, "", "")


@dataclass(frozen=True, slots=True)
class Updated:
    """`trouble`: why it was not; then what was read at `fetched` stays in use."""

    name: str
    unchanged: bool = False
    entries: int = 0
    made: str = ""
    fetched: str = ""
    trouble: str = ""


class FeedReader:
    """`root`: of the project, that paths are relative to."""

    def __init__(self, patches: Patches, root: Path, now: Callable[[], datetime]) -> None:
        self._feeds = patches.feeds
        self._root = root
        self._now = now

    def update(self, feeds: Sequence[Feed]) -> Iterator[Updated]:
        known = self._feeds.all()
        for feed in feeds:
            before = known.get(feed.name, NEVER)
            if before.kind != feed.kind or before.location != feed.source:
                before = NEVER
            yield self._one(feed, before)

    def forget_others(self, feeds: Sequence[Feed]) -> list[str]:
        """Feeds that statectl.yml names no more -> their names."""
        named = {feed.name for feed in feeds}
        gone = [name for name in self._feeds.all() if name not in named and not name.startswith("(")]
        if gone:
            self._feeds.forget(gone)
        return gone

    def _one(self, feed: Feed, before: KeptFeed) -> Updated:
        now = self._now()
        try:
            with tempfile.TemporaryDirectory(prefix="statectl-feed-") as place:
                return self._read(feed, before, Path(place), now)
        except (NotFetched, NotJSON, BrokenFeed) as error:
            why = str(error)
        except RecursionError:
            why = "entries stand too deep in each other"
        except OSError as error:
            why = error.strerror or str(error)
        trouble = f"feed {feed.name}: {feed.source}: {why}"
        self._feeds.failed(feed.name, feed.kind, feed.source, trouble, now)
        return Updated(feed.name, entries=before.entries, made=before.made, fetched=before.fetched, trouble=trouble)

    def _read(self, feed: Feed, before: KeptFeed, place: Path, now: datetime) -> Updated:
        made = ""
        if "://" in feed.source:
            path = place / (feed.source.rpartition("/")[2][-80:] or "feed")
            got = fetch(feed.source, path, most=MAX_FEED, validators=before.validators)
            validators = dict(got.validators)
            made = _http_moment(validators.get("last_modified", ""))
            if not got.unchanged:
                validators["digest"] = got.sha256
        else:
            path = self._root / feed.source
            if not path.exists():
                raise NotFetched("is not there")
            validators = {"digest": _digest(path)}
        if not validators.get("digest") or validators["digest"] == before.validators.get("digest"):
            self._feeds.unchanged(
                KeptFeed(
                    feed.name, feed.kind, feed.source, before.made, "", before.entries,
                    {**before.validators, **validators}, "", "",
                ),
                now,
            )  # fmt: skip
            return Updated(feed.name, True, before.entries, before.made, text_of(now))
        loaded = LOADERS[feed.kind](FeedFile(path))
        if not loaded.entries:
            raise BrokenFeed("not one entry in it is about a package of a distribution")
        made = loaded.made or made
        kept = KeptFeed(feed.name, feed.kind, feed.source, made, "", loaded.entries, validators, "", "")
        self._feeds.replace(kept, loaded.fixes, loaded.cves, now)
        return Updated(feed.name, False, loaded.entries, made, text_of(now))


def _digest(path: Path) -> str:
    """Of a file, or of all of a directory."""
    if path.is_file():
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    whole = hashlib.sha256()
    for one in sorted(path.rglob("*.json*")):
        if one.is_file():
            with one.open("rb") as source:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
            whole.update(f"{one.relative_to(path)}\0{digest}\0".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _http_moment(text: str) -> str:
    try:
        return text_of(parsedate_to_datetime(text).astimezone(UTC)) if text else ""
    except (ValueError, TypeError, OverflowError):
        return ""


__all__ = ["CHANGELOGS", "FeedReader", "Updated"]
