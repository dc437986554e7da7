"""Signatures of indexes, checked by the system's gpgv: what was not signed by a key of the file is not read."""

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from statectl.errors import Refused

TIMEOUT_S = 60
MAX_KEYS = 4 * 1024 * 1024
_ARMOR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


def signed_text(index: str, file: Path, keys: Path) -> bytes:
    """What the signature of a clear-signed file is about; nothing that stands around it. Raises Refused (E641)."""
    with tempfile.TemporaryDirectory(prefix="statectl-gpgv-") as place:
        out = Path(place) / "text"
        _checked(index, file.name, ["--output", str(out), str(file)], keys, Path(place))
        if not out.is_file():
            raise _refused(f"index {index}: {file.name} holds no signed text")
        return out.read_bytes()


def check_detached(index: str, file: Path, signature: Path, keys: Path) -> None:
    """Raises Refused (E641)."""
    with tempfile.TemporaryDirectory(prefix="statectl-gpgv-") as place:
        _checked(index, file.name, [str(signature), str(file)], keys, Path(place))


def _checked(index: str, name: str, arguments: list[str], keys: Path, place: Path) -> None:
    program = shutil.which("gpgv") or shutil.which("gpgv2")
    if program is None:
        raise _refused(
            f"index {index}: gpgv is not installed here, so no signature can be checked",
            "install gpgv (Debian, Ubuntu) or gnupg2 (RHEL, SUSE) on this machine",
        )
    ring = place / "keys.gpg"
    ring.write_bytes(_keys(index, keys))
    command = [program, "--homedir", str(place), "--keyring", str(ring), "--weak-digest", "SHA1", "--status-fd", "1"]
    try:
        done = subprocess.run(
            [*command, *arguments], capture_output=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _refused(f"index {index}: gpgv could not check {name}: {error}") from None
    words = [
        line.split()[1] for line in done.stdout.decode(errors="replace").splitlines() if line.startswith("[GNUPG:] ")
    ]
    if "BADSIG" in words:
        raise _refused(f"index {index}: the signature of {name} is bad: it was changed after it was signed")
    if "GOODSIG" not in words or "VALIDSIG" not in words:
        if "EXPKEYSIG" in words or "REVKEYSIG" in words or "EXPSIG" in words:
            raise _refused(
                f"index {index}: {name} is signed by a key, or with a signature, that has expired or was revoked"
            )
        raise _refused(f"index {index}: {name} is not signed by a key in {keys.name}")


def _keys(index: str, path: Path) -> bytes:
    """As gpgv reads them: armored ones as bytes."""
    try:
        with path.open("rb") as source:
            data = source.read(MAX_KEYS + 1)
    except OSError as error:
        raise _refused(f"index {index}: keys {path} cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_KEYS:
        raise _refused(f"index {index}: keys {path} are over {MAX_KEYS // 1024**2} MiB")
    blocks = _ARMOR.findall(data)
    try:
        return b"".join(map(_unarmored, blocks)) if blocks else data
    except (binascii.Error, ValueError):
        raise _refused(f"index {index}: keys {path} are damaged") from None


def _unarmored(block: bytes) -> bytes:
    lines = [line.strip() for line in block.strip().splitlines()]
    if b"" in lines:
        lines = lines[lines.index(b"") + 1 :]  # behind the headers
    text = b"".join(line for line in lines if line and not line.startswith(b"=") and b":" not in line)
    return base64.b64decode(text, validate=True)


def _refused(message: str, hint: str = "") -> Refused:
    return Refused(message, code="E641", hint=hint or "statectl explain E641")
