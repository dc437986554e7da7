"""Options that `patch scan` and `patch install` share."""

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
