"""statectl patch install: install what the baselines approve, now, because somebody typed it."""

from pathlib import Path
from typing import Any

import click

from statectl.cli.options import host_options, output_options
from statectl.cli.patch_options import patch_options

FORMATS = ("text", "json", "jsonl", "md", "junit")


@click.command()
@patch_options
@click.option(
    "--override",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Install what this list names, whatever baselines approve: YAML, patches: [{id: openssl.amd64, title: '3.0.*'}].",
)
@click.option(
    "--reboot",
    type=click.Choice(["never", "if_needed", "always"]),
    default=None,
    help="In place of what baselines say.",
)
@click.option("-y", "--yes", is_flag=True, help="Install without being asked.")
@click.option("--batch", metavar="N|N%,...", default=None, help="Waves that follow each other, such as 1,10%,100%.")
@click.option(
    "--max-errors", metavar="N|N%", default=None, help="Start nothing new once there are more errors. Without it 100%."
)
@click.option(
    "--unreachable",
    type=click.Choice(["skip", "error"]),
    default="skip",
    show_default=True,
    help="Whether an unreachable host counts as an error.",
)
@click.option("--full", is_flag=True, help="Show whole lists.")
@click.option("--by-host", is_flag=True, help="Do not fold hosts with the same changes.")
@host_options
@output_options(FORMATS)
@click.pass_obj
def command(obj: dict[str, Any], /, override: Path | None, **options: Any) -> int:
    """Install approved patches. All hosts are scanned and the whole plan is shown before anything is written; then it is asked for."""
    from statectl.cli.apply_command import apply_to
    from statectl.cli.fleet import Opened
    from statectl.cli.patching import Asked, patch_scope
    from statectl.cli.planning import outputs_of, rate_of
    from statectl.reconcile.patching import INSTALL

    shown = outputs_of(options, FORMATS)
    rate = rate_of(options)
    opened = Opened.of(obj, options["inventory"], options)
    try:
        asked = Asked.of(opened, INSTALL, {**options, "override": override})
        return apply_to(opened, patch_scope(opened, options), None, None, rate, shown, options, patches=asked)
    finally:
        opened.close()
