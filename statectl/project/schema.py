"""JSON Schemas for editors, made from the models that check the files; nothing is described twice.

A schema is looser than the loader on purpose: an editor's YAML reader turns 0644 into a number before the schema sees it,
and an expression may stand wherever a value may. What it refuses is refused by the loader too.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from statectl.baselines.patching import FEED_KINDS
from statectl.project import (
    associations,
    bodies,
    collecting,
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
from statectl.project.baseline_schema import patch_baseline_schema
from statectl.project.scalars import Plain
from statectl.project.types import COMMON_FIELDS, ResourceType, Sections

DRAFT = "http://json-schema.org/draft-07/schema#"
_EXPRESSION = {"type": "string", "pattern": r"\{[{%]"}
_SCALAR = {"type": ["string", "number", "boolean"]}
_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_FLAG = {"anyOf": [{"type": "boolean"}, _EXPRESSION]}

Schema = dict[str, Any]


def states_schema(sections: Sections) -> Schema:
    """The schema of files below states/."""
    types = sections.resources
    definitions: Schema = {}
    for section, kind in types.items():
        definitions[section] = _section(kind, definitions)
    body: Schema = {
        section: {"$ref": f"#/definitions/{section}", "description": one.description} for section, one in types.items()
    }
    body["use"] = {"description": associations.FIELDS["use"], "$ref": "#/definitions/use"}
    body["given"] = {
        "description": associations.FIELDS["given"],
        "type": "array",
        "items": {"$ref": "#/definitions/given"},
    }
    definitions["use"] = {"type": "object", "additionalProperties": _closed(_described(bodies.USE_FIELDS, _USE))}
    definitions["given"] = _closed({**_described(bodies.GIVEN_FIELDS, _GIVEN), **body})
    definitions["association"] = _closed(
        {**_described(associations.FIELDS, _ASSOCIATION), **body}, required=["targets"]
    )
    definitions["profile"] = _closed({**_described(profiles.FIELDS, _PROFILE), **body})
    definitions["maintenance_window"] = _closed(
        _described(windows.FIELDS, _MAINTENANCE_WINDOW), required=["schedule", "duration"]
    )
    definitions["parameter"] = {
        "anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}, _closed(_described(parameters.FIELDS, _PARAMETER))]
    }
    texts = {name: {"type": "string"} for name in resource_groups.FIELDS}
    definitions["resource_group"] = {
        "anyOf": [
            {"type": "string"},
            {
                **_closed(_described(resource_groups.FIELDS, texts)),
                "oneOf": [{"required": [source]} for source in resource_groups.SOURCES],
            },
        ]
    }
    named = {"type": "object", "propertyNames": {"pattern": "^[a-z][a-z0-9_-]{0,63}$"}}
    return {
        "$schema": DRAFT,
        "title": "statectl states",
        "description": "A file below states/ of a statectl project",
        **_closed(
            {
                "associations": {**named, "additionalProperties": {"$ref": "#/definitions/association"}},
                "profiles": {**named, "additionalProperties": {"$ref": "#/definitions/profile"}},
                "parameters": _PARAMETERS,
                "resource_groups": {**named, "additionalProperties": {"$ref": "#/definitions/resource_group"}},
                "patch_baselines": {**named, "additionalProperties": patch_baseline_schema(_closed, _described)},
                "maintenance_windows": {
                    **named,
                    "additionalProperties": {"$ref": "#/definitions/maintenance_window"},
                },
            }
        ),
        "definitions": definitions,
    }


def settings_schema() -> Schema:
    """The schema of statectl.yml."""
    fields: Schema = {
        "connection": _closed(_described(settings.CONNECTION_FIELDS, _CONNECTION)),
        "limits": _closed(
            _described(
                settings.LIMIT_FIELDS,
                {
                    "paths": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    "deny": {"type": "array", "items": {"type": "string"}},
                    "max_removals": {"type": "integer", "minimum": 0},
                    "become": {"type": "boolean"},
                },
            )
        ),
        "collect": _collect_schema(),
        "patching": _patching_schema(),
        "parameters": _closed(_described(parameter_settings.FIELDS, _PARAMETER_STORE)),
        "inventory_sources": _closed(_described(source_settings.FIELDS, _texts(source_settings.FIELDS))),
        "serve": _closed(_described(settings.SERVE_FIELDS, {"missed": {"enum": list(settings.MISSED)}})),
    }
    return {
        "$schema": DRAFT,
        "title": "statectl project",
        "description": "statectl.yml",
        **_closed(_described(settings.FIELDS, {**_texts(settings.FIELDS), **fields}), ["project"]),
    }


def _collect_schema() -> Schema:
    texts = {"type": "array", "items": {"type": "string"}}
    flag = {"type": "boolean"}
    file = _described(
        collecting.FILE_FIELDS,
        {
            "path": {"type": "string"},
            "pattern": texts,
            "depth": {"type": "integer", "minimum": 1, "maximum": 20},
            "scan": {"type": "integer", "minimum": 1, "maximum": 100_000},
            "hash": flag,
        },
    )
    custom = _described(collecting.CUSTOM_FIELDS, {"run": {"type": ["array", "string"]}, "timeout": {"type": "string"}})
    fields: dict[str, Schema] = {
        "files": {"type": "array", "items": _closed(file, ["path", "pattern"])},
        "certificates": texts,
        "custom": {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Z][A-Za-z0-9_]{0,63}$"},
            "additionalProperties": _closed(custom, ["run"]),
        },
        "keep_days": {"type": "integer", "minimum": 1, "maximum": 3650},
    }
    return _closed(_described(collecting.FIELDS, fields))


def _patching_schema() -> Schema:
    names = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    lists = dict.fromkeys(("suites", "components", "architectures"), names)
    days = {"type": "integer", "minimum": 1, "maximum": 3650}
    index = _closed(_described(patch_settings.INDEX_FIELDS, {**_texts(patch_settings.INDEX_FIELDS), **lists}), ["name"])
    kinds = {**_texts(patch_settings.FEED_FIELDS), "kind": {"enum": list(FEED_KINDS)}}
    feed = _closed(_described(patch_settings.FEED_FIELDS, kinds), ["kind", "source"])
    fields: dict[str, Schema] = {
        **_texts(patch_settings.FIELDS),
        "indexes": {"type": "array", "items": index},
        "feeds": {"type": "object", "additionalProperties": feed},
        "cache_days": days,
        "snapshot_days": days,
    }
    return _closed(_described(patch_settings.FIELDS, fields))


def inventory_schema() -> Schema:
    """The schema of inventories in the project's own format."""
    anything = {"type": "object"}
    shared = {"vars": anything, "tags": {"type": "object", "additionalProperties": _SCALAR}}
    connection = _described(settings.CONNECTION_FIELDS, _CONNECTION)
    names = {"type": "array", "items": {"type": "string"}}
    host = _closed({**connection, "address": {"type": "string"}, "groups": names, **shared})
    group = _closed({"children": names, "connection": _closed(connection), **shared})
    empty = {"type": "null"}
    return {
        "$schema": DRAFT,
        "title": "statectl inventory",
        "description": "Hosts and groups; names of hosts may hold ranges such as web[01-20]",
        **_closed(
            {
                "hosts": {"type": "object", "additionalProperties": {"anyOf": [host, empty]}},
                "groups": {"type": "object", "additionalProperties": {"anyOf": [group, empty]}},
            }
        ),
    }


