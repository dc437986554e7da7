"""Reading indexes here: versions are known when they appear, not when the next host is scanned, and their files can be kept.

Only what statectl.yml names is read. An index that cannot be had, or is not to be trusted, leaves everything as it is.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from statectl.baselines.patching import Index
from statectl.errors import StatectlError
from statectl.onhost.versions import compare_versions
from statectl.patches.apt_index import read_apt
from statectl.patches.cache import PackageCache
from statectl.patches.fixes import kind_of_versions
from statectl.patches.index_files import IndexRead, Listed
from statectl.patches.rpm_index import read_rpm
from statectl.store.patch_feeds import KeptFeed
from statectl.store.patch_indexes import KeptPoll
from statectl.store.patch_ledger import text_of
from statectl.store.patches import Patches

UPDATEINFO = "updateinfo"
NEVER = KeptPoll("", "", "", 0, {}, "", "")


@dataclass(slots=True)
class Polled:
    """One suite of an index of apt, or one repository of rpm. `trouble`: why nothing was read; `warnings`: of the cache."""

    name: str
    unchanged: bool = False
    packages: int = 0
    new: int = 0
    kept: int = 0
    made: str = ""
    trouble: str = ""
    code: str = ""
    hint: str = ""
    warnings: list[str] = field(default_factory=list)


def poll_names(index: Index) -> list[str]:
    """What its polls are called: with one suite as the index itself."""
    if not index.uri or len(index.suites) == 1:
        return [index.name]
    return [f"{index.name}/{suite}" for suite in index.suites]


class Poller:
    """`root`: of the project, that paths are relative to; `cache` None: no packages are kept."""

    def __init__(
        self, patches: Patches, root: Path, now: Callable[[], datetime], cache: PackageCache | None = None
    ) -> None:
        self._patches = patches
        self._root = root
        self._now = now
        self._cache = cache

    def poll(self, indexes: Sequence[Index]) -> Iterator[Polled]:
        """One after the other, told as it is read."""
        known = self._patches.polls.all()
        for index in indexes:
            names = poll_names(index)
            for name, suite in zip(names, index.suites if index.uri else ("",), strict=True):
                yield self._one(index, suite, name, known.get(name, NEVER))

    def forget_others(self, indexes: Sequence[Index]) -> None:
        """Polls of indexes that statectl.yml names no more."""
        named = {name for index in indexes for name in poll_names(index)}
        gone = [name for name in self._patches.polls.all() if name not in named]
        if gone:
            self._patches.polls.forget(gone)

    def _one(self, index: Index, suite: str, name: str, before: KeptPoll) -> Polled:
        polled = Polled(name)
        now = self._now()
        try:
            with tempfile.TemporaryDirectory(prefix="statectl-poll-") as place:
                read = self._read(index, suite, before, Path(place), now)
                if read is None:
                    polled.unchanged, polled.packages, polled.made = True, before.packages, before.made
                    self._patches.polls.done(name, before.made, before.packages, before.validators, now)
                    return polled
                self._note(name, read, polled, now)
        except StatectlError as error:
            polled.trouble, polled.code, polled.hint = error.message, error.code, error.hint
            self._patches.polls.failed(name, error.message, now)
        except OSError as error:
            polled.trouble, polled.code = f"index {index.name}: {error.strerror or error}", "E640"
            self._patches.polls.failed(name, polled.trouble, now)
        return polled

    def _read(self, index: Index, suite: str, before: KeptPoll, place: Path, now: datetime) -> IndexRead | None:
        # what the settings say has a part in it: another component of the same archive is something new
        stamp = repr((index.uri, index.baseurl, index.components, index.architectures, bool(self._cache)))
        known = before.validators if before.validators.get("settings") == stamp else {}
        made = before.made if known else ""
        if index.uri:
            keys = self._root / index.signed_by if index.signed_by else None
            read = read_apt(index, suite, keys, known, made, place, now)
        else:
            keys = self._root / index.gpgkey if index.gpgkey else None
            read = read_rpm(index, keys, known, made, place, now)
        if read is None:
            return None
        return IndexRead(
            read.archives, read.packages, {**read.validators, "settings": stamp}, read.made, read.fixes, read.base
        )

    def _note(self, name: str, read: IndexRead, polled: Polled, now: datetime) -> None:
        wanted = _Wanted(self._patches, self._cache is not None)
        for listed in read.packages():  # to its end, before anything of it is remembered
            polled.packages += 1
            wanted.consider(listed)
        polled.new = self._patches.ledger.note(read.archives, (listed.found for listed in read.packages()), now)
        if read.fixes:
            self._advise(name, read, now)
        complete = True
        if self._cache is not None:
            complete = self._keep(self._cache, wanted.newest(), read.base, polled, now)
        polled.made = text_of(datetime.fromtimestamp(read.made, UTC)) if 0 < read.made < 2**33 else ""
        # what could not be kept is tried again: the index counts as read, and not as the same
        validators = read.validators if complete else {"settings": read.validators["settings"]}
        self._patches.polls.done(name, polled.made, polled.packages, validators, now)

    def _advise(self, name: str, read: IndexRead, now: datetime) -> None:
        """Advisories of an rpm repository stand with the feeds, under the repository's own name."""
        cves = {fix.cve for fixes in read.fixes.values() for fix in fixes if fix.cve}
        made = text_of(datetime.fromtimestamp(read.made, UTC)) if 0 < read.made < 2**33 else ""
        entries = sum(len(fixes) for fixes in read.fixes.values())
        feed = KeptFeed(f"({name})"[:64], UPDATEINFO, read.base, made, "", entries, {}, "", "")
        fields = {package: [fix.fields() for fix in fixes] for package, fixes in read.fixes.items()}
        self._patches.feeds.replace(feed, fields, cves, now)

    def _keep(self, cache: PackageCache, wanted: Sequence[Listed], base: str, polled: Polled, now: datetime) -> bool:
        """-> is all of it there?"""
        held = cache.held()
        complete = True
        still = [one.found.sha256 for one in wanted if one.found.sha256 in held]
        if still:
            self._patches.files.used(still, now)
        for one in wanted:
            if one.found.sha256 in held:
                continue
            try:
                cache.add(one, base, now)
                polled.kept += 1
            except StatectlError as error:
                complete = False
                polled.warnings.append(error.message)
                if error.hint and not error.hint.startswith("statectl explain"):
                    polled.warnings[-1] += f" ({error.hint})"
                    break  # a full disk takes no other file either
        cache.prune(now)
        return complete


class _Wanted:
    """Packages that are newer than what some host has: one of them will be installed, perhaps when the index has it no more."""

    def __init__(self, patches: Patches, active: bool) -> None:
        self._lowest: dict[tuple[str, str], str] = {}
        self._found: dict[tuple[str, str], Listed] = {}
        if not active:
            return
        for name, arch, version in patches.scans_kept.installed_versions():
            before = self._lowest.get((name, arch))
            if before is None or compare_versions(version, before, kind_of_versions(arch)) < 0:
                self._lowest[name, arch] = version

    def consider(self, listed: Listed) -> None:
        found = listed.found
        key = (found.package, found.arch)
        lowest = self._lowest.get(key)
        if lowest is None:
            return
        kind = kind_of_versions(found.arch, found.archive)
        if compare_versions(found.version, lowest, kind) <= 0:
            return
        other = self._found.get(key)
        if other is None or compare_versions(found.version, other.found.version, kind) > 0:
            self._found[key] = listed

    def newest(self) -> list[Listed]:
        """Small ones first: where not all can be kept, more of them can."""
        return sorted(self._found.values(), key=lambda one: one.size)
