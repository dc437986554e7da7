"""One conversation with one executor: start it, then messages both ways until its `end`.

`start` answers once the executor runs; the order went out before that, so a login, an `exec` and one answer are all
the waiting there is (and, once per host and version, the executor itself). Everything that comes back is bounded, checked
and Untrusted. A channel that ends before a matching `end` message is never a success.
"""

import asyncio
import contextlib
import io
import re
import secrets
import struct
import time
import unicodedata
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from statectl.errors import StatectlError, Unreachable
from statectl.onhost import protocol
from statectl.onhost.protocol import ProtocolError
from statectl.transport import messages, sudo
from statectl.transport.bundle import Bundle
from statectl.transport.channel import Channel, Endpoint, Transport

CONTACT_S = 10.0  # name look-up to login
START_S = 20.0  # from login to the executor's first word
PATIENCE_S = 12.0  # of those: how long a first interpreter may stay silent before the others are tried one by one
MAX_NOISE = 2 * 1024 * 1024  # bytes that a login shell may print before the executor speaks
NOISE_TAIL = 4096
STALL_S = 30.0  # in the middle of a message: an executor writes each in one go
PARTING_S = 2.0  # from our last word to the executor's exit
LOOK_S = 0.03  # how often stderr is looked at for sudo's prompt
SKEW_NOISE_S = 5  # seconds between two clocks that tell nothing: the message was on its way for a while
READS = (
    "plan",
    "apply",
    "drift",
    "facts",
    "health",
    "ping",
    "inventory",
)  # orders that change nothing but what they say
UNCHANGED = ("ok", "skipped")
CHUNK = 256 * 1024  # bytes of one blob frame


class ExecutorSession:
    """A started executor. Made by `start`; not for two tasks to receive from at once."""

    def __init__(self, channel: Channel, first: bytes) -> None:
        self._channel = channel
        self._decoder = protocol.Decoder()
        self._waiting: deque[bytes] = deque()
        self._digest = protocol.Digest()
        self._began = False
        self._ended = False
        self._first = first
        self._changed = False  # something on the host is not as before
        self.keeps_login = False  # is its order of a kind behind which the login is as it was?
        self.sent = False  # the executor had to be sent: the host's cache did not have it
        self.careful = False  # the first interpreter did not answer: candidates were tried one by one
        self.noise = 0  # bytes that a login shell printed before the executor spoke

    async def send(self, message: Mapping[str, Any]) -> None:
        """Raises Unreachable when the channel is gone."""
        # nothing secret stands in a catalogue: how well a message packs would tell about it
        encode = protocol.encode_packed if message["type"] == "catalogue" else protocol.encode
        await self._channel.send(encode(message))

    async def send_blob(self, sha256: str, source: bytes | Path) -> None:
        """Announce and deliver content. The host checks it against its hash; a file that shrinks meanwhile is an error here."""
        stream = io.BytesIO(source) if isinstance(source, bytes) else await asyncio.to_thread(source.open, "rb")
        with stream:
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            await self.send({"type": "blob", "sha256": sha256, "size": size})
            left = size
            while left and (chunk := stream.read(min(CHUNK, left))):
                left -= len(chunk)
                await self._channel.send(protocol.encode_blob(chunk))
        if left:
            await self.close()
            name = f" of {source}" if isinstance(source, Path) else ""
            raise StatectlError(f"the content{name} became shorter while it was sent", code="E324")

    async def receive(self) -> dict[str, Any]:
        """The next message. Raises Unreachable when the channel ends before `end`, or says what is not in the protocol."""
        if self._ended:
            raise Unreachable("the executor has said all it had to say", code="E310")
        try:
            while not self._waiting:
                data = self._first or await self._more()
                self._first = b""
                if not data:
                    raise Unreachable(
                        "channel lost: it ended before the executor's last word" + self._last_words(), code="E310"
                    )
                for kind, payload in self._decoder.feed(data):
                    if kind != protocol.JSON_FRAME:
                        raise ProtocolError("a frame of bytes came, and none was due")
                    self._waiting.append(payload)
            return self._checked(self._waiting.popleft())
        except ProtocolError as error:
            await self.close()
            raise Unreachable(
                f"the host's answer is not in the protocol: {printable(str(error))[:200]}", code="E321"
            ) from None

    async def _more(self) -> bytes:
        """The next bytes. Between messages it is others who say how long the host may take."""
        try:
            async with asyncio.timeout(STALL_S if self._decoder.pending() else None):
                return await self._channel.receive()
        except TimeoutError:
            if not self._decoder.pending():
                raise
            raise Unreachable(
                f"channel lost: silent for {STALL_S:g} s in the middle of a message", code="E310"
            ) from None

    def _checked(self, payload: bytes) -> dict[str, Any]:
        message = messages.parse(payload)
        kind = message["type"]
        if kind == "end":
            if message["digest"] != self._digest.value():
                raise ProtocolError("the digest of its last word does not match what it said before")
            if self._waiting or self._decoder.pending():
                raise ProtocolError("something came after its last word")
            self._ended = True
        elif kind == "ready":
            if self._began:
                raise ProtocolError("ready came twice")
            self._began = True
            _add_skew(message["facts"])
        elif not self._began and kind not in ("log", "waiting"):
            raise ProtocolError(f"{kind} came before ready")
        self._digest.add(payload)
        if kind in ("result", "notified") and message["outcome"] not in UNCHANGED:
            self._changed = True
        return message

    def _last_words(self) -> str:
        said = last_line(self._channel.diagnostics())
        return f" (stderr: {said})" if said else ""

    async def close(self) -> None:
        if not self._ended:
            await self._channel.close()
            return
        await self._part()
        # who was changed is visited by a new login next: what it was let in as may be another by now
        if self.keeps_login and not self._changed:
            await self._channel.release()
        else:
            await self._channel.close()

    async def _part(self) -> None:
        """Until the executor has read our last word and is gone: an ack still under way would be lost with the connection."""
        with contextlib.suppress(TimeoutError, Unreachable):
            async with asyncio.timeout(PARTING_S):
                await self._channel.send_eof()
                while await self._channel.receive():
                    continue


