"""A kill at any moment loses no restart, no ownership and no result; the same apply, run again, heals."""

import json
import os
import unittest

from executor_case import ExecutorCase


class Killed(ExecutorCase):
    def test_killed_between_write_and_record_heals(self):
        """The rerun finds it as wanted, knows that statectl made it, and hands over what was unknown."""
        self.put("o.kill", "")
        resources = [self.file("before"), self.odd("o"), self.file("after")]
        results = self.apply_until_killed(*resources)
        assert self.outcomes(results) == {"before": "changed"}
        assert self.exists("o")
        assert not self.exists("after")
        results = self.apply(*resources)
        kept = self.controller.ready["memory"]["undelivered"]
        told = {one["address"].rpartition("/")[2]: one["outcome"] for one in kept[0]["results"]}
        assert (kept[0]["run"], kept[0]["outcome"]) == ("R1", "unknown")
        assert told == {"before": "changed", "o": "unknown"}
        assert self.outcomes(results) == {"before": "ok", "o": "ok", "after": "changed"}
        assert self.record("ledger.json")["odd:" + self.at("o")]["created"]
        assert self.outcomes(self.apply(*resources)) == {"before": "ok", "o": "ok", "after": "ok"}
        assert "journal.jsonl" not in os.listdir(self.state)
        assert self.record("runs.json")["counter"] == 3

    def test_a_plan_after_a_kill_sees_what_was_done(self):
        """Without waiting for the next apply: the ledger and the debts of the cut-off run count."""
        daemon = self.daemon()
        self.put("daemon", "1")
        self.put("o.kill", "")
        resources = [self.odd("o", notify=[daemon["address"]]), daemon]
        self.apply_until_killed(*resources)
        self.plan(*resources)
        memory = self.controller.ready["memory"]
        assert memory["run_counter"] == 1
        assert [debt["address"] for debt in memory["debts"]] == [daemon["address"]]
        assert [one["outcome"] for one in memory["undelivered"]] == ["unknown"]

    def test_a_restart_owed_at_the_kill_is_paid_once(self):
        """Killed after the change and before the restart: the next apply restarts, the one after does not."""
        daemon = self.daemon()
        self.put("daemon", "1")
        self.put("o.kill", "")
        resources = [self.odd("o", notify=[daemon["address"]]), daemon]
        self.apply_until_killed(*resources)
        assert not self.exists("daemon.log")
        assert self.outcomes(self.apply(*resources)) == {"o": "ok", "daemon": "ok"}
        assert [(one["address"], one["outcome"], one["because"]) for one in self.notified] == [
            (daemon["address"], "changed", [resources[0]["address"]])
        ]
        self.apply(*resources)
        assert self.notified == []
        assert self.text("daemon.log") == "restart\n"

    def test_a_restart_that_did_happen_is_not_repeated(self):
        """Killed right after the restart: another instance runs now, so nothing is owed."""
        daemon = self.daemon()
        self.put("daemon", "1")
        self.put("daemon.kill-after", "")
        resources = [self.file("f", notify=[daemon["address"]]), daemon]
        self.apply_until_killed(*resources)
        self.apply(*resources)
        assert [one["outcome"] for one in self.notified] == ["ok"]
        assert self.text("daemon.log") == "restart\n"
        assert self.record("debt.json") == {}

    def test_killed_while_about_to_restart_restarts_later(self):
        """Killed before the restart took place: the same instance runs still, so it is owed."""
        daemon = self.daemon()
        self.put("daemon", "1")
        self.put("daemon.kill-before", "")
        resources = [self.file("f", notify=[daemon["address"]]), daemon]
        self.apply_until_killed(*resources)
        self.apply(*resources)
        assert self.text("daemon.log") == "restart\n"

    def test_a_command_owed_at_the_kill_runs_later(self):
        """when_changed: the change happened, the command did not; the next apply runs it."""
        self.put("o.kill", "")
        trigger = self.odd("o")
        command = self.command("c", ["touch", self.at("ran")], when_changed=[trigger["address"]])
        self.apply_until_killed(trigger, command)
        assert not self.exists("ran")
        assert self.outcomes(self.apply(trigger, command)) == {"o": "ok", "c": "changed"}
        assert self.exists("ran")

    def test_a_used_plan_stays_used(self):
        """Killed in the middle of a saved plan: the plan cannot be applied again, a new one can."""
        self.put("o.kill", "")
        controller = self.planned("apply", self.catalogue(self.odd("o")))
        controller.send({"type": "go", "plan_id": "V7KQ", "observed": {}})
        controller.wait()
        self.apply(self.odd("o"), catalogue={}, plan_id="V7KQ")
        assert self.ended["code"] == "E502"

    def test_a_line_cut_off_in_the_journal_did_not_happen(self):
        """A torn last line is dropped; a damaged one in the middle refuses the run and names the file."""
        self.put("o.kill", "")
        self.apply_until_killed(self.odd("o"))
        journal = os.path.join(self.state, "journal.jsonl")
        with open(journal, "ab") as stream:
            stream.write(b'{"what":"done","addr')
        assert self.outcomes(self.apply(self.odd("o"))) == {"o": "ok"}
        self.put("p.kill", "")
        self.apply_until_killed(self.odd("p"))
        with open(journal, "rb") as stream:
            lines = stream.read().split(b"\n")
        lines[1] = b"\0\0\0"
        with open(journal, "wb") as stream:
            stream.write(b"\n".join(lines))
        end = self.order("apply").until("ready", "end")
        assert (end["outcome"], end["code"]) == ("refused", "E503")
        assert journal in end["reason"]
        assert "move it away" in end["reason"]

    def test_temporary_files_of_a_kill_are_swept(self):
        """From every directory in which the run was writing, and from nowhere else."""
        self.put("o.kill", "")
        self.apply_until_killed(self.file("f"), self.odd("o"))
        self.put(".statectl-0123456789abcdef.tmp", "half")
        os.mkdir(self.at("elsewhere"))
        self.put("elsewhere/.statectl-0123456789abcdef.tmp", "not ours to judge")
        self.apply(self.file("f"), self.odd("o"))
        assert not self.exists(".statectl-0123456789abcdef.tmp")
        assert self.exists("elsewhere/.statectl-0123456789abcdef.tmp")


