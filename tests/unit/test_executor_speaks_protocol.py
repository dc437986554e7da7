"""What the executor really says is what the controller's decoder lets pass: the two tables cannot drift apart unseen."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "onhost"))

from executor_case import ExecutorCase

from statectl.onhost import protocol
from statectl.transport import messages


class Case(ExecutorCase):
    __test__ = False  # run by the test below

    def runTest(self):  # noqa: N802  the name that unittest asks for
        daemon = self.daemon(on_notify="reload")
        self.put("daemon", "1")
        self.apply(self.file("keep"), self.file("orphan"))
        self.said = list(self.controller.messages)
        resources = [
            self.file("keep", notify=[daemon["address"]]),
            self.file("new", notify=[daemon["address"]]),
            self.absent("old"),
            daemon,
            self.odd("bad", how="fails"),
            self.odd("unreadable", how="unreadable"),
            self.odd("until", how="unreadable", after=["file:" + self.at("new")]),
            self.command("c", ["true"], creates=self.at("no")),
        ]
        self.plan(*resources)
        self.said += self.controller.messages
        self.apply(*resources)
        self.said += self.controller.messages
        self.apply(*resources[:3], prune=True)
        self.said += self.controller.messages
        run = self.order("run", command={"argv": ["sh", "-c", "echo out"]})
        run.until("end")
        holder = self.planned("apply", self.catalogue(self.file("keep")))
        waiting = self.order("apply", lock_timeout_s=0.5)
        waiting.until("end")
        self.said += run.messages + holder.messages + waiting.messages


def test_every_message_of_the_executor_passes_the_controllers_decoder() -> None:
    case = Case()
    result = case.run()
    assert result is not None
    assert not result.errors + result.failures, (result.errors + result.failures)[0][1]
    kinds = set()
    for message in case.said:
        kinds.add(message["type"])
        frame = protocol.encode(message)
        try:
            messages.parse(frame[protocol.HEADER.size :])
        except protocol.ProtocolError as error:
            pytest.fail(f"{error}: {message}")
    said = {"ready", "need", "right", "verdict", "planned", "result", "notified", "output", "waiting", "end"}
    assert kinds >= said, said - kinds
    verdicts = {message["verdict"] for message in case.said if message["type"] == "verdict"}
    assert verdicts == {"change", "unknown", "refused", "orphan"}
    assert {message["of"] for message in case.said if message["type"] == "right"} == {"verdict", "result"}
