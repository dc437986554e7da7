"""An rpm repository of exact patch cases, with an advisory for most versions. Each case is one line of PACKAGES.

The packages are built once, below the lab's cache. `publish` puts those up to a stage into a repository of one host, so that a later
stage is what a vendor publishes later; `install_first` installs the first version of each that a host starts with.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from tests.lab.machine import LabHost
from tests.lab.places import cache, digest_of, locked, run

RECIPE = "1"  # count up when the way of building changes
PLACE = "/srv/patches"  # in the host
BUILT = 1767225600  # 2026-01-01 00:00:00 UTC: build time of every package


@dataclass(frozen=True)
class Rpm:
    """tags: lines of the spec's head; scripts: section -> shell text; installed: the host starts with it."""

    name: str
    version: str  # with the epoch, as rpm writes it
    tags: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)
    installed: bool = False
    stage: int = 1

    @property
    def evr(self) -> tuple[str, str, str]:
        epoch, colon, rest = self.version.partition(":")
        version, _, release = (rest if colon else self.version).partition("-")
        return epoch if colon else "0", version, release

    @property
    def file(self) -> str:
        _, version, release = self.evr
        return f"{self.name}-{version}-{release}.noarch.rpm"


@dataclass(frozen=True)
class Notice:
    """An advisory. `kind` is the type of updateinfo; packages are (name, version)."""

    id: str
    kind: str
    packages: tuple[tuple[str, str], ...]
    severity: str = ""
    cves: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()
    issued: str = "2026-02-01 00:00:00"
    updated: str = "2026-02-03 12:00:00"
    stage: int = 1


SLOW = "for i in $(seq $(cat /etc/patch-slow.seconds 2>/dev/null || echo 0)); do sleep 1; done; echo ran >> /run/patch-slow.ran\n"
PACKAGES = (
    Rpm("patch-base", "1.0-1", ("Provides: /bin/sh",), installed=True),  # Debian's shell is of no rpm package
    Rpm("patch-critical", "1.0-1", installed=True),
    Rpm("patch-critical", "1.0-2"),
    Rpm("patch-critical", "1.1-1"),
    Rpm("patch-critical", "1.2-1", stage=2),
    Rpm("patch-important", "1.0-1", installed=True),
    Rpm("patch-important", "1.0-2"),
    Rpm("patch-enhanced", "1.0-1", installed=True),
    Rpm("patch-enhanced", "2.0-1"),
    Rpm("patch-plain", "1.0-1", installed=True),
    Rpm("patch-plain", "1.1-1"),
    Rpm("patch-epoch", "2.0-1", installed=True),
    Rpm("patch-epoch", "1:1.0-1"),
    Rpm("patch-tilde", "1.0~rc1-1", installed=True),
    Rpm("patch-tilde", "1.0-1"),
    Rpm("patch-tilde", "1.0^git1-1"),
    Rpm("patch-needs", "1.0-1", installed=True),
    Rpm("patch-needs", "1.1-1", ("Requires: patch-new",)),
    Rpm("patch-new", "1.0-1"),
    Rpm("patch-old", "1.0-1", installed=True),
    Rpm("patch-renamed", "2.0-1", ("Obsoletes: patch-old < 2", "Provides: patch-old = 2.0-1")),
    Rpm("patch-clash", "1.0-1", installed=True),
    Rpm("patch-clash", "1.1-1", ("Conflicts: patch-old",)),
    Rpm("patch-strict", "1.0-1", installed=True),
    Rpm("patch-strict", "1.1-1", ("Requires: patch-plain = 1.0-1",)),
    Rpm("patch-post", "1.0-1", installed=True),
    Rpm("patch-post", "1.1-1", scripts={"post": "echo patch-post cannot go on >&2; exit 3\n"}),
    Rpm("patch-pre", "1.0-1", installed=True),
    Rpm("patch-pre", "1.1-1", scripts={"pre": "echo patch-pre refuses >&2; exit 4\n"}),
    Rpm("patch-slow", "1.0-1", installed=True),
    Rpm("patch-slow", "1.1-1", scripts={"post": SLOW}),
)
NOTICES = (
    Notice("LAB-SA-1", "security", (("patch-critical", "1.0-2"),), "Critical", ("CVE-2026-1001",), ("71001",)),
    Notice("LAB-BA-1", "bugfix", (("patch-critical", "1.1-1"),), bugs=("71002",)),
    Notice("LAB-SA-2", "security", (("patch-important", "1.0-2"),), "Important", ("CVE-2026-1002", "CVE-2026-1003")),
    Notice("LAB-EA-1", "enhancement", (("patch-enhanced", "2.0-1"),)),
    Notice("LAB-BA-2", "bugfix", (("patch-epoch", "1:1.0-1"),)),
    Notice("LAB-SA-3", "security", (("patch-tilde", "1.0^git1-1"),), "Moderate", ("CVE-2026-1004",)),
    Notice("LAB-SA-5", "security", (("patch-needs", "1.1-1"), ("patch-new", "1.0-1")), "Low", ("CVE-2026-1005",)),
    Notice("LAB-SA-4", "security", (("patch-critical", "1.2-1"),), "Important", ("CVE-2026-1006",), stage=2),
)
SPEC = """Name: {name}
Version: {version}
Release: {release}
{tags}
Summary: Patch case {name}
License: MIT
BuildArch: noarch
%description
Patch case {name}
%install
mkdir -p %{{buildroot}}/usr/share/{name}
echo {evr} > %{{buildroot}}/usr/share/{name}/version
{scripts}%files
/usr/share/{name}/version
"""
NAMES = sorted({package.name for package in PACKAGES if package.installed})


