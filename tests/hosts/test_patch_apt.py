"""Patches on hosts that have apt: the scan writes nothing of the host's and says how old its word is; what is installed is exactly what was wanted."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.patching_on_host import OnHost, version
from tests.lab import LabHost, network
from tests.lab.patch_repository import PLACE, PatchRepository
from tests.lab.pending_updates import pending_updates
from tests.lab.project import LabProject
from tests.lab.repositories import Deb
from tests.lab.snapshot import moved, written

SUITES = ("bullseye", "bookworm", "trixie")


@pytest.fixture
def repository(tmp_path: Path) -> PatchRepository:
    return PatchRepository(tmp_path)


def installed(host: LabHost, *names: str) -> None:
    host.exec(["apt-get", "install", "-y", "-q", *names])


def rows(scan: dict[str, Any], part: str) -> dict[str, list[Any]]:
    return {row[0]: row for row in scan[part] if row[0].startswith("lab-")}


def wanted(**versions: str) -> list[list[str]]:
    return [[name.replace("_", "-"), "all", version] for name, version in versions.items()]


# -- scanning ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
def test_a_scan_says_what_is_installed_and_what_is_newer(
    suite: str, lab_hosts: Callable[..., list[LabHost]], repository: PatchRepository
) -> None:
    """Each newer version with its archive, hash and size; new dependencies, holds and whether an archive is for security."""
    (host,) = lab_hosts(1, suite)
    repository.publish("stable", Deb("lab-app"), Deb("lab-lib"), Deb("lab-kept"))
    repository.give(host)
    installed(host, "lab-app", "lab-lib", "lab-kept")
    host.exec(["apt-mark", "hold", "lab-kept"])
    fields = {"Depends": "lab-fresh", "Source": "lab-source (7.0)", "Section": "net", "Priority": "important"}
    made = repository.publish(
        "security", Deb("lab-app", "1.1"), Deb("lab-app", "1:0.9~rc1", fields), Deb("lab-fresh"), Deb("lab-kept", "2.0")
    )
    repository.give(host)

    told = OnHost(host).scan()

    assert told.get("trouble", "") == ""
    assert told["stale"] == []
    stable, security = sorted(told["archives"], key=lambda row: row["security"])
    assert (stable["key"], stable["suite"], stable["component"]) == ("Lab Patches:lab", "stable", "main")
    assert (security["key"], security["label"], security["security"]) == (
        "Lab Patches:lab-security",
        "Debian-Security",
        True,
    )
    assert security["date"] == 1767225600
    place = {told["archives"].index(stable): "stable", told["archives"].index(security): "security"}
    there = rows(told, "installed")
    assert there["lab-app"][:6] == ["lab-app", "all", "1.0", "misc", "optional", "lab-app"]
    assert [place[index] for index in there["lab-app"][6]] == ["stable"]
    app = {row[2]: row for row in told["available"] if row[0] == "lab-app"}
    assert list(app) == ["1:0.9~rc1", "1.1"], "newest first: an epoch beats every number"
    assert app["1:0.9~rc1"][3:6] == ["net", "important", "lab-source"]
    assert [place[index] for index in app["1:0.9~rc1"][6]] == ["security"]
    assert app["1:0.9~rc1"][10] == made[1].stat().st_size
    assert len(app["1:0.9~rc1"][9]) == 64
    assert told["new"] == [["lab-fresh", "all"]]
    assert rows(told, "available")["lab-fresh"][2] == "1.0"
    assert told["held"] == ["lab-kept"]
    assert rows(told, "available")["lab-kept"][2] == "2.0", "a hold hides nothing"


@pytest.mark.parametrize("suite", SUITES)
def test_a_scan_changes_nothing_on_the_host(
    suite: str, lab_hosts: Callable[..., list[LabHost]], repository: PatchRepository
) -> None:
    """Its lists and caches stay, commands that its apt runs after an update do not run, and yet the scan sees the newest version."""
    (host,) = lab_hosts(1, suite)
    repository.publish("stable", Deb("lab-app"))
    with repository.served(network.ipv4(host.slot, 0)) as uri:
        repository.give(host, uri)
        installed(host, "lab-app")
        host.write(
            "/etc/apt/apt.conf.d/99hooks",
            'APT::Update::Post-Invoke-Success:: "touch /etc/hook-ran"; APT::Update::Pre-Invoke:: "touch /etc/hook-ran";\n',
        )
        repository.publish("stable", Deb("lab-app", "1.1"))
        driver, before = OnHost(host), written(host)

        told = driver.scan(refresh_s=0)

        assert rows(told, "available")["lab-app"][2] == "1.1"
        assert told["stale"] == []
        assert driver.look(wanted(lab_app="1.1"))["moves"] == {"lab-app": ["1.0", "1.1"]}
        assert moved(before, written(host)) == []
        assert host.sh("ls -d /tmp/statectl-* /var/cache/statectl-apt/scratch.* 2>/dev/null; true") == ""


def test_the_network_is_asked_only_for_what_is_old(lab_host: LabHost, repository: PatchRepository) -> None:
    """The host's own fresh index is enough; an older one is asked for once, and then ours is fresh."""
    repository.publish("stable", Deb("lab-app"))
    with repository.served(network.ipv4(lab_host.slot, 0)) as uri:
        repository.give(lab_host, uri)
        driver = OnHost(lab_host)
        repository.asked.clear()
        driver.scan(refresh_s=3600)
        assert repository.asked == []
        driver.scan(refresh_s=0)
        assert [path for path in repository.asked if path.endswith("InRelease")] == ["/dists/lab/InRelease"]
        assert not any("Packages" in path for path in repository.asked), (
            "nothing has changed: no index is fetched again"
        )
        repository.asked.clear()
        driver.scan(refresh_s=3600)
        assert repository.asked == []


