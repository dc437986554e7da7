"""Counts the rows of bad input that are answered. A test's id begins with its row (`B001 twice in one map`); a row is
answered only when every variant of it is."""

import re

ROW = re.compile(r"tests/bad_input/.*\[(B\d{3})\b")


def pytest_terminal_summary(terminalreporter):
    rows: dict[str, bool] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            match = ROW.search(getattr(report, "nodeid", ""))
            if match is not None and (outcome != "passed" or report.when == "call"):
                rows[match[1]] = rows.get(match[1], True) and outcome == "passed"
    if rows:
        answered = sum(rows.values())
        missing = " ".join(row for row, good in sorted(rows.items()) if not good)
        terminalreporter.write_line(
            f"bad input: answered {answered}/{len(rows)}" + (f", not {missing}" if missing else "")
        )
