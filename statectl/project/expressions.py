"""Syntax of expressions and templates, checked by parsing alone: nothing is compiled, nothing runs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from statectl.problems import Problem, Span
from statectl.project.scalars import Expression

if TYPE_CHECKING:
    import jinja2

# `{{ name }}` and `{{ a.b }}` and text without any brace need no parser; they are most of what is written.
_SIMPLE = re.compile(
    r"(?:[^{]|\{(?![{%#])|\{\{\s*(?!(?:not|and|or|in|is|if|else)\b)[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*\s*\}\})*"
)
_BLOCK = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{\{.*|\{%.*")


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """What is wrong with a text and where in it: line from 1, column from 1 and length, 0 when only the line is known."""

    message: str
    line: int
    column: int = 0
    length: int = 0


@cache
def _environment() -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(autoescape=False, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])  # noqa: S701


@lru_cache(maxsize=8192)  # a fleet repeats itself
def template_fault(source: str) -> SyntaxFault | None:
    """The first syntax error of a template, or None."""
    if _SIMPLE.fullmatch(source):
        return None
    import jinja2

    try:
        _environment().parse(source)
    except jinja2.TemplateSyntaxError as error:
        return _locate(source, error)
    except RecursionError:
        return SyntaxFault("expression nested too deeply", 1)
    return None


@lru_cache(maxsize=8192)
def condition_fault(source: str) -> SyntaxFault | None:
    """The first syntax error of a bare expression (`when`), or None."""
    import jinja2
    from jinja2.parser import Parser

    try:
        parser = Parser(_environment(), source, state="variable")
        parser.parse_expression()
        if not parser.stream.eos:
            return SyntaxFault("expected the end of the expression", parser.stream.current.lineno)
    except jinja2.TemplateSyntaxError as error:
        return SyntaxFault(words(error), error.lineno)
    except RecursionError:
        return SyntaxFault("expression nested too deeply", 1)
    return None


def _locate(source: str, error: Any) -> SyntaxFault:
    """jinja knows the line only; the expression on it that cannot be parsed alone is the place."""
    import jinja2

    lines = source.splitlines() or [""]
    line = min(max(error.lineno, 1), len(lines))
    for match in _BLOCK.finditer(lines[line - 1]):
        if match[0].startswith("{%"):
            word = re.match(r"\{%[-+]?\s*(\w*)", match[0])
            if word is not None and f"'{word[1]}'" in error.message:
                return SyntaxFault(words(error), line, match.start() + 1, len(match[0]))
            continue
        try:
            _environment().parse(match[0])
        except jinja2.TemplateSyntaxError:
            return SyntaxFault(words(error), line, match.start() + 1, len(match[0]))
    return SyntaxFault(words(error), line)


def words(error: Any) -> str:
    """jinja's message in our style: lower case, no full stop, one sentence."""
    text = str(error.message)
    replaced = {
        "expected token 'end of print statement', got": "expected the end of the expression `}}`, got",
        "expected token 'end of statement block', got": "expected the end of the statement `%}`, got",
        "'end of print statement'": "`}}`",
        "'end of statement block'": "`%}`",
        "'end of template'": "the end",
        "expected token ": "expected ",
        "Missing end of comment tag": "the comment opened by {# is not closed; text that holds {# goes between {% raw %} and {% endraw %}",
        "Missing end of raw directive": "{% raw %} is not closed",
    }
    for theirs, ours in replaced.items():
        text = text.replace(theirs, ours)
    match = re.match(
        r"Unexpected end of template\. Jinja was looking for the following tags: (.*?)\. The innermost block that needs to be closed is '(\w+)'",
        text,
    )
    if match is not None:
        return f"{{% {match[2]} %}} is not closed: expected {match[1]}"
    match = re.match(r"Encountered unknown tag '(\w+)'\.", text)
    if match is not None:
        return f"unexpected {{% {match[1]} %}}"
    text = re.split(r"\. (?=[A-Z])", text)[0].rstrip(".")
    return text[:1].lower() + text[1:]


def expression_problem(expression: Expression, lines: Sequence[str]) -> Problem | None:
    """The problem of one expression of a YAML file, placed inside the file whose lines are given."""
    fault = condition_fault(expression.source) if expression.bare else template_fault(expression.source)
    if fault is None:
        return None
    kind = "condition" if expression.bare else "expression"
    return Problem("E202", f"{kind} not valid: {fault.message}", _place(expression, fault, lines))


def _place(expression: Expression, fault: SyntaxFault, lines: Sequence[str]) -> Span | None:
    """The chunk that is wrong is looked for in the file itself: quoting and indentation move columns."""
    span = expression.span
    if span is None or expression.bare:
        return span
    block = span.end_line == 0  # the text stands below the mark | or >
    line = span.line + fault.line - (0 if block else 1)
    if not block and line > span.end_line:
        line = span.line
    chunk = ""
    if fault.column:
        chunk = expression.source.splitlines()[fault.line - 1][fault.column - 1 : fault.column - 1 + fault.length]
    text = lines[line - 1] if line <= len(lines) else ""
    found = text.find(chunk, span.column - 1 if line == span.line else 0) if chunk else -1
    if found >= 0:
        return Span(span.file, line, found + 1, line, found + 1 + len(chunk))
    if block:
        return Span(span.file, line, len(text) - len(text.lstrip()) + 1, line, max(len(text), 1) + 1)
    return span
