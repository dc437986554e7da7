"""statectl patch install: install what the baselines approve, now, because somebody typed it."""

from pathlib import Path
from typing import Any

import click

from statectl.cli.options import host_options, output_options
from statectl.cli.patch_options import moving_options, patch_options

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
@click.option("-y", "--yes", is_flag=True, help="Install without being asked.")
@moving_options
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
