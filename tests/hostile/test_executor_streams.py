"""A zoo of hostile executors behind real logins: the host is not believed, the controller stays small, other hosts get theirs."""

import json
from typing import Any

import pytest

from statectl.onhost import protocol
from tests.hostile.fleets import run, write_fleet
from tests.hostile.servers import READY, Channel, Servers

MIB = 1024 * 1024
VERDICT = {"type": "verdict", "address": "file:/nonexistent/x", "verdict": "change", "action": "add"}
PLANNED = {"type": "planned", "counts": {"change": 1}}


def frame(payload: bytes, kind: bytes = b"J") -> bytes:
    return protocol.HEADER.pack(kind, len(payload)) + payload


def ready(**parts: Any) -> dict[str, Any]:
    return {**READY, **parts}


def facts_of(text: bytes) -> bytes:
    return frame(b'{"type":"ready","probes":{},"memory":{},"facts":{"a":' + text + b"}}")


def kept(**parts: Any) -> dict[str, Any]:
    """A result of an earlier run."""
    return {"run": "EARLIER1", "outcome": "applied", "results": [], "notified": [], **parts}


# what is said instead of `ready`, as it goes over the wire
BYTES: dict[str, bytes] = {
    "text": b"Welcome\n" * 1000,
    "oversized frame": protocol.HEADER.pack(b"J", 2**31) + b"x" * 100_000,
    "frame of another kind": frame(b"{}", b"Z"),
    "blob": frame(b"bytes", b"B"),
    "gzip instead of JSON": frame(b"\x1f\x8b\x08\0" + b"\0" * 60),
    "nested 10^6 deep": facts_of(b"[" * 1_000_000 + b"]" * 1_000_000),
    "NaN": facts_of(b"NaN"),
    "infinity without the word": facts_of(b"1e999"),
    "number of 10^6 digits": facts_of(b"9" * 1_000_000),
    "key twice": frame(b'{"type":"ready","type":"ready","facts":{},"probes":{},"memory":{}}'),
    "UTF-8 that is none": frame(b'{"type":"ready","facts":{"a":"\xff"},"probes":{},"memory":{}}'),
    "unknown type": frame(b'{"type":"exec","argv":["sh"]}'),
    "our own order": frame(b'{"type":"go","yes":true}'),
}
# messages said after the order
TALK: dict[str, list[dict[str, Any]]] = {
    "wrong run id": [{**READY, "run": "ANOTHER1"}],
    "result before ready": [{"type": "result", "address": "file:/x", "outcome": "ok"}],
    "result before go": [READY, {"type": "result", "address": "file:/nonexistent/x", "outcome": "changed"}],
    "ready twice": [READY, READY],
    "output in a plan": [READY, {"type": "output", "stream": "out", "data": "QQ=="}],
    "one address twice": [READY, VERDICT, VERDICT, PLANNED],
    "address that is a path": [READY, {**VERDICT, "address": "../../etc/shadow"}],
    "source of its own": [READY, {**VERDICT, "source": {"file": "/etc/shadow", "line": 1}}],
    "association that is a terminal sequence": [READY, {**VERDICT, "association": "\x1b[31mweb"}],
    "diff that is a number": [READY, {**VERDICT, "changes": [{"field": "content", "diff": 7}]}],
    "field that is a map": [READY, {**VERDICT, "changes": [{"field": {"a": 1}}]}],
    "content of another host": [READY, {"type": "need", "blobs": ["0" * 64]}],
    "hash that is a path": [READY, {"type": "need", "blobs": ["../../../etc/passwd"]}],
    "results that are a number": [ready(memory={"undelivered": 5})],
    "result that is a number": [ready(memory={"undelivered": [1]})],
    "result of a run that is a path": [ready(memory={"undelivered": [kept(run="../../x")]})],
    "result of a run that is a terminal sequence": [ready(memory={"undelivered": [kept(run="\x1b[2J")]})],
    "results with no address": [ready(memory={"undelivered": [kept(results=[{"outcome": "ok"}])]})],
    "counter that is text": [ready(memory={"run_counter": "x"})],
    "counter beyond all numbers": [ready(memory={"run_counter": 10**30})],
    "debts that are numbers": [ready(memory={"debts": [1, 2]})],
    "probes that are numbers": [ready(probes={"p": 5})],
}


