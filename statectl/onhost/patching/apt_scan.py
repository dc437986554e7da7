"""The scan of a host that has apt. Five commands that read, one more when an index is too old; the host's own lists and caches stay."""

import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

from statectl.onhost.failure import Failed
from statectl.onhost.patching import apt_packages
from statectl.onhost.patching.apt_lists import Lists, without_secrets
from statectl.onhost.patching.apt_packages import Installed, Table, Version
from statectl.onhost.patching.apt_release import epoch
from statectl.onhost.resources.package import apt

if TYPE_CHECKING:
    from statectl.onhost.host import Host

CHANGELOG_BYTES = 65536  # of one
CHANGELOG_S = 20.0  # for one; what has not come by then is left out
CHANGELOGS_S = 120.0  # for all of them
_COLUMNS = ("DESCRIPTION", "FILENAME", "METAKEY", "SITE", "SUITE", "CODENAME", "ORIGIN", "LABEL", "COMPONENT")


def scan(host: "Host", asked: "Mapping[str, Any]") -> "Dict[str, Any]":
    """asked: {"refresh_s": how old an index may be, "sources": [...] in place of the host's, "changelogs": ["name arch version", ...]}"""
    lists = Lists(host, asked.get("sources") or ())
    lists.refresh(float(asked.get("refresh_s") or 0))
    lists.prepare()
    options = lists.options
    archives, places = _archives(host, lists)
    packages = apt_packages.dpkg(host)
    own = apt_packages.native(packages)
    there = apt_packages.here(packages)
    broken = apt_packages.broken(packages)
    if apt.interrupted(host):
        broken.append("dpkg was interrupted: dpkg --configure -a comes first")
    brought, trouble = _brought(host, options)
    if trouble:
        broken.append(trouble)
    names = {apt_packages.spoken(one.name, one.arch, own): one for one in there}
    fresh = {spec: arch for spec, arch, old, _ in brought if not old and spec not in names}
    tables = apt_packages.tables(host, options, [*names, *fresh])
    offers = _offers(names, fresh, tables, {spec: to for spec, _, _, to in brought})
    available = _available(host, options, own, names, offers, places)
    told: "Dict[str, Any]" = {
        "archives": archives,
        "installed": [_row(one, _of_installed(tables.get(spec), places)) for spec, one in names.items()],
        "available": available,
        "new": [row[:2] for row in available if apt_packages.spoken(row[0], row[1], own) in fresh],
        "held": sorted({one.name for one in there if one.held}),
        "broken": broken,
        "stale": lists.stale,
        "changelogs": _changelogs(host, options, asked.get("changelogs") or ()),
    }
    if not any(row["fetched"] for row in archives):
        why = "; ".join(lists.stale) or "its sources name none"
        told["trouble"] = "apt has no index of any archive: %s" % why
    elif lists.over:
        told["trouble"] = "; ".join(lists.over)
    return told


# -- archives


def _archives(host: "Host", lists: "Lists") -> "Tuple[List[Dict[str, Any]], Dict[str, int]]":
    """-> (rows, {description of an index: which row})"""
    form = "\x1f".join("$(%s)" % name for name in _COLUMNS)
    argv = ["apt-get", "indextargets", *lists.options, "--format", form, "Created-By: Packages"]
    code, out, err = apt_packages.output(host, argv, 60)
    if code != 0:
        why = apt_packages.complaint(err, code)
        raise Failed("apt cannot read its sources: %s" % why, "sources of apt are wrong", argv[:2], code)
    rows: "List[Dict[str, Any]]" = []
    places: "Dict[str, int]" = {}
    seen: "Dict[Tuple[str, str], int]" = {}
    for line in out.split("\n"):
        fields = dict(zip(_COLUMNS, line.split("\x1f")))
        if len(fields) != len(_COLUMNS):
            continue
        metakey = fields["METAKEY"].replace("/", "_")
        file = fields["FILENAME"].rpartition("/")[2]
        base = file[: file.rfind(metakey)] if metakey in file else file
        one = next((entry for entry in lists.configured if entry.base == base), None)
        if one is None or not lists.fetched(one):
            continue
        known = seen.get((base, fields["COMPONENT"]))
        if known is None:
            known = seen[base, fields["COMPONENT"]] = len(rows)
            release = lists.release(one)
            rows.append(row_of(fields, one.place, epoch(release.get("date", "")), int(lists.fetched(one))))
        places[without_secrets(fields["DESCRIPTION"])] = known
    for one in lists.configured:
        if not lists.fetched(one):  # a source without an index is no source without updates
            site, _, suite = one.place.rpartition(" ")
            empty = dict.fromkeys(_COLUMNS, "")
            rows.append(row_of(dict(empty, SITE=site, SUITE=suite), one.place, 0, 0))
    return rows, places


