"""Growth, a sample of seconds: simulated hosts are hosts of their own, one more costs no more among many, and the command prints its tables."""

import argparse
import time

import pytest

from tests.benchmarks import growing_fleets, growth
from tests.benchmarks.growing_fleets import LastLogin
from tests.benchmarks.simulated import Simulated, states

FEW, MANY = 20, 100
MOST_TIMES = 2.0


def test_one_more_host_costs_no_more_among_many(tmp_path, lab_host):
    """Work that each host makes for every other shows as cost per host: at 100 it is less than twice that at 20, above start-up."""
    order = argparse.Namespace(each=10, hosts=[FEW, MANY], runs=["drift"])
    cpu = {row.count: row.cpu_s for row in growing_fleets.hosts(order, tmp_path, lab_host)}
    few, many = ((cpu[count] - cpu[0]) / count for count in (FEW, MANY))
    assert many < MOST_TIMES * few, cpu


def test_simulated_hosts_are_hosts_of_their_own(tmp_path, lab_host):
    """Each has an identity, a memory and files of its own, over what was brought to one; a dead one is dead."""
    with Simulated(lab_host) as many:
        project = many.project(tmp_path, states(10))
        many.inventory(project, range(1, 5), closed=[4])
        began = time.monotonic()
        with many.silent([3]), LastLogin(lab_host) as last:
            said = project.statectl("drift", "-o", "json", expect=3).json
        found = {host: one["outcome"] for host, one in said["hosts"].items()}
        assert found == {f"web0000{number}": "planned" if number < 3 else "unreachable" for number in range(1, 5)}
        assert 0 < last.seen - began < time.monotonic() - began - 1  # the dead one is waited for much longer
        ids = lab_host.sh("cat /srv/many/*/memory/identity.json").splitlines()
        assert len(ids) == len(set(ids)) == 2
        lab_host.sh("echo drift >> /srv/seed/fleet/000/app-1.conf")  # under all of them
        many.inventory(project, [1, 2])
        assert "2 hosts" in project.statectl("drift", expect=2).out
        project.statectl("apply", "--yes", "-t", "web00001", expect=0)
        assert list(project.statectl("drift", "-o", "json", expect=2).json["blocks"][0]["hosts"]) == ["web00002"]
        assert "No drift" in project.statectl("drift", "-t", "web00001", expect=0).out


def test_the_command_prints_what_it_measured(capsys, monkeypatch):
    """`--print` measures, writes a table and keeps nothing."""
    kept = []
    monkeypatch.setattr(growth, "save", kept.append)
    monkeypatch.setattr(growth, "write_on_page", lambda *words: kept.append(words))
    assert growth.main(["--print", "--parts", "resources", "--resources", "10"]) == 0
    said = capsys.readouterr().out
    assert "| 10 | cold apply |" in said
    assert "| 10 | drift |" in said
    assert kept == []


@pytest.mark.parametrize("words", [["--parts", "hosts,none"], ["--runs", "plan"]])
def test_what_is_not_known_is_said_before_anything_is_started(words, capsys):
    """A typing mistake costs no hour."""
    with pytest.raises(SystemExit):
        growth.main(words)
    assert "unknown" in capsys.readouterr().err
