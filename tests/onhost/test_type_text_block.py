import os
import unittest

from type_case import TypeCase, delivered

from statectl.onhost.content import Content
from statectl.onhost.resources import text_block

HOSTS = "/etc/hosts"
BEGIN, END = b"# BEGIN statectl app\n", b"# END statectl app\n"


class TextBlocks(TypeCase):
    module = text_block

    def block(self, content="a\nb\n", **fields):
        if content is not None:
            fields["content"] = delivered(content)
        return self.want("app", path=HOSTS, **fields)

    def becomes(self, before, after, want):
        self.put(HOSTS, before)
        changed = self.converge(want)
        assert self.bytes_of(HOSTS) == after
        return changed

    def test_a_new_block_stands_between_its_markers(self):
        """At the end, or at its anchor; the rest of the file stays."""
        block = BEGIN + b"a\nb\n" + END
        self.becomes(b"x\ny", b"x\ny\n" + block, self.block())
        self.becomes(b"x\ny\n", b"x\n" + block + b"y\n", self.block(insert_after="^x"))
        self.becomes(b"x\ny\n", block + b"x\ny\n", self.block(insert_before="BOF"))

    def test_changed_content_is_replaced_where_it_stands(self):
        """Only the content differs, whatever the anchors say."""
        before = b"x\n" + BEGIN + b"old\n" + END + b"y\n"
        after = b"x\n" + BEGIN + b"a\nb\n" + END + b"y\n"
        assert self.becomes(before, after, self.block(insert_before="BOF")) == ["content"]

    def test_content_is_compared_without_having_it(self):
        """A block without its final newline is the same block, seen by its hash alone."""
        self.put(HOSTS, BEGIN + b"a\nb\n" + END)
        for text in ("a\nb\n", "a\nb"):
            promised = Content.wanted(delivered(text).sha256, len(text))
            assert self.differing(self.want("app", path=HOSTS, content=promised)) == []

    def test_crlf_files_get_crlf_blocks(self):
        """And are right afterwards."""
        before = b"x\r\n"
        after = b"x\r\n# BEGIN statectl app\r\na\r\nb\r\n# END statectl app\r\n"
        self.becomes(before, after, self.block())
        assert self.becomes(after, after, self.block("a\r\nb\r\n")) == []

    def test_an_empty_block(self):
        """No content is content too."""
        self.becomes(b"", BEGIN + END, self.block(""))

    def test_a_block_that_stands_twice_is_left_once(self):
        """The first is made right, the others go."""
        before = BEGIN + b"old\n" + END + b"x\n" + BEGIN + b"a\nb\n" + END
        after = BEGIN + b"a\nb\n" + END + b"x\n"
        self.put(HOSTS, before)
        assert self.found(self.block()).state == "present 2 times"
        self.becomes(before, after, self.block())
        self.becomes(before, b"x\n", self.block(None, state="absent"))

    def test_a_begin_without_an_end_is_a_persons_to_put_right(self):
        """Guessing the end could cost the rest of the file."""
        for text in (BEGIN + b"a\n", END + BEGIN + b"a\n", BEGIN + b"a\n" + END + BEGIN):
            self.put(HOSTS, text)
            expected = (
                "/etc/hosts has the line '# BEGIN statectl app' and no line '# END statectl app' after it; "
                "put it right by hand"
            )
            assert self.refusal(self.block()) == expected
            assert self.failure(self.block()) == expected
            assert self.failure(self.block(None, state="absent")) == expected

    def test_other_markers(self):
        """For files whose comments look different."""
        self.becomes(b"", b"; BEGIN mine\na\n; END mine\n", self.block("a", marker="; {mark} mine"))

    def test_content_with_its_own_marker_is_refused(self):
        """It could not be found again."""
        self.put(HOSTS, b"")
        assert "holds one of its own markers" in self.failure(self.block("a\n# END statectl app\n"))

    def test_a_missing_file_is_made_only_when_asked(self):
        """0644, and 0600 when the content is secret."""
        self.directory("/etc")
        assert "`create: true` makes it" in self.failure(self.block())
        self.converge(self.block(create=True))
        assert self.mode_of(HOSTS) == 0o644
        os.unlink(self.at(HOSTS))
        self.converge(self.want("app", path=HOSTS, content=delivered("s3cret", secret=True), create=True))
        assert self.mode_of(HOSTS) == 0o600

    def test_removal(self):
        """A block of ours goes, with a file of ours; an adopted one gets its old content back."""
        record = {
            "name": "app",
            "created": True,
            "before": {},
            "want": {"path": HOSTS, "state": "present", "create": True},
        }
        self.becomes(b"x\n" + BEGIN + b"a\n" + END, b"x\n", text_block.removal(record))
        self.put(HOSTS, BEGIN + b"a\n" + END)
        self.converge(text_block.removal(record))
        assert not os.path.exists(self.at(HOSTS))
        record.update(created=False, before={"state": "present", "content": delivered("old")})
        self.becomes(BEGIN + b"a\n" + END, BEGIN + b"old\n" + END, text_block.removal(record))


if __name__ == "__main__":
    unittest.main()
