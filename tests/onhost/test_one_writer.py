"""Following and cancelling another's run, a paused writer, and numbers that never fall."""

import os
import shutil
import signal
import time
import unittest

from executor_case import ExecutorCase


class RunUnderWay(ExecutorCase):
    def begin(self, *resources, **fields):
        """A run that was told to go and is in the middle of its first resource."""
        slow = self.odd("slow", how="slow")
        controller = self.planned("apply", self.catalogue(slow, *resources), **fields)
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        self.wait_for("slow.begun")
        return controller

    def wait_for(self, name):
        limit = time.monotonic() + 10
        while not self.exists(name):
            assert time.monotonic() < limit, f"not there within 10 s: {name}"
            time.sleep(0.01)

    def beside(self, kind, running, **fields):
        return self.order(kind, about=running.run, **fields)


class Beside(RunUnderWay):
    """A run under way, and what others can do about it."""

    def test_a_follower_is_told_what_the_controller_is_told(self):
        """Also what was said before he came; and how it ended."""
        running = self.begin(self.odd("next"))
        follower = self.beside("follow", running)
        end = follower.until("end")
        assert running.until("end")["outcome"] == "applied"
        assert end["outcome"] == "applied"
        assert end["counts"]["living"] == 1
        assert follower.of("result") == running.of("result")

    def test_cancel_stops_at_the_border_and_says_who_asked(self):
        """What was in hand is finished, the rest is not begun; the one who asks hears that it has stopped, within 5 s."""
        running = self.begin(self.odd("next", after=["odd:" + self.at("slow")]))
        asked = self.beside("cancel", running, wait_s=5, controller="bob@desk")
        assert asked.until("end")["counts"] == {"living": 0, "stopped": 1}
        end = running.until("end")
        assert (end["outcome"], end["code"], end["reason"]) == ("stopped", "E519", "cancelled by bob@desk")
        assert self.outcomes({one["address"]: one for one in running.of("result")}) == {
            "slow": "changed",
            "next": "skipped",
        }
        assert os.listdir(os.path.join(self.state, "running")) == []

    def test_cancel_before_go_writes_nothing(self):
        """A run that waits for its yes, or for the lock, stops as well."""
        waiting = self.planned("apply", self.catalogue(self.odd("o")))
        queued = self.order("apply", lock_timeout_s=30)
        queued.until("waiting")
        for one in (queued, waiting):
            asked = self.beside("cancel", one, wait_s=5)
            assert asked.until("end")["counts"]["living"] == 0
            assert one.until("end")["reason"] == "cancelled by ana@laptop; nothing was written"
        assert not self.exists("o")

    def test_cancel_ends_a_command_within_five_seconds(self):
        """The command of a run is ended with all its children; it counts as stopped, not as failed."""
        running = self.order("run", command={"argv": ["sleep", "60"]})
        running.until("ready")
        began = time.monotonic()
        assert self.beside("cancel", running, wait_s=5).until("end")["counts"]["living"] == 0
        assert time.monotonic() - began < 5
        assert running.until("end")["outcome"] == "stopped"

    def test_a_run_that_is_not_there(self):
        """Neither a run that never was nor one that was killed is under way; what the dead one left is swept."""
        assert self.order("follow", about="NEVER").until("end")["counts"] == {"living": 0}
        self.put("o.kill", "")
        self.apply_until_killed(self.odd("o"))
        assert self.order("follow", about=self.runs_file()).until("end")["counts"] == {"living": 0}
        self.apply(self.odd("o"))
        assert os.listdir(os.path.join(self.state, "running")) == []

    def runs_file(self):
        (name,) = os.listdir(os.path.join(self.state, "running"))
        return name

    def test_a_stopped_holder_is_waited_for_and_named(self):
        """Stopped by a signal, it lives and holds; the refusal says so. Waking it lets it end at its border."""
        running = self.begin(self.odd("next"))
        os.kill(running.pid, signal.SIGSTOP)
        refused = self.order("apply", lock_timeout_s=0.5).until("ready", "end")
        assert refused["code"] == "E501"
        assert "stopped by a signal and not ended" in refused["reason"]
        assert refused["holder"]["run"] == running.run
        deaf = self.beside("cancel", running, wait_s=0.5).until("end")
        assert deaf["counts"] == {"living": 1}
        assert deaf["reason"] == "it stops after odd:{}, which it is changing".format(self.at("slow"))
        assert self.beside("cancel", running, wait_s=5, wake=True).until("end")["counts"]["living"] == 0
        assert running.until("end")["outcome"] == "stopped"

    def test_who_only_reads_waits_when_asked_to(self):
        """A plan with a lock timeout reads the host when nobody writes; without one it reads at once."""
        running = self.begin()
        assert self.order("plan").until("ready", "end")["type"] == "ready"
        assert self.order("plan", lock_timeout_s=0.2).until("ready", "end")["code"] == "E501"
        waiting = self.order("plan", lock_timeout_s=20)
        assert waiting.until("ready", "end")["memory"]["lock"] is None
        assert waiting.of("waiting")[0]["holder"]["run"] == running.run


