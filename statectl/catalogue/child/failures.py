"""From an exception inside a template to what the parent needs for a good message: which source, which line, which path."""

import re
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2.runtime import Undefined
from jinja2.utils import missing

from statectl.catalogue.child.values import NotYetKnown, SecretUsed
from statectl.problems import did_you_mean

if TYPE_CHECKING:
    from statectl.catalogue.child.environment import Sandbox

SHOWN_NAMES = 12
COMPUTED = "…"  # a step that only rendering knows
KINDS = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "NoneType": "null",
    "list": "a list",
    "dict": "a map",
}
JOINED = re.compile(r"can only concatenate (\w+) \(not (.+)\) to \w+")


class Missing(UndefinedError):
    """An undefined name or field was used; keeps what the message needs."""

    def __init__(self, undefined: Undefined, message: str) -> None:
        super().__init__(message)
        self.undefined = undefined


class Limit(Exception):
    """Rendering wants more than it may have: text size, memory, time."""


class TooSlow(Limit):
    """It ran out of time."""


class NotBoolean(Exception):
    """A condition that is neither true nor false; the text says what it is."""


class Located(Exception):
    """A failure with its place, ready to be sent. `used_by` grows as it passes through the variables that led to it."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__(report.get("summary", ""))
        self.report = report


class Answer(Exception):
    """What the parent said no to, as a report of code and summary: a template outside the project, an unknown parameter."""

    def __init__(self, code: str, summary: str, hint: str = "") -> None:
        super().__init__(summary)
        self.code = code
        self.hint = hint


def locate(error: BaseException, env: "Sandbox", eid: int) -> Exception:
    """The failure with its place; failures that already have theirs, and what is not a failure, as they are."""
    if isinstance(error, Located):
        if error.report["eid"] == eid or eid in error.report["used_by"]:
            return error
        return Located(
            {**error.report, "used_by": [*error.report["used_by"], eid]}
        )  # a copy: the first may be kept and used again
    if isinstance(error, NotYetKnown):
        return error
    template, line = _place(error)
    report: dict[str, Any] = {"eid": eid, "template": template, "line": line, "used_by": [], "find": []}
    if isinstance(error, TemplateSyntaxError):
        report["line"] = error.lineno
        if error.name and not error.name.endswith("<expression>"):
            report["template"] = error.name
        report |= {"code": "E202", "summary": _sentence(error.message or "syntax error"), "find": _syntax_words(error)}
    elif isinstance(error, Missing):
        report |= _undefined(error.undefined, env, eid, template, line)
    elif isinstance(error, SecretUsed):
        what = f"secret `{error.label}`" if error.label else "a secret"
        report |= {
            "code": "E206",
            "summary": f"{what} is used in a filter, a condition or an operation",
            "find": [error.label] if error.label else [],
            "hint": "a secret can only be put out as it is: {{ name }}, with text around it",
        }
    elif isinstance(error, NotBoolean):
        report |= {
            "code": "E207",
            "summary": f"the condition is neither true nor false: it {error}",
            "hint": "compare it, or ask for its length: `sites | length > 0`",
        }
    elif isinstance(error, Answer):
        report |= {"code": error.code, "summary": str(error), "hint": error.hint}
    elif isinstance(error, TemplateNotFound):
        report |= {"code": "E204", "summary": f"no template `{error.name}`", "find": [str(error.name)]}
    elif isinstance(error, MemoryError):
        report |= {"code": "E205", "summary": "render used more than 16 MiB"}
    elif isinstance(error, RecursionError):
        report |= {"code": "E205", "summary": "render calls itself without end"}
    elif isinstance(error, Limit):
        report |= {"code": "E205", "summary": str(error), "slow": isinstance(error, TooSlow)}
    elif isinstance(error, SecurityError):
        report |= {"code": "E209", "summary": f"not allowed in a template: {_in_words(_sentence(str(error)))}"}
    else:
        report |= {"code": "E209", "summary": _operation(error)}
    return Located(report)


def _place(error: BaseException) -> tuple[str, int]:
    """(template name, line) of the innermost template code in the traceback; ('', 0) when there is none."""
    found = ("", 0)
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            name = template.name or ""
            found = ("" if name.endswith("<expression>") else name, template.get_corresponding_lineno(trace.tb_lineno))
        trace = trace.tb_next
    return found


def _sentence(text: str) -> str:
    text = text.strip().removesuffix(".")
    return text[:1].lower() + text[1:]


def _syntax_words(error: TemplateSyntaxError) -> list[str]:
    quoted = (error.message or "").split("'")
    return [word for word in quoted[1::2][-1:] if word.isidentifier()]


def _operation(error: BaseException) -> str:
    """Python's own words for a failed operation, without its type names. Values do not occur in these messages, or are cut."""
    text = _in_words(_sentence(str(error).split("\n", maxsplit=1)[0][:200]) or "failed")
    joined = JOINED.fullmatch(text)
    if joined is not None:
        return f"{KINDS.get(joined[1], joined[1])} and {joined[2]} cannot be joined with +; ~ joins texts"
    return text.replace("unsupported operand type(s) for", "cannot calculate")


