import os
import unittest

from type_case import TypeCase

from statectl.onhost.content import SecretText
from statectl.onhost.failure import Failed
from statectl.onhost.resources import line

CONF = "/etc/sshd_config"


class Lines(TypeCase):
    module = line

    def becomes(self, before, after, **fields):
        """Converge one line on a file with text `before`; it must end as `after`, and stay so."""
        self.put(CONF, before)
        fields.setdefault("line", "Port 2222")
        changed = self.converge(self.want("port", path=CONF, **fields))
        assert self.bytes_of(CONF) == after
        return changed

    def test_a_line_that_stands_there_is_right(self):
        """Wherever it stands; twice is fine."""
        assert self.becomes(b"a\nPort 2222\nb\n", b"a\nPort 2222\nb\n") == []
        assert self.becomes(b"Port 2222\nPort 2222\n", b"Port 2222\nPort 2222\n", insert_before="BOF") == []

    def test_part_of_a_line_is_not_the_line(self):
        """A comment that holds the text, or more behind it, does not count."""
        self.becomes(b"#Port 2222\nPort 22222\n", b"#Port 2222\nPort 22222\nPort 2222\n")

    def test_a_match_is_replaced_in_its_place(self):
        """The plan shows what stood there."""
        self.put(CONF, b"a\n#Port 22\nb\n")
        want = self.want("port", path=CONF, line="Port 2222", match="^#?Port ")
        assert self.found(want).line == "#Port 22"
        assert self.converge(want) == ["line"]
        assert self.bytes_of(CONF) == b"a\nPort 2222\nb\n"

    def test_one_line_is_left_of_several_matches(self):
        """Whichever of two settings a program obeys, it is the declared one."""
        self.becomes(b"#Port 22\nx\nPort 23\n", b"Port 2222\nx\n", match="^#?Port ")
        self.becomes(b"#Port 22\nx\nPort 2222\n", b"x\nPort 2222\n", match="^#?Port ")

    def test_a_match_that_the_line_does_not_match_is_right_the_second_time(self):
        """`match` may name only the old spelling."""
        self.becomes(b"Port 22\n", b"Port 2222\n", match="^Port 22$")

    def test_where_a_new_line_goes(self):
        """After the last match, before the first, at either end; at the end when the anchor is not there."""
        text = b"a1\nb\na2\nc\n"
        self.becomes(text, b"a1\nb\na2\nPort 2222\nc\n", insert_after="^a")
        self.becomes(text, b"Port 2222\na1\nb\na2\nc\n", insert_before="^a")
        self.becomes(text, b"Port 2222\na1\nb\na2\nc\n", insert_before="BOF")
        for fields in ({}, {"insert_after": "EOF"}, {"insert_after": "^z"}, {"insert_before": "^z"}):
            self.becomes(text, b"a1\nb\na2\nc\nPort 2222\n", **fields)

    def test_bytes_outside_the_line_are_kept(self):
        """CRLF, bytes that are no UTF-8 and odd separators stay; a last line without an end gets one before an addition."""
        self.becomes(b"a\r\n#Port\r\n", b"a\r\nPort 2222\r\n", match="^#?Port")
        self.becomes(b"a\r\nb\r\n", b"a\r\nb\r\nPort 2222\r\n")
        self.becomes(b"a\xff\x0c\x1c\nb", b"a\xff\x0c\x1c\nb\nPort 2222\n")
        self.becomes(b"#Port", b"Port 2222", match="#Port")
        self.becomes(b"\xef\xbb\xbfa\n", b"\xef\xbb\xbfPort 2222\na\n", insert_before="BOF")

    def test_a_line_beyond_ascii(self):
        """Text is UTF-8."""
        self.becomes("grüße\n".encode(), b"Port 2222\n", match="^grüße$")

    def test_absent(self):
        """Every equal line goes, and every match."""
        self.becomes(b"a\nPort 2222\nPort 2222\n", b"a\n", state="absent")
        self.becomes(b"Port 1\na\nPort 2\n", b"a\n", state="absent", line=None, match="^Port")
        self.becomes(b"a", b"a", state="absent")
        assert self.converge(self.want("port", path="/etc/none", line="x", state="absent")) == []

    def test_a_missing_file_is_made_only_when_asked(self):
        """Otherwise the failure says what would make it."""
        self.directory("/etc")
        assert self.failure(self.want("port", path=CONF, line="x")) == (
            "/etc/sshd_config does not exist; `create: true` makes it"
        )
        self.converge(self.want("port", path=CONF, line="x", create=True))
        assert (self.bytes_of(CONF), self.mode_of(CONF)) == (b"x\n", 0o644)

    def test_two_lines_of_one_file(self):
        """Read together and applied one after the other, neither undoes the other."""
        self.put(CONF, b"")
        wanted = [self.want("a", path=CONF, line="a"), self.want("b", path=CONF, line="b")]
        found = line.read(self.host, wanted)
        for want in wanted:
            line.apply(self.host, want, found[want.name], ["state"])
        assert self.bytes_of(CONF) == b"a\nb\n"

    def test_a_check_that_fails_keeps_the_old_file(self):
        """`validate` sees the whole new file."""
        self.put(CONF, b"old\n")
        want = self.want("port", path=CONF, line="bad", validate=["grep", "-qx", "good", "%s"])
        assert "grep exited with code 1" in self.failure(want)

    def test_a_link_is_not_followed(self):
        """Whoever can place a link does not choose which file is edited."""
        self.put("/etc/real", b"")
        os.symlink("real", self.at(CONF))
        found = line.read(self.host, [self.want("port", path=CONF, line="x")])["port"]
        assert isinstance(found, Failed)
        assert found.message == "/etc/sshd_config is a symbolic link to real; name the file it points to"

    def test_a_secret_line(self):
        """Written as what it is, into a file nobody else can read when the file is new."""
        self.directory("/etc")
        self.converge(self.want("key", path=CONF, line=SecretText("key=s3cret"), create=True))
        assert (self.bytes_of(CONF), self.mode_of(CONF)) == (b"key=s3cret\n", 0o600)

    def test_removal_of_an_added_line(self):
        """It goes; a file that `create` may have made goes with it unless something else is in it."""
        record = {
            "name": "port",
            "created": True,
            "before": {},
            "want": {"path": CONF, "line": "Port 2222", "state": "present", "create": True},
        }
        self.put(CONF, b"Port 2222\nother\n")
        self.converge(line.removal(record))
        assert self.bytes_of(CONF) == b"other\n"
        self.put(CONF, b"Port 2222\n")
        self.converge(line.removal(record))
        assert not os.path.exists(self.at(CONF))
        del record["want"]["create"]
        self.put(CONF, b"Port 2222\n")
        self.converge(line.removal(record))
        assert self.bytes_of(CONF) == b""

    def test_removal_of_a_replaced_line(self):
        """What stood there is put back in its place; what stood there already stays."""
        record = {
            "name": "port",
            "created": False,
            "before": {"state": "present", "line": "#Port 22 (old)"},
            "want": {"path": CONF, "line": "Port 2222", "match": "^#?Port", "state": "present"},
        }
        self.put(CONF, b"a\nPort 2222\nb\n")
        self.converge(line.removal(record))
        assert self.bytes_of(CONF) == b"a\n#Port 22 (old)\nb\n"
        record["before"] = {"state": "present", "line": "Port 2222"}
        assert line.removal(record) is None


if __name__ == "__main__":
    unittest.main()
