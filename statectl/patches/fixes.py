"""What a feed or a changelog says of one vulnerability in one package, and which releases and packages that is about."""

import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from statectl.baselines.scan import Package

CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
STATUSES = ("fixed", "open", "not_affected", "ignored")
CODENAMES: Mapping[str, str] = {  # where a feed names a release by its word, and a host by its number, or the other way round
    "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14",
    "bionic": "18.04", "focal": "20.04", "jammy": "22.04", "noble": "24.04", "plucky": "25.04", "questing": "25.10",
}  # fmt: skip
NUMBERS = {number: word for word, number in CODENAMES.items()}
_DEB = frozenset(("all", "amd64", "arm64", "armel", "armhf", "i386", "ppc64el", "mips64el"))
_RPM = frozenset(("noarch", "x86_64", "aarch64", "i486", "i586", "i686", "armv7hl", "ppc64le"))
_POCKETS = ("-security", "-updates", "-proposed-updates", "-proposed", "-backports-sloppy", "-backports", "-lts")
_SOURCE = re.compile(r"(\S+) \(([^)\s]+)\)")
_DIST = re.compile(r"\.(?:el|module\+el)([0-9]+)")


@dataclass(frozen=True, slots=True)
class Fix:
    """`release` such as `debian:12`, '' for any. `status`: one of STATUSES; `fixed`: the version, of status fixed.

    kind      source: `package` is a source package and `fixed` a version of it; binary: of the package itself
    severity  in the vendor's own word, '' when it has none
    issued    seconds since 1970, 0: not said
    """

    cve: str
    advisory: str
    release: str
    kind: str
    status: str
    fixed: str
    severity: str = ""
    issued: int = 0
    title: str = ""

    def fields(self) -> tuple[Any, ...]:
        return astuple(self)


def fix_of(fields: list[Any]) -> Fix:
    return Fix(*fields)


def release_named(system: str, release: str) -> str:
    """`debian:12` of `debian`, `bookworm`."""
    word = release.lower()
    return f"{system.lower()}:{CODENAMES.get(word, word)}"


def releases_of_host(system: Mapping[str, Any]) -> frozenset[str]:
    """What feeds may call the release of a host, by its facts `os`."""
    name = str(system.get("id") or "").lower()
    if not name:
        return frozenset()
    version = str(system.get("version_id") or system.get("version") or "")
    codename = str(system.get("codename") or "").lower()
    words = {codename, version, version.partition(".")[0], str(system.get("major") or "")}
    return frozenset(release_named(name, word) for word in words if word)


def releases_of_archive(archive: str, version: str = "") -> frozenset[str]:
    """Of an archive's key: apt `Origin:Codename`; of a repository of rpms what the version's dist tag says."""
    origin, colon, codename = archive.partition(":")
    if colon:
        word = codename.lower()
        for pocket in _POCKETS:
            word = word.removesuffix(pocket)
        return frozenset({release_named(origin, word)}) if word else frozenset()
    match = _DIST.search(version)
    systems = ("rhel", "centos", "rocky", "almalinux", "oracle", "ol")
    return frozenset(f"{system}:{match[1]}" for system in systems) if match else frozenset()


def source_of(package: Package) -> tuple[str, str]:
    """(name, version) of its source package; the package's own where it says nothing else."""
    match = _SOURCE.fullmatch(package.source)
    if match:
        return match[1], match[2]
    return package.source or package.name, package.version


def kind_of_versions(arch: str, archive: str = "") -> str:
    """deb or rpm: the two name architectures differently, nearly all of them."""
    if arch in _DEB:
        return "deb"
    return "rpm" if arch in _RPM or ":" not in archive else "deb"