def row_of(fields: "Mapping[str, str]", place: str, date: int, fetched: int) -> "Dict[str, Any]":
    suite, codename, origin = fields["SUITE"], fields["CODENAME"], fields["ORIGIN"]
    # Debian's suites are called otherwise with every release and their codenames stay; Ubuntu's all have one codename
    lasting = suite if codename and suite.startswith(codename) else codename or suite
    return {
        "key": "%s:%s" % (origin, lasting) if origin and lasting else place,
        "suite": suite,
        "codename": codename,
        "origin": origin,
        "label": fields["LABEL"],
        "component": fields["COMPONENT"],
        "security": fields["LABEL"] == "Debian-Security"
        or suite.endswith("-security")
        or codename.endswith("-security"),
        "date": date,
        "fetched": fetched,
        "uri": without_secrets(fields["SITE"]),
    }


# -- packages


def _brought(host: "Host", options: "Sequence[str]") -> "Tuple[List[Tuple[str, str, str, str]], str]":
    """-> (moves of a whole upgrade by the host's own pins and holds, why apt cannot say them)"""
    argv = ["apt-get", "-s", "-q", *options, "dist-upgrade"]
    code, out, err = apt_packages.output(host, argv)
    if code == 0:
        return apt_packages.moves(out), ""
    return [], "apt cannot plan an upgrade: %s" % apt_packages.complaint(err, code)


def _offers(
    names: "Mapping[str, Installed]",
    fresh: "Mapping[str, str]",
    tables: "Mapping[str, Table]",
    brought: "Mapping[str, str]",
) -> "Dict[Tuple[str, str], Version]":
    """-> {(name or name:arch, version): its line of the table}"""
    found = {}
    for spec in names:
        table = tables.get(spec)
        for one in apt_packages.offered(table) if table is not None else ():
            found[spec, one.version] = one
    for spec in fresh:
        for one in tables[spec].versions if spec in tables else ():
            if one.version == brought[spec]:
                found[spec, one.version] = one
    return found


def _available(
    host: "Host",
    options: "Sequence[str]",
    own: str,
    names: "Mapping[str, Installed]",
    offers: "Mapping[Tuple[str, str], Version]",
    places: "Mapping[str, int]",
) -> "List[List[Any]]":
    if not offers:
        return []
    rows, seen = [], set()
    for record in apt_packages.records(host, options, ["%s=%s" % offer for offer in offers]):
        arch = record.get("architecture", "")
        spec = apt_packages.spoken(record["package"], arch, own)
        offer = offers.get((spec, record["version"]))
        if offer is None or (spec, record["version"]) in seen:
            continue
        seen.add((spec, record["version"]))
        known = names.get(spec)
        one = Installed(
            record["package"],
            known.arch if known is not None else arch,
            record["version"],
            record.get("section", ""),
            record.get("priority", ""),
            record["source"],
            "",
            False,
        )
        size = record.get("size", "")
        row = _row(one, _indexes(offer.archives, places))
        rows.append([*row, record.get("sha256", ""), int(size) if size.isdigit() else 0])
    return rows


def _row(one: "Installed", archives: "List[int]") -> "List[Any]":
    return [one.name, one.arch, one.version, one.section, one.priority, one.source, archives, [], 0]


def _of_installed(table: "Any", places: "Mapping[str, int]") -> "List[int]":
    for one in table.versions if table is not None else ():
        if one.version == table.installed:
            return _indexes(one.archives, places)
    return []


def _indexes(descriptions: "Sequence[str]", places: "Mapping[str, int]") -> "List[int]":
    return sorted({places[text] for text in descriptions if text in places})


# -- changelogs


def _changelogs(host: "Host", options: "Sequence[str]", asked: "Sequence[str]") -> "Dict[str, str]":
    """{"name arch version": the newest part of its changelog} of those that can be had in time."""
    found: "Dict[str, str]" = {}
    end = time.monotonic() + CHANGELOGS_S
    for key in asked:
        limit = min(CHANGELOG_S, end - time.monotonic())
        if limit <= 0:
            break
        name, _, version = key.split(" ")
        argv = ["apt-get", "changelog", "-q", *options, "--", "%s=%s" % (name, version)]
        ran = host.run(argv, timeout=limit, check=False)
        text = ran.out[:CHANGELOG_BYTES]
        if ran.code == 0 and not ran.timed_out and text.strip():
            found[key] = text
    return found
