"""explain var: the value, where it stands, and every value that it hides."""

from statectl.catalogue.explain_variable import explain_variable
from tests.unit.compiling import Compiled, association

HOSTS = """hosts:
  web1: {groups: [web], vars: {workers: 8, ports: [2]}}
  db1: {vars: {only: 1}}
groups:
  web: {vars: {workers: 4, key: {value_from: 'env:NOT_SET_ANYWHERE'}, dsn: 'pg://{{ key }}@{{ host.name }}', late: '{{ facts.x }}'}}
"""
FILES = {
    "states/a.yml": association(
        "vars: {workers: 2, ports: [1], rack: 1.10}\nmerge_vars: {ports: append}\npackages: [a]", targets="group:web"
    )
    + association("packages: [b]", "base", targets="group:web", head="")
}


def explained(tmp_path, name, host="web1"):
    with Compiled(tmp_path, FILES, hosts=HOSTS) as compiled:
        return explain_variable(compiled.project, compiled.inventory, host, name)


def test_every_value_is_shown_from_the_nearest_to_the_farthest(tmp_path):
    """The one that holds, then all that it hides, each with file, line and level; associations that differ stand apart."""
    assert explained(tmp_path, "workers") == [
        "workers on web1, for web",
        "  = 8",
        "    inventories/prod/hosts.yml:2   host web1",
        "  hides 4",
        "    inventories/prod/hosts.yml:5   group web",
        "  hides 2",
        "    states/a.yml:4   association web",
        "workers on web1, for base",
        "  = 8",
        "    inventories/prod/hosts.yml:2   host web1",
        "  hides 4",
        "    inventories/prod/hosts.yml:5   group web",
    ]


def test_joined_expressions_and_secrets_say_what_they_are(tmp_path):
    """Joined lists show their parts, expressions their source and value, secrets their name and nothing else."""
    assert explained(tmp_path, "ports")[1] == "  = [1, 2], joined append"
    assert explained(tmp_path, "rack")[1] == "  = 1.10"
    assert explained(tmp_path, "key")[1] == "  = ‹secret key›"
    assert explained(tmp_path, "dsn")[1:3] == ['  = "pg://‹secret›@web1"', "    written pg://{{ key }}@{{ host.name }}"]
    assert explained(tmp_path, "late")[1] == "  = not known before the host is contacted"


def test_names_that_are_not_there_get_the_nearest(tmp_path):
    """A misspelt name is answered, not listed as empty; a variable that no association sees is still shown."""
    assert explained(tmp_path, "wrokers") == ["no variable `wrokers` on web1; did you mean `workers`?"]
    assert explained(tmp_path, "only", "db1")[1] == "  = 1"
