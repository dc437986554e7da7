"""Every resource type keeps the contract that the loader, the schema and `explain` stand on."""

import pytest

from statectl.project.scalars import Expression, Plain
from statectl.project.types import resource_types
from statectl.resources.model import PHASES

TYPES = list(resource_types().values())
each_type = pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)


def test_all_types_are_there():
    """The sections of the language are the sections that files may hold."""
    assert {kind.section for kind in TYPES} == {
        "package_repositories", "packages", "unix_groups", "users", "authorized_keys", "directories", "trees", "files",
        "links", "lines", "text_blocks", "units", "mounts", "services", "cron_jobs", "sysctls", "commands",
    }  # fmt: skip


@each_type
def test_described(kind):
    """A type and each of its fields is described: explain, the schema and the reference have no other source."""
    assert kind.description
    assert kind.phase in PHASES
    assert next(iter(kind.model.model_fields)) == "name"
    assert [name for name, field in kind.model.model_fields.items() if not field.description] == []


@each_type
def test_expressions_wait(kind):
    """Where a value is not known before a host is, no check looks into it, alone or together with others."""
    expression = Expression("{{ x }}")
    for field in kind.fields:
        problems = validated(kind, {"name": "/x", field: expression})
        assert [one for one in problems if field in one["loc"]] == []
    validated(kind, {"name": expression, **dict.fromkeys(kind.fields, expression)})
    validated(kind, {"name": expression})


def validated(kind, data):
    """The findings of a model; anything but a ValidationError is a bug in it."""
    from pydantic import ValidationError

    try:
        kind.model.model_validate(data)
    except ValidationError as error:
        return error.errors(include_input=False, include_url=False)
    return []


@each_type
def test_short_forms_do_not_raise(kind):
    """A short form exists or does not, whatever stands there."""
    for value in (None, Plain("absent"), Plain("1.10"), "text", Expression("{{ x }}"), ["a"], [], Plain("")):
        assert kind.short("x", value) is None or isinstance(kind.short("x", value), dict)


@each_type
@pytest.mark.parametrize(
    "value", [Plain("hunter2"), "hunter2", ["hunter2"], {"hunter2": "hunter2"}, {"a": ["hunter2"]}], ids=repr
)
def test_messages_never_hold_the_value(kind, value):
    """No field's message repeats what was written: it may be a secret."""
    for field in kind.fields:
        for one in validated(kind, {"name": "x", field: value}):
            assert "hunter2" not in str(one.get("ctx", {}).get("text", "")), (field, one)
