"""The project's own inventories mean what they say, and the closer to the host wins."""

import os
import time

import pytest

from statectl.errors import ConfigError
from statectl.project import yaml_tree
from statectl.project.scalars import Expression, Plain, untyped
from statectl.secrets import Secret
from statectl.targets.connections import _from_options
from statectl.targets.inventory import load_inventory
from statectl.targets.values import SecretSource, Vaulted, Yaml

YAML = Yaml(yaml_tree.read_yaml, untyped, Expression, Plain, yaml_tree.BROKEN)


@pytest.fixture
def load(tmp_path):
    def load(text=None, name="hosts.yml", **files):
        if text is not None:
            (tmp_path / name).write_text(text)
        for path, content in files.items():
            target = tmp_path / path.replace("__", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.with_name(target.name + ".yml").write_text(content)
        inventory, problems = load_inventory(tmp_path, root=tmp_path, yaml=YAML)
        assert [problem for problem in problems if not problem.is_warning] == []
        return inventory

    return load


def values(host):
    return {name: variable.value for name, variable in host.variables.items()}


OWN = """\
hosts:
  web36: {address: 192.0.2.36, port: 2222, vars: {workers: 1}, tags: {rack: b2}}
  "web[01-36]":
    user: deploy
    groups: [web]
    tags: {env: prod, rack: a1}
    vars: {workers: 4}
  db1:
    address: "2001:db8::7"
    connection: ssh
    become: false
    jump: [ops@bastion:2222, inner]
    python: /usr/libexec/platform-python
    identity_files: [~/.ssh/db, keys/db]
    groups: [db, eu]
  here: {connection: local, become: postgres}
groups:
  web: {vars: {workers: 2, port_public: 80}, connection: {become: true, port: 22, python: /usr/bin/python3}}
  eu: {tags: {region: eu}, children: [web], connection: {user: eu, jump: gate}}
  all: {vars: {ntp: ntp.example.org}, tags: {site: main}, connection: {user: root}}
"""


def test_ranges_groups_tags_variables_and_connection_are_read(load):
    inventory = load(OWN)
    assert list(inventory.hosts)[:3] == ["web36", "web01", "web02"]
    assert len(inventory.hosts) == 38
    web01 = inventory.hosts["web01"]
    assert web01.groups == ("eu", "web")
    assert web01.tags == {"site": "main", "region": "eu", "env": "prod", "rack": "a1"}
    assert values(web01) == {"ntp": "ntp.example.org", "workers": 4, "port_public": 80}
    assert (web01.address, web01.connection.user, web01.connection.become) == ("web01", "deploy", True)
    assert (web01.connection.port, web01.connection.jump) == (22, ("gate",))
    assert list(inventory.members("eu")) == [name for name in inventory.hosts if name != "here"]
    assert inventory.groups["eu"].children == ("web",)
    assert inventory.sources == ("hosts.yml",)


def test_an_entry_for_one_host_says_more_than_an_entry_for_a_range(load):
    web36 = load(OWN).hosts["web36"]
    assert (web36.address, web36.connection.port, web36.connection.user) == ("192.0.2.36", 2222, "deploy")
    assert web36.tags["rack"] == "b2"
    assert values(web36)["workers"] == 1


def test_every_way_to_reach_a_host_is_kept(load, tmp_path):
    inventory = load(OWN)
    db1 = inventory.hosts["db1"].connection
    assert (db1.address, db1.connection, db1.become, db1.jump) == (
        "2001:db8::7",
        "ssh",
        False,
        ("ops@bastion:2222", "inner"),
    )
    assert db1.python == "/usr/libexec/platform-python"
    assert db1.identity_files == ("~/.ssh/db", str(tmp_path / "keys/db"))
    here = inventory.hosts["here"].connection
    assert (here.connection, here.become) == ("local", "postgres")


def test_a_variable_knows_its_place_and_what_it_hides(load):
    web01 = load(OWN).hosts["web01"]
    workers = web01.variables["workers"]
    assert (workers.value, str(workers.span), workers.origin) == (4, "hosts.yml:7:21", "host web[01-36]")
    assert [(v.value, v.origin) for v in web01.hidden["workers"]] == [(2, "group web")]
    assert "ntp" not in web01.hidden


def test_vars_follow_the_projects_typing_and_keep_what_was_written(load):
    text = "hosts: {h: {vars: {a: 1.10, b: no, c: 22:30, d: 0x1F, e: true, f: null, g: '1', h: '{{ x }}', i: [1, b]}}}"
    got = values(load(text).hosts["h"])
    assert (str(got["a"]), got["b"], got["c"], str(got["d"])) == ("1.10", "no", "22:30", "0x1F")
    assert (got["e"], got["f"], got["g"], got["h"], got["i"]) == (True, None, "1", Expression("{{ x }}"), [1, "b"])


def test_vars_files_next_to_an_own_inventory_follow_the_projects_typing(load):
    inventory = load(
        "hosts: {web1: {groups: [web], vars: {a: inline}}}\ngroups: {web: {vars: {b: inline}}}",
        group_vars__web="b: no\nc: 1.10\n",
        host_vars__web1="a: yes\n",
    )
    web1 = inventory.hosts["web1"]
    assert (web1.variables["a"].value, web1.variables["b"].value) == ("yes", "no")
    assert str(web1.variables["c"].value) == "1.10"
    assert [v.value for v in web1.hidden["a"]] == ["inline"]
    assert inventory.sources == ("hosts.yml", "group_vars/web.yml", "host_vars/web1.yml")


def test_hosts_without_a_group_are_ungrouped(load):
    inventory = load("hosts: {a: , b: {groups: [web]}}")
    assert inventory.hosts["a"].groups == ("ungrouped",)
    assert inventory.groups["ungrouped"].hosts == ("a",)
    assert inventory.groups["all"].children == ("ungrouped", "web")


SECRETS = """\
hosts:
  h:
    vars:
      token: {value_from: "env:STATECTL_TEST_TOKEN"}
      db:
        user: app
        password: {value_from: "file:secrets/db"}
"""


def test_a_secret_variable_is_read_only_when_it_is_used(load, tmp_path, monkeypatch):
    got = values(load(SECRETS).hosts["h"])
    assert isinstance(got["token"], SecretSource)
    monkeypatch.setenv("STATECTL_TEST_TOKEN", "s3cret")
    secret = got["token"].resolve()
    assert isinstance(secret, Secret)
    assert (secret.reveal(), repr(secret)) == ("s3cret", "‹secret token›")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "db").write_text("hunter2\n")
    assert got["db"]["user"] == "app"
    assert got["db"]["password"].resolve().reveal() == "hunter2"
    assert got["db"]["password"].label == "db.password"


