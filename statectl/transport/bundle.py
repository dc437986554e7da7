"""The executor as a zip, its hash, and the command that starts it on a host.

The zip is byte-identical for equal sources: names sorted, dates fixed. It can also be run by hand there:
`python3 onhost.pyz < order.json`.

Starting costs one process and no round trip of its own. The command is a line of POSIX shell that finds an interpreter and
becomes it (`exec`), with the stub of `onhost/stub.py` as its program; the stub answers `have`, `need` or `none` on a marked line.
An interpreter that is no interpreter (a wrapper that prints text and exits 0, one that crashes, one that reads stdin) gives no answer:
`careful=True` then tries each candidate before it is trusted.
"""

import base64
import hashlib
import io
import threading
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
STUB = "onhost/stub.py"
LAUNCH = "import sys,zlib,binascii;exec(zlib.decompress(binascii.a2b_base64(sys.argv[1])))"
PROBE = (
    "import sys,json,zlib,binascii,hashlib,marshal,zipfile;"
    "sys.version_info>=(3,6) and sys.stdout.write(sys.argv[1].upper()+chr(10))"
)
# /usr/libexec/platform-python is the one that RHEL 8 keeps for its own tools when no other was installed.
CANDIDATES = (
    "python3",
    "/usr/libexec/platform-python",
    *(f"python3.{minor}" for minor in range(14, 5, -1)),
    "/usr/local/bin/python3",
    "/opt/bin/python3",
    "python",
)
# -E -s -S -B: no PYTHON* variables, no user or site packages, no sitecustomize, no .pyc files written. -I would do the first
# two as well, but an old interpreter that does not know it could not even be refused in words.
OPTIONS = "-E -s -S -B"
# Words only that every login shell leaves alone inside single quotes: no quote, no backslash, no exclamation mark, one line.
_HEAD = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C.UTF-8; export PATH LC_ALL; cd /; "
    "c=$1 s=$2 n=$3 h=$4 d=$5 b=$6; shift 6; t=; "
)
_TAIL = 'echo; echo "statectl:$n:none ${t:-nothing of that name was there}"; exit 3'
FINDER = (
    _HEAD + 'for p in "$@"; do shift; command -v "$p" >/dev/null 2>&1 && '
    f'exec "$p" {OPTIONS} -c "$c" "$s" "$n" "$h" "$d" "" "$@"; done; ' + _TAIL
)
# The probe answers with the nonce in capitals, which nobody does who only repeats its arguments.
CAREFUL_FINDER = (
    _HEAD + 'l=; command -v timeout >/dev/null 2>&1 && l="timeout 4"; m=$(echo $n | tr a-f A-F); '
    'for p in "$@"; do command -v "$p" >/dev/null 2>&1 || continue; '
    f'r=$($l "$p" {OPTIONS} -c "$b" "$n" 2>/dev/null </dev/null); '
    'if [ "$r" = "$m" ]; then '
    f'exec "$p" {OPTIONS} -c "$c" "$s" "$n" "$h" "$d" "$t"; fi; '
    't="$t${t:+; }$p does not work"; done; ' + _TAIL
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The executor. `sha256` names it on hosts: a cached one of another hash is another executor."""

    data: bytes  # the zip, its files not compressed: every run needs its hash, and few hosts need it
    sha256: str
    stub: str  # base64 of the compressed stub

    def packed(self) -> bytes:
        """What is sent to a host that does not have it."""
        return _packed(self.data)

    def command(self, nonce: str, *, python: str = "", cache: str = "", careful: bool = False) -> list[str]:
        """The argv that starts it. `nonce`: hexadecimal, lower case; `cache`: directory on the host, '' for the default one."""
        candidates = (python,) if python else CANDIDATES
        finder = CAREFUL_FINDER if careful else FINDER
        return ["/bin/sh", "-c", finder, "sh", LAUNCH, self.stub, nonce, self.sha256, cache, PROBE, *candidates]


_ready: list[Bundle] = []
_building = threading.Lock()


def build() -> Bundle:
    """The executor of this installation; made once, also when many hosts ask at the same moment."""
    with _building:
        if not _ready:
            _ready.append(pack(PACKAGE))
        return _ready[0]


@cache
def _packed(data: bytes) -> bytes:
    return zlib.compress(data, 9)


def pack(package: Path) -> Bundle:
    """The executor of the `statectl` package in that directory."""
    files = {"statectl/__init__.py": package / "__init__.py"}
    for path in (package / "onhost").rglob("*.py"):
        files[f"statectl/{path.relative_to(package).as_posix()}"] = path
    stub = files.pop(f"statectl/{STUB}").read_bytes()
    contents = {name: path.read_bytes() for name, path in files.items()}
    contents["__main__.py"] = b"from statectl.onhost.__main__ import start\n\nstart()\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, FIXED_DATE)
            entry.create_system = 3  # Unix, wherever it was built
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, contents[name])
    data = buffer.getvalue()
    return Bundle(data, hashlib.sha256(data).hexdigest(), base64.b64encode(zlib.compress(stub, 9)).decode("ascii"))
