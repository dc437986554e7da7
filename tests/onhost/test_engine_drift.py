"""Drift compares a host with what was last applied to it, from its own memory: no files, no store, no contents travel."""

import os
import unittest

from executor_case import ExecutorCase


class Drift(ExecutorCase):
    def drift(self):
        """-> {last part of the address: verdict message}"""
        controller = self.order("drift")
        self.ended = controller.until("end")
        controller.hang_up()
        controller.wait()
        self.controller = controller
        return {one["address"].rpartition("/")[2]: one for one in controller.of("verdict")}

    def different(self):
        return {name: one["verdict"] for name, one in self.drift().items() if one["verdict"] != "ok"}

    def test_a_hand_edit_is_shown_line_by_line(self):
        """The old text comes from the host's own copy; who moved is the machine."""
        self.apply(self.file("a", "one\ntwo\n"), self.file("b"))
        assert self.different() == {}
        self.put("a", "one\ntwo\nthree\n")
        verdict = self.drift()["a"]
        assert verdict["changes"][0]["diff"][-1] == "-three"
        assert (verdict["verdict"], verdict["kind"]) == ("change", "corrective")
        assert self.controller.of("need") == []
        assert self.text("a") == "one\ntwo\nthree\n"

    def test_what_is_not_applied_yet_is_no_drift(self):
        """Nor is what was never reached: a resource that failed."""
        self.apply(self.file("a"), self.odd("o", how="fails"))
        assert self.different() == {}

    def test_what_was_removed_by_hand_and_what_came_back_are_drift(self):
        self.put("gone", "x")
        self.apply(self.file("a"), self.absent("gone"))
        os.unlink(self.at("a"))
        self.put("gone", "x")
        assert self.different() == {"a": "change", "gone": "change"}

    def test_a_secret_is_compared_without_being_known(self):
        """The host holds only its keyed hash: a changed secret file is drift, an unchanged one is not."""
        self.secrets = {"s1": "hunter2-canary"}
        content = {"$parts": ["key=", {"$secret": "s1"}]}
        self.apply(self.resource("file", self.at("key"), state="present", content=content))
        assert self.different() == {}
        self.put("key", "key=other")
        verdict = self.drift()["key"]
        assert verdict["changes"] == [{"field": "content", "secret": True}]
        assert "canary" not in repr(self.controller.messages)

    def test_orphans_are_drift_only_when_they_move(self):
        """Deleted from the files and kept: it was applied last as it is."""
        self.apply(self.file("a"), self.file("b"))
        self.apply(self.file("a"))
        assert self.different() == {}

    def test_a_host_that_was_never_applied_to_has_no_drift(self):
        assert self.drift() == {}
        assert self.ended["outcome"] == "planned"


if __name__ == "__main__":
    unittest.main()