class Restarts(ExecutorCase):
    def test_once_per_host_after_the_last_phase(self):
        """Many changes in two associations, one restart, after both."""
        daemon = self.daemon(association="web")
        self.put("daemon", "1")
        log = self.at("daemon.log")
        resources = [
            self.file("a", notify=[daemon["address"]]),
            self.file("b", notify=[daemon["address"]]),
            daemon,
            self.command(
                "last", ["sh", "-c", "test ! -e {} && touch {}".format(log, self.at("ok"))], creates=self.at("ok")
            ),
            self.file("c", association="other", notify=[daemon["address"]]),
        ]
        assert set(self.outcomes(self.apply(*resources)).values()) == {"changed", "ok"}
        assert self.text("daemon.log") == "restart\n"
        assert len(self.notified) == 1
        assert len(self.notified[0]["because"]) == 3

    def test_the_verb_is_the_services(self):
        daemon = self.daemon(on_notify="reload")
        self.put("daemon", "1")
        self.apply(self.file("a", notify=[daemon["address"]]), daemon)
        assert self.text("daemon.log") == "reload\n"

    def test_a_service_started_in_this_run_is_not_restarted(self):
        """It has read everything when it started."""
        daemon = self.daemon()
        self.apply(self.file("a", notify=[daemon["address"]]), daemon)
        assert (self.text("daemon"), self.notified) == ("1", [])
        assert "debt.json" not in os.listdir(self.state)

    def test_a_failed_restart_stays_owed(self):
        """It fails the run, and the next apply tries again though nothing changes."""
        daemon = self.daemon()
        self.put("daemon", "1")
        self.put("daemon.broken", "")
        resources = [self.file("a", notify=[daemon["address"]]), daemon]
        self.apply(*resources)
        assert (self.ended["outcome"], self.notified[0]["outcome"]) == ("failed", "failed")
        os.unlink(self.at("daemon.broken"))
        self.apply(*resources)
        assert (self.ended["outcome"], self.notified[0]["outcome"]) == ("applied", "changed")

    def test_nothing_restarts_into_half_a_configuration(self):
        """When its association failed, the restart waits, and says so."""
        daemon = self.daemon()
        self.put("daemon", "1")
        resources = [self.file("a", notify=[daemon["address"]]), self.odd("bad", how="fails"), daemon]
        self.apply(*resources)
        assert not self.exists("daemon.log")
        assert self.notified[0]["outcome"] == "skipped"
        assert "still owed" in self.notified[0]["reason"]
        resources[1]["want"].pop("how")
        self.apply(*resources)
        assert self.text("daemon.log") == "restart\n"

    def test_a_failed_association_does_not_restart_the_service_of_another(self):
        """What changed belongs to a configuration that is only half there."""
        daemon = self.daemon(association="web")
        self.put("daemon", "1")
        resources = [
            daemon,
            self.file("a", association="conf", notify=[daemon["address"]]),
            self.odd("bad", association="conf", how="fails"),
        ]
        self.apply(*resources)
        assert not self.exists("daemon.log")
        assert "association conf failed" in self.notified[0]["reason"]

    def test_a_change_that_failed_untouched_owes_nothing(self):
        daemon = self.daemon()
        self.put("daemon", "1")
        self.apply(self.odd("bad", how="fails", notify=[daemon["address"]]), daemon)
        assert "debt.json" not in os.listdir(self.state)

    def test_a_debt_to_what_is_declared_no_more_is_dropped_aloud(self):
        daemon = self.daemon()
        self.put("daemon", "1")
        self.put("daemon.broken", "")
        self.apply(self.file("a", notify=[daemon["address"]]), daemon)
        self.apply(self.file("a"))
        assert "declared no more" in self.notified[0]["reason"]
        self.apply(self.file("a"))
        assert self.notified == []


