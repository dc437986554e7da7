"""What is deleted from the files is kept until somebody says otherwise, and nothing is removed on doubt."""

import os
import unittest

from executor_case import ExecutorCase


class Prune(ExecutorCase):
    def address(self, name):
        return "file:" + self.at(name)

    def test_an_orphan_is_kept_and_shown(self):
        """A plain apply leaves it, again and again."""
        self.apply(self.file("keep"), self.file("gone"))
        for _ in range(2):
            verdict = self.plan(self.file("keep"))[self.address("gone")]
            assert (verdict["verdict"], verdict["action"]) == ("orphan", "orphan")
            assert self.ended["counts"]["orphan"] == 1
            self.apply(self.file("keep"))
            assert self.exists("gone")

    def test_prune_removes_what_was_made_and_restores_what_was_adopted(self):
        """Created: gone. Adopted: content, mode as before. Then the plan is empty."""
        self.put("adopted", "theirs\n")
        os.chmod(self.at("adopted"), 0o640)
        self.apply(self.file("keep"), self.file("made"), self.file("adopted", "ours\n", mode="0600"))
        assert self.text("adopted") == "ours\n"
        verdicts = self.plan(self.file("keep"), prune=True)
        assert {
            name: (verdicts[self.address(name)]["verdict"], verdicts[self.address(name)]["action"])
            for name in ("made", "adopted")
        } == {"made": ("change", "remove"), "adopted": ("change", "change")}
        results = self.apply(self.file("keep"), prune=True)
        assert self.outcomes(results) == {"keep": "ok", "made": "changed", "adopted": "changed"}
        assert not self.exists("made")
        assert (self.text("adopted"), os.stat(self.at("adopted")).st_mode & 511) == ("theirs\n", 416)
        assert list(self.record("ledger.json")) == [self.address("keep")]
        assert self.verdicts(self.plan(self.file("keep"), prune=True)) == {"keep": "ok"}

    def test_what_was_adopted_as_it_should_be_is_restored_after_later_changes(self):
        """Found as wanted at first, changed by a later commit: the first content comes back."""
        self.put("f", "one\n")
        self.apply(self.file("keep"), self.file("f", "one\n"))
        self.apply(self.file("keep"), self.file("f", "two\n"))
        self.apply(self.file("keep"), prune=True)
        assert self.text("f") == "one\n"

    def test_removals_go_in_reverse_order(self):
        """The file before the directory that was made for it."""
        directory = self.resource("directory", self.at("d"), state="present")
        self.apply(self.file("keep"), directory, self.file("d/f", after=[directory["address"]]))
        results = self.apply(self.file("keep"), prune=True)
        assert self.outcomes(results) == {"keep": "ok", "f": "changed", "d": "changed"}
        assert not self.exists("d")

    def test_release_forgets_and_leaves(self):
        self.apply(self.file("keep"), self.file("gone"), self.file("left", on_removal="leave"))
        self.apply(self.file("keep"), self.file("left", on_removal="leave"), release=True)
        assert self.exists("gone")
        assert self.address("gone") not in self.record("ledger.json")
        self.apply(self.file("keep"), prune=True)
        assert self.exists("left")
        assert list(self.record("ledger.json")) == [self.address("keep")]

    def test_on_removal_delete_removes_what_was_adopted(self):
        self.put("f", "theirs\n")
        self.apply(self.file("keep"), self.file("f", on_removal="delete"))
        self.apply(self.file("keep"), prune=True)
        assert not self.exists("f")

    def test_protect_and_max_removals_refuse_the_whole(self):
        """Nothing is removed, the reason names what stands in the way; --release still lets go."""
        self.apply(self.file("keep"), self.file("a"), self.file("b", protect=True))
        self.apply(self.file("keep"), prune=True)
        assert (self.ended["outcome"], self.ended["code"]) == ("refused", "E505")
        assert self.address("b") in self.ended["reason"]
        assert self.exists("a")
        limits = {"max_removals": 1}
        self.apply(self.file("keep"), prune=True, limits=limits)
        assert "max_removals allows (1)" in self.ended["reason"]
        assert self.exists("a")
        self.apply(self.file("keep"), release=True)
        assert self.ended["outcome"] == "applied"

    def test_an_empty_render_removes_nothing(self):
        """A catalogue without any resource is refused with --prune, and harmless without."""
        self.apply(self.file("a"))
        self.apply(prune=True)
        assert self.ended["outcome"] == "refused"
        assert "empty render" in self.ended["reason"]
        self.apply()
        assert self.exists("a")

    def test_a_renamed_association_removes_nothing(self):
        """The address is still declared, by whoever: no orphan, only a new owner."""
        self.apply(self.file("a", association="old"))
        verdicts = self.plan(self.file("a", association="new"), prune=True)
        assert self.verdicts(verdicts) == {"a": "ok"}
        self.apply(self.file("a", association="new"), prune=True)
        assert self.record("ledger.json")[self.address("a")]["association"] == "new"

    def test_a_lost_ledger_removes_nothing(self):
        self.apply(self.file("keep"), self.file("a"))
        os.unlink(os.path.join(self.state, "ledger.json"))
        self.apply(self.file("keep"), prune=True)
        assert self.exists("a")

    def test_what_another_project_declared_is_not_ours_to_prune(self):
        """Two projects may manage one host; neither sees what only the other knows as no longer declared."""
        self.apply(self.file("theirs"), project="theirs")
        self.apply(self.file("keep"), self.file("a"), project="ours")
        verdicts = self.plan(self.file("keep"), project="ours", prune=True)
        assert self.verdicts(verdicts) == {"keep": "ok", "a": "change"}
        self.apply(self.file("keep"), project="ours", prune=True)
        assert [self.exists(name) for name in ("theirs", "a")] == [True, False]

    def test_orphans_of_unselected_associations_are_not_touched(self):
        """Those of selected ones and of ones that are declared no more are."""
        self.apply(
            self.file("keep", association="web"),
            self.file("a", association="web"),
            self.file("b", association="base"),
            self.file("c", association="past"),
        )
        associations = [{"name": "web"}, {"name": "base", "selected": False}]
        self.apply(self.file("keep", association="web"), associations=associations, prune=True)
        assert [self.exists(name) for name in "abc"] == [False, True, False]

    def test_the_end_of_an_absence_is_silent(self):
        """`absent` deleted from the files leaves nothing to remove: it is forgotten without a word."""
        self.put("old", "x")
        self.apply(
            self.file("keep"), self.absent("old"), self.command("c", ["touch", self.at("m")], creates=self.at("m"))
        )
        assert self.verdicts(self.plan(self.file("keep"))) == {"keep": "ok"}
        self.apply(self.file("keep"))
        assert list(self.record("ledger.json")) == [self.address("keep")]
        assert self.exists("m")

    def test_made_again_after_an_absence_is_ours(self):
        """Adopted, declared absent, declared again: the file that --prune finds is the one we made."""
        self.put("f", "theirs\n")
        self.apply(self.file("keep"), self.absent("f"))
        self.apply(self.file("keep"), self.file("f"))
        self.apply(self.file("keep"), prune=True)
        assert not self.exists("f")

    def test_what_is_gone_already_is_only_forgotten(self):
        self.apply(self.file("keep"), self.file("a"))
        os.unlink(self.at("a"))
        assert self.verdicts(self.plan(self.file("keep"), prune=True)) == {"keep": "ok"}
        self.apply(self.file("keep"), prune=True)
        assert list(self.record("ledger.json")) == [self.address("keep")]

    def test_a_removal_notifies(self):
        """The service that read the file restarts."""
        daemon = self.daemon()
        self.put("daemon", "1")
        self.apply(daemon, self.file("conf", notify=[daemon["address"]]))
        os.unlink(self.at("daemon.log"))
        self.apply(daemon, prune=True)
        assert not self.exists("conf")
        assert self.text("daemon.log") == "restart\n"

    def test_removals_wait_for_an_association_without_failures(self):
        """When its association failed, nothing of it is removed."""
        self.apply(self.file("keep"), self.file("a"))
        results = self.apply(self.odd("bad", how="fails"), prune=True)
        assert self.outcomes(results)["a"] == "skipped"
        assert self.exists("a")

    def test_made_before_a_kill_is_removed_later(self):
        """A crash between writing and recording does not turn what we made into what we found."""
        self.put("o.kill", "")
        keep, daemon = self.file("keep"), self.odd("o")
        self.apply_until_killed(keep, daemon)
        self.apply(keep, daemon)
        assert self.record("ledger.json")["odd:" + self.at("o")]["created"]


if __name__ == "__main__":
    unittest.main()