def test_a_secret_that_is_not_there_names_its_place_and_not_its_neighbours(load, monkeypatch):
    got = values(load(SECRETS).hosts["h"])
    monkeypatch.delenv("STATECTL_TEST_TOKEN", raising=False)
    with pytest.raises(ConfigError) as error:
        got["token"].resolve()
    (problem,) = error.value.problems
    assert (problem.code, str(problem.span)) == ("E167", "hosts.yml:4:14")
    assert problem.summary == "environment variable STATECTL_TEST_TOKEN is not set"
    with pytest.raises(ConfigError) as error:
        got["db"]["password"].resolve()
    assert "cannot be read: no such file or directory" in error.value.problems[0].summary


def test_vaulted_values_stay_opaque(load):
    inventory = load("all:\n  hosts:\n    h:\n      a: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        6162\n")
    value = inventory.hosts["h"].variables["a"].value
    assert isinstance(value, Vaulted)
    assert repr(value) == "‹vaulted›"


def test_unsafe_text_is_never_an_expression(load):
    inventory = load('all:\n  hosts:\n    h: {a: !unsafe "{{ x }}", b: "{{ x }}", c: !unsafe {d: ["{{ x }}"]}}\n')
    got = values(inventory.hosts["h"])
    assert (got["a"], got["b"], got["c"]) == ("{{ x }}", Expression("{{ x }}"), {"d": ["{{ x }}"]})


