"""Setting variables of an Ansible inventory on a draft, with Ansible's special cases."""

import re
from typing import Any

from statectl.problems import Span
from statectl.targets.draft import Draft
from statectl.targets.hosts import Variable
from statectl.targets.names import NAMESPACES


def set_group_variable(draft: Draft, group: str, name: str, variable: Variable) -> None:
    """`ansible_group_priority` is no variable but says which of two groups of equal depth wins."""
    if name == "ansible_group_priority":
        if re.fullmatch(r"-?[0-9]{1,9}", str(variable.value)):
            draft.groups[group].priority = int(variable.value)
        else:
            draft.problem("E108", "`ansible_group_priority` must be a whole number", variable.span)
        return
    draft.groups[group].layers.append({name: variable})
    warn_hidden(draft, name, variable.span)


def warn_hidden(draft: Draft, name: Any, span: Span | None) -> None:
    """Ansible files keep their names; one that expressions use for something else can be seen by Ansible only."""
    if name in NAMESPACES:
        draft.problem(
            "W153", f'variable "{name}" is hidden: expressions use `{name}` for something else', span,
            hint="give it another name if a template needs it",
        )  # fmt: skip
