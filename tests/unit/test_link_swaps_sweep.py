"""The sweep over swapped links: a sample of it, and proof that it notices a writer who follows links."""

import os

import pytest

from tests.sweeps.link_swaps import Wrong, sweep

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose here")


def test_a_sample_of_writes(tmp_path):
    """T30: two thousand writes of every kind below a directory that is being swapped, none elsewhere, and many of them done."""
    tmp_path.parent.chmod(0o755)
    tmp_path.parent.parent.chmod(0o755)
    assert sweep(tmp_path, 2000, 1)["written"] > 20


def test_who_follows_links_is_noticed(tmp_path):
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

    tmp_path.parent.chmod(0o755)
    tmp_path.parent.parent.chmod(0o755)
    with pytest.raises(Wrong):
        sweep(tmp_path, 20000, 1, careless)
