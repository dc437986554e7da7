"""Nothing that a hostile host can say over the channel is believed, costs much, or looks like success (T04)."""

import asyncio
import json
import tracemalloc

import pytest

from statectl.errors import Unreachable
from statectl.onhost import protocol
from statectl.transport import session
from statectl.transport.bundle import Bundle
from statectl.transport.channel import Endpoint

BUNDLE = Bundle(b"zip", "0" * 64, "")
READY = {"type": "ready", "facts": {}, "probes": {}, "memory": {}}
VERDICT = {"type": "verdict", "address": "file:/etc/motd", "verdict": "ok", "action": "none"}


def conversation(*messages, outcome="planned", digest=None):
    """Frames of an executor that says these messages and then a matching `end`."""
    running = protocol.Digest()
    data = b""
    for message in messages:
        frame = protocol.encode(message)
        running.add(frame[protocol.HEADER.size :])
        data += frame
    return data + protocol.encode({"type": "end", "outcome": outcome, "digest": digest or running.value()})


def raw(payload, kind=b"J"):
    return protocol.HEADER.pack(kind, len(payload)) + payload


class Scripted:
    """A host that answers every start with the same bytes, in pieces of `piece`."""

    def __init__(self, answer, piece=65536):
        self.answer = answer
        self.piece = piece
        self.closed = False
        self.left = b""

    async def open(self, endpoint, argv, *, deadline_s):
        del endpoint, deadline_s
        nonce = argv[argv.index(BUNDLE.sha256) - 1]
        self.left = f"noise\nstatectl:{nonce}:have\n".encode() + self.answer
        return self

    async def send(self, data):
        await asyncio.sleep(0)

    async def receive(self, limit=65536):
        await asyncio.sleep(0)
        size = min(limit, self.piece)
        data, self.left = self.left[:size], self.left[size:]
        return data

    def diagnostics(self):
        return ""

    async def send_eof(self):
        return

    async def close(self):
        self.closed = True

    release = close
    kept = False


def listen(answer, piece=65536):
    """Everything the host says until `end` -> list of messages."""

    async def run():
        host = Scripted(answer, piece)
        started = await session.start(host, Endpoint("web01", "192.0.2.1"), BUNDLE, {"type": "order"})
        said = []
        try:
            while not said or said[-1]["type"] != "end":
                said.append(await started.receive())
        except Unreachable:
            assert host.closed or not host.left  # the channel is let go at the first lie
            raise
        return said

    return asyncio.run(run())


@pytest.mark.parametrize("piece", [1, 7, 65536])
def test_an_honest_one_is_heard_in_any_pieces(piece):
    """Where the network cuts the stream does not matter."""
    said = listen(conversation(READY, VERDICT, {"type": "planned", "counts": {"ok": 1}}), piece)
    assert [message["type"] for message in said] == ["ready", "verdict", "planned", "end"]


def deep(depth):
    return b'{"type":"ready","probes":{},"memory":{},"facts":{"a":' + b"[" * depth + b"]" * depth + b"}}"


