import os
import unittest

from type_case import TypeCase

from statectl.onhost.resources import link


class Links(TypeCase):
    module = link

    def setUp(self):
        TypeCase.setUp(self)
        self.directory("/etc")

    def test_a_link_is_made_and_then_right(self):
        """A link that is missing is made; the next reading finds nothing to do."""
        assert self.converge(self.want("/etc/x", to="../y")) == ["to", "state"]
        assert os.readlink(self.at("/etc/x")) == "../y"

    def test_a_wrong_target_is_put_right(self):
        """Only the target differs, and it need not exist."""
        os.symlink("/old", self.at("/etc/x"))
        assert self.converge(self.want("/etc/x", to="/nowhere")) == ["to"]

    def test_a_file_in_the_way_is_kept_without_force(self):
        """Nobody loses a file because a link was declared at its path; the plan already says so."""
        self.put("/etc/x", b"mine")
        want = self.want("/etc/x", to="/y")
        assert self.refusal(want) == "/etc/x is a file; `force: true` replaces it"
        assert self.failure(want)
        assert self.bytes_of("/etc/x") == b"mine"

    def test_force_replaces_a_file_and_an_empty_directory(self):
        """`force` is enough for what holds nothing or has its content kept as a pre-image."""
        self.put("/etc/x", b"mine")
        self.directory("/etc/d")
        for path in ("/etc/x", "/etc/d"):
            self.converge(self.want(path, to="/y", force=True))
            assert os.readlink(self.at(path)) == "/y"

    def test_a_directory_with_content_is_never_replaced(self):
        """Not even by `force`."""
        self.put("/etc/d/keep")
        want = self.want("/etc/d", to="/y", force=True)
        assert "not empty" in self.refusal(want)
        assert self.failure(want)
        assert os.path.exists(self.at("/etc/d/keep"))

    def test_a_fifo_is_never_replaced(self):
        """What is neither file, directory nor link is left to a person."""
        os.mkfifo(self.at("/etc/p"))
        assert "a named pipe" in self.refusal(self.want("/etc/p", to="/y", force=True))

    def test_absent_removes_links_only(self):
        """`absent` of a link can never cost a file."""
        os.symlink("/old", self.at("/etc/x"))
        self.put("/etc/f", b"mine")
        assert self.converge(self.want("/etc/x", state="absent")) == ["state"]
        assert not os.path.lexists(self.at("/etc/x"))
        text = "/etc/f is a file; `absent` under links removes only links"
        assert self.failure(self.want("/etc/f", state="absent")) == text
        assert self.bytes_of("/etc/f") == b"mine"

    def test_removal(self):
        """Ours goes; an adopted one points again to where it pointed; a replaced file is not brought back."""
        record = {"name": "/etc/x", "created": True, "before": {"state": "absent"}, "want": {"to": "/y"}}
        assert link.removal(record).state == "absent"
        record.update(created=False, before={"state": "present", "to": "/old"})
        assert link.removal(record) == link.Desired("/etc/x", to="/old", state="present")
        record.update(before={"state": "file"})
        assert link.removal(record) is None


if __name__ == "__main__":
    unittest.main()
