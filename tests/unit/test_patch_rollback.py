"""What a rollback takes back, what it leaves as it is and why, and the pins that keep it so."""

import yaml

from statectl.baselines.evaluation import Evaluation, PatchState, Wanted
from statectl.baselines.model import Baseline
from statectl.baselines.scan import Package, Scan
from statectl.patches.rollback import Rollback, pins


def move(name, before, after, *, host="web1", baseline="debian-prod", outcome="installed"):
    return {
        "host": host, "baseline": baseline, "name": name, "arch": "amd64", "version_from": before, "version_to": after,
        "outcome": outcome, "run_id": "A1",
    }  # fmt: skip


def scan(trouble="", **versions):
    return Scan(
        "apt", 0, trouble=trouble, installed=tuple(Package(name, "amd64", one) for name, one in versions.items())
    )


def chosen(moves, there, *, cached=lambda *_: "", host="web1"):
    states = (PatchState("openssl", "amd64", "Installed", "2", "2"),)
    evaluation = Evaluation(
        "debian-prod",
        states,
        install=(Wanted("curl", "amd64", "9"),),
        allowed=(Wanted("zsh", "amd64", "9"),),
        blocked=("docker",),
        unknown="old data",
    )
    return Rollback.of("A1", moves, ["web1"], cached).chosen(host, Baseline("debian-prod", "debian"), there, evaluation)


def test_packages_go_back_to_what_was_recorded():
    """Each version from before the run, nothing else: no patch of the baseline is installed beside, nothing comes along."""
    found = chosen([move("openssl", "1", "2"), move("libssl3", "1", "2")], scan(openssl="2", libssl3="2", curl="8"))
    assert found.install == (Wanted("openssl", "amd64", "1"), Wanted("libssl3", "amd64", "1"))
    assert (found.allowed, found.blocked, found.trouble, found.unknown) == ((), (), (), "")
    assert found.states  # what the baseline says of the host stays with it


def test_kept_file_is_delivered_where_there_is_one():
    """A version that the package cache has comes from there."""
    found = chosen(
        [move("openssl", "1", "2")], scan(openssl="2"), cached=lambda name, arch, version: f"{name} {arch} {version}"
    )
    assert found.install == (Wanted("openssl", "amd64", "1", "openssl amd64 1"),)


def test_new_package_stays():
    """What came new with the run is kept and said: something may need it by now."""
    found = chosen([move("libnew", "", "1")], scan(libnew="1"))
    assert found.install == () and found.trouble == ("libnew 1 was new with run A1: it stays",)


def test_package_that_moved_on_stays():
    """A version that another than this run brought is not taken away by rolling back this run, nor is one that is gone."""
    found = chosen([move("openssl", "1", "2"), move("bash", "1", "2")], scan(openssl="3"))
    assert found.install == ()
    assert found.trouble == (
        "openssl is 3 now, run A1 left it at 2: it stays", "bash is not installed now, run A1 left it at 2: it stays",
    )  # fmt: skip


def test_what_is_back_already_needs_nothing():
    """A second rollback of the same run finds nothing to do, and nothing to tell."""
    found = chosen([move("openssl", "1", "2"), move("libnew", "", "1")], scan(openssl="1"))
    assert (found.install, found.trouble) == ((), ())


def test_failed_install_is_taken_back_as_far_as_it_came():
    """Of an install that failed, the packages that it had moved all the same go back; what was kept back was never moved."""
    moves = [
        move("openssl", "1", "2", outcome="failed"),
        move("bash", "1", "2", outcome="failed"),
        move("vim", "1", "2", outcome="kept"),
    ]
    found = chosen(moves, scan(openssl="2", bash="1", vim="2"))
    assert [one.name for one in found.install] == ["openssl"] and found.trouble == ()


def test_scan_that_says_nothing_stops_it():
    """Where nothing can be told of the packages, nothing is taken back; old data of what is available are no reason."""
    assert (
        chosen([move("openssl", "1", "2")], scan(trouble="dpkg was interrupted", openssl="2")).unknown
        == "dpkg was interrupted"
    )
    assert chosen([move("openssl", "1", "2")], scan(openssl="2")).unknown == ""


def test_hosts_and_baselines_of_a_run():
    """Only the hosts that were asked for; each with the baselines that the run installed by."""
    moves = [move("a", "1", "2"), move("b", "1", "2", baseline="other"), move("a", "1", "2", host="web2")]
    back = Rollback.of("A1", moves, ["web1"], lambda *_: "")
    assert back.hosts == ["web1"] and back.baselines("web1") == ["debian-prod", "other"]
    assert back.baselines("web2") == []


def test_pins_are_yaml_that_keeps_the_versions():
    """One version on all hosts is pinned, where hosts differ each stays where it is; versions stay texts."""
    moves = [
        move("openssl", "2", "1.10"),
        move("libc++", "2", "1"),
        move("libc++", "2", "0", host="web2"),
        move("x", "2", "1", outcome="failed"),
    ]
    found = pins(moves, "A1", "2026-12-24")
    assert list(found) == ["debian-prod"]
    parsed = yaml.safe_load(found["debian-prod"])["pins"]
    assert {name: one["version"] for name, one in parsed.items()} == {"openssl": "1.10", "libc++": "*"}
    assert str(parsed["openssl"]["until"]) == "2026-12-24" and parsed["openssl"]["reason"] == "rolled back: A1"
