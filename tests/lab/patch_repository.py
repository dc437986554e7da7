"""An apt repository that a test writes: suites of small packages made here, published one version after the other.

    repository = PatchRepository(tmp_path)
    repository.publish("stable", Deb("lab-app", "1.0"))
    repository.publish("security", Deb("lab-app", "1.0+deb12u1"))
    repository.give(host)                     its apt knows both suites, signed, at file:/srv/patches; the others are gone
    repository.replace("security", Deb("lab-app", "1.0+deb12u2"))   an index lists the newest version only
    repository.give(host)

A suite is what SUITES says unless `release` says otherwise; `security` looks as Debian's does. Changelogs lie beside it.
"""

import functools
import gzip
import hashlib
import http.server
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.machine import LabHost
from tests.lab.places import run
from tests.lab.repositories import WHEN, Deb, build_deb

CUT_SHORT = -1  # the connection ends in the middle
PLACE = "/srv/patches"
KEY = "/usr/share/keyrings/lab-patches.asc"
SOURCES = "/etc/apt/sources.list.d"
SUITES: Mapping[str, Mapping[str, str]] = {
    "stable": {"Origin": "Lab Patches", "Label": "Lab Patches", "Suite": "stable", "Codename": "lab"},
    "security": {  # the directory of a suite is called as its codename
        "Origin": "Lab Patches",
        "Label": "Debian-Security",
        "Suite": "stable-security",
        "Codename": "lab-security",
    },
}
CHANGELOG = """{name} ({version}) lab; urgency=high

  * CVE-2026-1000: what {version} mends.

 -- Lab <lab@lab.invalid>  Thu, 01 Jan 2026 00:00:00 +0000
"""


