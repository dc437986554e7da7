"""The security tracker of Debian as JSON: {source package: {CVE: {description, releases: {codename: {status, fixed_version, urgency}}}}}."""

from collections.abc import Mapping
from typing import Any

from statectl.patches.fixes import CVE, Fix, release_named
from statectl.patches.json_pieces import NotJSON, members
from statectl.patches.loaded_feed import MAX_TITLE, FeedFile, Loaded, text

_NO_SEVERITY = ("not yet assigned", "end-of-life", "")


def load_debian(file: FeedFile) -> Loaded:
    """Raises NotJSON and what FeedFile raises."""
    loaded = Loaded()
    with file.opened() as stream:
        for package, entries in members(stream):
            if not isinstance(entries, Mapping):
                raise NotJSON(f"{package[:80]!r} holds no map of vulnerabilities: this is no data of the tracker")
            for name, entry in entries.items():
                if isinstance(entry, Mapping) and CVE.fullmatch(name):
                    _add(loaded, package, name, entry)
    return loaded


def _add(loaded: Loaded, package: str, cve: str, entry: Mapping[str, Any]) -> None:
    title = text(entry.get("description"))[:MAX_TITLE]
    releases = entry.get("releases")
    for release, one in releases.items() if isinstance(releases, Mapping) else ():
        if not isinstance(one, Mapping):
            continue
        fixed = text(one.get("fixed_version"))
        status = text(one.get("status"))
        if status == "resolved" and fixed:
            status = "not_affected" if fixed == "0" else "fixed"
        elif status != "open":
            continue  # undetermined: the vendor does not know
        severity = text(one.get("urgency"))
        loaded.add(
            package,
            Fix(
                cve, "", release_named("debian", release), "source", status, fixed if status == "fixed" else "",
                "" if severity in _NO_SEVERITY else severity, 0, title,
            ),
        )  # fmt: skip
