"""kill -9 before any single call that changes the disk: one plain rerun heals, and nothing is lost or left."""

import os
import signal
import unittest

from executor_case import Ended, ExecutorCase

STEP = int(os.environ.get("STATECTL_KILL_STEP", "4"))  # 1: before every single one, which takes four times as long


class EveryKill(ExecutorCase):
    def test_one_rerun_heals_whatever_was_cut_off(self):
        """The second run converges, the third changes nothing; files are old or new; the service restarted after the change."""
        number = 1
        while self.cut_off(number):
            number += STEP
        assert number > 40, number

    def cut_off(self, number):
        """One machine and one kill -> was the executor killed? False: the run ended before its call of that number."""
        self.machine = os.path.join(self.top, f"machine{number}")
        self.state = os.path.join(self.top, f"state{number}")
        os.mkdir(self.machine)
        self.put("daemon", "1")
        self.put("conf", "old\n")
        self.put("old", "x")
        daemon = self.daemon()
        resources = [
            self.file("conf", "new\n", notify=[daemon["address"]]),
            self.file("made", "new\n"),
            self.absent("old"),
            daemon,
            self.command("c", ["touch", self.at("ran")], when_changed=["file:" + self.at("made")]),
        ]
        killed = self.killed(number, resources)
        assert self.text("conf") in ("old\n", "new\n")
        self.apply(*resources)
        assert self.ended["outcome"] == "applied", (number, self.ended)
        assert (self.text("conf"), self.text("made"), self.exists("old")) == ("new\n", "new\n", False), number
        assert self.exists("ran"), number
        assert self.exists("daemon.log"), number
        results = self.apply(*resources)
        assert set(self.outcomes(results).values()) == {"ok"}, (number, results)
        assert self.notified == [], number
        ledger = self.record("ledger.json")
        assert ledger["file:" + self.at("made")]["created"], number
        assert not ledger["file:" + self.at("conf")]["created"], number
        names = sorted(name for name in os.listdir(self.machine) if name != "daemon.log")
        assert names == ["conf", "daemon", "made", "ran"], (number, names)
        stray = [name for _, _, files in os.walk(self.state) for name in files if name.endswith((".new", ".jsonl"))]
        assert stray == [], (number, stray)
        return killed

    def killed(self, number, resources):
        controller = self.order("apply", kill_at=number)
        try:
            controller.until("ready")
            controller.send(self.catalogue(*resources))
            controller.until("planned")
            controller.send({"type": "go", "plan_id": None, "observed": {}})
            controller.until("end")
            controller.send({"type": "ack", "runs": [controller.run]})
        except (Ended, BrokenPipeError):
            pass
        return controller.wait() == signal.SIGKILL


if __name__ == "__main__":
    unittest.main()
