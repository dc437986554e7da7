"""What no tool of this kind can be faster than: bare connections that start a Python, and a shell script that looks at nothing."""

import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.tools import PEERS, Tool, plain_environment
from tests.lab import LabHost
from tests.lab.inventory import ssh_config

BARE = Path(__file__).with_name("bare_connections.py")


def connections(place: Path, hosts: Sequence[LabHost]) -> Tool:
    """asyncssh to all hosts at once, which start a Python that does nothing."""
    place.mkdir(parents=True, exist_ok=True)
    addresses = [host.address for host in hosts]
    return Tool(
        "floor",
        f"asyncssh {version('asyncssh')}",
        [*bare(hosts[0].key, hosts[0].known_hosts), "pass", *addresses],
        place,
        plain_environment(place),
        scenarios=("unchanged",),
    )


def bare(key: Path, known_hosts: Path) -> list[str]:
    """The argv of bare connections but for what to do (`pass`, `login`) and where."""
    return [sys.executable, str(BARE), str(key), str(known_hosts)]


def script(place: Path, hosts: Sequence[LabHost]) -> Tool:
    """A shell script over plain ssh, for hosts as new."""
    cwd = place / "script"
    shutil.copytree(PEERS / "script", cwd)
    (cwd / "hosts").write_text("".join(f"{host.name}\n" for host in hosts))
    (cwd / "ssh_config").write_text(ssh_config(hosts))
    return Tool("script", "sh", ["/bin/sh", "everywhere.sh"], cwd, plain_environment(cwd), scenarios=("cold",))
