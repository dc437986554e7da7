"""Archives of apt and repositories of rpm, made in a moment: signed indexes of packages that are a few bytes, served or as files."""

import functools
import gzip
import hashlib
import http.server
import lzma
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path


class Signer:
    """A key of its own; `keys` is the file that trusts it."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self._home = home
        self._gpg(
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            "Archive <archive@example.org>",
            "ed25519",
            "sign",
            "never",
        )
        self.keys = home / "archive.asc"
        self.keys.write_bytes(self._gpg("--armor", "--export"))
        self.binary = home / "archive.gpg"
        self.binary.write_bytes(self._gpg("--export"))

    def clear_sign(self, text: bytes) -> bytes:
        return self._gpg("--batch", "--clear-sign", text=text)

    def sign(self, data: bytes) -> bytes:
        return self._gpg("--batch", "--armor", "--detach-sign", text=data)

    def stop(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=False)

    def _gpg(self, *arguments: str, text: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--quiet", "--no-autostart", *arguments]
        command.remove("--no-autostart")
        return subprocess.run(command, input=text, check=True, capture_output=True).stdout


def content_of(name: str, version: str) -> bytes:
    return f"{name} {version}\n".encode()


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_apt(
    root: Path,
    packages: Sequence[tuple[str, str]],
    made: datetime,
    signer: Signer | None,
    *,
    suite: str = "bookworm-security",
    until: datetime | None = None,
    fields: Mapping[str, str] | None = None,
    form: str = "xz",
    by_hash: bool = False,
) -> Path:
    """The archive in `root` with these (name, version) of amd64; files of versions that are listed no more go."""
    stanzas = []
    pool = root / "pool"
    pool.mkdir(parents=True, exist_ok=True)
    for left in pool.iterdir():
        left.unlink()
    for name, version in packages:
        data = content_of(name, version)
        (pool / f"{name}_{version}_amd64.deb").write_bytes(data)
        stanzas.append(
            f"Package: {name}\nArchitecture: amd64\nVersion: {version}\nPriority: optional\nSection: libs\n"
            f"Filename: pool/{name}_{version}_amd64.deb\nSize: {len(data)}\nSHA256: {digest_of(data)}\n"
            f"Description: {name}\n SHA256: of nothing\n"
        )
    plain = "\n".join(stanzas).encode()
    packed = {"xz": lzma.compress, "gz": gzip.compress, "": bytes}[form](plain)
    name = f"main/binary-amd64/Packages{'.' + form if form else ''}"
    dist = root / "dists" / suite
    path = dist / name
    if by_hash:
        path = path.parent / "by-hash" / "SHA256" / digest_of(packed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    told = {
        "Origin": "Debian",
        "Label": "Debian-Security",
        "Suite": "stable-security",
        "Codename": suite,
        "Date": rfc(made),
    }
    if until is not None:
        told["Valid-Until"] = rfc(until)
    if by_hash:
        told["Acquire-By-Hash"] = "yes"
    lines = [f"{key}: {value}" for key, value in {**told, **(fields or {})}.items() if value]
    release = ("\n".join([*lines, "SHA256:", f" {digest_of(packed)} {len(packed)} {name}"]) + "\n").encode()
    if signer is None:
        (dist / "Release").write_bytes(release)
    else:
        (dist / "InRelease").write_bytes(signer.clear_sign(release))
    return root


def rfc(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def make_rpm(
    root: Path,
    packages: Sequence[tuple[str, str]],
    made: datetime,
    signer: Signer | None = None,
    *,
    updates: str = "",
    primary: bytes | None = None,
) -> Path:
    """The repository in `root` with these (name, [epoch:]version-release) of x86_64; `updates`: elements of updateinfo.xml."""
    data = root / "repodata"
    data.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, version in packages:
        epoch, _, rest = version.rpartition(":")
        ver, _, rel = rest.partition("-")
        content = content_of(name, version)
        (root / f"{name}-{ver}-{rel}.x86_64.rpm").write_bytes(content)
        rows.append(
            f'<package type="rpm"><name>{name}</name><arch>x86_64</arch><version epoch="{epoch or 0}" ver="{ver}" rel="{rel}"/>'
            f'<checksum type="sha256" pkgid="YES">{digest_of(content)}</checksum><time file="1" build="1000"/>'
            f'<size package="{len(content)}" installed="1" archive="1"/><location href="{name}-{ver}-{rel}.x86_64.rpm"/>'
            f"<format><rpm:group>Libs</rpm:group><rpm:sourcerpm>{name}-{ver}-{rel}.src.rpm</rpm:sourcerpm></format></package>"
        )
    listing = (
        primary
        or (
            '<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">'
            + "".join(rows)
            + "</metadata>"
        ).encode()
    )
    parts = {"primary": gzip.compress(listing)}
    if updates:
        parts["updateinfo"] = gzip.compress(f"<updates>{updates}</updates>".encode())
    entries = []
    for kind, packed in parts.items():
        (data / f"{kind}.xml.gz").write_bytes(packed)
        entries.append(
            f'<data type="{kind}"><checksum type="sha256">{digest_of(packed)}</checksum><location href="repodata/{kind}.xml.gz"/>'
            f"<timestamp>{int(made.timestamp())}</timestamp><size>{len(packed)}</size></data>"
        )
    index = f'<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>{"".join(entries)}</repomd>'.encode()
    (data / "repomd.xml").write_bytes(index)
    if signer is not None:
        (data / "repomd.xml.asc").write_bytes(signer.sign(index))
    return root


@contextmanager
def served(root: Path) -> Iterator[tuple[str, list[str]]]:
    """(address, what was asked for: `200 /path`)."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            del size
            asked.append(f"{getattr(code, 'value', code)} {self.path}")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
