"""Replicas wait for their primary, on real hosts: `requires` of an association of another host."""

from collections.abc import Sequence

import pytest

from tests.lab.project import LabProject

DATABASE = """\
import http.server, sys, time
time.sleep(1)
if open("/srv/db/version").read().startswith("bad"):
    sys.exit("cannot read the data directory")
open("/run/db.up", "w").write("%.3f" % time.time())
http.server.HTTPServer(("", 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
UNIT = "[Service]\nExecStart=/usr/bin/python3 /srv/db.py\n[Install]\nWantedBy=multi-user.target\n"
STATES = """\
associations:
  base:
    targets: all
    files: {/etc/base: {content: "BASE"}}
  replica:
    targets: REPLICAS
    requires: [base, {association: primary, on: PRIMARY}]
    files:
      /srv/db/version: {content: "VERSION", notify: "service:db"}
    services:
      db: {state: running}
  primary:
    targets: PRIMARY
    requires: [base]
    rollout:
      on_failure: continue
      health: {tcp: 8080, within: 10s}
    files:
      /srv/db/version: {content: "VERSION", notify: "service:db"}
    services:
      db: {state: running}
"""


@pytest.fixture
def cluster(lab_hosts, project_for) -> LabProject:
    """Three hosts with a database that nobody has started."""
    hosts = lab_hosts(3)
    for host in hosts:
        host.write("/srv/db.py", DATABASE)
        host.sh("mkdir -p /srv/db && echo -n none > /srv/db/version")
        host.write("/etc/systemd/system/db.service", UNIT)
        host.sh("systemctl daemon-reload")
    return project_for(hosts)


def declare(project: LabProject, version: str, base: str = "one") -> Sequence[str]:
    """The first host is the primary. Returns the names."""
    primary, *replicas = names = [host.name for host in project.hosts]
    text = STATES.replace("REPLICAS", " or ".join(replicas)).replace("PRIMARY", primary)
    project.write("states/db.yml", text.replace("VERSION", version).replace("BASE", base))
    return names


def test_replicas_wait_for_their_primary(cluster):
    """Their service starts when the primary's is up; a primary that is broken, out of the run or silent leaves them as they are, and says so."""
    primary, *replicas = cluster.hosts
    names = declare(cluster, "bad")
    planned = cluster.statectl("plan", "--json", expect=0).json
    assert planned["order"]["waves"] == [names[:1], names[1:]], planned["order"]
    (wait,) = planned["order"]["waits"]
    expected = {"association": "replica", "hosts": names[1:], "requires": "primary", "on": names[:1]}
    assert wait == expected

    said = cluster.statectl("apply", "--yes", "--json", expect=1)
    ended = said.json["hosts"]
    assert ended[primary.name]["outcome"] == "failed", str(said)
    for host in replicas:
        assert ended[host.name]["outcome"] == "skipped", str(said)
        assert ended[host.name]["code"] == "E524"
        reason = ended[host.name]["reason"]
        assert reason.startswith(f"association replica requires primary on {primary.name}, of which "), reason
        assert host.read("/srv/db/version") == "none", "the replica was touched"
        assert host.sh("systemctl is-active db || true").strip() == "inactive"
        assert host.read("/etc/base") == "one", "what does not wait was not applied"

    declare(cluster, "two", base="two")
    held = cluster.statectl("plan", "-t", names[1], expect=0)
    assert "held back: association replica requires primary" in str(held)
    said = cluster.statectl("apply", "--yes", "--json", "-t", names[1], expect=5)
    reason = said.json["hosts"][names[1]]["reason"]
    assert "which is not part of this run and not as declared" in reason, str(said)
    assert replicas[0].read("/etc/base") == "two"
    assert replicas[0].read("/srv/db/version") == "none"
    assert primary.read("/srv/db/version") == "bad", "a host outside of the run was changed"

    said = cluster.statectl("apply", "--yes", expect=0)
    up = [float(host.read("/run/db.up")) for host in (primary, *replicas)]
    assert up[0] < min(up[1:]), f"primary up at {up[0]}, replicas at {up[1:]}\n{said}"
    assert all(host.read("/srv/db/version") == "two" for host in replicas)
    again = cluster.statectl("apply", "--yes", expect=0)
    assert "No changes" in str(again)

    declare(cluster, "three", base="two")
    primary.cut()
    said = cluster.statectl("apply", "--yes", "--json", expect=3)
    for host in replicas:
        assert said.json["hosts"][host.name]["outcome"] == "skipped", str(said)
        assert said.json["hosts"][host.name]["code"] == "E525"
        assert f"requires primary on {primary.name}, which is unreachable" in said.json["hosts"][host.name]["reason"]
        assert host.read("/srv/db/version") == "two"
    primary.heal()
    cluster.statectl("apply", "--resume", said.json["run"], "--yes")
    cluster.statectl("apply", "--yes", expect=0)
    assert all(host.read("/srv/db/version") == "three" for host in cluster.hosts)
