"""Application: one row an installed package of dpkg and of rpm.

Of dpkg the status file itself is read, of rpm one query. Version is whole, as the package manager writes it and compares it:
epoch, version and revision or release. InstalledTime of dpkg is that of the package's list of files.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

import os
from typing import TYPE_CHECKING

from statectl.onhost.collect.rows import Absent
from statectl.onhost.collect.times import iso
from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Dict, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "Application"
COLUMNS = (
    "Name",
    "Architecture",
    "Version",
    "ApplicationType",
    "InstalledTime",
    "Publisher",
    "Source",
    "Summary",
    "URL",
)
DEADLINE_S = 30.0
MAX_ROWS = 10000
STATUS = "/var/lib/dpkg/status"
STATUS_LIMIT = 64 * 1024 * 1024
LISTS = "/var/lib/dpkg/info"
RPM = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
SUMMARY = 120  # characters
_RPM_FIELDS = ("NAME", "ARCH", "EPOCHNUM", "VERSION", "RELEASE", "INSTALLTIME", "VENDOR", "SOURCERPM", "SUMMARY", "URL")
_RPM_NONE = "(none)"


def gather(host: "Host", asked: "Dict[str, JSON]") -> "List[List[JSON]]":
    rows = []
    status = host.read_file(STATUS, STATUS_LIMIT)
    if status is not None:
        rows += deb(status, _installed(host))
    if host.which("rpm") and any(host.listdir(directory) for directory in RPM):
        rows += rpm(host)
    elif status is None:
        raise Absent("neither dpkg nor rpm has a database here")
    return rows


def deb(status: bytes, installed: "Dict[str, int]") -> "List[List[JSON]]":
    """Packages whose files are all there. installed: {name or name:architecture: epoch}."""
    rows: "List[List[JSON]]" = []
    for text in status.split(b"\n\n"):
        paragraph = b"\n" + text
        if not _field(paragraph, b"Status").endswith(" installed"):
            continue
        name, architecture = _field(paragraph, b"Package"), _field(paragraph, b"Architecture")
        at = installed.get(name) or installed.get("%s:%s" % (name, architecture))
        rows.append(
            [
                name,
                architecture,
                _field(paragraph, b"Version"),
                "deb",
                iso(at),
                _field(paragraph, b"Maintainer"),
                _field(paragraph, b"Source").partition(" ")[0] or name,
                _field(paragraph, b"Description")[:SUMMARY],
                _field(paragraph, b"Homepage"),
            ]
        )
    return rows


def _field(paragraph: bytes, name: bytes) -> str:
    """The first line of a field. A paragraph begins with a newline; lines of a field's continuation begin with a space."""
    start = paragraph.find(b"\n" + name + b": ")
    if start < 0:
        return ""
    start += len(name) + 3
    end = paragraph.find(b"\n", start)
    return (paragraph[start:] if end < 0 else paragraph[start:end]).decode("utf-8", "replace").strip()


def _installed(host: "Host") -> "Dict[str, int]":
    found = {}
    try:
        with os.scandir(host.path(LISTS)) as entries:
            for entry in entries:
                if entry.name.endswith(".list"):
                    found[entry.name[:-5]] = int(entry.stat(follow_symlinks=False).st_mtime)
    except OSError:
        return found  # then it is not known when; which packages there are is
    return found


def rpm(host: "Host") -> "List[List[JSON]]":
    layout = "\\t".join("%%{%s}" % field for field in _RPM_FIELDS) + "\\n"
    ran = host.run(["rpm", "--query", "--all", "--queryformat", layout], timeout=DEADLINE_S, check=False)
    if ran.timed_out:
        raise Failed("rpm did not answer in %g s" % DEADLINE_S, "timed out")
    if ran.code != 0:
        raise Failed("rpm cannot be asked: %s" % (ran.err.strip() or "exit %s" % ran.code), "rpm query failed")
    rows: "List[List[JSON]]" = []
    for line in ran.out.split("\n"):
        fields = line.split("\t")
        if len(fields) != len(_RPM_FIELDS) or fields[0] == "gpg-pubkey":
            continue  # that is a key, kept where packages are
        name, architecture, epoch, version, release, at, vendor, source, summary, url = (
            "" if field == _RPM_NONE else field for field in fields
        )
        whole = "%s%s-%s" % ("" if epoch in ("", "0") else epoch + ":", version, release)
        moment = iso(int(at)) if at.isdigit() else None
        made_of = source.rsplit("-", 2)[0] if source.count("-") > 1 else source
        rows.append([name, architecture, whole, "rpm", moment, vendor, made_of, summary[:SUMMARY], url])
    return rows
