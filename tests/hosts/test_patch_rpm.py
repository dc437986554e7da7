"""Patches by dnf and by zypper on a real host with real rpm packages: what is told, what is done, and what is never done."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.hosts.patching_on_host import PLACE, OnHost
from tests.lab import LabHost, patch_rpms
from tests.lab.snapshot import moved, written

ARCH = "noarch"


class Driven(OnHost):
    """A manager's half on a host; packages are (name, version)."""

    def look(self, *wanted: tuple[str, str], **more: Any) -> dict[str, Any]:  # type: ignore[override]
        return super().look(versions(wanted), **more)

    def install(self, *wanted: tuple[str, str], **more: Any) -> dict[str, Any]:  # type: ignore[override]
        return super().install(versions(wanted), **more)

    def versions(self, *names: str) -> dict[str, str]:
        shown = "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n"
        said = self.host.sh(f"rpm -q --queryformat '{shown}' {' '.join(names)} | grep -v 'not installed'", check=False)
        return dict(line.split() for line in said.splitlines())


def versions(wanted: tuple[tuple[str, str], ...]) -> list[list[str]]:
    return [[name, ARCH, version] for name, version in wanted]


@pytest.fixture(params=["dnf", "zypper"])
def driven(request: pytest.FixtureRequest, lab_hosts: Callable[..., list[LabHost]]) -> Driven:
    """A host with the first version of every package, and the repository with all of the first stage."""
    (host,) = lab_hosts(1, "rpm")
    patch_rpms.publish(host)
    patch_rpms.configure(host)
    patch_rpms.install_first(host)
    return Driven(host, request.param)


@pytest.fixture
def server(driven: Driven) -> Iterator[Callable[[], int]]:
    """The repository by HTTP; called, it says how often it was asked until now."""
    host = driven.host
    host.sh(
        "python3 -m http.server 8088 --bind 127.0.0.1 --directory /srv > /run/http.log 2>&1 & echo $! > /run/http.pid"
    )
    limit = time.monotonic() + 10
    while "Serving" not in host.sh(
        'cat /run/http.log; python3 -c \'import socket; socket.create_connection(("127.0.0.1", 8088)); print("Serving")\' 2>&1',
        check=False,
    ):
        assert time.monotonic() < limit
    patch_rpms.configure(host, "http://127.0.0.1:8088/patches")
    yield lambda: host.read("/run/http.log").count("GET")
    host.sh("kill $(cat /run/http.pid)", check=False)


def rows(answer: dict[str, Any], part: str) -> dict[tuple[str, str], list[Any]]:
    return {(row[0], row[2]): row for row in answer[part]}


def moves(answer: dict[str, Any]) -> dict[str, tuple[str, str]]:
    assert "failed" not in answer, answer
    return {name: (there, to) for name, (there, to) in answer["moves"].items()}


def own_files(host: LabHost) -> dict[str, str]:
    """Everything written on the host but what may be written by a scan."""
    ours = ("var/lib/zypp",)  # zypper makes itself an id there
    return {path: what for path, what in written(host).items() if not path.startswith(ours)}


