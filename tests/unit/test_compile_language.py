"""From YAML to the catalogue of a host: what the language says is what the executor gets."""

import datetime as dt
import json
import re

import pytest

from statectl.secrets import Secret
from tests.unit.compiling import HOSTS, Compiled, association, one_host, resources, shown, text


def test_a_long_form_reaches_the_host_field_by_field(tmp_path):
    """Every field as written, None left out, contents as blobs."""
    found = one_host(
        tmp_path,
        "files: {/etc/motd: {content: hello, mode: 0644, owner: root, sensitive: true, on_removal: leave, protect: true}}",
    )
    entry = resources(found)["file:/etc/motd"]
    want = entry["want"]
    assert {key: want[key] for key in ("name", "mode", "owner", "state")} == {
        "name": "/etc/motd",
        "mode": "0644",
        "owner": "root",
        "state": "present",
    }
    assert want["content"]["size"] == 5 and found.blobs[want["content"]["$blob"]] == b"hello"
    assert (entry["sensitive"], entry["on_removal"], entry["protect"]) == (True, "leave", True)
    assert entry["source"] == {"file": "states/a.yml", "line": 4}
    assert set(want) == {"name", "mode", "owner", "state", "content"}
    json.dumps(found.catalogue)


def test_for_each_makes_one_resource_for_each_item(tmp_path):
    """Lists give items, maps give key and value; what an item lacks takes its default; an empty list makes nothing."""
    body = """vars:
  sites: [{domain: a.org}, {domain: b.org, port: 81}]
  empty: []
files:
  "/etc/{{ item.domain }}": {for_each: "{{ sites }}", content: "{{ item.port | default(80) }}"}
  "/etc/x{{ item.key }}": {for_each: {k1: v1, k2: "{{ sites[0].domain }}"}, content: "{{ item.value }}"}
  "/etc/n{{ item }}": {for_each: "{{ empty }}", content: x}
  "/etc/l{{ item }}": {for_each: [1, two], content: x, when: item != 1}
"""
    found = one_host(tmp_path, body)
    assert sorted(resources(found)) == [
        "file:/etc/a.org",
        "file:/etc/b.org",
        "file:/etc/ltwo",
        "file:/etc/xk1",
        "file:/etc/xk2",
    ]
    assert text(found, "file:/etc/a.org") == "80"
    assert text(found, "file:/etc/b.org") == "81"
    assert text(found, "file:/etc/xk2") == "a.org"


def test_a_whole_section_may_be_a_list_from_a_variable(tmp_path):
    """Where a list of names is a short form, an expression that gives one is too, also under a condition; an empty list is nothing."""
    body = """vars: {tools: [git, curl], nothing: []}
packages: "{{ tools + ['tmux'] }}"
given:
  - when: tools | length > 1
    packages: "{{ ['jq'] }}"
  - when: true
    packages: "{{ nothing }}"
"""
    found = resources(one_host(tmp_path, body))
    assert sorted(found) == ["package:curl", "package:git", "package:jq", "package:tmux"]
    assert found["package:git"]["want"]["state"] == "present"
    assert found["package:git"]["source"] == {"file": "states/a.yml", "line": 5}


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ('packages: "{{ 5 }}"', "E213", "`packages` needs a list or a map"),
        ('packages: "git {{ 5 }}"', "E213", "`packages` needs a list or a map"),
        ('packages: "{{ [[1]] }}"', "E211", "name of a package"),
    ],
)
def test_a_section_that_is_no_list_says_so(tmp_path, body, code, words):
    """The section is named, not a `for_each` that nobody wrote."""
    problem = one_host(tmp_path, body).problems[0]
    assert problem.code == code
    assert words in problem.summary