def test_an_archive_that_is_down_keeps_its_age(lab_host: LabHost, repository: PatchRepository, tmp_path: Path) -> None:
    """A failing fetch, by us or by the host's own apt, makes no old index look young; the other archive is refreshed all the same."""
    other = PatchRepository(tmp_path / "other")
    repository.publish("stable", Deb("lab-app"))
    other.publish("security", Deb("lab-app", "1.1"))
    with other.served(network.ipv4(lab_host.slot, 0)) as down:
        lab_host.write("/usr/share/keyrings/other.asc", other.key.read_text())
        repository.give(lab_host, update=False)
        line = other.source("security", down).replace("lab-patches.asc", "other.asc")
        lab_host.write("/etc/apt/sources.list.d/other.list", line)
        lab_host.exec(["apt-get", "update", "-q"])
        first = {row["codename"]: row["fetched"] for row in OnHost(lab_host).scan()["archives"]}
    lab_host.sh("sleep 1.1; apt-get update -q", check=False)
    told = OnHost(lab_host).scan(refresh_s=0)
    fetched = {row["codename"]: row["fetched"] for row in told["archives"]}
    assert fetched["lab"] > first["lab"]
    assert fetched["lab-security"] == first["lab-security"]
    (line,) = told["stale"]
    assert line.startswith(f"{down} lab-security could not be refreshed: repository not reachable")
    assert rows(told, "available") == {}


def test_an_archive_that_never_answered_is_told(lab_host: LabHost, repository: PatchRepository) -> None:
    """A source without an index is no source without updates; its password stays on the host."""
    repository.publish("stable", Deb("lab-app"))
    repository.give(lab_host)
    lab_host.write(
        "/etc/apt/sources.list.d/dead.list", "deb [trusted=yes] http://someone:s3cret@127.0.0.1:9/x lab main\n"
    )
    told = OnHost(lab_host).scan(refresh_s=3600)
    (line,) = told["stale"]
    assert line.startswith("http://127.0.0.1:9/x lab has no index here: repository not reachable")
    assert "s3cret" not in str(told)
    lab, dead = told["archives"]
    assert lab["fetched"] > 0
    assert (dead["key"], dead["suite"], dead["fetched"]) == ("http://127.0.0.1:9/x lab", "lab", 0)


def test_an_image_that_was_unpacked_today_has_the_index_of_its_day(
    lab_host: LabHost, repository: PatchRepository
) -> None:
    """New inodes of old files are no new index: the directory into which apt fetches has kept its time."""
    repository.publish("stable", Deb("lab-app"))
    repository.give(lab_host)
    lab_host.sh("touch -d '2026-01-05 12:00 UTC' /var/lib/apt/lists/partial; cp -p /var/lib/apt/lists/*InRelease /tmp/")
    lab_host.sh("cp -p /tmp/*InRelease /var/lib/apt/lists/; touch -d '2026-01-05 12:00 UTC' /var/lib/apt/lists/partial")
    shutil.rmtree(lab_host._within(PLACE))
    told = OnHost(lab_host).scan(refresh_s=3600)
    assert [row["fetched"] // 86400 for row in told["archives"]] == [1767614400 // 86400]
    assert told["stale"], "it could not be refreshed"


def test_an_index_past_the_end_that_its_archive_set_is_not_believed(
    lab_host: LabHost, repository: PatchRepository
) -> None:
    """However young the file is; one whose check the source has switched off is."""
    end = time.time() + 4
    until = {"Valid-Until": time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime(end))}
    repository.publish("stable", Deb("lab-app"), release={**until, "Date": "Sun, 01 Nov 2026 00:00:00 UTC"})
    with repository.served(network.ipv4(lab_host.slot, 0)) as uri:
        repository.give(lab_host, uri)
    lab_host.sh(f"while [ $(date +%s) -le {int(end)} ]; do sleep 0.2; done")
    driver = OnHost(lab_host)
    told = driver.scan(refresh_s=86400)
    assert told["trouble"].startswith(f"{uri} lab: its index has expired on 20")
    assert "could not be refreshed: repository not reachable" in told["trouble"]
    lab_host.write("/etc/apt/apt.conf.d/99dates", 'Acquire::Check-Valid-Until "false";\n')
    lab_host.sh("cd /var/lib/apt/lists && cp -a *InRelease /tmp/one && touch partial && mv /tmp/one *InRelease")
    assert driver.scan(refresh_s=86400).get("trouble", "") == ""


