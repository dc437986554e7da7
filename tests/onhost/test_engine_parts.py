"""The small parts of the engine: comparing, diffs, masking and the words that the controller may say."""

import base64
import os
import sys
import unittest
from typing import Any, NamedTuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from statectl.onhost import compare, diff, messages, redact
from statectl.onhost.content import Content, SecretText
from statectl.onhost.lock import describe
from statectl.onhost.protocol import ProtocolError
from statectl.onhost.wanted import Reader


class Thing(NamedTuple):
    name: str
    state: Any = None
    content: Any = None
    mode: Any = None
    validate: Any = None


class Type:
    Desired = Thing
    OPTIONS = ("validate",)


def keyed(data):
    return "k" * 8 + base64.b16encode(data[:1]).decode()


class Compare(unittest.TestCase):
    def test_only_what_is_wanted_counts(self):
        """None is not managed, options are not compared, `absent` asks for the state alone."""
        want = Thing("a", state="present", mode="0644", validate=["x"])
        found = Thing("a", state="present", mode="0600", content=Content.of_bytes(b"x"), validate=None)
        assert compare.differing(Type, want, found) == ("mode",)
        assert compare.differing(Type, Thing("a", state="absent", mode="0644"), found) == ("state",)
        assert compare.differing(Type, Thing("a", state="absent"), Thing("a", state="absent")) == ()
        assert compare.differing(Type, Thing("a", state="absent"), Thing("a", state="purged")) == ()
        assert compare.differing(Type, Thing("a", state="purged"), Thing("a", state="absent")) == ("state",)
        assert compare.differing(Type, want, None) == ("state", "mode")

    def test_a_hash_follows_what_is_managed_only(self):
        """What nobody manages may move without making a plan stale."""
        want = Thing("a", state="present", mode="0644")
        one = compare.found_hash(Type, want, Thing("a", state="present", mode="0600"), keyed, hide=False)
        two = compare.found_hash(
            Type, want, Thing("a", state="present", mode="0600", content=Content.of_bytes(b"y")), keyed, hide=False
        )
        three = compare.found_hash(Type, want, Thing("a", state="present", mode="0640"), keyed, hide=False)
        assert one == two != three

    def test_plain_data_holds_no_secret(self):
        secret = {"a": [SecretText("canary"), Content.of_bytes(b"canary", secret=True)]}
        assert "canary" not in repr(compare.plain(secret, keyed))
        assert compare.raw(SecretText("canary")) == "canary"


class Diff(unittest.TestCase):
    def change(self, old, new, **fields):
        found = Thing("a", state="present", content=None if old is None else Content.of_bytes(old))
        return diff.changes(Type, Thing("a", content=Content.of_bytes(new, **fields)), found, ("content",))[0]

    def test_text_is_a_diff(self):
        assert self.change(b"a\nb\n", b"a\nc\n")["diff"] == ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]

    def test_every_difference_is_seen(self):
        """A missing newline at the end, carriage returns, an emptied and a new empty file."""
        assert self.change(b"a\n", b"a")["diff"][-1] == "\\ no newline at end of file"
        assert self.change(b"a\r\n", b"a\n")["diff"] == ["@@ -1 +1 @@", "-a\r", "+a"]
        assert self.change(b"a\n", b"")["diff"] == ["@@ -1,1 +0,0 @@", "-a"]
        assert self.change(None, b"")["diff"]
        assert self.change(b"a\x0cb\n", b"a\x0cc\n")["diff"][1:] == ["-a\x0cb", "+a\x0cc"]

    def test_what_is_no_text_is_told_by_hash_and_size(self):
        for old, new in ((b"\0", b"a"), (b"a", b"\xff"), (b"a", b"x" * (diff.MAX_DIFFED_BYTES + 1))):
            change = self.change(old, new)
            assert change["binary"]
            assert change["wanted"]["size"] == len(new)

    def test_long_diffs_say_what_they_leave_out(self):
        lines = self.change(b"", b"".join(b"%d\n" % number for number in range(5000)))["diff"]
        assert len(lines) == diff.MAX_LINES + 1
        assert lines[-1] == "\\ 3001 more lines"

    def test_secret_content_is_not_shown(self):
        assert self.change(b"old", b"new", secret=True) == {"field": "content", "secret": True}


