"""Many hosts: what is equal is said and done once, and nothing of one host gets into another."""

import json
import time

import pytest

from tests.unit.compiling import Compiled, association, resources, shown, text


def test_one_mistake_on_many_hosts_is_one_problem_with_its_hosts(tmp_path):
    """Equal problems fold; those of all hosts name none."""
    hosts = "hosts: {'web[01-20]': {groups: [web]}, db1: {vars: {port_: 1}}}\n"
    files = {"states/a.yml": association("files: {/x: {content: '{{ port_ }}'}, /y: {content: '{{ nope }}'}}")}
    with Compiled(tmp_path, files, hosts=hosts) as compiled:
        _, problems = compiled.fleet()
    assert len(problems) == 2
    port = next(one for one in problems if "port_" in one.summary)
    assert len(port.hosts) == 20 and "db1" not in port.hosts
    assert next(one for one in problems if "nope" in one.summary).hosts == ()


def test_one_mistake_met_on_many_ways_is_one_problem(tmp_path):
    """A variable that is broken is named where it stands, once, however many files use it."""
    body = "vars: {bad: '{{ nope }}'}\nfiles: {/x: {content: '{{ bad }}'}, /y: {content: 'y {{ bad }}'}, /z: {content: z, when: bad == 1}}"
    with Compiled(tmp_path, {"states/a.yml": association(body)}) as compiled:
        assert [(one.code, one.span.line) for one in compiled.host().problems] == [("E201", 4)]
        assert [(one.code, one.span.line) for one in compiled.fleet()[1]] == [("E201", 4)]


def test_an_association_that_matches_nobody_is_a_warning(tmp_path):
    """A valid expression without hosts warns; an unknown name in it is an error with the nearest."""
    with Compiled(tmp_path, {"states/a.yml": association("packages: [a]", targets="env=nowhere")}) as compiled:
        assert [(one.code, one.is_warning) for one in compiled.fleet()[1]] == [("W120", True)]
    with Compiled(tmp_path, {"states/a.yml": association("packages: [a]", targets="group:wbe")}) as compiled:
        problems = compiled.fleet()[1]
    assert len(problems) == 1 and not problems[0].is_warning and "did you mean `web`?" in shown(problems[0])


def test_targets_by_facts_use_stored_and_then_fresh_ones(tmp_path):
    """Offline a host that was never contacted is left out; its own fresh facts decide in its turn."""
    files = {"states/a.yml": association("packages: [a]", targets="facts.os.id=debian")}
    with Compiled(
        tmp_path, files, stored_facts=lambda name: ({"os": {"id": "sles"}}, "") if name == "web2" else None
    ) as compiled:
        found, problems = compiled.fleet()
        assert not problems and not found["web1"].catalogue["resources"]
        assert list(resources(compiled.host("web1"))) == ["package:a"]
        assert list(resources(compiled.host("web2"))) == ["package:a"]
        assert not compiled.host("web2", {"os": {"id": "sles"}}).catalogue["resources"]


def test_offline_and_fresh_compile_agree(tmp_path):
    """The same facts give the same catalogue, whether the fleet was compiled or one host, and in whatever company."""
    hosts = "hosts: {'h[1-7]': {groups: [a], vars: {n: 1}}, x: {vars: {n: 2}}}\n"
    body = """vars: {list: [{k: "{{ n }}"}, {k: b}]}
files:
  "/f{{ item.k }}": {for_each: "{{ list }}", content: "{{ host.name }} {{ facts.cpu }} {{ item.k }}"}
  /t: {template: t.j2, notify: service:s}
  /c: {content: "{{ hosts('all') | map(attribute='name') | join(' ') }}", when: facts.cpu > 1}
services: {s: running}
"""
    files = {"states/a.yml": association(body), "states/t.j2": "{% for i in list %}{{ i.k }}{% endfor %} {{ n }}\n"}
    facts = {"cpu": 4}
    with Compiled(tmp_path, files, hosts=hosts, stored_facts=lambda _: (facts, "")) as compiled:
        fleet, problems = compiled.fleet()
        assert not problems
        again = {name: compiled.host(name, facts) for name in reversed(list(fleet))}
    for name, one in fleet.items():
        assert json.dumps(one.catalogue) == json.dumps(again[name].catalogue)
        with Compiled(tmp_path, files, hosts=hosts) as alone:
            assert alone.host(name, facts).catalogue["hash"] == one.catalogue["hash"]
    assert text(fleet["x"], "file:/f2") == "x 4 2" and text(fleet["h1"], "file:/f1") == "h1 4 1"
    assert text(fleet["h3"], "file:/t") == "1b 1\n"


