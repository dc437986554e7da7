"""`explain var NAME --host H`: the value, where it was written, and every value that it hides."""

import json
from collections.abc import Mapping
from typing import Any

from statectl.catalogue.render import Renderer
from statectl.catalogue.rendered import RESERVED, Failure, Job, SecretParts, Unknown
from statectl.catalogue.selections import Selections, host_names
from statectl.catalogue.shapes import inside, replaced
from statectl.catalogue.variables import Layered, Variables
from statectl.problems import did_you_mean
from statectl.project.model import Association, Project
from statectl.project.scalars import Expression
from statectl.secrets import Secret
from statectl.targets.hosts import Inventory, Variable


def explain_variable(project: Project, inventory: Inventory, host: str, name: str) -> list[str]:
    """Lines for people; associations that see the same are told together. Nothing is contacted and no secret is read."""
    selections = Selections(inventory, lambda _: None)
    machine = inventory.hosts[host]
    found: dict[tuple[str, ...], list[str]] = {}
    known: set[str] = set(machine.variables)
    with Renderer(project.root) as renderer:
        renderer.answer_hosts(selections.find_hosts)
        for association in project.associations.values():
            if not selections.matches(association.targets, host, None):
                continue
            variant = next((one for one in association.where if selections.matches(one.targets, host, None)), None)
            variables = Variables(association, variant, machine, {}, {})
            known |= variables.values.keys()
            layered = variables.layered(name)
            if layered is not None:
                lines = _lines(
                    layered, _value(layered.value, renderer, variables.values, host_names(machine), association)
                )
                found.setdefault(tuple(lines), []).append(association.name)
    if not found and name in machine.variables:
        layers = (machine.variables[name], *machine.hidden.get(name, ()))
        return [
            f"{name} on {host}, which no association with this name sees",
            *_lines(Layered(name, layers[0].value, layers), _written(layers[0].value)),
        ]
    if not found:
        near = did_you_mean(name, known)
        return [f"no variable `{name}` on {host}" + (f"; {near}" if near else "")]
    result: list[str] = []
    for same, associations in found.items():
        result += [f"{name} on {host}, for {', '.join(associations)}", *same]
    return result


def _lines(layered: Layered, value: str) -> list[str]:
    first, *rest = layered.layers
    joined = f", joined {layered.merged}" if layered.merged else ""
    lines = [f"  = {value}{joined}", f"    {_place(first)}"]
    if isinstance(first.value, Expression):
        lines[1:] = [f"    written {first.value.source.strip()}", f"    {_place(first)}"]
    word = "with" if layered.merged else "hides"
    for layer in rest:
        lines += [f"  {word} {_written(layer.value)}", f"    {_place(layer)}"]
    return lines


def _place(variable: Variable) -> str:
    span = f"{variable.span.file}:{variable.span.line}" if variable.span is not None else ""
    return "   ".join(filter(None, (span, variable.origin))) or "no place"


def _value(
    value: Any, renderer: Renderer, names: Mapping[str, Any], host: Mapping[str, Any], association: Association
) -> str:
    """What templates see; expressions are rendered without facts."""
    expressions = inside(value, [])
    if not expressions:
        return _written(value)
    probes = {probe.name: None for probe in association.probes}
    usable = {key: item for key, item in names.items() if key not in RESERVED}
    scope = renderer.register.scope(renderer.register.host(host, None), usable, probes)
    job = Job(scope, tuple(renderer.register.source("value", one) for one in expressions))
    renderer.run([job])
    for outcome in job.outcomes:
        if isinstance(outcome, Failure):
            return f"not possible: {outcome.report['summary']}"
        if isinstance(outcome, Unknown):
            return "not known before the host is contacted"
    return _written(replaced(value, dict(zip(map(id, expressions), job.outcomes, strict=True))))


def _written(value: Any) -> str:
    """JSON, with numbers as written and secrets by name."""

    def shown(item: Any) -> Any:
        if isinstance(item, SecretParts):
            return "".join(part if isinstance(part, str) else "‹secret›" for part in item.parts)
        if isinstance(item, Expression):
            return item.source
        if isinstance(item, Mapping):
            return {str(key): shown(one) for key, one in item.items()}
        if isinstance(item, list | tuple):
            return [shown(one) for one in item]
        if isinstance(item, str):
            return str.__str__(item)
        if item is None or isinstance(item, bool | int | float):
            return item
        label = getattr(item, "label", "")
        return f"‹secret {label}›" if label else "‹secret›"

    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Secret) or hasattr(value, "resolve"):
        return str(shown(value))
    return json.dumps(shown(value), ensure_ascii=False)