@pytest.mark.parametrize("suite", SUITES)
def test_an_archive_with_its_signature_in_a_file_of_its_own_is_one_like_others(
    suite: str, lab_hosts: Callable[..., list[LabHost]], repository: PatchRepository
) -> None:
    """Release and Release.gpg in place of InRelease: its time moves with each good check, and not with a bad one."""
    (host,) = lab_hosts(1, suite)
    repository.publish("stable", Deb("lab-app"))
    repository.answers = lambda path: (404, b"") if path.endswith("InRelease") else None
    with repository.served(network.ipv4(host.slot, 0)) as uri:
        repository.give(host, uri)
        installed(host, "lab-app")
        driver = OnHost(host)
        (first,) = driver.scan()["archives"]
        host.sh("sleep 1.1")
        (second,) = driver.scan(refresh_s=0)["archives"]
        repository.publish("stable", Deb("lab-app", "1.1"))
        third = driver.scan(refresh_s=0)
        host.sh("sleep 1.1")
    fourth = driver.scan(refresh_s=0)
    assert (first["codename"], first["date"]) == ("lab", 1767225600)
    assert second["fetched"] > first["fetched"]
    assert rows(third, "available")["lab-app"][2] == "1.1"
    assert fourth["archives"] == third["archives"]
    assert "repository not reachable" in fourth["stale"][0]


def test_backports_and_pins_of_the_host_decide_what_is_offered(lab_host: LabHost, repository: PatchRepository) -> None:
    """A version that apt would not take by itself is no patch, and is kept back when it is wanted all the same."""
    repository.publish("stable", Deb("lab-app"), Deb("lab-lib"), Deb("lab-both"))
    repository.publish(
        "backports",
        *(Deb("lab-app", "3.0"), Deb("lab-both", "2.0~bpo1")),
        release={"NotAutomatic": "yes", "ButAutomaticUpgrades": "yes"},
    )
    repository.give(lab_host)
    installed(lab_host, "lab-app", "lab-lib", "lab-both=2.0~bpo1")
    repository.publish("stable", Deb("lab-lib", "2.0"))
    repository.publish("backports", Deb("lab-both", "2.0~bpo2"))
    repository.give(lab_host)
    lab_host.write("/etc/apt/preferences.d/lib", "Package: lab-lib\nPin: version 1.*\nPin-Priority: 1001\n")
    driver = OnHost(lab_host)
    assert {name: row[2] for name, row in rows(driver.scan(), "available").items()} == {"lab-both": "2.0~bpo2"}
    seen = driver.look(wanted(lab_lib="2.0", lab_both="2.0~bpo2"))
    assert seen["moves"] == {"lab-both": ["2.0~bpo1", "2.0~bpo2"]}
    assert seen["kept"] == {"lab-lib": "the host's own preferences keep it at 1.0"}


def test_changelogs_that_are_asked_for_come_along(lab_host: LabHost, repository: PatchRepository) -> None:
    """By apt's own way, from where the archive says that they are."""
    repository.publish("stable", Deb("lab-app"))
    repository.publish("security", Deb("lab-app", "1:1.1"))
    with repository.served(network.ipv4(lab_host.slot, 0)) as uri:
        repository.publish("security", release={"Changelogs": f"{uri}/changelogs/@CHANGEPATH@_changelog"})
        repository.give(lab_host, uri)
        installed(lab_host, "lab-app=1.0")
        told = OnHost(lab_host).scan(changelogs=["lab-app all 1:1.1", "lab-nowhere all 1.0"])
    assert list(told["changelogs"]) == ["lab-app all 1:1.1"]
    assert "CVE-2026-1000" in told["changelogs"]["lab-app all 1:1.1"]


# -- installing ----------------------------------------------------------------------------------------------------------


def publish_cases(repository: PatchRepository, host: LabHost) -> None:
    """Everything that may be in the way of a patch, each on a package of its own."""
    names = ("app", "lib", "needs", "breaks", "broken", "kept", "blocked", "above-blocked", "marked")
    repository.publish("stable", *(Deb(f"lab-{name}") for name in names))
    repository.give(host)
    installed(host, *(f"lab-{name}" for name in names))
    host.exec(["apt-mark", "hold", "lab-kept"])
    host.exec(["apt-mark", "auto", "lab-lib", "lab-marked"])
    repository.publish(
        "security",
        *(Deb("lab-app", "1.1"), Deb("lab-app", "1.2", {"Depends": "lab-lib (>= 2.0)"}), Deb("lab-app", "1.3")),
        *(Deb("lab-lib", "2.0"), Deb("lab-lib", "2.1"), Deb("lab-marked", "1.1", {"Depends": "lab-come"})),
        *(Deb("lab-needs", "2.0", {"Depends": "lab-fresh, lab-nowhere"}), Deb("lab-fresh"), Deb("lab-come")),
        *(Deb("lab-breaks", "2.0", {"Breaks": "lab-broken"}), Deb("lab-kept", "2.0")),
        *(Deb("lab-blocked", "2.0"), Deb("lab-above-blocked", "2.0", {"Depends": "lab-blocked (>= 2.0)"})),
    )
    repository.give(host)


EVERYTHING = wanted(
    lab_app="1.2", lab_needs="2.0", lab_breaks="2.0", lab_kept="2.0", lab_above_blocked="2.0", lab_marked="1.1"
)