def _in_words(text: str) -> str:
    for name, word in KINDS.items():
        text = text.replace(f"'{name}' object", word).replace(f"'{name}'", word).replace(f'"{name}"', word)
    return text


def describe(value: Any) -> str:
    """What a value has, for the label of an undefined field: 'has: host, port'; never the values themselves."""
    if isinstance(value, Mapping):
        names = [str(key) for key in value]
        shown = ", ".join(names[:SHOWN_NAMES]) + (
            f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        )
        return f"has: {shown}" if names else "is an empty map"
    if isinstance(value, list):
        return f"is a list of {len(value)}"
    return f"is {KINDS.get(type(value).__name__, 'not a map')}"


def _undefined(undefined: Undefined, env: "Sandbox", eid: int, template: str, line: int) -> dict[str, Any]:
    name, holder = undefined._undefined_name, undefined._undefined_obj  # noqa: SLF001 jinja offers no other way
    if undefined._undefined_hint:  # noqa: SLF001
        return {"code": "E201", "summary": _sentence(undefined._undefined_hint), "find": [str(name)] if name else []}  # noqa: SLF001
    path, root, via = name_path(env.tree_of(eid, template), str(name), holder is missing, line)
    if holder is missing:
        return {
            "code": "E201",
            "summary": f"`{path}` is undefined",
            "label": did_you_mean(path, env.known_names()),
            "find": [path],
        }
    report = {
        "code": "E201",
        "summary": f"`{path}` is undefined",
        "find": [path, str(name), root],
        "root": root,
        "via": via,
    }
    owner = path.rpartition(".")[0] if path.endswith(f".{name}") else path.rpartition("[")[0]
    owner = owner or "it"
    if not isinstance(holder, Mapping):
        return {
            **report,
            "label": f"{owner} {describe(holder)}" + ("" if isinstance(name, str) else f", it has no element {name}"),
        }
    twin = next((key for key in holder if str(key) == str(name)), None)
    if twin is not None:  # 12 and "12" look the same and are not
        kinds = [KINDS.get(type(one).__name__, "text") for one in (twin, name)]
        return {**report, "label": f"{owner} has {name} as {kinds[0]}, and this is {kinds[1]}"}
    near = did_you_mean(str(name), [str(key) for key in holder])
    return {**report, "label": f"{owner} {describe(holder)}" + (f"   ({near})" if near else "")}


def name_path(tree: nodes.Template | None, name: str, is_root: bool, line: int) -> tuple[str, str, str]:
    """(path as written, variable it starts from, loop variable on the way) of the use of `name` on a line of a template."""
    if is_root or tree is None:
        return name, "" if tree is None else name, ""
    found: list[tuple[int, list[str]]] = []  # how far from what is meant, and the steps
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        steps = _steps(node)
        if steps and steps[-1] in (name, COMPUTED):
            found.append((2 * (node.lineno != line) + (steps[-1] == COMPUTED), steps))
    if not found:
        return name, "", ""
    steps = min(found, key=lambda pair: pair[0])[1]
    root, via = steps[0], ""
    for loop in tree.find_all(nodes.For):
        targets = {
            node.name for node in [loop.target, *loop.target.find_all(nodes.Name)] if isinstance(node, nodes.Name)
        }
        if root in targets:
            source = next((_steps(node) for node in [loop.iter, *loop.iter.find_all(nodes.Expr)] if _steps(node)), [])
            if source:
                root, via = source[0], root
    shown = f"{'.'.join(steps[:-1])}[{name}]" if steps[-1] == COMPUTED else ".".join(steps)
    return shown, root, via


def _steps(node: nodes.Node) -> list[str]:
    """`a.b['c'].d` to [a, b, c, d]; empty when it is not such a chain."""
    if isinstance(node, nodes.Name):
        return [node.name]
    if isinstance(node, nodes.Getattr):
        head = _steps(node.node)
        return [*head, node.attr] if head else []
    if isinstance(node, nodes.Getitem):
        head = _steps(node.node)
        if not head:
            return []
        return [*head, str(node.arg.value) if isinstance(node.arg, nodes.Const) else COMPUTED]
    return []
