"""What doctor finds on the way to a host, and the bounds of that way."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from statectl.cli.adhoc import SHOWN, _block
from statectl.cli.formats.terminal import Screen
from statectl.cli.way import NEXT, STEP_OF, failed_step, next_step
from statectl.errors import Unreachable
from statectl.targets.names import address_problem, unbracketed
from statectl.transport import session, ssh
from statectl.transport.knock import Address, knock, look_up


@contextmanager
def server(says: bytes | None) -> Iterator[Address]:
    """Accepts one connection; says that, or closes at once (None)."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept() -> None:
        connection, _ = listener.accept()
        if says is None:
            connection.close()
            return
        connection.sendall(says)
        held.append(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    yield Address("127.0.0.1", listener.getsockname()[1], direct=True)
    thread.join()
    for connection in held:
        connection.close()
    listener.close()


def test_knock():
    """A banner is read, a server that only accepts is told from one that refuses, and one that closes from both."""
    with server(b"SSH-2.0-test\r\n") as at:
        assert knock(at, 1)[1] == "SSH-2.0-test"
    with server(b"") as at, pytest.raises(Unreachable, match=r"no SSH banner in 0\.3 s") as silent:
        knock(at, 0.3)
    assert silent.value.code == "E302"
    with server(None) as at:
        assert knock(at, 1)[1] == ""
    with pytest.raises(Unreachable, match="connection refused") as refused:
        knock(at, 1)  # nobody listens there any more
    assert refused.value.code == "E301"


def test_a_name_that_is_none():
    """A name that does not resolve is the first step, and has a next one."""
    with pytest.raises(Unreachable, match="does not resolve") as caught:
        look_up(Address("nowhere.invalid", 22, direct=True))
    assert failed_step(caught.value) == "name"
    assert "address" in next_step(caught.value, "web01")


def test_every_step_that_fails_has_a_next_one():
    """Of every code that doctor places, either the error brings its hint or doctor has one."""
    hinted = {"E304", "E311", "E313", "E320", "E323", "E330", "E333", "E334"}
    assert set(STEP_OF) <= set(NEXT) | hinted


def test_a_lost_link_is_noticed_within_thirty_seconds():
    """asyncssh gives up after one interval more than it counts; a jump host is given up before what is behind it."""
    assert (ssh.KEEPALIVE_COUNT + 1) * ssh.KEEPALIVE_S <= 30
    assert ssh.JUMP_KEEPALIVE_S < ssh.KEEPALIVE_S


def test_skew_is_a_fact():
    """A clock that is a day ahead says so; one that is as good as right says 0; none says nothing."""
    facts = {"time": {"epoch": int(time.time()) + 86400}}
    session._add_skew(facts)
    assert abs(facts["time"]["skew_s"] - 86400) <= 2
    facts = {"time": {"epoch": int(time.time()) - 1}}
    session._add_skew(facts)
    assert facts["time"]["skew_s"] == 0
    for odd in ({}, {"time": None}, {"time": {"epoch": True}}):
        before = repr(odd)
        session._add_skew(odd)
        assert repr(odd) == before


def test_ipv6_in_brackets():
    """[ADDRESS] is an address; a port behind it, a name or an IPv4 address in brackets are not."""
    assert address_problem("[2001:db8::1]") == ""
    assert unbracketed("[2001:db8::1]") == "2001:db8::1"
    for wrong in ("[2001:db8::1]:22", "[web]", "[10.0.0.1]", "[]", "[:]"):
        assert address_problem(wrong), wrong


def test_long_output_is_shown_with_both_ends():
    """What several hosts print is shown whole up to a limit, and beyond it both ends and how much stands between."""
    screen = Screen(unicode=False)
    assert _block(b"", "| ", "", screen) == []
    assert _block(b"one\r\ntwo\n", "| ", "", screen) == ["| one\n| two"]
    first, gap, last = _block(b"first\n" + b"x" * SHOWN + b"\nlast\n", "| ", "", screen)
    assert first.startswith("| first\n| x")
    assert last.endswith("x\n| last")
    assert "12 bytes more" in gap
