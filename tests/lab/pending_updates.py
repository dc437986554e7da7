"""Real security updates of a base root, fetched once and kept: what Debian's security suite had for it on that day.

A base is made of the main suite alone, so they are pending on every host of it. The archive moves, the kept files do not: a test sees
the same ones until the base itself is made anew.
"""

import os
import shutil
from pathlib import Path

from tests.lab.bases import SUITES, base
from tests.lab.places import cache, locked, run

RECIPE = "1"  # count up when _fetch changes


def pending_updates(suite: str) -> list[Path]:
    """The .deb files of all security updates (and what they newly depend on). Fetched when they are not here yet (network access)."""
    root = base(suite) / "root"
    place = cache() / f"pending-{base(suite).name}-{RECIPE}"
    with locked(cache() / f"pending-{suite}.lock"):
        if not place.is_dir():
            made = place.with_suffix(f".tmp{os.getpid()}")
            shutil.rmtree(made, ignore_errors=True)
            try:
                _fetch(SUITES[suite].debian, root, made)
                (made / "archives").rename(place)
            finally:
                shutil.rmtree(made, ignore_errors=True)
    return sorted(place.glob("*.deb"))


def _fetch(debian: str, root: Path, made: Path) -> None:
    """With this machine's own apt, by the settings of this machine, on the package database of the root."""
    for part in ("lists/partial", "archives/partial"):
        (made / part).mkdir(parents=True)
    key = root / "usr" / "share" / "keyrings" / "debian-archive-keyring.gpg"
    sources = "".join(
        f"deb [signed-by={key}] {uri} {name} main\n"
        for uri, name in zip(mirrors(), (debian, f"{debian}-security"), strict=True)
    )
    (made / "sources.list").write_text(sources)
    options = [
        *("-o", f"Dir::State::status={root}/var/lib/dpkg/status", "-o", f"Dir::State::Lists={made}/lists"),
        *("-o", f"Dir::State::extended_states={root}/var/lib/apt/extended_states", "-o", f"Dir::Cache={made}"),
        *("-o", f"Dir::Etc::sourcelist={made}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null"),
        *("-o", "Dir::Etc::preferencesparts=/dev/null", "-o", "APT::Sandbox::User=root"),
        *("-o", "Acquire::Check-Valid-Until=false", "-o", "Acquire::Languages=none", "-o", "Debug::NoLocking=1"),
    ]
    run(["apt-get", "-qq", *options, "update"])
    run(["apt-get", "-qq", "-y", *options, "--download-only", "dist-upgrade"])
    shutil.rmtree(made / "archives" / "partial")


def mirrors() -> tuple[str, str]:
    """The archives that this machine's own apt uses: Debian, Debian-Security."""
    listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(LABEL)", "Created-By: Packages"]).splitlines()
    found = {label: uri for uri, label in (line.split("|") for line in listed)}
    return (
        found.get("Debian", "http://deb.debian.org/debian/"),
        found.get("Debian-Security", "http://deb.debian.org/debian-security/"),
    )
