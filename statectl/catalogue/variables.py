"""Which variables an association sees on a host, and which values they hide.

From far to near: the association's `vars`, those of the matching `where` entry, group variables and host variables (merged by the
inventory already), `--set`. The nearer one wins; `merge_vars` joins them instead for the names it lists.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from statectl.problems import Note, Problem, Span, did_you_mean
from statectl.project.model import Association, Variant
from statectl.project.scalars import Expression
from statectl.targets.hosts import Host, Variable


@dataclass(frozen=True, slots=True)
class Layered:
    """One name on one host: all its values, the winner first."""

    name: str
    value: Any
    layers: tuple[Variable, ...]
    merged: str = ""  # how the layers were joined; '': the first one won

    def origin(self) -> Note:
        """Where the value was written."""
        first = self.layers[0]
        return Note(f"{self.name} comes from {first.origin or 'here'}", first.span)


class Variables:
    """Names and layers of one association on one host. `merged` is shared by all hosts: joined values of equal layers are one object."""

    def __init__(
        self,
        association: Association,
        variant: Variant | None,
        host: Host,
        settings: Mapping[str, Variable],
        merged: dict[Any, tuple[Any, tuple[Variable, ...]]],
    ) -> None:
        self._association = association
        self._variant = variant
        self._host = host
        self._settings = settings
        self._merged = merged
        self.problems: list[Problem] = []
        self.values = self._effective()

    def _effective(self) -> dict[str, Any]:
        values: dict[str, Any] = dict(self._association.vars)
        if self._variant is not None:
            values.update(self._variant.fields.get("vars") or {})
        for name, variable in self._host.variables.items():
            values[name] = variable.value
        for name, variable in self._settings.items():
            values[name] = variable.value
        for name, how in self._association.merge_vars.items():
            layers = self._layers(name)
            if len(layers) > 1:
                values[name] = self._join(name, how, layers)
        return values

    def _layers(self, name: str) -> tuple[Variable, ...]:
        """All values of a name, nearest first."""
        layers: list[Variable] = []
        if name in self._settings:
            layers.append(self._settings[name])
        if name in self._host.variables:
            layers += [self._host.variables[name], *self._host.hidden.get(name, ())]
        association = self._association
        if self._variant is not None and name in (self._variant.fields.get("vars") or {}):
            path = (*self._variant.path, "vars", name)
            where = f"association {association.name}, where {self._variant.targets}"
            layers.append(Variable(self._variant.fields["vars"][name], association.places.key(path), where))
        if name in association.vars:
            path = (*association.path, "vars", name)
            layers.append(
                Variable(association.vars[name], association.places.key(path), f"association {association.name}")
            )
        return tuple(layers)

    def _join(self, name: str, how: str, layers: tuple[Variable, ...]) -> Any:
        key = (name, how, *(id(layer.value) for layer in layers))
        if key not in self._merged:
            value = layers[-1].value
            try:
                for layer in reversed(layers[:-1]):
                    value = _merge(how, value, layer.value)
            except NotMergeable as error:
                place = self._association.places.value((*self._association.path, "merge_vars", name))
                notes = tuple(Note(f"{name} in {layer.origin}", layer.span) for layer in layers)
                self.problems.append(Problem("E212", f"`{name}` cannot be merged {how}: {error}", place, notes=notes))
                return layers[0].value
            self._merged[key] = (value, layers)  # the layers are kept so that their ids stay theirs
        return self._merged[key][0]

    def layered(self, name: str) -> Layered | None:
        layers = self._layers(name)
        if not layers:
            return None
        merged = self._association.merge_vars.get(name, "") if len(layers) > 1 else ""
        return Layered(name, self.values[name], layers, merged)

    def origin(self, name: str) -> Note | None:
        """Where a name that a template used was written; None when it is no variable."""
        found = self.layered(name)
        return None if found is None else found.origin()


class NotMergeable(Exception):
    """Values that have no parts to join, in words."""


def _merge(how: str, far: Any, near: Any) -> Any:
    """Two written values to one. Raises NotMergeable: what is an expression as a whole has no parts to join."""
    if isinstance(far, Expression) or isinstance(near, Expression):
        raise NotMergeable("a value is one expression; write the list or map itself")
    if how == "append":
        return [*_list(far), *_list(near)]
    if how == "deep":
        return _deep(_map(far), _map(near))
    field = how.removeprefix("by ").strip()
    result: dict[Any, Any] = {}
    for item in [*_list(far), *_list(near)]:
        if not isinstance(item, Mapping) or field not in item or isinstance(item[field], Expression | list | dict):
            raise NotMergeable(f"an entry has no plain `{field}`")
        name = str(item[field])
        result[name] = {**result.get(name, {}), **item}
    return list(result.values())


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise NotMergeable("a value is not a list")
    return value


def _map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotMergeable("a value is not a map")
    return value


def _deep(far: Mapping[str, Any], near: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(far)
    for key, value in near.items():
        old = result.get(key)
        result[key] = _deep(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def unknown_name(name: str, known: Iterable[str]) -> str:
    """'no variable `x`' with the nearest name."""
    near = did_you_mean(name, known)
    return f"no variable `{name}`" + (f"; {near}" if near else "")


def set_variables(values: Mapping[str, Any]) -> dict[str, Variable]:
    """What was given with --set, as the nearest layer."""
    return {name: Variable(value, None, "--set") for name, value in values.items()}


def span_of(note: Note | None) -> Span | None:
    return note.span if note is not None else None