def _closed(properties: Schema, required: list[str] | None = None) -> Schema:
    found: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        found["required"] = required
    return found


def _described(fields: Mapping[str, str], schemas: Mapping[str, Schema]) -> Schema:
    return {name: {**schemas.get(name, {}), "description": text} for name, text in fields.items()}


def _texts(names: Iterable[str]) -> Schema:
    return {name: {"type": "string"} for name in names}


def _section(kind: ResourceType, definitions: Schema) -> Schema:
    """A map of keys to a long or short form; a list of keys, or an expression for one, where the type has a form without a value."""
    entries = {"type": "object", "additionalProperties": {"anyOf": [_long(kind, definitions), *_short(kind)]}}
    if kind.short("x", None) is None:
        return entries
    return {"anyOf": [{"type": "array", "items": {"type": "string"}}, _EXPRESSION, entries]}


def _short(kind: ResourceType) -> list[Schema]:
    """The short forms, found by trying them."""
    forms: list[Schema] = []
    if set(kind.short("x", Plain("1.0")) or {}) - {"state"}:
        forms.append(_SCALAR)
    elif kind.words:
        forms += [{"enum": list(kind.words)}, _EXPRESSION]
    if kind.short("x", ["a"]) is not None:
        forms.append({"type": "array", "items": {"type": "string"}})
    return forms


