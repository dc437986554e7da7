"""Hosts that lie about what is on them: nothing of it is kept, other hosts' inventory is, and the controller stays small."""

import json
from typing import Any

import pytest

from statectl.onhost import protocol
from statectl.targets.collected import TYPES
from tests.hostile.fleets import run, write_fleet
from tests.hostile.payloads import EVERYTHING, HARMFUL
from tests.hostile.servers import READY, Channel, Servers

MIB = 1024 * 1024
KERNEL = [one.name for one in TYPES["Kernel"].attributes]


def told(name: str = "Kernel", **more: Any) -> dict[str, Any]:
    """A right answer, but for what is given."""
    content = {"state": "content", "hash": "a" * 64, "columns": KERNEL, "rows": [["6.1", "6.1", None, "", ""]]}
    return {"type": "collected", "name": name, **content, **more}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in told().items() if name != key}


ANSWERS: dict[str, list[dict[str, Any]]] = {
    "before ready": [told()],
    "type that is a path": [READY, told("../../etc/passwd")],
    "type that is a terminal sequence": [READY, told("Custom:\x1b[31m")],
    "type of our own making": [READY, told("Passwords")],
    "a type twice": [READY, told(), told()],
    "state of its own": [READY, told(state="fine")],
    "the same as what was never told": [
        READY,
        {"type": "collected", "name": "Kernel", "state": "same", "hash": "b" * 64},
    ],
    "content without rows": [READY, without("rows")],
    "rows that are a map": [READY, told(rows={"a": 1})],
    "rows of maps": [READY, told(rows=[[{"a": 1}, "", None, "", ""]])],
    "a row that is too short": [READY, told(rows=[["6.1"]])],
    "columns of another type": [READY, told(columns=["Running", "Running2", "A", "B", "C"])],
    "columns twice": [READY, told("Custom:A", columns=["a", "a"], rows=[])],
    "columns that are expressions": [READY, told("Custom:A", columns=["{{ 7*7 }}"], rows=[])],
    "a number beyond all numbers": [READY, told(rows=[[10**30, "", None, "", ""]])],
    "a text of 10 KB": [READY, told(rows=[["x" * 10_000, "", None, "", ""]])],
    "a hash that is a path": [READY, told(hash="../x")],
    "fewer rows than none": [READY, told(left_out=-1)],
    "a key of its own": [READY, told(path="/etc/shadow")],
    "content of what is only told of": [READY, told("Custom")],
    "many custom types": [READY, *(told(f"Custom:T{n}", columns=["a"], rows=[]) for n in range(60))],
    "results of an apply": [READY, {"type": "result", "address": "file:/x", "outcome": "changed"}],
}


def says(messages: list[dict[str, Any]]):
    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.say(*messages)
        await channel.end("done")
        await channel.rest()

    return talk


@pytest.fixture(scope="module")
def refreshed(servers: Servers, tmp_path_factory):
    """One refresh over all of them with an honest host among them. -> ({host: row}, names, project, the command)"""
    from tests.cli.local_project import LocalProject

    project = LocalProject(tmp_path_factory.mktemp("collected"))
    names = {name: f"evil{number:02}" for number, name in enumerate(ANSWERS)}
    write_fleet(
        project, servers, {names[name]: servers.executor(says(said)) for name, said in ANSWERS.items()}, "honest"
    )
    ran = run(project, "inventory", "refresh", "--json", timeout=60)
    rows = {row["host"]: row for row in json.loads(ran.out)["refreshed"]}
    return rows, names, project, ran


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_no_executor_gives(refreshed, answer: str) -> None:
    """T04: the host is unreachable with a code, and nothing of what it said before is kept."""
    rows, names, project, _ = refreshed
    found = rows[names[answer]]
    assert (found["outcome"], found["code"]) == ("unreachable", "E321"), found
    assert not HARMFUL.search(found["reason"])
    asked = project.statectl("inventory", "query", "not kernel.running=no", "-o", "name", expect=0)
    assert asked.out == "honest\n"


def test_the_honest_host_is_collected(refreshed) -> None:
    """T04: beside all of them; the refresh says by its exit code that some were not reached."""
    rows, _, _, ran = refreshed
    assert rows["honest"]["outcome"] == "ok"
    assert ran.code == 3, ran


def test_text_of_every_kind_is_kept_as_data(servers: Servers, project) -> None:
    """T01, T04: terminal sequences, templates, expressions in values: shown escaped, never evaluated, never part of a question."""
    rack = told(
        "Custom:Rack", columns=["Name", "Note"], rows=[[EVERYTHING[:4000], "x' OR '1'='1"], ["{{ 7*7 }}", "49"]]
    )
    write_fleet(project, servers, {"evil": servers.executor(says([READY, rack]))})
    assert run(project, "inventory", "refresh").code == 0
    for argv in (("query", "--type", "Custom:Rack"), ("show", "evil", "--type", "Custom:Rack"), ("history", "evil")):
        ran = run(project, "inventory", *argv)
        assert ran.code == 0, ran
        assert not HARMFUL.search(ran.out.replace("\n", "")), ran
    assert run(project, "inventory", "query", "custom.Rack.note=49", "-o", "name").out == "evil\n"
    assert run(project, "inventory", "query", "custom.Rack.note=nothing", "-o", "name").out == ""


HEAVY: dict[str, list[bytes]] = {
    "rows without end": [
        json.dumps(told(f"Custom:T{n}", columns=["a"], rows=[["x" * 500]] * 9000, hash=f"{n:064x}")).encode()
        for n in range(30)
    ],
    "many small values": [
        json.dumps(told(f"Custom:T{n}", columns=[f"c{i}" for i in range(50)], rows=[[1] * 50] * 6900)).encode()
        for n in range(30)
    ],
}


@pytest.mark.parametrize("flood", HEAVY)
def test_a_flood(servers: Servers, project, flood: str) -> None:
    """T04: content without end is refused before it is much: at most 96 MiB more than one that says little."""

    async def talk(channel: Channel) -> None:
        await channel.start()
        await channel.say(READY)
        for payload in HEAVY[flood]:
            await channel.raw(protocol.HEADER.pack(b"J", len(payload)) + payload)
        await channel.rest()

    write_fleet(project, servers, {"evil": servers.executor(says([READY]))})
    at_rest = run(project, "inventory", "refresh").peak
    write_fleet(project, servers, {"evil": servers.executor(talk)})
    ran = run(project, "inventory", "refresh", timeout=60)
    assert ran.code in (1, 3), ran
    assert ran.peak - at_rest <= 96 * MIB, f"{(ran.peak - at_rest) >> 20} MiB more\n{ran}"
