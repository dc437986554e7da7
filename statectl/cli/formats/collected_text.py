"""Collected inventory in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from statectl.cli.asking import Answer
from statectl.cli.collecting import Refreshed
from statectl.cli.formats.ages import age
from statectl.cli.formats.rows import shown, table
from statectl.cli.formats.terminal import Screen, cells, one_line
from statectl.collected.changes import Changed
from statectl.store.ids import now
from statectl.targets.ranges import compress

NAMED = 4  # entries of one change that are named


def refreshed_text(found: Mapping[str, Refreshed], screen: Screen) -> str:
    """Hosts with the same outcome together, what could not be read, and one line in the end."""
    if not found:
        return "The inventory has no hosts.\n"
    lines = []
    folded: dict[tuple[str, str, str, str], list[str]] = {}
    for host, one in found.items():
        if one.outcome != "ok":
            folded.setdefault((one.outcome, one_line(one.reason), one.error, one_line(one.hint)), []).append(host)
    for (outcome, reason, code, hint), hosts in sorted(folded.items(), key=lambda item: -len(item[1])):
        style = "warning" if outcome in ("unreachable", "unknown") else "failed"
        coded = f" [{code}]" if code else ""
        lines.append(f"{screen.paint(screen.mark(style), style)} {compress(hosts)}  {outcome}: {reason}{coded}")
        lines += [f"    hint: {hint}"] if hint else []
    missing: dict[tuple[str, str], list[str]] = {}
    for host, one in found.items():
        for name, why in one.missing.items():
            missing.setdefault((one_line(name), one_line(why)), []).append(host)
    for (name, why), hosts in sorted(missing.items()):
        lines.append(f"{screen.paint(screen.mark('warning'), 'warning')} {compress(hosts)}  {name}: {why}")
    done = [one for one in found.values() if one.outcome == "ok"]
    changed = sum(one.changed > 0 for one in done)
    count = f"{len(done)} of {len(found)} hosts" if len(done) < len(found) else _hosts(len(done))
    lines.append(f"{count} collected, {changed} with something new.")
    return "\n".join(lines) + "\n"


def answer_text(answer: Answer, screen: Screen) -> str:
    if not answer.rows:
        return {"hosts": "No host fits.\n", "entries": "No entry fits.\n", "counts": "Nothing to count.\n"}[answer.what]
    at = now()
    columns = [name for name in answer.columns if name in answer.shown] if answer.what == "counts" else answer.shown
    rows = [
        [_aged(row.get(name), at) if name == "collected" else row.get(name) for name in columns] for row in answer.rows
    ]
    text = table(columns, rows, screen, ("count",))
    if answer.what == "counts":
        return text
    ending = (
        f"{len(answer.rows)} {'entry' if len(answer.rows) == 1 else 'entries'} on " if answer.what == "entries" else ""
    )
    return f"{text}\n{ending}{_hosts(len(answer.hosts))}.\n"


def entries_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], screen: Screen) -> str:
    """A table of few entries with few attributes would do; this one holds for any: one block an entry when it would not fit."""
    if not rows:
        return "There are none.\n"
    used = [name for name in columns if any(row.get(name) not in (None, "") for row in rows)]
    text = table(used, [[row.get(name) for name in used] for row in rows], screen)
    if max(map(cells, text.splitlines())) <= screen.width:
        return text
    wide = max(map(len, used))
    blocks = [
        "".join(f"{one_line(name):{wide}}  {shown(row[name])}\n" for name in used if row.get(name) not in (None, ""))
        for row in rows
    ]
    return "\n".join(blocks)


def _aged(value: Any, at: str) -> str:
    return f"{age(str(value), at)} ago" if value else "never"


def _hosts(count: int) -> str:
    return f"{count} host{'s' * (count != 1)}"


def history_text(found: Sequence[Changed], screen: Screen) -> str:
    if not found:
        return "Nothing changed.\n"
    lines = []
    wide = max(len(one.type) for one in found)
    for one in found:
        if one.first and not one.count:
            continue  # there is nothing of that kind, and there was nothing
        what = f"first collected: {one.count}" if one.first else _counts(one, screen)
        lines.append(f"{one.at}  {one_line(one.type):{wide}}  {what}")
    return "\n".join(lines) + "\n"


def _counts(one: Changed, screen: Screen) -> str:
    words = []
    for mark, names in (("add", one.added), ("change", one.changed), ("remove", one.removed)):
        if names:
            some = [_step(one, name, screen) for name in list(names)[:NAMED]]
            more = f" {screen.mark('more')} {len(names) - NAMED} more" if len(names) > NAMED else ""
            words.append(f"{screen.mark(mark)}{len(names)} {', '.join(some)}{more}")
    return "  ".join(words)


def _step(one: Changed, name: str, screen: Screen) -> str:
    """The name, and from where to where when one thing alone says all: a version, a state."""
    text = one_line(name)
    telling = [pair for key, pair in one.changed.get(name, {}).items() if key in ("Version", "Status", "Running")]
    return f"{text} {shown(telling[0][0])} {screen.mark('then')} {shown(telling[0][1])}" if telling else text


def history_document(one: Changed) -> dict[str, Any]:
    changed = {name: {key: list(pair) for key, pair in pairs.items()} for name, pairs in one.changed.items()}
    return {
        "at": one.at, "type": one.type, "first": one.first, "entries": one.count, "added": one.added,
        "removed": one.removed, "changed": changed,
    }  # fmt: skip


def diff_text(found: Mapping[str, Sequence[tuple[str, str, str, Any, Any]]], screen: Screen) -> str:
    if not found:
        return "No difference.\n"
    lines = []
    for kind, changes in found.items():
        lines.append(screen.paint(one_line(kind), "bold"))
        for mark, name, attribute, before, after in changes:
            head = screen.paint(f"  {screen.mark(mark)} {one_line(name)}", mark)
            if attribute:
                lines.append(f"{head}  {one_line(attribute)}: {shown(before)} {screen.mark('then')} {shown(after)}")
            else:
                whole = after if mark == "add" else before
                words = ", ".join(f"{key}={shown(value)}" for key, value in _few(whole))
                lines.append(f"{head}  {words}".rstrip())
    return "\n".join(lines) + "\n"


def _few(entry: Any) -> list[tuple[str, Any]]:
    """The attributes of a whole entry that say most, on one line."""
    if not isinstance(entry, Mapping):
        return []
    named = [
        (one_line(str(key)), value)
        for key, value in entry.items()
        if key not in ("Name", "Summary", "URL", "Publisher", "Path")
    ]
    return named[:4]