def packages() -> Path:
    """The directory with all packages as files, built when it is not there yet (10 s)."""
    place = cache() / f"patch-rpms-{digest_of(RECIPE, repr(PACKAGES), SPEC)}"
    with locked(cache() / "patch-rpms.lock"):
        if not place.is_dir():
            made = place.with_suffix(".tmp")
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            for package in PACKAGES:
                _build(package, made)
            made.rename(place)
    return place


def _build(package: Rpm, directory: Path) -> None:
    epoch, version, release = package.evr
    work = directory / "work"
    work.mkdir()
    text = SPEC.format(
        name=package.name,
        version=version,
        release=release,
        evr=package.version,
        tags="\n".join((*((f"Epoch: {epoch}",) if epoch != "0" else ()), *package.tags)),
        scripts="".join(f"%{section}\n{script}" for section, script in package.scripts.items()),
    )
    spec = work / "package.spec"
    spec.write_text(text)
    defined = (f"_topdir {work}", f"_dbpath {work}/db", "_build_id_links none", "use_source_date_epoch_as_buildtime 1")
    defines = [word for define in defined for word in ("--define", define)]
    run(["rpmbuild", "-bb", *defines, spec], env={"SOURCE_DATE_EPOCH": str(BUILT)})
    for made in (work / "RPMS").rglob("*.rpm"):
        shutil.copy(made, directory / made.name)
    shutil.rmtree(work)


