"""A plan says the truth about every resource and writes nothing to the machine."""

import os
import unittest

from executor_case import ExecutorCase


class Plan(ExecutorCase):
    def test_a_plan_changes_nothing_outside_its_own_state(self):
        """The machine is byte for byte as before, and what differs is told with its diff."""
        self.put("motd", "old\n")
        before = os.stat(self.at("motd"))
        verdicts = self.plan(self.file("motd", "new\n"), self.file("other", "x\n"), self.absent("gone"))
        after = os.stat(self.at("motd"))
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
        assert os.listdir(self.machine) == ["motd"]
        assert self.verdicts(verdicts) == {"motd": "change", "other": "change", "gone": "ok"}
        motd, other = verdicts["file:" + self.at("motd")], verdicts["file:" + self.at("other")]
        assert (motd["action"], other["action"]) == ("change", "add")
        assert motd["changes"] == [{"field": "content", "diff": ["@@ -1 +1 @@", "-old", "+new"]}]
        assert {"field": "state", "found": "absent", "wanted": "present"} in other["changes"]
        assert (self.ended["outcome"], self.ended["counts"]["change"]) == ("planned", 2)

    def test_unchanged_content_does_not_travel(self):
        """Only contents whose hash differs are asked for, each once."""
        self.put("same", "same\n")
        self.plan(self.file("same", "same\n"), self.file("one", "new\n"), self.file("two", "new\n"))
        needed = [sha256 for message in self.controller.of("need") for sha256 in message["blobs"]]
        assert needed == [self.blob("new\n")["$blob"]]

    def test_one_reading_for_all_of_a_type(self):
        """A plan reads each type once, however many resources of it there are."""
        self.plan(*[self.pack(f"p{number}") for number in range(20)])
        with open(self.machine + ".reads") as stream:
            assert len(stream.readlines()) == 1

    def test_a_prerequisite_that_the_plan_makes_is_no_error(self):
        """What cannot be told yet is unknown until the change that it waits for; without one it is refused."""
        first = self.pack("tool")
        verdicts = self.plan(first, self.odd("a", how="unreadable", after=[first["address"]]))
        assert self.verdicts(verdicts) == {"tool": "change", "a": "unknown"}
        assert verdicts["odd:" + self.at("a")]["unknown_until"] == ["pack:tool"]
        verdicts = self.plan(self.odd("a", how="unreadable"))
        assert verdicts["odd:" + self.at("a")]["verdict"] == "refused"
        assert "its tool is missing" in verdicts["odd:" + self.at("a")]["reason"]

    def test_a_missing_thing_behind_a_change_is_predicted(self):
        """A file that is not there, after a directory that is made, is a change that is only predicted."""
        directory = self.resource("directory", self.at("d"), state="present")
        verdicts = self.plan(directory, self.file("d/f", after=[directory["address"]]))
        assert verdicts["file:" + self.at("d/f")]["predicted_after"] == [directory["address"]]

    def test_a_type_with_a_bug_costs_the_others_nothing(self):
        """A reading that crashes is refused for that resource alone."""
        verdicts = self.plan(self.odd("bad", how="bug in read"), self.odd("good"), self.file("f"))
        assert self.verdicts(verdicts) == {"bad": "refused", "good": "change", "f": "change"}
        assert "internal error" in verdicts["odd:" + self.at("bad")]["reason"]

    def test_every_change_names_a_field(self):
        """No change verdict is empty: not for a new empty file, a command or a removal."""
        self.put("gone", "x")
        verdicts = self.plan(
            self.file("empty", ""),
            self.absent("gone"),
            self.command("make", ["true"], creates=self.at("made")),
        )
        for verdict in verdicts.values():
            assert verdict["verdict"] == "change"
            assert verdict["changes"], verdict
        assert verdicts["command:make"]["action"] == "run"

    def test_only_selected_associations_and_addresses_are_planned(self):
        """`only` and unselected associations get no verdict; what two associations declare goes with either."""
        shared = self.file("shared", association="base", owners=["base", "web"])
        associations = [{"name": "base", "selected": False}, {"name": "web"}]
        verdicts = self.plan(shared, self.file("base", association="base"), self.file("web"), associations=associations)
        assert self.verdicts(verdicts) == {"shared": "change", "web": "change"}
        verdicts = self.plan(self.file("a"), self.file("b"), only=["file:" + self.at("b")])
        assert list(self.verdicts(verdicts)) == ["b"]

    def test_kind_tells_who_moved(self):
        """Corrective when the machine moved away from what was applied; intended when the files did."""
        self.apply(self.file("f", "one\n"))
        self.put("f", "by hand\n")
        address = "file:" + self.at("f")
        assert self.plan(self.file("f", "one\n"))[address]["kind"] == "corrective"
        assert self.plan(self.file("f", "two\n"))[address]["kind"] == "intended"

    def test_limits_refuse_what_lies_outside(self):
        """With limits.paths, other paths and what is no path are refused while planning, and again while applying."""
        limits = {"paths": [self.at("mine")]}
        os.mkdir(self.at("mine"))
        verdicts = self.plan(self.file("mine/f"), self.file("other"), self.pack("p"), limits=limits)
        assert self.verdicts(verdicts) == {"f": "change", "other": "refused", "p": "refused"}
        results = self.apply(self.file("mine/f"), self.file("other"), self.pack("p"), limits=limits)
        assert self.outcomes(results) == {"f": "changed", "other": "failed", "p": "failed"}
        assert not self.exists("other")

    def test_what_notifies_says_so(self):
        """A change tells the verb and the service that hear of it."""
        daemon = self.daemon(on_notify="reload")
        verdicts = self.plan(self.file("f", notify=[daemon["address"]]), daemon)
        assert verdicts["file:" + self.at("f")]["notify"] == ["reload " + daemon["address"]]

    def test_a_command_follows_its_triggers(self):
        """when_changed: it will run when one of them will change, and not otherwise."""
        trigger = self.file("f")
        command = self.command("c", ["true"], when_changed=[trigger["address"]])
        verdict = self.plan(trigger, command)["command:c"]
        assert (verdict["verdict"], verdict["predicted_after"]) == ("change", [trigger["address"]])
        self.put("f", "x\n")
        assert self.plan(trigger, command)["command:c"]["verdict"] == "ok"


