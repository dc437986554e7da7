"""Plans say the truth: a sample of `python -m tests.truth`, and what happens when somebody moves the host behind their back."""

import pytest

from tests.lab import LabHost
from tests.lab.project import LabProject
from tests.lab.snapshot import moved as differing
from tests.lab.snapshot import written
from tests.truth.catalogues import generate
from tests.truth.checking import Tally
from tests.truth.feeding import feed_generated

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9sZlZmQm1JY0RqZ0xkWk5jV1ZrT0pqQ2hYdUtsU2Vt sab"
UNIT = "[Service]\nExecStart=/bin/sleep infinity\n"
# address -> what somebody does between plan and apply
MOVES = {
    "package_repository:sab": "echo '# by hand' > /etc/apt/sources.list.d/sab.sources",
    "package:lab-tool-01": "apt-get install -qq -y lab-tool-01=1.0",
    "unix_group:sabgroup": "groupadd -g 4999 sabgroup",
    "user:sabuser": "useradd -m -c other sabuser",
    "authorized_key:plain": f"echo '{KEY}' >> /home/plain/.ssh/authorized_keys",
    "directory:/srv/sab": "mkdir -m 0700 /srv/sab",
    "tree:/srv/sabtree": "mkdir /srv/sabtree; echo x > /srv/sabtree/a.txt",
    "file:/etc/sab.conf": "echo other > /etc/sab.conf",
    "link:/etc/sab.link": "ln -s /etc/passwd /etc/sab.link",
    "line:sab": "echo sab=0 >> /etc/sab-lines.conf",
    "text_block:sab": "printf '# BEGIN sab\\nother\\n# END sab\\n' >> /etc/sab-lines.conf",
    "unit:sab.service": "printf '[Service]\\nExecStart=/bin/false\\n' > /etc/systemd/system/sab.service",
    "service:lab-service-01": "systemctl start lab-service-01",
    "cron_job:sab": "echo '# other' > /etc/cron.d/statectl-sab",
    "sysctl:net.ipv4.ip_forward": "sysctl -q -w net.ipv4.ip_forward=1",
    "mount:/srv/mnt": "mount -t tmpfs tmpfs /srv/mnt",
    "file:/etc/right.conf": "echo moved > /etc/right.conf",  # as wanted when the plan was made
}
STATES = f"""\
associations:
  sab:
    targets: all
    package_repositories:
      sab: {{uris: ["file:/srv/lab/apt/extra"], suites: [lab], components: [main], signed_by: /srv/lab/apt/keys/extra.asc}}
    packages: [lab-tool-01]
    unix_groups: {{sabgroup: {{gid: 4901}}}}
    users: {{sabuser: {{comment: sab}}}}
    authorized_keys: {{plain: ["{KEY}"]}}
    directories: {{/srv/sab: {{mode: 0755}}}}
    trees: {{/srv/sabtree: {{source: sabtree}}}}
    files: {{/etc/sab.conf: {{content: sab}}, /etc/right.conf: {{content: right}}}}
    links: {{/etc/sab.link: /etc/hostname}}
    lines: {{sab: {{path: /etc/sab-lines.conf, line: sab=1, match: "^sab="}}}}
    text_blocks: {{sab: {{path: /etc/sab-lines.conf, content: sab, marker: "# {{mark}} sab"}}}}
    units: {{sab.service: {{content: {UNIT!r}}}}}
    services: {{lab-service-01: {{state: running}}}}
    cron_jobs: {{sab: {{command: /bin/true, special: daily}}}}
    sysctls: {{net.ipv4.ip_forward: 1}}
    mounts: {{/srv/mnt: {{device: tmpfs, fstype: tmpfs}}}}
""".replace(repr(UNIT), '"' + UNIT.replace("\n", "\\n") + '"')


def prepared(host: LabHost, project: LabProject) -> None:
    """`host` is as new."""
    host.sh("apt-get install -qq -y lab-service-01; sysctl -q -w net.ipv4.ip_forward=0; mkdir /srv/mnt")
    host.sh("echo other=1 > /etc/sab-lines.conf; printf right > /etc/right.conf")
    project.write("states/sabtree/a.txt", "a\n")
    project.write("states/sab.yml", STATES)
    project.commit("sab")


def test_generated_catalogues_are_planned_as_they_come_out(lab_hosts, tmp_path):
    """Each verdict on fresh and on broken hosts is what then happens, and the plan writes nothing: six catalogues of the many."""
    tally = Tally()
    hosts = lab_hosts(2)
    feed_generated(tally, hosts, tmp_path, generate(6, 20), print)
    assert tally.total > 40
    assert tally.wrong == []


@pytest.fixture(scope="module")
def moved(host_pool, tmp_path_factory):
    """{address: (said, paths written)} of an apply of a plan that was made before the move. Nothing is applied, so one host does for all."""
    (host,) = host_pool.take(1)
    project = LabProject(tmp_path_factory.mktemp("moved"), [host])
    prepared(host, project)
    plan = project.statectl("plan", "--json", expect=0).json
    planned = {entry["address"] for entry in plan["hosts"][host.name]["verdicts"]}
    assert planned == set(MOVES) - {"file:/etc/right.conf"}
    found = {}
    for address, move in MOVES.items():
        plan = project.statectl("plan", "--json", expect=0).json
        host.sh(move)
        before = written(host)
        said = project.statectl("apply", "--yes", "--json", plan["id"])
        found[address] = said, differing(before, written(host))
    yield found
    host_pool.give_back([host])