def test_conditions_decide_on_groups_resources_and_profiles(tmp_path):
    """`when` takes away a group, a resource or a profile; `given` passes on edges and defaults."""
    body = """given:
  - when: facts.os.family == 'redhat'
    packages: [tcpdump]
  - when: facts.os.family == 'debian'
    defaults: {owner: root, group: adm, mode: 0640}
    notify: service:app
    after: package:vim
    files:
      /etc/a: {content: a}
      /etc/b: {content: b, mode: 0600}
      /etc/c: absent
    given: [{when: false, files: {/etc/d: {content: d}}}]
packages: [vim]
services: {app: running}
use:
  yes: {profile: p, when: facts.memory_mb > 1000}
  no: {profile: p, when: facts.memory_mb < 1000}
"""
    found = one_host(tmp_path, body, files={"states/p.yml": "profiles: {p: {files: {/etc/p: {content: p}}}}\n"})
    entries = resources(found)
    assert sorted(entries) == ["file:/etc/a", "file:/etc/b", "file:/etc/c", "file:/etc/p", "package:vim", "service:app"]
    a, b, c = (entries[f"file:/etc/{name}"] for name in "abc")
    assert (a["want"]["owner"], a["want"]["group"], a["want"]["mode"]) == ("root", "adm", "0640")
    assert b["want"]["mode"] == "0600"
    assert set(c["want"]) == {"name", "state"}
    assert a["notify"] == ["service:app"] and a["after"] == ["package:vim"]


def test_profiles_get_checked_inputs(tmp_path):
    """Inputs are given by map or expression, checked, defaulted, and seen as `inputs`; profiles may use profiles."""
    body = """vars: {sites: [{domain: a.org}, {domain: b.org, port: 81}]}
use:
  site: {for_each: "{{ sites }}", with: "{{ item }}", notify: service:nginx}
services: {nginx: running}
"""
    profiles = """profiles:
  site:
    inputs: {domain: {type: string, required: true}, port: {type: integer, default: 8080, minimum: 1, maximum: 65535}}
    use: {log: {with: {name: "{{ inputs.domain }}"}}}
    files:
      "/etc/{{ inputs.domain }}": {content: "{{ inputs.port }}"}
  log:
    inputs: {name: {type: string}}
    directories: {"/var/log/{{ inputs.name }}": {}}
"""
    found = one_host(tmp_path, body, files={"states/p.yml": profiles})
    assert text(found, "file:/etc/a.org") == "8080" and text(found, "file:/etc/b.org") == "81"
    entries = resources(found)
    assert entries["directory:/var/log/a.org"]["notify"] == ["service:nginx"]
    assert entries["file:/etc/a.org"]["source"]["file"] == "states/p.yml"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{domain: a, port: 0}", "expected at least 1"),
        ("{domain: a, port: 70000}", "expected at most 65535"),
        ("{domain: a, port: '80'}", "expected a whole number"),
        ("{domain: [a]}", "expected text"),
        ("{domain: B}", "does not match [a-z.]+"),
        ("{domain: a, level: x}", "expected one of low, high"),
        ("{domain: a, prot: 1}", "has no input `prot` | did you mean `port`?"),
        ("{port: 1}", "needs input `domain`"),
    ],
)
def test_wrong_inputs_are_named_at_their_place(tmp_path, given, words):
    """A wrong input, found only when it is rendered, stops the host with the place of the use and of the profile."""
    profile = "profiles: {p: {inputs: {domain: {type: string, required: true, pattern: '[a-z.]+'}, port: {type: integer, default: 1, minimum: 1, maximum: 65535}, level: {type: string, default: low, choices: [low, high]}}}}\n"
    body = f"vars:\n  all: {given}\nuse: {{p: {{with: '{{{{ all }}}}'}}}}"
    found = one_host(tmp_path, body, files={"states/p.yml": profile})
    assert [problem.code for problem in found.problems] == ["E124"]
    assert words in shown(found.problems[0]) and "states/a.yml:6" in shown(found.problems[0])
    assert "states/p.yml:1" in shown(found.problems[0])


def test_variables_near_the_host_win_and_can_be_joined(tmp_path):
    """vars < where < group < host < --set; merge_vars joins by name, by appending or deeply."""
    hosts = """hosts:
  web1: {groups: [web], tags: {env: prod}, vars: {d: host, ports: [3], admins: [{name: eva, uid: 3}], limits: {b: {y: 2}}}}
groups:
  web: {vars: {c: group, d: group, ports: [2]}}
"""
    body = """vars: {a: far, b: far, c: far, d: far, e: far, ports: [1], admins: [{name: ada, uid: 1}, {name: eva, uid: 2, shell: sh}], limits: {a: 1, b: {x: 1}}}
where: [{targets: env=prod, mode: audit, vars: {b: where, c: where}}]
merge_vars: {ports: append, admins: by name, limits: deep}
files:
  /x: {content: "{{ a }} {{ b }} {{ c }} {{ d }} {{ e }} {{ ports }} {{ admins | to_json }} {{ limits | to_json }}"}
"""
    found = one_host(tmp_path, body, hosts=hosts, variables={"e": "set"})
    assert text(found, "file:/x") == (
        "far where group host set [1, 2, 3] "
        '[{"name": "ada", "uid": 1}, {"name": "eva", "shell": "sh", "uid": 3}] {"a": 1, "b": {"x": 1, "y": 2}}'
    )
    assert found.catalogue["associations"][0]["mode"] == "audit"


