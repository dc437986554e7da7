"""Where a secret must not come to stand: what is told, what is kept on the host, and what a crash leaves there."""

import base64
import json
import os
import time
import unittest
from typing import Any, NamedTuple

from executor_case import ExecutorCase

from statectl.onhost import diff
from statectl.onhost.content import Content
from statectl.onhost.host import Host
from statectl.onhost.redact import MASK, Redactor
from statectl.onhost.resources import file
from statectl.onhost.secret_diff import UNKNOWN

SECRET = 'canary"/+\\4711'


class File(NamedTuple):
    name: str
    state: Any = None
    content: Any = None


PARTS = {"$parts": ["key=", {"$secret": "s1"}, "\n"]}


def spellings(secret):
    """{name: the secret as others write it}"""
    data = secret.encode()
    return {
        "raw": secret,
        "base64": base64.b64encode(data).decode(),
        "base64 after others": base64.b64encode(b"user:" + data + b"!").decode(),
        "base64 for URLs": base64.urlsafe_b64encode(data).decode(),
        "base64 without padding": base64.urlsafe_b64encode(data).decode().rstrip("="),
        "hex": data.hex(),
        "HEX": data.hex().upper(),
        "hex with colons": ":".join("%02x" % byte for byte in data),
        "URL": "".join(chr(byte) if chr(byte).isalnum() else "%%%02X" % byte for byte in data),
        "url in lower case": "".join(chr(byte) if chr(byte).isalnum() else "%%%02x" % byte for byte in data),
        "URL with slashes": "".join(
            chr(byte) if chr(byte).isalnum() or byte == 0x2F else "%%%02X" % byte for byte in data
        ),
        "JSON": json.dumps(secret)[1:-1],
        "JSON of PHP": json.dumps(secret)[1:-1].replace("/", "\\/"),
        "JSON in JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1],
    }


class Spelt(unittest.TestCase):
    def test_every_way_of_writing_a_secret_is_masked(self):
        """In the middle of other text, without a trace of it; the rest stays as it is."""
        redactor = Redactor([SECRET])
        for name, spelt in spellings(SECRET).items():
            masked = redactor.text("before %s after" % spelt)
            if name == "base64 after others":
                before, after = masked.split(MASK)
                assert (before, after) == ("before dXNlcjp", "SE= after"), masked
            else:
                assert masked == "before %s after" % MASK, name

    def test_lines_of_a_key_in_every_way(self):
        """Also when a program shows one line of it, or folds its base64."""
        lines = ["%02d" % number + "abc/def+ghi" * 4 for number in range(9)]
        key = "\n".join(lines) + "\n"
        redactor = Redactor([key])
        for spelt in spellings(lines[3]).values():
            assert MASK in redactor.text(spelt)
        for columns in (64, 76):
            text = base64.b64encode(key.encode()).decode()
            folded = [text[at : at + columns] for at in range(0, len(text), columns)]
            for line in folded[:-1]:
                assert redactor.text(line) == MASK

    def test_many_secrets_cost_little(self):
        """A thousand secrets and ten thousand short texts: the texts are looked through, not every spelling of every secret."""
        redactor = Redactor("secret-%04d-of-many" % number for number in range(1000))
        assert redactor.text("x secret-0500-of-many") == "x " + MASK
        began = time.process_time()
        for number in range(10000):
            redactor.text("a line of a diff, number %d" % number)
        assert time.process_time() - began < 2

    def test_nothing_is_worked_out_before_there_is_a_text(self):
        """A session that tells nothing pays nothing."""
        redactor = Redactor([SECRET])
        assert redactor.message({"type": "result", "changes": [], "reason": "", "error": None})["changes"] == []
        assert redactor._needles is None


class Shown(unittest.TestCase):
    """The difference of a content with secrets in it."""

    PIECES = (("open\nkey = ", False), ("new-canary", True), (";\nlast\n", False))

    def lines(self, old, pieces=PIECES):
        want = Content.of_bytes("".join(text for text, _ in pieces).encode(), secret=True)
        want.pieces = pieces
        found = File("a", "present", None if old is None else Content.of_bytes(old.encode()))
        (change,) = diff.changes(file, File("a", "present", want), found, ("content",))
        assert "canary" not in repr(change)
        return change["diff"]

    def test_another_secret_in_the_same_place(self):
        """Its line is shown twice with a mark; the lines around it are shown."""
        assert self.lines("open\nkey = old-canary;\nlast\n") == [
            "@@ -1,3 +1,3 @@",
            " open",
            "-key = %s;" % MASK,
            "+key = %s;" % MASK,
            " last",
        ]

    def test_what_is_wanted_is_shown_and_what_was_there_only_where_it_holds_no_secret(self):
        """A line of before that nothing now is like may hold a secret of before."""
        shown = self.lines("key: old-canary\nlast\nopen\nkey = new-canary;\n")
        assert "-" + UNKNOWN in shown
        assert "+open" in shown or " open" in shown
        assert "-last" in shown or "+last" in shown
        assert [line for line in shown if line.endswith("key = %s;" % MASK)]

    def test_a_new_file_and_one_without_an_end(self):
        """All lines are new; a missing newline at the end is told."""
        assert self.lines(None) == ["@@ -0,0 +1,3 @@", "+open", "+key = %s;" % MASK, "+last"]
        told = self.lines("open\nkey = new-canary;\nlast", self.PIECES)
        assert told[-3:] == ["-last", "\\ no newline at end of file", "+last"]

    def test_a_secret_of_many_lines(self):
        """Each of its lines is a mark, and so is every line that was there: all are like a line that is only a secret."""
        pieces = (("-- \n", False), ("line-canary\nother-canary\n", True), ("end", False))
        assert self.lines("-- \nanother-canary\nend", pieces) == [
            "@@ -1,3 +1,4 @@",
            " -- ",
            "-" + MASK,
            "+" + MASK,
            "+" + MASK,
            " end",
            "\\ no newline at end of file",
        ]

    def test_a_binary_file_or_a_large_one_is_not_shown(self):
        """Only that it differs."""
        for old in (b"\0canary", b"canary\n" * 100000):
            want = Content.of_bytes(b"new-canary", secret=True)
            want.pieces = (("new-canary", True),)
            found = File("a", "present", Content.of_bytes(old))
            assert diff.changes(file, File("a", "present", want), found, ("content",)) == [
                {"field": "content", "secret": True}
            ]


