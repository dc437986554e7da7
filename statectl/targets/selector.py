"""The target language: text to a tree. What the tree selects is in `matching.py`.

    all   web01   web*   web[01-20]   group:web   env=prod   facts.os.id=debian   and or not ( ) ,
    facts.memory.total_mb >= 4096   package.openssl < 3.0.14-1   certificate.not_after < now+30d

`not` binds tightest, then `and`, `or`, and last `,` (which joins like `or`). Ansible's patterns are read too:
`web:&prod:!web03` is "in web, also in prod, not web03"; inside them a bare name is a group or a host.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from statectl.targets.comparisons import Comparison, NotComparable, comparison
from statectl.targets.ranges import RangeError, expand
from statectl.targets.tree import (
    All,
    And,
    HasCollected,
    HasFact,
    InGroup,
    Named,
    Node,
    Not,
    Or,
    Selector,
    Tagged,
    TargetProblem,
    Where,
    walk,
)

__all__ = [
    "All",
    "And",
    "HasCollected",
    "HasFact",
    "InGroup",
    "Named",
    "Node",
    "Not",
    "Or",
    "Selector",
    "Tagged",
    "TargetProblem",
    "Where",
    "parse_selector",
    "walk",
]

MAX_DEPTH = 100
MAX_PATTERN_NAMES = 1_000  # names a range may make inside a pattern with wildcards


def parse_selector(text: str, within: str = "") -> tuple[Selector | None, list[TargetProblem]]:
    """The tree, or None and what is wrong. `within`: a collected type; then names are its attributes, and entries are selected."""
    try:
        parser = _Parser(text, within)
        return Selector(text, parser.expression()), []
    except _Wrong as wrong:
        return None, [wrong.problem]


class _Wrong(Exception):
    def __init__(self, summary: str, start: int, end: int, label: str = "", hint: str = "") -> None:
        super().__init__(summary)
        self.problem = TargetProblem("E151", summary, start, max(end, start + 1), label, hint)


class _Token(NamedTuple):
    kind: str  # word ( ) , end
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


_SYMBOLS = "(),"
_KEYWORDS = ("and", "or", "not")


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        character = text[position]
        if character.isspace():
            position += 1
        elif character in _SYMBOLS:
            yield _Token(character, character, position)
            position += 1
        else:
            end = _word_end(text, position)
            yield _Token("word", text[position:end], position)
            position = end
    yield _Token("end", "", len(text))


def _word_end(text: str, start: int) -> int:
    """A word ends at a space or symbol; inside [ ] a comma, inside quotes anything belongs to it."""
    position = start
    while position < len(text):
        character = text[position]
        if character.isspace() or character in _SYMBOLS:
            return position
        if character == "[":
            closing = text.find("]", position)
            if closing < 0 or re.search(r"[\s()]", text[position:closing]):
                shown = re.match(r"\S{1,40}", text[position:])
                assert shown is not None
                raise _Wrong(f'pattern "{shown[0]}" is not closed', position, position + len(shown[0]), "] is missing")
            position = closing
        elif character in "\"'":
            closing = text.find(character, position + 1)
            if closing < 0:
                raise _Wrong("quote not closed", position, position + 1, "it opens here")
            position = closing
        position += 1
    return position


class _Parser:
    def __init__(self, text: str, within: str = "") -> None:
        self.text = text
        self.within = within
        self.tokens: Sequence[_Token] = list(_tokens(text))
        self.position = 0
        self.depth = 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.position]

    def take(self) -> _Token:
        token = self.next
        self.position += 1
        return token

    def expression(self) -> Node:
        if self.next.kind == "end":
            raise _Wrong("empty target", 0, 1, hint="write `all` for every host")
        node = self.joined()
        token = self.next
        if token.kind == ")":
            raise _Wrong("a ) without its (", token.start, token.end)
        if token.kind == "word":
            raise _Wrong("expected `and`, `or` or `,` here", token.start, token.end)
        return node

    def joined(self) -> Node:
        """`a, b`. An entry `!c` takes away and `&c` keeps from all the others, as in Ansible, wherever it stands."""
        plain: list[Node] = []
        narrowing: list[Node] = []
        while True:
            sign = self.next.text[:1] if self.next.kind == "word" else ""
            (narrowing if sign in ("!", "&") and sign else plain).append(self.either())
            if self.next.kind != ",":
                break
            comma = self.take()
            if self.next.kind in (",", "end", ")"):
                raise _Wrong("expected a target after the comma", comma.start, comma.end)
        if not plain:
            return narrowing[0] if len(narrowing) == 1 else And(tuple(narrowing))
        if narrowing:  # then it is Ansible's list, where a bare name is a group or a host
            plain = [replace(node, or_group=True) if isinstance(node, Named) else node for node in plain]
        union = plain[0] if len(plain) == 1 else Or(tuple(plain))
        return And((union, *narrowing)) if narrowing else union

    def either(self) -> Node:
        nodes = [self.both()]
        while self.next.kind == "word" and self.next.text == "or":
            self.take()
            nodes.append(self.both())
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def both(self) -> Node:
        nodes = [self.unary()]
        while self.next.kind == "word" and self.next.text == "and":
            self.take()
            nodes.append(self.unary())
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def unary(self) -> Node:
        negations = 0
        while self.next.kind == "word" and self.next.text == "not":
            self.take()
            negations += 1
        node = self.primary()
        return Not(node) if negations % 2 else node

    def primary(self) -> Node:
        token = self.take()
        if token.kind == "(":
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise _Wrong(f"parentheses nested too deeply (max {MAX_DEPTH})", token.start, token.end)
            node = self.joined()
            if self.next.kind != ")":
                if self.next.kind == "word":
                    raise _Wrong("expected `and`, `or`, `,` or `)` here", self.next.start, self.next.end)
                raise _Wrong("( is not closed", token.start, token.end, "it opens here")
            self.take()
            self.depth -= 1
            return node
        if token.kind == "word" and token.text not in _KEYWORDS:
            if token.text.lower() in _KEYWORDS:
                raise _Wrong(f"write `{token.text.lower()}` in lower case", token.start, token.end)
            return _word(self.with_operator(token), self.within)
        before = self.tokens[self.position - 2] if self.position > 1 else token
        if token.kind == "end":
            raise _Wrong(f"expected a target after `{before.text}`", before.start, before.end)
        raise _Wrong(f"expected a target, found `{token.text}`", token.start, token.end)

    def with_operator(self, token: _Token) -> _Token:
        """`a < 1` and `a <1` are one word as `a<1` is."""
        first = token
        if _operator(token.text) is None:
            if self.next.kind != "word" or not _opens_with_operator(self.next.text):
                return token
            token = self.take()
        found = _OPERATOR.match(token.text)
        ends = found is not None and not token.text[found.end() :].strip("<>=")
        if ends and self.next.kind == "word" and self.next.text not in _KEYWORDS:
            token = self.take()
        return _Token("word", self.text[first.start : token.end], first.start)


def _opens_with_operator(text: str) -> bool:
    return text[0] in "<>=" or text.startswith("!=")


_OPERATOR = re.compile(r"""(?:"[^"]*"|'[^']*'|[^<>="'])*?([<>]=?|=)""")