def test_probes_are_rendered_before_and_read_after_the_contact(tmp_path):
    """A probe's arguments may use variables; its result is a name of its association, a failed one says why."""
    body = """vars: {file: /etc/x.pem}
probes: {days: {run: [left, "{{ file }}"], type: integer, timeout: 5s}}
files: {"/x": {content: "{{ days }}"}}
"""
    with Compiled(tmp_path, {"states/a.yml": association(body)}) as compiled:
        asked, problems = compiled.compiler.probes("web1")
        assert (asked, problems) == (
            [{"name": "days", "argv": ["left", "/etc/x.pem"], "type": "integer", "timeout_s": 5.0}],
            [],
        )
        found = compiled.host(probes={"days": {"ok": True, "value": 13}})
        assert text(found, "file:/x") == "13"
        failed = compiled.host(probes={"days": {"ok": False, "reason": "exit status 2"}})
        assert "probe `days` failed: exit status 2" in shown(failed.problems[0])
        offline, problems = compiled.fleet()
        assert not problems and offline["web1"].waits_for_facts == 1


def test_hosts_gives_a_sorted_list_with_vars_and_stored_facts(tmp_path):
    """hosts() sees names, addresses, tags, variables as that host has them, and facts of the last contact."""
    hosts = """hosts:
  pg2: {address: 192.0.2.2, groups: [pg], tags: {role: replica}, vars: {number: 5433, dsn: "{{ host.name }}:{{ number }}"}}
  pg1: {address: 192.0.2.1, groups: [pg], tags: {role: primary}, vars: {number: 5432, dsn: "{{ host.name }}:{{ number }}"}}
  web1: {}
"""
    body = """files:
  /x: {content: "{% for h in hosts('group:pg') %}{{ h.name }} {{ h.address }} {{ h.tags.role }} {{ h.vars.dsn }} {{ h.facts.cpu }} {{ h.facts_at }}\\n{% endfor %}"}
  /y: {content: "{{ hosts('group:pg and role=primary')[0].name }}"}
"""
    stored = {name: ({"cpu": 4, "evil": "{{ 1 }}"}, "2027-01-01T00:00:00Z") for name in ("pg1", "pg2")}
    found = one_host(tmp_path, body, hosts=hosts, stored_facts=stored.get)
    assert text(found, "file:/x") == (
        "pg1 192.0.2.1 primary pg1:5432 4 2027-01-01T00:00:00Z\npg2 192.0.2.2 replica pg2:5433 4 2027-01-01T00:00:00Z\n"
    )
    assert text(found, "file:/y") == "pg1"
    assert found.references == {"group:pg": ("pg1", "pg2"), "group:pg and role=primary": ("pg1",)}


def test_a_catalogue_names_the_parameters_that_its_host_needs(tmp_path):
    """Read by an expression, a template, or a variable that was made for another expression before; and no others."""
    asked = []

    def parameter(name):
        asked.append(name)
        return name.upper()

    body = """vars: {port: "{{ param('/app/port') }}", both: {a: "{{ param('/a') }}", b: 1}}
files:
  /first: {content: "{{ secret('/app/key:3') }}"}
  /third: {content: "{{ both.b }}", when: host.name == 'web2'}
  /fourth: {content: "{{ param('/never') }}", when: host.name == 'db1'}
  /fifth: {content: "{{ both.a }}", when: host.name == 'web2'}
given:
  - when: host.name == 'web1'
    files: {/sixth: {content: "port {{ port }}"}}
  - when: host.name != 'x'
    given: [{when: host.name != 'y', files: {/second: {content: "{{ port }}"}}}]
"""
    look = {"parameter": parameter, "secret": lambda name: Secret("s3cret", name)}
    with Compiled(tmp_path, {"states/a.yml": association(body)}, **look) as compiled:
        found, problems = compiled.fleet()
    assert not problems
    assert found["web1"].parameters == {"web": ("/app/port", "/app/key:3")}
    assert found["web2"].parameters == {"web": ("/a", "/app/port", "/app/key:3")}
    assert sorted(asked) == ["/a", "/app/port"]  # once, however many hosts and expressions need it


