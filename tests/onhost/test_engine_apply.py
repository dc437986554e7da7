"""An apply does what the plan says, in order, and success is what a second reading finds."""

import os
import signal
import time
import unittest

from executor_case import ExecutorCase


class Apply(ExecutorCase):
    def test_apply_then_plan_is_empty(self):
        """A second apply changes nothing, asks for no content and reads as ok."""
        resources = [
            self.resource("directory", self.at("d"), state="present"),
            self.file("d/f", "hello\n", mode="0640"),
            self.pack("p"),
            self.daemon(),
            self.command("c", ["touch", self.at("made")], creates=self.at("made")),
            self.absent("gone"),
        ]
        self.put("gone", "x")
        results = self.apply(*resources)
        assert set(self.outcomes(results).values()) == {"changed"}
        assert self.text("d/f") == "hello\n"
        assert not self.exists("gone")
        assert self.ended["outcome"] == "applied"
        results = self.apply(*resources)
        assert set(self.outcomes(results).values()) == {"ok"}
        assert self.controller.of("need") == []
        assert self.ended["counts"]["ok"] == 6
        assert os.listdir(os.path.join(self.state, "tmp")) == []

    def test_a_service_that_its_package_started_is_still_notified(self):
        """It was started before its configuration was written, so the reload that is owed is paid and not taken for done."""
        daemon = self.daemon()
        configuration = self.file("configuration", notify=[daemon["address"]])
        results = self.apply(self.pack("daemon"), configuration, daemon)  # the pack makes the file that says it runs
        assert results[configuration["address"]]["outcome"] == "changed"
        assert [told["outcome"] for told in self.controller.of("notified")] == ["changed"]
        assert len(self.text("daemon.log").splitlines()) == 1

    def test_success_is_the_second_reading(self):
        """A type that says it is done and is not has failed, with field, found and wanted."""
        self.put("o", "old")
        results = self.apply(self.odd("o", text="new", how="does nothing"))
        result = results["odd:" + self.at("o")]
        assert result["outcome"] == "failed"
        assert "still differs after apply: text: found old, wanted new" in result["reason"]
        assert self.ended["outcome"] == "failed"

    def test_a_failure_carries_its_command(self):
        """argv, exit code and output come along."""
        error = self.apply(self.odd("o", how="fails"))["odd:" + self.at("o")]["error"]
        assert (error["argv"], error["code"], error["output"]) == (["false"], 1, "output of it")

    def test_a_failure_stops_the_later_phases_of_its_association_only(self):
        """The rest of the phase goes on, later phases do not; other associations only through requires and after."""
        bad = self.odd("bad", association="base", how="fails")
        resources = [
            bad,
            self.odd("same", association="base"),
            self.command("later", ["true"], association="base", creates=self.at("no")),
            self.file("user", association="web"),
            self.file("free", association="other"),
            self.file("edge", association="third", after=[bad["address"]]),
        ]
        associations = [{"name": "base"}, {"name": "web", "requires": ["base"]}, {"name": "other"}, {"name": "third"}]
        results = self.apply(*resources, associations=associations)
        assert self.outcomes(results) == {
            "bad": "failed",
            "same": "changed",
            "later": "skipped",
            "user": "skipped",
            "free": "changed",
            "edge": "skipped",
        }
        assert bad["address"] in results["command:later"]["reason"]
        assert "web requires base" in results["file:" + self.at("user")]["reason"]

    def test_what_waits_for_other_hosts_is_left_alone(self):
        """An association that the controller withholds is not touched, nor its service restarted, nor what requires it; the rest goes on."""
        reason = "association web requires db on db1, of which service:db failed"
        unit = self.odd("unit", association="web")
        resources = [
            self.file("f", association="web", notify=[unit["address"]]),
            unit,
            self.file("free", association="other"),
            self.file("user", association="last"),
        ]
        associations = [{"name": "web"}, {"name": "other"}, {"name": "last", "requires": ["web"]}]
        results = self.apply(*resources, associations=associations, withheld={"web": reason})
        expected = {"f": "skipped", "unit": "skipped", "free": "changed", "user": "skipped"}
        assert self.outcomes(results) == expected
        assert results["file:" + self.at("f")]["reason"] == reason
        assert "last requires web" in results["file:" + self.at("user")]["reason"]
        assert not self.exists("f")
        assert self.ended["outcome"] == "applied", self.ended
        results = self.apply(*resources, associations=associations)
        assert set(self.outcomes(results).values()) == {"changed", "ok"}, "it was held back for good"

    def test_audit_is_never_written(self):
        """An association that only audits tells its differences and leaves them."""
        resources = [self.file("f"), self.file("g", association="web2", after=["file:" + self.at("f")])]
        associations = [{"name": "web", "mode": "audit"}, {"name": "web2"}]
        results = self.apply(*resources, associations=associations)
        assert self.outcomes(results) == {"f": "skipped", "g": "changed"}
        assert results["file:" + self.at("f")]["changes"]
        assert not self.exists("f")
        assert "file:" + self.at("f") not in self.record("ledger.json")

    def test_one_transaction_for_a_batch(self):
        """All of one association in one call; when it fails, each is judged by the second reading."""
        results = self.apply(self.pack("a"), self.pack("bad"), self.pack("c"))
        with open(self.machine + ".log") as stream:
            assert stream.read() == "a bad c\n"
        assert self.outcomes(results) == {"a": "changed", "bad": "failed", "c": "failed"}
        assert results["pack:c"]["error"]["cause"] == "no such pack"

    def test_a_command_runs_when_a_trigger_changed(self):
        """Once, in the run in which it changed."""
        log = self.at("log")
        trigger = self.file("f")
        command = self.command("c", ["sh", "-c", "echo ran >> " + log], when_changed=[trigger["address"]])
        assert self.outcomes(self.apply(trigger, command)) == {"f": "changed", "c": "changed"}
        assert self.outcomes(self.apply(trigger, command)) == {"f": "ok", "c": "ok"}
        assert self.text("log") == "ran\n"

    def test_a_failed_triggered_command_stays_owed(self):
        """The next apply runs it, though nothing changes any more; the plan says why."""
        trigger = self.file("f")
        command = self.command("c", ["test", "-e", self.at("ready")], when_changed=[trigger["address"]])
        assert self.outcomes(self.apply(trigger, command)) == {"f": "changed", "c": "failed"}
        verdict = self.plan(trigger, command)["command:c"]
        assert verdict["verdict"] == "change"
        assert "owed since run R1" in verdict["reason"]
        self.put("ready", "")
        assert self.outcomes(self.apply(trigger, command)) == {"f": "ok", "c": "changed"}
        assert self.outcomes(self.apply(trigger, command)) == {"f": "ok", "c": "ok"}

    def test_a_bug_in_a_type_fails_that_resource_and_leaks_no_value(self):
        results = self.apply(self.odd("o", text="canary-value", how="bug"), self.file("f"))
        assert self.outcomes(results) == {"o": "failed", "f": "changed"}
        assert "canary" not in repr(results["odd:" + self.at("o")]["error"])


