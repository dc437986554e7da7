"""Names that people give: of associations and profiles, and of what templates can see."""

import re

from statectl.project.findings import Findings
from statectl.project.yaml_nodes import Path

MAX_NAME = 64
_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# What a template sees under these names must never depend on who defined a variable first.
RESERVED_NAMES = frozenset(
    {
        "facts",
        "host",
        "hosts",
        "inputs",
        "item",
        "param",
        "secret",
        "loop",
        "self",
        "varargs",
        "kwargs",
        "caller",
        "range",
    }
    | {"true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else", "elif", "for"}
    | {"set", "do", "block", "macro", "call", "filter", "import", "include", "from", "extends", "raw", "recursive"}
    | {"dict", "lipsum", "cycler", "joiner", "namespace"}
)


def check_slug(findings: Findings, name: str, path: Path, what: str) -> bool:
    """Association and profile names: lower case, so that they never clash with plan and run ids on the command line."""
    if _SLUG.fullmatch(name):
        return True
    meant = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:MAX_NAME]
    label = f"did you mean `{meant}`?" if _SLUG.fullmatch(meant) else ""
    hint = f"lower-case letters, digits, - and _, starting with a letter, at most {MAX_NAME} characters"
    findings.add("E116", path, f"name of {what} not valid", key=True, label=label, hint=hint)
    return False


def check_name(findings: Findings, name: str, path: Path, what: str) -> bool:
    """Names that templates use."""
    if name in RESERVED_NAMES:
        findings.add("E116", path, f"`{name}` is reserved; choose another name", key=True)
        return False
    if _IDENTIFIER.fullmatch(name):
        return True
    meant = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
    label = f"did you mean `{meant}`?" if _IDENTIFIER.fullmatch(meant) and meant not in RESERVED_NAMES else ""
    hint = "letters, digits and _, not starting with a digit: templates use it as a word"
    findings.add("E116", path, f"name of {what} not valid", key=True, label=label, hint=hint)
    return False