class Redact(unittest.TestCase):
    def test_values_are_masked_in_every_form(self):
        """Raw, line by line, base64 at any offset, URL-encoded; the rest stays readable."""
        secret = "pass word/4711\nsecond line of it"
        redactor = redact.Redactor([secret])
        encoded = base64.b64encode(b"ab" + secret.encode() + b"c").decode()
        for text in (secret, "x pass word/4711 y", "pass%20word%2F4711%0Asecond%20line%20of%20it", encoded):
            masked = redactor.text(text)
            assert redact.MASK in masked, text
            assert "4711" not in masked, masked
        assert redactor.text("x second line of it y") == "x " + redact.MASK + " y"
        assert redactor.clean({"a": ["pass word/4711", 1, None]}) == {"a": [redact.MASK, 1, None]}

    def test_short_values_do_not_garble_everything(self):
        assert redact.Redactor(["ab"]).text("about") == "about"


class Messages(unittest.TestCase):
    def order(self, **fields):
        return dict({"type": "order", "run": "R1", "host": "web01", "kind": "plan"}, **fields)

    def refusal(self, message):
        try:
            messages.check(message)
        except ProtocolError as error:
            return str(error)
        return ""

    def test_what_is_not_in_the_table_is_refused(self):
        """Unknown messages and keys, wrong types, ids that could be paths, numbers out of bounds."""
        assert self.refusal(self.order()) == ""
        for bad in (
            {"type": "hello"},
            self.order(run="../x"),
            self.order(run=""),
            self.order(kind="destroy"),
            self.order(extra=1),
            self.order(deadline_s=True),
            self.order(deadline_s=-1),
            self.order(probes=[{"name": "a b", "argv": ["x"]}]),
            self.order(probes=[{"name": "a", "argv": []}]),
            self.order(probes=[{"name": "a", "argv": ["x\0"]}]),
            self.order(command={"argv": "x"}),
            {"type": "ack", "runs": ["a/b"]},
            {"type": "go", "observed": {"a": 1}},
            {"type": "secrets", "values": {"a": 1}},
            {"type": "blob", "sha256": "0" * 63, "size": 1},
        ):
            assert self.refusal(bad), bad

    def test_a_refusal_never_repeats_the_value(self):
        refusal = self.refusal({"type": "secrets", "values": {"s1": ["canary"]}})
        assert refusal == "values of message secrets is not valid"

    def test_the_holder_of_a_lock_is_told_in_one_line(self):
        text = describe({"controller": "ana@laptop", "run": "F5", "pid": 1, "since": 1})
        assert text == "ana@laptop, run F5, process 1, since 1970-01-01 00:00:01 UTC"
        assert describe({}) == "an unknown controller"


class WhatIsStored(unittest.TestCase):
    def test_only_what_holds_a_secret_is_another_value_than_it_came(self):
        """A manifest of thousands of entries is held once; a secret stands in what is stored as its keyed hash, and in nothing that came."""
        parts = {"$parts": ["user ", {"$secret": "s1"}]}
        plain = {"path": "b", "content": {"$blob": "0" * 64, "size": 1}}
        want = {"name": "/srv/a", "manifest": {"$manifest": [plain, {"path": "a", "content": parts}]}, "mode": "0644"}
        stored = Reader({"s1": "hush"}, keyed).masked(want)
        entries = stored["manifest"]["$manifest"]
        assert entries == [plain, {"path": "a", "content": {"$keyed": keyed(b"user hush")}}]
        assert entries[0] is plain
        assert (stored["name"], stored["mode"]) == ("/srv/a", "0644")
        assert want["manifest"]["$manifest"][1]["content"] is parts
        assert parts == {"$parts": ["user ", {"$secret": "s1"}]}
        assert Reader({}, keyed).masked(plain) is plain


if __name__ == "__main__":
    unittest.main()
