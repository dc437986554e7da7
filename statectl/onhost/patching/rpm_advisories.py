"""Advisories of rpm repositories, read from the metadata that dnf and zypper have fetched and checked (repodata/*updateinfo*).

One repository's file may tell of tens of thousands of advisories: it is read in pieces, and an advisory that speaks of no package
of this host is never parsed.
"""

import io
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import BinaryIO, Collection, Dict, Iterator, List, Optional, Tuple

PIECE = 1024 * 1024
_END = b"</update>"
_PACKAGE = re.compile(rb"<package\s[^>]*?\bname=[\"']([^\"']+)[\"']")
_CVE = re.compile(r"(?:CVE-)?(\d{4}-\d{4,})\Z")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?")
_REVISION = re.compile(rb"<revision>\s*(\d+)\s*</revision>")
_TIMESTAMP = re.compile(rb"<timestamp>\s*(\d+)")
_UPDATEINFO = re.compile(
    rb"<data\s[^>]*type=[\"']updateinfo[\"'].*?<location\s[^>]*href=[\"']([^\"']+)[\"']", re.DOTALL
)


class Repodata(NamedTuple):
    """date: when the repository was made, as it says; fetched: when it was last asked; updateinfo: a path, or '' where it has none."""

    date: int
    fetched: int
    updateinfo: str


class Advisories(object):
    """told  {id: {"classification", "severity", "title", "issued", "updated", "cves", "bugs"}}
    of    {(name, arch, version): [id, ...]}
    """

    def __init__(self) -> None:
        self.told: "Dict[str, Dict[str, Any]]" = {}
        self.of: "Dict[Tuple[str, str, str], List[str]]" = {}

    def add(self, path: str, names: "Collection[str]") -> None:
        """Read one file. Raises Failed."""
        try:
            with opened(path) as stream:
                for piece in _updates(stream):
                    if any(name.decode("utf-8", "replace") in names for name in _PACKAGE.findall(piece)):
                        self._parse(piece, names)
        except (OSError, EOFError, ValueError) as error:
            raise Failed("cannot read advisories in %s: %s" % (path, error), "advisories cannot be read")

    def _parse(self, piece: bytes, names: "Collection[str]") -> None:
        from xml.etree import ElementTree as ET

        try:
            update = ET.fromstring(piece.decode("utf-8", "replace"))  # noqa: S314  begins at <update: no entities can be declared
        except ET.ParseError as error:
            raise ValueError(str(error))
        number = (update.findtext("id") or "").strip()
        packages = [entry for entry in update.iter("package") if entry.get("name") in names]
        if not number or not packages:
            return
        self.told[number] = _advisory(update)
        for entry in packages:
            epoch = entry.get("epoch") or "0"
            version = "%s-%s" % (entry.get("version"), entry.get("release"))
            key = entry.get("name") or "", entry.get("arch") or "", version if epoch == "0" else epoch + ":" + version
            known = self.of.setdefault(key, [])
            if number not in known:
                known.append(number)


def _advisory(update: "Any") -> "Dict[str, Any]":
    kind = (update.get("type") or "").strip()
    severity = (update.findtext("severity") or "").strip()
    cves, bugs = [], []
    for reference in update.iter("reference"):
        number = (reference.get("id") or "").strip()
        if reference.get("type") == "cve" or number.startswith("CVE-"):
            found = _CVE.match(number)
            if found:
                cves.append("CVE-" + found.group(1))
        elif reference.get("type") == "bugzilla" and number:
            bugs.append(number)
    issued, updated = (moment(_date(update.find(name))) for name in ("issued", "updated"))
    return {
        "classification": kind[:1].upper() + kind[1:],
        "severity": ""
        if severity.lower() in ("", "none", "unspecified")
        else severity[:1].upper() + severity[1:].lower(),
        "title": " ".join((update.findtext("title") or "").split())[:200],
        "issued": issued,
        "updated": updated or issued,
        "cves": list(dict.fromkeys(cves)),
        "bugs": list(dict.fromkeys(bugs)),
    }


