"""YAML that cannot be read: what libyaml's errors mean for the person who wrote the file, and where.

No summary repeats text of the file: it may be a password.
"""

import re

import yaml

from statectl.problems import Problem, Span

# Everything that is not printable, that YAML would take for a line break, or that hides (a byte order mark inside).
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NBSP_INDENT = re.compile(r"[ \t]*\xa0")
_NEEDS_QUOTES = "a value inside { } or [ ] that holds [ ] { } , # or `: ` needs quotes"

UNQUOTED = "unquoted template expression"
UNQUOTED_LABEL = 'quote it: "{{ ... }}"'
UNQUOTED_HINT = "YAML reads { as the start of a map; put the whole value in quotes"

_Spot = tuple[int, int]  # line and column, from 0


class _Site:
    """Makes Problems at places of one text."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.splitlines() or [""]

    def at(self, spot: _Spot, code: str, summary: str, label: str = "", hint: str = "", length: int = 1) -> Problem:
        """A spot behind the last line means its end."""
        row, column = min(spot[0], len(self.lines) - 1), spot[1]
        if spot[0] >= len(self.lines):
            column = len(self.lines[row])
        span = Span(self.file, row + 1, column + 1, row + 1, column + 1 + length)
        return Problem(code, summary, span, label=label, hint=hint)

    def line(self, row: int) -> str:
        return self.lines[row] if 0 <= row < len(self.lines) else ""


def unreadable_text(text: str, file: str) -> Problem | None:
    """The first character that may not stand in a file of the project."""
    match = _UNREADABLE.search(text)
    if match is None:
        return None
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    code = f"U+{ord(match[0]):04X}"
    hint = (
        "remove it"
        if code == "U+0000" or 0xD800 <= ord(match[0]) <= 0xDFFF
        else "remove it, or write it as an escape in double quotes"
    )
    return Problem("E113", f"character {code} not allowed", Span(file, line, column, line, column + 1), hint=hint)


def explain_error(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    """A parser error in our words. The place is where the reader should look, which is not always where the parser stopped."""
    site = _Site(file, text)
    mark = error.problem_mark or error.context_mark
    here = (mark.line, mark.column) if mark is not None else (0, 0)
    begin = (error.context_mark.line, error.context_mark.column) if error.context_mark is not None else here
    problem = error.problem or ""
    if "another document" in problem:
        hint = "move it to a file of its own, or remove the line ---"
        return site.at(here, "E115", "second document; one per file here", hint=hint, length=3)
    if "undefined alias" in problem:
        return site.at(here, "E112", "alias of an anchor that was not defined before")
    if "duplicate anchor" in (error.context or ""):
        return site.at(here, "E112", "anchor defined twice")
    if "invalid Unicode character escape" in problem:
        hint = "surrogates (U+D800 to U+DFFF) are no characters"
        return site.at(here, "E113", "character of this escape not allowed", hint=hint)
    for row in sorted({here[0], begin[0], here[0] - 1}):
        if _NBSP_INDENT.match(site.line(row)):
            spot = (row, site.line(row).index("\xa0"))
            return site.at(spot, "E113", "non-breaking space in indentation", hint="use ordinary spaces")
    unquoted = _unquoted_near(site, begin[0], here[0])
    if unquoted is not None:
        row, start, end = unquoted
        return site.at((row, start), "E103", UNQUOTED, UNQUOTED_LABEL, UNQUOTED_HINT, end - start)
    return _syntax(problem, error.context or "", site, here, begin)


def _unquoted_near(site: _Site, first: int, last: int) -> tuple[int, int, int] | None:
    """Line, start and end column of an expression without quotes between two lines, the last one first."""
    for row in (last, last - 1, *range(first, last)):
        line = site.line(row)
        for match in re.finditer(r"\{[{%]", line):
            before = line[: match.start()]
            # Inside quotes it is where it belongs; after other text of a plain value it is fine as well.
            if before.count('"') % 2 or before.count("'") % 2 or not re.search(r"(?:^|[:\-\[,{?])\s*$", before):
                continue
            rest = re.sub(r"\s+#.*$", "", line[match.start() :]).rstrip()
            return row, match.start(), match.start() + len(rest)
    return None


def hide_expression(text: str, problem: Problem) -> str | None:
    """The text with an unquoted expression (E103) covered by letters of the same length, or None for other problems."""
    span = problem.span
    if problem.code != "E103" or span is None:
        return None
    lines = text.splitlines(keepends=True)
    line = lines[span.line - 1]
    start, end = span.column - 1, span.end_column - 1
    if end <= start or "{" not in line[start:end]:
        return None
    lines[span.line - 1] = line[:start] + "x" * (end - start) + line[end:]
    return "".join(lines)


def _syntax(problem: str, context: str, site: _Site, here: _Spot, begin: _Spot) -> Problem:
    """Grammar errors by libyaml's text; what it does not say is read from the line itself."""
    at = site.at
    source = site.line(here[0])
    before, character = source[: here[1]], source[here[1] : here[1] + 1]
    if "mapping values are not allowed" in problem:
        if re.search(r":\s", before):
            hint = "a value that holds `: ` needs quotes"
            return at(here, "E105", "this looks like a second key in one value", "quote the value", hint)
        hint = "the line above already ended with a value"
        return at(here, "E105", "a key below a value", "check the indentation", hint)
    if "tab character" in problem:
        return at(here, "E105", "tab in indentation", "use spaces")
    if "cannot start any token" in problem:
        if character == "\t":
            return at(here, "E105", "tab in indentation", "use spaces")
        return at(here, "E105", f"a value may not start with {character}", "quote the value")
    if "quoted scalar" in context:
        if "unknown escape" in problem:
            hint = "write \\\\ for a backslash, or use single quotes"
            return at(here, "E105", "unknown escape in a double-quoted text", hint=hint)
        return at(begin, "E105", "quote not closed", "it opens here")
    if "expected ',' or" in problem or "flow" in context:
        return _flow(context, site, here, begin)
    if "could not find expected ':'" in problem:
        length = max(1, len(site.line(begin[0]).rstrip()) - begin[1])
        return at(begin, "E105", "expected `key: value`", "no colon follows", length=length)
    if "did not find expected '-'" in problem:
        return at(here, "E105", "expected `- `, the list above is not finished", "check the indentation")
    if "did not find expected key" in problem:
        if character in ("'", '"') or re.search(r"""["'\]}]\s*$""", before):
            return at(here, "E105", "text after a closed value", "quote the whole value")
        return at(here, "E105", "expected a key", "check the indentation")
    if "block sequence entries" in problem:
        return at(here, "E105", "a list starts on a line of its own", "move `- ` to the next line, or quote the value")
    if "mapping keys are not allowed" in problem:
        return at(here, "E105", "a value may not start with `? `", "quote the value")
    if "comment or line break" in problem:
        return at(here, "E105", "text after | or > starts on the next line")
    if "block scalar" in context:
        return at(here, "E105", "wrong indentation of a text block", "indent its lines alike, deeper than their key")
    if "node content" in problem:
        found = f", found {character}" if character and character in "]},:" else ""
        return at(here, "E105", f"expected a value{found}", "quote it if it is text")
    return _rest(problem, context, site, here, begin)