@pytest.mark.parametrize("suite", SUITES)
def test_exactly_the_wanted_versions_come_and_the_rest_is_kept_back(
    suite: str, lab_hosts: Callable[..., list[LabHost]], repository: PatchRepository
) -> None:
    """Not the newest ones, no removal, no hold undone, nothing that is not approved; each that stays says what is in its way."""
    (host,) = lab_hosts(1, suite)
    publish_cases(repository, host)
    driver = OnHost(host)
    allowed = wanted(lab_lib="2.0", lab_come="1.0", lab_kept="2.0")

    seen = driver.install(EVERYTHING, allowed=allowed, blocked=["lab-blocked"])

    assert "failed" not in seen
    assert seen["moves"] == {
        "lab-app": ["1.0", "1.2"],
        "lab-come": ["", "1.0"],
        "lab-lib": ["1.0", "2.0"],
        "lab-marked": ["1.0", "1.1"],
    }
    assert seen["kept"] == {
        "lab-needs": "it needs lab-fresh, which is not approved; it needs lab-nowhere, which no archive of this host has",
        "lab-breaks": "it would remove lab-broken",
        "lab-kept": "it is on hold at 1.0; `apt-mark unhold lab-kept` lets it go",
        "lab-above-blocked": "it needs lab-blocked (>= 2.0), which is rejected",
    }
    assert {name: version(host, name) for name, _, _ in EVERYTHING} == {
        **{name: "1.0" for name, _, _ in EVERYTHING},
        "lab-app": "1.2",
        "lab-marked": "1.1",
    }
    assert version(host, "lab-lib") == "2.0"
    assert version(host, "lab-broken") == "1.0"
    automatic = host.sh("apt-mark showauto").split()
    assert {"lab-lib", "lab-marked", "lab-come"} <= set(automatic), "what came as a dependency stays one"
    assert "lab-app" not in automatic
    assert "lab-kept" in host.sh("apt-mark showhold")
    assert driver.look(EVERYTHING, allowed=allowed, blocked=["lab-blocked"])["moves"] == {}


def test_what_is_needed_may_come_along_where_the_baseline_says_so(
    lab_host: LabHost, repository: PatchRepository
) -> None:
    """`dependencies: any` brings what is needed at its newest, and still nothing that is rejected, held or would remove."""
    publish_cases(repository, lab_host)
    seen = OnHost(lab_host).look(EVERYTHING, dependencies="any", blocked=["lab-blocked"])
    assert seen["moves"]["lab-app"] == ["1.0", "1.2"]
    assert seen["moves"]["lab-lib"] == ["1.0", "2.1"]
    assert seen["moves"]["lab-come"] == ["", "1.0"]
    assert sorted(seen["kept"]) == ["lab-above-blocked", "lab-breaks", "lab-kept", "lab-needs"]
    assert "lab-blocked" in seen["kept"]["lab-above-blocked"]
    assert "lab-nowhere" in seen["kept"]["lab-needs"]


@pytest.mark.parametrize("suite", SUITES)
def test_architectures_move_together_or_stay(
    suite: str, lab_hosts: Callable[..., list[LabHost]], repository: PatchRepository
) -> None:
    """A library of two architectures must have one version: with one of them approved it stays, with both it comes."""
    (host,) = lab_hosts(1, suite)
    host.exec(["dpkg", "--add-architecture", "i386"])

    def library(number: str) -> list[Deb]:
        return [Deb("lab-lib", number, {"Multi-Arch": "same", "Architecture": arch}) for arch in ("amd64", "i386")]

    repository.publish("stable", *library("1.0"))
    repository.give(host)
    installed(host, "lab-lib:amd64", "lab-lib:i386")
    repository.publish("security", *library("1.1"))
    repository.give(host)
    driver = OnHost(host)
    assert {tuple(row[:3]) for row in driver.scan()["available"]} == {
        ("lab-lib", "amd64", "1.1"),
        ("lab-lib", "i386", "1.1"),
    }
    one = driver.look([["lab-lib", "i386", "1.1"]])
    assert one["moves"] == {}
    assert "lab-lib" in one["kept"]["lab-lib"]
    done = driver.install([["lab-lib", "i386", "1.1"], ["lab-lib", "amd64", "1.1"]])
    assert done["moves"] == {"lab-lib": ["1.0", "1.1"]}
    told = host.sh("dpkg-query -W -f '${Architecture} ${Version}\\n' lab-lib")
    assert sorted(told.split("\n")) == ["amd64 1.1", "i386 1.1"]


def test_what_a_killed_install_leaves_is_nothing_of_apt_and_is_swept(
    lab_host: LabHost, repository: PatchRepository, tmp_path: Path
) -> None:
    """The baseline's sources are in no place that apt reads by itself; the scratch directory goes with a later fetch."""
    slow = '#!/bin/sh\nsleep "$(cat /etc/lab-seconds 2>/dev/null || echo 0)"\n'
    repository.publish("stable", Deb("lab-app"))
    repository.give(lab_host)
    installed(lab_host, "lab-app")
    own = PatchRepository(tmp_path / "own")
    own.publish("stable", Deb("lab-app", "1.5", scripts={"postinst": slow}))
    with own.served(network.ipv4(lab_host.slot, 0)) as uri:
        source = {"uris": [uri], "suites": ["lab"], "components": ["main"], "signed_by": own.key.read_text()}
        driver, before = OnHost(lab_host), written(lab_host)
        lab_host.write("/etc/lab-seconds", "5\n")
        with ThreadPoolExecutor(1) as pool:
            killed = pool.submit(driver.install, wanted(lab_app="1.5"), sources=[source])
            lab_host.sh(
                "until pgrep -f 'lab-app[.]postinst'; do sleep 0.1; done; pkill -9 -f statectl-onhost/drive[.]py"
            )
            assert killed.exception() is not None
        lab_host.sh("while pgrep -x apt-get; do sleep 0.1; done")
    assert version(lab_host, "lab-app") == "1.5", "apt has come to its end by itself"
    assert [path for path in moved(before, written(lab_host)) if path.startswith("etc/apt")] == []
    assert lab_host.sh("ls -d /var/cache/statectl-apt/scratch.*")
    lab_host.sh("touch -d '2 days ago' /var/cache/statectl-apt/scratch.*")
    driver.scan(refresh_s=0)
    assert lab_host.sh("ls -d /var/cache/statectl-apt/scratch.* 2>/dev/null; true") == ""


