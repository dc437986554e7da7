"""statectl parameter: named values in versions, some of them secret."""

import click

from statectl.cli import parameter_in_git, parameter_reading, parameter_using, parameter_writing


@click.group()
def command() -> None:
    """Read and write parameters: values with names, versions and labels; secrets are encrypted."""


for _one in (
    *parameter_reading.COMMANDS,
    *parameter_writing.COMMANDS,
    *parameter_using.COMMANDS,
    *parameter_in_git.COMMANDS,
):
    command.add_command(_one)