def _flow(context: str, site: _Site, here: _Spot, begin: _Spot) -> Problem:
    closing = "]" if "sequence" in context else "}"
    opening = "[" if closing == "]" else "{"
    if begin[0] == here[0] and site.line(here[0])[here[1] : here[1] + 1]:
        return site.at(here, "E105", f"expected a comma or {closing}", hint=_NEEDS_QUOTES)
    tail = site.line(begin[0])[begin[1] :]
    if not tail:  # the parser lost the start: the last line that opens something and does not close it
        for row in range(min(here[0], len(site.lines) - 1), -1, -1):
            line = site.line(row)
            column = max(line.rfind("{"), line.rfind("["))
            if column >= 0:
                begin, tail, opening = (row, column), line[column:], line[column]
                break
    comment = re.search(r"\s#|[,{\[]#", tail)
    if comment is not None:
        spot = (begin[0], begin[1] + comment.end() - 1)
        return site.at(spot, "E105", f"the comment hides the end of {opening}", "it starts here", _NEEDS_QUOTES)
    return site.at(begin, "E105", f"{opening} is not closed", "it opens here", _NEEDS_QUOTES)


def _rest(problem: str, context: str, site: _Site, here: _Spot, begin: _Spot) -> Problem:
    if "anchor" in context or "alias" in context:
        hint = "quote a value that starts with & or *"
        return site.at(begin, "E112", "name of an anchor or alias not valid", hint=hint)
    if "directive" in context or "directive" in problem or "incompatible YAML" in problem:
        return site.at(begin, "E105", "directives (%) are not read here", hint="quote a value that starts with %")
    if "tag" in problem or "tag" in context:
        return site.at(begin, "E111", "tag not allowed", hint="leave the tag out; quote a value that starts with !")
    if "document start" in problem or "document end" in problem:
        hint = "one map stands in a file; check the indentation"
        return site.at(here, "E105", "expected the end of the file", hint=hint)
    return site.at(here, "E105", "not valid YAML", problem.lower())
