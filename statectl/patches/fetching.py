"""Files from http, https and file addresses, into files of ours: bounded in size and time, and only when there is something new.

An address comes from statectl.yml alone. Redirects are followed within http and https, and never from https to http.
"""

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 30  # without a byte
DEADLINE_S = 1800  # for all of one file
PIECE = 1024 * 1024
AGENT = "statectl"


class NotFetched(Exception):
    """Why, in words that go behind the address. `missing`: the server is there and the file is not."""

    def __init__(self, why: str, *, missing: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Fetched:
    """`unchanged`: nothing was fetched, as nothing is new. `validators`: to be given the next time."""

    unchanged: bool
    sha256: str
    size: int
    validators: Mapping[str, str]


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme not in ("http", "https") or (before.scheme == "https" and after.scheme == "http"):
            raise NotFetched(f"leads to {after.scheme}://{after.hostname}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(address: str, into: Path, *, most: int, validators: Mapping[str, str] | None = None) -> Fetched:
    """The file behind the address is written to `into`. Raises NotFetched; OSError when `into` cannot be written."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return _local(Path(unquote(parts.path)), into, most, validators or {})
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    known = validators or {}
    if known.get("etag"):
        headers["If-None-Match"] = known["etag"]
    if known.get("last_modified"):
        headers["If-Modified-Since"] = known["last_modified"]
    request = urllib.request.Request(address, headers=headers)  # noqa: S310  http and https: settings allow no others
    opener = urllib.request.build_opener(_Redirects)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            length = answer.headers.get("Content-Length", "")
            told = {"etag": answer.headers.get("ETag", ""), "last_modified": answer.headers.get("Last-Modified", "")}
            digest, size = _copied(answer, into, most, int(length) if length.isdigit() else None)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.NOT_MODIFIED:
                return Fetched(True, "", 0, dict(known))
            reason = " ".join(str(error.reason).split())[:100]
            raise NotFetched(f"answers {error.code} {reason}".strip(), missing=error.code in (404, 410)) from None
    except NotFetched:
        raise
    except TimeoutError:
        raise NotFetched(f"did not answer within {TIMEOUT_S} s") from None
    except urllib.error.URLError as error:
        raise NotFetched(_reason(error.reason)) from None
    except (http.client.HTTPException, ssl.SSLError, ConnectionError) as error:
        raise NotFetched(_reason(error)) from None
    return Fetched(False, digest, size, {name: text[:500] for name, text in told.items() if text})


def fetch_text(address: str, into: Path, *, most: int) -> bytes:
    fetch(address, into, most=most)
    return into.read_bytes()


def joined(base: str, relative: str) -> str:
    """The address of a file that an index names. Raises NotFetched on a name that leads out of the archive."""
    if not relative or relative.startswith("/") or ".." in relative.split("/") or "://" in relative or "\\" in relative:
        raise NotFetched(f"names a file {relative[:100]!r} outside of itself")
    if any(ord(letter) < 0x21 or ord(letter) > 0x7E for letter in relative):
        relative = urllib.request.quote(relative, safe="/%+~:@")  # type: ignore[attr-defined]
    return f"{base.rstrip('/')}/{relative}"


def _local(path: Path, into: Path, most: int, known: Mapping[str, str]) -> Fetched:
    try:
        with path.open("rb") as source:
            status = os.fstat(source.fileno())
            stamp = f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"
            if known.get("stamp") == stamp:
                return Fetched(True, "", 0, dict(known))
            if status.st_size > most:
                raise NotFetched(f"is {status.st_size} bytes, at most {most} are read")
            digest, size = _copied(source, into, most, None)
    except FileNotFoundError:
        raise NotFetched("is not there", missing=True) from None
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(path):
            raise
        raise NotFetched(error.strerror or str(error)) from None
    return Fetched(False, digest, size, {"stamp": stamp})


def _copied(source: Any, into: Path, most: int, length: int | None) -> tuple[str, int]:
    if length is not None and length > most:
        raise NotFetched(f"is {length} bytes, at most {most} are read")
    digest, size = hashlib.sha256(), 0
    until = time.monotonic() + DEADLINE_S
    with into.open("wb") as target:
        while piece := source.read(PIECE):
            size += len(piece)
            if size > most:
                raise NotFetched(f"is over {most} bytes, which is more than it may be")
            if time.monotonic() > until:
                raise NotFetched(f"did not come within {DEADLINE_S} s")
            digest.update(piece)
            target.write(piece)
    if length is not None and size != length:
        raise NotFetched(f"ended after {size} of {length} bytes")
    return digest.hexdigest(), size


def _reason(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:300] or type(error).__name__
