"""statectl inventory tag: tags set from the command line count wherever tags do, and show where they come from."""

STATES = """\
associations:
  app:
    targets: patch=now
    files:
      "{{ machine }}/x": {content: "{{ host.tags.patch }} {{ host.tags.env }} {{ hosts('patch=now') | length }}"}
"""


def test_set_use_and_take_away(project):
    """A stored tag chooses the hosts of an association and reaches templates; one that the inventory declares keeps its value."""
    project.machine.mkdir()
    project.states(STATES)
    said = project.statectl("inventory", "tag", "localhost", "patch=now", "env=other", expect=0).out
    assert said.startswith(
        "localhost  patch=now, env=other\nlocalhost: env stays as the inventory declares it (inventories/"
    )
    project.statectl("apply", "--yes", expect=0)
    assert (project.machine / "x").read_text() == "now demo 1"
    row = project.statectl("inventory", "show", "localhost", "--json", expect=0).json["hosts"]["localhost"]
    assert (row["tags"], row["hidden_tags"]) == ({"env": "demo", "patch": "now"}, {"env": "other"})
    assert (row["tag_sources"]["patch"], row["tag_sources"]["env"]) == ("store", "inventories/local/hosts.yml:4:12")
    removed = project.statectl("inventory", "tag", "-t", "patch=now", "--remove", "patch", "--json", expect=0).json
    assert removed["hosts"] == {"localhost": {"set": {}, "removed": {"patch": "now"}, "hidden": {}}}
    project.statectl("inventory", "list", "-t", "patch=now", expect=4)


def test_mistakes_change_nothing(project):
    """Each mistake of the command line is one line with its fix, and no store is made for it."""
    for argv, text in (
        (("env=prod",), "which host?"),
        (("nohost", "a=b"), "no host 'nohost' in the inventory"),
        (("localhost", "aws:x=1"), "keys that begin with aws: are those of AWS"),
        (("localhost", "a=1", "--remove", "a"), "tag 'a' is given twice"),
        (("localhost",), "nothing to do"),
    ):
        said = project.statectl("inventory", "tag", *argv, expect=64)
        assert text in said.err, said
    assert not (project.root / ".statectl" / "state.db").exists()
