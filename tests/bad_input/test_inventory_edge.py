"""Rows 7.4, B039 and B073: what an inventory or a target may not say, with its place and the fix; nothing is contacted."""

import os

import pytest

from statectl.cli.formats.problems import line_of
from statectl.project import yaml_tree
from statectl.project.scalars import Expression, Plain, untyped
from statectl.targets.inventory import load_inventory
from statectl.targets.matching import select
from statectl.targets.values import Yaml

YAML = Yaml(yaml_tree.read_yaml, untyped, Expression, Plain, yaml_tree.BROKEN)


def found(directory, text, name="hosts.yml", **more):
    (directory / name).write_text(text)
    for path, content in more.items():
        target = directory / (path.replace("__", "/") + ".yml")
        target.parent.mkdir(exist_ok=True)
        target.write_text(content)
    inventory, problems = load_inventory(directory, root=directory, yaml=YAML)
    return inventory, [line_of(problem) for problem in problems]


NAME = "host name not valid: it may hold letters, digits, . _ - : and must start with a letter or digit"

# row and variant, text of hosts.yml, then line:column, code and words of the one answer
OWN = [
    ("B059 option", "hosts:\n  '-oProxyCommand=touch x': {}\n", "2:3", "E154", NAME),
    ("B059 semicolon", "hosts:\n  a;b: {}\n", "2:3", "E154", NAME),
    ("B059 space", "hosts:\n  a b: {}\n", "2:3", "E154", NAME),
    ("B059 substitution", "hosts:\n  $(id): {}\n", "2:3", "E154", NAME),
    ("B059 backtick", "hosts:\n  'a`id`': {}\n", "2:3", "E154", NAME),
    ("B059 slash", "hosts:\n  ../../x: {}\n", "2:3", "E154", NAME),
    ("B059 newline", 'hosts:\n  "a\\nb": {}\n', "2:3", "E154", NAME),
    ("B059 expression", "hosts:\n  '{{ x }}': {}\n", "2:3", "E108", "without expressions"),
    ("B059 empty", "hosts:\n  '': {}\n", "2:3", "E154", NAME),
    ("B059 too long", f"hosts:\n  {'a' * 300}: {{}}\n", "2:3", "E154", "host name too long (max 253 characters)"),
    ("B059 name of a group", "hosts: {a: {groups: ['-x']}}\n", "1:22", "E154", "group name not valid"),
    ("B059 group with a space", "groups:\n  a b: {}\nhosts: {a: }\n", "2:3", "E154", "group name not valid"),
    ("B059 name of a tag", "hosts: {a: {tags: {'a b': c}}}\n", "1:20", "E154", "tag name not valid"),
    ("B059 name of a tag that is a fact's", "hosts: {a: {tags: {facts.os: c}}}\n", "1:20", "E154", "machine's own facts"),
    ("B061 range with exponent", "hosts:\n  'a[01-1e9]': {}\n", "2:3", "E155", "range makes 1,000,000,000 hosts (max 100,000)"),
    ("B061 two ranges", "hosts:\n  'a[1-999][1-999]': {}\n", "2:3", "E155", "range makes 998,001 hosts (max 100,000)"),
    ("B061 range not closed", "hosts:\n  'a[1-2': {}\n", "2:3", "E155", 'pattern "[1-2" is not closed'),
    ("B061 range backwards", "hosts:\n  'a[2-1]': {}\n", "2:3", "E155", "begins with its smaller end"),
    ("B061 range in Ansible's spelling", "hosts:\n  'a[1:2]': {}\n", "2:3", "E155", "a range is written with -"),
    ("B061 IPv4 out of range", "hosts: {a: {address: 999.1.1.1}}\n", "1:22", "E156", "it looks like IPv4 and is none"),
    ("B061 IPv4 as a name", "hosts:\n  999.1.1.1: {}\n", "2:3", "E154", "it looks like an IPv4 address and is none"),
    ("B061 IPv4 with port", "hosts: {a: {address: '10.0.0.1:22'}}\n", "1:22", "E156", "give the port with the key `port`"),
    ("B061 IPv6 with port", "hosts: {a: {address: '1:2:3:4:5:6:7:8:22'}}\n", "1:22", "E156", "give a port with the key `port`"),
    ("B061 IPv6 in brackets", "hosts: {a: {address: '[::1]:22'}}\n", "1:22", "E156", "give the port with the key `port`"),
    ("B061 IPv6 name with port", "hosts:\n  1:2:3:4:5:6:7:8:22: {}\n", "2:3", "E154", "looks like an IPv6 address and is none"),
    ("B061 name with port", "hosts:\n  web:22: {}\n", "2:3", "E154", "a port is written with the key `port`"),
    ("B061 CIDR", "hosts: {a: {address: 10.0.0.0/33}}\n", "1:22", "E156", "a network is not a host"),
    ("B061 address of a range", "hosts: {'a[1-2]': {address: 10.0.0.1}}\n", "1:29", "E156", "cannot share one address"),
    ("B061 address with an option", "hosts: {a: {address: -oProxyCommand=x}}\n", "1:22", "E156", "address not valid"),
    ("B061 address with a zone", "hosts: {a: {address: 'fe80::1%e;x'}}\n", "1:22", "E156", "address not valid"),
    ("B061 port 0", "hosts: {a: {port: 0}}\n", "1:19", "E156", "port not valid: 1 to 65535"),
    ("B061 port 65536", "hosts: {a: {port: 65536}}\n", "1:19", "E156", "port not valid: 1 to 65535"),
    ("B061 port of words", "hosts: {a: {port: ssh}}\n", "1:19", "E156", "port not valid: 1 to 65535"),
    ("B061 port of 5,000 digits", f"hosts: {{a: {{port: {'9' * 5000}}}}}\n", "1:19", "E156", "port not valid"),
    ("B061 jump host", "hosts: {a: {jump: 'a;b'}}\n", "1:19", "E156", "jump host not valid"),
    ("B061 jump host that is an option", "hosts: {a: {jump: [x, '-J y']}}\n", "1:19", "E156", "jump host not valid"),
    ("B061 python", "hosts: {a: {python: 'python3; id'}}\n", "1:21", "E108", "absolute path of a Python"),
    ("B061 kind of connection", "hosts: {a: {connection: telnet}}\n", "1:25", "E162", "ssh or local"),
    ("B061 kind for a later version", "hosts: {a: {connection: agent}}\n", "1:25", "E162", "not part of this version"),
    ("B061 host key", "hosts: {a: {host_key: hunter2}}\n", "1:23", "E108", "expected a public host key"),
    ("B061 address with an expression", "hosts: {a: {address: '{{ x }}'}}\n", "1:22", "E108", "without expressions"),
    ("B063 ring", "groups:\n  web: {children: [app]}\n  app: {children: [web]}\nhosts: {a: {groups: [web]}}\n", "3:20", "E159", "group cycle web -> app -> web"),
    ("B063 ring of one", "groups:\n  web: {children: [web]}\nhosts: {a: }\n", "2:20", "E159", "group cycle web -> web"),
    ("B063 ring of three", "groups:\n  a: {children: b}\n  b: {children: c}\n  c: {children: a}\nhosts: {h: {groups: a}}\n", "4:17", "E159", "group cycle a -> b -> c -> a"),
    ("B063 ring through all", "groups:\n  web: {children: [all]}\nhosts: {a: }\n", "2:20", "E159", "group cycle all -> web -> all"),
    ("B063 unknown child", "groups:\n  web: {}\n  app: {children: [wbe]}\nhosts: {a: }\n", "3:20", "E159", "did you mean `web`?"),
    ("B065 option", "hosts: {a: {user: -x}}\n", "1:19", "E157", "user name not valid"),
    ("B065 semicolon", "hosts: {a: {user: root;id}}\n", "1:19", "E157", "user name not valid"),
    ("B065 empty", "hosts: {a: {user: ''}}\n", "1:19", "E157", "user name not valid: it is empty"),
    ("B065 in a group", "groups: {g: {connection: {user: a b}}}\nhosts: {a: }\n", "1:33", "E157", "user name not valid"),
    ("B065 become", "hosts: {a: {become: root;id}}\n", "1:21", "E157", "user name not valid"),
    ("B065 number", "hosts: {a: {user: [x]}}\n", "1:19", "E108", "`user` must be text"),
    ("B067 key of a host", "hosts: {a: {vars: {user: x}}}\n", "1:20", "E158", '"user" is reserved'),
    ("B067 become", "hosts: {a: {vars: {become: x}}}\n", "1:20", "E158", '"become" is reserved'),
    ("B067 facts", "groups: {all: {vars: {facts: {}}}}\nhosts: {a: }\n", "1:23", "E158", '"facts" is reserved'),
    ("B067 host", "hosts: {a: {vars: {host: x}}}\n", "1:20", "E158", '"host" is reserved'),
    ("B067 word of expressions", "hosts: {a: {vars: {not: x}}}\n", "1:20", "E158", '"not" is reserved'),
    ("B067 dash", "hosts: {a: {vars: {http-port: 1}}}\n", "1:20", "E158", "write http_port"),
    ("B067 digit", "hosts: {a: {vars: {1st: x}}}\n", "1:20", "E158", "variable name not valid"),
    ("B067 password", "all: {hosts: {a: {ansible_password: hunter2}}}\n", "1:37", "E163", "no password stands in an inventory"),
    ("B067 secret from a command", "hosts: {a: {vars: {t: {value_from: 'cmd:id'}}}}\n", "1:36", "E167", "not part of this version"),
    ("B067 secret in clear", "hosts: {a: {vars: {t: {value_from: hunter2}}}}\n", "1:36", "E167", 'write "env:NAME" or "file:PATH"'),
    ("B067 secret with company", "hosts: {a: {vars: {t: {value_from: 'env:X', x: 1}}}}\n", "1:23", "E167", "stands alone"),
    ("B069 no hosts", "hosts: {}\n", "1:1", "E161", "no hosts"),
    ("B069 only groups", "groups: {web: {}}\n", "1:1", "E161", "no hosts"),
    ("B069 empty file", "", "1:1", "E164", "empty inventory"),
    ("B069 a list", "- web01\n", "1:1", "E164", "an inventory is a map"),
    ("B069 unknown key", "hosts: {a: {adress: x}}\n", "1:13", "E101", "did you mean `address`?"),
    ("B069 unknown key at the top", "hosts: {a: }\ngruops: {}\n", "2:1", "E101", "did you mean `groups`?"),
    ("B069 unknown key of a group", "hosts: {a: }\ngroups: {g: {hosts: [a]}}\n", "2:14", "E101", "unknown key `hosts`"),
    ("B069 list of hosts", "hosts: [a, b]\n", "1:8", "E108", "expected a map"),
    ("B069 host is text", "hosts: {a: b}\n", "1:12", "E108", "expected a map"),
    ("B069 leading zero", "hosts: {a: {vars: {m: 0644}}}\n", "1:23", "E104", "leading zero"),
    ("B069 tag not text", "hosts: {a: {tags: {env: [x]}}}\n", "1:25", "E108", "must be text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*case[1:], id=case[0]) for case in OWN])
def test_own_inventories(tmp_path, text, place, code, words):
    _, (line,) = found(tmp_path, text)
    assert line.startswith(f"hosts.yml:{place}: error[{code}]: ")
    assert words in line
    assert "hunter2" not in line


INI = [
    ("B059 option in INI", "[web]\n-oProxyCommand=x\n", "2:1", "E154", NAME),
    ("B059 semicolon in INI", "[web]\na;b\n", "2:1", "E154", NAME),
    ("B059 substitution in INI", "[web]\na b=c $(id)\n", "2:7", "E164", "expected name=value"),
    ("B059 backtick in INI", "a`id`\n", "1:1", "E154", NAME),
    ("B059 group in INI", "[-web]\na\n", "1:2", "E154", "group name not valid"),
    ("B061 range in INI", "[web]\na[01:1e9]\n", "2:1", "E155", "range makes 1,000,000,000 hosts (max 100,000)"),
    ("B061 unequal range in INI", "a[01:100]\n", "1:1", "E155", "same length"),
    ("B061 IPv6 with port in INI", "1:2:3:4:5:6:7:8:22\n", "1:1", "E154", "a port needs brackets: [ADDRESS]:PORT"),
    ("B061 address in INI", "a ansible_host=999.1.1.1\n", "1:3", "E156", "it looks like IPv4 and is none"),
    ("B061 CIDR in INI", "a ansible_host=10.0.0.0/33\n", "1:3", "E156", "a network is not a host"),
    ("B061 port in INI", "a ansible_port=70000\n", "1:3", "E156", "port not valid"),
    ("B061 port after the name in INI", "a:70000\n", "1:1", "E156", "port not valid"),
    ("B061 kind of connection in INI", "a ansible_connection=docker\n", "1:3", "E162", "ssh or local"),
    ("B063 ring in INI", "[a:children]\nb\n[b:children]\na\n[c]\nh\n", "4:1", "E159", "group cycle a -> b -> a"),
    ("B063 unknown child in INI", "[web]\nh\n[a:children]\nwbe\n", "4:1", "E159", "did you mean `web`?"),
    ("B063 vars of no group in INI", "[web]\nh\n[wbe:vars]\na=1\n", "3:2", "E159", "group that does not exist"),
    ("B065 option in INI", "a ansible_user=-x\n", "1:3", "E157", "user name not valid"),
    ("B065 semicolon in INI", "a ansible_user='root;id'\n", "1:3", "E157", "user name not valid"),
    ("B065 become in INI", "a ansible_become=yes ansible_become_user='a b'\n", "1:22", "E157", "user name not valid"),
    ("B067 password in INI", "a ansible_become_pass=hunter2\n", "1:3", "E163", "no password stands in an inventory"),
    ("B067 name hidden in INI", "a facts=1\n", "1:3", "W153", 'variable "facts" is hidden'),
    ("B069 section in INI", "[a b]\nc\n", "1:1", "E164", "section not valid"),
    ("B069 kind of section in INI", "[a:hosst]\nc\n", "1:4", "E164", "hosts, children or vars"),
    ("B069 no value in INI", "[a]\nh\n[a:vars]\nnothing\n", "4:1", "E164", "expected name=value"),
    ("B069 open quote in INI", "h a='b\n", "1:3", "E164", "quote not closed"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*case[1:], id=case[0]) for case in INI])
def test_ini_inventories(tmp_path, text, place, code, words):
    _, lines = found(tmp_path, text, name="hosts.ini")
    (line,) = [line for line in lines if "E161" not in line]
    kind = "warning" if code.startswith("W") else "error"
    assert line.startswith(f"hosts.ini:{place}: {kind}[{code}]: ")
    assert words in line
    assert "hunter2" not in line


ANSIBLE = [
    ("B059 option in Ansible's YAML", "all:\n  hosts:\n    '-x': {}\n", "3:5", "E154", NAME),
    ("B059 number in Ansible's YAML", "all:\n  hosts:\n    7: {}\n", "3:5", "E154", "quote it if it is a number"),
    ("B061 range in Ansible's YAML", "all:\n  hosts:\n    'a[1:1e9]': {}\n", "3:5", "E155", "range makes 1,000,000,000 hosts"),
    ("B063 ring in Ansible's YAML", "a: {children: {b: {children: {a: }}}}\nc: {hosts: {h: }}\n", "1:31", "E159", "group cycle a -> b -> a"),
    ("B065 user in Ansible's YAML", "all:\n  vars:\n    ansible_user: a;b\n  hosts: {h: , i: }\n", "3:19", "E157", "user name not valid"),
    ("B067 name not text in Ansible's YAML", "all:\n  hosts: {h: {1: x}}\n", "2:15", "E158", "it is not text"),
    ("B069 list of hosts in Ansible's YAML", "web:\n  hosts:\n    - a\n", "2:3", "E164", "with a colon instead of `- web01`"),
    ("B069 unknown key in Ansible's YAML", "web:\n  host: {a: }\n", "2:3", "E101", "did you mean `hosts`?"),
    ("B069 plugin", "plugin: aws_ec2\n", "1:1", "E166", "inventory plugin"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "code", "words"), [pytest.param(*case[1:], id=case[0]) for case in ANSIBLE])
def test_ansible_yaml_inventories(tmp_path, text, place, code, words):
    _, lines = found(tmp_path, text)
    (line,) = [line for line in lines if "E161" not in line]
    assert line.startswith(f"hosts.yml:{place}: error[{code}]: ")
    assert words in line


@pytest.mark.parametrize(
    ("path", "text", "code", "words"),
    [
        pytest.param("group_vars__web", "user: x\n", "E158", '"user" is reserved', id="B067 in group_vars"),
        pytest.param("host_vars__a", "http-port: x\n", "E158", "write http_port", id="B067 in host_vars"),
        pytest.param("group_vars__web", "- x\n", "E108", "expected a map of variables", id="B067 list in group_vars"),
        pytest.param("group_vars__web", "$ANSIBLE_VAULT;1.1;AES256\n6162\n", "W154", "encrypted by ansible-vault", id="B067 vault"),
        pytest.param("group_vars__web", "a: [\n", "E105", "", id="B067 broken group_vars"),
    ],
)  # fmt: skip
def test_vars_files(tmp_path, path, text, code, words):
    _, (line,) = found(tmp_path, "hosts: {a: {groups: [web]}}\n", **{path: text})
    assert line.startswith(path.replace("__", "/") + ".yml:1:")
    assert f"[{code}]" in line
    assert words in line


def test_all_mistakes_of_an_inventory_come_at_once(tmp_path):
    _, lines = found(
        tmp_path, "hosts:\n  a;b: {}\n  c: {port: x, usr: d}\n  'e[9-1]': {user: -f}\ngroups: {g: {children: h}}\n"
    )
    assert sorted(line.split("[")[1][:4] for line in lines) == ["E101", "E154", "E155", "E156", "E157", "E159"]


@pytest.mark.parametrize(
    "name", [pytest.param("x.toml", id="B069 TOML"), pytest.param("x", id="B069 program without x")]
)
def test_kinds_that_are_not_read(tmp_path, name):
    (tmp_path / name).write_text("#!/bin/sh\n" if name == "x" else "[web]\n")
    _, problems = load_inventory(tmp_path, root=tmp_path, yaml=YAML)
    assert problems[0].code == "E166"


@pytest.mark.parametrize("_row", [pytest.param(0, id="B069 pipe")])
def test_a_pipe_in_the_place_of_a_file_does_not_hang(tmp_path, _row):
    os.mkfifo(tmp_path / "hosts.yml")
    _, problems = load_inventory(tmp_path, root=tmp_path, yaml=YAML)
    assert [problem.code for problem in problems] == ["E123"]


@pytest.mark.parametrize("_row", [pytest.param(0, id="B069 100,000 hosts")])
def test_a_hundred_thousand_hosts_are_read_and_one_more_is_not(tmp_path, _row):
    inventory, lines = found(tmp_path, "hosts: {'a[00001-99999]': {}, b: {}}\n")
    assert (len(inventory.hosts), lines) == (100_000, [])
    inventory, (line,) = found(tmp_path, "hosts: {'a[00001-99999]': {}, b: {}, c: {}}\n")
    assert "too many hosts (max 100,000)" in line


TARGETS = [
    ("B039 unknown host", "wbe", "E153", 1, "did you mean `group:web`?"),
    ("B039 unknown group", "group:wbe", "E153", 7, "did you mean `web`?"),
    ("B039 in the middle", "web01 and (group:web or group:dbs)", "E153", 31, "did you mean `db`?"),
    ("B039 a group named like a host", "web", "E153", 1, "write `group:web`"),
    ("B039 matches nothing", "env=stage", "E152", 1, "--allow-empty"),
    ("B039 wildcard that matches nothing", "x*", "E152", 1, "--allow-empty"),
    ("B073 glob not closed", "[a", "E151", 1, 'pattern "[a" is not closed'),
    ("B073 glob not closed later", "web01,db[1", "E151", 9, 'pattern "[1" is not closed'),
    ("B073 regex", "~web[0-9]+", "E151", 1, "regular expressions are not read"),
    ("B073 regex not closed", "~(web", "E151", 1, "regular expressions are not read"),
    ("B073 parenthesis", "(web01", "E151", 1, "( is not closed"),
    ("B073 range too large", "web[1-1e9]", "E151", 4, "range makes 1,000,000,000 hosts"),
    ("B073 empty", "", "E151", 1, "write `all`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "column", "words"), [pytest.param(*case[1:], id=case[0]) for case in TARGETS])
def test_targets(tmp_path, text, code, column, words):
    inventory, _ = found(tmp_path, "hosts: {web01: {groups: [web]}, db1: {groups: [db]}}\n")
    (problem,) = select(text, inventory).problems
    assert (problem.code, problem.column) == (code, column)
    assert words in line_of(problem.at(None, text))