def _operator(text: str) -> re.Match[str] | None:
    """The first operator that stands outside of quotes, as the whole match up to its end; group 1 is the operator."""
    return None if text.startswith(("!", "&")) else _OPERATOR.match(text)


def _word(token: _Token, within: str = "") -> Node:
    """One word: a name, a tag, a fact, a group, an Ansible pattern, or a comparison with its spaces."""
    text, start = token.text, token.start
    if text.startswith("~"):
        raise _Wrong(
            "regular expressions are not read in targets", start, token.end, hint="use * and ranges: web[01-20]*"
        )
    operator = _operator(text)
    if operator is not None:
        return _comparison(operator, token, within)
    if within:
        raise _Wrong("expected a comparison", start, token.end, hint="write ATTRIBUTE=VALUE or ATTRIBUTE<VALUE")
    if text[0] in "\"'":
        raise _Wrong("only the value after = is quoted", start, token.end)
    parts = _ansible_parts(text)
    if parts is None:
        return _group(text[6:], start + 6, token) if text.startswith("group:") else _host(text, start)
    return _ansible(parts, start)


def _comparison(operator: re.Match[str], token: _Token, within: str) -> Node:
    where = Where(token.start, token.end)
    sign = operator[1]
    name = token.text[: operator.start(1)].rstrip()
    value = token.text[operator.end() :].lstrip()
    if name.endswith("!") or value.startswith("="):
        right = f"not {name.rstrip('! ')}={value.lstrip('=')}" if name.endswith("!") else f"{name}={value[1:]}"
        raise _Wrong("a value is compared with =", token.start, token.end, f"write `{right}`")
    if sign == "=" and value[:1] in ("<", ">"):
        raise _Wrong(
            f"`={value[0]}` is no comparison", token.start, token.end, f"write `{name}{value[0]}={value[1:].strip()}`"
        )
    if not name:
        raise _Wrong(f"expected the name of a tag or fact before {sign}", token.start, token.end)
    if value[:1] in ('"', "'"):
        if len(value) < 2 or value[-1] != value[0]:
            raise _Wrong("expected `and`, `or` or `,` after the quoted value", token.end - 1, token.end)
        value = value[1:-1]
        pattern = re.compile(re.escape(value))
    else:
        if not value:
            raise _Wrong(f"expected a value after {sign}", token.start, token.end, hint='an empty value is written ""')
        pattern = _wildcards(value)
    place = (token.end - len(value), token.end)
    if within or _is_collected(name):
        return _collected(name, sign, value, pattern, token, within)
    if name.startswith("facts."):
        path = tuple(name.split(".")[1:])
        if not all(path):
            raise _Wrong("a fact is written facts.NAME.NAME=VALUE", token.start, token.end)
        return HasFact(path, _value(sign, value, pattern, "any", place), where)
    if sign != "=":
        raise _Wrong(
            "a tag has no order", token.start, token.end, "compare it with =",
            hint="facts (facts.cpu.count>=4) and collected inventory (package.openssl<3.0) are compared with < <= > >=",
        )  # fmt: skip
    if name[0] in "\"'" and name[-1] == name[0]:
        name = name[1:-1]
    return Tagged(name, pattern, where)