class Overtaken(RunUnderWay):
    """The lock taken away by force from a writer that is paused: what it may still do when it goes on."""

    def take_away(self):
        os.unlink(os.path.join(self.state, "lock"))

    def test_a_late_writer_writes_nothing_more(self):
        """Paused in the middle, overtaken, continued: neither the machine nor the memory gets another write from it."""
        running = self.begin(self.odd("next", text="of the late one", after=["odd:" + self.at("slow")]))
        os.kill(running.pid, signal.SIGSTOP)
        self.take_away()
        self.apply(self.odd("next", text="of the new one"))
        memory = {name: self.record(name) for name in ("ledger.json", "runs.json")}
        os.kill(running.pid, signal.SIGCONT)
        end = running.until("end")
        assert (end["outcome"], end["code"]) == ("failed", "E508")
        assert self.text("next") == "of the new one"
        assert {name: self.record(name) for name in ("ledger.json", "runs.json")} == memory
        assert os.path.exists(os.path.join(self.state, "undelivered", running.run + ".json"))  # as far as it was known

    def test_a_late_starter_does_not_begin(self):
        """Paused before its first write, overtaken by a whole run: it takes no number, above all not a used one."""
        waiting = self.planned("apply", self.catalogue(self.odd("late")))
        os.kill(waiting.pid, signal.SIGSTOP)
        self.take_away()
        self.apply(self.odd("o"))
        counter = self.record("runs.json")["counter"]
        os.kill(waiting.pid, signal.SIGCONT)
        waiting.send({"type": "go", "plan_id": None, "observed": {}})
        assert waiting.until("end")["code"] == "E508"
        assert not self.exists("late")
        assert self.record("runs.json")["counter"] == counter

    def test_numbers_do_not_fall_with_a_memory_from_a_backup(self):
        """The controller has seen a higher number of this very host: the next is higher still. Another host's says nothing."""
        self.apply(self.odd("o"))
        backup = self.state + ".backup"
        shutil.copytree(self.state, backup)
        self.apply(self.odd("p"))
        host_id = self.record("identity.json")["host_id"]
        shutil.rmtree(self.state)
        os.rename(backup, self.state)
        self.apply_with({"host_id": "another", "number": 9}, "q")
        assert self.record("runs.json")["counter"] == 2
        self.apply_with({"host_id": host_id, "number": 9}, "r")
        assert self.record("runs.json")["counter"] == 10

    def apply_with(self, seen, name):
        controller = self.planned("apply", self.catalogue(self.odd(name)), seen=seen)
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        assert controller.until("end")["outcome"] == "applied"
        controller.send({"type": "ack", "runs": [controller.run]})
        controller.wait()


if __name__ == "__main__":
    unittest.main()
