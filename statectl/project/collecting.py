"""The `collect` block of statectl.yml: what `statectl inventory refresh` asks hosts for beside what it asks everywhere."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from statectl.project.findings import Findings
from statectl.project.model import Collect
from statectl.project.yaml_nodes import Path
from statectl.project.yaml_tree import BROKEN

FIELDS: Mapping[str, str] = {
    "files": "Files to tell of, a list of path, pattern, depth, scan and hash; 500 files at most on a host",
    "certificates": "PEM files to look for certificates in: absolute paths that may hold * and ? (default /etc/letsencrypt/live/*/cert.pem)",
    "custom": "Types of your own, by name: a command that only reads and prints JSON",
    "keep_days": "For how many days changes of the inventory are kept, 1 to 3650 (default 90); a host that was not read for so long is forgotten",
}
FILE_FIELDS: Mapping[str, str] = {
    "path": "The directory, absolute",
    "pattern": 'Names of files, a list: ["*.conf"]; * and ? may stand in them',
    "depth": "How deep: 1 (default) is the directory alone; 20 at most",
    "scan": "How many entries of directories are looked at, 1 to 100000 (default 5000)",
    "hash": "true: tell the SHA-256 of the contents, of files up to 64 MiB",
}
CUSTOM_FIELDS: Mapping[str, str] = {
    "run": "The command, a list of arguments; it prints a map of attributes, or a list of maps",
    "timeout": "How long it may take, such as 5s (default 10s)",
}
MAX_FILES, MAX_PATTERNS, MAX_CUSTOM, MAX_TIMEOUT_S = 100, 100, 20, 300.0
_TYPE = re.compile(r"[A-Z][A-Za-z0-9_]{0,63}")
_TIMEOUT = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)\s*(ms|s|m)?")


def read_collect(findings: Findings, value: Any, path: Path) -> Collect:
    """The block, with what is wrong in `findings`."""
    fields = _known(findings, value, path, FIELDS, "`collect`")
    files = []
    for place, one in enumerate(_list(findings, fields, path, "files", MAX_FILES)):
        found = _file(findings, one, (*path, "files", place))
        if found is not None:
            files.append(found)
    certificates = None
    if "certificates" in fields:
        texts = findings.texts(fields["certificates"], (*path, "certificates"), "paths") or []
        for place, text in enumerate(texts):
            _absolute(findings, text, (*path, "certificates", place))
        if len(texts) > MAX_PATTERNS:
            findings.wrong((*path, "certificates"), f"expected at most {MAX_PATTERNS} entries")
        certificates = tuple(texts)
    keep = 90
    if "keep_days" in fields:
        keep = findings.number(fields["keep_days"], (*path, "keep_days"), 1, 3650) or keep
    return Collect(tuple(files), certificates, _custom(findings, fields.get("custom"), (*path, "custom")), keep)


def _file(findings: Findings, value: Any, path: Path) -> dict[str, Any] | None:
    fields = _known(findings, value, path, FILE_FIELDS, "an entry of `files`")
    missing = [key for key in ("path", "pattern") if key not in fields]
    if missing:
        if value is not BROKEN and isinstance(value, dict):
            findings.add("E109", path, f"an entry of `files` needs `{missing[0]}`")
        return None
    directory = findings.text(fields["path"], (*path, "path"))
    patterns = findings.texts(fields["pattern"], (*path, "pattern"), "names")
    found: dict[str, Any] = {"path": directory, "pattern": patterns}
    if directory is not None:
        _absolute(findings, directory, (*path, "path"))
    for place, pattern in enumerate(patterns or ()):
        if "/" in pattern or not pattern:
            findings.wrong((*path, "pattern", place), "expected the name of a file, without /")
    for key, most in (("depth", 20), ("scan", 100_000)):
        if key in fields:
            found[key] = findings.number(fields[key], (*path, key), 1, most)
    if "hash" in fields:
        found["hash"] = findings.flag(fields["hash"], (*path, "hash"))
    return None if None in found.values() else found


def _custom(findings: Findings, value: Any, path: Path) -> dict[str, dict[str, Any]]:
    if value is None:
        return {}
    found: dict[str, dict[str, Any]] = {}
    entries = findings.map(value, path, "expected a map of types") or {}
    if len(entries) > MAX_CUSTOM:
        findings.wrong(path, f"expected at most {MAX_CUSTOM} types")
    for name, one in entries.items():
        below = (*path, name)
        if not _TYPE.fullmatch(name):
            findings.add(
                "E108", below, f"`{name}`: expected letters and digits after a capital", key=True,
                hint=f"write {name[:1].upper()}{re.sub('[^A-Za-z0-9_]', '', name[1:])}",
            )  # fmt: skip
        fields = _known(findings, one, below, CUSTOM_FIELDS, "a type of `custom`")
        if "run" not in fields:
            if isinstance(one, dict):
                findings.add("E109", below, "a type of `custom` needs `run`", key=True)
            continue
        argv = _argv(findings, fields["run"], (*below, "run"))
        seconds = _timeout(findings, fields["timeout"], (*below, "timeout")) if "timeout" in fields else 10.0
        if argv and seconds:
            found[name] = {"argv": argv, "timeout_s": seconds}
    return found


def _argv(findings: Findings, value: Any, path: Path) -> list[str]:
    if isinstance(value, str):
        text = findings.text(value, path)
        try:
            return shlex.split(text or "")
        except ValueError as error:
            findings.wrong(path, f"cannot be split into arguments: {str(error).lower()}")
            return []
    words = findings.texts(value, path, "arguments") or []
    if isinstance(value, list) and not value:
        findings.wrong(path, "expected a list of arguments, got an empty one")
    return words


def _timeout(findings: Findings, value: Any, path: Path) -> float:
    match = _TIMEOUT.fullmatch(value) if isinstance(value, str) else None
    seconds = float(match[1]) * {"ms": 0.001, "m": 60.0}.get(match[2], 1.0) if match is not None else 0.0
    if value is not BROKEN and not 0 < seconds <= MAX_TIMEOUT_S:
        findings.wrong(path, f"expected a duration such as 5s, more than 0 and at most {MAX_TIMEOUT_S:g}s")
        return 0.0
    return seconds


def _absolute(findings: Findings, text: str, path: Path) -> None:
    if not text.startswith("/") or ".." in text.split("/"):
        findings.wrong(path, "expected an absolute path without ..")


def _known(findings: Findings, value: Any, path: Path, allowed: Mapping[str, str], where: str) -> dict[str, Any]:
    found = findings.map(value, path) or {}
    for key, below in found.items():
        if key not in allowed:
            findings.unknown(path, key, allowed, where, below)
    return {key: below for key, below in found.items() if key in allowed}


def _list(findings: Findings, fields: Mapping[str, Any], path: Path, key: str, most: int) -> list[Any]:
    if key not in fields or fields[key] is BROKEN:
        return []
    if not isinstance(fields[key], list):
        findings.wrong((*path, key), "expected a list of maps with `path` and `pattern`")
        return []
    if len(fields[key]) > most:
        findings.wrong((*path, key), f"expected at most {most} entries")
    return list(fields[key][:most])
