"""statectl doctor HOST: name, route, TCP, host key, login, sudo, Python, disk; stops at the first that does not work."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import click

from statectl.cli.formats.terminal import one_line, screen
from statectl.cli.options import inventory_option
from statectl.errors import StatectlError, UsageError


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
        for name, text in _network(endpoint) if endpoint.connection == "ssh" else ():
            click.echo(f"{view.mark('ok')} {name:9} {text}")
        asyncio.run(_contact(opened, host, view, 5 if speed else 1))
    except StatectlError as error:
        click.echo(f"{view.mark('failed')} {error.message}" + (f" [{error.code}]" if error.code else ""))
        if error.hint:
            click.echo(f"  next: {error.hint}")
        return error.exit_code
    return 0


def _network(endpoint: Any) -> Iterator[tuple[str, str]]:
    if endpoint.jump:
        yield "jump", " then ".join(endpoint.jump)
        return
    try:
        found = socket.getaddrinfo(endpoint.address, endpoint.port or 22, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        # the SSH configuration may know the name; only the login itself tells
        yield "name", f"{endpoint.address} does not resolve here ({error}); ~/.ssh/config may know it"
        return
    address = found[0][4]
    yield "name", f"{endpoint.address} is {address[0]}"
    with contextlib.closing(socket.socket(found[0][0], socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(address)
            yield "route", f"from {probe.getsockname()[0]}"
        except OSError as error:
            from statectl.errors import Unreachable

            raise Unreachable(
                f"no route to {address[0]}: {error.strerror}", code="E303", hint="check the network of this machine"
            ) from None


async def _contact(opened: Any, host: str, view: Any, times: int) -> None:
    for number in range(times):
        started = time.perf_counter()
        ready = await opened.ask(host, "facts")
        seconds = time.perf_counter() - started
        if number:
            click.echo(f"{view.mark('ok')} again     {seconds * 1000:.0f} ms")
            continue
        facts = ready["facts"]
        python = facts.get("python", {})
        click.echo(f"{view.mark('ok')} login     TCP, host key and login work")
        click.echo(f"{view.mark('ok')} user      uid {ready.get('uid')}")
        click.echo(
            f"{view.mark('ok')} python    {one_line(str(python.get('version', '?')))} {one_line(str(python.get('executable', '')))}"
        )
        system = facts.get("os", {})
        click.echo(
            f"{view.mark('ok')} system    {one_line(str(system.get('name', '?')))} {one_line(str(system.get('version', '')))}"
        )
        lock = ready["memory"].get("lock")
        if lock:
            click.echo(f"{view.mark('waiting')} lock      held: {one_line(str(lock))}")
        undelivered = ready["memory"].get("undelivered") or []
        if undelivered:
            click.echo(
                f"{view.mark('waiting')} results   {len(undelivered)} of earlier runs wait here; the next plan takes them over"
            )
        click.echo(f"{view.mark('ok')} executor  answered in {seconds * 1000:.0f} ms")
