"""Fixtures of tests on real hosts. Where no lab can be had, every test here skips and says what is missing."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests.lab`, however pytest was started

from tests.lab import HostPool, Lab, LabHost, missing_requirements
from tests.lab.looking import look
from tests.lab.project import LabProject

HERE = Path(__file__).parent
MISSING = missing_requirements()


def pytest_itemcollected(item: pytest.Item) -> None:
    if HERE not in item.path.parents:
        return
    item.add_marker(pytest.mark.lab)
    if MISSING:
        item.add_marker(pytest.mark.skip(reason=f"NO LAB: {MISSING}"))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture(scope="session")
def host_pool(lab: Lab) -> HostPool:
    """For fixtures of a wider scope than one test: `take` and `give_back`."""
    return HostPool(lab)


@pytest.fixture
def lab_hosts(host_pool: HostPool) -> Iterator[Callable[..., list[LabHost]]]:
    """`lab_hosts(2, "trixie")`: hosts as new, for this test alone."""
    taken: list[LabHost] = []

    def take(count: int = 1, suite: str = "bookworm") -> list[LabHost]:
        hosts = host_pool.take(count, suite)
        taken.extend(hosts)
        return hosts

    yield take
    host_pool.give_back(taken)


@pytest.fixture
def lab_host(lab_hosts: Callable[..., list[LabHost]]) -> LabHost:
    """One bookworm host as new."""
    return lab_hosts(1)[0]


@pytest.fixture
def inspect() -> Callable[[LabHost], object]:
    """`inspect(host).file("/etc/motd").mode`: testinfra on a lab host."""
    return look


@pytest.fixture
def project_for(tmp_path: Path) -> Callable[..., LabProject]:
    """`project_for(hosts)`: an empty project whose inventory is these hosts."""

    def make(hosts: list[LabHost], **options: str) -> LabProject:
        return LabProject(tmp_path, hosts, **options)

    return make