def test_hosts_that_are_misspelt_are_an_error_with_the_nearest_name(tmp_path):
    """hosts() with an unknown group is a mistake and not an empty list."""
    found = one_host(tmp_path, "files: {/x: {content: \"{{ hosts('group:wbe') }}\"}}")
    assert [(one.code, "did you mean `web`?" in shown(one)) for one in found.problems] == [("E218", True)]


def test_before_the_first_contact_only_what_needs_facts_waits(tmp_path):
    """Offline a host without stored facts compiles without the steps that need them, and without an error."""
    body = """files:
  /a: {content: "{{ facts.os.id }}"}
  /b: {content: b, after: file:/a}
  /c: {content: c, when: facts.memory_mb > 1}
"""
    with Compiled(tmp_path, {"states/a.yml": association(body)}) as compiled:
        found, problems = compiled.fleet()
        assert not problems
        assert list(resources(found["web1"])) == ["file:/b"] and found["web1"].waits_for_facts == 2
        assert list(resources(compiled.host())) == ["file:/a", "file:/b", "file:/c"]


def test_facts_of_hosts_that_were_never_contacted_wait_offline_and_fail_then(tmp_path):
    """Offline nobody is blamed; when the host's own turn comes, what is missing is named with its place."""
    with Compiled(
        tmp_path, {"states/a.yml": association("files: {/x: {content: \"{{ hosts('web2')[0].facts.cpu }}\"}}")}
    ) as compiled:
        assert compiled.fleet()[1] == ()
        found = compiled.host()
    assert [(one.code, str(one.span)) for one in found.problems] == [("E216", "states/a.yml:4:27")]


SECRET_HOSTS = "hosts: {web1: {groups: [web]}}\ngroups: {web: {vars: {key: {value_from: 'env:CANARY_KEY'}, dsn: 'pg://{{ key }}@db'}}}\n"
CANARY = "canary-77aa"


def test_secrets_travel_apart_and_only_for_what_uses_them(tmp_path, monkeypatch):
    """The catalogue and its hash hold ids; values stand beside it, as Secret, for this host only."""
    monkeypatch.setenv("CANARY_KEY", CANARY)
    body = """files:
  /a: {content: "{{ key }}", mode: 0600}
  /b: {content: "dsn={{ dsn }}\\n"}
users: {app: {password_hash: "{{ key }}"}}
commands: {c: {run: [x], creates: /y, env: {TOKEN: "{{ key }}", B: plain}}}
cron_jobs: {j: {command: run, minute: 1, env: {T: "a{{ key }}"}}}
"""
    found = one_host(tmp_path, body, hosts=SECRET_HOSTS)
    entries = resources(found)
    assert entries["file:/a"]["want"]["content"]["$parts"][0]["$secret"] in found.secrets
    secret = next(iter(found.secrets))
    assert entries["file:/b"]["want"]["content"] == {"$parts": ["dsn=pg://", {"$secret": secret}, "@db\n"]}
    assert entries["user:app"]["want"]["password_hash"] == {"$parts": [{"$secret": secret}]}
    assert entries["command:c"]["want"]["env"] == {"TOKEN": {"$parts": [{"$secret": secret}]}, "B": "plain"}
    assert entries["cron_job:j"]["want"]["env"] == {"T": {"$parts": ["a", {"$secret": secret}]}}
    assert all(isinstance(one, Secret) for one in found.secrets.values()) and len(found.secrets) == 1
    assert CANARY not in repr(found) and CANARY not in json.dumps(found.catalogue)
    monkeypatch.setenv("CANARY_KEY", "another")
    again = one_host(tmp_path, body, hosts=SECRET_HOSTS)
    assert again.catalogue["hash"] == found.catalogue["hash"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("commands: {c: {run: [curl, '{{ key }}'], creates: /y}}", "E214"),
        ("commands: {c: {run: 'curl {{ key }}', creates: /y}}", "E214"),
        ("files: {/x: {content: a, validate: 'check {{ key }} %s'}}", "E214"),
        ("files: {'/etc/{{ key }}': {content: a}}", "E211"),
        ("files: {/x: {content: a, owner: '{{ key }}'}}", "E214"),
        ("files: {/x: {content: a, mode: '{{ key }}'}}", "E214"),
        ("files: {/x: {content: a, when: key == 'x'}}", "E206"),
        ("files: {/x: {content: '{{ key | upper }}'}}", "E206"),
        ("packages: ['{{ key }}']", "E211"),
        ("probes: {p: {run: [x]}}\nfiles: {/x: {content: '{{ key | length }}'}}", "E206"),
    ],
)
def test_a_secret_never_stands_where_others_see_it(tmp_path, monkeypatch, body, code):
    """Arguments, names, paths, owners and conditions hold no secret; the error names the field and not the value."""
    monkeypatch.setenv("CANARY_KEY", CANARY)
    found = one_host(tmp_path, body, hosts=SECRET_HOSTS)
    assert code in [one.code for one in found.problems]
    assert CANARY not in repr(found)


