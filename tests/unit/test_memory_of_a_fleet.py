"""What the controller keeps of each host of a run: ten thousand hosts with a hundred resources fit into it."""

import asyncio
import gc
import json
import tracemalloc

import pytest

from statectl.reconcile.host_run import HostRun, Order
from statectl.transport import messages
from statectl.transport.channel import Endpoint

RESOURCES = 400
HOSTS = 50
MOST_BYTES = 100  # of one resource that is right: its place in a list, and whose it is


class Told:
    """A conversation in which all is right, as it comes from the wire."""

    def __init__(self) -> None:
        said = [
            {"type": "ready", "facts": {"os": "debian"}, "probes": {}, "memory": {"host_id": "1", "run_counter": 1}},
            {
                "type": "right",
                "of": "verdict",
                "association": "web",
                "addresses": [f"file:/srv/some/directory/file-{number}.conf" for number in range(RESOURCES)],
            },
            {"type": "end", "outcome": "planned", "digest": "0" * 64},
        ]
        self._said = [messages.parse(json.dumps(one).encode()) for one in said]

    async def send(self, message): ...

    async def receive(self):
        return self._said.pop(0)

    async def close(self): ...


def contacted(number):
    async def opened(*_):
        return Told()

    async def contact():
        run = HostRun(
            f"web{number}",
            Endpoint("web", "192.0.2.1"),
            Order("R1", "drift", "ana@desk"),
            open_conversation=opened,
            compile_with=None,
        )
        plan = await run.contact()
        assert (plan.outcome, plan.ok, len(run.read)) == ("planned", RESOURCES, RESOURCES)
        await run.parted()
        return run

    return asyncio.run(contact())


def test_resources_that_are_right_cost_next_to_nothing_once_a_host_was_heard():
    """The addresses are the same on all hosts, and what was said once is only watched while the host speaks."""
    kept = [contacted(0)]
    tracemalloc.start()
    try:
        kept += [contacted(number) for number in range(1, HOSTS)]
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used / (len(kept) - 1) / RESOURCES < MOST_BYTES


def test_keys_are_one_text_for_all_messages(monkeypatch):
    """The facts of ten thousand hosts have the same keys; strange ones of a host that makes them up take no room for ever."""
    monkeypatch.setattr(messages, "_names", {})
    monkeypatch.setattr(messages, "KEYS_SHARED", 20)
    ready = {"type": "ready", "facts": {"kernel": "6.1"}, "probes": {}, "memory": {}}
    first, second = (next(iter(messages.parse(json.dumps(ready).encode())["facts"])) for _ in range(2))
    assert first is second
    strange = {f"{'x' * messages.MAX_SHARED}{number}": 1 for number in range(5)}
    strange |= {f"x{number}": 1 for number in range(100)}
    found = messages.parse(json.dumps({**ready, "facts": strange}).encode())["facts"]
    assert found == strange
    assert len(messages._names) == 20
    assert max(map(len, messages._names)) <= messages.MAX_SHARED


@pytest.mark.parametrize("text", ["kernel", "a\ud800b"])
def test_a_shared_key_is_as_safe_as_any_other(text, monkeypatch):
    """A key that comes from the shared ones is Untrusted, and without lone surrogates."""
    monkeypatch.setattr(messages, "_names", {})
    for _ in range(2):
        facts = messages.parse(json.dumps({"type": "ready", "facts": {text: "1"}, "probes": {}, "memory": {}}).encode())
        name = next(iter(facts["facts"]))
        assert type(name) is messages.Untrusted
        assert name.encode()
