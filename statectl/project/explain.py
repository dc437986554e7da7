"""What `statectl explain` says about codes, types and fields: the same texts that make the schema and the reference."""

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import statectl
from statectl.project import (
    associations,
    baseline_hooks,
    baseline_rules,
    baseline_sources,
    baselines,
    bodies,
    collecting,
    parameter_access,
    parameter_settings,
    parameters,
    patch_settings,
    profiles,
    requires,
    resource_groups,
    rollouts,
    settings,
    source_settings,
    windows,
)
from statectl.project.findings import one_of
from statectl.project.scalars import Plain
from statectl.project.types import COMMON_FIELDS, ResourceType, Sections
from statectl.targets import ec2

WIDTH = 96
_CODE = re.compile(r"[EW][0-9]{3}", re.IGNORECASE)

# Things of the language that are no resource: what they are, and their fields.
THINGS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "association": ("An association binds resources to hosts: who gets them, when and how", associations.FIELDS),
    "profile": ("A profile is a body of resources with inputs, placed in associations by `use`", profiles.FIELDS),
    "input": ("An input of a profile", profiles.INPUT_FIELDS),
    "use": ("Places a profile; the key is its name, or a free name when `profile` is given", bodies.USE_FIELDS),
    "given": ("A group of resources under one condition", bodies.GIVEN_FIELDS),
    "probe": ("A read-only command whose result conditions and templates can use", associations.PROBE_FIELDS),
    "override": ("Lets this association win over another one for one address", associations.OVERRIDE_FIELDS),
    "requirement": ("What has to come first on other hosts, an entry of `requires`", requires.FIELDS),
    "rollout": ("How the hosts of an association change one after the other", rollouts.FIELDS),
    "health": ("What must hold on a host once `rollout` has changed it", rollouts.HEALTH_FIELDS),
    "step": ("A command on other hosts, `before` or `after` of `rollout`", rollouts.STEP_FIELDS),
    "parameter": ("A value that the parameter store should hold", parameters.FIELDS),
    "ec2": ("A file of the inventory that asks EC2 for hosts", ec2.FIELDS),
    "resource_group": ("A named question about the hosts, for every target", resource_groups.FIELDS),
    "patch_baseline": ("A patch baseline says which updates hosts of one system should have", baselines.FIELDS),
    "patch_rule": ("A rule of a patch baseline, an entry of `approve`", baseline_rules.RULE_FIELDS),
    "patch_filter": ("What the rules of a patch baseline look at, `filters`", baseline_rules.FILTER_FIELDS),
    "patch_pin": ("A package that stays at a version for a while, an entry of `pins`", baselines.PIN_FIELDS),
    "patch_source": ("A repository of one's own, an entry of `sources`", baseline_sources.FIELDS),
    "patch_hooks": ("Commands on the host around an installation, `hooks`", baseline_hooks.FIELDS),
    "maintenance_window": ("A maintenance window says when something that disrupts may happen", windows.FIELDS),
    "settings": (
        "statectl.yml, and the user's and the machine's configuration",
        {**settings.FIELDS, **settings.USER_FIELDS},
    ),
    "connection": ("How hosts are reached (statectl.yml and inventories)", settings.CONNECTION_FIELDS),
    "limits": ("What may be changed at all (statectl.yml)", settings.LIMIT_FIELDS),
    "parameters": ("The parameter store (statectl.yml)", parameter_settings.FIELDS),
    "inventory_sources": ("Inventories that are asked: programs and clouds (statectl.yml)", source_settings.FIELDS),
    "access_rule": ("A rule of the policy file of the parameter store", parameter_access.FIELDS),
    "collect": ("What `statectl inventory refresh` asks for (statectl.yml)", collecting.FIELDS),
    "collect_file": ("Files that `collect` tells of, an entry of `files`", collecting.FILE_FIELDS),
    "custom_type": ("A type of your own, an entry of `custom` in `collect`", collecting.CUSTOM_FIELDS),
    "patching": ("Patching beside its baselines (statectl.yml)", patch_settings.FIELDS),
    "patch_index": ("An index of packages, an entry of `indexes` in `patching`", patch_settings.INDEX_FIELDS),
    "patch_feed": ("A feed of vulnerabilities, an entry of `feeds` in `patching`", patch_settings.FEED_FIELDS),
    "serve": ("How `statectl serve` works (statectl.yml)", settings.SERVE_FIELDS),
}