HOSTILE = {
    "text instead of frames": b"Welcome to Ubuntu 22.04 LTS\n" * 100,
    "unknown kind of frame": raw(b"{}", b"X"),
    "frame over its limit": protocol.HEADER.pack(b"J", 2**31) + b"x" * 1000,
    "blob nobody asked for": raw(b"bytes", b"B"),
    "not JSON": raw(b"\xff\xfe"),
    "not an object": raw(b"[1, 2]"),
    "no type": raw(b"{}"),
    "type is no text": raw(b'{"type": ["end"]}'),
    "nested 10^6 deep": raw(deep(1_000_000)),
    "nested 41 deep": raw(deep(41)),
    "NaN": raw(b'{"type":"ready","facts":{"a":NaN},"probes":{},"memory":{}}'),
    "Infinity": raw(b'{"type":"ready","facts":{"a":Infinity},"probes":{},"memory":{}}'),
    "huge number": raw(b'{"type":"ready","facts":{"a":' + b"9" * 100_000 + b'},"probes":{},"memory":{}}'),
    "key twice": raw(b'{"type":"ready","type":"end"}'),
    "many small values": raw(b'{"type":"ready","probes":{},"memory":{},"facts":{"a":[' + b"[]," * 1_000_000 + b"[]]}}"),
    "unknown message": raw(b'{"type":"please_render","text":"{{ 7*7 }}"}'),
    "message of the other direction": raw(b'{"type":"go","yes":true}'),
    "unknown key": conversation({**READY, "become": "root"}),
    "missing key": conversation({"type": "ready", "facts": {}}),
    "wrong type of a key": conversation({**READY, "facts": ["a"]}),
    "result before ready": conversation({"type": "result", "address": "file:/x", "outcome": "ok"}),
    "ready twice": conversation(READY, READY),
    "address that is none": conversation(READY, {**VERDICT, "address": "../../etc/passwd"}),
    "outcome of its own": conversation(READY, {"type": "result", "address": "file:/x", "outcome": "great"}),
    "hash that is a path": conversation(READY, {"type": "need", "blobs": ["../../secret"]}),
    "negative counts": conversation(READY, {"type": "planned", "counts": {"ok": -1}}),
    "boolean for a number": conversation(READY, {"type": "planned", "counts": {"ok": True}}),
    "digest of something else": conversation(READY, digest="0" * 64),
    "dropped message": conversation(READY, VERDICT).replace(protocol.encode(VERDICT), b""),
    "repeated message": conversation(READY, VERDICT).replace(protocol.encode(VERDICT), protocol.encode(VERDICT) * 2),
    "swapped messages": conversation(READY, VERDICT, {**VERDICT, "verdict": "change"}).replace(
        protocol.encode(VERDICT) + protocol.encode({**VERDICT, "verdict": "change"}),
        protocol.encode({**VERDICT, "verdict": "change"}) + protocol.encode(VERDICT),
    ),
    "message after end": conversation(READY) + protocol.encode(VERDICT),
    "half a frame after end": conversation(READY) + b"J\0",
    "two ends": conversation(READY) + conversation(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_stream_is_refused_in_one_line(name):
    """Every one ends as E321 with nothing of the host's own words in the message, and in little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(Unreachable) as caught:
            listen(HOSTILE[name])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == "E321"
    assert "\n" not in caught.value.message
    for words in ("please_render", "passwd", "Welcome", "become", "great"):
        assert words not in caught.value.message
    assert peak < 64 * 1024 * 1024


@pytest.mark.parametrize("cut", [0, 1, 5, 30, -1, -40])
def test_stream_that_stops_is_lost_and_never_done(cut):
    """G1: wherever it is cut, what came is not taken for the whole."""
    whole = conversation(READY, VERDICT)
    with pytest.raises(Unreachable) as caught:
        listen(whole[:cut])
    assert caught.value.code == "E310"


def test_unasked_message_in_time_does_not_grow_without_end():
    """A flood of honest messages is handed on one by one; nothing is collected here."""
    output = {"type": "output", "stream": "out", "data": "A" * 30000}

    class Flood(Scripted):
        sent = 0

        async def receive(self, limit=65536):
            if not self.left and self.sent < 2000:
                self.sent += 1
                self.left = protocol.encode(output)
            return await super().receive(limit)

    async def run():
        started = await session.start(Flood(protocol.encode(READY)), Endpoint("web01", ""), BUNDLE, {"type": "order"})
        for _ in range(2001):
            await started.receive()

    tracemalloc.start()
    try:
        asyncio.run(run())
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_message_that_is_valid_stays_what_it_was():
    """Checking changes nothing but the trust in it."""
    facts = {"os": {"id": "debian", "like": ["a", None, True, 1, 1.5]}}
    ready = listen(conversation({**READY, "facts": facts}))[0]
    assert json.loads(json.dumps(ready["facts"])) == facts
