"""What dnf 4 and dnf 5 tell of updates: read from a cache of our own, which is fetched anew only when it is too old.

dnf's own cache stays as it is; what dnf has fetched for itself is copied from it, and is as good.
"""

import fnmatch
import os
import re
import time
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Tuple

from statectl.onhost.failure import Failed
from statectl.onhost.patching import dnf_output, rpm_database, rpm_sources
from statectl.onhost.patching.rpm_advisories import Advisories, Repodata, repodata
from statectl.onhost.patching.rpm_database import Row, nevra, plain
from statectl.onhost.resources.package.dnf import _argv as dnf_argv
from statectl.onhost.resources.package.dnf import why

if TYPE_CHECKING:
    from typing import Mapping, Optional, Sequence, Set

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.shapes import JSON

    Key = Tuple[str, str, str]

CACHE = rpm_sources.CACHE + "/dnf"
PERSIST = CACHE + "/persist"
HISTORY = "/var/lib/dnf"
OWN_CACHES = ("/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum")
REPOSITORIES = ("/etc/yum.repos.d", "/etc/yum/repos.d", "/etc/distro.repos.d", "/usr/share/dnf5/repos.d")
LOCKED = ("/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list", "/etc/dnf/versionlock.toml")
REFRESH_S = 3600
LOOK_TIMEOUT_S = 600
PATIENCE_S = 15  # for a server that says nothing
_DIRECTORY = re.compile(r"(.+)-[0-9a-f]{16}\Z")
_SHOWN = "%{name}|%{arch}|%{evr}|%{repoid}|%{buildtime}|%{sourcerpm}|%{downloadsize}\\n"
_SHOWN_INSTALLED = "%{name}|%{arch}|%{evr}|%{from_repo}|%{buildtime}|%{sourcerpm}|0\\n"
_LOCK_LINE = re.compile(r"(.+)-(?:\d+:)?[^-\s]+-[^-\s]+\Z")


class _Offered(NamedTuple):
    name: str
    arch: str
    version: str
    repository: str
    built: int
    source: str
    size: int


def run(host: "Host", options: "Sequence[str]", *words: str, timeout: float = LOOK_TIMEOUT_S) -> "Tuple[str, Ran]":
    """dnf to its end -> all that it printed, and how it ended. dnf 4 shows times of the zone it runs in."""
    return rpm_database.whole(host, dnf_argv(host, *options, *words), timeout, {"TZ": "UTC"})


def version(host: "Host") -> int:
    """4 or 5"""
    tool = host.which("dnf") or host.which("dnf5")
    return 5 if tool is not None and os.path.realpath(tool).endswith("dnf5") else 4


def own_cache() -> "List[str]":
    return ["--setopt=cachedir=" + CACHE]


def only_reading() -> "List[str]":
    """Options for calls that must not write into dnf's own history either; it opens it even to read."""
    return ["--setopt=persistdir=" + PERSIST]


def copy_history(host: "Host") -> None:
    """dnf 4 knows from its history from which repository a package came."""
    host.run(["mkdir", "-p", "-m", "0700", "--", PERSIST])
    names = [name for name in host.listdir(HISTORY) if name.startswith("history.sqlite")]
    if names:
        paths = ["%s/%s" % (HISTORY, name) for name in names]
        host.run(["cp", "-a", "--reflink=auto", "--", *paths, PERSIST], check=False)


def scan(host: "Host", asked: "Mapping[str, JSON]") -> "Dict[str, JSON]":
    """See the package. Repositories that cannot be had now are told in `stale`, and what is known of them is from before."""
    top = ""
    sources: "Any" = asked.get("sources") or ()
    refresh: "Any" = asked.get("refresh_s")
    try:
        top = rpm_sources.scratch(host) if sources else ""
        options = [*own_cache(), *only_reading(), "--setopt=*.skip_if_unavailable=True", "--disableplugin=versionlock"]
        copy_history(host)
        if sources:
            made = rpm_sources.Sources(host, sources, top)
            options.append("--setopt=reposdir=" + made.directory)
        places = [made.directory] if sources else list(REPOSITORIES)
        return _scan(host, options, places, float(REFRESH_S if refresh is None else refresh))
    finally:
        rpm_sources.remove_scratch(host, top)