def test_a_scan_tells_every_newer_version_with_its_advisories(driven):
    """All versions and not only the newest, epochs, ~ and ^, CVEs and bugs, new packages, and nothing of the host's is written."""
    before = own_files(driven.host)
    answer = driven.scan()
    assert answer["trouble"] == "" and answer["stale"] == [] and answer["broken"] == []
    available = rows(answer, "available")
    expected = {(one.name, one.version) for one in patch_rpms.PACKAGES if one.stage == 1 and not one.installed}
    assert set(available) == expected
    assert {name for name, _ in answer["new"]} == {"patch-new", "patch-renamed"}
    assert available["patch-critical", "1.0-2"][7] == ["LAB-SA-1"]
    assert available["patch-critical", "1.1-1"][7] == ["LAB-BA-1"]
    assert available["patch-epoch", "1:1.0-1"][7] == ["LAB-BA-2"]
    assert available["patch-tilde", "1.0^git1-1"][7] == ["LAB-SA-3"]
    assert available["patch-new", "1.0-1"][7] == ["LAB-SA-5"]
    assert available["patch-plain", "1.1-1"][7] == []
    assert answer["advisories"]["LAB-SA-2"] == {
        "classification": "Security",
        "severity": "Important",
        "title": "patch-important security",
        "issued": 1769904000,
        "updated": 1770120000,
        "cves": ["CVE-2026-1002", "CVE-2026-1003"],
        "bugs": [],
    }
    assert answer["advisories"]["LAB-SA-1"]["bugs"] == ["71001"]
    kinds = {number: one["classification"] for number, one in answer["advisories"].items()}
    assert (kinds["LAB-BA-1"], kinds["LAB-EA-1"]) == ("Bugfix", "Enhancement")
    installed = rows(answer, "installed")
    assert set(installed) == {(one.name, one.version) for one in patch_rpms.PACKAGES if one.installed}
    assert installed["patch-epoch", "2.0-1"][8] == patch_rpms.BUILT
    (archive,) = answer["archives"]
    assert archive["key"] == "patches"
    assert abs(archive["fetched"] - time.time()) < 60 and abs(archive["date"] - time.time()) < 60
    assert moved(before, own_files(driven.host)) == []


def test_a_repository_without_advisories_is_no_trouble(driven):
    """Its packages have none; that is not an error and not a reason to distrust the rest."""
    patch_rpms.publish(driven.host, notices=False)
    answer = driven.scan(refresh_s=0)
    assert answer["trouble"] == "" and answer["stale"] == [] and answer["advisories"] == {}
    assert rows(answer, "available")["patch-critical", "1.0-2"][7] == []


def test_advisories_that_cannot_be_read_are_trouble(driven):
    """Without them security updates would look like any others, and a host without them like a compliant one."""
    driven.scan()
    driven.host.sh("for f in $(find /var/cache/statectl/patching -name '*updateinfo.xml*'); do echo spoilt > $f; done")
    trouble = driven.scan()["trouble"]
    assert trouble.startswith("repository patches: cannot read advisories in /var/cache/statectl/patching/"), trouble


def test_nothing_is_asked_of_the_network_while_the_data_are_young(driven, server):
    """Neither when we fetched them nor when the host's own manager did; later versions are seen when they are fetched again."""
    driven.host.sh("dnf -q makecache" if driven.manager == "dnf" else "zypper -n refresh")
    asked = server()
    assert asked > 0
    assert rows(driven.scan(), "available")["patch-important", "1.0-2"][7] == ["LAB-SA-2"]
    patch_rpms.publish(driven.host, stage=2)
    assert ("patch-critical", "1.2-1") not in rows(driven.scan(), "available")
    assert server() == asked
    answer = driven.scan(refresh_s=0)
    assert server() > asked
    assert rows(answer, "available")["patch-critical", "1.2-1"][7] == ["LAB-SA-4"]
    assert answer["advisories"]["LAB-SA-4"]["severity"] == "Important"


def test_the_age_of_the_data_is_counted_from_when_they_were_asked_for(driven, server):
    """Not from when the repository was made: an old one that has not changed is fresh once it has been asked."""
    driven.host.sh(f"touch -d '30 days ago' {patch_rpms.PLACE}/repodata/*")
    for _ in range(2):
        before, asked = int(time.time()), server()
        (archive,) = driven.scan(refresh_s=0)["archives"]
        assert archive["fetched"] >= before - 1 and server() > asked
    asked = server()
    assert driven.scan()["archives"][0]["fetched"] == archive["fetched"]
    assert server() == asked