def test_a_default_release_of_the_host_lets_nothing_else_in(lab_host: LabHost, repository: PatchRepository) -> None:
    """APT::Default-Release stands before all preferences; what is not approved stays out all the same."""
    publish_cases(repository, lab_host)
    lab_host.write("/etc/apt/apt.conf.d/99release", 'APT::Default-Release "lab-security";\n')
    seen = OnHost(lab_host).look(wanted(lab_app="1.2"))
    assert seen["moves"] == {}
    assert seen["kept"] == {
        "lab-app": "it needs lab-lib (>= 2.0), of which 1.0 is installed and no other version is approved"
    }


def test_a_version_that_no_index_has_any_more_comes_from_the_controller(
    lab_host: LabHost, repository: PatchRepository
) -> None:
    """Exactly that file, with its dependencies resolved as any other's; a file of something else is refused."""
    repository.publish("stable", Deb("lab-app"), Deb("lab-lib"))
    repository.give(lab_host)
    installed(lab_host, "lab-app", "lab-lib")
    (older,) = repository.publish("security", Deb("lab-app", "1:1.1", {"Depends": "lab-lib (>= 2.0)"}))[:1]
    data = older.read_bytes()
    repository.replace("security", Deb("lab-app", "1:1.2"), Deb("lab-lib", "2.0"), Deb("lab-lib", "2.1"))
    repository.give(lab_host)
    lab_host._within("/run/one.deb").write_bytes(data)
    driver, versions = OnHost(lab_host), wanted(lab_app="1:1.1")
    assert driver.look(versions)["kept"] == {"lab-app": "no archive of this host has 1:1.1; there are 1:1.2, 1.0"}
    cached = {"lab-app all 1:1.1": "/run/one.deb"}
    without = driver.look(versions, cached=cached)
    assert "failed" not in without, without
    assert without["kept"] == {
        "lab-app": "it needs lab-lib (>= 2.0), of which 1.0 is installed and no other version is approved"
    }
    before = lab_host.sh("ls -l /var/lib/apt/lists | sort")
    done = driver.install(versions, cached=cached, allowed=wanted(lab_lib="2.0"))
    assert done["moves"] == {"lab-app": ["1.0", "1:1.1"], "lab-lib": ["1.0", "2.0"]}
    assert (version(lab_host, "lab-app"), version(lab_host, "lab-lib")) == ("1:1.1", "2.0")
    assert lab_host.sh("ls -l /var/lib/apt/lists | sort") == before
    assert lab_host.sh("ls -d /tmp/statectl-* /var/cache/statectl-apt/scratch.* 2>/dev/null; true") == ""
    wrong = driver.look(wanted(lab_app="1:1.2"), cached={"lab-app all 1:1.2": "/run/one.deb"})
    assert wrong["failed"] == "the file that was delivered for lab-app all 1:1.2 is lab-app 1:1.1 all"


def test_sources_of_a_baseline_replace_the_hosts_own_and_leave_nothing_behind(
    lab_host: LabHost, repository: PatchRepository, tmp_path: Path
) -> None:
    """Scan and install see them alone, with their key; /etc/apt and the host's lists are as before."""
    repository.publish("stable", Deb("lab-app"))
    repository.publish("security", Deb("lab-app", "1.9"))
    repository.give(lab_host)
    installed(lab_host, "lab-app=1.0")
    own = PatchRepository(tmp_path / "own")
    own.publish("stable", Deb("lab-app", "1.5", {"Depends": "lab-mine"}), Deb("lab-mine"))
    with own.served(network.ipv4(lab_host.slot, 0)) as uri:
        source = {
            "name": "own",
            "uris": [uri],
            "suites": ["lab"],
            "components": ["main"],
            "signed_by": own.key.read_text(),
        }
        driver, before = OnHost(lab_host), written(lab_host)
        told = driver.scan(sources=[source])
        assert {row[2] for row in told["available"] if row[0] == "lab-app"} == {"1.5"}
        assert [row["uri"] for row in told["archives"]] == [uri]
        assert moved(before, written(lab_host)) == []
        done = driver.install(wanted(lab_app="1.5"), sources=[source], allowed=wanted(lab_mine="1.0"))
        assert done["moves"] == {"lab-app": ["1.0", "1.5"], "lab-mine": ["", "1.0"]}
        assert version(lab_host, "lab-app") == "1.5"
        apt = [path for path in moved(before, written(lab_host)) if path.startswith(("etc/apt", "var/lib/apt/lists"))]
        assert apt == []
        unsigned = {**source, "signed_by": repository.key.read_text()}
        refused = driver.scan(sources=[unsigned])
    assert [row["fetched"] for row in refused["archives"]] == [0]
    assert "signature not accepted" in refused["trouble"]


