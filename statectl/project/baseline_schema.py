"""The JSON Schema of patch baselines, for editors."""

from collections.abc import Callable
from typing import Any

from statectl.baselines.model import LEVELS, REBOOTS, RESTARTS, SYSTEMS
from statectl.project import baseline_hooks, baseline_rules, baseline_sources, baselines

Schema = dict[str, Any]
SCALAR: Schema = {"type": ["string", "number", "boolean"]}


def patch_baseline_schema(closed: Callable[..., Schema], described: Callable[..., Schema]) -> Schema:
    """An entry of `patch_baselines`. closed, described: as in `schema.py`."""
    texts: Schema = {"type": "array", "items": SCALAR}
    text: Schema = {"type": "string"}
    span, flag = text, {"type": "boolean"}
    day: Schema = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
    level = {"enum": list(LEVELS)}
    rule: dict[str, Schema] = {
        **{key: {**texts, "minItems": 1} for key in baseline_rules.FILTER_FIELDS},
        "after": {"type": "string", "pattern": r"^\d+ days?$"},
        "until": day,
        "compliance": level,
        "include_non_security": flag,
    }
    either: Schema = {"oneOf": [{"required": ["after"]}, {"required": ["until"]}]}
    arguments: Schema = {"anyOf": [text, {**texts, "minItems": 1}]}
    hooks = dict.fromkeys(baseline_hooks.FIELDS, arguments) | {"timeout": span}
    source: dict[str, Schema] = {
        **dict.fromkeys(baseline_sources.FIELDS, text),
        **dict.fromkeys(("uris", "suites", "components", "architectures", "products"), texts),
        "kept": flag,
    }
    pin = described(baselines.PIN_FIELDS, {"version": SCALAR, "until": day, "reason": text})
    maps = {"type": "object"}
    fields: dict[str, Schema] = {
        **dict.fromkeys(("description", "targets", "window"), text),
        **dict.fromkeys(("default", "approved_include_non_security"), flag),
        **dict.fromkeys(("approved", "rejected", "patch_groups"), texts),
        "os": {"enum": list(SYSTEMS)},
        "filters": closed(described(baseline_rules.FILTER_FIELDS, rule)),
        "approve": {"type": "array", "items": {**closed(described(baseline_rules.RULE_FIELDS, rule)), **either}},
        "approved_compliance": level,
        "rejected_action": {"enum": list(baselines.REJECTED_ACTIONS)},
        "pins": {**maps, "additionalProperties": closed(pin, ["until", "reason"])},
        "sources": {**maps, "additionalProperties": closed(described(baseline_sources.FIELDS, source))},
        "superseded": {"enum": list(baselines.SUPERSEDED)},
        "dependencies": {"enum": list(baselines.DEPENDENCIES)},
        "available_security_updates": {"enum": list(baselines.SECURITY_UPDATES)},
        "reboot": {"enum": list(REBOOTS)},
        "max_reboots": {"type": "integer", "minimum": 1, "maximum": 10},
        "restart": {"enum": list(RESTARTS)},
        "hooks": closed(described(baseline_hooks.FIELDS, hooks)),
        **dict.fromkeys(("reboot_timeout", "max_index_age"), span),
    }
    return closed(described(baselines.FIELDS, fields), required=["os"])
