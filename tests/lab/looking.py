"""testinfra looking into a lab host through its namespaces: 5 ms a command, and it works while sshd is down."""

import subprocess
from typing import Any

import testinfra.host
from testinfra.backend import base

from tests.lab.machine import LabHost


class NamespaceBackend(base.BaseBackend):
    NAME = "lab"

    def __init__(self, host: LabHost) -> None:
        super().__init__(host.name)
        self._lab_host = host

    def run(self, command: str, *args: str, **kwargs: Any) -> base.CommandResult:
        line = self.get_command(command, *args)
        done = subprocess.run(
            [*self._lab_host.enter(), "/bin/sh", "-c", line],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C.UTF-8",
                "HOME": "/root",
            },
        )
        return self.result(done.returncode, line.encode(), done.stdout, done.stderr)


def look(host: LabHost) -> testinfra.host.Host:
    """A testinfra host; new after every reset, for it caches what it found."""
    return testinfra.host.Host(NamespaceBackend(host))