class PatchRepository:
    """`top` is a directory of the test's own. Every change is signed at once by a key made for this repository."""

    def __init__(self, top: Path) -> None:
        self.top = top / "patches"
        # a directory of a test lies too deep: the names of gpg's sockets in it may have 107 bytes
        self._gnupg = Path(tempfile.mkdtemp(prefix="gpg-"))
        weakref.finalize(self, shutil.rmtree, self._gnupg, True)
        self._seconds = int(time.time()) - 3600
        self.asked: list[str] = []  # paths, as they were asked for
        # what is answered to a path in place of its file: (status or CUT_SHORT, bytes); None: the file
        self.answers: Callable[[str], tuple[int, bytes] | None] = lambda _: None
        self.top.mkdir(parents=True)
        self.key = top / "patches.asc"
        self._debs: dict[str, list[Path]] = {}
        self._releases: dict[str, dict[str, str]] = {}
        base = ["gpg", "--homedir", self._gnupg, "--batch", "--quiet"]
        run([*base, "--passphrase", "", "--quick-generate-key", "patches@lab.invalid", "ed25519", "sign", "never"])
        run([*base, "--armor", "--output", self.key, "--export", "patches@lab.invalid"])

    def publish(self, suite: str, *debs: Deb, release: Mapping[str, str] | None = None) -> list[Path]:
        """Add packages to a suite; versions that are there stay. `release`: fields of its Release from now on."""
        return self._index(suite, self._debs.get(suite, []), debs, release)

    def replace(self, suite: str, *debs: Deb, release: Mapping[str, str] | None = None) -> list[Path]:
        """As archives do: older versions of these packages are in the index no more, and their files are gone."""
        names = {deb.name for deb in debs}
        kept = []
        for path in self._debs.get(suite, []):
            if path.name.partition("_")[0] in names:
                path.unlink()
            else:
                kept.append(path)
        return self._index(suite, kept, debs, release)

    def add(self, suite: str, *files: Path) -> None:
        """Packages that somebody else has built."""
        pool = self.top / "pool" / suite
        pool.mkdir(parents=True, exist_ok=True)
        added = [pool / path.name for path in files]
        for source, target in zip(files, added, strict=True):
            shutil.copy(source, target)
        self._index(suite, [*self._debs.get(suite, []), *added], (), None)

    def _index(
        self, suite: str, kept: Sequence[Path], debs: Sequence[Deb], release: Mapping[str, str] | None
    ) -> list[Path]:
        built = [build_deb(deb, self.top / "pool" / suite) for deb in debs]
        for deb in debs:
            plain = deb.version.partition(":")[2] or deb.version
            letters = deb.name[: 4 if deb.name.startswith("lib") else 1]
            changelog = self.top / "changelogs" / "main" / letters / deb.name / f"{deb.name}_{plain}_changelog"
            changelog.parent.mkdir(parents=True, exist_ok=True)
            changelog.write_text(CHANGELOG.format(name=deb.name, version=deb.version))
        self._debs[suite] = [*kept, *(path for path in built if path not in kept)]
        self.sign(suite, release)
        return built

    def sign(self, suite: str, release: Mapping[str, str] | None = None) -> None:
        """Index and Release of a suite, anew. A field of value '' is left out."""
        fields = self._releases.setdefault(suite, {**SUITES.get(suite, {"Suite": suite, "Codename": suite})})
        fields.update(release or {})
        dist = self.top / "dists" / self._directory(suite)
        packages = run(["dpkg-scanpackages", "--multiversion", f"pool/{suite}"], cwd=self.top).encode()
        files = {}
        for architecture in ("amd64", "arm64", "i386"):
            place = dist / "main" / f"binary-{architecture}"
            place.mkdir(parents=True, exist_ok=True)
            for suffix, data in (("", packages), (".gz", gzip.compress(packages, mtime=0))):
                (place / f"Packages{suffix}").write_bytes(data)
                files[f"main/binary-{architecture}/Packages{suffix}"] = data
        sums = "".join(f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}\n" for path, data in files.items())
        text = "".join(
            f"{key}: {value}\n"
            for key, value in {
                "Date": WHEN,
                "Architectures": "amd64 arm64 i386",
                "Components": "main",
                "Changelogs": f"file:{PLACE}/changelogs/@CHANGEPATH@_changelog",
                **fields,
            }.items()
            if value
        )
        (dist / "Release").write_text(f"{text}SHA256:\n{sums}")
        sign = ["gpg", "--homedir", self._gnupg, "--batch", "--yes", "--quiet"]
        run([*sign, "--output", dist / "InRelease", "--clearsign", dist / "Release"])
        run([*sign, "--armor", "--output", dist / "Release.gpg", "--detach-sign", dist / "Release"])
        run(["gpgconf", "--homedir", self._gnupg, "--kill", "gpg-agent"])
        # a server tells the time of a file in seconds, and two versions may come in one
        self._seconds += 2
        for path in dist.rglob("*"):
            os.utime(path, (self._seconds, self._seconds))

    def _directory(self, suite: str) -> str:
        return SUITES.get(suite, {"Codename": suite})["Codename"]

    def source(self, suite: str, uri: str = f"file:{PLACE}") -> str:
        """A line of sources.list."""
        return f"deb [signed-by={KEY}] {uri} {self._directory(suite)} main\n"

    def give(self, host: LabHost, uri: str = "", *, alone: bool = True, update: bool = True) -> None:
        """The host's apt knows every suite: as files on the host, or at `uri`. `alone`: and nothing else."""
        if not uri:
            place = host._within(PLACE)
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self.top, place)
        host.write(KEY, self.key.read_text())
        if alone:
            host.sh(f"rm -f {SOURCES}/*")
        host.write(
            f"{SOURCES}/patches.list", "".join(self.source(suite, uri or f"file:{PLACE}") for suite in self._debs)
        )
        if update:
            host.exec(["apt-get", "update", "-q"])

    @contextmanager
    def served(self, address: str) -> Iterator[str]:
        """Over HTTP from this machine's `address`, while it is open -> the address of the repository."""
        repository = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Tests have their own output."""

            def do_GET(self) -> None:
                """A file, or what the test wants in its place."""
                repository.asked.append(self.path)
                given = repository.answers(self.path)
                if given is None:
                    super().do_GET()
                    return
                code, data = given
                if code not in (200, CUT_SHORT):
                    self.send_error(code)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if code == CUT_SHORT else data)
                self.close_connection = True

        server = http.server.ThreadingHTTPServer((address, 0), functools.partial(Handler, directory=str(self.top)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{address}:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
