"""Expressions and templates: values keep their type, secrets are only put out, nothing runs for ever or opens a file."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from statectl.catalogue.render import Renderer
from statectl.catalogue.rendered import UNKNOWN, Failure, Job, SecretParts
from statectl.project.scalars import Expression, WrittenFloat, WrittenInt
from statectl.secrets import Secret


@pytest.fixture
def renderer(tmp_path):
    (tmp_path / "templates").mkdir()
    with Renderer(tmp_path, job_s=1.5) as one:
        yield one


def render(renderer, source, variables=None, *, names=None, facts=None, probes=None, kind="value"):
    register = renderer.register
    scope = register.scope(
        register.host({"name": "web1", "address": "192.0.2.1", "groups": ["web"], "tags": {}}, facts),
        variables or {},
        probes or {},
    )
    what = source if kind == "template" else Expression(source, bare=kind == "condition")
    job = Job(scope, (register.source(kind, what),), names, json.dumps(names) if names else "")
    renderer.run([job])
    return job.outcomes[0]


def template(renderer, text, variables=None, **more):
    name = f"templates/{len(list((renderer.jail.root / 'templates').iterdir()))}.j2"
    (renderer.jail.root / name).write_text(text)
    return render(renderer, name, variables, kind="template", **more)


def failure(outcome):
    assert isinstance(outcome, Failure), outcome
    return outcome.report


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ n }}", 8080),
        ("{{ flag }}", True),
        ("{{ none }}", None),
        ("{{ items_ }}", [1, "a"]),
        ("{{ ten }}", "10"),
        ("{{ version }}", "1.10"),
        ("{{ word }}", "None"),
        ("{{- n -}}", 8080),
        ("port {{ n }}", "port 8080"),
        ("{{ n }}{{ n }}", "80808080"),
        ("{{ n }} ", "8080 "),
        ("{{ n }}\n", "8080\n"),
        ("{{ '}}' }}", "}}"),
        ("{{ n }}}}", "8080}}"),
        ("{{ {'a': n} }}", {"a": 8080}),
        ("{{ items_ | map('string') }}", ["1", "a"]),
        ("{{ {'items': 1}.items }}", 1),
        ("{% if flag %}yes{% endif %}", "yes"),
        ("no expression", "no expression"),
    ],
)
def test_a_lone_expression_keeps_its_type_and_all_else_is_text(renderer, source, expected):
    """A value that is exactly one expression keeps its type; text never turns into a number, a list or None."""
    variables = {
        "n": 8080,
        "flag": True,
        "none": None,
        "items_": [1, "a"],
        "ten": "10",
        "version": "1.10",
        "word": "None",
    }
    outcome = render(renderer, source, variables)
    assert outcome == expected
    assert type(outcome) is type(expected) or isinstance(expected, int)


def test_numbers_render_as_they_were_written(renderer):
    """1.10 stays 1.10 and 0x1F stays 0x1F, in text and as values, also from inside a list."""
    variables = {"v": WrittenFloat(1.1, "1.10"), "h": WrittenInt(31, "0x1F"), "l": [WrittenFloat(1.1, "1.10")]}
    assert render(renderer, "{{ v }} {{ h }} {{ l[0] }}", variables) == "1.10 0x1F 1.10"
    assert str(render(renderer, "{{ v }}", variables)) == "1.10"
    assert str(render(renderer, "{{ l }}", variables)[0]) == "1.10"
    assert render(renderer, "{{ v + 1 }}", variables) == pytest.approx(2.1)


def test_facts_are_data_and_never_templates(renderer):
    """Text from a host that looks like a template comes out byte for byte, also through a variable that uses it."""
    attack = "{{ 7*7 }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}"
    facts = {"name": attack, "{{ key }}": 1, "$x": 3, "inner": {"$parts": ["a", 0]}, "list": [{"$s": 0}]}
    variables = {
        "copy": Expression("{{ facts.name }}"),
        "twice": Expression("<{{ copy }}>"),
        "s": Secret("hidden", "s"),
    }
    assert render(renderer, "{{ facts.name }}", facts=facts) == attack
    assert render(renderer, "{{ twice }}", variables, facts=facts) == f"<{attack}>"
    assert render(renderer, "{{ facts }}", facts=facts) == facts
    assert template(renderer, "{{ facts.name }}", facts=facts) == attack
    assert isinstance(render(renderer, "{{ s }}", variables, facts=facts), SecretParts)


@pytest.mark.parametrize("value", ["1 or true", "x' or '1", "{{ true }}", "True"])
def test_facts_in_conditions_are_compared_as_text(renderer, value):
    """A fact cannot make a condition true by what it says."""
    assert render(renderer, "facts.role == 'admin'", facts={"role": value}, kind="condition") is False
    assert failure(render(renderer, "facts.role", facts={"role": value}, kind="condition"))["code"] == "E207"


def test_facts_cannot_take_the_place_of_other_names(renderer):
    """Facts live under `facts`; whatever they are called they hide no variable and no function."""
    facts = {"user": "root", "host": {"name": "evil"}, "facts": {"host": 1}, "hosts": 1, "secret": 1, "become": True}
    assert render(renderer, "{{ host.name }} {{ user }}", {"user": "app"}, facts=facts) == "web1 app"
    assert failure(render(renderer, "{{ become }}", facts=facts))["summary"] == "`become` is undefined"


def test_undefined_is_an_error_where_it_is_used_and_nowhere_else(renderer):
    """A missing name fails the value that uses it; a branch not taken, `default` and `is defined` do not use it."""
    assert render(renderer, "{% if false %}{{ nope }}{% endif %}ok") == "ok"
    assert render(renderer, "{{ nope | default('x') }}") == "x"
    assert render(renderer, "{{ nope is defined }}") is False
    assert failure(render(renderer, "{{ nope }}"))["code"] == "E201"
    assert failure(render(renderer, "a{{ nope }}"))["code"] == "E201"
    assert failure(render(renderer, "{{ [nope] }}"))["code"] == "E201"
    report = failure(render(renderer, "{{ up.prot }}", {"up": {"host": "a", "port": 1}}))
    assert report["summary"] == "`up.prot` is undefined"
    assert report["label"] == "up has: host, port   (did you mean `port`?)"
    assert report["root"] == "up"


def test_a_key_of_the_wrong_kind_is_told_from_a_missing_one(renderer):
    """12 and "12" look the same in a message; it says which is there and which was asked for."""
    variables = {"versions": {"12": "a", "13": "b"}, "number": 12, "l": ["a"]}
    report = failure(render(renderer, "{{ versions[number] }}", variables))
    assert report["summary"] == "`versions[12]` is undefined"
    assert report["label"] == "versions has 12 as text, and this is a number"
    assert (report["root"], report["find"][-1]) == ("versions", "versions")
    assert failure(render(renderer, "{{ versions[number + 2] }}", variables))["label"].startswith(
        "versions has: 12, 13"
    )
    assert failure(render(renderer, "{{ l[5] }}", variables))["label"] == "l is a list of 1, it has no element 5"
    assert failure(render(renderer, "{{ number.x }}", variables))["label"] == "number is a number"


def test_the_path_of_an_undefined_field_goes_through_loops(renderer):
    """In a loop the variable that the loop runs over is named, with the line of the template."""
    report = failure(
        template(
            renderer, "a\n{% for u in pool.members %}\n{{ u.prot }}\n{% endfor %}", {"pool": {"members": [{"port": 1}]}}
        )
    )
    assert (report["line"], report["summary"], report["root"], report["via"]) == (
        3,
        "`u.prot` is undefined",
        "pool",
        "u",
    )


def test_variables_refer_to_variables_at_any_depth(renderer):
    """A variable is rendered when it is used; one that is broken does no harm where it is not used."""
    variables = {
        "base": "/srv",
        "app": {"name": "shop", "dir": Expression("{{ base }}/{{ app.name }}"), "bad": Expression("{{ nope }}")},
        "cfg": {"dir": Expression("{{ base }}")},
        "dirs": [Expression("{{ app.dir }}"), "x"],
        "bad": Expression("{{ nope }}"),
    }
    assert render(renderer, "{{ app.dir }}", variables) == "/srv/shop"
    assert render(renderer, "{{ dirs }}", variables) == ["/srv/shop", "x"]
    assert render(renderer, "{{ dirs | join(',') }} {{ dirs == ['/srv/shop', 'x'] }}", variables) == "/srv/shop,x True"
    assert render(renderer, "{{ cfg == {'dir': '/srv'} }} {{ {'dir': '/srv'} == cfg }}", variables) == "True True"
    assert render(renderer, "{{ ['a'] + dirs }}", variables) == ["a", "/srv/shop", "x"]
    assert render(renderer, "{{ dirs | to_json }}", variables) == '["/srv/shop", "x"]'
    assert render(renderer, "{% if false %}{{ bad }}{% endif %}fine", variables) == "fine"
    report = failure(render(renderer, "{{ bad | default('x') }}", variables))
    assert report["summary"] == "`nope` is undefined"
    assert failure(render(renderer, "{{ app | to_json }}", variables))["summary"] == "`nope` is undefined"


def test_variables_in_a_ring_are_named_and_not_followed(renderer):
    """A variable that needs itself is E208, however long the way; a ring in a branch not taken is none."""
    ring = {
        "a": Expression("{{ b }}"),
        "b": Expression("{{ c }}"),
        "c": Expression("x{{ a }}"),
        "d": {"e": Expression("{{ d.e }}")},
    }
    assert failure(render(renderer, "{{ a }}", ring))["code"] == "E208"
    assert failure(render(renderer, "{{ d.e }}", ring))["code"] == "E208"
    open_ring = {"a": Expression("{{ b if false else 1 }}"), "b": Expression("{{ a }}")}
    assert render(renderer, "{{ a }} {{ b }}", open_ring) == "1 1"


CANARY = "canary-5c1f"


@pytest.mark.parametrize(
    "source",
    [
        "{{ pw | upper }}", "{{ pw ~ 'x' }}", "{{ pw + 'x' }}", "{{ pw == 'x' }}", "{{ pw | length }}", "{{ pw[0] }}", "{{ pw.upper() }}",
        "{{ 'a' in pw }}", "{{ pw in ['a'] }}", "{{ [pw] | join(',') }}", "{{ [pw, dsn] | sort }}", "{{ {'a': pw} | to_json }}", "{{ 'x' if pw else 'y' }}",
        "{% if pw %}x{% endif %}", "{% for c in pw %}{{ c }}{% endfor %}", "{{ pw | b64encode }}", "{{ pw | hash('sha256') }}",
        "{{ '%s' | format(pw) }}", "{{ '{}'.format(pw) }}", "{{ pw | regex_replace('a', 'b') }}", "{{ dsn | upper }}", "{{ dsn | replace('a', 'b') }}",
        "{{ [pw, 'x'] | unique }}", "{{ {pw: 1} }}", "{{ pw * 2 }}", "{{ pw | string }}", "{{ (pw, 1) | first | upper }}",
    ],
)  # fmt: skip
def test_a_secret_can_be_put_out_and_nothing_else(renderer, source):
    """Filters, conditions and operations on a secret are errors that name it and do not hold it."""
    variables = {"pw": Secret(CANARY, "pw"), "dsn": Expression("postgres://app:{{ pw }}@db")}
    report = failure(render(renderer, source, variables))
    assert report["code"] == "E206"
    assert CANARY not in json.dumps(report)


def test_secrets_come_back_as_numbers_in_their_place(renderer):
    """The child never has the value; text around a secret stays text, through variables and templates too."""
    variables = {
        "pw": Secret(CANARY, "pw"),
        "dsn": Expression("pg://{{ pw }}@db"),
        "all": {"list": [Secret("other", "b")]},
    }
    assert render(renderer, "{{ pw }}", variables) == SecretParts((0,))
    assert render(renderer, "a {{ pw }} b {{ pw }}", variables) == SecretParts(("a ", 0, " b ", 0))
    assert render(renderer, "<{{ dsn }}>", variables) == SecretParts(("<pg://", 0, "@db>"))
    assert template(renderer, "user=x\npassword={{ dsn }}\n", variables) == SecretParts(
        ("user=x\npassword=pg://", 0, "@db\n")
    )
    assert render(renderer, "{{ all }}", variables) == {"list": [SecretParts((1,))]}
    assert render(renderer, "{{ pw | default('x') }}", variables) == SecretParts((0,))
    assert CANARY not in str(renderer.register.variables)


def test_a_secret_caught_in_a_block_cannot_be_changed(renderer):
    """Text captured by `set` holds only a mark; a filter that damages the mark is noticed."""
    variables = {"pw": Secret(CANARY, "pw")}
    for source in (
        "{% set x %}{{ pw }}{% endset %}{{ x | upper }}",
        "{% set x %}{{ pw }}{% endset %}{{ x | length }}",
        "{% filter upper %}{{ pw }}{% endfilter %}",
    ):
        assert failure(render(renderer, source, variables))["code"] == "E206", source
    assert render(renderer, "{% set x %}{{ pw }}{% endset %}<{{ x }}>", variables) == SecretParts(("<", 0, ">"))


def test_what_was_never_asked_of_a_host_is_unknown_and_not_undefined(renderer):
    """Before the first contact facts and probes are neither there nor missing: `default` does not decide for them."""
    for source in (
        "{{ facts.os.id }}",
        "{{ facts.os.id | default('x') }}",
        "{{ days }}",
        "{% if facts %}{% endif %}",
        "{{ facts }}",
        "{{ v }}",
    ):
        assert render(renderer, source, {"v": Expression("{{ facts.x }}")}, probes={"days": None}) is UNKNOWN, source
    assert render(renderer, "{{ days + 1 }}", probes={"days": {"ok": True, "value": 13}}) == 14
    report = failure(render(renderer, "{{ days }}", probes={"days": {"ok": False, "reason": "exit 1"}}))
    assert (report["code"], report["summary"]) == ("E201", "probe `days` failed: exit 1")


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 500000000 }}", "{{ 'a'.center(500000000) }}", "{{ 'a' | center(500000000) }}", "{{ 9**(9**8) }}", "{{ (9**9)**(9**8) }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{{ 'a' * 99999 }}{% endfor %}", "{{ ('a' * 30) | regex_replace('(a*)*b', '') }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ '%0999999999d' % 1 }}", "{{ '{:>999999999}'.format(1) }}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "{{ range(10**9) }}",
        "{{ [[0] * 9999999] * 9999999 }}",
    ],
)  # fmt: skip
def test_no_expression_takes_more_than_it_may(renderer, source):
    """Text, memory and time are bounded, in Python loops and inside C code; the next expression renders as if nothing was."""
    started = time.monotonic()
    report = failure(render(renderer, source))
    assert report["code"] in ("E205", "E209")
    assert time.monotonic() - started < 20
    assert render(renderer, "{{ 1 + 1 }}") == 2


def test_only_the_guilty_source_fails_and_costs_its_time_once(renderer):
    """A source that kills the child is named; others of the same batch and job have values; it is not tried again."""
    register = renderer.register
    scope = register.scope(register.host({"name": "web1"}, {}), {"a": 1}, {})
    evil = Expression("{{ facts.x }}{{ ('a' * 40) | regex_search('(a+)+$b') }}")
    good = [Expression("{{ a }}"), Expression("{{ facts | length }}")]
    numbers = [register.source("value", one) for one in (good[0], evil, good[1])]
    jobs = [Job(scope, tuple(numbers)), *(Job(scope, (numbers[2],), {"item": n}, str(n)) for n in range(30))]
    # the fact makes it this host's own, so that it is really rendered
    register.host({"name": "web1"}, {"x": 1})
    scope = register.scope(register.host({"name": "web2"}, {"x": 1}), {"a": 1}, {})
    for job in jobs:
        job.scope = scope
    renderer.run(jobs)
    first = jobs[0].outcomes
    assert first[0] == 1 and isinstance(first[1], Failure) and first[2] == 1
    assert all(job.outcomes == [1] for job in jobs[1:])
    started = time.monotonic()
    again = Job(scope, (numbers[1],))
    renderer.run([again])
    assert isinstance(again.outcomes[0], Failure) and time.monotonic() - started < 0.5


def test_a_killed_child_is_replaced(renderer):
    """Whoever kills the child, the next job gets another one that knows all it needs."""
    assert render(renderer, "{{ a }}", {"a": 5}) == 5
    os.kill(renderer._child.pid, signal.SIGKILL)
    assert render(renderer, "{{ a }} {{ facts.x }}", {"a": 5}, facts={"x": 1}) == "5 1"
    assert renderer.starts == 2


def test_a_child_that_says_nothing_is_not_waited_for_for_ever(tmp_path):
    """A stopped child is given up after a bounded time, and another one does its work."""
    with Renderer(tmp_path, job_s=0.1) as renderer:
        assert render(renderer, "{{ 1 }}") == 1
        os.kill(renderer._child.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert render(renderer, "{{ 2 }}") == 2
        assert time.monotonic() - started < 20
        assert renderer.starts == 2


@pytest.mark.parametrize(
    "source",
    [
        "{{ cycler.__init__.__globals__ }}", "{{ ''.__class__.__mro__ }}", "{{ lipsum }}", "{{ self.__init__ }}", "{{ [].append(1) }}",
        "{{ d.update({}) }}", "{{ d.pop('a') }}", "{{ '{0.__class__}'.format(1) }}", "{{ (lambda: 1)() }}", "{{ [1] | random }}",
        "{{ range.__self__ }}", "{{ d.__class__ }}", "{{ joiner().__globals__ }}", "{% do d.clear() %}", "{{ d['__class__'] }}",
    ],
)  # fmt: skip
def test_the_sandbox_gives_no_way_out(renderer, source):
    """No internals of Python, no change of data, nothing that comes out differently each time."""
    assert failure(render(renderer, source, {"d": {"a": 1}}))["code"] in ("E201", "E202", "E209")


def test_the_child_has_no_files_no_network_and_no_environment(tmp_path, monkeypatch):
    """What the sandbox might miss the kernel refuses: no descriptor can be opened, and the environment is empty."""
    monkeypatch.setenv("CANARY", CANARY)
    with Renderer(tmp_path) as renderer:
        render(renderer, "{{ 1 }}")
        pid = renderer._child.pid
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        limits = Path(f"/proc/{pid}/limits").read_text()
        descriptors = {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
    assert CANARY.encode() not in environ
    assert any(line.startswith("Max open files") and line.split()[3:5] == ["0", "0"] for line in limits.splitlines())
    assert all(name.startswith(("pipe:", "/dev/null", "/proc/")) for name in descriptors), descriptors


def test_templates_include_what_lies_in_the_project(renderer):
    """include, import and extends are relative to the template that names them."""
    root = renderer.jail.root / "templates"
    (root / "parts").mkdir()
    (root / "parts/row.j2").write_text("<{{ name }}>{% include 'deep.j2' %}")
    (root / "parts/deep.j2").write_text("deep {{ host.name }}")
    (root / "macros.j2").write_text(
        "{% macro line(x) %}{{ x }}={{ host.name }};{% endmacro %}{% set who = host.name %}"
    )
    (root / "base.j2").write_text("begin {% block body %}{% endblock %} end")
    assert template(renderer, "{% include 'parts/row.j2' %}", {"name": "n"}) == "<n>deep web1"
    assert template(renderer, "{% import 'macros.j2' as m %}{{ m.line(1) }}{{ m.who }}") == "1=web1;web1"
    assert (
        template(renderer, "{% extends 'base.j2' %}{% block body %}{{ name }}{% endblock %}", {"name": "n"})
        == "begin n end"
    )
    assert template(renderer, "{% include 'nope.j2' ignore missing %}ok") == "ok"


def test_an_import_shows_each_host_its_own_values(renderer):
    """A module that jinja would keep for ever holds values of one host; the next host must not see them."""
    (renderer.jail.root / "templates/m.j2").write_text("{% set who = host.name ~ facts.x %}")
    (renderer.jail.root / "templates/t.j2").write_text("{% import 'm.j2' as m %}{{ m.who }}")
    register, found = renderer.register, []
    for name in ("a", "b"):
        job = Job(
            register.scope(register.host({"name": name}, {"x": name}), {}, {}),
            (register.source("template", "templates/t.j2"),),
        )
        renderer.run([job])
        found += job.outcomes
    assert found == ["aa", "bb"]


def test_equal_expressions_are_rendered_once_for_all_hosts(renderer):
    """What depends on nothing of the host is the same object for all; what depends on it is not shared."""
    register, value = renderer.register, [1, 2]
    shared, own = Expression("{{ a | length }}"), Expression("{{ host.name }}{{ b }}")
    jobs = []
    for name in ("x", "y", "z"):
        scope = register.scope(
            register.host({"name": name}, {}), {"a": value, "b": Expression("{{ facts | length }}")}, {}
        )
        jobs += [Job(scope, (register.source("value", shared),)), Job(scope, (register.source("value", own),))]
    renderer.run(jobs)
    assert [job.outcomes for job in jobs] == [[2], ["x0"], [2], ["y0"], [2], ["z0"]]
    assert jobs[0].outcomes is jobs[2].outcomes is jobs[4].outcomes


def test_local_names_never_leak_into_variables(renderer):
    """`item` is seen where it stands; a variable that uses the name `item` means a variable."""
    variables = {"v": Expression("{{ item }}")}
    assert render(renderer, "{{ item }}", variables, names={"item": 1}) == 1
    assert failure(render(renderer, "{{ v }}", variables, names={"item": 1}))["summary"] == "`item` is undefined"


def test_what_needs_a_parameter_waits_where_no_store_is_asked(renderer):
    """As what needs facts waits before the first contact: a check of files knows neither, and blames nobody."""
    for call in ("param('/x')", "secret('/x')"):
        assert render(renderer, "{{ " + call + " }}") is UNKNOWN


def test_a_child_that_grew_gives_way_to_a_fresh_one(renderer, monkeypatch):
    """Between two batches a large child is replaced, and the next one knows all it needs."""
    monkeypatch.setattr("statectl.catalogue.render.REPLACE_ABOVE", -1)
    for number in range(3):
        assert render(renderer, "{{ a }} {{ facts.n }}", {"a": 5}, facts={"n": number}) == f"5 {number}"
    assert renderer.starts >= 3


def test_what_ansible_vault_closed_stays_closed_until_it_is_used(renderer):
    """An encrypted value does no harm where it is not used, and is named where it is."""
    from statectl.targets.values import Vaulted

    variables = {"v": Vaulted("$ANSIBLE_VAULT;1.1;AES256"), "m": {"v": Vaulted("x"), "w": 1}}
    assert render(renderer, "{% if false %}{{ v }}{% endif %}{{ m.w }}", variables) == "1"
    report = failure(render(renderer, "{{ v }}", variables))
    assert report["code"] == "E215"
    assert "ansible-vault" in report["summary"]


def test_a_hosts_own_rendering_serves_its_second_compiling(renderer, monkeypatch):
    """Hosts are compiled from stored facts and again from fresh ones: what uses no facts is the same, and of no other host."""
    rendered = []
    exchange = renderer._exchange
    monkeypatch.setattr(
        renderer, "_exchange", lambda jobs, what, **how: rendered.extend(jobs) or exchange(jobs, what, **how)
    )
    register = renderer.register
    own = register.source("value", Expression("{{ host.name }} {{ n }}"))
    fact = register.source("value", Expression("{{ host.name }} {{ facts.n }}"))

    def compiled(name, facts, n):
        scope = register.scope(register.host({"name": name}, facts), {"n": n}, {})
        jobs = [Job(scope, (own,)), Job(scope, (fact,))]
        rendered.clear()
        renderer.run(jobs)
        return [job.outcomes[0] for job in jobs], len([job for job in rendered if job in jobs])

    compiled("web0", {"n": 0}, 1)  # learns which names they need
    assert compiled("web1", {"n": 1}, 1) == (["web1 1", "web1 1"], 2)
    assert compiled("web2", {"n": 2}, 1) == (["web2 1", "web2 2"], 2)
    assert compiled("web1", {"n": 3}, 1) == (["web1 1", "web1 3"], 1)
    assert compiled("web2", {"n": 2}, 5) == (["web2 5", "web2 2"], 2)
