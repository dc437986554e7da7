"""-C DIR: the command does what it would do if it had been started in DIR."""

from tests.cli.local_project import statectl

OTHER = "hosts:\n  other: {connection: local, vars: {machine: MACHINE}}\n"


def test_every_path_is_relative_to_dir(project):
    """Inventory, plan file, output file and variables file, as with git -C; nothing appears where the command was started."""
    project.write("more/hosts.yml", OTHER.replace("MACHINE", str(project.machine / "other")))
    project.write("set.yml", "colour: green\n")
    project.states('associations: {a: {targets: all, files: {"{{ machine }}/x": {content: "{{ colour }}"}}}}\n')
    (project.machine / "other").mkdir(parents=True)
    elsewhere = project.home / "elsewhere"
    elsewhere.mkdir(parents=True)

    def there(*argv: str, expect: int = 0):
        return statectl("-C", str(project.root), *argv, cwd=elsewhere, home=project.home, expect=expect)

    there("plan", "-i", "more", "--set", "@set.yml", "--save", "kept.plan", "-o", "json=plan.json")
    assert (project.root / "plan.json").is_file()
    there("apply", "./kept.plan")
    assert (project.machine / "other/x").read_text() == "green"
    there("drift", "-i", "more")
    assert list(elsewhere.iterdir()) == []
