"""statectl rollback: take back the patches that a run installed, as a plan that says what cannot be taken back."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import host_options, output_options
from statectl.cli.patch_options import moving_options
from statectl.errors import Refused, UsageError

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.patches.rollback import Cached

FORMATS = ("text", "json", "jsonl", "md", "junit")
PIN_DAYS = 30


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("-y", "--yes", is_flag=True, help="Roll back without being asked.")
@click.option("--package", "packages", metavar="NAME", multiple=True, help="Only this package; repeatable.")
@moving_options
@host_options
@output_options(FORMATS)
@click.pass_obj
def command(obj: dict[str, Any], /, run_id: str, packages: tuple[str, ...], **options: Any) -> int:
    """Put the packages that RUN installed back to the versions from before it, where they can be had.

    The hosts of RUN are scanned, and the plan is shown before anything is written; then it is asked for. What was new with RUN stays.
    """
    from statectl.cli.apply_command import apply_to
    from statectl.cli.fleet import Opened
    from statectl.cli.patching import Asked, patch_scope
    from statectl.cli.planning import outputs_of, rate_of
    from statectl.patches.rollback import Rollback
    from statectl.reconcile.patching import INSTALL

    shown = outputs_of(options, FORMATS)
    rate = rate_of(options)
    opened = Opened.of(obj, options["inventory"], options)
    try:
        moves = _moves(opened, run_id, packages)
        hosts = _hosts(opened, run_id, moves, options)
        rollback = Rollback.of(run_id, moves, hosts, kept_file(opened))
        scope = patch_scope(opened, {**options, "target": ", ".join(hosts)}, rolls_back=run_id)
        asked = Asked(INSTALL, reboot=options["reboot"] or "", rollback=rollback)
        before = {one.run for one in _rolled_back(opened, run_id)}
        code = apply_to(opened, scope, None, None, rate, shown, options, patches=asked)
        if shown.on_stdout("text"):
            for operation_run in sorted({one.run for one in _rolled_back(opened, run_id)} - before):
                _tell_pins(opened, operation_run, run_id)
        return code
    finally:
        opened.close()


def _moves(opened: "Opened", run_id: str, packages: Sequence[str]) -> list[dict[str, Any]]:
    """What the run moved. Raises UsageError and Refused."""
    history = opened.records().patch_history
    moves = history.moves(run=run_id) if run_id.isascii() else []
    found = [one for one in moves if one["outcome"] in ("installed", "failed") and one["version_to"]]
    if not found:
        if not run_id.isascii() or opened.records().run_head(run_id) is None:
            raise UsageError(
                f"no run {one_line(run_id)!r} in this store", hint="statectl patch history shows what installed patches"
            )
        raise Refused(
            f"run {run_id} installed no patches; only patches can be rolled back",
            code="E536",
            hint="statectl patch history shows what installed patches; for the rest, go back in git and apply",
        )
    missing = [name for name in packages if all(one["name"] != name for one in found)]
    if missing:
        there = ", ".join(sorted({one_line(one["name"]) for one in found})[:10])
        raise UsageError(f"run {run_id} installed no package {one_line(missing[0])!r}", hint=f"it installed {there}")
    return [one for one in found if not packages or one["name"] in packages]


def _hosts(opened: "Opened", run_id: str, moves: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> list[str]:
    """The hosts of the run that are asked for, in inventory order. Raises Refused when none of them is."""
    chosen = opened.matching(options["target"] or "all", allow_empty=bool(options["allow_empty"]))
    of_run = {str(one["host"]) for one in moves}
    hosts = [host for host in chosen if host in of_run]
    if not hosts:
        gone = sorted(of_run - set(opened.inventory.hosts))
        why = f"{one_line(gone[0])} is no longer in the inventory" if gone else "its hosts are others"
        raise Refused(
            f"run {run_id} installed nothing on the hosts that are asked for: {why}",
            code="E537",
            hint="statectl patch history shows where it did",
        )
    return hosts


def kept_file(opened: "Opened") -> "Cached":
    """(name, architecture, version) -> sha256 of the file in the package cache, '' : none."""
    held = {(one.package, one.arch, one.version): one.sha256 for one in opened.records().patches.files.all()}
    return lambda name, arch, version: held.get((name, arch, version), "")


def _rolled_back(opened: "Opened", run_id: str) -> list[Any]:
    """Installs that took this run back."""
    hosts = {one["host"] for one in opened.records().patch_history.moves(run=run_id)}
    return [
        one
        for host in hosts
        for one in opened.records().patch_history.operations(host=host)
        if one.operation == "install" and one.detail.get("rolls_back") == run_id
    ]


def _tell_pins(opened: "Opened", new_run: str, run_id: str) -> None:
    """On stdout, behind the report: the baseline would install the same again."""
    from statectl.patches.rollback import pins

    until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=PIN_DAYS)).date().isoformat()
    for baseline, text in pins(opened.records().patch_history.moves(run=new_run), run_id, until).items():
        known = opened.project.patch_baselines.get(baseline)
        place = f" ({known.origin})" if known is not None else ", in a baseline of your own with its rules"
        click.echo(
            f"Baseline {one_line(baseline)} will install these again. A pin keeps them away until its day ends; below `{one_line(baseline)}:`{place}:"
        )
        click.echo("".join(f"    {line}\n" for line in text.splitlines()), nl=False)