def test_a_missing_secret_is_said_where_it_is_defined(tmp_path, monkeypatch):
    """The whole fleet learns offline that a secret is not there; whoever only checks files need not have it."""
    monkeypatch.delenv("CANARY_KEY", raising=False)
    with Compiled(
        tmp_path, {"states/a.yml": association("files: {/a: {content: '{{ key }}'}}")}, hosts=SECRET_HOSTS
    ) as compiled:
        _, problems = compiled.fleet()
        assert [(one.code, one.span.file) for one in problems] == [("E167", "inventories/prod/hosts.yml")]
        assert compiled.compiler.fleet(read_secrets=False)[1] == ()


def test_files_of_the_project_travel_as_they_are(tmp_path):
    """source is byte for byte and by path; a template keeps its last newline and loses the newline after a block."""
    files = {
        "states/files/logo.bin": bytes(range(256)) * 10,
        "states/t.j2": "a\n{% if true %}\nb\n{% endif %}\n  {% if true %}c{% endif %}\n",
    }
    found = one_host(tmp_path, "files: {/logo: {source: files/logo.bin}, /t: {template: t.j2}}", files=files)
    content = resources(found)["file:/logo"]["want"]["content"]
    assert found.blobs[content["$blob"]] == tmp_path / "states/files/logo.bin" and content["size"] == 2560
    assert text(found, "file:/t") == "a\nb\n  c"


def test_fragments_join_in_the_order_of_their_names(tmp_path):
    """Parts may be text, files and templates; their names decide, not where they are written."""
    body = """vars: {n: 3}
files:
  /x:
    fragments:
      30-c: {content: "c{{ n }}"}
      10-a: {template: a.j2}
      20-b: {source: b.txt}
"""
    found = one_host(tmp_path, body, files={"states/a.j2": "a{{ host.name }}\n", "states/b.txt": "b\n"})
    assert text(found, "file:/x") == "aweb1\nb\nc3"


def test_a_tree_is_one_resource_with_a_manifest(tmp_path):
    """Directories, files, links and rendered templates of a directory, in one list; what else is declared below is known."""
    files = {
        "states/site/index.html.j2": "<p>{{ host.name }}</p>",
        "states/site/css/a.css": "a{}",
        "states/site/raw.j2": "{{ x }}",
    }
    body = "trees: {/srv/www: {source: site, templates: ['*.html.j2'], exclusive: true}}\nfiles: {/srv/www/up/x: {content: a}}"
    with Compiled(tmp_path, {"states/a.yml": association(body), **files}) as compiled:
        (tmp_path / "states/site/latest").symlink_to("css/a.css")
        (tmp_path / "states/site/css/a.css").chmod(0o755)
        found = compiled.host()
    want = resources(found)["tree:/srv/www"]["want"]
    entries = {entry.pop("path"): entry for entry in want["manifest"]["$manifest"]}
    assert entries["css"] == {"kind": "directory"} and entries["latest"] == {"kind": "link", "to": "css/a.css"}
    assert entries["css/a.css"]["executable"] is True
    assert found.blobs[entries["index.html"]["content"]["$blob"]] == b"<p>web1</p>"
    assert found.blobs[entries["raw.j2"]["content"]["$blob"]] == tmp_path / "states/site/raw.j2"
    assert want["declared"] == ["up/x"]


