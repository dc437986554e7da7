"""statectl inventory sources: where hosts come from, how old the answers are, and that an earlier one is never used in silence."""


def test_asked_kept_and_failing(project):
    """A program is asked, then its answer is used; when it fails on --ask, the earlier answer is, and every command says so."""
    program = project.root / "inventories" / "local" / "cloud"
    program.write_text(f'#!/bin/sh\n[ -e {project.root}/broken ] && exit 3\necho \'{{"cloud": ["c1"]}}\'\n')
    program.chmod(0o755)
    config = project.home / ".config" / "statectl" / "config.yml"
    config.parent.mkdir(parents=True)
    config.write_text(f"trusted_projects: [{project.root}]\n")
    settings = (project.root / "statectl.yml").read_text()
    project.write("statectl.yml", settings + "inventory_sources: {cache: 1h}\n")

    def sources(*options):
        said = project.statectl("inventory", "sources", "--json", *options, expect=0)
        (row,) = [one for one in said.json["sources"] if one["kind"] == "program"]
        assert row["source"] == "inventories/local/cloud"
        return row["kept"], said.err

    assert [sources(), sources()] == [(False, ""), (True, "")]
    (project.root / "broken").touch()
    kept, told = sources("--ask")
    assert kept
    assert told.startswith(
        "inventories/local/cloud:1:1: warning[W160]: executable inventory: `--list` exited 3; its answer of "
    )
    assert "cloud      program  answered " in project.statectl("inventory", "sources", expect=0).out
    project.write("statectl.yml", settings)
    assert "error[E165]" in project.statectl("inventory", "list", expect=4).err
