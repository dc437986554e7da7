"""The entries of approved and rejected lists: what a text names, and which versions of packages that is.

package     curl, linux-image-*, libc6.i386 (deb also libc6:i386)    the name, with or without an architecture; globs
version     openssl=3.0.11-1~deb12u*                                 a name and a version, both may be globs
build       kernel-5.14.0-503.el9.x86_64, kernel-4:5.14.0-*.x86_64   rpm: name-[epoch:]version-release.arch or name.arch; .rpm may follow
advisory    RHSA-2024:1234, ALAS2023-2024-123, DSA-5678, USN-6789-1  a DSA, DLA or USN without its revision is all of them
cve         CVE-2024-3094
bug         1234567                                                  the number of a bug that an advisory names

Texts are compared as a whole; names of packages with regard to case. Nothing is guessed out of a name that holds digits and dashes: what
a package could be called is made of the package, and compared.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from statectl.baselines.model import Named
from statectl.baselines.scan import Advisory, Package
from statectl.baselines.systems import APT, RPM

DEB_ARCHITECTURES = (
    *("all", "amd64", "arm64", "armel", "armhf", "i386", "loong64", "mips64el", "mipsel", "ppc64el", "riscv64"),
    "s390x",
)
RPM_ARCHITECTURES = (
    *("noarch", "x86_64", "i386", "i486", "i586", "i686", "aarch64", "armv7hl", "ppc64", "ppc64le", "s390", "s390x"),
    "riscv64",
)
_ARCHITECTURES = {APT: frozenset(DEB_ARCHITECTURES), RPM: frozenset(RPM_ARCHITECTURES)}
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.IGNORECASE)
_LIKE_CVE = re.compile(r"CVE[-_: ]?[0-9]", re.IGNORECASE)
_WINDOWS = re.compile(r"KB-?[0-9]+|MS[0-9]{2}-[0-9]{3}", re.IGNORECASE)
_DEB_ADVISORY = re.compile(r"(?:DSA|DLA|DTSA|USN|LSN)-[0-9]{1,6}(?:-[0-9]{1,4})?", re.IGNORECASE)
_LIKE_DEB_ADVISORY = re.compile(r"(?:DSA|DLA|DTSA|USN|LSN)[-_: ]?[0-9]", re.IGNORECASE)
# A vendor's word, perhaps more of them, then a year and a number: RHSA-2024:1234, ALAS2-2018-123, SUSE-SLE-Module-Basesystem-15-SP5-2024-1
_RPM_ADVISORY = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9._]+)*-(?:19|20)[0-9]{2}[-:][0-9A-Fa-f]+(?:[-:][0-9]+)*")
_VENDORS = re.compile(r"(?:(?:RH|AL|RL|EL|CE)[SBE]A|ALAS[A-Z0-9]*|SUSE|openSUSE|FEDORA)-", re.IGNORECASE)
_LIKE_VENDOR = re.compile(r"(?:RH|AL|RL|EL|CE)[SBE]A[-_:]?[0-9]|ALAS[0-9]{0,4}[-_:][0-9]")
_GLOB = re.compile(r"[*?\[]")
_DEB_NAME = re.compile(r"[a-z0-9*?\[][a-z0-9+.*?\[\]!-]*")
_RPM_NAME = re.compile(r"[A-Za-z0-9_*?\[][A-Za-z0-9_+.~^*?\[\]!-]*")
_VERSION = re.compile(r"[A-Za-z0-9.+~^:_*?\[\]!-]+")
_DEB_FILE = re.compile(r"([a-z0-9][a-z0-9+.-]*)_([A-Za-z0-9.+~%:-]+)_[a-z0-9]+\.deb")


@dataclass(frozen=True, slots=True)
class Name:
    """A text of a list, understood. `build`: the whole of `name-version-release.arch`, a glob perhaps."""

    kind: str  # package | version | build | advisory | cve | bug
    name: str = ""
    arch: str = ""
    version: str = ""
    text: str = ""

    @property
    def is_glob(self) -> bool:
        return _GLOB.search(self.name or self.text) is not None


@dataclass(frozen=True, slots=True)
class NotAName:
    """Why a text names nothing. `instead`: what was probably meant."""

    why: str
    hint: str = ""
    instead: str = ""


def parse_name(text: str, packages: str) -> Name | NotAName:
    """`packages`: apt or rpm."""
    if not text.strip() or len(text) > 250 or re.search(r"\s", text):
        meant = text.strip()
        good = meant != text and re.fullmatch(r"\S{1,250}", meant) is not None
        return NotAName("a name has no spaces and at most 250 characters", instead=meant if good else "")
    if text.isascii() and text.isdigit():
        return Name("bug", text=text)
    found = _identifier(text, packages)
    if found is not None:
        return found
    name, equals, version = text.partition("=")
    if equals:
        return _with_version(name, version, packages)
    if packages == RPM:
        return _rpm(text)
    match = _DEB_FILE.fullmatch(text)
    if match is not None:
        return NotAName("this is the name of a file", instead=f"{match[1]}={match[2].replace('%3a', ':')}")
    return _package(text, packages)


def _identifier(text: str, packages: str) -> Name | NotAName | None:
    """A CVE or an advisory; None: a package."""
    if _CVE.fullmatch(text):
        return Name("cve", text=text.upper())
    if _LIKE_CVE.match(text):
        parts = re.findall(r"[0-9]+", text)
        meant = f"CVE-{parts[0]}-{parts[1]:0>4}" if len(parts) == 2 and len(parts[0]) == 4 else ""
        return NotAName(
            "not the id of a CVE", "CVE ids look like CVE-2024-3094", meant if _CVE.fullmatch(meant) else ""
        )
    if _WINDOWS.fullmatch(text):
        return NotAName("this is an update of Windows", "statectl patches Linux: packages, advisories, CVE ids")
    if _DEB_ADVISORY.fullmatch(text):
        return Name("advisory", text=text.upper())
    if _LIKE_DEB_ADVISORY.match(text):
        return NotAName("not the id of an advisory", "advisories look like DSA-5678 or DSA-5678-1, USN-6789-1")
    if _RPM_ADVISORY.fullmatch(text) and (text.partition("-")[0].isupper() or _VENDORS.match(text)):
        if packages == RPM and text.rpartition(".")[2] in _ARCHITECTURES[RPM]:
            return None
        return Name("advisory", text=text.upper())
    if _LIKE_VENDOR.match(text):
        return NotAName("not the id of an advisory", "advisories look like RHSA-2024:1234 or ALAS2023-2024-123")
    return None


def _with_version(name: str, version: str, packages: str) -> Name | NotAName:
    if not _VERSION.fullmatch(version):
        return NotAName("not a version", "NAME=VERSION, such as openssl=3.0.11-1*")
    found = _package(name, packages)
    return found if isinstance(found, NotAName) else Name("version", found.name, found.arch, version)


def _rpm(text: str) -> Name | NotAName:
    stem = text.removesuffix(".rpm")
    base, _, arch = stem.rpartition(".")
    if base and arch in _ARCHITECTURES[RPM]:
        if re.fullmatch(r"[A-Za-z0-9_*?\[][A-Za-z0-9_+.~^:*?\[\]!-]*", base):
            return Name("build", text=stem)
    elif stem != text:
        return NotAName("the file of a package is called name-version-release.arch.rpm")
    return _package(text, RPM)


def _package(text: str, packages: str) -> Name | NotAName:
    name, arch = text, ""
    base, dot, last = text.rpartition(":") if packages == APT and ":" in text else text.rpartition(".")
    if dot and base and last in _ARCHITECTURES[packages]:
        name, arch = base, last
    other = RPM if packages == APT else APT
    if dot == "." and base and not arch and last in _ARCHITECTURES[other]:
        what = "packages of rpm" if other == RPM else "Debian packages"
        return NotAName(
            f"{last} is an architecture of {what}", f"known here: {', '.join(sorted(_ARCHITECTURES[packages]))}"
        )
    if packages == APT:
        if _DEB_NAME.fullmatch(name):
            return Name("package", name, arch)
        lower = text.lower()
        meant = lower if _DEB_NAME.fullmatch(lower.rpartition(":")[0] or lower) else ""
        hint = "a name, a glob, NAME=VERSION, an advisory (DSA-5678), a CVE or the number of a bug"
        return NotAName("not the name of a Debian package", hint, meant if lower != text else "")
    if _RPM_NAME.fullmatch(name):
        return Name("package", name, arch)
    hint = "a name, a glob, name-version-release.arch, NAME=VERSION, an advisory (RHSA-2024:1234), a CVE or the number of a bug"
    return NotAName("not the name of a package", hint)


def belongs_to(name: Name) -> str:
    """apt or rpm for an advisory whose publisher has packages of one kind only; '' for all others."""
    if name.kind != "advisory":
        return ""
    if _DEB_ADVISORY.fullmatch(name.text):
        return APT
    return RPM if _VENDORS.match(name.text) else ""


class NameList:
    """The entries of one list, asked with versions of packages."""

    def __init__(self, entries: Iterable[Named], packages: str) -> None:
        """Entries that name nothing are left out: they were reported when the file was read."""
        parsed = [(one, parse_name(one.text, packages)) for one in entries]
        self._all = [(one, name) for one, name in parsed if isinstance(name, Name)]
        self._exact: dict[str, list[tuple[int, Named, Name]]] = {}
        self._rest: list[tuple[int, Named, Name]] = []
        for place, (one, name) in enumerate(self._all):
            if name.kind in ("package", "version") and not name.is_glob:
                self._exact.setdefault(name.name, []).append((place, one, name))
            else:
                self._rest.append((place, one, name))

    def __bool__(self) -> bool:
        return bool(self._all)

    def find(self, package: Package, advisories: Sequence[Advisory]) -> tuple[Named, Name] | None:
        """The first entry that names this version of the package."""
        among = self._exact.get(package.name)
        candidates = self._rest if not among else sorted([*among, *self._rest], key=lambda one: one[0])
        for _, entry, name in candidates:
            if names(name, package, advisories):
                return entry, name
        return None

    def whole_packages(self) -> list[str]:
        """Names and globs of entries that mean every version of a package, of any architecture."""
        return [name.name for _, name in self._all if name.kind == "package" and not name.arch]

    def plain_packages(self) -> list[tuple[Named, str]]:
        """Entries that are the name of one package and nothing more."""
        return [(one, name.name) for one, name in self._all if name.kind == "package" and not name.is_glob]


def names(name: Name, package: Package, advisories: Sequence[Advisory]) -> bool:
    """Does it name this version of the package?"""
    if name.kind in ("package", "version"):
        if name.arch and name.arch != package.arch:
            return False
        if name.name != package.name and not (name.is_glob and fnmatchcase(package.name, name.name)):
            return False
        return name.kind == "package" or version_is(package.version, name.version)
    if name.kind == "build":
        return any(name.text == one or (name.is_glob and fnmatchcase(one, name.text)) for one in builds(package))
    if name.kind == "cve":
        return any(name.text == cve.upper() for one in advisories for cve in one.cves)
    if name.kind == "bug":
        return any(name.text == re.sub(r"^.*#", "", bug) for one in advisories for bug in one.bugs)
    return any(_same_advisory(name.text, one.id.upper()) for one in advisories)


def version_is(version: str, wanted: str) -> bool:
    """Equal, or matched by the glob; a version with an epoch also by a text without one."""
    without = version.partition(":")[2] if ":" in version and ":" not in wanted else version
    return without == wanted or fnmatchcase(without, wanted)


def builds(package: Package) -> tuple[str, ...]:
    """What a version of an rpm package is called with its architecture: by its name, and with the epoch nowhere, before the
    version, or before the name.
    """
    epoch, colon, rest = package.version.partition(":")
    if not colon:
        epoch, rest = "0", package.version
    name, arch = package.name, package.arch
    return (
        f"{name}.{arch}",
        f"{name}-{rest}.{arch}",
        f"{name}-{epoch}:{rest}.{arch}",
        f"{epoch}:{name}-{rest}.{arch}",
    )


def _same_advisory(wanted: str, found: str) -> bool:
    """RHSA-2024:1234 is also written RHSA-2024-1234."""
    wanted, found = wanted.replace(":", "-"), found.replace(":", "-")
    return wanted == found or (
        _DEB_ADVISORY.fullmatch(wanted) is not None and wanted.count("-") == 1 and found.startswith(f"{wanted}-")
    )


@dataclass(frozen=True, slots=True)
class OverrideEntry:
    """An entry of an override list, which stands for the rules in one install: `{id: kernel.x86_64, title: '32:9.8.2-0.62.*'}`.

    `id` is name.arch, `title` a version or name.arch:version; globs anywhere. '' : any version.
    """

    id: str
    title: str = ""

    def names(self, package: Package) -> bool:
        called = f"{package.name}.{package.arch}"
        if not fnmatchcase(called, self.id):
            return False
        if not self.title:
            return True
        version = package.version if ":" in package.version else f"0:{package.version}"
        texts = {package.version, version, f"{called}:{package.version}", f"{called}:{version}"}
        return any(fnmatchcase(text, self.title) for text in texts)
