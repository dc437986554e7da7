"""statectl patch poll, feed, cache and cve: what people and scripts see of indexes, feeds, kept packages and vulnerabilities."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from statectl.store.store import Store
from tests.cli.local_project import statectl
from tests.unit.patch_archives import make_apt

CVE = "CVE-2026-1111"
TRACKER = {
    "openssl": {
        CVE: {
            "description": "a hole",
            "releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.15", "urgency": "high"}},
        }
    }
}
SETTINGS = """\
project: fleet
inventory: hosts.yml
patching:
  cache: packages
  indexes:
    - {{name: security, uri: "file://{root}/archive", suites: [bookworm-security], trusted: a test}}
    - {{name: gone, uri: "file://{root}/nothing", suites: [bookworm], trusted: a test}}
  feeds:
    tracker: {{kind: debian, source: tracker.json}}
    broken: {{kind: osv, source: broken.json}}
"""


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (root / "statectl.yml").write_text(SETTINGS.format(root=root))
    (root / "hosts.yml").write_text("hosts: {web1: {}, web2: {}, web3: {}}\n")
    (root / "tracker.json").write_text(json.dumps(TRACKER))
    (root / "broken.json").write_text("{")
    make_apt(root / "archive", [("openssl", "3.0.15")], datetime.now(UTC) - timedelta(hours=3), None)
    store = Store.open("sqlite:.statectl/state.db", root)
    for host, version in (("web1", "3.0.14"), ("web2", "3.0.15")):
        row = ["openssl", "amd64", version, "", "", "openssl", [0], [], 0]
        message = {
            "manager": "apt",
            "archives": [{"key": "Debian:bookworm-security"}],
            "installed": [row],
            "available": [["openssl", "amd64", "3.0.15", "", "", "openssl", [0], [], 0, "", 0]]
            if host == "web1"
            else [],
        }
        store.saw(host, host, {"os": {"id": "debian", "version_id": "12", "codename": "bookworm"}})
        store.patches.keep_scan(host, message, "2026-11-01T00:00:00Z")
    store.close()
    return root


def run(project, *argv, expect=0):
    said = statectl("patch", *argv, cwd=project, home=project.parent, expect=expect)
    assert "Traceback" not in said.err, said
    return said


def test_a_poll_tells_each_index_and_goes_on_after_a_bad_one(project):
    """One line for each; the worst decides the exit code, and what could be read is remembered with its file."""
    said = run(project, "poll", expect=3)
    assert "security: 1 new of 1 packages, 1 kept in the cache" in said.out
    assert "error[E640]: index gone: " in said.out and "is not there" in said.out
    again = run(project, "poll", "security")
    assert "security: unchanged" in again.out
    (one,) = run(project, "poll", "security", "-o", "json").json["indexes"]
    assert (one["unchanged"], one["packages"], one["trouble"]) == (True, 1, "")
    status = run(project, "poll", "--status")
    assert "security" in status.out and " ago" in status.out and "is not there" in status.out
    assert "did you mean security?" in run(project, "poll", "securty", expect=64).err


def test_the_cache_is_listed_and_pruned(project):
    """What is kept, how much of how much, and what prune left."""
    assert run(project, "cache", "list").out == "0 files, 0 B of at most 10.0 GiB\n"
    run(project, "poll", "security")
    said = run(project, "cache", "list")
    assert "openssl  3.0.15   amd64  Debian:bookworm-security" in said.out and "1 files, 15 B of at most" in said.out
    assert run(project, "cache", "prune").out == "0 files removed (0 B); 1 are left (15 B)\n"
    for path in (project / "packages").rglob("*"):
        if path.is_file():
            path.unlink()
    assert run(project, "cache", "prune", "--json").json == {
        "format": "statectl.patch-cache/1.0", "removed": 0, "bytes": 0, "lost": 1, "left": 0,
    }  # fmt: skip
    (project / "statectl.yml").write_text("project: fleet\ninventory: hosts.yml\n")
    assert "names no package cache" in run(project, "cache", "list", expect=64).err
    assert "names no index of packages" in run(project, "poll", expect=64).err


def test_feeds_are_updated_and_listed(project):
    """A broken one is told and stops nothing; its age and its trouble stay in the list."""
    said = run(project, "feed", "update", expect=1)
    assert "tracker: 1 entries" in said.out
    assert (
        "error[E643]: feed broken: broken.json: it ends in the middle" in said.out
        and "nothing is known of it" in said.out
    )
    listed = run(project, "feed", "list")
    assert "warning[E643]: feed broken" in listed.out and "tracker" in listed.out
    rows = {row["feed"]: row for row in run(project, "feed", "list", "--json").json["feeds"]}
    assert rows["tracker"]["entries"] == 1 and rows["tracker"]["fetched"] and not rows["broken"]["fetched"]
    assert "tracker: unchanged" in run(project, "feed", "update", "tracker").out


def test_who_is_exposed_to_a_vulnerability(project):
    """Each host is told as exposed, fixed or unknown, with ages, in text, JSON and CSV."""
    unknown = run(project, "cve", CVE, expect=3)
    assert "3 hosts exposed" in unknown.out and "none was read" in unknown.out
    run(project, "feed", "update", "tracker")
    said = run(project, "cve", CVE.lower(), expect=2)
    assert f"{CVE}: 1 of 3 hosts exposed (a hole)" in said.out
    assert "openssl 3.0.14  3.0.15" in said.out and "1 fixed" in said.out
    assert "1 unknown, never scanned: web3" in said.out and "Feeds: tracker " in said.out
    hosts = {row["host"]: row for row in run(project, "cve", CVE, "--json", expect=2).json["hosts"]}
    assert {name: row["state"] for name, row in hosts.items()} == {
        "web1": "exposed",
        "web2": "fixed",
        "web3": "unknown",
    }
    assert (hosts["web1"]["available"], hosts["web1"]["severity"]) == ("3.0.15", "high")
    lines = run(project, "cve", CVE, "-o", "csv", expect=2).out.splitlines()
    assert lines[0].startswith("cve,host,state,since,") and len(lines) == 4
    assert run(project, "cve", CVE, "-t", "web2").out.startswith(f"{CVE}: 0 of 1 host exposed\n1 fixed\n")
    every = run(project, "cve", expect=2)
    assert "1 of 3 hosts exposed to 1 known vulnerabilities" in every.out and CVE in every.out
    assert "names no vulnerability" in run(project, "cve", "openssl", expect=64).err
