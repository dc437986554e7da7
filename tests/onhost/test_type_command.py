import os
import unittest

from recorded import RecordedHost
from type_case import TypeCase

from statectl.onhost.failure import Failed
from statectl.onhost.process import Ran
from statectl.onhost.resources import command


class Commands(TypeCase):
    module = command

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root)
        self.directory("/srv")

    def want(self, **fields):
        return command.Desired("make", **fields)

    def failed(self, want):
        with self.assertRaises(Failed) as caught:  # noqa: PT027  Python 3.6 runs this without pytest
            command.apply(self.host, want, self.found(want), ["creates"])
        return caught.exception.message

    def test_creates_decides_by_the_path(self):
        """It runs while nothing is there, and not any more when something is."""
        want = self.want(run=["touch", "/srv/x"], creates="/srv/x")
        self.host.answer("touch", lambda argv, _: self.put("/srv/x"))
        assert self.converge(want) == ["creates"]
        assert self.differing(want) == []
        assert self.host.ran == [["touch", "/srv/x"]]

    def test_a_command_that_did_not_create_its_path_has_failed(self):
        """Exit code 0 is not success; the second look is."""
        self.host.answer("true", "")
        assert (
            self.failed(self.want(run=["true"], creates="/srv/x")) == "ran, but `creates` path /srv/x is still missing"
        )

    def test_unless_decides_by_its_exit_code(self):
        """0: nothing to do. The found value says what was seen."""
        want = self.want(run=["renew"], unless=["fresh"])
        self.host.answer("fresh", Ran(1, "", ""))
        assert self.found(want).unless == "exit code 1"
        self.host.answer("renew", lambda argv, _: self.host.answer("fresh", ""))
        assert self.converge(want) == ["unless"]

    def test_unless_must_hold_afterwards(self):
        """A command that leaves its own check unsatisfied would run for ever."""
        self.host.answer("fresh", Ran(3, "", ""))
        self.host.answer("renew", "")
        assert (
            self.failed(self.want(run=["renew"], unless=["fresh"]))
            == "ran, but `unless` still does not hold: exit code 3"
        )

    def test_a_guard_that_cannot_start_yet_means_that_it_will_run(self):
        """The package that brings the program is part of the same plan: no error, the command is predicted."""
        want = self.want(run=["renew"], unless=["/opt/app/fresh"])
        self.host.answer("/opt/app/fresh", Failed("command not found: /opt/app/fresh", "command not found"))
        assert self.differing(want) == ["unless"]
        assert self.found(want).unless == "command not found"

    def test_a_guard_that_hangs_tells_nothing(self):
        """Neither ok nor change: nobody knows."""
        self.host.answer("fresh", Ran(-15, "", "", timed_out=True))
        assert isinstance(self.found(self.want(run=["renew"], unless=["fresh"])), Failed)

    def test_text_goes_to_a_shell_and_a_list_does_not(self):
        """A list is never split or expanded; user, directory and environment hold for the check as well."""
        self.host.answer("/bin/sh -c", "")
        want = self.want(run="a | b > $HOME/c", unless="test -e x", user="bob")
        assert self.differing(want) == []
        command.apply(self.host, want, self.found(want), ["unless"])
        assert self.host.ran[2] == ["/bin/sh", "-c", "a | b > $HOME/c"]
        assert self.host.users == ["bob"] * 4

    def test_when_changed_is_left_to_the_engine(self):
        """Reading alone finds no difference: what changed in this run is not to be seen on the host."""
        assert self.differing(self.want(run=["x"], when_changed=["file:/a"])) == []

    def test_a_command_is_never_undone(self):
        """What it did is not known."""
        assert command.removal({"name": "make", "created": True, "before": {}, "want": {}}) is None
        assert os.listdir(self.at("/srv")) == []


if __name__ == "__main__":
    unittest.main()
