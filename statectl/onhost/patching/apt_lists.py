"""Which indexes apt looks at for patches: the host's own, or fresher ones in a cache of ours. Nothing of the host's is written.

When each index was fetched is told by its Release file: apt makes that file's inode anew, or links it anew, each time it has checked it with
the archive, also when nothing there has changed; a fetch that fails leaves it alone. So one archive that is down for a week shows its
week, whatever the others say. (Seen with apt 2.2, 2.6 and 3.0, over HTTP and from files.)

A baseline's own sources stand in this cache too, never in /etc/apt: when the executor is killed, the host's apt knows nothing of them.
"""

import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from statectl.onhost.failure import Failed
from statectl.onhost.patching.apt_release import epoch, parse_release, shown
from statectl.onhost.process import Ran
from statectl.onhost.resources.package import apt_index

if TYPE_CHECKING:
    from statectl.onhost.host import Host

TOP = "/var/cache/statectl-apt"  # not below the executor's own, which is closed to the user that apt fetches as
FETCH_TIMEOUT_S = 600
FORGOTTEN_S = 30 * 86400  # sources that no baseline has named for so long
SCRATCH = "scratch."
LEFT_S = 86400  # no transaction is that long
_PATIENCE = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20")
_COPIED = re.compile(r"(?:_|^)(?:InRelease|Release|Release\.gpg|Packages(?:\.[a-z0-9]+)?)$")
_SECRET = re.compile(r"(?<=://)[^/@\s']*@")
_URI = re.compile(r"^'(?P<uri>[^']*)' (?P<file>\S+) \d+", re.MULTILINE)
_FIRST = 'Dir::Etc::main "%s/last.conf";\n'
# commands that a host's apt runs after its own update would refresh other caches of the host's; other indexes are of no use here
_LAST = """#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Languages "none";
Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";
"""
_UNUSED = ("Contents-deb", "Contents-deb-legacy", "Contents-udeb", "DEP-11", "CNF")
_UNUSED_SOURCES = ("Contents-dsc",)


class Configured(NamedTuple):
    """An archive that apt is told to read. `base`: how the names of its files in the lists begin; places without secrets.

    place   `http://deb.example.org/debian bookworm`, for people
    """

    base: str
    uri: str
    place: str


def without_secrets(text: str) -> str:
    """Users and passwords of addresses stay on the host."""
    return _SECRET.sub("", text)


def parse_configured(text: str) -> "List[Configured]":
    """Output of `apt-get update --print-uris` -> archives, each once."""
    found: "List[Configured]" = []
    for match in _URI.finditer(text):
        name, uri = match.group("file"), without_secrets(match.group("uri"))
        if uri.startswith("cdrom:"):
            continue  # a disc has no newer index, and is not there to be asked
        if name.endswith("InRelease") and uri.endswith("InRelease"):
            uri = uri[: -len("InRelease")]
            site, dists, suite = uri.rpartition("/dists/")
            place = "%s %s" % (site, suite.rstrip("/")) if dists else uri.rstrip("/.") + " ./"
            found.append(Configured(name[: -len("InRelease")], uri, place))
    return found