class Stale(ExecutorCase):
    def test_a_host_that_moved_is_stale_and_nothing_is_written(self):
        """The resource that moved since the saved plan is named, and the others are left alone."""
        resources = [self.file("f", "new\n"), self.file("g", "new\n")]
        self.put("f", "old\n")
        observed = {address: one["found_hash"] for address, one in self.plan(*resources).items()}
        self.put("f", "moved\n")
        assert self.apply(*resources, catalogue={}, observed=observed) == {}
        assert self.ended["outcome"] == "stale"
        assert "file:" + self.at("f") in self.ended["reason"]
        assert not self.exists("g")
        self.put("f", "old\n")
        results = self.apply(*resources, catalogue={}, observed=observed)
        assert self.outcomes(results) == {"f": "changed", "g": "changed"}

    def test_what_the_plan_did_not_know_of_is_stale_too(self):
        """A resource that was as wanted when the plan was made is not changed by it."""
        resources = [self.file("f", "new\n"), self.file("g", "new\n")]
        self.put("g", "new\n")
        verdicts = self.plan(*resources)
        observed = {address: one["found_hash"] for address, one in verdicts.items() if one["verdict"] != "ok"}
        self.put("g", "by hand\n")
        self.apply(*resources, catalogue={}, observed=observed)
        assert (self.ended["outcome"], self.text("g")) == ("stale", "by hand\n")

    def test_what_moves_between_plan_and_go_is_noticed(self):
        """Also on one channel: the answer to a prompt may come late."""
        self.put("f", "old\n")
        controller = self.planned("apply", self.catalogue(self.file("f", "new\n")))
        self.put("f", "moved\n")
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        assert controller.until("end")["outcome"] == "stale"
        assert self.text("f") == "moved\n"

    def test_a_plan_is_used_once(self):
        """The second use is refused, with the run that used it."""
        self.apply(self.file("f"), catalogue={}, plan_id="V7KQ")
        os.unlink(self.at("f"))
        self.apply(self.file("f"), catalogue={}, plan_id="V7KQ")
        assert (self.ended["outcome"], self.ended["code"]) == ("refused", "E502")
        assert "V7KQ was applied here already, by run R1" in self.ended["reason"]
        assert not self.exists("f")