def test_a_repository_that_cannot_be_had_makes_the_data_stale(driven, server):
    """What is known from before is told with its age; nothing known at all is trouble."""
    fetched = driven.scan(refresh_s=0)["archives"][0]["fetched"]
    driven.host.sh("kill $(cat /run/http.pid)")
    assert driven.scan()["stale"] == []
    for _ in range(2):
        answer = driven.scan(refresh_s=0)
        (stale,) = answer["stale"]
        assert stale.startswith("repository patches cannot be had, what is known of it was fetched at 20"), stale
        assert "connect" in stale.lower()
        assert answer["trouble"] == "" and answer["archives"][0]["fetched"] == fetched
        assert rows(answer, "available")
    patch_rpms.configure(driven.host, "http://127.0.0.1:8088/elsewhere", name="other")
    answer = driven.scan()
    assert "other" in answer["trouble"] and "connect" in answer["trouble"].lower()
    assert answer["available"] == [] or not rows(answer, "available")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("for f in repodata/*primary.xml*; do head -c 100 $f > x; mv x $f; done", ("checksum",)),
        ("rm -r repodata", ("repomd.xml", "determined", "404", "not found")),
        ("echo '<repomd' > repodata/repomd.xml", ("repomd", "xml", "parse", "determined", "valid")),
    ],
    ids=["truncated", "gone", "broken"],
)
def test_a_spoilt_repository_is_told_with_its_cause(driven, server, spoil, words):
    """A hash mismatch, a missing index and a broken one each have a line of their own; old data stay what they were."""
    driven.scan(refresh_s=0)
    patch_rpms.publish(driven.host, stage=2)
    driven.host.sh(f"cd {patch_rpms.PLACE}; {spoil}")
    answer = driven.scan(refresh_s=0)
    (stale,) = answer["stale"]
    assert any(word in stale for word in words), stale
    assert ("patch-critical", "1.2-1") not in rows(answer, "available")
    assert ("patch-critical", "1.1-1") in rows(answer, "available")


def test_exact_versions_are_installed_and_the_rest_is_kept_back(driven):
    """Not the newest; what needs more, conflicts or is gone stays as it is with its reason, and the others go on."""
    wanted = (
        *(("patch-critical", "1.0-2"), ("patch-needs", "1.1-1"), ("patch-clash", "1.1-1"), ("patch-important", "9-9")),
        *(("patch-epoch", "1:1.0-1"), ("patch-tilde", "1.0^git1-1"), ("patch-enhanced", "1.0-1")),
    )
    driven.scan()
    untouched = own_files(driven.host)
    seen = driven.look(*wanted)
    assert moved(untouched, own_files(driven.host)) == []
    expected = {
        "patch-critical": ("1.0-1", "1.0-2"),
        "patch-epoch": ("2.0-1", "1:1.0-1"),
        "patch-tilde": ("1.0~rc1-1", "1.0^git1-1"),
    }
    assert moves(seen) == expected
    assert set(seen["kept"]) == {"patch-needs", "patch-clash", "patch-important"}
    assert (
        seen["kept"]["patch-needs"]
        == "it needs patch-new, which would take patch-new-1.0-1.noarch, but it is not approved"
    )
    assert "conflicts with patch-old" in seen["kept"]["patch-clash"]
    assert seen["kept"]["patch-important"] == "no repository has this version (any more)"
    before = driven.versions("-a")
    assert driven.versions("patch-critical") == {"patch-critical": "1.0-1"}
    assert moves(driven.install(*wanted)) == expected
    assert driven.versions("-a") == {**before, **{name: to for name, (_, to) in expected.items()}}
    assert moves(driven.look(*wanted)) == {}