ANSIBLE = """\
[web]
a ansible_host=192.0.2.1 ansible_port=2222 ansible_user=ops ansible_become=yes
b ansible_host="{{ public }}" public=192.0.2.2 ansible_become=true ansible_become_user=app
c ansible_host="{{ inventory_hostname }}.example.org" ansible_connection=ansible.builtin.ssh
localhost ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"
d ansible_ssh_common_args='-o ProxyJump=ops@bastion:22'
e ansible_ssh_common_args='-o ProxyCommand="ssh -W %h:%p -q -p 2200 bastion"'
f ansible_become=no ansible_ssh_private_key_file=~/.ssh/f ansible_python_interpreter=/usr/bin/python3.9
"""


def test_ansibles_connection_variables_say_how_a_host_is_reached(load):
    hosts = load(ANSIBLE, name="hosts").hosts
    got = {name: host.connection for name, host in hosts.items()}
    assert (hosts["a"].address, got["a"].port, got["a"].user, got["a"].become) == ("192.0.2.1", 2222, "ops", True)
    assert (hosts["b"].address, got["b"].become) == ("192.0.2.2", "app")
    assert (hosts["c"].address, got["c"].connection) == ("c.example.org", "ssh")
    assert (got["localhost"].connection, got["localhost"].python) == ("local", None)
    assert (got["d"].jump, got["e"].jump) == (("ops@bastion:22",), ("bastion:2200",))
    assert (got["f"].become, got["f"].identity_files, got["f"].python) == (False, ("~/.ssh/f",), "/usr/bin/python3.9")


@pytest.mark.parametrize(
    ("options", "jumps", "rest"),
    [
        ("-J a,b", ("a", "b"), False),
        ("-Ja", ("a",), False),
        ("-oProxyJump=a", ("a",), False),
        ("-o 'ProxyJump a'", ("a",), False),
        ("-o ControlMaster=auto -J a", ("a",), True),
        ("-o ProxyCommand='nc -X connect %h %p'", (), True),
        ("-o 'unclosed", (), True),
    ],
)
def test_jump_hosts_are_found_in_options_of_ssh(options, jumps, rest):
    assert _from_options(options) == (jumps, rest)


def test_an_executable_inventory_runs_only_when_allowed(tmp_path):
    program = tmp_path / "cloud.sh"
    program.write_text(
        f'#!/bin/sh\ntouch {tmp_path}/ran\necho \'{{"web": {{"hosts": ["w1"]}}, "_meta": {{"hostvars": {{}}}}}}\'\n'
    )
    program.chmod(0o755)
    _, problems = load_inventory(program, root=tmp_path, yaml=YAML)
    assert [problem.code for problem in problems] == ["E165"]
    assert not os.path.exists(tmp_path / "ran")
    inventory, problems = load_inventory(program, root=tmp_path, yaml=YAML, allow_executables=True)
    assert (list(inventory.hosts), problems) == (["w1"], [])


def test_a_hundred_thousand_hosts_load_in_seconds(tmp_path):
    (tmp_path / "hosts.yml").write_text(
        'hosts:\n  "node[000001-100000]": {groups: [web], tags: {env: prod}, vars: {a: 1, b: 2}}\n'
        "groups: {web: {vars: {c: 3}}}\n"
    )
    start = time.process_time()
    inventory, problems = load_inventory(tmp_path, root=tmp_path, yaml=YAML)
    assert problems == []
    assert len(inventory.hosts) == 100_000
    assert time.process_time() - start < 8


def test_ten_thousand_written_hosts_load_in_two_seconds(tmp_path):
    lines = [
        f"  node{i:05}: {{address: 10.0.{i // 256}.{i % 256}, groups: [g{i % 50}], vars: {{id: {i}}}}}"
        for i in range(10_000)
    ]
    (tmp_path / "hosts.yml").write_text("hosts:\n" + "\n".join(lines) + "\n")
    start = time.process_time()
    inventory, problems = load_inventory(tmp_path, root=tmp_path, yaml=YAML)
    assert problems == []
    assert len(inventory.hosts) == 10_000
    assert time.process_time() - start < 4
