"""Parameters for people. A secret is its name and version unless it was decrypted on request."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from statectl.cli.formats.parameter_documents import plain
from statectl.cli.formats.terminal import Screen, clean, one_line
from statectl.parameters.model import Difference, Parameter

SHOWN_OF_A_VALUE = 60  # characters in a list


def value_text(one: Parameter, screen: Screen) -> str:
    """The value alone, as it is; on a terminal harmless. With one newline at its end."""
    value = plain(one.value)
    if value is None:
        value = one.placeholder
    text = clean(value) if screen.terminal else value
    return text if text.endswith("\n") else f"{text}\n"


def short_value(one: Parameter) -> str:
    value = plain(one.value)
    text = one_line(one.placeholder if value is None else value)
    return text if len(text) <= SHOWN_OF_A_VALUE else f"{text[: SHOWN_OF_A_VALUE - 3]}..."


def list_lines(found: Sequence[Parameter], screen: Screen, *, values: bool) -> Iterator[str]:
    if not found:
        yield "No parameters here that you may see."
        return
    wide = max(len(one.name) for one in found)
    for one in found:
        head = f"{one.name:{wide}}  {one.type:12}  v{one.version:<4}"
        if values:
            yield f"{head} {short_value(one)}".rstrip()
            continue
        expires = f"  expires {one.expires}" if one.expires else ""
        tags = "".join(f"  {key}={value}" for key, value in one.tags.items())
        yield screen.fit(
            f"{head} {one.modified}  {one_line(one.who)}{expires}{one_line(tags)}  {one_line(one.description)}"
        ).rstrip()


def history_lines(
    versions: Sequence[Parameter], policies: Sequence[dict[str, Any]], screen: Screen, *, diff: bool
) -> Iterator[str]:
    """Oldest first."""
    before: Parameter | None = None
    for one in versions:
        labels = f"  [{', '.join(one.labels)}]" if one.labels else ""
        why = f"  {one_line(one.why)}" if one.why else ""
        yield screen.paint(f"v{one.version:<4} {one.modified}  {one_line(one.who)}{labels}{why}", "bold")
        if diff and before is not None:
            yield from (f"  {line}" for line in diff_lines(before, one, screen))
        else:
            yield f"  {short_value(one)}"
        before = one
    for policy in policies:
        yield f"{policy['policy']}: {policy['text']} ({policy['status']})"


def diff_lines(left: Parameter, right: Parameter, screen: Screen) -> Iterator[str]:
    """What is different between two versions, field by field."""
    for field in ("type", "data_type", "description", "allowed_pattern"):
        before, after = getattr(left, field), getattr(right, field)
        if before != after:
            yield f"{field}: {one_line(before) or '-'} {screen.mark('then')} {one_line(after) or '-'}"
    if left.policies_text != right.policies_text:
        yield f"policies: {one_line(left.policies_text)} {screen.mark('then')} {one_line(right.policies_text)}"
    before, after = (plain(one.value) for one in (left, right))
    if before is None or after is None:
        yield f"value: {left.placeholder} {screen.mark('then')} {right.placeholder}"
        return
    if before == after:
        yield "value: the same"
        return
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3))[2:]
    for line in lines:
        style = {"+": "add", "-": "remove"}.get(line[:1], "dim")
        if not line.startswith("@@"):
            yield screen.paint(one_line(line), style)


def difference_lines(found: Sequence[Difference], screen: Screen) -> Iterator[str]:
    if not found:
        yield "No differences."
    unknown = 0
    for one in found:
        if one.left is None or one.right is None:
            there = one.left or one.right
            assert there is not None
            mark = "remove" if one.right is None else "add"
            yield screen.paint(f"{screen.mark(mark)} {one.name}  {short_value(there)}", mark)
        elif one.differs is None:
            unknown += 1
            yield f"{screen.mark('orphan')} {one.name}  {one.left.placeholder} and {one.right.placeholder} were not compared"
        else:
            yield screen.paint(
                f"{screen.mark('change')} {one.name}  v{one.left.version} {screen.mark('then')} v{one.right.version}",
                "change",
            )
            yield from (f"    {line}" for line in diff_lines(one.left, one.right, screen))
    if unknown:
        yield f"{unknown} secret{'s' * (unknown != 1)} not compared: --decrypt compares them, with a row in the audit"
