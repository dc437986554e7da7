"""Which names a source needs from outside, by its syntax alone, through all templates that it includes by a fixed name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jinja2
from jinja2 import meta, nodes

from statectl.catalogue.child.failures import Answer, Located


@dataclass
class FreeNames:
    """`soft`: asked about by `is defined` or given a default. `loose`: it includes by computed names, so nothing is certain."""

    names: set[str] = field(default_factory=set)
    soft: set[str] = field(default_factory=set)
    loose: bool = False

    def message(self) -> dict[str, Any]:
        return {"names": sorted(self.names), "soft": sorted(self.soft), "open": self.loose}


def free_names(
    tree: nodes.Template, name: str, eid: int, parse: Callable[[str], nodes.Template], join: Callable[[str, str], str]
) -> FreeNames:
    """`parse(template)` reads and parses one by its name; it raises Answer or TemplateNotFound, which gets the place of the include.

    `name`: of the template that `tree` is, or that of an expression.
    """
    found = FreeNames()
    todo = [(tree, name)]
    seen = {name}
    while todo:
        tree, name = todo.pop()
        _look(tree, found)
        others: Iterable[Any] = tree.find_all((nodes.Extends, nodes.FromImport, nodes.Import, nodes.Include))
        for node in others:
            wanted = node.template
            if not isinstance(wanted, nodes.Const) or not isinstance(wanted.value, str):
                found.loose = True
                continue
            other = join(wanted.value, name)
            if other in seen:
                continue
            seen.add(other)
            try:
                todo.append((parse(other), other))
            except jinja2.TemplateNotFound:
                found.loose = True  # it may stand in a branch that is not taken, or may be missing
            except Answer as refused:
                place = "" if name.endswith("<expression>") else name
                raise Located({
                    "code": refused.code, "eid": eid, "template": place, "line": node.lineno, "used_by": [],
                    "find": [wanted.value], "summary": str(refused), "hint": refused.hint,
                }) from None  # fmt: skip
    return found


def _look(tree: nodes.Template, found: FreeNames) -> None:
    found.names |= meta.find_undeclared_variables(tree)
    for node in tree.find_all((nodes.Test, nodes.Filter)):
        asks = ("defined", "undefined") if isinstance(node, nodes.Test) else ("default", "d")
        if node.name in asks and isinstance(node.node, nodes.Name):
            found.soft.add(node.node.name)
