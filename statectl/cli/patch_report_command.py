"""statectl patch report: how hosts stand by their baselines, patch by patch, from stored results. Contacts nothing."""

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.options import inventory_option, output_options, outputs, to_json, to_json_lines
from statectl.errors import UsageError

if TYPE_CHECKING:
    from statectl.cli.formats.terminal import Screen
    from statectl.patches.report import PatchReport

FORMATS = (
    "text", "wide", "json", "jsonl", "yaml", "csv", "name", "md", "junit", "sarif", "gitlab", "github", "html",
)  # fmt: skip


@click.command()
@click.option("-t", "--target", metavar="EXPR", default=None, help="Only these hosts: web01, group:web and env=prod.")
@click.option("--baseline", metavar="NAME", default="", help="Only this baseline.")
@click.option(
    "--as-of", metavar="TIME", default="", help="How it stood then: 2026-11-01, 2026-11-01T18:00:00Z, or 7d for so long ago."
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Also the patches that are as they should be.")
@click.option("--allow-empty", is_flag=True, help="A target that matches no host is not an error.")
@inventory_option
@output_options(FORMATS)
@click.pass_obj
def command(
    obj: dict[str, Any],
    /,
    target: str | None,
    baseline: str,
    as_of: str,
    everything: bool,
    allow_empty: bool,
    inventory: str | None,
    out: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Say which patches are missing where, how severe they are, and for how long they are known.

    html is one page for a browser or a printer; csv has one row for every patch and host, for auditors.
    """
    from statectl.cli.collected_commands import moment_option
    from statectl.cli.fleet import Opened
    from statectl.cli.patch_standings import patch_standings
    from statectl.patches.report import report

    shown = outputs(out, FORMATS, as_json=as_json, quiet=quiet, verbose=verbose, color=color)
    now = dt.datetime.now(dt.UTC)
    at = dt.datetime.fromisoformat(moment_option(as_of, "--as-of")) if as_of else now
    if at > now:
        raise UsageError(f"--as-of {as_of} is not over yet")
    opened = Opened.of(obj, inventory)
    try:
        hosts = opened.matching("all" if target is None else target, allow_empty=allow_empty or target is None)
        found, rows = patch_standings(opened, hosts, at, baseline=baseline, past=bool(as_of))
        if baseline and not found and baseline not in opened.project.patch_baselines:
            raise _no_baseline(baseline, opened.project.patch_baselines)
        until = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        installed = everything or any(one.counts.get("installed_pending_reboot") for one in found)
        moves = opened.records().patch_history.moves(until=until) if installed else []
        made = report(
            found, at, project=opened.project.settings.project, everything=rows if everything else None, installed=moves
        )
    finally:
        opened.close()
    shown.write(documents(made, shown.screen))
    return 3 if any(entry.status == "unknown" for entry in made.entries) else 0


def _no_baseline(name: str, there: Any) -> UsageError:
    from statectl.cli.formats.terminal import one_line
    from statectl.problems import did_you_mean

    hint = did_you_mean(name, there) or "statectl patch baseline list shows what there is"
    return UsageError(f"no patch baseline {one_line(name)!r}", hint=hint)


def documents(made: "PatchReport", screen: "Screen") -> dict[str, Callable[[], str]]:
    """{format: function giving its text}."""
    from statectl.cli.formats import patch_report_findings as findings
    from statectl.targets.ranges import compress

    def text() -> str:
        from statectl.cli.formats.patch_report_text import report_text

        return report_text(made, screen, compress)

    def wide() -> str:
        from statectl.cli.formats.patch_report_text import report_wide

        return report_wide(made, screen)

    def page() -> str:
        from statectl.cli.formats.patch_report_html import report_html

        return report_html(made, compress)

    def yaml() -> str:
        import yaml

        return yaml.safe_dump(made.model_dump(mode="json"), sort_keys=False, allow_unicode=False, width=120)

    def csv() -> str:
        from statectl.cli.formats.rows import comma_separated
        from statectl.patches.report import COLUMNS, csv_rows

        return comma_separated(COLUMNS, csv_rows(made))

    def names() -> str:
        wrong = [entry.host for entry in made.entries if entry.status not in ("compliant", "exempt")]
        return "".join(f"{host}\n" for host in dict.fromkeys(wrong))

    def lines() -> str:
        document = made.model_dump(mode="json")
        entries = [{"type": "host", **entry} for entry in document.pop("entries")]
        return to_json_lines([*entries, {"type": "report", **document}])

    return {
        "text": text,
        "wide": wide,
        "json": lambda: to_json(made.model_dump(mode="json")),
        "jsonl": lines,
        "yaml": yaml,
        "csv": csv,
        "name": names,
        "md": lambda: findings.markdown(made, compress),
        "junit": lambda: findings.junit(made),
        "sarif": lambda: findings.sarif(made, compress),
        "gitlab": lambda: findings.gitlab(made, compress),
        "github": lambda: findings.github(made, compress),
        "html": page,
    }
