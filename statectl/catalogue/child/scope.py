"""The names that one association sees on one host, and how their values come to be."""

import json
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from jinja2.utils import missing

from statectl.catalogue.child.failures import Located
from statectl.catalogue.child.values import Broken, LazyDict, LazyList, NotYetKnown, Pending, SecretText

if TYPE_CHECKING:
    from statectl.catalogue.child.environment import Sandbox

HOST_NAMES = ("facts", "host")


class Ref:
    """An expression inside a decoded variable, not yet bound to a scope."""

    __slots__ = ("eid",)

    def __init__(self, eid: int) -> None:
        self.eid = eid


class HostRecord:
    """What a scope says about its host. `facts` is JSON text of the host's own making, None before the first contact."""

    __slots__ = ("_facts", "_text", "host")

    def __init__(self, host: dict[str, Any], facts: str | None) -> None:
        self.host = host
        self._text = facts
        self._facts: Any = missing

    def facts(self) -> Any:
        if self._facts is missing:
            self._facts = Broken(NotYetKnown()) if self._text is None else json.loads(self._text)
            self._text = None
        return self._facts


class Scope:
    """`names` maps variables to numbers of registered values; `probes` is JSON text {name: {ok, value or reason} or null}."""

    __slots__ = ("_asked", "_busy", "_env", "_known", "_names", "_probes", "_record")

    def __init__(self, env: "Sandbox", names: dict[str, int], record: HostRecord | None, probes: str | None) -> None:
        self._env = env
        self._names = names
        self._record = record
        self._probes: dict[str, Any] = json.loads(probes) if probes else {}
        self._known: dict[str, Any] = {}
        self._busy: set[str] = set()
        self._asked: dict[str, list[list[str]]] = {}  # by variable: what its expressions asked the parent

    def names(self) -> Iterable[str]:
        return [*self._names, *self._probes, *(HOST_NAMES if self._record else ())]

    def lookup(self, name: str) -> Any:
        """The value of a name, jinja's `missing` when it has none. What fails, fails when it is used."""
        value = self._known.get(name, missing)
        if value is missing:
            value = self._find(name)
            # a cycle is kept by nobody: seen from another end, or through a branch not taken, the name may well have a value
            if value is not missing and not (type(value) is Broken and is_cycle(value.failure)):
                self._known[name] = value
        elif name in self._asked:
            self._env.note(self._asked[name])  # the value was made for another job, and this one needs the answers too
        return value

    def mapping(self) -> dict[str, Any]:
        """All variables as one map, for `hosts()[n].vars`."""
        return LazyDict({name: self._bind(self._env.variable(number), name) for name, number in self._names.items()})

    def _find(self, name: str) -> Any:
        if name in HOST_NAMES and self._record is not None:
            return self._record.facts() if name == "facts" else self._record.host
        if name in self._probes:
            probe = self._probes[name]
            if probe is None:
                return Broken(NotYetKnown())
            if probe.get("ok"):
                return probe.get("value")
            return self._env.undefined(f"probe `{name}` failed: {probe.get('reason') or 'no reason given'}", name=name)
        if name in self._names:
            value = self._bind(self._env.variable(self._names[name]), name)
            if not isinstance(value, Pending):
                return value
            if name in self._busy:
                return Broken(cycle(value.eid))
            self._busy.add(name)
            try:
                return value.make(value)
            except (Located, NotYetKnown) as failure:
                return Broken(failure)
            finally:
                self._busy.discard(name)
        return missing

    def _bind(self, value: Any, name: str) -> Any:
        """The value of a variable, or of a part of it, with its expressions waiting in this scope; values without any are shared between scopes as they are."""
        kind = type(value)
        if kind is Ref:
            return Pending(value.eid, partial(self._make, name))
        if kind is dict:
            bound = {key: self._bind(item, name) for key, item in value.items()}
            if any(type(item) in (Pending, LazyDict, LazyList) for item in bound.values()):
                return LazyDict(bound)
            return value
        if kind is list:
            items = [self._bind(item, name) for item in value]
            if any(type(item) in (Pending, LazyDict, LazyList) for item in items):
                return LazyList(items)
        return value

    def _make(self, name: str, pending: Pending) -> Any:
        if pending.busy:
            raise cycle(pending.eid)
        pending.busy = True
        outer, self._env.asked = self._env.asked, []
        try:
            return self._env.evaluate(pending.eid, self, {})
        finally:
            pending.busy = False
            own, self._env.asked = self._env.asked, outer
            if own:
                self._env.note(own)
                self._asked.setdefault(name, []).extend(own)


def forced(value: Any) -> Any:
    """A value as it leaves: lazy containers rendered through, as plain lists and maps; SecretText stays."""
    if isinstance(value, SecretText):
        return value
    if isinstance(value, dict):
        return {key: forced(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [forced(item) for item in value]
    return value


def cycle(eid: int) -> Located:
    report = {"code": "E208", "eid": eid, "template": "", "line": 1, "used_by": [], "find": []}
    return Located({**report, "summary": "a variable refers to itself"})


def is_cycle(failure: Exception) -> bool:
    return isinstance(failure, Located) and failure.report["code"] == "E208"
