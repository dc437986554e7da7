"""`statectl inventory query`: hosts or entries that fit, or how many there are of each value."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from statectl.collected.questions import value_of
from statectl.errors import ConfigError, UsageError
from statectl.targets.collected import TYPES, type_named
from statectl.targets.matching import fact_values
from statectl.targets.selector import HasCollected, HasFact, Node, parse_selector, walk

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened

NONE, NEVER = "(none)", "(never collected)"
MAX_KEYS = 4


@dataclass
class Answer:
    """`columns` of `rows`; `shown`: those that fit on a terminal; `hosts`: whose rows they are; `what`: hosts, entries or counts."""

    what: str
    columns: list[str]
    rows: list[dict[str, Any]]
    shown: list[str]
    hosts: list[str]
    uncollected: list[str] = field(default_factory=list)


def ask(opened: "Opened", expression: str, type_text: str, where: str, count_by: Sequence[str]) -> Answer:
    """Raises ConfigError for mistakes in expressions (exit 4), UsageError for the rest."""
    if len(count_by) > MAX_KEYS:
        raise UsageError(f"--count-by at most {MAX_KEYS} times")
    chosen = opened.selected(expression, allow_empty=True)
    hosts = list(chosen.hosts)
    if type_text:
        answer = _entries(opened, hosts, _type(type_text), where, count_by)
    elif where:
        raise UsageError("--where is about the entries of a type", hint="add --type, such as --type Application")
    elif count_by:
        answer = _counted(_by_host(opened, hosts, count_by), list(count_by), hosts)
    else:
        answer = _hosts(opened, hosts, expression)
    answer.uncollected = list(chosen.uncollected)
    return answer


def _type(text: str) -> str:
    name = type_named(text)
    if not name:
        from statectl.problems import nearest

        near = nearest(text, TYPES)
        raise UsageError(
            f"no type {text[:80]!r}", hint=f"did you mean {near}?" if near else "statectl explain facts lists the types"
        )
    return name


def _hosts(opened: "Opened", hosts: list[str], expression: str) -> Answer:
    """One row a host: how old what is known of it is, and what the expression asked for."""
    selector, _ = parse_selector(expression)
    assert selector is not None
    asked: dict[str, Node] = {}
    for node in walk(selector.root):
        if isinstance(node, HasCollected):
            asked.setdefault(node.name, node)
        elif isinstance(node, HasFact):
            asked.setdefault("facts." + ".".join(node.path), node)
    values = {name: _values(opened, node, hosts) for name, node in asked.items()}
    ages = _checked(opened, sorted({node.type for node in selector.collected}))
    rows = [
        {"host": host, "collected": ages.get(host), **{name: _one(found.get(host)) for name, found in values.items()}}
        for host in hosts
    ]
    columns = ["host", "collected", *asked]
    return Answer("hosts", columns, rows, columns, hosts)


def _entries(opened: "Opened", hosts: list[str], type_name: str, where: str, count_by: Sequence[str]) -> Answer:
    root = _where(type_name, where) if where else None
    kind = TYPES.get(type_name)
    held = list(opened.questions().fitting(type_name, root, hosts))
    ages = _checked(opened, [type_name])
    if count_by:
        names = [_attribute(type_name, key) for key in count_by]
        counted = [[{_word(value_of(type_name, name, one.entry))} for name in names] for one in held]
        return _counted(counted, list(count_by), sorted({one.host for one in held}))
    if kind is not None:
        attributes = [one.name for one in kind.attributes]
        first = list(dict.fromkeys([*kind.key, kind.main]))
    else:
        attributes = sorted({name for one in held for name in one.entry}, key=lambda name: (name != "Name", name))
        first = attributes[:6]
    wanted = [node.attribute for node in walk(root) if isinstance(node, HasCollected)] if root is not None else []
    rows = [
        {"host": one.host, "collected": ages.get(one.host), **{name: one.entry.get(name) for name in attributes}}
        for one in held
    ]
    shown = ["host", *first, *(name for name in dict.fromkeys(wanted) if name not in first), "collected"]
    found = list(dict.fromkeys(one.host for one in held))
    return Answer("entries", ["host", "collected", *attributes], rows, shown, found)


def _where(type_name: str, text: str) -> Node:
    selector, problems = parse_selector(text, type_name)
    if selector is None:
        problem = problems[0]
        found = problem.at(None, text)
        from dataclasses import replace

        raise ConfigError([replace(found, summary=f'--where "{text}": {found.summary} (at column {problem.column})')])
    return selector.root


def _attribute(type_name: str, text: str) -> str:
    kind = TYPES.get(type_name)
    if kind is None:
        return text
    found = kind.attribute(text)
    if found is None:
        raise UsageError(
            f"{type_name} has no attribute {text[:80]!r}", hint=f"it has {', '.join(a.name for a in kind.attributes)}"
        )
    return found.name


def _by_host(opened: "Opened", hosts: Sequence[str], count_by: Sequence[str]) -> list[list[set[str]]]:
    """For each host and key the values it has."""
    columns = []
    for key in count_by:
        node = _key(key)
        values = _values(opened, node, hosts)
        known = opened.questions().holding(node).known if isinstance(node, HasCollected) else hosts
        columns.append([{_word(v) for v in values.get(h, ())} or {NONE if h in known else NEVER} for h in hosts])
    return [list(row) for row in zip(*columns, strict=True)]


def _key(text: str) -> Node:
    """`package.openssl`, `facts.os.name`, or `os.name` for short."""
    for name in (text, f"facts.{text}"):
        selector, _ = parse_selector(f"{name}=*")
        if selector is not None and isinstance(selector.root, HasCollected | HasFact):
            return selector.root
    raise UsageError(
        f"--count-by {text[:80]!r} is neither a fact nor collected", hint="such as os.name or package.openssl"
    )


def _counted(rows: Iterable[Sequence[set[str]]], keys: list[str], hosts: list[str]) -> Answer:
    counts: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        counts.update(product(*row))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    columns = [*keys, "count"]
    found = [dict(zip(columns, (*values, count), strict=True)) for values, count in ordered]
    return Answer("counts", columns, found, columns, hosts)


def _values(opened: "Opened", node: Node, hosts: Sequence[str]) -> Mapping[str, list[Any]]:
    if isinstance(node, HasCollected):
        return opened.questions().values(node, hosts)
    assert isinstance(node, HasFact)
    facts = opened.records().facts()
    return {host: fact_values(facts[host][0], node.path) for host in hosts if host in facts}


def _checked(opened: "Opened", types: Sequence[str]) -> dict[str, str]:
    """{host: when the oldest of these types was really read}; without types, of any."""
    found: dict[str, str] = {}
    for name in types or opened.records().collected.types():
        for one in opened.records().collected.standings(type_name=name):
            if one.checked:
                known = found.get(one.host, one.checked)
                found[one.host] = min(known, one.checked) if types else max(known, one.checked)
    return found


def _one(values: Sequence[Any] | None) -> Any:
    if not values:
        return None
    return values[0] if len(values) == 1 else list(values)


def _word(value: Any) -> str:
    if value is None or value == "":
        return NONE
    return str(value).lower() if isinstance(value, bool) else str(value)