def test_an_exclusive_directory_knows_what_else_is_declared_in_it(tmp_path):
    """Files, links and deeper paths in an exclusive directory are named, so that they are not taken for strangers."""
    body = "directories: {/etc/d: {exclusive: true}, /etc/d/sub: {}}\nfiles: {/etc/d/a: {content: a}, /etc/d/gone: absent, /etc/d/sub/b: {content: b}}\nlinks: {/etc/d/l: a}"
    entries = resources(one_host(tmp_path, body))
    assert entries["directory:/etc/d"]["want"]["declared"] == ["a", "l", "sub"]
    assert "declared" not in entries["directory:/etc/d/sub"]["want"]


def test_associations_merge_what_does_not_conflict(tmp_path):
    """Fields of one address join, sets unite, fragments of several associations build one file; the first one runs it."""
    files = {
        "states/a.yml": association("users: {app: {groups: [adm], shell: /bin/sh}}\nfiles: {/x: {owner: root, fragments: {10-a: {content: a}}, notify: service:s}}\nservices: {s: running}", "base")
        + association("requires: [base]\nusers: {app: {groups: [www, adm], comment: App}}\nfiles: {/x: {mode: 0600, fragments: {20-b: {template: b.j2}}, sensitive: true}}", "web", head=""),
        "states/b.j2": "b{{ host.name }}",
    }  # fmt: skip
    with Compiled(tmp_path, files) as compiled:
        found, other = compiled.host("web1"), compiled.host("web2")
    entries = resources(found)
    assert entries["user:app"]["want"]["groups"] == ["adm", "www"]
    assert (entries["user:app"]["want"]["shell"], entries["user:app"]["want"]["comment"]) == ("/bin/sh", "App")
    file = entries["file:/x"]
    assert (file["association"], file["owners"], file["sensitive"], file["notify"]) == (
        "base",
        ["base", "web"],
        True,
        ["service:s"],
    )
    assert (file["want"]["owner"], file["want"]["mode"]) == ("root", "0600")
    assert text(found, "file:/x") == "abweb1" and text(other, "file:/x") == "abweb2"


def conflict(tmp_path, override="", today="2027-01-01", field="value: 1"):
    body = f"override: {{'sysctl:a.b': {{of: base, reason: router{override}}}}}\n" if override is not None else ""
    files = {
        "states/a.yml": association("sysctls: {a.b: 0}", "base")
        + association(f"{body}sysctls: {{a.b: {{{field}}}}}", "router", head="")
    }
    with Compiled(tmp_path, files, today=dt.date.fromisoformat(today)) as compiled:
        return compiled.host()


def test_a_conflict_is_an_error_with_both_places(tmp_path):
    """Two associations that want different things: both lines, and how to say who wins."""
    found = conflict(tmp_path, override=None)
    assert [one.code for one in found.problems] == ["E120"]
    line = shown(found.problems[0])
    assert "base and router want different `value` of sysctl:a.b" in line
    assert "states/a.yml:7" in line and "states/a.yml:4" in line and "override:" in line


def test_an_override_wins_until_its_date_and_is_shown(tmp_path):
    """The overriding side holds whatever the order; the catalogue shows why; after the date it is an error."""
    found = conflict(tmp_path, override=", until: 2027-06-30")
    entry = resources(found)["sysctl:a.b"]
    assert entry["want"]["value"] == "1"
    because = {"of": "base", "reason": "router", "until": "2027-06-30", "by": "router"}
    assert entry["overrides"] == [{**because, "fields": "value", "source": "states/a.yml:4"}]
    late = conflict(tmp_path, override=", until: 2027-06-30", today="2027-07-01")
    assert [one.code for one in late.problems] == ["E121"]
    assert not conflict(tmp_path, override=", until: 2027-06-30", today="2027-06-30").problems