async def linger(channel: Channel) -> None:
    await channel.rest()


def speaks(data: bytes):
    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.raw(data)
        await linger(channel)

    return talk


def says(messages: list[dict[str, Any]], *, ends: bool = True):
    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.say(*messages)
        if ends:
            await channel.end()
        await linger(channel)

    return talk


async def after_end(channel: Channel) -> None:
    await channel.start()
    await channel.say(READY)
    await channel.end()
    await channel.say(VERDICT)
    await linger(channel)


async def forged_digest(channel: Channel) -> None:
    await channel.start()
    await channel.say(READY, VERDICT, PLANNED, {"type": "end", "outcome": "planned", "digest": "0" * 64})
    await linger(channel)


async def leaves(channel: Channel) -> None:
    await channel.start()
    await channel.say(READY, VERDICT)


async def half_a_frame(channel: Channel) -> None:
    await channel.start()
    await channel.raw(frame(b'{"type":"ready","facts":{')[:-3])


ZOO = (
    {name: speaks(data) for name, data in BYTES.items()}
    | {name: says(messages) for name, messages in TALK.items()}
    | {"message after end": after_end, "forged digest": forged_digest, "gone in the middle": leaves}
    | {"gone in the middle of a frame": half_a_frame}
)


@pytest.fixture(scope="module")
def planned(servers: Servers, tmp_path_factory):
    """One plan over the whole zoo at once, with an honest host among it. -> (the plan, the command)"""
    from tests.cli.local_project import LocalProject

    project = LocalProject(tmp_path_factory.mktemp("zoo"))
    names = {name: f"evil{number:02}" for number, name in enumerate(ZOO)}
    hosts = {names[name]: servers.executor(talk) for name, talk in ZOO.items()}
    write_fleet(project, servers, hosts, "honest")
    ran = run(project, "plan", "--json")
    applied = run(project, "apply", "--yes", "-t", "all")
    return names, json.loads(ran.out)["hosts"], ran, applied, project


@pytest.mark.parametrize("stream", ZOO)
def test_hostile_stream(planned, stream: str) -> None:
    """T04: whatever a host says that no executor says, the host is not planned; the reason is one line with its code."""
    names, hosts, _, _, _ = planned
    found = hosts[names[stream]]
    assert found["outcome"] in ("unreachable", "unknown"), found
    assert found["code"] in ("E310", "E321"), found
    assert found["verdicts"] == []
    assert "\n" not in found["reason"]
    assert "shadow" not in found["reason"] and "\x1b" not in found["reason"]


def test_the_others_are_not_concerned(planned) -> None:
    """T04: beside the whole zoo an honest host is planned and applied as if it were alone."""
    _, hosts, ran, applied, project = planned
    assert hosts["honest"]["outcome"] == "planned"
    assert [verdict["action"] for verdict in hosts["honest"]["verdicts"]] == ["add"]
    assert ran.code == 3, ran
    assert (project.machine / "honest" / "x").read_text() == "ours\n", applied
    assert applied.code in (1, 3), applied


