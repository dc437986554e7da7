"""No example, no system and no association is left out of what the lab plays."""

import shutil
import sys
from itertools import product
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # `tests.hosts`, however pytest was started

from statectl.project import yaml_tree
from statectl.project.scalars import Expression, Plain, untyped
from statectl.sections import load
from statectl.targets.inventory import load_inventory
from statectl.targets.matching import select
from statectl.targets.values import Yaml
from tests.hosts.example_stages import ONLY_ON, STAGES, SYSTEMS
from tests.lab import SUITES

ROOT = Path(__file__).parents[2]
YAML = Yaml(yaml_tree.read_yaml, untyped, Expression, Plain, yaml_tree.BROKEN)
EXAMPLES = sorted(str(path.parent.relative_to(ROOT / "examples")) for path in ROOT.glob("examples/**/statectl.yml"))
BESIDE = {"forky"}  # tested for its Python alone: docs/lab.md


def test_every_example_is_played_on_every_system():
    """An example that nobody applies somewhere stops working there one day; a new one needs an entry, and so does a new system."""
    assert set(SYSTEMS) == set(SUITES) - BESIDE
    played = {(stage.example, system) for stage in STAGES.values() for cast in stage.casts for system in cast.values()}
    assert played == set(product(EXAMPLES, SYSTEMS))


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_association_of_an_example_meets_every_system(tmp_path, monkeypatch, example):
    """A host of the right name is not enough: each association has a host of each system, but where the example says otherwise."""
    for stage in STAGES.values():
        for name, value in stage.env.items():
            monkeypatch.setenv(name, value)
    met, declared = set(), set()
    for name, stage in STAGES.items():
        if stage.example != example:
            continue
        place = tmp_path / name
        shutil.copytree(ROOT / "examples" / example, place)
        if stage.vars:
            (place / stage.inventory / "zz-vars.yml").write_text(stage.vars)
        project = load(place, env={})
        inventory, problems = load_inventory(place / stage.inventory, root=place, yaml=YAML)
        assert problems == []
        assert all(set(cast) <= set(inventory.hosts) for cast in stage.casts)
        declared |= set(project.associations)
        for association in project.associations.values():
            chosen = select(association.targets, inventory, allow_empty=True).hosts
            met |= {(association.name, cast[host]) for cast in stage.casts for host in chosen if host in cast}
    wanted = {
        (association, system) for association in declared for system in ONLY_ON.get((example, association), SYSTEMS)
    }
    assert declared
    assert met == wanted
