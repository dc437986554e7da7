"""What the files say is what the compiler gets: the example of the language, field by field."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from statectl.problems import Problem
from statectl.project.fix import fix
from statectl.project.load import load_project
from statectl.project.scalars import Expression, Plain, WrittenInt
from statectl.project.types import Sections, resource_types
from statectl.sections import load, selector_problems, table
from tests.bad_input.loading import lines, write

EXAMPLE = """\
associations:
  base: {targets: all, packages: [curl, vim]}
  web:
    description: Public web tier
    targets: group:web and not env=dev
    requires: [base]
    schedule: rate(30 minutes)
    mode: enforce
    severity: high
    disrupt: always
    max_concurrency: 10%
    max_errors: 2
    where:
      - targets: env=prod
        mode: audit
        vars: {port: 81}
    vars:
      port: 80
      sites:
        - {domain: shop.example.org}
        - {domain: blog.example.org, port: 8081}
    merge_vars: {sites: by domain, ports: append, limits: deep}
    probes:
      tls_days_left:
        run: [/usr/local/bin/tls-days-left, "{{ tls_path }}"]
        type: integer
        timeout: 5s
      kernel: {run: uname -r}
    override:
      "sysctl:net.ipv4.ip_forward": {of: base, reason: router, until: 2027-06-30}
    packages:
      nginx: "1.22.*"
      libnginx-mod-brotli: present
      telnetd: absent
    directories:
      /etc/nginx/sites-enabled:
        mode: 0755
        exclusive: true
        notify: service:nginx
    files:
      /etc/nginx/nginx.conf:
        template: templates/nginx.conf.j2
        mode: 0644
        validate: nginx -t -c %s
        notify: service:nginx
      /etc/nginx/tls.key:
        content: "{{ secret('/web/tls_key') }}"
        mode: 0600
        sensitive: true
        on_removal: leave
        protect: true
        after: [package:nginx, "file:{{ x }}"]
      /etc/old.conf: absent
      "/etc/nginx/conf.d/{{ item.domain }}.conf":
        for_each: "{{ sites }}"
        template: templates/site.conf.j2
        when: item.domain != 'x'
    given:
      - when: facts.os.family == 'redhat'
        defaults: {owner: root, mode: 0640}
        notify: service:nginx
        packages: [policycoreutils-python-utils]
        given:
          - files: {/etc/inner: {content: x}}
    services:
      nginx: {state: running, enabled: true, on_notify: reload}
    use:
      nginx-site: {for_each: "{{ sites }}", with: "{{ item }}"}
      second: {profile: nginx-site, with: {domain: 1.10, port: 8081}}
profiles:
  nginx-site:
    description: One site
    inputs:
      domain: {type: string, required: true}
      port: {type: integer, default: 8080, minimum: 1, maximum: 65535}
    files:
      "/etc/nginx/sites-enabled/{{ inputs.domain }}.conf":
        template: templates/site.conf.j2
        notify: service:nginx
