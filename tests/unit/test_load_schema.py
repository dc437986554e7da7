"""What an editor is told agrees with what the loader accepts, and everything that `explain` and the schema say is there."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from statectl.project import explain as explained
from statectl.project.explain import THINGS, code_text, explain
from statectl.project.schema import inventory_schema, settings_schema, states_schema
from statectl.project.types import COMMON_FIELDS, resource_types
from statectl.sections import table
from tests.unit.test_load_project import EXAMPLE

ROOT = Path(__file__).parents[2]
STATES = jsonschema.Draft7Validator(states_schema(table()))


class EditorLoader(yaml.SafeLoader):
    """Types scalars before the schema sees them, as editors do; YAML 1.2 knows no dates."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def faults(text):
    return [error.message for error in STATES.iter_errors(yaml.load(text, EditorLoader))]


@pytest.mark.parametrize(
    "schema", [states_schema(table()), settings_schema(), inventory_schema()], ids=["states", "settings", "inventory"]
)
def test_is_a_schema(schema):
    """The schemas are valid JSON Schema, draft 7, which editors read."""
    jsonschema.Draft7Validator.check_schema(schema)


def test_example_is_accepted():
    """The example of the language has no fault in an editor, although its reader types 0644 and 1.10 before the schema sees them."""
    assert faults(EXAMPLE) == []


@pytest.mark.parametrize(
    "body",
    [
        "packges: [x]",
        "files: {/x: {templete: y}}",
        "files: {/x: {content: a, mode: {}}}",
        "services: {x: {state: started}}",
        "services: {x: started}",
        "lines: {x: {line: a}}",
        "mode: enforced",
        "rollout: {bacth: [1]}",
        "where: [{mode: audit}]",
        "use: {p: {wiht: {}}}",
        "given: [{whem: x}]",
        "probes: {x: {}}",
    ],
)
def test_mistakes_are_refused(body):
    """An editor underlines what the loader refuses."""
    assert faults(f"associations: {{a: {{targets: all, {body}}}}}")


@pytest.mark.parametrize(
    "body",
    [
        "packages: [x, y]",
        "packages: {x: '1.*', y: {version: 1.10}, z: '{{ v }}'}",
        "files: {/x: {content: 5, mode: 0644, owner: 0, sensitive: true, notify: [service:x]}, /y: absent}",
        "services: {x: running, y: {enabled: '{{ e }}'}}",
        "users: {bob: {uid: 1000, groups: [a], expires: 2027-06-30}, eve: absent}",
        "authorized_keys: {bob: [a], eve: {keys: [b], exclusive: true}}",
        "sysctls: {net.ipv4.ip_forward: 1, vm.x: {value: 5}}",
        "links: {/x: /y, /z: {to: /y, force: true}}",
        "commands: {x: {run: [a, b], creates: /x, timeout: 30s}, y: {run: text, unless: [c]}}",
        "given: [{when: a == 1, packages: [x], given: [{files: {}}]}]",
        "max_concurrency: 5, max_errors: 10%",
    ],
)
def test_forms_are_accepted(body):
    """Every form of the language passes."""
    assert faults(f"associations: {{a: {{targets: all, {body}}}}}") == []


def test_settings_and_inventory():
    """statectl.yml and own inventories have schemas that know their keys."""
    settings = jsonschema.Draft7Validator(settings_schema())
    good = "project: x\ninventory: y\nconnection: {user: a, port: 22, become: true, jump: [b]}\nlimits: {paths: [a], max_removals: 3}\n"
    assert list(settings.iter_errors(yaml.safe_load(good))) == []
    assert list(settings.iter_errors(yaml.safe_load("project: x\ninventry: y\n")))
    inventory = jsonschema.Draft7Validator(inventory_schema())
    good = "hosts:\n  'web[01-36]': {address: a, groups: [web], tags: {env: prod}, vars: {x: 1}}\n  db:\ngroups:\n  web: {vars: {a: b}, connection: {user: c}, children: [x]}\n"
    assert list(inventory.iter_errors(yaml.safe_load(good))) == []
    assert list(inventory.iter_errors({"hosts": {"a": {"adress": "x"}}}))


@pytest.mark.parametrize("kind", list(resource_types().values()), ids=lambda kind: kind.name)
def test_every_field_is_explained(kind):
    """A type by its name and by its section, and each of its fields, has a text."""
    sections = table()
    text = explain(kind.name, sections)
    assert text == explain(kind.section, sections)
    for field in (*kind.fields, *COMMON_FIELDS):
        assert re.search(rf"^{field} ", text, re.MULTILINE), field
        assert explain(f"{kind.name}.{field}", sections)
    assert explain(f"{kind.name}.nope", sections) is None


def test_things_are_explained():
    """Associations, profiles and the rest are explained with their fields; what is not known is said to be unknown."""
    sections = table()
    for name, (_, fields) in THINGS.items():
        assert explain(name, sections)
        for field in fields:
            assert explain(f"{name}.{field}", sections), field
    assert explain("association.where", sections) == explain("associations.where", sections).replace(
        "associations", "association"
    )
    assert explain("association.files", sections) == explain("file", sections)
    assert explain("nope", sections) is None
    assert explain("E999", sections) is None
    assert explain("e103", sections).startswith("E103: unquoted template expression\n")


def test_every_code_has_its_page():
    """A code that the loader can report is explained offline, in its own page whose title names it."""
    codes = set()
    for path in [
        *(ROOT / "statectl" / "project").glob("*.py"),
        *(ROOT / "statectl" / "resources").glob("*.py"),
        ROOT / "statectl/sections.py",
    ]:
        codes |= set(re.findall(r'"([EW]\d{3})"', path.read_text()))
    assert {"E101", "E130", "E140", "W101"} <= codes
    assert [code for code in sorted(codes) if code_text(code) is None] == []
    for code in codes:
        assert re.match(rf"{code}: [a-z0-9`]", code_text(code)), code


def test_pages_are_found():
    """The pages stand in the source tree, or in the package once it is built."""
    assert any((base / "E101.md").is_file() for base in explained.error_pages())