def updateinfo(stage: int) -> str:
    """updateinfo.xml of what is published up to a stage."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n<updates>%s</updates>\n' % "".join(
        _update(notice) for notice in NOTICES if notice.stage <= stage
    )


def _update(notice: Notice) -> str:
    listed = ""
    for name, version in notice.packages:
        package = next(entry for entry in PACKAGES if (entry.name, entry.version) == (name, version))
        epoch, number, release = package.evr
        listed += (
            f'<package name="{name}" version={quoteattr(number)} release="{release}" epoch="{epoch}" arch="noarch">'
            f"<filename>{escape(package.file)}</filename></package>"
        )
    references = "".join(
        f'<reference href="https://lab.invalid/{number}" id="{number}" title="{number}" type="{kind}"/>'
        for kind, numbers in (("cve", notice.cves), ("bugzilla", notice.bugs))
        for number in numbers
    )
    severity = f"<severity>{notice.severity}</severity>" if notice.severity else ""
    return (
        f'<update from="lab@lab.invalid" status="final" type="{notice.kind}" version="1"><id>{notice.id}</id>'
        f'<title>{notice.packages[0][0]} {notice.kind}</title><issued date="{notice.issued}"/>'
        f'<updated date="{notice.updated}"/>{severity}<description>patch case</description>'
        f'<references>{references}</references><pkglist><collection short="lab"><name>lab</name>{listed}</collection>'
        f"</pkglist></update>"
    )


def publish(host: LabHost, stage: int = 1, place: str = PLACE, *, notices: bool = True) -> None:
    """Make or renew the repository in a host. Without `notices` it has no updateinfo."""
    target = host._within(place)
    target.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if package.stage <= stage and not (target / package.file).exists():
            shutil.copy(packages() / package.file, target / package.file)
    host.sh(f"createrepo_c --quiet --update {place}")
    if notices:
        host.write(f"{place}/updateinfo.xml", updateinfo(stage))
        host.sh(f"modifyrepo_c --mdtype=updateinfo {place}/updateinfo.xml {place}/repodata")


def sign(host: LabHost, place: str, gnupg: Path) -> str:
    """Sign all packages of a repository by a new key, kept in `gnupg`, and renew its index -> the public key as text."""
    base = ["gpg", "--homedir", gnupg, "--batch", "--quiet"]
    user = "patches@lab.invalid"
    gnupg.mkdir(mode=0o700)
    run([*base, "--passphrase", "", "--quick-generate-key", user, "rsa2048", "sign", "never"])
    defined = (f"_gpg_path {gnupg}", f"_gpg_name {user}", f"_dbpath {gnupg}/db", "__gpg /usr/bin/gpg")
    files = sorted(host._within(place).glob("*.rpm"))
    run(["rpmsign", *(word for define in defined for word in ("--define", define)), "--addsign", *files])
    key = run([*base, "--armor", "--export", user])
    run(["gpgconf", "--homedir", gnupg, "--kill", "gpg-agent"])
    host.sh(f"createrepo_c --quiet {place}")
    return key


def withdraw(host: LabHost, name: str, version: str, stage: int = 1, place: str = PLACE) -> None:
    """A version goes from the repository, as happens when a newer one replaces it."""
    package = next(entry for entry in PACKAGES if (entry.name, entry.version) == (name, version))
    (host._within(place) / package.file).unlink()
    host.sh(f"createrepo_c --quiet --update {place}")
    host.write(f"{place}/updateinfo.xml", updateinfo(stage))
    host.sh(f"modifyrepo_c --mdtype=updateinfo {place}/updateinfo.xml {place}/repodata")


def configure(host: LabHost, url: str = "", name: str = "patches", gpgcheck: int = 0, place: str = PLACE) -> None:
    """The repository as both dnf and zypper read it; the lab's other one goes away."""
    text = f"[{name}]\nname={name}\nenabled=1\ngpgcheck={gpgcheck}\nautorefresh=1\nbaseurl="
    host.sh("rm -f /etc/yum.repos.d/*.repo /etc/zypp/repos.d/*.repo")
    host.write(f"/etc/yum.repos.d/{name}.repo", f"{text}{url or 'file://' + place}\n")
    host.write(f"/etc/zypp/repos.d/{name}.repo", f"{text}{url or 'dir://' + place}\n")


def install_first(host: LabHost, names: list[str] | None = None) -> None:
    """The versions that a host starts with, by rpm itself: neither dnf nor zypper has read anything yet."""
    chosen = [package for package in PACKAGES if package.installed and package.name in (names or NAMES)]
    host.exec(["rpm", "--install", "--nosignature", *(f"{PLACE}/{package.file}" for package in chosen)])