def test_an_approved_version_that_only_our_index_has_is_installed(
    lab_host: LabHost, repository: PatchRepository
) -> None:
    """No update of the host's own lists is needed for it, and they are afterwards as they were."""
    repository.publish("stable", Deb("lab-app"))
    with repository.served(network.ipv4(lab_host.slot, 0)) as uri:
        repository.give(lab_host, uri)
        installed(lab_host, "lab-app")
        repository.publish("stable", Deb("lab-app", "1.1"))
        driver = OnHost(lab_host)
        before = lab_host.sh("cd /var/lib/apt/lists && sha256sum *Packages *Release")
        driver.scan(refresh_s=0)
        assert driver.install(wanted(lab_app="1.1"))["moves"] == {"lab-app": ["1.0", "1.1"]}
    assert version(lab_host, "lab-app") == "1.1"
    assert lab_host.sh("cd /var/lib/apt/lists && sha256sum *Packages *Release") == before


@pytest.mark.parametrize("suite", SUITES)
def test_a_rollback_goes_down_to_exactly_the_named_versions(
    suite: str, lab_hosts: Callable[..., list[LabHost]], repository: PatchRepository
) -> None:
    """Also of what is on hold, which it is again afterwards; nothing else moves, and without `downgrade` nothing does."""
    (host,) = lab_hosts(1, suite)
    repository.publish("stable", Deb("lab-app"), Deb("lab-kept"), Deb("lab-lib"), Deb("lab-user"))
    repository.publish(
        "security",
        *(Deb("lab-app", "1.1"), Deb("lab-kept", "1.1"), Deb("lab-lib", "1.1")),
        Deb("lab-user", "1.1", {"Depends": "lab-lib (>= 1.1)"}),
    )
    repository.give(host)
    installed(host, "lab-app", "lab-kept", "lab-lib", "lab-user")
    host.exec(["apt-mark", "hold", "lab-kept"])
    host.exec(["apt-mark", "auto", "lab-app"])
    driver, versions = OnHost(host), wanted(lab_app="1.0", lab_kept="1.0", lab_lib="1.0")
    assert driver.look(versions)["moves"] == {}
    done = driver.install(versions, downgrade=True)
    assert done["moves"] == {"lab-app": ["1.1", "1.0"], "lab-kept": ["1.1", "1.0"]}
    assert list(done["kept"]) == ["lab-lib"]
    assert "lab-user" in done["kept"]["lab-lib"]
    assert (version(host, "lab-app"), version(host, "lab-kept"), version(host, "lab-lib")) == ("1.0", "1.0", "1.1")
    assert "lab-kept" in host.sh("apt-mark showhold")
    assert "lab-app" in host.sh("apt-mark showauto")


# -- what goes wrong -----------------------------------------------------------------------------------------------------


def test_a_changed_conffile_stays_and_nobody_is_asked(lab_host: LabHost, repository: PatchRepository) -> None:
    """The old configuration is kept, a maintainer script that reads its input gets its end."""
    conf = "etc/lab-conf.conf"
    repository.publish("stable", Deb("lab-conf", files={conf: "setting = 1\n"}, conffiles=(f"/{conf}",)))
    repository.give(lab_host)
    installed(lab_host, "lab-conf")
    lab_host.write(f"/{conf}", "changed by hand\n")
    asks = "#!/bin/sh\nread answer\nread word </dev/tty\nexit 0\n"
    repository.publish(
        "security",
        Deb("lab-conf", "2.0", files={conf: "setting = 2\n"}, conffiles=(f"/{conf}",), scripts={"postinst": asks}),
    )
    repository.give(lab_host)
    assert "failed" not in OnHost(lab_host).install(wanted(lab_conf="2.0"))
    assert version(lab_host, "lab-conf") == "2.0"
    assert lab_host.read(f"/{conf}") == "changed by hand\n"


def test_a_patch_that_restarts_sshd_ends_the_run_of_nobody(
    lab_host: LabHost, repository: PatchRepository, tmp_path: Path
) -> None:
    """The channel over which the run goes lives on in its own session; the next login is served by the new one."""
    restarts = "#!/bin/sh\nsystemctl restart ssh.service\n"
    repository.publish("stable", Deb("lab-door"), Deb("lab-app"))
    repository.give(lab_host)
    installed(lab_host, "lab-door", "lab-app")
    repository.publish("security", Deb("lab-door", "1.1", scripts={"postinst": restarts}), Deb("lab-app", "1.1"))
    repository.give(lab_host)
    project = LabProject(tmp_path / "project", [lab_host])
    project.write(
        "states/patches.yml",
        "patch_baselines:\n  all:\n    os: debian\n    default: true\n    reboot: never\n"
        "    approve:\n      - {section: [security], after: 0 days}\n",
    )
    project.commit("patches")
    before = lab_host.sh("systemctl show -p MainPID --value ssh.service")
    project.statectl("patch", "install", "--yes", expect=0)
    assert lab_host.sh("systemctl show -p MainPID --value ssh.service") != before
    assert (version(lab_host, "lab-door"), version(lab_host, "lab-app")) == ("1.1", "1.1")
    project.statectl("patch", "scan", expect=0)


