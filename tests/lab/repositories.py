"""Package repositories of small packages made here: apt (signed, signed by another key, unsigned) and rpm.

Everything lies in one directory that hosts see read-only as /srv/lab:

    /srv/lab/apt/main        signed by lab.gpg, known to every host: lab-tool-NN, lab-service-NN, lab-conf, lab-conflict ...
    /srv/lab/apt/extra       signed by extra.gpg, known to no host: lab-extra-01, lab-extra-02
    /srv/lab/apt/unsigned    a flat directory with no signature: lab-unsigned
    /srv/lab/apt/keys        lab.gpg, lab.asc, extra.gpg, extra.asc
    /srv/lab/rpm             lab-alpha, lab-beta, lab-gamma, two versions each, with updateinfo
"""

import gzip
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.places import cache, digest_of, locked, run

RECIPE = "1"  # count up when the way of building changes
TOOLS = 25
SERVICES = 10
WHEN = "Thu, 01 Jan 2026 00:00:00 UTC"
EPOCH = "1767225600"

SERVICE_SCRIPT = """#!/bin/sh
# Says what happened to it in /run/{name}.events: one word a line, start or reload.
echo start >> /run/{name}.events
trap 'echo reload >> /run/{name}.events' HUP
while :; do sleep 86400 & wait $!; kill $! 2>/dev/null; done
"""
SERVICE_UNIT = """[Unit]
Description=Lab service {name}

[Service]
ExecStart=/usr/lib/{name}/run
ExecReload=/bin/kill -HUP $MAINPID

[Install]
WantedBy=multi-user.target
"""
RELOAD_SYSTEMD = "#!/bin/sh\nif [ -d /run/systemd/system ]; then systemctl daemon-reload; fi\n"


@dataclass(frozen=True)
class Deb:
    name: str
    version: str = "1.0"
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(
        default_factory=dict
    )  # path without the leading slash -> text; scripts start with #!
    scripts: Mapping[str, str] = field(default_factory=dict)  # maintainer scripts
    conffiles: tuple[str, ...] = ()


def main_packages() -> list[Deb]:
    debs = []
    for version in ("1.0", "1.1"):
        for number in range(1, TOOLS + 1):
            name = f"lab-tool-{number:02}"
            debs.append(Deb(name, version, files={f"usr/bin/{name}": f"#!/bin/sh\necho {name} {version}\n"}))
        for number in range(1, SERVICES + 1):
            name = f"lab-service-{number:02}"
            debs.append(
                Deb(
                    name,
                    version,
                    files={
                        f"usr/lib/{name}/run": SERVICE_SCRIPT.format(name=name),
                        f"lib/systemd/system/{name}.service": SERVICE_UNIT.format(name=name),
                        f"etc/{name}.conf": f"# {name} {version}\nworkers = 1\n",
                    },
                    conffiles=(f"/etc/{name}.conf",),
                    scripts={"postinst": RELOAD_SYSTEMD, "postrm": RELOAD_SYSTEMD},
                )
            )
        debs.append(
            Deb(
                "lab-conf",
                version,
                files={"etc/lab-conf.conf": f"setting = {version}\n"},
                conffiles=("/etc/lab-conf.conf",),
            )
        )
    debs += [
        Deb("lab-conflict", fields={"Conflicts": "lab-tool-01"}, files={"usr/share/lab-conflict/mark": "1\n"}),
        Deb("lab-recommends", fields={"Recommends": "lab-tool-02"}, files={"usr/share/lab-recommends/mark": "1\n"}),
        Deb("lab-depends", fields={"Depends": "lab-tool-03"}, files={"usr/share/lab-depends/mark": "1\n"}),
        Deb("lab-unmet", fields={"Depends": "lab-nowhere"}, files={"usr/share/lab-unmet/mark": "1\n"}),
        Deb(
            "lab-broken",
            files={"usr/share/lab-broken/mark": "1\n"},
            scripts={"postinst": "#!/bin/sh\necho 'lab-broken: this postinst always fails' >&2\nexit 1\n"},
        ),
        Deb(
            "lab-slow",
            files={"usr/share/lab-slow/mark": "1\n"},
            scripts={"postinst": '#!/bin/sh\nsleep "$(cat /etc/lab-slow.seconds 2>/dev/null || echo 3)"\n'},
        ),
    ]
    return debs


