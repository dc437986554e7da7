"""`validate --fix`: everything that has one right text, in every file of the project, in one go; and nothing else."""

from tests.cli.local_project import LocalProject

STATES = """\
# comment {{ not }} touched
associations:
  web:
    targets: all
    vars:
      a: {{ host.name }}   # kept
      b: [{{ a }}, x]
      c: {{ a | replace("x", 'y') }}
    files:
      "{{ machine }}/x": {contnet: a, onwer: root}
    servces: {nginx: runing}
"""
FIXED = """\
# comment {{ not }} touched
associations:
  web:
    targets: all
    vars:
      a: "{{ host.name }}"   # kept
      b: ["{{ a }}", x]
      c: {{ a | replace("x", 'y') }}
    files:
      "{{ machine }}/x": {content: a, owner: root}
    services: {nginx: running}
"""


def test_fix_mends_what_needs_no_thought(project: LocalProject) -> None:
    """Misspelt keys, also below each other, words, and expressions without quotes; what no quotes can hold is left and told."""
    project.states(STATES)
    said = project.statectl("validate", "--fix", expect=4)
    assert (project.root / "states/only.yml").read_text() == FIXED
    assert said.err.count("fixed states/only.yml:") == 6
    assert "states/only.yml:8:10" in said.out
    assert "1 error." in said.out
    right = FIXED.replace("""{{ a | replace("x", 'y') }}""", "x")
    project.states(right.replace("    services: {nginx: running}\n", ""))  # this project may manage paths only
    project.statectl("validate", expect=0)


def test_fix_reaches_settings_and_inventory(project: LocalProject) -> None:
    """Mistakes of the settings and of the inventory are mended as well, though those are found only once the states are right."""
    settings = (project.root / "statectl.yml").read_text()
    project.write("statectl.yml", settings + "conection: {usr: ana}\n")
    inventory = "hosts:\n  localhost: {conection: local, vars: {machine: /tmp/x}}\n"
    project.write("inventories/local/hosts.yml", inventory)
    said = project.statectl("validate", "--fix")
    assert (project.root / "statectl.yml").read_text() == settings + "connection: {user: ana}\n"
    assert (project.root / "inventories/local/hosts.yml").read_text() == inventory.replace("conection", "connection")
    assert "fixed inventories/local/hosts.yml:2:15: unknown key `conection`" in said.err


def test_without_fix_nothing_is_written(project: LocalProject) -> None:
    """validate alone says what --fix would do, and touches no file."""
    project.states(STATES)
    said = project.statectl("validate", expect=4)
    assert said.out.count("fix: statectl validate --fix") >= 4
    assert (project.root / "states/only.yml").read_text() == STATES