def test_a_postinst_that_fails_says_why_and_what_else_came(lab_host: LabHost, repository: PatchRepository) -> None:
    """The last lines, what is installed all the same; the next scan says what is broken, and the next install heals it."""
    repository.publish("stable", Deb("lab-app"), Deb("lab-bad"))
    repository.give(lab_host)
    installed(lab_host, "lab-app", "lab-bad")
    fails = "#!/bin/sh\necho 'the cause of it all' >&2\ntest -e /etc/lab-may\n"
    repository.publish("security", Deb("lab-app", "1.1"), Deb("lab-bad", "1.1", scripts={"postinst": fails}))
    repository.give(lab_host)
    driver, versions = OnHost(lab_host), wanted(lab_app="1.1", lab_bad="1.1")
    done = driver.install(versions)
    assert "lab-bad" in done["failed"]
    assert "post-installation script" in done["failed"]
    assert "installed all the same: lab-app 1.1; not installed: lab-bad 1.1" in done["failed"]
    assert "the cause of it all" in done["output"]
    assert len(done["output"].split("\n")) <= 20
    assert driver.scan()["broken"] == ["lab-bad is half-configured"]
    again = driver.install([])
    assert again["failed"].startswith("lab-bad is half-configured after dpkg --configure -a: ")
    assert "the cause of it all" in again["output"]
    lab_host.sh("touch /etc/lab-may")
    seen = driver.install(versions)
    assert seen["repair"] == "repair: dpkg --configure -a (lab-bad is half-configured)"
    assert "failed" not in seen
    assert version(lab_host, "lab-bad") == "1.1"
    assert driver.scan()["broken"] == []


def test_dpkg_killed_in_a_postinst_is_brought_to_its_end_first(lab_host: LabHost, repository: PatchRepository) -> None:
    """The look says so before, and then the patches come."""
    slow = '#!/bin/sh\nsleep "$(cat /etc/lab-seconds 2>/dev/null || echo 0)"\n'
    repository.publish("stable", Deb("lab-slow", scripts={"postinst": slow}), Deb("lab-app"))
    repository.publish("security", Deb("lab-app", "1.1"))
    repository.give(lab_host)
    installed(lab_host, "lab-app=1.0")
    lab_host.sh("echo 60 > /etc/lab-seconds; setsid apt-get install -y -q lab-slow >/run/apt.out 2>&1 </dev/null &")
    lab_host.sh("until pgrep -f 'lab-slow[.]postinst'; do sleep 0.1; done")
    lab_host.sh(
        "pkill -9 -x apt-get; pkill -9 -x dpkg; pkill -9 -f 'lab-slow[.]postinst'; pkill -9 -f '[s]leep 60'; true"
    )
    lab_host.sh("rm /etc/lab-seconds")
    driver = OnHost(lab_host)
    assert "lab-slow is half-configured" in driver.scan()["broken"]
    seen = driver.install(wanted(lab_app="1.1"))
    assert seen["repair"].startswith("repair: dpkg --configure -a")
    assert "failed" not in seen
    assert (version(lab_host, "lab-app"), version(lab_host, "lab-slow")) == ("1.1", "1.0")


def test_a_lock_is_waited_for_and_its_holder_named(lab_host: LabHost, repository: PatchRepository) -> None:
    """When it does not come free, nothing has changed."""
    repository.publish("stable", Deb("lab-app"))
    repository.publish("security", Deb("lab-app", "1.1"))
    repository.give(lab_host)
    installed(lab_host, "lab-app=1.0")
    holder = "import fcntl, time; lock = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(lock, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)"
    lab_host.write("/run/holder.py", holder)
    lab_host.sh(
        "setsid python3 /run/holder.py >/run/holder.out 2>&1 </dev/null & until grep -q held /run/holder.out; do sleep 0.1; done"
    )
    driver = OnHost(lab_host)
    done = driver.install(wanted(lab_app="1.1"), lock_s=3)
    assert done["failed"].startswith("package manager is locked: /var/lib/dpkg/lock-frontend held for 3 s by process")
    assert "python3" in done["failed"]
    assert version(lab_host, "lab-app") == "1.0"
    lab_host.sh("kill $(pgrep -f /run/holder[.]py)")
    assert "failed" not in driver.install(wanted(lab_app="1.1"), lock_s=30)


def test_room_is_looked_at_before_anything_is_fetched(lab_host: LabHost, repository: PatchRepository) -> None:
    """What is needed, where, and what is free; nothing was changed."""
    repository.publish("stable", Deb("lab-app"))
    repository.publish("security", Deb("lab-app", "1.1", files={"usr/share/lab-app/much": "0123456789abcdef" * 262144}))
    with repository.served(network.ipv4(lab_host.slot, 0)) as uri:
        repository.give(lab_host, uri)
        installed(lab_host, "lab-app=1.0")
        lab_host.sh("mount -t tmpfs -o size=1M tmpfs /var/cache/apt/archives && mkdir /var/cache/apt/archives/partial")
        repository.asked.clear()
        done = OnHost(lab_host).install(wanted(lab_app="1.1"))
    assert done["failed"].startswith("not enough room in /var/cache/apt/archives: the patches need 4.")
    assert done["failed"].endswith("are free; nothing was changed")
    assert not any(path.endswith(".deb") for path in repository.asked)
    assert version(lab_host, "lab-app") == "1.0"
    lab_host.sh("umount /var/cache/apt/archives")