HEAVY: dict[str, bytes] = {
    "one text of 15 MiB": facts_of(b'"' + b"a" * (15 * MIB) + b'"'),
    "one text that is wide because of one character": facts_of(b'"\\ud83d\\ude00' + b"a" * (15 * MIB) + b'"'),
    "the widest that is let pass": facts_of(b'"\\ud83d\\ude00' + b"a" * (4900 * 1024) + b'"'),
    "a memory of 15 MiB": frame(
        b'{"type":"ready","probes":{},"facts":{},"memory":{"ledger":{"a":"' + b"a" * (15 * MIB) + b'"}}}'
    ),
    "empty lists": facts_of(b"[" + b"[]," * 4_000_000 + b"[]]"),
    "small texts": facts_of(b"[" + b'"abcdefgh",' * 349_000 + b"1]"),
    "one map of 200,000 keys": facts_of(b"{" + b",".join(b'"%06d":1' % n for n in range(200_000)) + b"}"),
    "frames without end": frame(b'{"type":"log","level":"info","text":"' + b"x" * 60_000 + b'"}') * 2000,
    "noise before the first word": b"noise\n" * 2_000_000,
}


@pytest.fixture(scope="module")
def at_rest(servers: Servers, tmp_path_factory) -> int:
    """Memory that a plan takes when its one SSH host says little."""
    from tests.cli.local_project import LocalProject

    project = LocalProject(tmp_path_factory.mktemp("rest"))
    write_fleet(project, servers, {"evil": servers.executor(says([READY, VERDICT, PLANNED]))})
    return run(project, "plan").peak


@pytest.mark.parametrize("stream", HEAVY)
def test_heavy_stream(servers: Servers, project, at_rest: int, stream: str) -> None:
    """T04, T05: small bytes that become large values, and large ones: at most 64 MiB more memory than an honest host takes."""

    async def talk(channel: Channel) -> None:
        if stream.startswith("noise"):
            await channel.raw(HEAVY[stream])
            return
        await channel.start()
        await channel.raw(HEAVY[stream])

    write_fleet(project, servers, {"evil": servers.executor(talk)})
    ran = run(project, "plan")
    assert ran.code in (1, 3), ran
    assert ran.peak - at_rest <= 64 * MIB, f"{(ran.peak - at_rest) >> 20} MiB more\n{ran}"


async def verdicts_without_end(channel: Channel) -> None:
    await channel.start()
    await channel.say(READY)
    diff = ["+" + "x" * 2000] * 1000
    for number in range(60):
        await channel.say({**VERDICT, "address": f"file:/x{number}", "changes": [{"field": "content", "diff": diff}]})
    await channel.say(PLANNED)
    await channel.end()


async def contents_without_end(channel: Channel) -> None:
    await channel.start()
    await channel.say(READY)
    catalogue = await channel.message("catalogue")
    sha256 = next(iter(json.dumps(catalogue).split('"$blob": "')[1:]), "")[:64]
    for _ in range(100_000):
        await channel.say({"type": "need", "blobs": [sha256]})


@pytest.mark.parametrize("talk", [verdicts_without_end, contents_without_end])
def test_flood(servers: Servers, project, at_rest: int, talk) -> None:
    """T04: 120 MiB of diffs, and one content asked for again and again: neither grows the controller by more than 64 MiB."""
    write_fleet(project, servers, {"evil": servers.executor(talk)})
    project.states(
        'associations: {a: {targets: all, files: {/nonexistent/x: {content: "' + "ours " * 200_000 + '"}}}}\n'
    )
    ran = run(project, "plan")
    assert ran.peak - at_rest <= 64 * MIB, f"{(ran.peak - at_rest) >> 20} MiB more\n{ran}"


@pytest.mark.parametrize("stream", ["out", "err"])
def test_output_flood(servers: Servers, project, at_rest: int, stream: str) -> None:
    """T04: 45 MiB of output of a command: both ends are kept, what is left out is said, memory stays bounded."""
    import base64

    data = base64.b64encode(b"y" * 30_000).decode()

    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.say(READY)
        for _ in range(1500):
            await channel.say({"type": "output", "stream": stream, "data": data})
        await channel.end("done", counts={"code": 0})

    write_fleet(project, servers, {"evil": servers.executor(talk)})
    ran = run(project, "run", "-t", "evil", "--", "yes")
    assert ran.code == 0, ran
    assert "bytes left out]" in ran.out + ran.err
    assert ran.peak - at_rest <= 64 * MIB, f"{(ran.peak - at_rest) >> 20} MiB more"