def test_a_dependency_comes_along_only_when_it_may(driven):
    """Allowed by its version, or because anything may; never when it is blocked or only another version of it is allowed."""
    wanted = ("patch-needs", "1.1-1")
    both = {"patch-needs": ("1.0-1", "1.1-1"), "patch-new": ("", "1.0-1")}
    assert moves(driven.look(wanted, allowed=[["patch-new", ARCH, "0.9-1"]])) == {}
    assert moves(driven.look(wanted, allowed=[["patch-new", ARCH, "1.0-1"]])) == both
    assert moves(driven.look(wanted, dependencies="any")) == both
    for more in ({"dependencies": "any"}, {"allowed": [["patch-old", ARCH, "1.0-1"]]}):
        seen = driven.look(wanted, blocked=["patch-new"], **more)
        assert moves(seen) == {} and "not approved" in seen["kept"]["patch-needs"]
    assert moves(driven.install(wanted, allowed=[["patch-new", ARCH, "1.0-1"]])) == both
    assert driven.versions("patch-needs", "patch-new") == {"patch-needs": "1.1-1", "patch-new": "1.0-1"}


@pytest.mark.parametrize("dependencies", ["approved", "any"])
def test_nothing_is_removed_or_lowered_that_was_not_named(driven, dependencies):
    """A package that replaces another and one that wants a lower version of another stay out, and the rest goes on."""
    moves(driven.install(("patch-plain", "1.1-1")))
    wanted = (("patch-renamed", "2.0-1"), ("patch-strict", "1.1-1"), ("patch-important", "1.0-2"))
    seen = driven.install(*wanted, dependencies=dependencies)
    assert moves(seen) == {"patch-important": ("1.0-1", "1.0-2")}
    assert "remove patch-old" in seen["kept"]["patch-renamed"]
    assert "patch-plain" in seen["kept"]["patch-strict"]
    names = ("patch-old", "patch-plain", "patch-strict", "patch-renamed")
    assert driven.versions(*names) == {"patch-old": "1.0-1", "patch-plain": "1.1-1", "patch-strict": "1.0-1"}


def test_what_came_as_a_dependency_stays_one(driven):
    """Though it is named when it is patched: what nobody needs any more can still be found."""
    both = (("patch-important", "1.0-2"), ("patch-plain", "1.1-1"))
    if driven.manager == "dnf":
        driven.host.sh("dnf -q -y install patch-tilde; dnf -q mark remove patch-important")
        moves(driven.install(*both))
        wanted = driven.host.sh("dnf -q repoquery --userinstalled")
        assert "patch-plain-" in wanted and "patch-important-" not in wanted
    else:
        driven.host.sh("zypper -n refresh; mkdir -p /var/lib/zypp; echo patch-important > /var/lib/zypp/AutoInstalled")
        moves(driven.install(*both))
        assert driven.host.sh("grep -v '^#' /var/lib/zypp/AutoInstalled") == "patch-important"
    assert driven.versions("patch-important") == {"patch-important": "1.0-2"}


def test_a_lower_version_is_installed_only_to_roll_back(driven):
    """A wanted version below the installed one is nothing to do, unless downgrades are what is asked for."""
    moves(driven.install(("patch-plain", "1.1-1"), ("patch-epoch", "1:1.0-1")))
    back = (("patch-plain", "1.0-1"), ("patch-epoch", "2.0-1"))
    assert moves(driven.install(*back)) == {}
    assert driven.versions("patch-plain") == {"patch-plain": "1.1-1"}
    seen = driven.install(*back, downgrade=True)
    assert moves(seen) == {"patch-plain": ("1.1-1", "1.0-1"), "patch-epoch": ("1:1.0-1", "2.0-1")}
    assert driven.versions("patch-plain", "patch-epoch") == {"patch-plain": "1.0-1", "patch-epoch": "2.0-1"}


@pytest.mark.parametrize(("name", "script", "code"), [("patch-post", "post", 3), ("patch-pre", "pre", 4)])
def test_a_script_that_fails_is_a_failure(driven, name, script, code):
    """Also the one after installing, which rpm only warns of; the last lines of what was said come with it."""
    failed = driven.install((name, "1.1-1"))
    assert failed["failed"] == f"the %{script} script of {name}-1.1-1.noarch failed, exit status {code}"
    assert failed["cause"] == "scriptlet failed"
    assert f"{name} " in failed["output"] and len(failed["output"].splitlines()) <= 20


