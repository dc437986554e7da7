"""A failure may take its time to be located: to look at variables renders them."""

import io
import signal
import time

import pytest

from statectl.catalogue.child import environment
from statectl.catalogue.child.serve import Child


@pytest.fixture
def child():
    before = signal.getsignal(signal.SIGPROF)
    one = Child(io.BytesIO(), io.BytesIO(), 0.05)
    one._define(
        {
            "sources": [[1, "value", "{{ 1 // 0 }}", ""], [2, "value", "{{ 6 * 7 }}", ""]],
            "hosts": [[1, {"name": "web1"}, None]],
            "scopes": [[1, 1, {}, {}]],
        }
    )
    yield one
    signal.signal(signal.SIGPROF, before)


def test_a_failure_whose_place_takes_too_long_is_too_slow(child, monkeypatch):
    """Time that is over while a failure is being located is told of that expression; the next one is rendered."""
    located = environment.locate

    def busy(*failure):
        until = time.process_time() + 5
        while time.process_time() < until:
            pass
        return located(*failure)

    monkeypatch.setattr(environment, "locate", busy)
    (status, report), good = child._job(["value", 1, [1, 2], {}])
    assert status == "error" and report["slow"] and "took more than 0.05 s" in report["summary"]
    assert good == ["ok", 42]
