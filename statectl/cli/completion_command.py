"""statectl completion: the shell's own completion script, made by click."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the completion script for SHELL.

    For bash: statectl completion bash > ~/.local/share/bash-completion/completions/statectl
    """
    found = get_completion_class(shell)
    assert found is not None, "click knows the shells of the choice above"
    complete = found(ctx.find_root().command, {}, "statectl", "_STATECTL_COMPLETE")
    click.echo(complete.source())
    return 0
