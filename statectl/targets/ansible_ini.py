"""Ansible's INI inventories, read as Ansible reads them: sections, ranges, and Python literals as values."""

import ast
import io
import re
import shlex
import warnings
from pathlib import Path
from typing import Any

from statectl.problems import Span
from statectl.targets.ansible_names import split_port, suspicious_ipv6
from statectl.targets.draft import Draft
from statectl.targets.hosts import Variable
from statectl.targets.ranges import MAX_HOSTS, RangeError, expand_ansible, has_range
from statectl.targets.values import Settled, Yaml
from statectl.targets.variables import set_group_variable, warn_hidden

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_CHILD = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
MAX_NESTING = 200  # of brackets in a value; the parser behind literal_eval recurses


class _Line:
    def __init__(self, file: str, number: int, raw: str) -> None:
        self.file = file
        self.number = number
        self.text = raw.strip()
        self.indent = len(raw) - len(raw.lstrip())

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """Characters of the stripped line, from 0, as a place in the file."""
        last = len(self.text) if end is None else end
        return Span(
            self.file, self.number, self.indent + start + 1, self.number, self.indent + max(last, start + 1) + 1
        )


class IniReader:
    """Adds what one file says to a draft."""

    def __init__(self, draft: Draft, file: str, base: Path, yaml: Yaml) -> None:
        self.draft = draft
        self.file = file
        self.base = base
        self.yaml = yaml
        self.group = "ungrouped"
        self.state = "hosts"
        self._only_vars: dict[str, Span] = {}

    def read(self, text: str) -> None:
        for number, raw in enumerate(text.splitlines(), 1):
            line = _Line(self.file, number, raw)
            if not line.text or line.text[0] in "#;":
                continue
            if line.text[0] == "[" and self._section(line):
                continue
            if self.state == "hosts":
                self._hosts(line)
            elif self.state == "vars":
                self._variable(line)
            elif self.state == "children":
                self._child(line)
        for name, span in self._only_vars.items():
            if not self.draft.groups[name].declared:
                self.draft.problem("E159", f'[{name}:vars] of a group that does not exist: "{name}"', span)

    def _section(self, line: _Line) -> bool:
        match = _SECTION.fullmatch(line.text)
        if match is None:
            if line.text.endswith("]"):
                self.draft.problem(
                    "E164", "section not valid", line.span(), hint="write [group], [group:children] or [group:vars]"
                )
                self.state = "skip"
                return True
            return False  # a host such as [2001:db8::1]:22
        name, kind = match[1], match[2] or "hosts"
        if kind not in ("hosts", "vars", "children"):
            self.draft.problem(
                "E164", f'unknown kind of section "{kind}"', line.span(match.start(2), match.end(2)),
                label="hosts, children or vars",
            )  # fmt: skip
            self.state = "skip"
            return True
        span = line.span(match.start(1), match.end(1))
        known = name in self.draft.groups
        if self.draft.group(name, span, declared=kind != "vars") is None:
            self.state = "skip"
            return True
        if kind == "vars" and not known:
            self._only_vars.setdefault(name, span)
        self.group, self.state = name, kind
        return True

    def _child(self, line: _Line) -> None:
        match = _CHILD.fullmatch(line.text)
        if match is None:
            self.draft.problem("E164", "expected the name of a group", line.span())
            return
        name = match[1]
        span = line.span(0, len(name))
        if self.draft.group(name, span, declared=False) is not None:
            self.draft.groups[self.group].children.setdefault(name, span)

    def _variable(self, line: _Line) -> None:
        name, equals, value = line.text.partition("=")
        if not equals:
            self.draft.problem("E164", "expected name=value", line.span())
            return
        name = name.strip()
        start = len(line.text) - len(value.lstrip())
        span = line.span(start)
        variable = Variable(self._value(value.strip(), span), span, f"group {self.group}")
        set_group_variable(self.draft, self.group, name, variable)

    def _hosts(self, line: _Line) -> None:
        tokens = self._tokens(line)
        if not tokens:
            return
        pattern, start, end = tokens[0]
        span = line.span(start, end)
        names, port = self._names(pattern, span)
        layer: dict[str, Variable] = {}
        origin = f"host {pattern}"
        if port is not None:
            layer["ansible_port"] = Variable(port, span, origin)
        for text, begin, stop in tokens[1:]:
            name, equals, value = text.partition("=")
            place = line.span(begin, stop)
            if not equals:
                self.draft.problem("E164", "expected name=value after the name of the host", place)
                continue
            layer[name] = Variable(self._value(value, place), place, origin)
            warn_hidden(self.draft, name, place)
        for name in names:
            host = self.draft.host(name, span, (self.group,))
            if host is not None and layer:
                host.layers.append(layer)

    def _tokens(self, line: _Line) -> list[tuple[str, int, int]]:
        """Words as a shell splits them, with their places; a # starts a comment wherever it stands."""
        if not re.search(r"[\"'\\#]", line.text):
            return [(match[0], match.start(), match.end()) for match in re.finditer(r"\S+", line.text)]
        stream = io.StringIO(line.text)
        lexer = shlex.shlex(stream, posix=True)
        lexer.whitespace_split = True
        tokens: list[tuple[str, int, int]] = []
        end = 0
        while True:
            start = end
            try:
                token = lexer.get_token()
            except ValueError as error:
                self.draft.problem(
                    "E164", "quote not closed", line.span(start), label=str(error).lower(), hint="close the quote"
                )
                return []
            end = stream.tell()
            if token is None:
                return tokens
            start += len(line.text[start:end]) - len(line.text[start:end].lstrip())
            tokens.append((token, start, start + len(line.text[start:end].rstrip())))

    def _names(self, pattern: str, span: Span) -> tuple[list[str], int | None]:
        address, port = split_port(pattern)
        if port is None and pattern.endswith(":"):
            self.draft.problem("E156", "a port is missing after the colon", span)
            return [], None
        if port is None and suspicious_ipv6(address):
            self.draft.problem(
                "W156", "read as one IPv6 address without a port", span, hint="with a port: [ADDRESS]:PORT"
            )
        if not has_range(address):
            return [address], port
        try:
            return expand_ansible(address, MAX_HOSTS), port
        except RangeError as error:
            self.draft.problem("E155", str(error), span)
            return [], None

    def _value(self, text: str, span: Span) -> Any:
        settled = Settled(self.yaml, self.file, self.base, _Fixed(span), self.draft.problems)
        return settled.value(settled.expressions(literal(text), ()), ())


class _Fixed:
    """Everything inside one value stands where the value stands."""

    def __init__(self, span: Span) -> None:
        self.span = span

    def key(self, _path: Any, /) -> Span:
        return self.span

    def value(self, _path: Any, /) -> Span:
        return self.span


def literal(text: str) -> Any:
    """A Python literal where the text is one, else the text. What JSON cannot hold becomes text or a list."""
    if not text or text[0] not in "([{'\"+-.0123456789TFNbBrRuUs":
        return text  # no literal starts like this; most values are plain words, and compiling them is slow
    if sum(map(text.count, "([{")) > MAX_NESTING:
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return _plain(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if value is ...:
        return "..."
    if isinstance(value, complex):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
