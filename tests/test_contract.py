"""The two halves of every resource type say the same. Types are found by listing the directories: there is no list to forget."""

import importlib
import inspect
import pkgutil
from typing import get_origin

import pytest
from pydantic import BaseModel

from statectl import resources
from statectl.onhost import collect
from statectl.onhost import resources as host_resources
from statectl.resources.model import PHASES, Edge, Resource
from statectl.targets.collected import TYPES

COLLECTED = [importlib.import_module(f"statectl.onhost.collect.{name}") for name in collect.TYPES]
COMMON = {"when", "for_each", "after", "before", "notify", "sensitive", "on_removal", "protect"}


def controller_halves():
    """Name -> module of everything in resources/ that is a type, and not an idea that types share."""
    modules = {
        entry.name: importlib.import_module(f"{resources.__name__}.{entry.name}")
        for entry in pkgutil.iter_modules(resources.__path__)
    }
    return {name: module for name, module in modules.items() if hasattr(module, "SECTION")}


def host_halves():
    return {
        entry.name: importlib.import_module(f"{host_resources.__name__}.{entry.name}")
        for entry in pkgutil.iter_modules(host_resources.__path__)
    }


CONTROLLER, HOST = controller_halves(), host_halves()
BOTH = sorted(CONTROLLER.keys() & HOST.keys())


def models(model):
    """A model and those inside its fields: every one of them is written by people."""
    found = [model]
    for field in model.model_fields.values():
        todo = [field.annotation]
        while todo:
            annotation = todo.pop()
            todo += getattr(annotation, "__args__", ())
            if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
                found += models(annotation)
    return found


def test_both_halves_of_every_type_exist():
    """A type that can be declared can be applied, and nothing travels that cannot be declared or that the controller does not make itself."""
    made = {name for name, module in HOST.items() if getattr(module, "COMPILED", False)}
    assert sorted(CONTROLLER) == sorted(HOST.keys() - made)


@pytest.mark.parametrize("name", BOTH)
def test_both_halves_have_the_same_fields(name):
    """No field is lost on the way to the host, but for those that the compiler turns into others."""
    model, desired = CONTROLLER[name].Model, HOST[name].Desired
    away = getattr(model, "compiled_away", frozenset())
    assert away <= set(model.model_fields)
    assert set(desired._fields) == set(model.model_fields) - away
    assert desired._fields[0] == next(iter(model.model_fields)) == "name"


@pytest.mark.parametrize("name", BOTH)
def test_a_host_half_is_callable_as_the_engine_calls_it(name):
    """Every field but the name may be left out; read, apply and the optional functions take what they are given."""
    module = HOST[name]
    record = module.Desired("x")
    assert all(getattr(record, field) is None for field in record._fields[1:])
    assert set(getattr(module, "OPTIONS", ())) <= set(record._fields) - {"name", "state"}
    apply = ["host", "batch"] if getattr(module, "BATCH", False) else ["host", "want", "found", "differing"]
    shapes = {
        "read": 2,
        "apply": len(apply),
        "same": 3,
        "removal": 1,
        "notify": 3,
        "validate": 3,
        "blobs": 2,
        "diff": 3,
        "foreseen": 1,
        "read_ahead": 3,
    }
    for function, count in shapes.items():
        if function in ("read", "apply") or hasattr(module, function):
            parameters = inspect.signature(getattr(module, function)).parameters
            assert len(parameters) == count, f"{name}.{function}{tuple(parameters)}"


@pytest.mark.parametrize("name", sorted(CONTROLLER))
def test_every_field_is_described(name):
    """`explain`, the JSON Schema and the reference page have nothing else to show."""
    for model in models(CONTROLLER[name].Model):
        bare = [field for field, info in model.model_fields.items() if not info.description]
        assert not bare, f"{model.__module__}.{model.__name__}"


@pytest.mark.parametrize("name", sorted(CONTROLLER))
def test_a_controller_half_says_all_it_must(name):
    """Section, phase, model, short form and edges have the shape the loader and the compiler count on."""
    module = CONTROLLER[name]
    assert module.PHASE in PHASES
    assert issubclass(module.Model, Resource)
    assert not COMMON & set(module.Model.model_fields), "common fields belong to no type"
    assert len(inspect.signature(module.short).parameters) == 2
    assert (module.__doc__ or "").strip(), "the first paragraph of the docstring is what `explain` shows"
    assert get_type_of_edges(module) in (None, list[Edge])


def get_type_of_edges(module):
    return inspect.signature(module.edges).return_annotation if hasattr(module, "edges") else None


def test_sections_are_unique():
    """A section of a YAML file means one type."""
    sections = [module.SECTION for module in CONTROLLER.values()]
    assert sorted(set(sections)) == sorted(sections)


@pytest.mark.parametrize("name", BOTH)
def test_what_can_be_absent_says_so_in_both_halves(name):
    """The host compares `state` alone where absence is wanted, so the controller always sends one."""
    field = CONTROLLER[name].Model.model_fields.get("state")
    if field is not None and "'absent'" in str(field.annotation):
        assert field.default is not None


@pytest.mark.parametrize("module", COLLECTED, ids=lambda module: module.NAME)
def test_a_collected_type_is_the_same_in_both_halves(module):
    """Attributes in their order, what names an entry, and whether it has a history: the host tells what the controller describes."""
    kind = TYPES[module.NAME]
    assert tuple(one.name for one in kind.attributes) == module.COLUMNS
    assert set(kind.key) <= set(module.COLUMNS)
    assert getattr(module, "LASTING", True) == kind.lasting
    assert not kind.own or kind.own in module.COLUMNS


def test_every_collected_type_is_read():
    """What the controller describes some host reads, and every file of a type is in the list."""
    assert {module.NAME for module in COLLECTED} == set(TYPES)
    files = {entry.name for entry in pkgutil.iter_modules(collect.__path__)}
    assert set(collect.TYPES) == files - {"custom", "der", "rows", "times"}
