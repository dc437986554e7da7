"""A sample of the faults of tests/faults, once each; `make faults` plays all of them three times."""

import pytest

from tests.faults import ROWS, rows  # noqa: F401  importing rows registers them
from tests.faults.play import Stage
from tests.lab import HostPool

# short ones of every family; what a family is about stands at the top of its module
SAMPLE = (
    "N02",
    "N14",
    "N16.tries",
    "E01",
    "E03.text",
    "E05.insults",
    "E09.replaced",
    "C03",
    "C05.two-stores",
    "C12.truncated",
    "C14.restart",
    "D01",
    "D14",
    "P02",
    "P03.postinst",
    "V04",
    "V08.term-run",
    "V11.run",
)


@pytest.fixture(scope="module")
def stage(host_pool: HostPool) -> Stage:
    return Stage(host_pool)


@pytest.mark.parametrize("name", SAMPLE)
def test_fault_is_survived(stage: Stage, name: str) -> None:
    """All six oracles hold, and what the row itself promises."""
    played = stage.play(ROWS[name])
    assert played.survived, played.seen
