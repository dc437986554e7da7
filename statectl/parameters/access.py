"""Who may do what below which paths. Without a policy everybody may everything; with one, only what a rule allows.

A path is a name, or a pattern: `*` stands for what is within one segment, `**` for anything. `/web/**` is all below /web, not /web itself.
"""

import os
import re
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

ACTIONS = ("list", "read", "decrypt", "write", "delete")
EVERYTHING = "/**"


class Rule(Protocol):
    """who: names of users, group:NAME, or *. may: of ACTIONS. paths: patterns."""

    @property
    def who(self) -> Sequence[str]: ...
    @property
    def may(self) -> Sequence[str]: ...
    @property
    def paths(self) -> Sequence[str]: ...


class Rights:
    """Of one principal."""

    def __init__(self, patterns: dict[str, list[str]] | None) -> None:
        """patterns: of each action; None when there is no policy."""
        self._all = frozenset(
            ACTIONS if patterns is None else (a for a in ACTIONS if EVERYTHING in patterns.get(a, ()))
        )
        self._patterns = {
            action: re.compile("|".join(map(_expression, listed))).fullmatch
            for action, listed in (patterns or {}).items()
            if listed and action not in self._all
        }

    def everywhere(self, action: str) -> bool:
        return action in self._all

    def may(self, action: str, name: str) -> bool:
        if action in self._all:
            return True
        found = self._patterns.get(action)
        return found is not None and found(name if name.startswith("/") else f"/{name}") is not None


class Access:
    """rules: None when there is no policy. groups: of which a user is a member; the system's, unless given."""

    def __init__(
        self, rules: Sequence[Rule] | None = None, *, groups: Callable[[str], Collection[str]] | None = None
    ) -> None:
        self._rules = rules
        self._groups = groups or groups_of

    def of(self, principal: str) -> Rights:
        if self._rules is None:
            return Rights(None)
        names = {"*", principal}
        if any(one.startswith("group:") for rule in self._rules for one in rule.who):
            names |= {f"group:{group}" for group in self._groups(principal)}
        patterns: dict[str, list[str]] = {}
        for rule in self._rules:
            if names.intersection(rule.who):
                for action in rule.may:
                    patterns.setdefault(action, []).extend(rule.paths)
        return Rights(patterns)


def _expression(pattern: str) -> str:
    pieces = re.split(r"(\*\*|\*)", pattern if pattern.startswith("/") else f"/{pattern}")
    return "".join({"**": ".+", "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces)


def this_user() -> str:
    """Whom the system says we are; not what the environment says."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid:{os.geteuid()}"


def groups_of(user: str) -> set[str]:
    import grp
    import pwd

    try:
        primary = pwd.getpwnam(user).pw_gid
    except KeyError:
        return set()
    return {one.gr_name for one in grp.getgrall() if user in one.gr_mem or one.gr_gid == primary}