def test_problems_of_what_is_sensitive_are_hidden(tmp_path):
    """In its template and in its own content; the same mistake elsewhere keeps its line."""
    body = """
      /etc/a: {template: a.j2, sensitive: true}
      /etc/b: {content: "x {{ nothing }}", sensitive: true}
      /etc/c: {template: c.j2}
    """
    files = {"states/a.j2": "x {{ nothing }}\n", "states/c.j2": "x {{ nothing }}\n"}
    with Compiled(tmp_path, {"states/a.yml": association("files:" + body), **files}) as compiled:
        _, problems = compiled.fleet()
    hidden = {problem.span.file + str(problem.span.line): problem.hidden for problem in problems}
    assert hidden == {"states/a.j21": True, "states/a.yml6": True, "states/c.j21": False}


def test_secrets_of_one_host_are_not_in_another(tmp_path, monkeypatch):
    """Each catalogue brings the secrets that it uses itself and no other."""
    monkeypatch.setenv("KEY_ONE", "canary-one")
    monkeypatch.setenv("KEY_TWO", "canary-two")
    hosts = "hosts: {h1: {vars: {key: {value_from: 'env:KEY_ONE'}}}, h2: {vars: {key: {value_from: 'env:KEY_TWO'}}}, h3: {}}\n"
    files = {"states/a.yml": association("files: {/k: {content: '{{ key }}', when: key is defined}}")}
    with Compiled(tmp_path, files, hosts=hosts) as compiled:
        fleet, problems = compiled.fleet()
    assert not problems
    assert {name: [one.reveal() for one in found.secrets.values()] for name, found in fleet.items()} == {
        "h1": ["canary-one"], "h2": ["canary-two"], "h3": [],
    }  # fmt: skip


def test_names_that_stand_nowhere_are_named_even_in_branches_not_taken(tmp_path):
    """A name in a false branch is no error; the check of the files names it with its place, unless it was asked for."""
    files = {
        "states/a.yml": association("files: {/x: {template: t.j2}, /y: {content: '{{ 1 if true else nopee }}'}}"),
        "states/t.j2": "{% if false %}\n  {{ sitess }}{% endif %}{{ maybe | default(1) }}{% if perhaps is defined %}{{ perhaps }}{% endif %}\n",
    }
    with Compiled(tmp_path, files) as compiled:
        found, problems = compiled.fleet()
    assert all(one.is_warning for one in problems)
    assert sorted((one.code, one.summary, str(one.span)) for one in problems) == [
        ("W201", "`nopee` is defined nowhere", "states/a.yml:4:68"),
        ("W201", "`sitess` is defined nowhere", "states/t.j2:2:6"),
    ]
    assert found["web1"].catalogue["resources"]


@pytest.mark.slow
def test_a_slow_template_costs_its_time_once_for_all_hosts(tmp_path):
    """A template that never ends stops the command after seconds, not after hosts times seconds."""
    hosts = "hosts: {'h[1-30]': {}}\n"
    files = {
        "states/a.yml": association("files: {/x: {template: t.j2}}"),
        "states/t.j2": "{{ host.name }}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    }
    with Compiled(tmp_path, files, hosts=hosts, job_s=0.3) as compiled:
        _, problems = compiled.fleet()
        # each time a child is lost a new one starts: a handful for the one guilty source, not one for each host
        assert compiled.renderer.starts <= 5
    assert [one.code for one in problems] == ["E205"]


def test_ten_times_the_hosts_cost_about_ten_times_as_much(tmp_path):
    """Cost grows with the hosts and not faster: 40 resources each, half of them templates with facts."""
    body = "packages: [" + ", ".join(f"p{n}" for n in range(20)) + "]\nfiles:\n"
    body += (
        "".join(f"  /etc/f{n}: {{template: t.j2, mode: 0644, notify: service:s}}\n" for n in range(20))
        + "services: {s: running}\n"
    )
    files = {
        "states/a.yml": association(body),
        "states/t.j2": "{% for i in range(5) %}{{ host.name }} {{ facts.cpu }}\n{% endfor %}",
    }
    taken = {}
    for count in (20, 200):
        directory = tmp_path / str(count)
        hosts = f"hosts: {{'h[001-{count:03}]': {{groups: [a]}}}}\n"
        with Compiled(directory, files, hosts=hosts, stored_facts=lambda _: ({"cpu": 1}, "")) as compiled:
            started = time.process_time()
            found, problems = compiled.fleet()
            taken[count] = time.process_time() - started
        assert not problems and all(len(one.catalogue["resources"]) == 41 for one in found.values())
    assert taken[200] < 25 * taken[20], taken
