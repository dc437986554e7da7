"""Rows of one kind as a table, CSV, JSON lines. What hosts said is in them: nothing here may steer a terminal or a spreadsheet."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from statectl.cli.formats.terminal import Screen, cells, one_line
from statectl.cli.options import to_json_lines

NAMED = 3  # values of one cell
WIDEST = 60  # columns of the terminal for one column of a table
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], screen: Screen, numbers: Sequence[str] = ()) -> str:
    """Columns as wide as they need to be, the last one open to the right. `numbers`: those that are set to the right."""
    texts = [[shown(value) for value in row] for row in rows]
    heads = [name.upper() for name in columns]
    wide = [min(WIDEST, max(cells(text) for text in column)) for column in zip(heads, *texts, strict=True)]
    lines = []
    for place, line in enumerate([heads, *texts]):
        parts = []
        for number, (text, width) in enumerate(zip(line, wide, strict=True)):
            last = number == len(line) - 1
            cut = text if last else screen.fit(text, WIDEST)
            space = " " * max(0, width - cells(cut))
            parts.append(space + cut if columns[number] in numbers else cut if last else cut + space)
        text = "  ".join(parts).rstrip()
        lines.append(screen.paint(text, "bold") if not place else text)
    return "\n".join(lines) + "\n"


def comma_separated(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV with a head. A text that a spreadsheet would take for a formula is put behind a quote."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_harmless(row.get(column)) for column in columns])
    return stream.getvalue()


def json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return to_json_lines(rows)


def shown(value: Any) -> str:
    """One value on one line; '-' for none."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        some = ", ".join(map(shown, value[:NAMED])) or "-"
        return f"{some} and {len(value) - NAMED} more" if len(value) > NAMED else some
    return one_line(str(value))


def _harmless(value: Any) -> Any:
    if isinstance(value, list | tuple):
        value = " ".join(str(shown(one)) for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return "" if value is None else value
    text = one_line(value)
    return f"'{text}" if text.startswith(FORMULA) else text