class Kept(ExecutorCase):
    def setUp(self):
        ExecutorCase.setUp(self)
        self.secrets = {"s1": SECRET}

    def key(self, content=PARTS, **fields):
        if isinstance(content, str):
            return self.file("key", content, **fields)
        return self.resource("file", self.at("key"), state="present", content=content, **fields)

    def kept(self, text=SECRET):
        """Files below the state directory that hold the text, in one of the ways in which one of our files would."""
        needles = {text.encode(), json.dumps(text)[1:-1].encode()}
        found = []
        for top, _, names in os.walk(self.state):
            for name in names:
                with open(os.path.join(top, name), "rb") as stream:
                    data = stream.read()
                if any(needle in data for needle in needles):
                    found.append(name)
        return found

    def test_a_crash_leaves_no_secret_of_a_failure(self):
        """What a command said goes to the journal first, and from there to the next controller."""
        self.put("last.kill", "")
        talks = self.odd("talks", how="fails", secret={"$parts": [{"$secret": "s1"}]}, association="other")
        self.apply_until_killed(talks, self.odd("last"))
        assert "journal.jsonl" in os.listdir(self.state)
        assert self.kept() == []
        self.plan(talks)
        (told,) = self.controller.ready["memory"]["undelivered"][0]["results"][:1]
        assert told["error"]["message"] == "it said no: " + MASK

    def test_a_rotated_secret_is_shown_in_its_place(self):
        """In plan and result: the lines around it, and neither of the two secrets."""
        self.apply(self.key())
        self.secrets = {"s1": "another-canary"}
        told = ["@@ -1 +1 @@", "-key=" + MASK, "+key=" + MASK]
        for results in (self.plan(self.key()), self.apply(self.key())):
            assert results["file:" + self.at("key")]["changes"] == [{"field": "content", "diff": told}]
        assert "canary" not in repr(self.controller.messages)
        assert self.kept() + self.kept("another-canary") == []

    def test_what_was_secret_is_not_shown_when_it_no_longer_is(self):
        """A secret is replaced by plain text: the old content is in no plan, no result and no copy."""
        self.apply(self.key())
        assert SECRET in self.text("key")
        self.secrets = {}
        verdict = self.plan(self.key("key=none\n"))["file:" + self.at("key")]
        assert verdict["changes"] == [{"field": "content", "secret": True}]
        result = self.apply(self.key("key=none\n"))["file:" + self.at("key")]
        assert result["changes"] == [{"field": "content", "secret": True}]
        assert SECRET not in repr(self.controller.messages)
        assert self.kept() == []
        self.put("key", "key=else\n")
        assert "diff" in self.plan(self.key("key=none\n"))["file:" + self.at("key")]["changes"][0]

    def test_what_was_sensitive_is_not_shown_when_it_no_longer_is(self):
        """The same for a resource that was sensitive as a whole."""
        self.apply(self.key("%s\n" % SECRET, sensitive=True))
        verdict = self.plan(self.key("none\n"))["file:" + self.at("key")]
        assert verdict["changes"] == [{"field": "content", "secret": True}]
        self.apply(self.key("none\n"))
        assert self.kept() == []

    def test_a_secret_that_was_there_before_us_is_not_copied(self):
        """Adopting a file that holds the secret already keeps no copy of it to put back."""
        self.put("key", "key=%s\n" % SECRET)
        self.apply(self.key())
        assert self.kept() == []
        self.apply(self.file("other"), prune=True)
        assert self.text("key") == "key=%s\n" % SECRET

    def test_a_sensitive_failure_says_its_cause_only(self):
        """Neither its output nor the last line of it, which messages end with."""
        result = self.apply(self.odd("o", how="fails", sensitive=True, secret=SECRET))["odd:" + self.at("o")]
        assert result["reason"] == "said no (its output is not shown: the resource is sensitive)"
        assert result["error"]["output"] == ""
        assert SECRET not in repr(self.controller.messages)

    def test_a_secret_is_masked_before_its_output_is_cut(self):
        """Half a secret at the edge of what is shown is half a secret told."""
        script = "printf '%s' \"$SECRET\"; head -c 4090 /dev/zero | tr '\\0' .; exit 1"
        env = {"SECRET": {"$parts": [{"$secret": "s1"}]}}
        result = self.apply(self.command("c", script, creates=self.at("never"), env=env))["command:c"]
        assert result["outcome"] == "failed"
        assert "4711" not in result["error"]["output"] + result["reason"]
        assert result["error"]["output"].count(".") >= 4000

    def test_what_a_failed_command_said_is_masked_for_every_type(self):
        """Types show parts of it in words of their own."""
        host = Host()
        host.redactor = Redactor([SECRET])
        script = ["sh", "-c", "printf '%s' \"$0\"; printf '%s' \"$0\" >&2; exit $1", SECRET]
        failed = host.run([*script, "3"], check=False)
        assert (failed.out, failed.err, failed.code) == (MASK, MASK, 3)
        assert host.run([*script, "0"]).out == SECRET


if __name__ == "__main__":
    unittest.main()