def test_two_resources_for_one_thing_are_an_error_even_when_rendered(tmp_path):
    """One association, one address; and one path for one type, however it is written."""
    body = "vars: {p: /etc//x}\nfiles: {/etc/x: {content: a}, '{{ p }}': {content: a}}\nlinks: {'{{ p }}/y/../z': /a, '/etc/x/{{ \"z\" }}': /a}"
    found = one_host(tmp_path, body)
    assert {one.code for one in found.problems} == {"E102"}
    found = one_host(tmp_path, "vars: {p: /etc/x}\nfiles: {/etc/x: {content: a}}\nlinks: {'{{ p }}': /a}")
    assert "both manage /etc/x" in shown(found.problems[0])


def test_limits_are_refused_before_a_host_is_asked(tmp_path):
    """With limits.paths only paths below them compile, also when rendered; limits.deny wins."""
    head = "project: demo\ninventory: inventories/prod\nlimits: {paths: [/tmp/play], deny: [/tmp/play/no]}\n"
    body = """vars: {p: /tmp/play/../x}
files: {/tmp/play/ok: {content: a}, /tmp/playground: {content: a}, "{{ p }}": {content: a}, /tmp/play/no/x: {content: a}}
packages: [vim]
lines: {l: {path: /etc/hosts, line: a}, m: {path: /tmp/play/hosts, line: a, create: true}}
"""
    found = one_host(tmp_path, body, files={"statectl.yml": head})
    assert {one.code for one in found.problems} == {"E125"}
    refused = " ".join(one.summary for one in found.problems)
    assert all(
        name in refused for name in ("/tmp/playground", "/tmp/x", "package:vim", "/etc/hosts", "denied by limits.deny")
    )
    assert len(found.problems) == 5


def test_selected_only_and_flags_are_passed_on(tmp_path):
    """The whole host is compiled whatever is selected; the executor is told what to act on."""
    files = {"states/a.yml": association("packages: [a]", "base") + association("packages: [b]", "web", head="")}
    with Compiled(tmp_path, files, selected=["web"], only=["package:b"], prune=True) as compiled:
        catalogue = compiled.host().catalogue
    assert [(one["name"], one["selected"]) for one in catalogue["associations"]] == [("base", False), ("web", True)]
    assert (catalogue["only"], catalogue["prune"], len(catalogue["resources"])) == (["package:b"], True, 2)


def test_the_catalogue_is_what_the_executor_accepts(tmp_path):
    """Both halves agree on the message, key by key."""
    from statectl.onhost import messages

    files = {
        "states/a.yml": association(
            "files: {/x: {content: a, notify: service:s, on_removal: leave}}\nservices: {s: running}\nwhere: [{targets: web1, mode: audit}]"
        )
    }
    with Compiled(tmp_path, files) as compiled:
        messages.check(compiled.host().catalogue)


def test_the_same_project_compiles_to_the_same_hash(tmp_path):
    """Nothing of time, of dictionaries' order or of the process gets into a catalogue."""
    body = 'vars: {a: {y: 1, x: 2}}\nfiles: {/x: {content: \'{{ a | to_json }} {{ hosts("all") | map(attribute="name") | list }}\'}}\npackages: [b, a]'
    hashes = {one_host(tmp_path, body).catalogue["hash"] for _ in range(2)}
    assert len(hashes) == 1 and re.fullmatch("[0-9a-f]{64}", hashes.pop())
    assert one_host(tmp_path, body + "\nservices: {s: running}").catalogue["hash"] not in hashes


def test_associations_run_after_those_they_require(tmp_path):
    """requires orders the associations of a host; what is not on the host is left out."""
    files = {
        "states/a.yml": association("requires: [base, other]", "app")
        + association("packages: [a]", "base", head="")
        + association("packages: [b]", "other", targets="web2", head="")
    }
    with Compiled(tmp_path, files, hosts=HOSTS) as compiled:
        assert [(one["name"], one["requires"]) for one in compiled.host("web1").catalogue["associations"]] == [
            ("base", []),
            ("app", ["base"]),
        ]


def test_a_reserved_name_on_the_command_line_is_refused(tmp_path):
    """What `facts` means never depends on who defined a variable."""
    project = Compiled(tmp_path, {"states/a.yml": association("files: {/x: {content: a}}")}, variables={"facts": 1})
    _, problems = project.fleet()
    assert {problem.code for problem in problems} == {"E217"}
    project.renderer.close()
