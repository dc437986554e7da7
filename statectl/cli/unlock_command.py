"""statectl unlock: who holds a host, and the proper end of it. The lock of a living process is never broken."""

import asyncio
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import one_line
from statectl.cli.options import confirm, inventory_option, login_options
from statectl.errors import Refused, StatectlError, UsageError

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened

AT_ONCE = 50


@click.command()
@click.argument("what", metavar="RUN|HOST")
@click.option("-y", "--yes", is_flag=True, help="End the run without being asked.")
@click.option("-t", "--target", metavar="EXPR", default=None, help="Where to look for RUN; without it on all hosts.")
@inventory_option
@login_options
@click.pass_obj
def command(obj: dict[str, Any], /, what: str, yes: bool, target: str | None, **options: Any) -> int:
    """Show who holds a host, or where a run holds hosts, and end that run on request: at its next resource border.

    A lock whose process is dead holds nobody up and needs no unlocking. One whose process lives is never broken: a process that was
    stopped by a signal is continued, so that it can end; one that is in the middle of a change is left to finish it.
    """
    from statectl.cli import following
    from statectl.cli.fleet import Opened
    from statectl.reconcile.holder import known_here
    from statectl.store.ids import who
    from statectl.targets.ranges import compress

    opened = Opened.of(obj, options["inventory"], options, states=False)
    try:
        if what in opened.inventory.hosts:
            hosts, run_id = [what], ""
        else:
            hosts, run_id = following.hosts_of(opened, what, target), what
        holders, silent = asyncio.run(_holders(opened, hosts))
        progress = opened.records().under_way.progress
        runs: dict[str, list[str]] = {}
        left: list[str] = []
        for host, holder in holders.items():
            if run_id and holder.get("run") != run_id:
                continue
            click.echo(f"{host}  held by {one_line(_words(holder))}{one_line(known_here(holder, who(), progress))}")
            if holder.get("command") or "run" not in holder:
                left.append(host)  # what a dead holder left behind: it ends by itself
            else:
                runs.setdefault(holder["run"], []).append(host)
        for host, reason in silent.items():
            click.echo(f"{host}  {one_line(reason)}", err=True)
        if not runs and not left:
            if silent:
                raise Refused("nobody can tell: not all hosts answered", code="E501", hint="statectl doctor HOST")
            if run_id and len(hosts) > 1 and opened.records().run(run_id) is None:
                raise UsageError(
                    f"no host and no run {one_line(what)!r}", hint="statectl runs list; statectl inventory list"
                )
            click.echo(f"Nothing holds {compress(hosts) if not run_id else 'a host for run ' + one_line(run_id)}.")
            return 0
        stuck = [f"{host}: its holder is dead, and the command that it left behind has not ended" for host in left]
        for run, held in runs.items():
            if not confirm(
                f"End run {run} on {compress(held)} at its next resource border?", yes=yes, no_input=options["no_input"]
            ):
                raise Refused("nothing was ended", code="E507")
            for host, found in following.cancel_on_hosts(opened, held, run, wake=True).items():
                if found.stopped or not found.living:
                    click.echo(f"{host}  free")
                else:
                    stuck.append(f"{host}: {found.reason}")
        if stuck:
            raise Refused(
                "still held, and never broken: " + "; ".join(stuck),
                code="E501",
                hint="it was asked to end and will; apply with --lock-timeout waits for that",
            )
        return 0
    finally:
        opened.close()


def _words(holder: dict[str, Any]) -> str:
    from statectl.onhost.lock import describe

    return str(describe(holder))


async def _holders(opened: "Opened", hosts: list[str]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """-> ({host: holder}, {host: why it cannot be asked})."""
    from statectl.reconcile.holder import holder_of

    holders: dict[str, dict[str, Any]] = {}
    silent: dict[str, str] = {}
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(host: str) -> None:
        async with room:
            try:
                ready = await opened.ask(host, "facts")
            except StatectlError as error:
                silent[host] = error.message
                return
        holder = holder_of({"holder": ready["memory"].get("lock")})
        if holder is not None:
            holders[host] = holder

    await asyncio.gather(*map(ask, hosts))
    return {host: holders[host] for host in hosts if host in holders}, silent