class Channel(ExecutorCase):
    def test_losing_the_channel_before_go_writes_nothing(self):
        controller = self.planned("apply", self.catalogue(self.file("f")))
        controller.hang_up()
        controller.wait()
        assert not self.exists("f")
        assert "undelivered" not in str(os.listdir(os.path.join(self.state, "undelivered")))

    def test_losing_the_channel_after_go_finishes_and_keeps_the_result(self):
        """The next contact hands the result over, until it is acknowledged."""
        resources = [self.odd("a", how="slow"), self.file("b")]
        controller = self.planned("apply", self.catalogue(*resources))
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        while not self.exists("a.begun"):
            time.sleep(0.01)
        controller.hang_up()
        controller.wait()
        assert self.text("b") == "x\n"
        later = self.order("facts")
        kept = later.until("ready")["memory"]["undelivered"]
        assert [one["run"] for one in kept] == ["R1"]
        assert [one["outcome"] for one in kept[0]["results"]] == ["changed", "changed"]
        assert (kept[0]["outcome"], kept[0]["counter"]) == ("applied", 1)
        later.until("end")
        later.send({"type": "ack", "runs": ["R1"]})
        later.wait()
        assert self.order("facts").until("ready")["memory"]["undelivered"] == []

    def test_known_results_are_not_handed_over_again(self):
        """An ack that was lost is made good by the next order."""
        self.apply(self.file("f"), ack=False)
        ready = self.order("facts", known=["R1"]).until("ready")
        assert ready["memory"]["undelivered"] == []

    def test_cancel_stops_at_the_next_border(self):
        """What runs is finished, the rest is skipped with that reason, also when the channel closes right after."""
        for hang_up in (False, True):
            resources = [self.odd(f"a{hang_up}", how="slow"), self.file(f"b{hang_up}")]
            controller = self.planned("apply", self.catalogue(*resources))
            controller.send({"type": "go", "plan_id": None, "observed": {}})
            while not self.exists(f"a{hang_up}.begun"):
                time.sleep(0.01)
            controller.send({"type": "cancel"})
            if hang_up:
                controller.hang_up()
            else:
                assert controller.until("end")["outcome"] == "stopped"
                assert [one["outcome"] for one in controller.of("result")] == ["changed", "skipped"]
                controller.hang_up()
            controller.wait()
            assert self.exists(f"a{hang_up}")
            assert not self.exists(f"b{hang_up}")

    def test_sigterm_and_sighup(self):
        """SIGHUP means nothing; SIGTERM stops at the next resource border."""
        controller = self.planned("apply", self.catalogue(self.odd("a", how="slow"), self.file("b")))
        os.kill(controller.pid, signal.SIGHUP)
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        while not self.exists("a.begun"):
            time.sleep(0.01)
        os.kill(controller.pid, signal.SIGTERM)
        assert controller.until("end")["outcome"] == "stopped"
        assert self.exists("a")
        assert not self.exists("b")

    def test_what_is_not_in_the_protocol_ends_the_session(self):
        """Unknown messages, keys, types and orders of messages are refused before anything is written."""
        for message in (
            {"type": "nonsense"},
            {"type": "go", "plan_id": None},
            {"type": "catalogue", "format": 2, "host": "web01", "associations": [], "resources": []},
            dict(self.catalogue(), surprise=1),
            self.catalogue(dict(self.file("f"), type="../etc")),
            self.catalogue(dict(self.odd("f"), address="file:" + self.at("f"))),
            dict(self.catalogue(), host="web02"),
        ):
            controller = self.order("apply")
            controller.until("ready")
            controller.send(message)
            end = controller.until("end")
            assert end["outcome"] in ("failed", "refused"), message
            controller.hang_up()
            controller.wait()
        assert os.listdir(self.machine) == []

    def test_a_blob_is_what_its_hash_says(self):
        """Other bytes than the announced ones are refused, and nothing is written."""
        entry = self.file("f", "good\n")
        self.blobs[entry["want"]["content"]["$blob"]] = b"evil\n"
        controller = self.planned("apply", self.catalogue(entry))
        assert controller.planned["outcome"] == "failed"
        assert not self.exists("f")

    def test_large_contents_go_through_a_file(self):
        """More than fits into memory is stored on the way, and the store is swept."""
        text = "x" * (3 * 1024 * 1024)
        entry = self.file("f", text)
        data = self.blobs[entry["want"]["content"]["$blob"]]

        class Pieces(bytes):
            """os.write of one frame is limited, so the harness sends pieces."""

        controller = self.planned("apply", self.catalogue(entry))
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        import select

        from statectl.onhost import protocol

        select.select([controller.source], [], [], 10)
        os.read(controller.source, 65536)  # need
        controller.send({"type": "blob", "sha256": entry["want"]["content"]["$blob"], "size": len(data)})
        for start in range(0, len(data), 65536):
            frame = protocol.encode_blob(data[start : start + 65536])
            while frame:
                frame = frame[os.write(controller.to, frame) :]
        limit = time.time() + 10
        while not self.exists("f") and time.time() < limit:
            time.sleep(0.02)
        controller.hang_up()
        controller.wait()
        assert os.path.getsize(self.at("f")) == len(data)
        assert os.listdir(os.path.join(self.state, "tmp")) == []


if __name__ == "__main__":
    unittest.main()