async def start(
    transport: Transport,
    endpoint: Endpoint,
    bundle: Bundle,
    order: Mapping[str, Any],
    *,
    contact_s: float = CONTACT_S,
    start_s: float = START_S,
) -> ExecutorSession:
    """Log in, start the executor, give it its order.

    Raises Unreachable: no answer, no Python (E320), no start in time (E322), sudo (E330 to E335), or a host that prints too much.
    """
    try:
        return await _start(transport, endpoint, bundle, order, contact_s=contact_s, start_s=start_s)
    except _Worn:  # what a login that stood open has come to is nothing to tell: a new one shows how the host is
        new = replace(endpoint, new_login=True)
        return await _start(transport, new, bundle, order, contact_s=contact_s, start_s=start_s)


async def _start(
    transport: Transport,
    endpoint: Endpoint,
    bundle: Bundle,
    order: Mapping[str, Any],
    *,
    contact_s: float,
    start_s: float,
) -> ExecutorSession:
    patience = start_s if endpoint.python or endpoint.become else min(PATIENCE_S, start_s)
    try:
        return await _attempt(transport, endpoint, bundle, order, careful=False, contact_s=contact_s, start_s=patience)
    except _NoAnswer as silence:
        if silence.silent and patience >= start_s:
            raise silence.error from None
        rest = start_s - patience if silence.silent else start_s
    try:
        session = await _attempt(transport, endpoint, bundle, order, careful=True, contact_s=contact_s, start_s=rest)
        session.careful = True
        return session
    except _NoAnswer as silence:
        raise silence.error from None