def _scan(host: "Host", options: "List[str]", places: "Sequence[str]", refresh_s: float) -> "Dict[str, JSON]":
    titles = _repositories(host, options)
    names = list(titles)
    if not names:
        return {"trouble": "dnf has no repository that is enabled: nothing can be told of updates"}
    _seed(host, names)
    said = _refresh(host, options, titles, refresh_s)
    data = _fetched(host, names)
    stale = [_stale(name, said[name], data.get(name)) for name in names if name in said]
    stale += [
        "repository %s: nothing of it could be fetched" % name
        for name in names
        if name not in data and name not in said
    ]
    options = [*options, "--cacheonly"]
    there = _query(host, [*options, "--installed", "--setopt=disable_excludes=main"], _SHOWN_INSTALLED)
    every = ["--upgrades", "--showduplicates"] if version(host) < 5 else ["--upgrades"]
    offered = _query(host, [*options, *every, "--setopt=disable_excludes=main"], _SHOWN)
    fresh, untold = _brought(host, options, there) if offered else ([], "")
    stale += [untold] if untold else []
    advisories = Advisories()
    unread: "List[str]" = []  # without its advisories, security updates would look like any others
    wanted = {entry.name for entry in (*there, *offered, *fresh)}
    for name in names:
        if name in data and data[name].updateinfo:
            try:
                advisories.add(data[name].updateinfo, wanted)
            except Failed as error:
                unread.append("repository %s: %s" % (name, error.message))
    numbers = {name: number for number, name in enumerate(names)}
    rows = [Row(one.name, one.arch, one.version, one.source, one.built) for one in there]
    came = {(one.name, one.arch, one.version): one.repository for one in there}
    answer: "Dict[str, Any]" = {
        "archives": _archives(host, names, data, places),
        "installed": [
            _installed(row, numbers.get(came[row.name, row.arch, row.version]), advisories)
            for row in rpm_database.newest(rows).values()
        ],
        "available": _available([*offered, *fresh], numbers, advisories),
        "new": sorted({(one.name, one.arch) for one in fresh}),
        "advisories": advisories.told,
        "held": sorted(_held(host, there)),
        "broken": rpm_database.broken(rpm_database.doubled(host, rows)),
        "stale": stale,
        "trouble": "; ".join(unread if data else stale),
    }
    return answer


def _installed(row: "Row", number: "Optional[int]", advisories: "Advisories") -> "List[Any]":
    known = advisories.of.get((row.name, row.arch, row.version), [])
    return [row.name, row.arch, row.version, "", "", row.source, [] if number is None else [number], known, row.built]


def _available(found: "Sequence[_Offered]", numbers: "Mapping[str, int]", advisories: "Advisories") -> "List[JSON]":
    rows: "Dict[Key, Any]" = {}
    for one in found:
        key = one.name, one.arch, one.version
        row = rows.setdefault(key, [*key, "", "", one.source, [], advisories.of.get(key, []), one.built, "", one.size])
        if one.repository in numbers and numbers[one.repository] not in row[6]:
            row[6].append(numbers[one.repository])
    return list(rows.values())


def _repositories(host: "Host", options: "Sequence[str]") -> "Dict[str, str]":
    """{id: name} of those that are enabled"""
    text, ran = run(host, options, "-q", "repolist", "--enabled")
    if ran.code != 0:
        raise Failed("dnf cannot tell its repositories: %s" % why(ran), "dnf failed", (), ran.code, ran.err[-4096:])
    lines = [line.split(None, 1) for line in text.split("\n") if line.strip()]
    return {words[0]: words[-1].strip() for words in lines if not words[-1].startswith("id ")}


def _cached(host: "Host", place: str) -> "Dict[str, Tuple[str, Repodata]]":
    """{repository: (directory below `place`, what is in it)}, of several the one fetched last"""
    found: "Dict[str, Tuple[str, Repodata]]" = {}
    for directory in host.listdir(place):
        said = _DIRECTORY.match(directory)
        data = repodata(host.path(place + "/" + directory)) if said is not None else None
        if said is None or data is None:
            continue
        name = said.group(1)
        if name not in found or data.fetched > found[name][1].fetched:
            found[name] = directory, data
    return found


def _fetched(host: "Host", names: "Sequence[str]") -> "Dict[str, Repodata]":
    return {name: data for name, (_, data) in _cached(host, CACHE).items() if name in names}


def _seed(host: "Host", names: "Sequence[str]") -> None:
    """What dnf has fetched for itself since we did is copied: it need not be asked for again, and dnf's own stays as it is."""
    host.run(["mkdir", "-p", "-m", "0700", "--", CACHE])
    mine = _cached(host, CACHE)
    for place in OWN_CACHES:
        for name, (directory, data) in _cached(host, place).items():
            if name not in names or (name in mine and mine[name][1].fetched >= data.fetched):
                continue
            if any(entry.endswith(".zck") for entry in host.listdir("%s/%s/repodata" % (place, directory))):
                continue  # nothing here reads these; dnf fetches others when it is told to
            target = "%s/%s" % (CACHE, directory)
            host.run(["rm", "-rf", "--", target])
            host.run(["mkdir", "--", target])
            files = ["%s/%s/repodata" % (place, directory)]
            host.run(["cp", "-a", "--reflink=auto", "--", *files, target], check=False)
            solved = [entry for entry in host.listdir(place) if re.match(re.escape(name) + r"(-\w+)?\.solvx?\Z", entry)]
            if solved:
                paths = ["%s/%s" % (place, entry) for entry in solved]
                host.run(["cp", "-a", "--reflink=auto", "--", *paths, CACHE], check=False)