EXTRA = [Deb("lab-extra-01", files={"usr/bin/lab-extra-01": "#!/bin/sh\necho extra\n"}), Deb("lab-extra-02")]
UNSIGNED = [Deb("lab-unsigned", files={"usr/bin/lab-unsigned": "#!/bin/sh\necho unsigned\n"})]

RPMS = ("lab-alpha", "lab-beta", "lab-gamma")
RPM_VERSIONS = (("1.0", "1"), ("1.1", "1"))
SPEC = """Name: {name}
Version: {version}
Release: {release}
Summary: Lab package {name}
License: Apache-2.0
BuildArch: noarch
%description
Lab package {name}
%install
mkdir -p %{{buildroot}}/usr/share/{name}
echo {version}-{release} > %{{buildroot}}/usr/share/{name}/version
%files
/usr/share/{name}/version
"""


def repositories() -> Path:
    """The directory of all repositories, built when it is not there yet (about 10 s)."""
    recipe = digest_of(RECIPE, repr(main_packages()), repr(EXTRA + UNSIGNED), repr(RPMS + RPM_VERSIONS), SPEC)
    place = cache() / f"repositories-{recipe}"
    with locked(cache() / "repositories.lock"):
        if not place.is_dir():
            made = cache() / f"repositories-{recipe}.tmp{os.getpid()}"
            shutil.rmtree(made, ignore_errors=True)
            _build(made)
            made.rename(place)
    return place


def _build(top: Path) -> None:
    keys = top / "apt" / "keys"
    keys.mkdir(parents=True)
    gnupg = top / "gnupg"
    gnupg.mkdir(mode=0o700)
    for owner in ("lab", "extra"):
        _make_key(gnupg, owner, keys)
    for name, debs in (("main", main_packages()), ("extra", EXTRA)):
        pool = top / "apt" / name / "pool"
        for deb in debs:
            build_deb(deb, pool)
        _suite(top / "apt" / name, name, gnupg, "lab" if name == "main" else "extra")
    for deb in UNSIGNED:
        build_deb(deb, top / "apt" / "unsigned")
    flat_index(top / "apt" / "unsigned")
    _rpm(top / "rpm")
    top.chmod(0o755)


def _make_key(gnupg: Path, owner: str, keys: Path) -> None:
    base = ["gpg", "--homedir", gnupg, "--batch", "--quiet"]
    user = f"{owner}@lab.invalid"
    run([*base, "--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never"])
    run([*base, "--output", keys / f"{owner}.gpg", "--export", user])
    run([*base, "--armor", "--output", keys / f"{owner}.asc", "--export", user])
    run(["gpgconf", "--homedir", gnupg, "--kill", "gpg-agent"])


def build_deb(deb: Deb, pool: Path) -> Path:
    """One .deb with exactly what the record says."""
    tree = pool.parent / f"{deb.name}.tree"
    control = tree / "DEBIAN"
    control.mkdir(parents=True)
    fields = {
        "Package": deb.name,
        "Version": deb.version,
        "Architecture": "all",
        "Maintainer": "Lab <lab@lab.invalid>",
        "Section": "misc",
        "Priority": "optional",
        **deb.fields,
        "Description": f"lab package {deb.name}",
    }
    (control / "control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    if deb.conffiles:
        (control / "conffiles").write_text("".join(f"{path}\n" for path in deb.conffiles))
    for script, text in deb.scripts.items():
        (control / script).write_text(text)
        (control / script).chmod(0o755)
    for path, text in deb.files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755 if text.startswith("#!") else 0o644)
    pool.mkdir(parents=True, exist_ok=True)
    made = pool / f"{deb.name}_{deb.version.replace(':', '%')}_{fields['Architecture']}.deb"
    run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, made], env={"SOURCE_DATE_EPOCH": EPOCH})
    shutil.rmtree(tree)
    return made


