"""statectl doctor HOST: name, route, TCP, host key, login, shell, sudo, Python, disk, clock; stops at the first that does not work."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click

from statectl.cli.formats.terminal import Screen, one_line, screen
from statectl.cli.options import inventory_option
from statectl.errors import StatectlError, UsageError

if TYPE_CHECKING:
    from statectl.cli.fleet import Opened
    from statectl.transport.channel import Endpoint


@click.command()
@click.argument("host")
@inventory_option
@click.option("--speed", is_flag=True, help="Time the steps of a contact, five times.")
@click.option("-K", "--ask-become-password", is_flag=True, help="Ask for the sudo password, once.")
@click.option(
    "--become-password-fd",
    metavar="FD",
    type=click.IntRange(0),
    default=None,
    help="Read the sudo password from this file descriptor.",
)
@click.pass_obj
def command(
    obj: dict[str, Any],
    host: str,
    inventory: str | None,
    speed: bool,
    ask_become_password: bool,
    become_password_fd: int | None,
) -> int:
    """Find out why HOST does not answer: each step in turn, and what to do about the first that fails."""
    from statectl.cli.fleet import Opened
    from statectl.cli.options import secret_from
    from statectl.cli.way import failed_step, next_step
    from statectl.reconcile.endpoints import Credentials

    opened = Opened.of(obj, inventory)
    if host not in opened.inventory.hosts:
        from statectl.problems import did_you_mean

        near = did_you_mean(host, opened.inventory.hosts)
        raise UsageError(
            f"no host {one_line(host)!r} in the inventory", hint=near or "statectl inventory list shows them"
        )
    password = secret_from("sudo password", ask=ask_become_password, descriptor=become_password_fd, no_input=False)
    opened.credentials = Credentials(become_password=password)
    endpoint = opened.endpoint(host)
    view = screen()
    try:
        asyncio.run(_walk(opened, host, endpoint, view, 5 if speed else 1))
    except StatectlError as error:
        code = f" [{one_line(error.code)}]" if error.code else ""
        click.echo(f"{view.mark('failed')} {failed_step(error):9} {one_line(error.message)}{code}")
        advice = next_step(error, host)
        if advice:
            click.echo(f"  next: {one_line(advice)}")
        return error.exit_code
    return 0


async def _walk(opened: "Opened", host: str, endpoint: "Endpoint", view: Screen, times: int) -> None:
    from statectl.cli.way import way

    async for step in way(opened, host, endpoint):
        click.echo(f"{view.mark(step.mark)} {step.name:9} {one_line(step.text)}")
        if step.hint:
            click.echo(f"  next: {one_line(step.hint)}")
    for _ in range(times - 1):
        started = time.perf_counter()
        await opened.ask(host, "facts")
        click.echo(f"{view.mark('ok')} again     {(time.perf_counter() - started) * 1000:.0f} ms")
