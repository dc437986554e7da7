import errno
import os
import pwd
import unittest
from unittest import mock

from type_case import TypeCase

from statectl.onhost.failure import Failed
from statectl.onhost.resources import directory

ME = pwd.getpwuid(os.geteuid()).pw_name


class Directories(TypeCase):
    module = directory

    def setUp(self):
        TypeCase.setUp(self)
        self.directory("/srv")

    def test_a_directory_is_made_and_then_right(self):
        """A missing directory is made with its mode; 0755 when none is wanted."""
        self.converge(self.want("/srv/a"))
        self.converge(self.want("/srv/b", mode="2770", owner=ME))
        assert (self.mode_of("/srv/a"), self.mode_of("/srv/b")) == (0o755, 0o2770)

    def test_only_the_mode_is_put_right(self):
        """A field that differs is the only one touched."""
        self.directory("/srv/a", 0o700)
        assert self.converge(self.want("/srv/a", mode="0750", owner=ME)) == ["mode"]
        assert self.mode_of("/srv/a") == 0o750

    def test_a_missing_parent_is_named(self):
        """Only one level is made: who owns the parent is a declaration of its own."""
        assert self.failure(self.want("/srv/a/b")) == "/srv/a/b: directory missing: /srv/a"

    def test_what_is_no_directory_is_refused(self):
        """A file or a link at the path is neither replaced nor followed, and `absent` does not remove it either."""
        self.put("/srv/file", b"mine")
        os.symlink("file", self.at("/srv/link"))
        assert self.failure(self.want("/srv/file")) == "/srv/file is a file; remove it first"
        assert self.failure(self.want("/srv/link")) == (
            "/srv/link is a symbolic link to file; declare the directory it points to"
        )
        for name in ("/srv/file", "/srv/link"):
            assert "removes only directories" in self.failure(self.want(name, state="absent"))

    def test_absent_says_how_much_goes(self):
        """The plan of a removal counts what is below."""
        self.put("/srv/a/b/c")
        self.put("/srv/a/d")
        want = self.want("/srv/a", state="absent")
        assert self.found(want).state == "present, 3 entries"
        self.converge(want)
        assert not os.path.exists(self.at("/srv/a"))
        assert self.converge(want) == []

    def test_a_system_directory_is_never_removed_or_emptied(self):
        """Not by its own name and not by the name of a link above it."""
        self.put("/usr/lib/x")
        os.symlink("usr", self.at("/system"))
        for path in ("/usr", "/usr/lib", "/system/lib"):
            assert "refused for a system directory" in self.failure(self.want(path, state="absent"))
            assert "refused for a system directory" in self.failure(self.want(path, exclusive=True, declared=[]))
            assert "refused for a system directory" in self.failure(self.want(path, recurse=True, mode="0700"))

    def test_exclusive_lists_and_removes_what_is_not_declared(self):
        """The plan names each entry; a directory goes with its content, a link without what it points to."""
        self.put("/srv/a/keep")
        self.put("/srv/a/old")
        self.put("/srv/a/old.d/x")
        self.put("/srv/precious")
        os.symlink("/srv/precious", self.at("/srv/a/way"))
        want = self.want("/srv/a", exclusive=True, declared=["keep", "later/below"])
        assert self.found(want).exclusive == ["old", "old.d/ (1 entry)", "way"]
        assert self.converge(want) == ["exclusive"]
        assert os.listdir(self.at("/srv/a")) == ["keep"]
        assert os.path.exists(self.at("/srv/precious"))

    def test_exclusive_removes_only_what_the_plan_named(self):
        """What appears between the reading and the applying is not removed unseen."""
        self.put("/srv/a/old")
        want = self.want("/srv/a", exclusive=True, declared=[])
        found = self.found(want)
        self.put("/srv/a/new")
        directory.apply(self.host, want, found, ["exclusive"])
        assert os.listdir(self.at("/srv/a")) == ["new"]

    def test_exclusive_makes_the_directory_durable_once(self):
        """Of a hundred thousand entries none waits for the disk; what is gone is durable when all are, also when one could not go."""
        for number in range(30):
            self.put("/srv/a/old%d" % number)
        want = self.want("/srv/a", exclusive=True, declared=[])
        found = self.found(want)
        done, real_sync, real_unlink = [], os.fsync, os.unlink

        def unlink(name, **more):
            if name == "old7" and "refuse" in done:
                raise OSError(errno.EPERM, "not this one")
            done.append("unlink")
            real_unlink(name, **more)

        def sync(fd):
            assert os.path.samestat(os.fstat(fd), os.stat(self.at("/srv/a")))
            done.append("sync")
            real_sync(fd)

        with mock.patch.object(os, "fsync", sync), mock.patch.object(os, "unlink", unlink):
            directory.apply(self.host, want, found, ["exclusive"])
            assert done == ["unlink"] * 30 + ["sync"]
            self.put("/srv/a/old1")
            self.put("/srv/a/old7")
            done[:] = ["refuse"]
            with self.assertRaises(Failed):  # noqa: PT027  unittest, on Python 3.6
                directory.apply(self.host, want, self.found(want), ["exclusive"])
        assert done == ["refuse", "unlink", "sync"]

    def test_exclusive_without_the_declared_names_removes_nothing(self):
        """Not knowing what is declared is not the same as nothing being declared."""
        self.put("/srv/a/keep")
        assert "did not come along" in self.failure(self.want("/srv/a", exclusive=True))

    def test_recurse_as_chmod_x_would(self):
        """Files lose execute bits of the mode unless executable already; links and what they point to are left alone."""
        self.put("/srv/a/plain", b"", 0o600)
        self.put("/srv/a/sub/tool", b"", 0o700)
        self.put("/srv/outside", b"", 0o600)
        os.symlink("/srv/outside", self.at("/srv/a/way"))
        os.symlink("..", self.at("/srv/a/loop"))
        self.directory("/srv/a/sub", 0o700)
        want = self.want("/srv/a", mode="0755", owner=ME, recurse=True)
        assert self.found(want).recurse == ["plain: mode 0600", "sub: mode 0700", "sub/tool: mode 0700"]
        assert self.converge(want) == ["recurse"]
        modes = [self.mode_of("/srv/a" + name) for name in ("", "/plain", "/sub", "/sub/tool")]
        assert modes == [0o755, 0o644, 0o755, 0o755]
        assert self.mode_of("/srv/outside") == 0o600

    def test_what_recurse_found_is_bounded_and_still_tells_changes_apart(self):
        """A hundred wrong entries are twenty lines and a hash of all."""
        for number in range(100):
            self.put(f"/srv/a/0{number:02d}", b"", 0o600)
        want = self.want("/srv/a", mode="0755", recurse=True)
        first = self.found(want).recurse
        assert len(first) == 21
        assert first[-1].startswith("... 80 more (")
        os.chmod(self.at("/srv/a/099"), 0o604)
        assert self.found(want).recurse != first

    @unittest.skipUnless(os.geteuid() == 0, "needs root: gives files to another user")
    def test_recurse_hands_over_owners(self):
        """Owner and group hold below as well."""
        self.put("/srv/a/b/c")
        self.converge(self.want("/srv/a", owner="4711", group="4712", recurse=True))
        status = os.lstat(self.at("/srv/a/b/c"))
        assert (status.st_uid, status.st_gid) == (4711, 4712)

    def test_removal(self):
        """Ours goes, but only empty; an adopted one gets its mode back."""
        record = {"name": "/srv/a", "created": True, "before": {"state": "absent"}, "want": {"state": "present"}}
        want = directory.removal(record)
        self.put("/srv/a/foreign")
        assert self.failure(want) == ("/srv/a is left in place: it holds 1 entry that statectl did not make: foreign")
        os.unlink(self.at("/srv/a/foreign"))
        self.converge(want)
        assert not os.path.exists(self.at("/srv/a"))
        record.update(created=False, before={"state": "present", "mode": "0700"})
        assert directory.removal(record) == directory.Desired("/srv/a", mode="0700", state="present")
        record["want"] = {"state": "absent"}
        assert directory.removal(record) is None


if __name__ == "__main__":
    unittest.main()
