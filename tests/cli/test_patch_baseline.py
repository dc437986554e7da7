"""`statectl patch baseline`: what people and programs are told of baselines, and why a package is approved or not; no host is contacted."""

import datetime as dt
import time

import pytest

from statectl.baselines.scan import read_scan
from statectl.patches.ledger import StoredLedger
from statectl.store.store import Store
from tests.cli.local_project import LocalProject

STATES = """\
patch_baselines:
  debian-prod:
    os: debian
    description: All that matters
    approve:
      - {section: [security], after: 7 days, compliance: high}
    rejected: ["docker-ce*"]
    rejected_action: block
    pins:
      nginx: {until: 2099-01-31, reason: ticket 4711}
  debian-dev:
    os: debian
    patch_groups: [dev]
    approve:
      - {section: [security], after: 0 days}
associations:
  base:
    targets: all
    patch_baseline: [debian-prod, statectl-rhel]
    where:
      - {targets: two, patch_baseline: debian-dev}
"""
DEBIAN = {"os": {"id": "debian", "version": "12", "name": "Debian 12", "id_like": []}}
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)


def message(version, at=NOW, **more):
    """A scan of a host with openssl 3.0.1, docker-ce and nginx, where the security archive has `version` of openssl."""
    taken = int(at.timestamp())
    archive = {"key": "Debian:bookworm-security", "codename": "bookworm-security", "label": "Debian-Security",
               "security": True, "fetched": taken, "date": 0}  # fmt: skip
    main = {**archive, "key": "Debian:bookworm", "codename": "bookworm", "label": "Debian", "security": False}
    installed = [["openssl", "amd64", "3.0.1-1", "utils", "optional", "", [1], [], 0],
                 ["docker-ce", "amd64", "27-1", "net", "optional", "", [], [], 0],
                 ["nginx", "amd64", "1.22-1", "httpd", "optional", "", [1], [], 0]]  # fmt: skip
    available = [["openssl", "amd64", version, "utils", "optional", "", [0], [], 0, "", 0],
                 ["nginx", "amd64", "1.22-2", "httpd", "optional", "", [0], [], 0, "", 0]]  # fmt: skip
    return {"manager": "apt", "taken": taken, "archives": [archive, main], "installed": installed,
            "available": available, **more}  # fmt: skip