def _refresh(host: "Host", options: "Sequence[str]", names: "Mapping[str, str]", refresh_s: float) -> "Dict[str, str]":
    """Ask for what is older than `refresh_s` -> {repository: why it cannot be had}"""
    data = _fetched(host, list(names))
    now = time.time()
    if all(name in data and 0 <= now - data[name].fetched < refresh_s for name in names):
        return {}
    fetching = [*options, "--setopt=*.timeout=%d" % PATIENCE_S, "--setopt=*.retries=1", "--setopt=zchunk=False"]
    if refresh_s < 1:
        words = ["makecache", "--refresh"]
    else:
        fetching.append("--setopt=*.metadata_expire=%d" % refresh_s)
        words = ["makecache"]
    text, ran = run(host, fetching, *words)
    said = text + "\n" + ran.err
    found = {name: cause for name, cause in dnf_output.troubles(said).items() if name in names}
    for name, cause in dnf_output.unreachable(said, names).items():
        found.setdefault(name, cause)
    _date_back(host, data, found)
    if ran.code != 0 and not found:
        raise Failed("dnf cannot fetch its repositories: %s" % why(ran), "dnf failed", (), ran.code, said[-4096:])
    return found


def _date_back(host: "Host", data: "Mapping[str, Repodata]", failed: "Mapping[str, str]") -> None:
    """dnf 5 marks as fetched now even what it could not fetch: what was known before keeps its time."""
    for name, (directory, found) in _cached(host, CACHE).items():
        if name in failed and name in data and found.fetched != data[name].fetched:
            path = host.path("%s/%s/repodata/repomd.xml" % (CACHE, directory))
            os.utime(path, (data[name].fetched, data[name].fetched))


def _stale(name: str, cause: str, data: "Optional[Repodata]") -> str:
    if data is None:
        return "repository %s cannot be had: %s" % (name, cause)
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(data.fetched))
    return "repository %s cannot be had, what is known of it was fetched at %s UTC: %s" % (name, when, cause)


def _query(host: "Host", options: "Sequence[str]", shown: str) -> "List[_Offered]":
    globals_ = [word for word in options if word.startswith(("--setopt", "--disable", "--cacheonly"))]
    wanted = [word for word in options if word not in globals_]
    text, ran = run(host, globals_, "-q", "repoquery", *wanted, "--queryformat", shown)
    if ran.code != 0:
        raise Failed("dnf cannot read the repositories: %s" % why(ran), "dnf failed", (), ran.code, ran.err[-4096:])
    found = []
    for line in text.split("\n"):
        words = line.split("|")
        if len(words) == 7 and words[0] != rpm_database.KEYS:
            size = int(words[6]) if words[6].isdigit() else 0
            source = rpm_database.source_name(words[5])
            built = rpm_database.built_time(words[4])
            found.append(_Offered(words[0], words[1], plain(words[2]), words[3], built, source, size))
    return found


def _brought(host: "Host", options: "Sequence[str]", there: "Sequence[_Offered]") -> "Tuple[List[_Offered], str]":
    """Packages that are not installed and that an upgrade of everything would bring -> them, and why they cannot be told."""
    text, ran = run(host, options, "--assumeno", "upgrade")
    said = text + "\n" + ran.err
    unkeyed = dnf_output.without_key(said)
    if unkeyed or not dnf_output.simulated(said):
        return [], "what an upgrade would bring cannot be told: %s" % (unkeyed or why(ran))
    known = {(one.name, one.arch) for one in there}
    placed = [key for key in dnf_output.table(said).placed if key[:2] not in known]
    if not placed:
        return [], ""
    names = sorted({nevra(*key) for key in placed})
    found = _query(host, [*options, "--available", *names], _SHOWN)
    return [one for one in found if (one.name, one.arch) not in known], ""


def _archives(
    host: "Host", names: "Sequence[str]", data: "Mapping[str, Repodata]", places: "Sequence[str]"
) -> "List[JSON]":
    files = rpm_sources.configured(host, places)
    archives: "List[JSON]" = []
    for name in names:
        known = data.get(name, Repodata(0, 0, ""))
        archives.append(
            {"key": name, "date": known.date, "fetched": known.fetched, "uri": rpm_sources.address(files.get(name, {}))}
        )
    return archives


def _held(host: "Host", there: "Sequence[_Offered]") -> "Set[str]":
    """Names that versionlock or an exclude of dnf's own configuration keeps."""
    globs = set()
    for path in LOCKED:
        for written in (host.read_file(path) or b"").decode("utf-8", "replace").split("\n"):
            line = written.strip()
            named = re.match(r'name\s*=\s*"([^"]+)"', line)
            locked = _LOCK_LINE.match(line)
            if named:
                globs.add(named.group(1))
            elif line and line[0] not in "#![" and "=" not in line:
                # 0:name-1.0-1.* as older ones write it
                globs.add(re.sub(r"^\d+:", "", locked.group(1) if locked else line))
    main = rpm_sources.sections((host.read_file("/etc/dnf/dnf.conf") or b"").decode("utf-8", "replace")).get("main", {})
    for option in ("exclude", "excludepkgs"):
        globs.update(main.get(option, "").replace(",", " ").split())
    return {
        one.name
        for one in there
        if any(
            fnmatch.fnmatchcase(form, glob)
            for glob in globs
            for form in (one.name, "%s.%s" % (one.name, one.arch), "%s-%s" % (one.name, one.version))
        )
    }