class Secrets(ExecutorCase):
    def setUp(self):
        super().setUp()
        self.secrets = {"s1": "hunter2-canary-4711"}

    def spoken(self):
        return repr(self.controller.messages)

    def files_with(self, text):
        found = []
        for where, _, names in os.walk(self.state):
            for name in names:
                with open(os.path.join(where, name), "rb") as stream:
                    if text.encode() in stream.read():
                        found.append(name)
        return found

    def test_a_secret_is_in_no_message_and_no_record(self):
        """Neither the value, nor its plain hash, nor what stood there before is shown or stored."""
        import hashlib

        self.put("key", "before-canary\n")
        secret = self.resource(
            "file", self.at("key"), state="present", content={"$parts": ["key=", {"$secret": "s1"}, "\n"]}
        )
        odd = self.odd("o", how="fails", secret={"$parts": [{"$secret": "s1"}]})
        plain = hashlib.sha256(b"key=hunter2-canary-4711\n").hexdigest()
        self.plan(secret, odd)
        change = {
            "field": "content",
            "diff": [
                "@@ -1 +1 @@",
                "-\u2039not shown: it may hold a secret of before\u203a",
                "+key=\u2039secret\u203a",
            ],
        }
        assert change in self.controller.verdicts["file:" + self.at("key")]["changes"]
        spoken = self.spoken()
        results = self.apply(secret, odd, ack=False)
        assert self.outcomes(results) == {"key": "changed", "o": "failed"}
        assert self.text("key") == "key=hunter2-canary-4711\n"
        for canary in ("hunter2", plain, "before-canary", hashlib.sha256(b"before-canary\n").hexdigest()):
            assert canary not in spoken + self.spoken()
        assert self.files_with("hunter2") + self.files_with(plain) == []
        # what was there before is kept to be put back, in a file of ours alone, and nowhere else
        assert len(self.files_with("before-canary")) == 1
        assert "said no" in results["odd:" + self.at("o")]["error"]["cause"]
        self.secrets["s1"] = "rotated-4712-canary"
        assert self.plan(secret, odd)["file:" + self.at("key")]["kind"] == "intended"

    def test_a_secret_in_the_old_content_of_another_file_is_masked(self):
        """Known values are masked wherever they turn up, encoded or not."""
        import base64

        encoded = base64.b64encode(b"x" + b"hunter2-canary-4711" + b"yz").decode()
        self.put("f", f"old hunter2-canary-4711\n{encoded}\n")
        self.plan(self.file("f", "new\n"), self.odd("o", secret={"$parts": [{"$secret": "s1"}]}))
        assert "hunter2" not in self.spoken()
        assert encoded[4:-8] not in self.spoken()


if __name__ == "__main__":
    unittest.main()
