import os
import pwd
import re
import unittest

from type_case import TypeCase, delivered

from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.resources import file

ME = pwd.getpwuid(os.geteuid()).pw_name


class Files(TypeCase):
    module = file

    def setUp(self):
        TypeCase.setUp(self)
        self.directory("/etc")

    def test_a_new_file_is_made_and_then_right(self):
        """A missing file is made with its content, readable by all unless a mode says otherwise."""
        want = self.want("/etc/motd", content=delivered("hello\n"))
        assert self.found(want).state == "absent"
        self.converge(want)
        assert self.bytes_of("/etc/motd") == b"hello\n"
        assert self.mode_of("/etc/motd") == 0o644

    def test_content_is_compared_without_having_it(self):
        """An unchanged file needs no blob: hash and size are enough to see that it is right."""
        self.put("/etc/motd", b"hello\n")
        promised = Content.wanted(delivered("hello\n").sha256, 6)
        assert self.differing(self.want("/etc/motd", content=promised)) == []

    def test_only_the_field_that_differs_is_touched(self):
        """A mode put right leaves the file itself alone: same inode, same times."""
        self.put("/etc/motd", b"hello\n", 0o600)
        before = os.stat(self.at("/etc/motd"))
        assert self.converge(self.want("/etc/motd", content=delivered("hello\n"), mode="0644")) == ["mode"]
        after = os.stat(self.at("/etc/motd"))
        assert (before.st_ino, before.st_mtime) == (after.st_ino, after.st_mtime)

    def test_new_content_keeps_the_mode_nobody_declared(self):
        """What is not declared stays as it was."""
        self.put("/etc/motd", b"old", 0o640)
        assert self.converge(self.want("/etc/motd", content=delivered("new"))) == ["content"]
        assert self.mode_of("/etc/motd") == 0o640

    def test_secret_content_is_closed(self):
        """A secret without a declared mode is readable by its owner only, whether the file is new or was open."""
        self.put("/etc/open", b"old", 0o644)
        for path in ("/etc/new", "/etc/open"):
            self.converge(self.want(path, content=delivered("s3cret", secret=True)))
            assert self.mode_of(path) == 0o600
        self.converge(self.want("/etc/new", content=delivered("s3cret2", secret=True), mode="0640"))
        assert self.mode_of("/etc/new") == 0o640

    def test_without_content_only_the_mode_is_managed(self):
        """A declared mode never costs content; a missing file is made empty."""
        self.put("/etc/shadow", b"root:x", 0o644)
        assert self.converge(self.want("/etc/shadow", mode="0600")) == ["mode"]
        assert self.bytes_of("/etc/shadow") == b"root:x"
        self.converge(self.want("/etc/stamp", mode="0600"))
        assert (self.bytes_of("/etc/stamp"), self.mode_of("/etc/stamp")) == (b"", 0o600)

    def test_an_owner_is_compared_in_the_form_it_was_wanted(self):
        """`root` and `0` are the same user; neither spelling shows a change for ever."""
        self.put("/etc/motd")
        assert self.differing(self.want("/etc/motd", owner=ME)) == []
        assert self.differing(self.want("/etc/motd", owner=str(os.geteuid()))) == []
        assert self.differing(self.want("/etc/motd", group=str(os.lstat(self.at("/etc/motd")).st_gid))) == []

    def test_an_owner_that_does_not_exist_can_be_planned_but_not_applied(self):
        """The plan may be about to make the user, so reading works; applying without it fails by name and changes nothing."""
        self.put("/etc/motd", b"old")
        want = self.want("/etc/motd", content=delivered("new"), owner="no-such-user")
        assert self.differing(want) == ["content", "owner"]
        assert self.failure(want) == "/etc/motd: no such user: no-such-user"

    @unittest.skipUnless(os.geteuid() == 0, "needs root: gives a file to another user")
    def test_a_change_of_owner_keeps_setuid(self):
        """The kernel clears setuid bits on a change of owner; nobody asked for that."""
        self.put("/etc/tool", b"", 0o4755)
        assert self.converge(self.want("/etc/tool", owner="4711")) == ["owner"]
        assert self.mode_of("/etc/tool") == 0o4755
        assert os.lstat(self.at("/etc/tool")).st_uid == 4711

    def test_a_check_that_fails_keeps_the_old_file(self):
        """`validate` sees the new file before anybody else does."""
        self.put("/etc/motd", b"old")
        check = ["grep", "-q", "good", "%s"]
        assert "grep exited with code 1" in self.failure(
            self.want("/etc/motd", content=delivered("bad"), validate=check)
        )
        self.converge(self.want("/etc/motd", content=delivered("good"), validate=check))
        assert self.bytes_of("/etc/motd") == b"good"
        assert os.listdir(self.at("/etc")) == ["motd"]

    def test_backup_keeps_a_copy_as_readable_as_the_file(self):
        """The copy beside the file has its content and mode, before a replacement and before a removal; none for a new file."""
        self.put("/etc/motd", b"old", 0o600)
        self.converge(self.want("/etc/motd", content=delivered("new"), backup=True))
        copies = [name for name in os.listdir(self.at("/etc")) if name != "motd"]
        assert len(copies) == 1
        assert re.match(r"motd\.\d{8}T\d{6}Z~\Z", copies[0])
        assert self.bytes_of("/etc/" + copies[0]) == b"old"
        assert self.mode_of("/etc/" + copies[0]) == 0o600
        os.unlink(self.at("/etc/" + copies[0]))
        self.converge(self.want("/etc/motd", state="absent", backup=True))
        assert len(os.listdir(self.at("/etc"))) == 1
        self.converge(self.want("/etc/fresh", content=delivered("x"), backup=True))
        assert len(os.listdir(self.at("/etc"))) == 2

    def test_what_is_no_file_is_refused_and_never_blocks(self):
        """A link, directory, fifo or socket at the path is neither followed, read nor replaced."""
        self.put("/etc/real", b"mine")
        os.symlink("real", self.at("/etc/link"))
        os.symlink("nowhere", self.at("/etc/dangling"))
        self.directory("/etc/dir")
        os.mkfifo(self.at("/etc/fifo"))
        expected = {
            "link": "/etc/link is a symbolic link to real; declare the file it points to, or remove the link first",
            "dangling": "/etc/dangling is a symbolic link to nowhere; declare the file it points to, or remove the link first",
            "dir": "/etc/dir is a directory; it is not replaced by a file; remove it first",
            "fifo": "/etc/fifo is a named pipe; it is not replaced by a file; remove it first",
        }
        for name, text in expected.items():
            want = self.want("/etc/" + name, content=delivered("new"))
            assert self.refusal(want) == text
            assert self.failure(want) == text
        assert self.bytes_of("/etc/real") == b"mine"

    def test_absent(self):
        """`absent` removes a file, the link itself and a fifo; never a directory; a missing file is right already."""
        self.put("/etc/real", b"mine")
        os.symlink("real", self.at("/etc/link"))
        os.mkfifo(self.at("/etc/fifo"))
        self.directory("/etc/dir")
        for name in ("link", "fifo"):
            assert self.converge(self.want("/etc/" + name, state="absent")) == ["state"]
        assert self.bytes_of("/etc/real") == b"mine"
        assert self.converge(self.want("/etc/real", state="absent")) == ["state"]
        assert self.converge(self.want("/etc/nothing/here", state="absent")) == []
        assert self.failure(self.want("/etc/dir", state="absent")) == (
            "/etc/dir is a directory; declare it absent under directories"
        )

    def test_a_missing_directory_is_named(self):
        """The failure says which directory is missing."""
        assert self.failure(self.want("/etc/a/b/c", content=delivered("x"))) == (
            "/etc/a/b/c: directory missing: /etc/a"
        )

    def test_odd_bytes_are_kept(self):
        """Binary, invalid UTF-8, CRLF and a missing final newline arrive byte for byte."""
        data = b"\xef\xbb\xbf\x00\xff\xfe a\r\nb"
        self.converge(self.want("/etc/blob", content=delivered(data)))
        assert self.bytes_of("/etc/blob") == data

    @unittest.skipIf(os.geteuid() == 0, "root can read everything")
    def test_one_unreadable_file_costs_the_others_nothing(self):
        """What cannot be read says why; the rest of the batch is read."""
        self.put("/etc/closed", b"", 0o000)
        self.put("/etc/open", b"x")
        wanted = [self.want("/etc/" + name, content=delivered("x")) for name in ("closed", "open")]
        found = file.read(self.host, wanted)
        assert isinstance(found["/etc/closed"], Failed)
        assert found["/etc/open"].state == "present"

    def test_removal(self):
        """Ours goes, an adopted one gets back what it had, and what `absent` removed does not come back."""
        old = delivered("old")
        record = {"name": "/etc/x", "created": True, "before": {"state": "absent"}, "want": {"state": "present"}}
        assert file.removal(record) == file.Desired("/etc/x", state="absent")
        record.update(created=False, before={"state": "present", "content": old, "mode": "0640", "owner": None})
        assert file.removal(record) == file.Desired("/etc/x", content=old, mode="0640", state="present")
        record["want"] = {"state": "absent"}
        assert file.removal(record) is None


if __name__ == "__main__":
    unittest.main()