def test_a_lock_is_waited_for(driven):
    """While another holds rpm's lock nothing begins; afterwards it goes on by itself."""
    host = driven.host
    hold = "import fcntl, time; f = open('/var/lib/rpm/.rpm.lock', 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(4)"
    host.sh(f'python3 -c "{hold}" > /run/held 2>&1 & while ! grep -q held /run/held; do sleep 0.1; done')
    started = time.monotonic()
    assert moves(driven.install(("patch-important", "1.0-2")))
    assert time.monotonic() - started > 2.5
    assert driven.versions("patch-important") == {"patch-important": "1.0-2"}


def test_a_transaction_that_was_killed_is_brought_to_its_end(driven):
    """It is told as broken and shown as a repair, and the next install removes what is left and runs the script that did not end."""
    host = driven.host
    host.write("/etc/patch-slow.seconds", "300")
    fields = {"versions": versions((("patch-slow", "1.1-1"),))}
    order = {"verb": "install", "manager": driven.manager, "lock_s": 120, "with": fields}
    host.write("/run/order", json.dumps(order))
    host.sh(
        f"python3 {PLACE}/drive.py < /run/order > /run/answer 2>/dev/null & while ! pgrep -x sleep > /run/sleeping; do sleep 0.1; done"
    )
    tools = ("dnf",) if driven.manager == "dnf" else ("zypper", "rpm")
    host.sh("".join(f"pkill -9 -x {tool}; " for tool in (*tools, "sleep")), check=False)
    limit = time.monotonic() + 10
    while not host.read("/run/answer"):
        assert time.monotonic() < limit
        time.sleep(0.1)
    assert json.loads(host.read("/run/answer"))["cause"] == "killed"
    host.sh("pkill -9 -f rpm-tmp; rm -f /run/patch-slow.ran", check=False)
    host.write("/etc/patch-slow.seconds", "0")
    assert driven.scan()["broken"] == ["patch-slow is installed twice, as 1.0-1 and 1.1-1"]
    seen = driven.look(("patch-slow", "1.1-1"))
    assert seen["repair"].startswith("bring an interrupted transaction to its end") and seen["moves"] == {}
    moves(driven.install(("patch-slow", "1.1-1")))
    assert host.sh("rpm -qa patch-slow") == "patch-slow-1.1-1.noarch"
    assert host.read("/run/patch-slow.ran") == "ran\n"
    assert driven.scan()["broken"] == []


def test_a_package_of_the_controller_is_installed_when_no_repository_has_it(driven):
    """Beside others in the same transaction, and only when it is what it is said to be."""
    host, names = driven.host, ("patch-critical", "1.0-2")
    file = f"{patch_rpms.PLACE}/patch-critical-1.0-2.noarch.rpm"
    host.sh(f"mkdir /srv/kept; cp {file} /srv/kept/")
    patch_rpms.withdraw(host, *names)
    driven.scan(refresh_s=0)
    assert driven.look(names)["kept"] == {"patch-critical": "no repository has this version (any more)"}
    kept = "/srv/kept/patch-critical-1.0-2.noarch.rpm"
    wrong = driven.look(("patch-plain", "1.1-1"), cached={"patch-plain noarch 1.1-1": kept})
    assert wrong["kept"] == {"patch-plain": "what the controller keeps for it is patch-critical-1.0-2.noarch"}
    wrong = driven.look(("patch-plain", "1.1-1"), cached={"patch-plain noarch 1.1-1": "/etc/passwd"})
    assert wrong["kept"] == {"patch-plain": "what the controller keeps for it is no rpm package"}
    seen = driven.install(names, ("patch-plain", "1.1-1"), cached={"patch-critical noarch 1.0-2": kept})
    assert set(moves(seen)) == {"patch-critical", "patch-plain"}
    assert driven.versions("patch-critical", "patch-plain") == {"patch-critical": "1.0-2", "patch-plain": "1.1-1"}
    assert host.sh("ls -d /tmp/statectl-patches.* 2>/dev/null || true") == ""