class _NoAnswer(Exception):
    """Something was started and gave no sign of being an executor. `silent`: it did not even end."""

    def __init__(self, error: StatectlError, *, silent: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.silent = silent


class _Worn(Exception):
    """Nothing started over a login that stood open, and nothing was ordered there that could have begun."""


async def _attempt(
    transport: Transport,
    endpoint: Endpoint,
    bundle: Bundle,
    order: Mapping[str, Any],
    *,
    careful: bool,
    contact_s: float,
    start_s: float,
) -> ExecutorSession:
    nonce = secrets.token_hex(8)
    cache = f"{endpoint.state_dir}/cache" if endpoint.state_dir else ""
    argv = bundle.command(nonce, python=endpoint.python, cache=cache, careful=careful)
    become = sudo.Sudo(endpoint.become, nonce) if endpoint.become and not _is_already(endpoint) else None
    channel = await transport.open(endpoint, become.argv(argv) if become else argv, deadline_s=contact_s)
    starting = _Starting(channel, nonce, become)
    try:
        try:
            async with asyncio.timeout(start_s):
                session = await starting.run(
                    bundle, protocol.encode(order), at_once=not careful and (become is None or not become.asks)
                )
        except TimeoutError:
            raise _NoAnswer(starting.no_start(start_s), silent=True) from None
    except BaseException as error:
        await channel.close()
        lost = isinstance(error, Unreachable) and error.code == "E310"
        if channel.kept and (lost or isinstance(error, _NoAnswer)):
            raise _Worn from error
        raise
    session.keeps_login = order.get("kind") in READS
    return session


def _is_already(endpoint: Endpoint) -> bool:
    return endpoint.become is not None and endpoint.become.user == endpoint.user


class _Starting:
    """From the first byte to the executor's answer."""

    def __init__(self, channel: Channel, nonce: str, become: "sudo.Sudo | None") -> None:
        self._channel = channel
        self._marker = f"statectl:{nonce}:".encode("ascii")
        self._become = become
        self._noise = bytearray()  # the last of it only
        self._seen = 0
        self._before = 0

    async def run(self, bundle: Bundle, order: bytes, *, at_once: bool) -> ExecutorSession:
        """`at_once`: nobody but the executor reads stdin, so the order need not wait for its answer."""
        if at_once:
            with contextlib.suppress(Unreachable):  # what was started may have ended already; what it printed says why
                await self._channel.send(order)
        word, first = await self._answer()
        state, _, detail = word.partition(" ")
        if state == "none":
            raise Unreachable(
                f"no python3 >= 3.6 found ({printable(detail)})",
                code="E320",
                hint="install python3 there, or name an interpreter with python: in the inventory",
            )
        if state not in ("have", "need") or detail not in ("", "tty"):
            raise Unreachable("the host's answer is not in the protocol: unknown first word", code="E321")
        if detail == "tty" or not at_once:
            await self._channel.send(order)
        if state == "need":
            packed = await asyncio.to_thread(bundle.packed)
            await self._channel.send(struct.pack(">cI", b"Z", len(packed)) + packed)
        session = ExecutorSession(self._channel, first)
        session.sent, session.noise = state == "need", self._before
        return session

    async def _answer(self) -> tuple[str, bytes]:
        """-> (the words after the marker, the bytes that follow that line)."""
        held = b""
        while True:
            data = await self._next()
            if not data:
                raise self._ended()
            self._seen += len(data)
            held += data
            at = held.find(self._marker)
            if at >= 0:
                self._before = self._seen - len(held) + at
                line, newline, rest = held[at + len(self._marker) :].partition(b"\n")
                if newline:
                    return line.rstrip(b"\r").decode("ascii", "replace"), rest
                if len(line) > NOISE_TAIL:
                    raise Unreachable("the host's answer is not in the protocol: first line too long", code="E321")
            else:
                self._noise += held
                del self._noise[:-NOISE_TAIL]
                held = held[-len(self._marker) :]
            if self._seen > MAX_NOISE:
                raise Unreachable(
                    f"the host's shell printed more than {MAX_NOISE // 1048576} MiB before the executor started",
                    code="E323",
                    hint="a login script of that user prints without end; it should print nothing when no terminal is there",
                )

    async def _next(self) -> bytes:
        """Bytes of stdout; meanwhile sudo's prompt is answered, once."""
        if self._become is None:
            return await self._channel.receive()
        reading = asyncio.ensure_future(self._channel.receive())
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=LOOK_S)
                answer = self._become.answer(self._channel.diagnostics())
                if answer:
                    await self._channel.send(answer)
            return reading.result()
        finally:
            reading.cancel()

    def _ended(self) -> Exception:
        """The channel ended before the marker: why?"""
        said = self._channel.diagnostics()
        if self._become is not None:
            refused = self._become.refusal(said)
            if refused is not None:
                return refused
        shown = last_line(said) or last_line(bytes(self._noise).decode("utf-8", "replace"))
        error = Unreachable(
            "the executor did not start: "
            + (f"the host said: {shown}" if shown else "its shell ended and said nothing"),
            code="E322",
            hint="try: ssh HOST python3 --version",
        )
        return _NoAnswer(error, silent=False)

    def no_start(self, limit_s: float) -> StatectlError:
        said = self._channel.diagnostics()
        if self._become is not None:
            waiting = self._become.silence(said, limit_s)
            if waiting is not None:
                return waiting
        shown = last_line(said)
        return Unreachable(
            f"executor did not start in {limit_s:g} s" + (f" (stderr: {shown})" if shown else ""), code="E322"
        )


def _add_skew(facts: dict[str, Any]) -> None:
    """facts.time.skew_s: by how many seconds the host's clock is ahead of ours; 0 when it is as good as right. Nothing is decided by it."""
    told = facts.get("time")
    if isinstance(told, dict) and type(told.get("epoch")) is int:
        skew = told["epoch"] - int(time.time())
        told["skew_s"] = skew if abs(skew) > SKEW_NOISE_S else 0


def last_line(text: str) -> str:
    """The last line of what a host printed that says anything, safe to show."""
    lines = [line for line in (printable(line).strip() for line in text.splitlines()) if line]
    return lines[-1][:300] if lines else ""


_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")


def printable(text: str) -> str:
    """Host text without terminal sequences, control and direction characters."""
    return "".join(character for character in _ESCAPES.sub("", text) if unicodedata.category(character)[0] != "C")


__all__: Sequence[str] = ("ExecutorSession", "start")