def _date(element: "Any") -> str:
    return "" if element is None else (element.get("date") or "").strip()


def moment(text: str) -> int:
    """`2026-02-01 12:00:00`, `2026-02-01` (UTC) or seconds since 1970 -> seconds since 1970, 0 when it says nothing."""
    if re.match(r"\d{9,11}\Z", text):
        return int(text)
    found = _DATE.match(text)
    if found is None:
        return 0
    import calendar

    fields = [int(part or 0) for part in found.groups()]
    try:
        return calendar.timegm((fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], 0, 0, 0))
    except ValueError:
        return 0


def repodata(directory: str) -> "Optional[Repodata]":
    """Of the directory that holds repodata/; None where nothing has been fetched."""
    path = directory + "/repodata/repomd.xml"
    try:
        with open(path, "rb") as stream:
            text = stream.read(4 * PIECE)
            fetched = int(os.fstat(stream.fileno()).st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return None
    said = _UPDATEINFO.search(text)
    revision = _REVISION.search(text)
    dates = [int(value) for value in _TIMESTAMP.findall(text)]
    if revision is not None and 9 <= len(revision.group(1)) <= 11:  # some count their revisions instead
        dates = [int(revision.group(1))]
    updateinfo = ""
    if said is not None:
        updateinfo = "%s/repodata/%s" % (directory, os.path.basename(said.group(1).decode("utf-8", "replace")))
    return Repodata(max(dates) if dates else 0, fetched, updateinfo)


def _updates(stream: "BinaryIO") -> "Iterator[bytes]":
    """Each <update ...>...</update> of a file."""
    left = b""
    while True:
        data = stream.read(PIECE)
        if not data:
            break
        parts = (left + data).split(_END)
        left = parts.pop()
        for part in parts:
            start = part.find(b"<update ")
            if start >= 0:
                yield part[start:] + _END
    if b"<update " in left:
        raise ValueError("it ends in the middle of an advisory")


def opened(path: str) -> "Any":
    """A file of metadata, decompressed while it is read."""
    if path.endswith(".gz"):
        import gzip

        return gzip.open(path, "rb")
    if path.endswith(".xz"):
        import lzma

        return lzma.open(path, "rb")
    if path.endswith(".bz2"):
        import bz2

        return bz2.open(path, "rb")
    if path.endswith(".zst"):
        return io.BytesIO(_zstd(path))
    if path.endswith(".xml"):
        return open(path, "rb")
    raise ValueError("nothing here reads %s" % path.rpartition(".")[2])


def _zstd(path: str) -> bytes:
    """By the library that rpm itself reads such files with."""
    import ctypes

    class Buffer(ctypes.Structure):
        _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t)]

    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_createDStream.restype = ctypes.c_void_p
    library.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
    step = library.ZSTD_decompressStream
    step.restype = ctypes.c_size_t
    step.argtypes = [ctypes.c_void_p, ctypes.POINTER(Buffer), ctypes.POINTER(Buffer)]
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    with open(path, "rb") as stream:
        packed = stream.read()
    source = ctypes.create_string_buffer(packed, len(packed))
    room = ctypes.create_string_buffer(PIECE)
    read = Buffer(ctypes.cast(source, ctypes.c_void_p), len(packed), 0)
    made: "List[bytes]" = []
    context = library.ZSTD_createDStream()
    try:
        while True:
            write = Buffer(ctypes.cast(room, ctypes.c_void_p), PIECE, 0)
            left = step(context, ctypes.byref(write), ctypes.byref(read))
            if library.ZSTD_isError(left):
                raise ValueError("it is no zstd file, or damaged")
            made.append(room.raw[: write.position])
            if read.position == len(packed) and write.position < PIECE:
                break
    finally:
        library.ZSTD_freeDStream(context)
    if left:
        raise ValueError("it is cut off")
    return b"".join(made)
