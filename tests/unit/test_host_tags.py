"""Tags that people set on hosts: kept with who and when, beside those of the inventory, which win."""

import json

import pytest

from statectl.cli import fleet, opened_store
from statectl.cli.offline import found_in, yaml_tools
from statectl.errors import Refused
from statectl.sections import load
from statectl.store.store import Store
from statectl.targets.inventory import load_inventory
from statectl.targets.matching import select
from statectl.targets.tags import key_problem, value_problem, with_stored
from tests.bad_input.loading import write

INVENTORY = """\
hosts:
  web1: {groups: [web], tags: {rack: a}}
  web2: {groups: [web]}
groups:
  web: {tags: {env: prod}}
"""


@pytest.fixture
def inventory(tmp_path):
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    found, problems = load_inventory(tmp_path / "hosts.yml", root=tmp_path, yaml=yaml_tools())
    assert not problems
    return found


@pytest.fixture
def store(store_url, tmp_path):
    store = Store.open(store_url, tmp_path)
    yield store
    store.close()


def test_the_inventory_wins(inventory):
    """A stored tag counts in targets unless the inventory, by host or group, declares that key; then it is hidden and still known."""
    stored = {
        "web1": {"rack": "b", "env": "dev", "role": "x"},
        "web2": {"rack": "b", "Cost Center": "4 2"},
        "gone": {"a": "b"},
    }
    both = with_stored(inventory, stored)
    assert dict(both.hosts["web1"].tags) == {"env": "prod", "rack": "a", "role": "x"}
    assert dict(both.hosts["web1"].declared_tags) == {"env": "prod", "rack": "a"}
    assert {key: str(span) for key, span in both.hosts["web1"].tag_spans.items()} == {
        "env": "hosts.yml:5:16", "rack": "hosts.yml:2:32",
    }  # fmt: skip
    for text, hosts in (
        ("rack=a", ("web1",)),
        ("rack=b", ("web2",)),
        ("env=dev", ()),
        ("role=x and env=prod", ("web1",)),
        ('"Cost Center"="4 2"', ("web2",)),
        ("not role=x", ("web2",)),
    ):
        assert select(text, both, allow_empty=True).hosts == hosts, text


@pytest.mark.parametrize(
    "key", ["", " ", "a ", "k" * 129, "a\tb", "a*", "aws:x", "AWS:x", "facts.os", "package.openssl", "a\x1b"]
)
def test_keys_that_no_tag_has(key):
    """AWS's rules for keys, and names that mean something else in a target."""
    assert key_problem(key)


def test_keys_and_values_that_tags_have():
    """Letters of any language, digits, spaces and _.:/=+-@ up to the limits; an empty value is one."""
    for key in ("a", "k" * 128, "Größe", "a b", "k8s.io/role:x_y=z+@-1"):
        assert key_problem(key) == "", key
    assert [bool(value_problem(text)) for text in ("", "v" * 256, "v" * 257, "a\nb", "a;b")] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_changes_are_whole_and_audited(store):
    """All hosts or none; only what became another is told and audited, with what was there before."""
    changed = store.tags.change(["web1", "web2"], {"a": "1", "b": ""}, [], most=2)
    assert sorted(changed) == ["web1", "web2"]
    assert store.tags.change(["web1"], {"a": "1"}, ["nothing"], most=2) == {}
    one = store.tags.change(["web1"], {"a": "2"}, ["b"], most=2)["web1"]
    assert (one.put, one.removed, one.before) == ({"a": "2"}, {"b": ""}, {"a": "1"})
    with pytest.raises(Refused, match="web2 would have more than 2 stored tags"):
        store.tags.change(["web1", "web2"], {"c": "3"}, [], most=2)
    assert store.tags.all() == {"web1": {"a": "2"}, "web2": {"a": "1", "b": ""}}
    with store.database.reading() as connection:
        rows = connection.execute("SELECT action, detail FROM audit ORDER BY sequence").fetchall()
    assert [row["action"] for row in rows] == ["host.tag"] * 3
    assert json.loads(rows[2]["detail"]) == {
        "host": "web1",
        "set": {"a": "2"},
        "removed": {"b": ""},
        "before": {"a": "1"},
    }
    assert store.verify_audit() is None


def test_what_was_not_read_is_not_called_missing(tmp_path):
    """`validate` reads no store: with one there, a target by a tag that no file has may fit, and is not warned of."""
    states = "associations:\n  web: {targets: patch=now, packages: {nginx: present}}\n"
    root = write(tmp_path, {"inventories/prod": INVENTORY, "states/a.yml": states})
    assert [one.code for one in found_in(load(root, env={}), None)[0]] == ["W120"]
    (root / ".statectl").mkdir()
    (root / ".statectl" / "state.db").touch()
    assert found_in(load(root, env={}), None)[0] == []


def test_a_shared_store_is_the_only_one(tmp_path, store, monkeypatch):
    """The scheduler opens a project again and again with the one store that it has: stored tags are read from that."""
    monkeypatch.setattr(opened_store, "open_store", None)
    root = write(tmp_path / "project", {"inventories/prod": INVENTORY})
    store.tags.change(["web1"], {"patch": "now"}, [], most=50)
    opened = fleet.Opened.of({"directory": str(root)}, None, store=store)
    assert opened.inventory.hosts["web1"].tags["patch"] == "now"
    opened.close()
    assert store.tags.all() == {"web1": {"patch": "now"}}
