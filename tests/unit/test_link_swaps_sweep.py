"""The sweep over swapped links: a sample of it, and proof that it notices a writer who follows links."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sweeps.link_swaps import Wrong, sweep

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose here")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that another user can get to, which those of pytest are not."""
    made = Path(tempfile.mkdtemp(prefix="statectl-link-swaps-"))
    yield made
    shutil.rmtree(made)


def test_a_sample_of_writes(place):
    """T30: two thousand writes of every kind below a directory that is being swapped, none elsewhere, and many of them done."""
    assert sweep(place, 2000, 1)["written"] > 20


def test_who_follows_links_is_noticed(place):
    """A writer who opens the path as it is given writes into the other directory, and the sweep says so."""

    def careless(_host, _module, want):
        try:
            fd = os.open(
                getattr(want, "path", want.name), os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK
            )  # not to wait at a pipe of the user's
            os.write(fd, b"careless\n")
            os.close(fd)
        except OSError:
            return "failed"
        return "written"

    with pytest.raises(Wrong):
        sweep(place, 20000, 1, careless)
