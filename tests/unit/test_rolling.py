"""Rolling change on paper: which hosts change in which wave, what a catalogue and its steps come to, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statectl.rollout.waves import waves
from tests.unit.compiling import Compiled, association

HOSTS = """\
hosts:
  web1: {address: 10.0.0.1, groups: [web]}
  web2: {address: 10.0.0.2, groups: [web]}
  lb1: {groups: [lb]}
  lb2: {groups: [lb]}
"""
TEN = [f"h{number}" for number in range(10)]


def sizes(cut):
    return [len(wave) for wave in cut]


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (["1"], [1] * 10),
        (["1", "10%", "50%", "100%"], [1, 1, 5, 3]),
        (["100%"], [10]),
        (["3", "1%"], [3, 1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_batches_of_one_association(batch, expected):
    """Numbers and shares of the hosts that it changes, the last repeated; never less than one host."""
    cut = waves(TEN, {host: ["web"] for host in TEN}, {"web": batch})
    assert sizes(cut) == expected
    assert [host for wave in cut for host in wave] == TEN


def test_hosts_that_it_does_not_change_do_not_count():
    """Half of four web servers is two, however many other hosts there are; those wait for nobody."""
    changes = {host: ["web"] if host in ("h1", "h3", "h5", "h7") else ["base"] for host in TEN}
    cut = waves(TEN, changes, {"web": ["50%"]})
    assert cut[0] == ["h0", "h1", "h2", "h3", "h4", "h6", "h8", "h9"]
    assert cut[1:] == [["h5", "h7"]]


def test_the_strictest_of_two_holds():
    """A host that two associations change begins when both have room for it."""
    changes = {host: ["web", "db"] if host in ("h0", "h1", "h2") else ["web"] for host in TEN}
    cut = waves(TEN, changes, {"web": ["5"], "db": ["1"]})
    assert cut == [["h0", "h3", "h4", "h5", "h6"], ["h1", "h7", "h8", "h9"], ["h2"]]


@given(
    st.lists(st.sets(st.sampled_from("abc")), min_size=1, max_size=20),
    st.dictionaries(
        st.sampled_from("abc"), st.lists(st.sampled_from(["1", "2", "5", "10%", "50%", "100%"]), min_size=1, max_size=4)
    ),
)
def test_no_wave_has_more_of_an_association_than_its_batch(sets, batch):
    """Every host is in exactly one wave, and the n-th wave in which an association changes something has at most its n-th batch."""
    hosts = [f"h{number}" for number in range(len(sets))]
    changes = {host: sorted(names) for host, names in zip(hosts, sets, strict=True)}
    cut = waves(hosts, changes, batch)
    assert sorted(host for wave in cut for host in wave) == sorted(hosts)
    assert all(cut)
    for name, entries in batch.items():
        whole = sum(name in changes[host] for host in hosts)
        counts = [count for wave in cut if (count := sum(name in changes[host] for host in wave))]
        for place, count in enumerate(counts):
            entry = entries[min(place, len(entries) - 1)]
            most = whole * int(entry[:-1]) // 100 if entry.endswith("%") else int(entry)
            assert count <= max(1, most)


ROLLOUT = """\
vars: {port: 8080, balancer: haproxy}
rollout:
  batch: [1, 50%]
  health: {http: "http://127.0.0.1:{{ port }}/healthz", expect: 204, within: 1m}
  before:
    - {run: ["/usr/bin/{{ balancer }}", drain, "{{ host.name }}", "{{ host.address }}"], on: group:lb, timeout: 10s}
  after:
    - {run: [enable, "{{ host.name }}"], on: lb2}
files: {/etc/a: {content: a}}"""


def test_steps_and_health_are_rendered_for_each_host(tmp_path):
    """`host` is the host that changes, variables are the association's there, and `on` is evaluated like other targets."""
    states = {"states/a.yml": association(ROLLOUT, targets="group:web")}
    with Compiled(tmp_path, states, hosts=HOSTS) as compiled:
        _, problems = compiled.fleet()
        assert problems == ()
        found = compiled.host("web2")
    (entry,) = found.catalogue["associations"]
    assert entry["health"] == {
        "kind": "http",
        "what": ["http://127.0.0.1:8080/healthz"],
        "expect": 204,
        "within_s": 60.0,
    }
    rollout = found.rollouts["web"]
    (before,), (after,) = rollout.before, rollout.after
    assert before.argv == ("/usr/bin/haproxy", "drain", "web2", "10.0.0.2")
    assert (before.hosts, before.timeout_s) == (("lb1", "lb2"), 10.0)
    assert (after.argv, after.hosts, after.timeout_s) == (("enable", "web2"), ("lb2",), 300.0)


@pytest.mark.parametrize(
    ("body", "code", "place", "words"),
    [
        ("rollout: {before: [{run: [x], on: 'lb*x'}]}", "E152", "4:39", "no host runs this step of association web"),
        ("rollout: {before: [{run: [x], on: lb9}]}", "E153", "4:39", "lb9"),
        ('rollout: {health: {tcp: "{{ prot }}"}}', "E201", "4:33", "prot"),
        ('vars: {a: [1]}\nrollout: {after: [{run: ["{{ a }}"], on: lb1}]}', "E211", "5:30", "must be text"),
    ],
)
def test_what_is_refused_before_anything_is_contacted(tmp_path, body, code, place, words):
    """A step that nobody runs, a name that is not there, an argument that is no text: each at its place in the file."""
    states = {"states/a.yml": association(body + "\nfiles: {/etc/a: {content: a}}", targets="group:web")}
    with Compiled(tmp_path, states, hosts=HOSTS) as compiled:
        _, problems = compiled.fleet()
    (problem,) = [one for one in problems if not one.is_warning]
    assert (problem.code, f"{problem.span.line}:{problem.span.column}") == (code, place), problem
    assert words in problem.summary + problem.label, problem


def test_a_secret_is_no_argument(tmp_path):
    """Arguments are seen by everybody on a host, and are kept in the store."""
    hosts = HOSTS + "groups: {web: {vars: {token: {value_from: 'env:STATECTL_TOKEN'}}}}\n"
    body = 'rollout: {before: [{run: [x, "{{ token }}"], on: lb1}]}\nfiles: {/etc/a: {content: a}}'
    with Compiled(tmp_path, {"states/a.yml": association(body, targets="group:web")}, hosts=hosts) as compiled:
        problems = compiled.host("web1").problems
    assert [one.code for one in problems] == ["E214"], problems


def test_what_waits_for_facts_is_left_open_offline(tmp_path):
    """A host that was never contacted may have a check of its facts: it is rendered with fresh ones."""
    body = 'rollout: {health: {tcp: "{{ facts.os.id }}:80"}}\nfiles: {/etc/a: {content: a}}'
    with Compiled(tmp_path, {"states/a.yml": association(body, targets="group:web")}, hosts=HOSTS) as compiled:
        found, problems = compiled.fleet()
        assert problems == ()
        assert "health" not in found["web1"].catalogue["associations"][0]
        assert compiled.host("web1").catalogue["associations"][0]["health"]["what"] == ["debian:80"]
