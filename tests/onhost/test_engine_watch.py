"""What a run started is told at its end, when it has stayed up."""

import os
import unittest

from executor_case import ExecutorCase


class Watched(ExecutorCase):
    def watched(self, says="stays"):
        daemon = self.daemon()
        self.put("daemon.watched", says)
        return daemon

    def test_it_is_told_once_and_last(self):
        """What comes after it goes on meanwhile; it is called changed when it has stayed up."""
        daemon = self.watched()
        after = self.command("c", ["touch", self.at("made")], creates=self.at("made"), after=[daemon["address"]])
        results = self.apply(daemon, after)
        assert list(self.outcomes(results).items()) == [("c", "changed"), ("daemon", "changed")]
        assert self.ended["outcome"] == "applied"
        assert self.ended["counts"]["changed"] == 2

    def test_what_falls_has_failed(self):
        """One result, failed, with the cause; the next apply starts it again and is as intended as the first."""
        daemon = self.watched("falls")
        result = self.apply(daemon)[daemon["address"]]
        assert (result["outcome"], result["reason"]) == ("failed", "active for 2.0 s, then failed")
        assert len(self.controller.of("result")) == 1
        assert (self.ended["outcome"], self.ended["reason"]) == ("failed", "")
        assert self.ended["counts"] == {"ok": 0, "changed": 0, "failed": 1, "skipped": 0, "unknown": 0}
        self.put("daemon.watched", "stays")
        result = self.apply(daemon)[daemon["address"]]
        assert (result["outcome"], result["kind"]) == ("changed", "intended")

    def test_a_restart_that_is_followed_by_its_end_has_failed_and_stays_owed(self):
        """Said as failed, never as done first."""
        daemon = self.watched("falls")
        self.put("daemon", "1")
        resources = [self.file("f", notify=[daemon["address"]]), daemon]
        self.apply(*resources)
        assert [(told["outcome"], told["error"]["message"]) for told in self.notified] == [
            ("failed", "active for 2.0 s, then failed")
        ]
        assert self.ended["outcome"] == "failed"
        assert list(self.record("debt.json")) == [daemon["address"]]

    def test_started_and_notified_are_watched_together(self):
        """One wait for all daemons, however they were started; a run that starts nothing looks at nothing."""
        daemon = self.watched()
        self.put("daemon", "1")
        resources = [self.file("f", notify=[daemon["address"]]), daemon]
        self.apply(*resources)
        assert [told["outcome"] for told in self.notified] == ["changed"]
        assert self.text("daemon.looks") == "daemon\n"
        self.apply(*resources)
        assert self.text("daemon.looks") == "daemon\n"

    def test_a_run_that_cannot_go_on_tells_what_it_started(self):
        """Its record is taken away in the middle: what was done before is told all the same, and nothing of it twice."""
        journal = os.path.join(self.state, "journal.jsonl")
        daemon = self.watched()
        gone = self.command("c", ["rm", journal], after=[daemon["address"]], creates=self.at("never"))
        assert self.outcomes(self.apply(daemon, gone)) == {"daemon": "changed"}
        assert (self.ended["outcome"], self.ended["code"]) == ("failed", "E508")

    def test_killed_while_it_is_watched(self):
        """What was done before is kept: nothing is done twice, and what does not run is seen by the next run."""
        daemon = self.watched()
        self.put("daemon", "1")
        self.put("daemon.kill-watch", "")
        resources = [self.file("f", notify=[daemon["address"]]), daemon]
        self.apply_until_killed(*resources)
        assert self.outcomes(self.apply(*resources)) == {"f": "ok", "daemon": "ok"}
        assert self.text("daemon.log") == "restart\n"


if __name__ == "__main__":
    unittest.main()