class Lists(object):
    """options     what makes apt look at the chosen indexes, and write no cache but ours
    directory   where they are
    configured  the archives that the sources name, those without an index too
    stale       what could not be refreshed, in words
    over        of these, what has passed the end that the archive itself set: nobody may believe it any more
    """

    def __init__(self, host: "Host", sources: "Sequence[Mapping[str, Any]]" = (), top: str = TOP) -> None:
        self._host = host
        self.stale: "List[str]" = []
        self.over: "List[str]" = []
        self._sources = [source for source in sources if source.get("uris")]
        name = "host"
        if self._sources:
            text = json.dumps(self._sources, sort_keys=True).encode("utf-8", "surrogateescape")
            name = "sources-" + hashlib.sha256(text).hexdigest()[:16]
        self._top, self._own = top, "%s/%s" % (top, name)
        self._ours = self._own + "/lists"
        self._writes = host.uid == 0
        self._refused: "Dict[str, str]" = {}
        self._listed: "Dict[str, List[str]]" = {}
        if self._sources:
            if not self._writes:
                raise Failed("only root can look at the sources of a baseline", "not root")
            self._write_sources()
            self.directory = self._ours
        where = self._where()
        self.configured = parse_configured(self._asked(["apt-get", "update", "--print-uris", *where]).out)
        if not self._sources:
            self.directory = self._better()

    # -- where

    def _where(self) -> "Tuple[str, ...]":
        if not self._sources:
            return ()
        parts = "Dir::Etc::sourceparts=%s/sources.list.d" % self._own
        return ("-o", "Dir::Etc::sourcelist=/dev/null", "-o", parts)

    @property
    def own_sources(self) -> str:
        """Where the sources of the baseline are written."""
        return self._own + "/sources.list.d"

    @property
    def options(self) -> "Tuple[str, ...]":
        if not self._writes:
            return (*apt_index.IN_MEMORY, *self._where())
        cache = []
        for name in ("pkgcache", "srcpkgcache"):
            cache += ["-o", "Dir::Cache::%s=%s/%s.bin" % (name, self._own, name)]
        lists = () if self.directory == apt_index.LISTS else ("-o", "Dir::State::Lists=" + self.directory)
        return (*cache, *lists, *self._where())

    def prepare(self) -> None:
        """The places that `options` name."""
        if self._writes and self._host.lstat(self._ours + "/partial") is None:
            host = self._host
            host.run(["mkdir", "-p", "--", self._ours + "/partial"])
            # apt fetches as user _apt, who must get there and need not see what else is there
            host.run(["chmod", "0711", "--", self._top])
            host.run(["chmod", "0755", "--", self._own, self._ours])
            if host.user_id("_apt") is not None:
                host.run(["chown", "_apt", "--", self._ours + "/partial"])

    def _asked(self, argv: "List[str]") -> "Ran":
        ran = self._host.run(argv, timeout=120, check=False)
        if ran.code != 0:
            lines = [line[3:] for line in ran.err.split("\n") if line.startswith("E: ")]
            why = without_secrets(lines[0]) if lines else "exit code %s" % ran.code
            raise Failed("apt cannot read its sources: %s" % why, "sources of apt are wrong", argv[:3], ran.code)
        return ran

    def _write_sources(self) -> None:
        """One file a source, and its key beside it. Readable by root alone where a password may stand in it."""
        self.prepare()
        for number, source in enumerate(self._sources):
            key = source.get("signed_by") or ""
            if "\n" in key.strip() or key.lstrip().startswith("-----BEGIN"):
                path = "%s/key%d.asc" % (self._own, number)
                self._write(path, key.strip() + "\n", "0644")
                key = path
            self._write("%s/%02d.sources" % (self.own_sources, number), render(source, key), "0600")

    def _write(self, path: str, text: str, mode: str) -> None:
        data = text.encode("utf-8", "surrogateescape")
        if self._host.read_file(path) != data:
            self._host.run(["install", "-D", "-m", mode, "--", "/dev/stdin", path], input=data)

    # -- when

    def fetched(self, one: "Configured", directory: str = "") -> float:
        """When this archive was last asked whether its index is still the newest; 0: its index is not here."""
        directory = directory or self.directory
        names = self._names(directory)
        for name in (one.base + "InRelease", one.base + "Release"):
            if name in names:
                return self._changed(directory, name)
        # a flat one may have no Release; what counts then is the index itself
        own = [name for name in names if name.startswith(one.base) and "_Packages" in name[len(one.base) - 1 :]]
        return max([self._changed(directory, name) for name in own] or [0])

    def _names(self, directory: str) -> "List[str]":
        if directory not in self._listed:
            self._listed[directory] = self._host.listdir(directory)
        return self._listed[directory]

    def _changed(self, directory: str, name: str) -> float:
        info = self._host.lstat("%s/%s" % (directory, name))
        if info is None:
            return 0
        if directory == self._ours:
            copied, original = self._seeds().get(name, (0, 0))
            return float(original) if copied == info.st_ctime else info.st_ctime
        # an image that was unpacked has new inodes, but the directory into which apt fetches tells how old they are
        partial = self._host.lstat(directory + "/partial")
        return min(info.st_ctime, partial.st_mtime + 60) if partial is not None else info.st_ctime

    def _seeds(self) -> "Dict[str, Tuple[float, float]]":
        """{name: (when we copied it, when the host fetched it)} of files that came from the host's own lists."""
        try:
            return dict(json.loads((self._host.read_file(self._own + "/seeded.json") or b"{}").decode("ascii")))
        except (ValueError, TypeError):
            return {}

    def _standing(self, directory: str) -> "Tuple[int, float, float]":
        """The more of them are there, and the younger the oldest and the youngest, the better."""
        times = [self.fetched(one, directory) for one in self.configured]
        there = [when for when in times if when]
        return len(there), min(there or [0]), max(there or [0])

    def _better(self) -> str:
        if self._writes and self._standing(self._ours) > self._standing(apt_index.LISTS):
            return self._ours
        return apt_index.LISTS

    def expired(self, one: "Configured") -> float:
        """When its Release ended, 0: it has not. One that was fetched after its end was accepted so: its check is off."""
        until = self.release(one).get("valid-until", "")
        end = epoch(until) if until else 0
        return end if 0 < end < time.time() and self.fetched(one) < end else 0

    def release(self, one: "Configured") -> "Dict[str, str]":
        """The fields of its Release file, in lower case; {} where it has none."""
        for name in ("InRelease", "Release"):
            data = self._host.read_file("%s/%s%s" % (self.directory, one.base, name), 65536)
            if data is not None:
                return parse_release(data.decode("utf-8", "replace"))
        return {}

    # -- fetching

    def refresh(self, refresh_s: float) -> None:
        """Ask the archives when an index is older than `refresh_s`, missing, or past its end. What fails is told in `stale`."""
        oldest = time.time() - refresh_s
        if any(self.fetched(one) < oldest or self.expired(one) for one in self.configured):
            if self._writes:
                self._fetch()
            else:
                self._refused = {one.base: "only root can refresh it" for one in self.configured}
        for one in self.configured:
            self._tell(one, oldest)

    def _tell(self, one: "Configured", oldest: float) -> None:
        when, end = self.fetched(one), self.expired(one)
        why = self._refused.get(one.base, "")
        if when == 0:
            self.stale.append("%s has no index here: %s" % (one.place, why or "it could not be fetched"))
        elif end:
            behind = " and could not be refreshed: %s" % why if why else ""
            self.over.append("%s: its index has expired on %s%s" % (one.place, shown(end), behind))
            self.stale.append(self.over[-1])
        elif why:
            self.stale.append("%s could not be refreshed: %s; its index was fetched %s" % (one.place, why, shown(when)))
        elif when < oldest:
            self.stale.append("%s was fetched %s" % (one.place, shown(when)))

    def _fetch(self) -> None:
        host = self._host
        self.prepare()
        if self.directory != self._ours:
            self._seed()
        self._forget()
        env = self.quietly()
        self.directory = self._ours
        argv = ["apt-get", "update", "-q", *_PATIENCE, *self.options]
        deadline = time.monotonic() + apt_index.LOCK_TIMEOUT_S
        while True:
            ran = host.run(argv, timeout=FETCH_TIMEOUT_S, env=env, check=False)
            holder = apt_index.lock_holder(ran.err)
            if not holder or time.monotonic() > deadline:
                break
            time.sleep(2)  # another scan; apt does not wait for the lock of the lists
        self._listed = {}
        if holder:
            self._refused = {one.base: holder for one in self.configured}
        elif ran.timed_out:
            why = "repository does not answer: apt-get update did not end within %d s" % FETCH_TIMEOUT_S
            self._refused = {one.base: why for one in self.configured}
        else:
            self._refused = refusals(self.configured, ran)

    def quietly(self) -> "Dict[str, str]":
        """-> environment of an update that runs no commands of the host's configuration and fetches nothing but packages' indexes."""
        last = _LAST
        for kind, names in (("deb", _UNUSED), ("deb-src", _UNUSED_SOURCES)):
            for name in names:
                last += 'Acquire::IndexTargets::%s::%s::DefaultEnabled "false";\n' % (kind, name)
        if self._host.lstat("/etc/apt/apt.conf") is not None:
            last = '#include "/etc/apt/apt.conf";\n' + last
        self._write(self._own + "/last.conf", last, "0644")
        self._write(self._own + "/first.conf", _FIRST % self._own, "0644")
        return {"APT_CONFIG": self._own + "/first.conf"}

    def _seed(self) -> None:
        """Begin with what the host has, so that apt fetches only what has changed since."""
        host, names = self._host, []
        for one in self.configured:
            names += [
                name for name in host.listdir(apt_index.LISTS) if name.startswith(one.base) and _COPIED.search(name)
            ]
        host.run(["find", self._ours, "-maxdepth", "1", "!", "-type", "d", "!", "-name", "lock", "-delete"])
        if not names or self._sources:
            return
        files = ["%s/%s" % (apt_index.LISTS, name) for name in sorted(set(names))]
        # links stay links (apt makes them of file: repositories), times stay: apt asks the archive by them
        host.run(["cp", "-Pp", "--reflink=auto", "--", *files, self._ours + "/"])
        seeds = {}
        for name in sorted(set(names)):
            copied, original = host.lstat("%s/%s" % (self._ours, name)), self._changed(apt_index.LISTS, name)
            if copied is not None:
                seeds[name] = (copied.st_ctime, original)
        self._write(self._own + "/seeded.json", json.dumps(seeds), "0600")

    def scratch(self) -> str:
        """-> a new directory, for whoever removes it again. What a killed executor has left is swept with the next fetch."""
        place = self._top if self._writes else "/tmp"  # noqa: S108  for mktemp, which makes it 0700 under a name nobody knows
        return self._host.run(["mktemp", "-d", "%s/%sXXXXXXXXXX" % (place, SCRATCH)]).out.strip()

    def _forget(self) -> None:
        now = time.time()
        for name in self._host.listdir(self._top):
            path = "%s/%s" % (self._top, name)
            info = self._host.lstat(path + "/lists" if name.startswith("sources-") else path)
            age = now - info.st_mtime if info is not None else 0
            if age > (FORGOTTEN_S if name.startswith("sources-") else LEFT_S if name.startswith(SCRATCH) else age):
                self._host.run(["rm", "-rf", "--", path])