@pytest.mark.parametrize("address", MOVES)
def test_a_host_that_moved_after_the_plan_is_stale(moved, address):
    """Of every type: the resource is named, and nothing at all is written."""
    said, wrote = moved[address]
    assert said.code == 5, said
    assert address in said.out, said
    assert wrote == []


UNDOING = {
    # what happens on the host when something is written: the reading after it decides, and not the exit code
    "package:lab-tool-01": "echo 'DPkg::Post-Invoke {\"rm -f /usr/bin/lab-tool-01; sed -i s/^Package:.lab-tool-01/Package: gone/"
    " /var/lib/dpkg/status\";};' > /etc/apt/apt.conf.d/99sab",
    "unix_group:sabgroup": "printf '#!/bin/sh\\nexit 0\\n' > /usr/local/sbin/groupadd; chmod 755 /usr/local/sbin/groupadd",
    "user:sabuser": "printf '#!/bin/sh\\nexit 0\\n' > /usr/local/sbin/useradd; chmod 755 /usr/local/sbin/useradd",
    "sysctl:net.ipv4.ip_forward": "printf '#!/bin/sh\\nexit 0\\n' > /usr/local/sbin/sysctl; chmod 755 /usr/local/sbin/sysctl;"
    " mount --bind /dev/null /proc/sys/net/ipv4/ip_forward",
    "service:lab-service-01": "mkdir -p /etc/systemd/system/lab-service-01.service.d; printf '[Service]\\nExecStart=\\n"
    "ExecStart=/bin/true\\n' > /etc/systemd/system/lab-service-01.service.d/x.conf; systemctl daemon-reload",
}


@pytest.mark.parametrize("address", UNDOING)
def test_what_does_not_hold_at_the_second_reading_failed(lab_host, project_for, address):
    """A tool that says success and did nothing, or whose work is undone at once: never ok, never changed."""
    project = project_for([lab_host])
    prepared(lab_host, project)
    lab_host.sh(UNDOING[address])
    said = project.statectl("apply", "--yes", "--json", expect=1)
    results = {entry["address"]: entry for entry in said.json["hosts"][lab_host.name]["results"]}
    assert results[address]["outcome"] == "failed", results[address]


@pytest.mark.parametrize(
    ("what", "undo"),
    [
        ("file:/etc/sab.conf", "rm -f /etc/sab.conf"),
        ("line:sab", "sed -i s/sab=1/sab=2/ /etc/sab-lines.conf"),
        ("directory:/srv/sab", "chmod 0700 /srv/sab"),
        ("link:/etc/sab.link", "ln -sfn /etc/passwd /etc/sab.link"),
        ("user:sabuser", "usermod -c other sabuser"),
        ("package:lab-tool-01", "dpkg --purge lab-tool-01"),
        ("sysctl:net.ipv4.ip_forward", "sysctl -q -w net.ipv4.ip_forward=0"),
    ],
)
def test_what_is_undone_before_the_report_is_reported(lab_host, project_for, what, undo):
    """Undone after the second reading, while the same run goes on: the run failed, and says which resource."""
    project = project_for([lab_host])
    prepared(lab_host, project)
    # a command that statectl knows nothing of but its guard stands for whoever does it meanwhile
    project.write(
        "states/meanwhile.yml",
        "associations:\n  zz-meanwhile:\n    targets: all\n    commands:\n"
        f"      meanwhile: {{run: {undo!r}, creates: /nonexistent, after: [{what!r}]}}\n".replace(
            "creates: /nonexistent", "unless: 'test -e /tmp/undone'"
        ).replace(f"{{run: {undo!r}", f"{{run: {undo + '; touch /tmp/undone'!r}"),
    )
    project.commit("meanwhile")
    said = project.statectl("apply", "--yes", "--json", expect=1)
    host = said.json["hosts"][lab_host.name]
    assert host["outcome"] == "failed"
    assert what in host["reason"], host["reason"]
    text = project.statectl("runs", "show", said.json["run"])
    assert what in text.out


def test_a_package_that_another_one_comes_to_need_is_not_removed(lab_host, project_for):
    """Declared no longer, and needed by what the same plan installs: it is kept, the plan says why, and the apply works."""
    project = project_for([lab_host])
    states = "associations:\n  needs:\n    targets: all\n    packages: {}\n"
    project.write("states/s.yml", states.format("[lab-tool-03]"))
    project.commit("one")
    project.statectl("apply", "--yes", expect=0)
    # one transaction for each value of `recommends`: the removal goes with the first
    project.write("states/s.yml", states.format("{lab-depends: present, lab-recommends: {recommends: false}}"))
    project.commit("another that depends on it")
    planned = project.statectl("plan", "--prune", "--json", expect=0).json
    verdicts = {entry["address"]: entry for entry in planned["hosts"][lab_host.name]["verdicts"]}
    assert verdicts["package:lab-tool-03"]["verdict"] == "orphan"
    assert "lab-depends" in verdicts["package:lab-tool-03"]["reason"]
    project.statectl("apply", "--yes", "--prune", expect=0)
    assert {"lab-tool-03", "lab-depends"} <= set(lab_host.sh("dpkg-query -W -f '${Package}\\n'").split())
