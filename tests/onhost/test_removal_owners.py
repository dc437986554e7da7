"""What goes must be ours alone: not another project's, not another resource's, not what a link leads to."""

import os
import unittest

from executor_case import ExecutorCase


class Owners(ExecutorCase):
    def declared_by(self, project, *names, **options):
        return self.apply(*[self.file(name) for name in names], project=project, **options)

    def test_what_two_projects_declare_goes_with_the_last_of_them(self):
        """Whoever applied last: as long as one project declares a file, the prune of the other lets go of its part and no more."""
        self.declared_by("one", "keep", "both")
        self.declared_by("two", "else", "both")  # the last to have applied it
        self.declared_by("two", "else", prune=True)
        assert self.exists("both")
        ledger = self.record("ledger.json")
        assert ledger["file:" + self.at("both")]["projects"] == ["one"]
        self.declared_by("two", "else", prune=True)
        assert self.exists("both")
        self.declared_by("one", "keep", prune=True)
        assert not self.exists("both")

    def test_a_path_that_leads_elsewhere_now_is_left(self):
        """The directory became a link to one of somebody else: the file of the same name there is not what we made."""
        self.put("keep", "x\n")
        os.mkdir(self.at("d"))
        self.apply(self.file("keep"), self.file("d/f"))
        os.rename(self.at("d"), self.at("old"))
        os.mkdir(self.at("theirs"))
        self.put("theirs/f", "theirs\n")
        os.symlink("theirs", self.at("d"))
        verdict = self.plan(self.file("keep"), prune=True)["file:" + self.at("d/f")]
        assert verdict["action"] == "orphan"
        assert "its directory leads elsewhere now" in verdict["reason"]
        self.apply(self.file("keep"), prune=True)
        assert self.text("theirs/f") == "theirs\n"

    def test_what_was_found_behind_the_link_is_put_back(self):
        """Applied through the link, the file there was adopted, not made: pruning restores it."""
        os.mkdir(self.at("d"))
        self.apply(self.file("keep"), self.file("d/f"))
        os.rename(self.at("d"), self.at("old"))
        os.mkdir(self.at("theirs"))
        self.put("theirs/f", "theirs\n")
        os.symlink("theirs", self.at("d"))
        self.apply(self.file("keep"), self.file("d/f"))
        assert self.text("theirs/f") == "x\n"
        self.apply(self.file("keep"), prune=True)
        assert self.text("theirs/f") == "theirs\n"

    def test_a_file_that_became_a_link_is_not_removed_as_a_file(self):
        """The path is declared as another type: the orphan of the old type must not take the new one away."""
        self.apply(self.file("keep"), self.file("f"))
        link = self.resource("link", self.at("f"), state="present", to="keep", force=True)
        self.apply(self.file("keep"), link, prune=True)
        assert os.readlink(self.at("f")) == "keep"
        assert "file:" + self.at("f") not in self.record("ledger.json")

    def test_a_link_of_another_project_is_not_removed_as_our_file(self):
        """The other project replaced our file by its link: pruning our file forgets it."""
        self.declared_by("one", "keep", "f")
        link = self.resource("link", self.at("f"), state="present", to="keep", force=True)
        self.apply(self.file("else"), link, project="two")
        self.declared_by("one", "keep", prune=True)
        assert os.readlink(self.at("f")) == "keep"


if __name__ == "__main__":
    unittest.main()
