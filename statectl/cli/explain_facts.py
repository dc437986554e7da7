"""`statectl explain facts`: what hosts say of themselves at each contact, and the types of the collected inventory."""

import importlib
import textwrap

from statectl.onhost.facts import TOPICS
from statectl.targets.collected import TYPES, CollectedType, names_of, type_named

WIDTH = 96


def explain_facts(what: str) -> str | None:
    """The text about `facts`, `facts.NAMESPACE` or `facts.TYPE`; None: there is no such thing."""
    name = what.partition(".")[2]
    if not name:
        return _everything()
    parts = []
    if name in TOPICS:
        parts.append(_topic(name))
    kind = TYPES.get(type_named(name))
    if kind is not None:
        parts.append(_type(kind))
    return "\n".join(parts) or None


def _everything() -> str:
    facts = _table({f"facts.{name}": _topic(name).partition("\n")[0].partition(": ")[2] for name in TOPICS})
    words = {f"{kind.words[0]}.": f"{kind.name}: {kind.meaning}" for kind in TYPES.values()}
    types = _table(
        {**words, "custom.TYPE.": "Types of your own, from files on the host and from commands of the project"}
    )
    return (
        f"Facts come with every contact; use them in templates, conditions and targets.\n\n{facts}\n"
        "Collected inventory is read by `statectl inventory refresh`; use it in targets and in `statectl inventory query`.\n\n"
        f"{types}\n"
        "More about one: statectl explain facts.os, statectl explain facts.package\n"
    )


def _topic(name: str) -> str:
    return str(importlib.import_module(f"statectl.onhost.facts.{name}").__doc__).strip() + "\n"


def _type(kind: CollectedType) -> str:
    word = kind.words[0]
    rows = {name: f"{attribute.kind:<8} {attribute.meaning}" for name, attribute in names_of(kind)}
    lines = [f"{kind.name}: {kind.meaning}", "", _table(rows)]
    if kind.key:
        main = next(name for name, attribute in names_of(kind) if attribute.name == kind.main)
        lines.append(
            f"{word}.NAME is {main} of the entry NAME; {word}.NAME.{main} and {word}.{main} (of any entry) are possible."
        )
    return "\n".join(lines) + "\n"


def _table(rows: dict[str, str]) -> str:
    wide = max(map(len, rows))
    lines: list[str] = []
    for name, text in rows.items():
        lines += textwrap.wrap(f"{name:<{wide}}  {text}", WIDTH, subsequent_indent=" " * (wide + 2))
    return "\n".join(lines) + "\n"
