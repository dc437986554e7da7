"""A plan as a comment for a merge request: summary first, cut in the middle when too long, and saying so.

GitHub refuses comments above 65,536 characters; 60,000 leave room for what a bot adds.
"""

from pathlib import Path

from statectl.cli.formats.apply_text import report_lines
from statectl.cli.formats.plan_text import Compress, plan_lines
from statectl.cli.formats.terminal import Screen
from statectl.plans.plan import Plan
from statectl.reconcile.fleet import Run

LIMIT = 60_000


def plan_markdown(plan: Plan, compress: Compress) -> str:
    """The marker lets a bot find and edit its one comment."""
    screen = Screen(width=100, colour=False, unicode=True)
    lines = list(plan_lines(plan, screen, compress, full=True))
    summary = plan.summary
    counts = (
        summary.add,
        summary.change,
        summary.remove,
        summary.run,
        summary.unknown,
        summary.hosts_changed,
        summary.hosts_right,
        summary.hosts_audited,
        summary.hosts_unreachable,
        summary.hosts_refused,
        summary.hosts_failed,
    )
    head = [
        f"<!-- statectl:plan:{plan.project or 'project'} -->",
        f"### statectl plan {plan.id}",
        "",
        "| add | change | remove | run | unknown | hosts changed | already right | only audited | unreachable | refused | failed |",
        "|" + " --- |" * len(counts),
        "| " + " | ".join(map(str, counts)) + " |",
        "",
    ]
    return _document(head, lines)


def run_markdown(run: Run, compress: Compress, root: Path) -> str:
    """How an apply ended, as a comment."""
    screen = Screen(width=100, colour=False, unicode=True)
    counts: dict[str, int] = {}
    for result in run.results.values():
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    head = [
        f"<!-- statectl:apply:{run.plan.project or 'project'} -->",
        f"### statectl apply, run {run.run_id}: {run.outcome}",
        "",
        "| hosts | " + " | ".join(counts) + " |",
        "| --- |" + " --- |" * len(counts),
        f"| {len(run.results)} | " + " | ".join(map(str, counts.values())) + " |",
        "",
    ]
    if not run.everything:
        return _document([*head[:2], ""], list(plan_lines(run.plan, screen, compress, full=True)))
    return _document(head, list(report_lines(run, screen, compress, root)))


def _document(head: list[str], lines: list[str]) -> str:
    """Head and fenced body, within the limit."""
    body = "\n".join(lines).replace("```", "``\u200b`")  # a fence inside a diff would end ours
    room = LIMIT - sum(len(line) + 1 for line in head) - 40
    if len(body) > room:
        cut = len(body) - room + 100
        middle = room // 2
        body = f"{body[:middle]}\n… {cut} characters left out here; statectl plan --full shows them …\n{body[-(room - middle - 100) :]}"
    return "\n".join([*head, "```diff", body, "```", ""])
