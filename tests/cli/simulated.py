"""The real command with simulated hosts: everything but the executors, which answer from a script instead of from a machine.

    python -m tests.cli.simulated apply --yes       in a project with a file `simulated.json`:

    {"seconds": 0.2, "kinds": {"web0112": "fails"}, "texts": {"web0112": "no space left on device"}}

`seconds`: of each resource. A host without a kind changes everything that it has.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from statectl.cli import fleet, main
from statectl.errors import Unreachable
from tests.cli.local_project import LocalProject

KINDS = {
    "changes": "everything is changed",
    "right": "everything is as wanted",
    "drifted": "the first resource was changed by hand",
    "fails": "the first resource fails, the others are skipped",
    "unreachable": "nobody answers",
    "refuses": "another run holds it",
    "cut": "the channel is lost after the first resource",
    "warns": "a warning is said",
    "waits": "another apply holds it for a moment",
    "restarts": "a service is restarted afterwards",
    "restart fails": "a service does not come back",
    "pending": "a restart has to wait for its window",
    "stuck": "the first resource never ends",
    "dies": "the controller itself falls over",
}


class Conversation:
    """The controller's end of a channel to one host."""

    def __init__(self, host: str, kind: str, text: str, seconds: float, order: Any) -> None:
        self._kind, self._text, self._seconds, self._order = kind, text, seconds, order
        self._said: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._addresses: list[str] = []
        self._work: asyncio.Task[None] | None = None
        self._cancelled = False
        memory = {"undelivered": [], "host_id": host, "run_counter": 0, "debts": []}
        self._said.put_nowait({"type": "ready", "facts": {}, "probes": {}, "memory": memory})
        if order["kind"] == "drift":
            self._plan(["file:/etc/app.conf"], "app")

    async def send(self, message: Any) -> None:
        kind = message["type"]
        if "resources" in message:
            self._addresses = [entry["address"] for entry in message["resources"]]
            self._plan(self._addresses, message["resources"][0]["association"])
        elif kind == "go":
            self._work = asyncio.create_task(self._apply())
        elif kind == "cancel":
            self._cancelled = True
        elif kind == "stop":
            self._end("stopped", "nothing was written")

    async def send_blob(self, sha256: str, source: Any) -> None:
        raise AssertionError("no simulated host asks for content")

    async def receive(self) -> dict[str, Any]:
        message = await self._said.get()
        if message is None:
            raise Unreachable(self._text or "channel lost", code="E310")
        return message

    async def close(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def _plan(self, addresses: list[str], association: str) -> None:
        for place, address in enumerate(addresses):
            right = self._kind == "right" or (self._kind == "drifted" and place > 0)
            self._said.put_nowait(
                {
                    "type": "verdict",
                    "address": address,
                    "association": association,
                    "verdict": "ok" if right else "change",
                    "action": "none" if right else "change",
                    "kind": "corrective" if self._order["kind"] == "drift" or self._kind == "drifted" else "intended",
                    "found_hash": "0" * 64,
                }
            )
        if self._order["kind"] == "apply":
            self._said.put_nowait({"type": "planned"})
        else:
            self._end("planned")

    async def _apply(self) -> None:
        if self._kind == "dies":
            self._said.put_nowait({"type": "result"})  # what no executor says, behind everything that checks it
            return
        if self._kind == "warns":
            self._said.put_nowait({"type": "log", "level": "warning", "text": self._text or "the clock is wrong"})
        if self._kind == "waits":
            self._said.put_nowait({"type": "waiting", "reason": self._text or "held by run ABC"})
        failed = ""
        for place, address in enumerate(self._addresses):
            if self._cancelled:
                self._end("stopped", "cancelled by the controller")
                return
            await asyncio.sleep(3600 if self._kind == "stuck" else self._seconds)
            if failed:
                self._result(address, "skipped", reason=f"{failed} failed")
            elif self._kind == "fails":
                failed = address
                self._result(address, "failed", error=self._text or "no space left on device")
            else:
                self._result(address, "ok" if self._kind == "right" else "changed")
            if self._kind == "cut" and not place:
                self._said.put_nowait(None)
                return
        self._notify()
        self._end("applied")

    def _notify(self) -> None:
        told = {"restarts": ("changed", False), "restart fails": ("failed", False), "pending": ("skipped", True)}
        if self._kind in told:
            outcome, pending = told[self._kind]
            reason = {"failed": self._text or "it does not start", "skipped": "until window night"}.get(outcome, "")
            message = {"type": "notified", "address": "service:app", "verb": "restart", "outcome": outcome}
            self._said.put_nowait({**message, "reason": reason, **({"pending": True} if pending else {})})

    def _result(self, address: str, outcome: str, *, reason: str = "", error: str = "") -> None:
        message = {"type": "result", "address": address, "outcome": outcome, "action": "change", "changes": []}
        told = {"message": error, "cause": error, "output": f"line one\n{error}"} if error else None
        self._said.put_nowait({**message, "kind": "intended", "reason": reason, "error": told, "duration_ms": 5})

    def _end(self, outcome: str, reason: str = "") -> None:
        self._said.put_nowait({"type": "end", "outcome": outcome, "reason": reason, "code": "", "counts": {}})


def _script() -> Any:
    return json.loads(Path("simulated.json").read_text())


async def _start(_: Any, target: Any, order: Any) -> Conversation:
    script = _script()
    kind = script.get("kinds", {}).get(target.name, "changes")
    text = script.get("texts", {}).get(target.name, "")
    assert kind in KINDS, kind
    await asyncio.sleep(script.get("contact_s", 0.0))
    if kind == "unreachable":
        raise Unreachable(text or "timed out after 10s", code="E301", hint="is it up?")
    conversation = Conversation(target.name, kind, text, script.get("seconds", 0.0), order)
    if kind == "refuses":
        conversation._said.get_nowait()
        conversation._end("refused", text or "another apply holds the host")
    return conversation


def simulated(project: LocalProject, names: list[str], files: int = 2, **script: Any) -> None:
    """Make the project one of these hosts, with so many files each; `script` as above."""
    settings = (project.root / "statectl.yml").read_text().partition("limits:")[0]
    project.write("statectl.yml", settings)
    lines = "".join(f"  {name}: {{address: 192.0.2.1}}\n" for name in names)
    project.write("inventories/local/hosts.yml", f"hosts:\n{lines}")
    declared = "".join(f"      /etc/app-{number}.conf: {{content: x}}\n" for number in range(files))
    project.states(f"associations:\n  app:\n    targets: all\n    files:\n{declared}")
    project.write("simulated.json", json.dumps(script))


if __name__ == "__main__":
    fleet.Opened._start = _start  # type: ignore[method-assign,assignment]
    sys.exit(main.run(sys.argv[1:]))