def flat_index(directory: Path) -> None:
    """A flat apt repository without a Release: for `deb [trusted=yes] file:DIRECTORY ./`."""
    packages = run(["dpkg-scanpackages", "--multiversion", "."], cwd=directory)
    (directory / "Packages").write_text(packages)


def _suite(directory: Path, name: str, gnupg: Path, key: str) -> None:
    """dists/lab/main with Packages, Release, InRelease and Release.gpg."""
    dist = directory / "dists" / "lab"
    index = dist / "main" / "binary-all"
    index.mkdir(parents=True)
    packages = run(["dpkg-scanpackages", "--multiversion", "pool"], cwd=directory).encode()
    files = {}
    for architecture in ("all", "amd64", "arm64"):
        place = dist / "main" / f"binary-{architecture}"
        place.mkdir(exist_ok=True)
        for suffix, data in (("", packages), (".gz", gzip.compress(packages, mtime=0))):
            (place / f"Packages{suffix}").write_bytes(data)
            files[f"main/binary-{architecture}/Packages{suffix}"] = data
    sums = "".join(f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}\n" for path, data in files.items())
    (dist / "Release").write_text(
        f"Origin: Lab\nLabel: Lab {name}\nSuite: lab\nCodename: lab\nDate: {WHEN}\nArchitectures: all amd64 arm64\n"
        f"Components: main\nDescription: packages made by the lab\nSHA256:\n{sums}"
    )
    sign = ["gpg", "--homedir", gnupg, "--batch", "--yes", "--quiet", "--local-user", f"{key}@lab.invalid"]
    run([*sign, "--output", dist / "InRelease", "--clearsign", dist / "Release"])
    run([*sign, "--armor", "--output", dist / "Release.gpg", "--detach-sign", dist / "Release"])
    run(["gpgconf", "--homedir", gnupg, "--kill", "gpg-agent"])


def _rpm(directory: Path) -> None:
    directory.mkdir()
    for name in RPMS:
        for version, release in RPM_VERSIONS:
            spec = directory / f"{name}.spec"
            spec.write_text(SPEC.format(name=name, version=version, release=release))
            work = directory / "work"
            run(
                [
                    *("rpmbuild", "-bb", "--define", f"_rpmdir {directory}", "--define", f"_topdir {work}"),
                    *("--define", f"_dbpath {work}/db", "--define", "_build_id_links none", spec),
                ],
                env={"SOURCE_DATE_EPOCH": EPOCH},
            )
            spec.unlink()
            shutil.rmtree(work, ignore_errors=True)
    run(["createrepo_c", "--quiet", directory])
    updates = "".join(
        f'<update from="lab@lab.invalid" status="final" type="security" version="1"><id>LAB-2026:{number}</id>'
        f'<title>{name}</title><severity>{severity}</severity><issued date="2026-01-01 00:00:00"/>'
        f'<references><reference id="CVE-2026-{number:04}" type="cve" href="https://lab.invalid/"/></references>'
        f'<pkglist><collection short="lab"><name>lab</name><package name="{name}" version="1.1" release="1" epoch="0" '
        f'arch="noarch"><filename>{name}-1.1-1.noarch.rpm</filename></package></collection></pkglist></update>'
        for number, (name, severity) in enumerate(zip(RPMS[:2], ("Critical", "Important"), strict=True), 1)
    )
    info = directory / "updateinfo.xml"
    info.write_text(f'<?xml version="1.0" encoding="UTF-8"?><updates>{updates}</updates>')
    run(["modifyrepo_c", "--mdtype=updateinfo", info, directory / "repodata"])
    info.unlink()