class Records(ExecutorCase):
    def test_everything_is_ours_alone(self):
        """Directories 0700, files 0600, whatever the umask."""
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        self.put("f", "old\n")
        self.apply(self.file("f", "new\n"), ack=False)
        for where, directories, names in os.walk(self.state):
            for name in directories:
                assert os.stat(os.path.join(where, name)).st_mode & 511 == 448, name
            for name in names:
                assert os.stat(os.path.join(where, name)).st_mode & 511 == 384, name
        assert os.stat(self.state).st_mode & 511 == 448

    def test_a_damaged_file_is_refused_and_named(self):
        """One line with the file and what to do; nothing is guessed, nothing is written."""
        self.apply(self.file("f"))
        for name in ("ledger.json", "runs.json", "identity.json"):
            path = os.path.join(self.state, name)
            with open(path, "rb") as stream:
                whole = stream.read()
            for damaged in (
                whole[: len(whole) // 2],
                whole.replace(b'"data"', b'"dada"'),
                b"",
                whole.replace(b"1", b"2"),
            ):
                with open(path, "wb") as stream:
                    stream.write(damaged)
                end = self.order("apply").until("ready", "end")
                assert (end["type"], end.get("outcome"), end.get("code")) == ("end", "refused", "E503"), name
                assert path in end["reason"]
                assert "\n" not in end["reason"]
            with open(path, "wb") as stream:
                stream.write(whole)

    def test_the_run_counter_only_grows(self):
        """Also over a plan, which needs no number, and a run that was killed."""
        self.apply(self.file("f"))
        self.plan(self.file("f"))
        self.put("o.kill", "")
        self.apply_until_killed(self.file("f"), self.odd("o"))
        self.apply(self.file("f"))
        ready = self.order("facts").until("ready")
        assert ready["memory"]["run_counter"] == 3
        assert ready["memory"]["last_run"]["run"] == "R4"

    def test_a_second_apply_says_who_holds_the_host(self):
        """The lock is the living process's; a dead one leaves nothing to be broken."""
        first = self.planned("apply", self.catalogue(self.file("f")))
        end = self.order("apply", controller="bob@desk").until("ready", "end")
        assert (end["outcome"], end["code"]) == ("refused", "E501")
        assert f"ana@laptop, run R1, process {first.pid}" in end["reason"]
        self.plan(self.file("f"))
        assert self.controller.ready["memory"]["lock"]["controller"] == "ana@laptop"
        waiting = self.order("apply", lock_timeout_s=20)
        message = waiting.receive()
        assert (message["type"], message["holder"]["run"]) == ("waiting", "R1")
        os.kill(first.pid, 9)
        assert waiting.until("ready", "end")["type"] == "ready"

    def test_a_command_left_behind_by_a_killed_executor_holds_the_host(self):
        """A package manager may still be at work though its executor is dead."""
        import time

        resources = [
            self.command("c", ["sh", "-c", "touch {}; exec sleep 3".format(self.at("begun"))], creates=self.at("no"))
        ]
        controller = self.planned("apply", self.catalogue(*resources))
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        while not self.exists("begun"):
            time.sleep(0.01)
        os.kill(controller.pid, 9)
        controller.wait()
        end = self.order("apply").until("ready", "end")
        assert end["outcome"] == "refused"
        assert "its command" in end["reason"]
        assert self.order("apply", lock_timeout_s=15).until("ready", "end")["type"] == "ready"

    def test_records_of_a_newer_statectl_are_not_read(self):
        self.apply(self.file("f"))
        path = os.path.join(self.state, "runs.json")
        with open(path) as stream:
            document = json.load(stream)
        with open(path, "w") as stream:
            json.dump(dict(document, format=2), stream)
        assert "newer statectl" in self.order("apply").until("ready", "end")["reason"]


if __name__ == "__main__":
    unittest.main()
