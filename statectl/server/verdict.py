"""What is said of a slot that has ended: its state, from how its hosts ended, and the reason in one line."""

from collections.abc import Mapping

from statectl.errors import ConfigError, StatectlError

BAD = ("failed", "unknown", "terminated", "stopped", "refused", "skipped", "not contacted")
CUT_SHORT = ("terminated", "stopped", "unknown", "not contacted")
MOST_TOLD = 3  # hosts that a reason names


def verdict_of(hosts: Mapping[str, tuple[str, str]], *, stopped: bool, left: int) -> tuple[str, str]:
    """State and reason of a slot from how its hosts ended; `left`: hosts that were never begun."""
    counts: dict[str, int] = {}
    for outcome, _ in hosts.values():
        counts[outcome] = counts.get(outcome, 0) + 1
    words = [f"{count} {word}" for word, count in sorted(counts.items())] + ([f"{left} not begun"] if left else [])
    bad = [(host, *ended) for host, ended in hosts.items() if ended[0] not in ("ok", "changed")]
    named = [f"{host} {outcome}" + (f" ({reason})" if reason else "") for host, outcome, reason in bad[:MOST_TOLD]]
    more = f" and {len(bad) - MOST_TOLD} more" if len(bad) > MOST_TOLD else ""
    reason = ", ".join(words) + (f": {', '.join(named)}{more}" if named else "")
    if stopped and (left or not hosts or any(outcome in CUT_SHORT for outcome in counts)):
        return "interrupted", reason or "stopped before it began"
    return ("failed" if any(outcome in BAD for outcome in counts) else "done"), reason


def first_of(error: StatectlError) -> str:
    """One line: the first mistake with its place."""
    if isinstance(error, ConfigError) and error.problems:
        errors = [problem for problem in error.problems if not problem.is_warning] or list(error.problems)
        first = errors[0]
        place = f"{first.span}: " if first.span else ""
        return f"{place}{first.summary} [{first.code}]" + (f" (and {len(errors) - 1} more)" if errors[1:] else "")
    return error.message + (f" [{error.code}]" if error.code else "")