def _long(kind: ResourceType, definitions: Schema) -> Schema:
    model = kind.model.model_json_schema(ref_template="#/definitions/{model}")
    for name, nested in model.get("$defs", {}).items():
        definitions[name] = loosened(nested)
    properties = {name: loosened(model["properties"][name]) for name in kind.fields}
    properties |= _described(COMMON_FIELDS, _COMMON)
    required = [name for name in model.get("required", []) if name in kind.fields]
    return _closed(properties, required)


def loosened(schema: Schema) -> Schema:
    """A field's schema as an editor sees the file: plain scalars already typed, expressions instead of values."""
    found = {key: value for key, value in schema.items() if key not in ("title", "default", "derived")}
    branches = [branch for branch in found.pop("anyOf", []) if branch.get("type") != "null"]
    if len(branches) == 1:
        found = {**branches[0], **found}
    elif branches:
        return {**found, "anyOf": [loosened(branch) for branch in branches]}
    description = {"description": found.pop("description")} if "description" in found else {}
    kind = found.get("type")
    if "properties" in found:
        found["properties"] = {name: loosened(below) for name, below in found["properties"].items()}
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = loosened(found["additionalProperties"])
    if isinstance(found.get("items"), dict):
        found["items"] = loosened(found["items"])
    if "enum" in found or "const" in found:
        return {**description, "anyOf": [found, _EXPRESSION]}
    if kind == "string":
        return {**description, **_SCALAR}
    if kind == "boolean":
        return {**description, **_FLAG}
    if kind in ("integer", "number"):
        loose = {"type": kind} if kind == "integer" else {"type": ["number", "string"]}
        return {**description, "anyOf": [{**found, **loose}, _EXPRESSION]}
    if kind == "array":  # most lists may also be written as text: arguments, words, one address
        return {**description, "anyOf": [found, {"type": "string"}]}
    return {**description, **found}


