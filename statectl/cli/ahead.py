"""What a command that renders starts before anything else: on a second core it comes up while the files are read."""

from typing import Any

import click


def start_rendering(obj: dict[str, Any]) -> None:
    """Start the process that renders, for whoever renders first in this command; it ends with the command."""
    from statectl.catalogue.child_process import ChildProcess

    child = ChildProcess()
    click.get_current_context().call_on_close(child.close)
    obj["child"] = child