def test_a_package_that_is_gone_from_its_archive_changes_nothing(
    lab_host: LabHost, repository: PatchRepository
) -> None:
    """The index still has it, its file is no longer there: told in one line."""
    repository.publish("stable", Deb("lab-app"))
    with repository.served(network.ipv4(lab_host.slot, 0)) as uri:
        (made,) = repository.publish("stable", Deb("lab-app", "1.1"))
        repository.give(lab_host, uri)
        installed(lab_host, "lab-app=1.0")
        made.unlink()
        done = OnHost(lab_host).install(wanted(lab_app="1.1"))
    assert done["failed"].startswith("a package could not be fetched: ")
    assert "404" in done["failed"]
    assert "not installed: lab-app 1.1" in done["failed"]
    assert version(lab_host, "lab-app") == "1.0"


def damage(repository: PatchRepository, how: str) -> Callable[[str], tuple[int, bytes] | None]:
    """What a broken server answers to a path, None: as it should."""
    top = repository.top

    def answer(path: str) -> tuple[int, bytes] | None:
        if how == "404" and "Release" in path:
            return 404, b""
        if how == "black hole":
            time.sleep(25)  # longer than anybody waits for it
        if how in ("hash", "truncated") and "Packages" in path:
            data = (top / path.lstrip("/")).read_bytes() if (top / path.lstrip("/")).exists() else b""
            return (200, bytes(len(data))) if how == "hash" else (-1, data)
        if how == "signature" and path.endswith("InRelease"):
            return 200, (top / path.lstrip("/")).read_bytes().replace(b"Label: Lab Patches", b"Label: Another One")
        if how == "unsigned" and path.endswith(("InRelease", "Release.gpg")):
            return 404, b""
        return None

    return answer


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("refused", "repository not reachable"),
        ("black hole", "repository does not answer"),
        ("404", "repository has no such index"),
        ("hash", "index does not match its hash"),
        ("truncated", "index"),
        ("expired", "expired"),
        ("signature", "signature not accepted"),
        ("unsigned", "signature not accepted"),
    ],
)
def test_an_archive_that_cannot_be_believed_is_told_in_one_line_and_its_old_index_is_what_counts(
    how: str, words: str, lab_host: LabHost, repository: PatchRepository
) -> None:
    """Whatever its server does: the index of before, with its time, and why there is no newer one."""
    repository.publish("stable", Deb("lab-app"))
    with repository.served(network.ipv4(lab_host.slot, 0)) as uri:
        repository.give(lab_host, uri)
        installed(lab_host, "lab-app")
        driver = OnHost(lab_host)
        before = driver.scan()["archives"]
        lab_host.sh("sleep 1.1")
        release = {"Valid-Until": "Fri, 02 Jan 2026 00:00:00 UTC"} if how == "expired" else None
        repository.publish("stable", Deb("lab-app", "1.1"), release=release)
        if how != "refused":
            repository.answers = damage(repository, how)
            told = driver.scan(refresh_s=0)
    if how == "refused":
        told = driver.scan(refresh_s=0)
    (line,) = told["stale"]
    assert line.startswith(f"{uri} lab could not be refreshed: ")
    assert words in line, line
    assert "\n" not in line
    assert told["archives"] == before
    assert rows(told, "available") == {}


@pytest.mark.parametrize("suite", SUITES)
def test_real_security_updates_of_debian_come_in_one_transaction(
    suite: str, lab_hosts: Callable[..., list[LabHost]], repository: PatchRepository
) -> None:
    """All that Debian's security suite has for a host of the main suite alone, libc and sshd among them; afterwards nothing is pending."""
    updates = pending_updates(suite)
    if not updates:
        pytest.skip(f"Debian had no security updates for {suite} when its base was made")
    (host,) = lab_hosts(1, suite)
    repository.add("security", *updates)
    repository.give(host)
    driver = OnHost(host)
    told = driver.scan()
    assert sorted(f"{row[0]}_{row[2].replace(':', '%3a')}_" for row in told["available"]) == sorted(
        path.name[: path.name.rindex("_") + 1] for path in updates
    )
    assert {row[5] for row in told["available"]} >= {"openssl", "perl"}
    new = {tuple(row) for row in told["new"]}
    versions = [row[:3] for row in told["available"] if (row[0], row[1]) not in new]
    before = {row[0] for row in told["installed"]}
    done = driver.install(versions, allowed=[row[:3] for row in told["available"]])
    assert "failed" not in done, done
    assert done["kept"] == {}
    after = driver.scan()
    assert after["available"] == []
    assert after["broken"] == []
    assert before <= {row[0] for row in after["installed"]}
    assert {row[0]: row[2] for row in after["installed"]}.items() >= {row[0]: row[2] for row in versions}.items()
    assert host.ssh(["true"]).code == 0