def test_an_unsigned_package_is_refused(driven):
    """Where the repository asks for signatures: of the repository, and one that the controller keeps."""
    host = driven.host
    driven.scan()
    patch_rpms.configure(host, gpgcheck=1)
    answer = driven.install(("patch-important", "1.0-2"))
    text = json.dumps(answer)
    assert ("signed" in text and answer["moves"] == {}) or answer["cause"] == "signature not accepted", answer
    file = f"{patch_rpms.PLACE}/patch-plain-1.1-1.noarch.rpm"
    answer = driven.install(("patch-plain", "1.1-1"), cached={"patch-plain noarch 1.1-1": file})
    assert answer["kept"] == {"patch-plain": "the package that the controller keeps is not signed"}
    assert driven.versions("patch-important", "patch-plain") == {"patch-important": "1.0-1", "patch-plain": "1.0-1"}


def test_sources_of_a_baseline_are_there_for_the_run_only(driven):
    """They take the place of the host's own repositories, packages must be signed unless it is said why not, and nothing stays."""
    host = driven.host
    host.sh(f"cp -r {patch_rpms.PLACE} /srv/own; rm -r {patch_rpms.PLACE}/*")
    before = own_files(host)
    keys = host.sh("rpm -qa gpg-pubkey")
    source = {"name": "own", "baseurl": "file:///srv/own", "trusted": "packages of this lab"}
    answer = driven.scan(sources=[source])
    assert [one["key"] for one in answer["archives"]] == ["own"]
    assert rows(answer, "available")["patch-critical", "1.0-2"][7] == ["LAB-SA-1"]
    unsigned = driven.install(("patch-plain", "1.1-1"), sources=[{**source, "trusted": ""}])
    assert "failed" in unsigned or unsigned["kept"], unsigned
    assert driven.versions("patch-plain") == {"patch-plain": "1.0-1"}
    assert moved(before, own_files(host)) == []
    assert moves(driven.install(("patch-plain", "1.1-1"), sources=[source])) == {"patch-plain": ("1.0-1", "1.1-1")}
    assert host.sh("rpm -qa gpg-pubkey") == keys
    assert host.sh("ls /etc/yum.repos.d /etc/zypp/repos.d | sort -u").split() == [
        *("/etc/yum.repos.d:", "/etc/zypp/repos.d:", "patches.repo")
    ]


def test_a_source_that_is_signed(driven, tmp_path):
    """By the key that the baseline gives, which is trusted for that transaction only; by another one it is refused."""
    host = driven.host
    host.sh(f"cp -r {patch_rpms.PLACE} /srv/own")
    key = patch_rpms.sign(host, "/srv/own", tmp_path / "gnupg")
    other = host.read("/srv/lab/apt/keys/extra.asc")
    source = {"name": "own", "baseurl": "file:///srv/own"}
    driven.scan(sources=[source])
    refused = driven.install(("patch-plain", "1.1-1"), sources=[{**source, "gpgkey": other}])
    assert "failed" in refused or refused["kept"], refused
    assert driven.versions("patch-plain") == {"patch-plain": "1.0-1"}
    assert moves(driven.install(("patch-plain", "1.1-1"), sources=[{**source, "gpgkey": key}]))
    assert driven.versions("patch-plain") == {"patch-plain": "1.1-1"}
    assert host.sh("rpm -qa 'gpg-pubkey*'") == ""


