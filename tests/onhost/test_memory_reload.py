"""Between its first look and the lock, an executor's memory may have been written by another: what counts is what the files hold then."""

import os
import shutil
import tempfile
import unittest

from statectl.onhost.content import Content
from statectl.onhost.memory import Memory

X = {"association": "a", "project": "p", "run": "R1", "before": None}


class Reload(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.place)
        self.ours, self.theirs = Memory(self.place), Memory(self.place)
        self.ours.load()
        self.theirs.load()
        self.theirs.begin("R1", None, "bob@desk", None, None)

    def test_what_another_run_has_stored_is_seen(self):
        """Its ledger is the one to go by, and its number is not used again."""
        self.theirs.ledger["file:/x"] = X
        self.theirs.finish({"type": "end", "run": "R1", "outcome": "done"})
        self.ours.reload()
        assert self.ours.ledger == {"file:/x": X}
        self.ours.recover(lambda directory: None)
        assert self.ours.begin("R2", None, "eve@desk", None, None) == 2
        self.ours.finish({"type": "end", "run": "R2", "outcome": "done"})

    def test_what_an_interrupted_run_announced_and_took_back_is_forgotten(self):
        """A journal is taken into account as it is now, not added to what was read of it before."""
        self.theirs.journal.add({"what": "intent", "address": "file:/x", "entry": X, "owes": {}})
        self.ours.reload()
        assert self.ours.ledger == {"file:/x": X}
        self.theirs.journal.add({"what": "released", "address": "file:/x"})
        self.theirs.finish({"type": "end", "run": "R1", "outcome": "done"})
        self.ours.reload()
        assert self.ours.ledger == {}

    def test_a_kept_content_is_known_at_once(self):
        """Whether it was asked for before it was kept or not."""
        path = os.path.join(self.place, "found")
        with open(path, "wb") as stream:
            stream.write(b"as it was\n")
        identity = "ab" * 32
        assert identity not in self.ours.preimages
        assert self.ours.preimages.put(Content.of_file(path), identity)
        assert identity in self.ours.preimages


if __name__ == "__main__":
    unittest.main()