_COMMON: Mapping[str, Schema] = {
    "when": {"type": ["string", "boolean"]},
    "for_each": {"anyOf": [{"type": ["array", "object"]}, _EXPRESSION]},
    "after": _TEXTS,
    "before": _TEXTS,
    "notify": _TEXTS,
    "sensitive": {"type": "boolean"},
    "on_removal": {"enum": ["delete", "restore", "leave"]},
    "protect": {"type": "boolean"},
}
_USE: Mapping[str, Schema] = {
    **_COMMON,
    "profile": {"type": "string"},
    "with": {"anyOf": [{"type": "object"}, _EXPRESSION]},
}
_GIVEN: Mapping[str, Schema] = {
    **_COMMON,
    "defaults": _closed({"owner": _SCALAR, "group": _SCALAR, "mode": _SCALAR}),
}
_SHARE = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d{1,3}%$|^\d{1,7}$"}]}
_SCHEDULE = {"type": "string", "pattern": r"^(rate|cron|at)\(.+\)$"}
_REPLACEABLE: Mapping[str, Schema] = {
    "mode": {"enum": list(associations.MODES)},
    "severity": {"enum": list(associations.SEVERITIES)},
    "schedule": _SCHEDULE,
    "disrupt": {"type": "string", "pattern": f"^(always|never|{associations.WINDOW})$"},
    "max_concurrency": _SHARE,
    "max_errors": _SHARE,
    "patch_baseline": _TEXTS,
    "vars": {"type": "object"},
}
_DURATION = {"type": ["string", "number"]}
_ARGUMENTS = {"type": "array", "items": _SCALAR, "minItems": 1}
_STEPS = {
    "type": "array",
    "items": _closed(
        _described(rollouts.STEP_FIELDS, {"run": _ARGUMENTS, "on": {"type": "string"}, "timeout": _DURATION}),
        required=["run", "on"],
    ),
}
_ROLLOUT = _closed(
    _described(
        rollouts.FIELDS,
        {
            "batch": {"type": "array", "items": _SHARE, "minItems": 1},
            "health": _closed(
                _described(
                    rollouts.HEALTH_FIELDS,
                    {
                        "tcp": {"type": ["string", "integer"]},
                        "http": {"type": "string"},
                        "command": _ARGUMENTS,
                        "expect": {"type": "integer", "minimum": 100, "maximum": 599},
                        "within": _DURATION,
                    },
                )
            ),
            "bake": _DURATION,
            "on_failure": {"enum": list(rollouts.ON_FAILURE)},
            "before": _STEPS,
            "after": _STEPS,
        },
    )
)
_PARAMETERS: Schema = {"type": "object", "additionalProperties": {"$ref": "#/definitions/parameter"}}
_PARAMETER: Mapping[str, Schema] = {
    "type": {"enum": list(parameters.TYPES)},
    "value": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
    "value_from": {"type": "string", "pattern": f"^({'|'.join(parameters.SOURCES)}):."},
    "state": {"enum": ["present", "absent"]},
    "description": {"type": "string"},
    "data_type": {"type": "string"},
    "allowed_pattern": {"type": "string"},
    "tags": {"type": "object", "additionalProperties": _SCALAR},
    "policies": {"type": "array", "items": {"type": "object"}},
}
_ASSOCIATION: Mapping[str, Schema] = {
    **_REPLACEABLE,
    "description": {"type": "string"},
    "targets": {"type": "string"},
    "timezone": {"type": "string"},
    "schedule_offset": {"type": "integer", "minimum": 1, "maximum": 6},
    "jitter": {"type": "string", "pattern": r"^(\d{1,2}h)?(\d{1,4}m)?(\d{1,5}s)?$", "minLength": 2},
    "only_at_schedule": {"type": "boolean"},
    "requires": {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "string"},
                _closed(_described(requires.FIELDS, _texts(requires.FIELDS)), required=[*requires.FIELDS]),
            ]
        },
    },
    "rollout": _ROLLOUT,
    "where": {
        "type": "array",
        "items": _closed({"targets": {"type": "string"}, **_REPLACEABLE}, required=["targets"]),
    },
    "merge_vars": {
        "type": "object",
        "additionalProperties": {"type": "string", "pattern": "^(append|deep|by [A-Za-z_]\\w*)$"},
    },
    "probes": {
        "type": "object",
        "additionalProperties": _closed(
            _described(
                associations.PROBE_FIELDS,
                {
                    "run": _TEXTS,
                    "type": {"enum": list(associations.PROBE_TYPES)},
                    "timeout": {"type": ["string", "number"]},
                },
            ),
            required=["run"],
        ),
    },
    "parameters": _PARAMETERS,
    "override": {
        "type": "object",
        "additionalProperties": _closed(
            _described(associations.OVERRIDE_FIELDS, _texts(associations.OVERRIDE_FIELDS)),
            required=["of", "reason"],
        ),
    },
}
_PROFILE: Mapping[str, Schema] = {
    "description": {"type": "string"},
    "inputs": {
        "type": "object",
        "additionalProperties": _closed(
            _described(
                profiles.INPUT_FIELDS,
                {
                    "type": {"enum": list(profiles.INPUT_TYPES)},
                    "required": {"type": "boolean"},
                    "minimum": {"type": "number"},
                    "maximum": {"type": "number"},
                    "pattern": {"type": "string"},
                    "choices": {"type": "array", "minItems": 1},
                    "description": {"type": "string"},
                },
            )
        ),
    },
}
_HOURS = {"type": "string", "pattern": r"^(\d{1,3}h)?(\d{1,4}m)?$", "minLength": 2}
_DATE = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})$"}
_MAINTENANCE_WINDOW: Mapping[str, Schema] = {
    "description": {"type": "string"},
    "schedule": _SCHEDULE,
    "timezone": {"type": "string"},
    "duration": _HOURS,
    "cutoff": _HOURS,
    "start_date": _DATE,
    "end_date": _DATE,
    "schedule_offset": {"type": "integer", "minimum": 1, "maximum": 6},
    "enabled": {"type": "boolean"},
}
_PARAMETER_STORE: Mapping[str, Schema] = {
    "key": {"type": "string"},
    "access": {"type": "string"},
    **{
        name: {"type": "integer", "minimum": low, "maximum": high}
        for name, (low, high) in parameter_settings.NUMBERS.items()
    },
}
_CONNECTION: Mapping[str, Schema] = {
    "connection": {"enum": ["ssh", "local"]},
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "user": {"type": "string"},
    "become": {"type": ["boolean", "string"]},
    "jump": _TEXTS,
    "python": {"type": "string"},
    "identity_files": _TEXTS,
    "host_key": {"type": "string"},
    "undo_after": {"type": "string", "pattern": "^([0-9]+[smh]|never)$"},
}