def _value(sign: str, value: str, pattern: re.Pattern[str], kind: str, place: tuple[int, int]) -> Comparison:
    if sign == "=":
        return Comparison(sign, value, kind, pattern)
    try:
        return comparison(sign, value, kind)
    except NotComparable as error:
        raise _Wrong(str(error), *place, hint=error.hint) from None


def _is_collected(name: str) -> bool:
    if "." not in name or name.startswith("facts."):
        return False
    from statectl.targets.collected import is_collected  # where it is needed: few expressions have such a name

    return is_collected(name)


def _collected(name: str, sign: str, value: str, pattern: re.Pattern[str], token: _Token, within: str) -> HasCollected:
    from statectl.targets.collected import attribute_named, read_name

    asked = attribute_named(within, name) if within else read_name(name)
    if isinstance(asked, str):
        raise _Wrong(asked, token.start, token.start + len(name), hint="`statectl explain facts` shows what there is")
    compared = _value(sign, value, pattern, asked.kind, (token.end - len(value), token.end))
    wild = "*" in asked.entry or "?" in asked.entry
    entry = _wildcards(asked.entry) if asked.entry else None
    literal = "" if wild else asked.entry
    where = Where(token.start, token.end)
    return HasCollected(asked.type, entry, literal, asked.attribute, compared, name, where)


def _wildcards(text: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in text), re.DOTALL)


def _names(text: str, start: int) -> tuple[tuple[str, ...], re.Pattern[str] | None]:
    """Literal names, or a pattern when there are wildcards."""
    wild = "*" in text or "?" in text
    try:
        names = expand(text, MAX_PATTERN_NAMES) if wild else expand(text)
    except RangeError as error:
        raise _Wrong(str(error), start + error.column, start + len(text)) from None
    if not wild:
        return tuple(names), None
    return (), re.compile("|".join(f"(?:{_wildcards(name).pattern})" for name in names), re.DOTALL)


def _host(text: str, start: int, *, or_group: bool = False) -> Node:
    where = Where(start, start + len(text))
    if text in ("all", "*"):
        return All(where)
    names, pattern = _names(text, start)
    return Named(text, where, names, pattern, or_group)


def _group(text: str, start: int, token: _Token) -> Node:
    if not text:
        raise _Wrong("expected the name of a group after group:", token.start, token.end)
    if text == "all":
        return All(Where(start, start + 3))
    names, pattern = _names(text, start)
    return InGroup(text, Where(start, start + len(text)), names, pattern)


_IPV6 = re.compile(r"[0-9A-Fa-f:.*?]*:[0-9A-Fa-f:.*?]*:[0-9A-Fa-f:.*?]*")


def _ansible_parts(text: str) -> list[tuple[str, int]] | None:
    """The parts of an Ansible pattern with their offsets, or None when the word is not one."""
    signed = text[0] in "!&"
    body = text.removeprefix("group:")
    if not signed and (":" not in re.sub(r"\[[^\]]*\]", "", body) or _IPV6.fullmatch(text)):
        return None
    parts: list[tuple[str, int]] = []
    offset = 0
    for piece in re.split(r":(?![^\[]*\])", text):
        if parts and parts[-1][0] in ("group", "!group", "&group"):
            before, at = parts.pop()
            parts.append((f"{before}:{piece}", at))
        else:
            parts.append((piece, offset))
        offset += len(piece) + 1
    return parts


def _ansible(parts: list[tuple[str, int]], start: int) -> Node:
    wanted: list[Node] = []
    narrowing: list[Node] = []
    for part, offset in parts:
        sign = part[:1] if part[:1] in ("!", "&") else ""
        name, at = part[len(sign) :], start + offset + len(sign)
        if not name:
            raise _Wrong("expected a name between the colons", start + offset, at)
        if name[0] in "!&~":
            raise _Wrong(f"`{name[0]}` is not read here", at, at + 1, hint="use * and ranges: web[01-20]*")
        if re.search(r"\[[-0-9]*:", name):
            raise _Wrong(
                "places in a group (`web[0:5]`) are not read: they change when a host comes or goes",
                at, at + len(name), hint="name the hosts: web[01-05]",
            )  # fmt: skip
        token = _Token("word", name, at)
        node = _group(name[6:], at + 6, token) if name.startswith("group:") else _host(name, at, or_group=True)
        if not sign:
            wanted.append(node)
        else:
            narrowing.append(Not(node) if sign == "!" else node)
    if not wanted:
        return narrowing[0] if len(narrowing) == 1 else And(tuple(narrowing))
    union = wanted[0] if len(wanted) == 1 else Or(tuple(wanted))
    return And((union, *narrowing)) if narrowing else union
