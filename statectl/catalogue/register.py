"""Numbers for what the rendering child has to know: expressions, variables, secrets, hosts, scopes; and what it knows already.

The place of an object in its register is its number. Registers keep their objects, so that one that is met again, by identity, is
the same. Equal variables of many hosts are one object in the inventory and therefore sent, and looked at, once.
"""

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from statectl.catalogue.child import wire
from statectl.catalogue.rendered import HostNames, Job, LazySecret, Scope, SecretParts
from statectl.project.scalars import Expression
from statectl.secrets import Secret


class Source(NamedTuple):
    kind: str  # value, condition or template
    text: str  # the expression, or the path of the template in the project
    expression: Expression | None


class Registered(NamedTuple):
    """A variable's value as it is sent, and the sources of the expressions in it."""

    value: Any
    text: str
    sources: tuple[int, ...]


class Register:
    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.sensitive: set[int] = (
            set()
        )  # sources of sensitive resources: what stands around an expression is not shown
        self._source_numbers: dict[Any, int] = {}
        self.variables: list[Registered] = []
        self._variable_numbers: dict[int, int] = {}
        self.secrets: list[Secret | LazySecret] = []
        self._secret_numbers: dict[int, int] = {}
        self._next_scope = self._next_host = 0
        self.forget_sent()

    def source(self, kind: str, what: Expression | str) -> int:
        """The number of an expression (kind value or condition), or of a template by its path in the project."""
        key = (kind, what) if isinstance(what, str) else (kind, id(what))
        number = self._source_numbers.get(key)
        if number is None:
            number = self._source_numbers[key] = len(self.sources)
            text, expression = (what, None) if isinstance(what, str) else (what.source, what)
            self.sources.append(Source(kind, text, expression))
        return number

    def variable(self, value: Any) -> int:
        number = self._variable_numbers.get(id(value))
        if number is None:
            inside: list[int] = []

            def other(item: Any) -> Any:
                if isinstance(item, Expression):
                    inside.append(self.source("condition" if item.bare else "value", item))
                    return {"$x": inside[-1]}
                return self._encoded(item, other)

            text = json.dumps(wire.encode(value, other), separators=(",", ":"))
            number = self._variable_numbers[id(value)] = len(self.variables)
            self.variables.append(Registered(value, text, tuple(inside)))
        return number

    def _encoded(self, item: Any, other: Any) -> Any:
        if isinstance(item, SecretParts):
            return {"$parts": list(item.parts)}
        if isinstance(item, str):
            return str.__str__(item)
        if isinstance(item, Mapping):
            return wire.encode(dict(item), other)
        if isinstance(item, list | tuple):
            return wire.encode(list(item), other)
        if isinstance(item, int | float):
            return item
        if isinstance(item, Secret) or hasattr(item, "resolve"):
            return {"$s": self.secret(item)}
        # what an inventory holds and nobody here can read, such as a value of ansible-vault
        return {"$opaque": type(item).__name__.lower()}

    def secret(self, secret: Secret | LazySecret) -> int:
        number = self._secret_numbers.get(id(secret))
        if number is None:
            number = self._secret_numbers[id(secret)] = len(self.secrets)
            self.secrets.append(secret)
        return number

    def host(self, host: Mapping[str, Any], facts: Mapping[str, Any] | None) -> HostNames:
        self._next_host += 1
        return HostNames(self._next_host, host, None if facts is None else json.dumps(facts, separators=(",", ":")))

    def scope(self, host: HostNames, names: Mapping[str, Any], probes: Mapping[str, Any]) -> Scope:
        """`names`: variable to raw value."""
        self._next_scope += 1
        known, variable = self._variable_numbers, self.variable
        numbers = {name: known.get(id(value), -1) for name, value in names.items()}
        for name, number in numbers.items():
            if number < 0:
                numbers[name] = variable(names[name])
        return Scope(self._next_scope, host, numbers, probes)

    # What the child has

    def forget_sent(self) -> None:
        """A fresh child knows nothing."""
        self._sent_sources: set[int] = set()
        self._sent_variables: set[int] = set()
        self._sent_secrets = 0
        self._sent_hosts: set[int] = set()
        self._sent_scopes: set[int] = set()
        self._dropped_scopes: list[int] = []
        self._dropped_hosts: list[int] = []

    def drop(self, scopes: Iterable[Scope]) -> None:
        """These scopes and their hosts are not needed any more."""
        for scope in scopes:
            if scope.number in self._sent_scopes:
                self._sent_scopes.discard(scope.number)
                self._dropped_scopes.append(scope.number)
            if scope.host.number in self._sent_hosts:
                self._sent_hosts.discard(scope.host.number)
                self._dropped_hosts.append(scope.host.number)

    def definitions(self, scopes: Iterable[Scope], sources: Iterable[int] = ()) -> dict[str, Any]:
        """What the child needs for these scopes and sources and does not have. From now on it has it."""
        needed = list(sources)
        hosts: list[Any] = []
        variables: list[Any] = []
        sent_scopes: list[Any] = []
        for scope in scopes:
            if scope.number == 0 or scope.number in self._sent_scopes:
                continue
            self._sent_scopes.add(scope.number)
            if scope.host.number not in self._sent_hosts:
                self._sent_hosts.add(scope.host.number)
                hosts.append([scope.host.number, scope.host.host, scope.host.facts])
            for number in scope.names.values():
                if number not in self._sent_variables:
                    self._sent_variables.add(number)
                    variables.append([number, self.variables[number].text])
                    needed += self.variables[number].sources
            probes = json.dumps(scope.probes) if scope.probes else None
            sent_scopes.append([scope.number, scope.host.number, scope.names, probes])
        new = [number for number in dict.fromkeys(needed) if number not in self._sent_sources]
        self._sent_sources.update(new)
        labels = [[number, self.secrets[number].label] for number in range(self._sent_secrets, len(self.secrets))]
        self._sent_secrets = len(self.secrets)
        dropped, self._dropped_scopes = self._dropped_scopes, []
        dropped_hosts, self._dropped_hosts = self._dropped_hosts, []
        return {
            "sources": [
                [number, self.sources[number].kind, self.sources[number].text, self._base(number)] for number in new
            ],
            "variables": variables,
            "secrets": labels,
            "hosts": hosts,
            "scopes": sent_scopes,
            "drop": dropped,
            "drop_hosts": dropped_hosts,
        }

    def _base(self, number: int) -> str:
        """The directory that an expression's own includes are relative to: that of its YAML file, as for all paths in it."""
        expression = self.sources[number].expression
        if expression is None or expression.span is None or "{%" not in expression.source:
            return ""
        return posixpath.dirname(expression.span.file)


def encoded_names(job: Job) -> Any:
    """item and inputs are rendered values: plain data and SecretParts."""
    return None if job.names is None else encode_rendered(dict(job.names))


def encode_rendered(value: Any) -> Any:
    """A rendered value to JSON with tags."""

    def other(item: Any) -> Any:
        if isinstance(item, SecretParts):
            return {"$parts": list(item.parts)}
        if isinstance(item, str):
            return str.__str__(item)
        raise TypeError(f"a rendered value holds a {type(item).__name__}")

    return wire.encode(value, other)


def outcome_tag(name: str, content: Sequence[Any]) -> Any:
    """What the child may say beside plain data."""
    if name == "$parts" and isinstance(content, list) and all(type(part) in (str, int) for part in content):
        return SecretParts(tuple(content))
    raise wire.WireError("unknown tag")