def refusals(configured: "Sequence[Configured]", ran: "Ran") -> "Dict[str, str]":
    """What `apt-get update` says went wrong -> {base: cause in one line}. What names no archive is said of all of them."""
    lines = (ran.err + "\n" + ran.out).split("\n")
    told: "Dict[str, List[str]]" = {}
    others: "List[str]" = []
    for number, line in enumerate(lines):
        if not re.match(r"(?:E|W|Err):", line) or "Some index files failed to download" in line:
            continue
        if line.startswith("Err:") and _came(line[len("Err:") :].strip(), lines[number:]):
            continue  # one of several forms of an index, and another was there
        more = number + 1
        while line.startswith("Err:") and more < len(lines) and lines[more].startswith("  "):
            more += 1
        said = without_secrets("\n".join(lines[number:more]))
        owner = [one for one in configured if one.uri in said or one.place + " " in said]
        for one in owner:
            told.setdefault(one.base, []).append(said)
        if not owner and said.startswith("E:"):
            others.append(said)
    found = {}
    for one in configured:
        # a warning about how a source is written is no failure to fetch it
        failed = [text for text in told.get(one.base, []) if not text.startswith("W:") or _FAILED.search(text)]
        failed = failed or others
        trouble = apt_index.complaint(Ran(100, "", "\n".join(failed))) if failed else None
        if trouble:
            found[one.base] = trouble[0]
    return found


def _came(target: str, later: "Sequence[str]") -> bool:
    """Was what failed fetched after all? The last word on it counts."""
    said = [line for line in later if line.partition(":")[2].startswith(target)]
    return bool(said) and said[-1].startswith(("Get:", "Hit:"))


_FAILED = re.compile(r"Failed to fetch|GPG error|old ones used|previous index files will be used|is expired|not signed")


def render(source: "Mapping[str, Any]", key: str) -> str:
    """A patch source -> deb822. Its signature is checked unless the baseline says why it needs none."""
    lines = ["# a patch source, written by statectl for itself", "Types: deb"]
    for field, name in (("uris", "URIs"), ("suites", "Suites"), ("components", "Components")):
        values = " ".join(str(value) for value in source.get(field) or ())
        if values:
            lines.append("%s: %s" % (name, values))
    if source.get("architectures"):
        lines.append("Architectures: " + " ".join(source["architectures"]))
    if key:
        lines.append("Signed-By: " + key)
    if source.get("trusted"):
        lines.append("Trusted: yes")
    return "\n".join(line.replace("\n", " ") for line in lines) + "\n"
