"""What zypper tells of updates: read from a cache of our own, which is fetched anew only when it is too old.

zypp's own cache stays as it is; what zypper has fetched for itself is copied from it, and is as good.
"""

import fnmatch
import re
import time
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from statectl.onhost.failure import Failed
from statectl.onhost.patching import rpm_database, rpm_sources, zypper_output
from statectl.onhost.patching.rpm_advisories import Advisories, Repodata, repodata
from statectl.onhost.patching.rpm_database import plain
from statectl.onhost.resources.package.zypper import ENVIRONMENT, FINE, why
from statectl.onhost.versions import compare_rpm

if TYPE_CHECKING:
    from typing import Mapping, Optional, Sequence, Set

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.shapes import JSON

    Key = Tuple[str, str, str]

CACHE = rpm_sources.CACHE + "/zypp"
OWN_CACHE = "/var/cache/zypp"
REPOSITORIES = "/etc/zypp/repos.d"
LOCKS = "/etc/zypp/locks"
REFRESH_S = 3600
FETCH_TIMEOUT_S = 180  # for one repository; zypper itself waits for a silent server much longer
LOOK_TIMEOUT_S = 600
NOTHING_FOUND = 104
_SOLVABLES = re.compile(r'<solvable status="(?:installed|other-version)" [^>]*>')


def run(
    host: "Host", options: "Sequence[str]", *words: str, timeout: float = LOOK_TIMEOUT_S, env: "Any" = None
) -> "Tuple[str, Ran]":
    """zypper to its end -> all that it printed, and how it ended"""
    argv = ["zypper", "--non-interactive", "--xmlout", *options, *words]
    return rpm_database.whole(host, argv, timeout, dict(ENVIRONMENT, **(env or {})))


def said_by(out: str, ran: "Ran") -> str:
    """What went wrong, in one line."""
    return zypper_output.cause(out) or why(ran._replace(out=out[-65536:]))


def cache_of(sources: "Sequence[Mapping[str, JSON]]") -> str:
    """zypp's cache goes by name: repositories of a baseline have one of their own, for each set of addresses."""
    if not sources:
        return CACHE
    import hashlib

    text = "\n".join(sorted("%s %s" % (source["name"], source["baseurl"]) for source in sources))
    return "%s-%s" % (CACHE, hashlib.sha256(text.encode("utf-8")).hexdigest()[:16])


def scan(host: "Host", asked: "Mapping[str, JSON]") -> "Dict[str, JSON]":
    """See the package. Repositories that cannot be had now are told in `stale`, and what is known of them is from before."""
    top = ""
    sources: "Any" = asked.get("sources") or ()
    refresh: "Any" = asked.get("refresh_s")
    cache = cache_of(sources)
    try:
        top = rpm_sources.scratch(host) if sources else ""
        options = ["--cache-dir", cache]
        if sources:
            options += ["--reposd-dir", rpm_sources.Sources(host, sources, top).directory]
        return _scan(host, options, cache, not sources, float(REFRESH_S if refresh is None else refresh))
    finally:
        rpm_sources.remove_scratch(host, top)


def _scan(host: "Host", options: "List[str]", cache: str, own: bool, refresh_s: float) -> "Dict[str, JSON]":
    listed = repositories(host, options)
    names = [name for name, _, _ in listed]
    if not names:
        return {"trouble": "zypper has no repository that is enabled: nothing can be told of updates"}
    host.run(["mkdir", "-p", "-m", "0700", "--", cache])
    if own:
        _seed(host, names)
    said = _refresh(host, options, cache, names, refresh_s)
    data = fetched(host, cache, names)
    stale = [_stale(name, said[name], data.get(name)) for name in names if name in said]
    stale += [
        "repository %s: nothing of it could be fetched" % name
        for name in names
        if name not in data and name not in said
    ]
    there = rpm_database.rows(host)
    installed = rpm_database.newest(there)
    options = [*options, "--no-refresh"]
    offered, having = _offered(host, options, installed)
    fresh = _brought(host, options, installed) if offered else {}
    offered.update(fresh)
    advisories = Advisories()
    unread: "List[str]" = []  # without its advisories, security updates would look like any others
    wanted = {name for name, _ in installed} | {name for name, _, _ in offered}
    for name in names:
        if name in data and data[name].updateinfo:
            try:
                advisories.add(data[name].updateinfo, wanted)
            except Failed as error:
                unread.append("repository %s: %s" % (name, error.message))
    numbers = {name: number for number, name in enumerate(names)}

    def places(key: "Key", known: "Mapping[Key, Sequence[str]]") -> "List[int]":
        return sorted({numbers[name] for name in known.get(key, ()) if name in numbers})

    answer: "Dict[str, Any]" = {
        "archives": [
            {
                "key": name,
                "date": data[name].date if name in data else 0,
                "fetched": data[name].fetched if name in data else 0,
                "uri": rpm_sources.shown(address),
            }
            for name, address, _ in listed
        ],
        "installed": [
            [*row[:3], "", "", row.source, places(_key(row), having), advisories.of.get(_key(row), []), row.built]
            for row in installed.values()
        ],
        "available": [
            [*key, "", "", "", places(key, offered), advisories.of.get(key, []), 0, "", 0] for key in sorted(offered)
        ],
        "new": sorted({key[:2] for key in fresh}),
        "advisories": advisories.told,
        "held": sorted(locked_names(host, {name for name, _ in installed})),
        "broken": rpm_database.broken(rpm_database.doubled(host, there)),
        "stale": stale,
        "trouble": "; ".join(unread if data else stale),
    }
    return answer