"""
FILES = {
    "states/web.yml": EXAMPLE,
    "states/templates/nginx.conf.j2": "{{ x }}\n",
    "states/templates/site.conf.j2": "{{ y }}\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = load(write(tmp_path_factory.mktemp("example"), FILES), env={})
    assert lines(project) == []
    return project


def test_association_fields(project):
    """Every field of an association arrives typed."""
    web = project.associations["web"]
    assert (web.targets, web.requires, web.schedule) == ("group:web and not env=dev", ("base",), "rate(30 minutes)")
    assert (web.mode, web.severity) == ("enforce", "high")
    assert (web.max_concurrency, web.max_errors) == ("10%", "2")
    assert [(one.targets, dict(one.fields)) for one in web.where] == [
        ("env=prod", {"mode": "audit", "vars": {"port": 81}})
    ]
    assert web.merge_vars == {"sites": "by domain", "ports": "append", "limits": "deep"}
    assert isinstance(web.vars["port"], WrittenInt)
    assert web.vars["sites"][1] == {"domain": "blog.example.org", "port": 8081}
    first, second = web.probes
    assert (first.run, first.type, first.timeout_s) == (
        ("/usr/local/bin/tls-days-left", Expression("{{ tls_path }}")),
        "integer",
        5.0,
    )
    assert (second.run, second.type, second.timeout_s) == (("uname", "-r"), "text", 10.0)
    (override,) = web.overrides
    assert (override.address, override.of, override.reason, override.until) == (
        "sysctl:net.ipv4.ip_forward",
        "base",
        "router",
        "2027-06-30",
    )
    assert str(web.span) == "states/web.yml:3:3"


def test_declarations(project):
    """Short and long forms give the same kind of thing, in written order, with values as written and places."""
    found = {
        (one.type, str(getattr(one.key, "source", one.key))): one
        for one in project.associations["web"].body.declarations
    }
    assert dict(found["package", "nginx"].fields) == {"version": "1.22.*"}
    assert dict(found["package", "telnetd"].fields) == {"state": "absent"}
    assert dict(found["file", "/etc/old.conf"].fields) == {"state": "absent"}
    conf = found["file", "/etc/nginx/nginx.conf"]
    assert conf.fields["mode"] == Plain("0644")
    assert type(conf.fields["mode"]) is Plain
    assert conf.common.notify == ("service:nginx",)
    assert str(conf.span) == f"states/web.yml:{EXAMPLE[: EXAMPLE.index('/etc/nginx/nginx.conf:')].count(chr(10)) + 1}:7"
    key = found["file", "/etc/nginx/tls.key"]
    assert (key.common.sensitive, key.common.on_removal, key.common.protect) == (True, "leave", True)
    assert key.common.after == ("package:nginx", Expression("file:{{ x }}"))
    site = found["file", "/etc/nginx/conf.d/{{ item.domain }}.conf"]
    assert site.key == Expression("/etc/nginx/conf.d/{{ item.domain }}.conf")
    assert site.common.for_each == Expression("{{ sites }}")
    assert site.common.when == Expression("item.domain != 'x'", bare=True)
    positions = [one.position for one in project.associations["web"].body.declarations]
    assert positions == sorted(positions)
    assert [one.key for one in project.associations["base"].body.declarations] == ["curl", "vim"]


def test_groups_and_profiles(project):
    """Conditional groups nest, and inputs of a profile are typed by the profile: text stays as written."""
    (group,) = project.associations["web"].body.given
    assert group.when == Expression("facts.os.family == 'redhat'", bare=True)
    assert dict(group.defaults) == {"owner": "root", "mode": "0640"}
    assert group.notify == ("service:nginx",)
    assert group.body.given[0].body.declarations[0].key == "/etc/inner"
    first, second = project.associations["web"].body.uses
    assert (first.name, first.profile, first.for_each, first.inputs) == (
        "nginx-site",
        "nginx-site",
        Expression("{{ sites }}"),
        Expression("{{ item }}"),
    )
    assert (second.name, second.profile) == ("second", "nginx-site")
    assert second.inputs == {"domain": "1.10", "port": 8081}
    profile = project.profiles["nginx-site"]
    assert (profile.inputs["domain"].required, profile.inputs["port"].required, profile.inputs["port"].default) == (
        True,
        False,
        8080,
    )


def test_files_merge(tmp_path):
    """Sections of all files below states/ add up; other names and hidden files are left alone, .yaml with a warning."""
    one = "associations: {{{0}: {{targets: all}}}}\n"
    names = [
        "states/a.yml",
        "states/x/y/b.yml",
        "states/.hidden.yml",
        "states/.git/c.yml",
        "states/d.yaml",
        "states/README.md",
    ]
    project = load(write(tmp_path, {name: one.format(f"n{index}") for index, name in enumerate(names)}), env={})
    assert sorted(project.associations) == ["n0", "n1"]
    assert [line.partition(";")[0] for line in lines(project)] == [
        "states/d.yaml:1:1: warning[W103]: this file is not read: only names that end in .yml are"
    ]


def test_passed_in_table(tmp_path):
    """The table of types and the check of targets are the caller's: a section exists exactly when the table has it."""
    files = resource_types()["files"]
    seen = []

    def check(text, span):
        seen.append((text, str(span)))
        return [Problem("E151", "no", span)]

    root = write(tmp_path, {"states/a.yml": "associations: {a: {targets: x, files: {}, packages: [y]}}\n"})
    project = load_project(root, env={}, sections=Sections({"files": files}, {}), check_selector=check)
    assert seen == [("x", "states/a.yml:1:29")]
    assert [problem.code for problem in project.problems] == ["E151", "E101"]