def test_what_the_host_locks_is_held(driven):
    """By zypper's locks or dnf's own exclude: told as held, still told as available, and kept back when it is wanted."""
    if driven.manager == "dnf":
        driven.host.write("/etc/dnf/dnf.conf", "[main]\nexclude=patch-imp*\n")
    else:
        driven.host.sh("zypper -n addlock patch-imp*")
    answer = driven.scan()
    assert answer["held"] == ["patch-important"]
    assert ("patch-important", "1.0-2") in rows(answer, "available")
    seen = driven.install(("patch-important", "1.0-2"), ("patch-plain", "1.1-1"))
    assert set(moves(seen)) == {"patch-plain"} and "lock" in seen["kept"]["patch-important"]
    assert driven.versions("patch-important") == {"patch-important": "1.0-1"}


def test_a_full_disk_is_told_before_anything_is_installed(driven):
    """No room for what the controller delivers, and none for what the manager fetches: a failure with that cause."""
    host = driven.host
    driven.scan()
    host.sh("mkdir /srv/kept; head -c 3000000 /dev/zero > /srv/kept/big")
    host.sh("mount -t tmpfs -o size=1m full /tmp")
    failed = driven.look(("patch-plain", "1.1-1"), cached={"patch-plain noarch 1.1-1": "/srv/kept/big"})
    assert failed["cause"] == "no space left on device" and "do not fit" in failed["failed"]
    host.sh("umount /tmp")
    assert driven.versions("patch-plain") == {"patch-plain": "1.0-1"}


def test_a_scan_costs_little_more_than_the_tool_itself(driven):
    """At most three times what asking the manager for updates by hand takes; nobody waits for a scan."""
    by_hand = {
        "dnf": "dnf -q makecache; dnf -q repolist; dnf --assumeno upgrade",
        "zypper": "zypper -n refresh; zypper -n list-updates",
    }[driven.manager]
    driven.scan()

    def seconds(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(3):
            started = time.monotonic()
            work()
            times.append(time.monotonic() - started)
        return min(times)

    hand = seconds(lambda: driven.host.sh(f"{by_hand} > /run/by-hand 2>&1 || true"))
    ours = seconds(driven.scan)
    assert ours < 3 * hand + 0.5, (ours, hand)


SYSTEMS = {
    "dnf": ("rocky", 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nPRETTY_NAME="Rocky Linux 9.4"\n'),
    "zypper": (
        "sles",
        'ID="sles"\nID_LIKE="suse"\nVERSION_ID="15.6"\nPRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"\n',
    ),
}
BASELINE = """patch_baselines:
  at-once:
    os: {system}
    default: true
    approve:
      - {{classification: [Security], severity: [Critical, Important], after: 0 days, compliance: critical}}
      - {{classification: [Enhancement], after: 0 days}}
    rejected: [CVE-2026-1002]
    rejected_action: block
"""


def test_from_scan_to_compliance(driven, project_for):
    """By its os-release a host is of the system; what the advisories say is approved, by severity and CVE, and installed."""
    system, release = SYSTEMS[driven.manager]
    driven.host.write("/etc/os-release", release)
    project = project_for([driven.host])
    project.write("states/patching.yml", BASELINE.format(system=system))
    project.commit("baseline")
    report = project.statectl("patch", "scan", "--json", expect=0).json
    assert report["by_state"]["missing"] == 2, report["by_state"]
    plan = project.statectl("patch", "install", "--yes", expect=0).out
    assert "patch-critical:noarch 1.0-1 -> 1.0-2" in plan and "patch-enhanced:noarch 1.0-1 -> 2.0-1" in plan
    names = ("patch-critical", "patch-enhanced", "patch-important", "patch-plain")
    expected = {
        "patch-critical": "1.0-2",
        "patch-enhanced": "2.0-1",
        "patch-important": "1.0-1",
        "patch-plain": "1.0-1",
    }
    assert driven.versions(*names) == expected
    after = project.statectl("patch", "scan", "--json", expect=0).json
    assert not after["by_state"].get("missing"), after["by_state"]
    explained = project.statectl("patch", "baseline", "explain", driven.host.name, "patch-critical").out
    assert "1.0-2  approved   rule 1 approves it at once" in explained, explained
