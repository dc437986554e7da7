"""OSV: one JSON object, a list, JSON lines, or many files of them in a zip or a directory. https://ossf.github.io/osv-schema/"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from statectl.patches.fixes import CVE, Fix
from statectl.patches.json_pieces import NotJSON, values
from statectl.patches.loaded_feed import MAX_TITLE, FeedFile, Loaded, text

# of distributions; the rest (PyPI, npm ...) is about what no package manager of a system installs
_SOURCE = {"debian": "debian", "ubuntu": "ubuntu"}
_BINARY = {
    "rocky linux": "rocky", "almalinux": "almalinux", "red hat": "rhel", "suse": "sles", "opensuse": "opensuse-leap",
    "oracle linux": "ol",
}  # fmt: skip
_VERSION = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,3}))?(?: SP([0-9]{1,2}))?")


def load_osv(file: FeedFile) -> Loaded:
    """Raises NotJSON and what FeedFile raises."""
    loaded = Loaded()
    records = 0
    for name, stream in file.streams():
        for record in values(stream):
            if not isinstance(record, Mapping) or "id" not in record:
                raise NotJSON(f"{name[:100]}: an entry has no `id`: this is no OSV")
            records += 1
            _add(loaded, record)
    if not records:
        raise NotJSON("it holds no entry")
    return loaded


def _add(loaded: Loaded, record: Mapping[str, Any]) -> None:
    modified = text(record.get("modified"))[:19]
    if modified and f"{modified}Z" > loaded.made:
        loaded.made = f"{modified}Z"
    if record.get("withdrawn"):
        return
    name = text(record.get("id"))
    others = [text(one) for key in ("aliases", "upstream", "related") for one in _list(record.get(key))]
    cves = list(dict.fromkeys(cve for one in (name, *others) for cve in CVE.findall(one)))
    advisory = "" if CVE.search(name) else name[:200]
    title = (text(record.get("summary")) or text(record.get("details")).partition("\n")[0])[:MAX_TITLE]
    issued = _seconds(text(record.get("published")))
    for affected in _list(record.get("affected")):
        if not isinstance(affected, Mapping) or not isinstance(affected.get("package"), Mapping):
            continue
        release, kind = _release(text(affected["package"].get("ecosystem")))
        if not release:
            continue
        severity = _severity(record, affected)
        for package, status, fixed in _packages(affected, kind):
            for cve in cves or [""]:
                loaded.add(package, Fix(cve, advisory, release, kind, status, fixed, severity, issued, title))


def _packages(affected: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str, str]]:
    """(package, status, version that fixes it)."""
    fixed, is_open = "", False
    for one in _list(affected.get("ranges")):
        if not isinstance(one, Mapping) or one.get("type") != "ECOSYSTEM":
            continue
        events = [event for event in _list(one.get("events")) if isinstance(event, Mapping)]
        found = [text(event.get("fixed")) for event in events if event.get("fixed")]
        fixed = found[-1] if found else fixed
        is_open = is_open or (not found and any("introduced" in event for event in events))
    specific = affected.get("ecosystem_specific")
    binaries = _list(specific.get("binaries")) if isinstance(specific, Mapping) else []
    named = [(name, version) for one in binaries if isinstance(one, Mapping) for name, version in one.items()]
    if kind == "binary" and named and fixed:
        yield from ((str(name), "fixed", text(version)) for name, version in named if text(version))
    elif fixed:
        yield text(affected["package"].get("name")), "fixed", fixed
    elif is_open:
        yield text(affected["package"].get("name")), "open", ""


def _release(ecosystem: str) -> tuple[str, str]:
    """`Debian:12` -> (debian:12, source); `SUSE:Linux Enterprise Server 15 SP5` -> (sles:15.5, binary); ('', ''): not one of these."""
    name, _, rest = ecosystem.partition(":")
    word = name.lower()
    system = _SOURCE.get(word) or _BINARY.get(word)
    match = _VERSION.search(rest)
    if system is None or match is None:
        return "", ""
    version = match[1] + (f".{match[2]}" if match[2] else f".{match[3]}" if match[3] else "")
    return f"{system}:{version}", "source" if word in _SOURCE else "binary"


def _severity(record: Mapping[str, Any], affected: Mapping[str, Any]) -> str:
    """The vendor's word where there is one; a score is none."""
    for place in (
        affected.get("ecosystem_specific"),
        affected.get("database_specific"),
        record.get("database_specific"),
    ):
        for key in ("severity", "urgency"):
            word = text(place.get(key)) if isinstance(place, Mapping) else ""
            if word and word.lower() not in ("not yet assigned", "none", "end-of-life"):
                return word[:40]
    for one in (*_list(affected.get("severity")), *_list(record.get("severity"))):
        if isinstance(one, Mapping) and text(one.get("type")) == "Ubuntu":
            return text(one.get("score"))[:40]
    return ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _seconds(moment: str) -> int:
    try:
        return max(int(datetime.fromisoformat(moment[:19]).replace(tzinfo=UTC).timestamp()), 0) if moment else 0
    except (ValueError, OverflowError):
        return 0