def _key(row: "rpm_database.Row") -> "Key":
    return row.name, row.arch, row.version


def repositories(host: "Host", options: "Sequence[str]") -> "List[Tuple[str, str, bool]]":
    out, ran = run(host, options, "repos", "--uri")
    if ran.code not in FINE and ran.code != 6:  # 6: no repositories
        message = "zypper cannot tell its repositories: %s" % said_by(out, ran)
        raise Failed(message, "zypper failed", (), ran.code, out[-4096:])
    return zypper_output.repositories(out)


def fetched(host: "Host", cache: str, names: "Sequence[str]") -> "Dict[str, Repodata]":
    found = {}
    for name in names:
        data = repodata(host.path("%s/raw/%s" % (cache, name)))
        if data is not None:
            found[name] = data
    return found


def _seed(host: "Host", names: "Sequence[str]") -> None:
    """What zypper has fetched for itself since we did is copied: it need not be asked for again, and zypp's own stays as it is."""
    mine = fetched(host, CACHE, names)
    for name, data in fetched(host, OWN_CACHE, names).items():
        if name in mine and mine[name].fetched >= data.fetched:
            continue
        for part in ("raw", "solv"):
            source, target = ("%s/%s/%s" % (place, part, name) for place in (OWN_CACHE, CACHE))
            if host.lstat(source) is not None:
                host.run(["mkdir", "-p", "--", "%s/%s" % (CACHE, part)])
                host.run(["rm", "-rf", "--", target])
                host.run(["cp", "-a", "--reflink=auto", "--", source, target], check=False)


def _refresh(
    host: "Host", options: "Sequence[str]", cache: str, names: "Sequence[str]", refresh_s: float
) -> "Dict[str, str]":
    """Ask for what is older than `refresh_s` -> {repository: why it cannot be had}. Keys that nobody trusts yet stay so."""
    data = fetched(host, cache, names)
    now = time.time()
    old = [name for name in names if name not in data or not 0 <= now - data[name].fetched < refresh_s]
    found: "Dict[str, str]" = {}
    for name in old:
        # one by one, so that each has its own reason
        out, ran = run(host, options, "refresh", "--", name, timeout=FETCH_TIMEOUT_S)
        if ran.timed_out:
            found[name] = "it was not fetched within %d s" % FETCH_TIMEOUT_S
        elif ran.code not in FINE:
            found[name] = said_by(out, ran)
    return found


def _stale(name: str, cause: str, data: "Optional[Repodata]") -> str:
    if data is None:
        return "repository %s cannot be had: %s" % (name, cause)
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(data.fetched))
    return "repository %s cannot be had, what is known of it was fetched at %s UTC: %s" % (name, when, cause)


def _offered(
    host: "Host", options: "Sequence[str]", installed: "Mapping[Tuple[str, str], rpm_database.Row]"
) -> "Tuple[Dict[Key, List[str]], Dict[Key, List[str]]]":
    """-> ({newer version: repositories}, {installed version: repositories that have it})"""
    out, ran = run(host, options, "search", "--details", "--type", "package")
    if ran.code not in (*FINE, NOTHING_FOUND):
        raise Failed(
            "zypper cannot read the repositories: %s" % said_by(out, ran), "zypper failed", (), ran.code, out[-4096:]
        )
    newer: "Dict[Key, List[str]]" = {}
    same: "Dict[Key, List[str]]" = {}
    for attributes in zypper_output.solvables("\n".join(_SOLVABLES.findall(out))):
        name, arch, repository = (attributes.get(part, "") for part in ("name", "arch", "repository"))
        version = plain(attributes.get("edition", ""))
        now = installed.get((name, arch))
        if now is None and arch == "noarch":
            now = next((row for (known, _), row in installed.items() if known == name), None)
        if now is None or repository == "(System Packages)":
            continue
        order = compare_rpm(version, now.version)
        if order >= 0:
            (newer if order else same).setdefault((name, arch, version), []).append(repository)
    return newer, same


def _brought(
    host: "Host", options: "Sequence[str]", installed: "Mapping[Tuple[str, str], rpm_database.Row]"
) -> "Dict[Key, List[str]]":
    """Packages that are not installed and that an upgrade of everything would bring -> {package: repositories}"""
    out, _ = run(host, options, "update", "--dry-run", "--no-recommends")
    fresh = [key for key in zypper_output.summary(out).placed if key[:2] not in installed]
    if not fresh:
        return {}
    names = sorted({name for name, _, _ in fresh})
    out, ran = run(host, options, "search", "--details", "--type", "package", "--match-exact", "--", *names)
    if ran.code not in (*FINE, NOTHING_FOUND):
        raise Failed(
            "zypper cannot read the repositories: %s" % said_by(out, ran), "zypper failed", (), ran.code, out[-4096:]
        )
    wanted = {key[:2] for key in fresh}
    found: "Dict[Key, List[str]]" = {key: [] for key in fresh}
    for attributes in zypper_output.solvables(out):
        key = attributes.get("name", ""), attributes.get("arch", ""), plain(attributes.get("edition", ""))
        if key[:2] in wanted:
            found.setdefault(key, []).append(attributes.get("repository", ""))
    return found


def locked_names(host: "Host", names: "Set[str]") -> "Set[str]":
    text = (host.read_file(LOCKS) or b"").decode("utf-8", "replace")
    globs = re.findall(r"^\s*solvable_name:\s*(\S+)\s*$", text, re.MULTILINE)
    return {name for name in names if any(fnmatch.fnmatchcase(name, glob) for glob in globs)}