def told(project, host, message, at):
    """What a run does with a scan: the ledger notes it, then it is kept."""
    store = Store.open("sqlite:.statectl/state.db", project.root)
    store.saw(host, host, DEBIAN)
    StoredLedger(store.patches).note(read_scan(message, DEBIAN["os"]), at)
    store.patches.keep_scan(host, message, at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    store.close()


@pytest.fixture
def fleet(project: LocalProject) -> LocalProject:
    project.hosts("one", "two", "never")
    project.states(STATES)
    told(project, "one", message("3.0.2-1", NOW - 8 * DAY), NOW - 8 * DAY)
    for host in ("one", "two"):
        told(project, host, message("3.0.3-1", NOW - dt.timedelta(minutes=1)), NOW - dt.timedelta(minutes=1))
    return project


def test_list_and_show(fleet):
    """Those of the files with who gets them, then those that come with statectl; one with everything it says."""
    said = fleet.statectl("patch", "baseline", "list", expect=0).out
    lines = [line.split("  ") for line in said.splitlines()]
    assert [line[0] for line in lines[:3]] == ["debian-dev", "debian-prod", "statectl-debian"]
    assert said.splitlines()[0].endswith("1 rule                     association base; patch group dev")
    assert said.splitlines()[1].endswith("debian     1 rule, 1 rejected, 1 pin  association base")
    assert "comes with statectl" in said
    names = fleet.statectl("patch", "baseline", "list", "-o", "name", expect=0).out.splitlines()
    assert names[:3] == ["debian-dev", "debian-prod", "statectl-debian"]
    said = fleet.statectl("patch", "baseline", "show", "debian-prod", expect=0).out
    assert (
        "rule 1       section security, security updates only: 7 days after first seen, high   states/only.yml:6"
        in said
    )
    assert "rejected     docker-ce* (block)" in said
    assert "pin          nginx stays where it is until 2099-01-31: ticket 4711" in said
    document = fleet.statectl("patch", "baseline", "show", "debian-prod", "--json", expect=0).json
    assert document["format"] == "statectl.patch-baselines/1.0"
    one = document["baselines"]["debian-prod"]
    assert (one["approve"][0]["after_days"], one["approve"][0]["section"], one["reboot_timeout_s"]) == (
        7,
        ["security"],
        900,
    )
    assert (one["associations"], one["pins"]["nginx"]["until"]) == (["base"], "2099-01-31")
    assert "did you mean `debian-prod`?" in fleet.statectl("patch", "baseline", "show", "debian-prd", expect=64).err


def test_explain_says_for_every_version_what_decided(fleet):
    """Rule with its place, first sight, when it is approved, what can be had, and what comes of it for the host."""
    said = fleet.statectl("patch", "baseline", "explain", "one", "openssl", "--json", expect=0).json
    (found,) = said["baselines"]
    assert (found["baseline"], found["why"]) == ("debian-prod", "association base names it")
    versions = {one["version"]: one for one in found["versions"]}
    assert list(versions) == ["3.0.3-1", "3.0.2-1", "3.0.1-1"]
    newest, gone, here = versions.values()
    assert (newest["status"], newest["by"], newest["place"]) == ("pending", "rule 1", "states/only.yml:6:9")
    due = dt.datetime.fromisoformat(newest["approved_at"])
    assert due == NOW - dt.timedelta(minutes=1) + 7 * DAY
    assert (gone["status"], gone["obtainable"], gone["security"]) == ("approved", False, True)
    assert (here["installed"], here["status"]) == (True, "unmatched")
    assert [(one["state"], one["version"]) for one in found["states"]] == [("Missing", "3.0.2-1")]
    text = fleet.statectl("patch", "baseline", "explain", "one", "openssl", expect=0).out
    assert text.startswith("openssl on one, scanned ")
    assert "3.0.3-1  pending    rule 1 approves it 7 days after it was first seen" in text
    assert "states/only.yml:6, Debian:bookworm-security, security update, first seen" in text
    assert "one: Missing 3.0.2-1 (high): superseded: 3.0.2-1 was approved by rule 1" in text


def test_explain_of_lists_and_pins(fleet):
    """A rejected package and a pinned one say so, with the place of the entry and the reason."""
    text = fleet.statectl("patch", "baseline", "explain", "one", "docker-ce", expect=0).out
    assert "`docker-ce*` of the rejected list names it: it is never installed" in text
    assert "states/only.yml:7, installed" in text
    assert "one: InstalledRejected 27-1" in text
    assert "openssl" not in text  # what there is to say of other packages
    text = fleet.statectl("patch", "baseline", "explain", "one", "nginx", expect=0).out
    assert "pinned: nginx stays where it is until the end of 2099-01-31 (ticket 4711)" in text


def test_a_variant_names_another_baseline_and_one_can_be_asked_for(fleet):
    """`where` replaces the baseline of the association; --baseline is judged by, whatever the host has."""
    said = fleet.statectl("patch", "baseline", "explain", "two", "openssl", "--json", expect=0).json
    assert [one["baseline"] for one in said["baselines"]] == ["debian-dev"]
    said = fleet.statectl(
        "patch", "baseline", "explain", "two", "openssl", "--baseline", "statectl-debian", "--json", expect=0
    ).json
    assert [(one["baseline"], one["why"]) for one in said["baselines"]] == [
        ("statectl-debian", "asked for on the command line")
    ]
    said = fleet.statectl(
        "patch", "baseline", "explain", "two", "openssl", "--baseline", "statectl-rhel", "--json", expect=0
    ).json
    assert said["notes"] == ["statectl-rhel is for rhel, the host is debian (asked for on the command line)"]


def test_what_is_not_known_is_said(fleet):
    """A host that was never scanned, a package that is not there, an unknown host, a scan that failed or is too old."""
    assert "E175" in fleet.statectl("patch", "baseline", "explain", "never", "openssl", expect=3).err
    wrong = fleet.statectl("patch", "baseline", "explain", "one", "opensl", expect=64)
    assert "did you mean `openssl`?" in wrong.err
    fleet.statectl("patch", "baseline", "explain", "onee", "openssl", expect=64)
    told(fleet, "one", message("3.0.3-1", trouble="dpkg was interrupted"), NOW)
    text = fleet.statectl("patch", "baseline", "explain", "one", "openssl", expect=0).out
    assert "the last look at it failed: dpkg was interrupted" in text
    told(fleet, "two", message("3.0.3-1", NOW - 9 * DAY), NOW - 9 * DAY)
    text = fleet.statectl("patch", "baseline", "explain", "two", "openssl", expect=3).out
    assert "not known: the data of Debian-Security are 9 days old" in text


def test_a_hostile_host_cannot_write_on_the_terminal(fleet):
    """Names and versions come from the host: control characters are escaped."""
    hostile = message("3.0.3-1\x1b[2J", NOW)
    told(fleet, "one", hostile, NOW)
    text = fleet.statectl("patch", "baseline", "explain", "one", "openssl", expect=0).out
    assert "\x1b[2J" not in text
    assert "3.0.3-1\\x1b[2J" in text


def test_explaining_is_quick(fleet):
    """The whole answer, reading store and files too, takes well under a second of one process."""
    began = time.process_time()
    fleet.statectl("patch", "baseline", "explain", "one", "openssl", expect=0)
    assert time.process_time() - began < 2
