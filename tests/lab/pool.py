"""Booted hosts that tests take and give back; one that was used is reset before it is taken again (under a second)."""

from collections.abc import Sequence

from tests.lab.lab import Lab
from tests.lab.machine import LabHost


class HostPool:
    """Hosts of one lab by suite. Not for use from several threads."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._free: dict[str, list[LabHost]] = {}
        self._used: set[str] = set()

    def take(self, count: int, suite: str = "bookworm") -> list[LabHost]:
        """As many hosts, each as new. The same ones come back first."""
        free = self._free.setdefault(suite, [])
        hosts, self._free[suite] = free[:count], free[count:]
        self.lab.each(lambda host: host.reset(), [host for host in hosts if host.name in self._used])
        if len(hosts) < count:
            hosts += self.lab.start(count - len(hosts), suite)
        self._used |= {host.name for host in hosts}
        return hosts

    def give_back(self, hosts: Sequence[LabHost]) -> None:
        for host in hosts:
            self._free[host.suite].append(host)
        for free in self._free.values():
            free.sort(key=lambda host: host.index)