def explain(what: str, sections: Sections) -> str | None:
    """The text about a code (E103), a type or thing (file, association) or one of its fields (file.mode); None: unknown."""
    if _CODE.fullmatch(what):
        return code_text(what.upper())
    name, _, field = what.partition(".")
    kind = next((one for one in sections.resources.values() if name in (one.name, one.section)), None)
    if kind is not None:
        return _type_field(kind, field) if field else _type(kind)
    thing = THINGS.get(name) or THINGS.get(name.removesuffix("s"))
    if thing is None:
        return None
    if not field:
        return f"{thing[0]}.\n\n{_table(thing[1])}"
    if name.startswith("association") and field in sections.resources:
        return _type(sections.resources[field])
    return f"{name}.{field}\n\n{_filled(thing[1][field])}\n" if field in thing[1] else None


def code_text(code: str) -> str | None:
    """The page of an error code, as it stands in docs/errors."""
    for base in error_pages():
        path = base / f"{code}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8").removeprefix("# ")
    return None


def error_pages() -> tuple[Path, ...]:
    """Where the pages are: in the installed package, or in the source tree."""
    package = Path(statectl.__file__).parent
    return package / "docs" / "errors", package.parent / "docs" / "errors"


def _type(kind: ResourceType) -> str:
    forms = short_forms(kind)
    lines = [
        f"{kind.name}: {_sentence(kind.description)}",
        "",
        f"section   {kind.section}",
        f"address   {kind.name}:KEY",
        f"key       {_sentence(str(kind.model.model_fields['name'].description))}",
    ]
    lines += [f"short     {forms}"] if forms else []
    lines += [f"phase     {kind.phase}"]
    own = {name: _description(kind, name) for name in kind.fields}
    return "\n".join([*lines, "", _table(own), "In every long form:", _table(COMMON_FIELDS)])


def _type_field(kind: ResourceType, field: str) -> str | None:
    if field in COMMON_FIELDS:
        return f"{kind.name}.{field} (in every long form)\n\n{_filled(COMMON_FIELDS[field])}\n"
    if field not in kind.fields and field != "name":
        return None
    info = kind.model.model_fields[field]
    facts = [f"takes     {takes(kind, field)}"]
    if info.is_required():
        facts.append("required  yes")
    elif info.default is not None:
        facts.append(f"default   {_shown(info.default)}")
    return "\n".join([f"{kind.name}.{field}", "", _filled(_description(kind, field)), "", *facts, ""])


def _description(kind: ResourceType, field: str) -> str:
    info = kind.model.model_fields[field]
    text = str(info.description or "")
    return f"{text} (required)" if info.is_required() else text


def short_forms(kind: ResourceType) -> str:
    """The short forms in words, found by trying them."""
    words = [f"`{word}`" for word in kind.words]
    if kind.short("x", Plain("1.0")) is not None and kind.short("x", Plain("1.0")) != {"state": "1.0"}:
        given = next(iter(kind.short("x", Plain("1.0")) or {}), "value")
        words.append(f"the value of `{given}`")
    if kind.short("x", ["a"]) is not None:
        words.append("a list")
    if kind.short("x", None) is not None:
        words.append("a list of keys instead of the map")
    return one_of(words) if words else ""


def takes(kind: ResourceType, field: str) -> str:
    schema = kind.model.model_json_schema()
    return _in_words(schema["properties"][field], schema.get("$defs", {}))


def _in_words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    branches = [branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    if branches:
        return " or ".join(dict.fromkeys(_in_words(branch, definitions) for branch in branches))
    if "$ref" in schema:
        nested = definitions[schema["$ref"].rpartition("/")[2]]
        return f"a map of {one_of(nested.get('properties', {}))}"
    if "enum" in schema:
        return one_of(str(word) for word in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type")
    if kind == "array":
        return f"a list of {_in_words(schema.get('items', {}), definitions).removeprefix('a ')}"
    if kind == "object":
        below = schema.get("additionalProperties")
        return f"a map of names to {_in_words(below, definitions)}" if isinstance(below, dict) else "a map"
    return {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}.get(
        str(kind), "a value"
    )


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sentence(text: str) -> str:
    return text.rstrip(".")


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH)


def _table(rows: Mapping[str, str]) -> str:
    wide = max((len(name) for name in rows), default=0)
    lines: list[str] = []
    for name, text in rows.items():
        lines += textwrap.wrap(
            f"{name:<{wide}}  {text}", WIDTH, subsequent_indent=" " * (wide + 2), break_on_hyphens=False
        )
    return "\n".join(lines) + "\n"