COMMANDS: dict[str, list[dict[str, Any]]] = {
    "output that is no base64": [READY, {"type": "output", "stream": "out", "data": "A"}],
    "verdict": [READY, VERDICT],
    "stream of its own": [READY, {"type": "output", "stream": "log", "data": "QQ=="}],
    "output before ready": [{"type": "output", "stream": "out", "data": "QQ=="}],
}


@pytest.mark.parametrize("talk", COMMANDS)
def test_hostile_answer_to_a_command(servers: Servers, project, talk: str) -> None:
    """T04: what no executor says in answer to `run` is exit 3 and one line, never a traceback."""
    write_fleet(project, servers, {"evil": servers.executor(says(COMMANDS[talk]))})
    ran = run(project, "run", "-t", "evil", "--", "id")
    assert ran.code == 3, ran
    assert "[E321]" in ran.err and len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("code", [256, 512, 2**62])
def test_exit_code_that_wraps_to_zero(servers: Servers, project, code: int) -> None:
    """T04: a command that failed is not shown as success because its exit code is too large for ours."""

    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.say(READY)
        await channel.end("done", counts={"code": code})

    write_fleet(project, servers, {"evil": servers.executor(talk)})
    assert run(project, "run", "-t", "evil", "--", "false").code == 255


@pytest.mark.parametrize(
    "facts", [{"python": [], "os": "x"}, {"python": {"version": {"a": 1}}, "os": {"name": ["\x1b"]}}, {"os": 7}]
)
def test_doctor_with_facts_of_any_kind(servers: Servers, project, facts: dict[str, Any]) -> None:
    """T04: doctor shows what there is of facts that are of the wrong kind."""
    write_fleet(project, servers, {"evil": servers.executor(says([ready(facts=facts)]))})
    ran = run(project, "doctor", "evil")
    assert ran.code == 0, ran


def test_silence_in_the_middle_of_a_message(monkeypatch) -> None:
    """T04: half a message and then nothing is a lost channel after a limit of its own, not after that of the whole run."""
    import asyncio

    from statectl.errors import Unreachable
    from statectl.transport import session

    class Stuck:
        async def receive(self, limit: int = 65536) -> bytes:
            await asyncio.sleep(3600)
            return b""

        def diagnostics(self) -> str:
            return ""

    monkeypatch.setattr(session, "STALL_S", 0.05)
    with pytest.raises(Unreachable) as caught:
        asyncio.run(session.ExecutorSession(Stuck(), b"J\0\0\1\0{").receive())
    assert caught.value.code == "E310"
    assert "in the middle of a message" in caught.value.message


def test_content_of_another_host(servers: Servers, project) -> None:
    """T12: a host that asks for the content of another one by its hash, and names the other in all it says, gets no byte of it."""
    import hashlib

    canary = b"only-for-the-honest-host-7c1d\n"
    sha256 = hashlib.sha256(canary).hexdigest()

    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.say(ready(facts={"host": {"name": "honest"}, "hostname": "honest"}, memory={"host_id": "honest"}))
        await channel.message("catalogue")
        await channel.say({"type": "need", "blobs": [sha256]})
        await linger(channel)

    evil = servers.executor(talk)
    write_fleet(project, servers, {"evil": evil}, "honest")
    project.states(
        'associations: {a: {targets: all, files: {"{{ machine }}/x": {content: "ours\\n"}}},'
        ' b: {targets: honest, files: {"{{ machine }}/secret": {content: "' + canary.decode().strip() + '\\n"}}}}\n'
    )
    ran = run(project, "plan")
    assert ran.code == 3, ran
    assert "content that is not its own" in ran.out
    assert evil.channels and canary.strip() not in b"".join(channel.heard for channel in evil.channels)
    catalogue = b"".join(channel.heard for channel in evil.channels)
    assert b"/x" in catalogue and b"/secret" not in catalogue
