"""Options that `patch scan`, `patch install` and `rollback` share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def patch_options(function: F) -> F:
    for option in (
        click.option(
            "--snapshot",
            metavar="ID",
            default=None,
            help="Approve as of the moment of this snapshot, which the first use of an ID makes: the same versions on every host and night.",
        ),
        click.option(
            "--baseline",
            metavar="NAME",
            default=None,
            help="Judge by this baseline, in place of the ones that concern the hosts.",
        ),
    ):
        function = option(function)
    return function


def moving_options(function: F) -> F:
    """Of what moves packages: how fast, when to stop, and what is shown."""
    for option in (
        click.option("--by-host", is_flag=True, help="Do not fold hosts with the same changes."),
        click.option("--full", is_flag=True, help="Show whole lists."),
        click.option(
            "--unreachable",
            type=click.Choice(["skip", "error"]),
            default="skip",
            show_default=True,
            help="Whether an unreachable host counts as an error.",
        ),
        click.option(
            "--max-errors",
            metavar="N|N%",
            default=None,
            help="Start nothing new once there are more errors. Without it 100%.",
        ),
        click.option(
            "--batch", metavar="N|N%,...", default=None, help="Waves that follow each other, such as 1,10%,100%."
        ),
        click.option(
            "--reboot",
            type=click.Choice(["never", "if_needed", "always"]),
            default=None,
            help="In place of what baselines say.",
        ),
    ):
        function = option(function)
    return function
