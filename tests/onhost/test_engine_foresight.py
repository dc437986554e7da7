"""A type whose reading hangs on other resources is planned as they will be, and applied by what is there then."""

import os
import sys
import types
import unittest
from typing import Any, NamedTuple

from executor_case import PHASES, ExecutorCase

from statectl.onhost.failure import Unknown


class Behind(NamedTuple):
    """A copy of the file `source`: nothing can be said of it before that is there."""

    name: str
    text: Any = None
    source: Any = None


def _behind():
    module = types.ModuleType("statectl.onhost.resources.behind")

    def read(host, wanted):
        return {want.name: _found(want, host.read_file(want.source)) for want in wanted}

    def _found(want, data):
        if data is None:
            return Unknown("its source is missing")
        there = os.path.exists(want.name)
        if not there:
            return None
        with open(want.name) as stream:
            return Behind(want.name, text=stream.read())

    def foreseen(planned):
        return [address for address in planned if address.startswith("file:")]

    def read_ahead(host, wanted, planned):
        contents = {address.partition(":")[2]: want.content.read() for address, want in planned.items()}
        if b"bug" in contents.values():
            raise KeyError("x")
        if b"dead" in contents.values():
            return {want.name: Unknown("its source does not answer", planned) for want in wanted}
        return {want.name: _found(want, contents.get(want.source)) for want in wanted}

    def apply(host, want, found, differing):
        with open(want.name, "w") as stream:
            stream.write(want.text)

    module.__dict__.update(
        Desired=Behind, OPTIONS=("source",), read=read, foreseen=foreseen, read_ahead=read_ahead, apply=apply
    )
    return module


sys.modules["statectl.onhost.resources.behind"] = _behind()
PHASES["behind"] = 9


class Foresight(ExecutorCase):
    def behind(self, name, **fields):
        return self.resource("behind", self.at(name), text="copy", source=self.at("source"), **fields)

    def told(self, *resources):
        return self.plan(*resources)["behind:" + self.at("b")]

    def test_what_an_earlier_change_brings_is_planned_with_it(self):
        """Not unknown, and not merely predicted; the content that this takes is asked for, also of an address without an edge."""
        source = self.file("source", "fine")
        told = self.told(source, self.behind("b"))
        assert (told["verdict"], told["action"], told["predicted_after"]) == ("change", "add", [])
        told = self.told(source, self.behind("b", after=[source["address"]]))
        assert (told["verdict"], told["predicted_after"]) == ("change", [])
        told = self.told(self.file("source", "fine", sensitive=True), self.behind("b"))
        assert told["verdict"] == "change"
        assert not self.exists("source")

    def test_it_is_applied_and_not_stale(self):
        """The plan compared with what is there now, and so does the apply: what the plan foresaw is no move of the host."""
        results = self.apply(self.file("source", "fine"), self.behind("b"))
        assert self.text("b") == "copy"
        assert {entry["outcome"] for entry in results.values()} == {"changed"}

    def test_what_cannot_be_foreseen_is_unknown(self):
        """Until the changes that it hangs on; with the reason, also when the type has a bug."""
        for text, reason in (("dead", "its source does not answer"), ("bug", "internal error while reading: KeyError")):
            source = self.file("source", text)
            told = self.told(source, self.behind("b", after=[source["address"]]))
            assert told["reason"] == reason
            expected = ("unknown", [source["address"]]) if text == "dead" else ("refused", [])
            assert (told["verdict"], told["unknown_until"]) == expected

    def test_a_change_that_is_not_made_brings_nothing(self):
        """One of an association that only audits, one that comes later, and none at all."""
        audited = self.file("source", "fine", association="watch")
        modes = [{"name": "watch", "mode": "audit"}, {"name": "web"}]
        plan = self.plan(audited, self.behind("b"), associations=modes)
        assert plan["behind:" + self.at("b")]["verdict"] == "refused"
        assert self.told(self.behind("b"), self.file("source", "fine"))["verdict"] == "refused"
        self.put("source", "fine")
        assert self.told(self.file("source", "fine"), self.behind("b"))["verdict"] == "change"


if __name__ == "__main__":
    unittest.main()
