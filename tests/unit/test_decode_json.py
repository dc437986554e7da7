"""What stands between bytes and a message: compressed ones have a bound, and so has the depth of every one."""

import json
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statectl.onhost import protocol

TEXT = st.text(st.sampled_from('[]{}"\\a\n€'), max_size=12)
VALUE = st.recursive(
    TEXT | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=60,
)


def depth(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(depth, inside), default=0)


def nested(value, layers):
    for _ in range(layers):
        value = [value]
    return value


@given(VALUE, st.integers(0, protocol.MAX_DEPTH + 3), st.lists(TEXT, max_size=3), st.booleans())
@example("x", 0, ["\\", "[" * 99], True)
@example('\\"[', protocol.MAX_DEPTH - 1, ["[" * 99, '"' + "[" * 99, "\\"], True)
def test_depth_is_that_of_the_value(value, layers, texts, ascii_only):
    """What is nested too deep is refused whatever stands in the texts, and nothing else is."""
    message = {"type": "x", "filler": texts, "value": nested(value, layers)}
    # so that brackets are counted at all
    payload = json.dumps({**message, "many": [[]] * 50}, ensure_ascii=ascii_only).encode()
    if depth(message) > protocol.MAX_DEPTH:
        with pytest.raises(protocol.ProtocolError, match="deeper"):
            protocol.decode_json(payload)
    else:
        assert protocol.decode_json(payload)["value"] == message["value"]


def test_a_key_that_comes_twice_is_named():
    """Two readers of one message must not see different values."""
    with pytest.raises(protocol.ProtocolError, match="'a' appears twice"):
        protocol.decode_json(b'{"type":"x","v":{"b":1,"a":1,"a":2}}')


LARGE = {"type": "catalogue", "resources": ["file:/etc/motd"] * 5000}


def frame(kind, payload):
    return protocol.HEADER.pack(kind, len(payload)) + payload


def test_a_large_message_travels_compressed():
    """The first flight of a connection holds some 14 KB, and every flight costs a round trip; a small one is sent as it is."""
    packed = protocol.encode_packed(LARGE)
    assert len(packed) < len(protocol.encode(LARGE)) / 20
    [(kind, payload)] = protocol.Decoder(packed=True).feed(packed)
    assert (kind, protocol.decode_json(payload)) == (protocol.JSON_FRAME, LARGE)
    assert protocol.encode_packed({"type": "go"}) == protocol.encode({"type": "go"})


def test_a_host_may_not_compress():
    """A few bytes of a hostile host must not become many here."""
    with pytest.raises(protocol.ProtocolError, match="unknown frame kind"):
        protocol.Decoder().feed(protocol.encode_packed(LARGE))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (zlib.compress(b" " * (protocol.MAX_JSON + 1)), "over the limit"),
        (zlib.compress(b"{}")[:-2], "damaged"),
        (zlib.compress(b"{}") + b"more", "damaged"),
        (b"no zlib", "damaged"),
    ],
    ids=["too much", "cut", "more behind it", "something else"],
)
def test_what_does_not_unpack_is_refused(payload, why):
    """It takes no more room than a message may, and is whole."""
    with pytest.raises(protocol.ProtocolError, match=why):
        protocol.Decoder(packed=True).feed(frame(protocol.PACKED_FRAME, payload))


def test_a_byte_that_begins_no_frame_is_the_end():
    """A terminal around the executor tells the end of input by ^D, which no frame begins with; what came before it counts."""
    decoder = protocol.Decoder()
    assert [kind for kind, _ in decoder.feed(protocol.encode({"type": "ack"}) + b"\x04")] == [protocol.JSON_FRAME]
    with pytest.raises(protocol.ProtocolError, match="unknown frame kind"):
        decoder.feed(b"")