def test_problems_of_targets_stand_inside_the_text():
    """A mistake in a target expression points at the word, quoted or not."""
    from statectl.problems import Span

    (problem,) = selector_problems("web and and", Span("a.yml", 3, 10, 3, 21))
    assert (problem.span.column, problem.code) == (18, "E151")


def test_fix(tmp_path):
    """--fix writes what has one right text, touches nothing else, and leaves a project that has these mistakes no more."""
    text = (
        "\ufeff# comment\r\nasociations:  # kept\r\n  web: {targets: all, requires: bsae, mode: enforced,   files: "
        "{/x: {templete: t.j2, sensitive: yes}}}\r\n  base: {targets: all, schedule: 'rate(1 hours)'}\r\n"
    )
    root = write(tmp_path, {"states/a.yml": text, "states/t.j2": ""})
    (root / "states" / "a.yml").chmod(0o640)
    for _ in range(4):
        fix(root, load(root, env={}).problems)
    assert lines(load(root, env={})) == []
    fixed = (
        "\ufeff# comment\r\nassociations:  # kept\r\n  web: {targets: all, requires: [base], mode: enforce,   files: "
        "{/x: {template: t.j2, sensitive: true}}}\r\n  base: {targets: all, schedule: 'rate(1 hour)'}\r\n"
    )
    assert (root / "states" / "a.yml").read_bytes().decode() == fixed
    assert (root / "states" / "a.yml").stat().st_mode & 0o777 == 0o640


def test_imports(tmp_path):
    """Loading imports neither SSH nor the store nor anything that opens a socket: validate starts fast and stays offline."""
    root = write(tmp_path, FILES)
    code = f"""
        import socket, sys
        def refuse(*args, **kwargs): raise AssertionError("a socket")
        socket.socket.connect = socket.getaddrinfo = refuse
        from pathlib import Path
        from statectl.sections import load
        assert not load(Path({str(root)!r}), env={{}}).problems
        print(*sorted({{"asyncssh", "deepdiff", "asyncio", "rich", "cryptography"}} & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path.cwd(),
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_200_files_within_a_second(tmp_path):
    """A project of 200 files is loaded well within the second that `validate` may take."""
    import time

    part = EXAMPLE[EXAMPLE.index("  web:") : EXAMPLE.index("profiles:")].replace("    requires: [base]\n", "")
    part = part.replace("of: base", "of: app0").replace("nginx-site", "site")
    files = {f"states/{n}.yml": "associations:\n" + part.replace("  web:", f"  app{n}:", 1) for n in range(1, 200)}
    files["states/0.yml"] = (
        "associations: {app0: {targets: all}}\nprofiles: {site: {inputs: {domain: {}, port: {default: 1}}}}\n"
    )
    root = write(tmp_path, {**files, **{name: text for name, text in FILES.items() if name.endswith(".j2")}})
    table()
    begin = time.process_time()
    project = load(root, env={})
    spent = time.process_time() - begin
    assert lines(project) == []
    assert len(project.associations) == 200
    assert spent < 2.0  # measured 0.5 s; the bound is for a slow machine that does other things as well
