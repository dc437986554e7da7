"""One message may say of many resources that they are right; it gives a host no more room than a message for each would."""

import pytest

from statectl.errors import Unreachable
from statectl.reconcile import heard
from statectl.reconcile.heard import Heard, right_result

OURS = frozenset({"file:/a", "file:/b"})


def right(*addresses, of="verdict"):
    return {"type": "right", "of": of, "association": "web", "addresses": list(addresses)}


def test_it_stands_for_a_message_of_each_address():
    """A resource that is right has been spoken of: a verdict of it that follows is its second, and a result its first."""
    one = Heard()
    one.right(right("file:/a", "file:/b"), OURS, "verdict")
    one.right(right("file:/a", of="result"), OURS, "result")
    with pytest.raises(Unreachable, match="verdict came twice"):
        one.kept({"type": "verdict", "address": "file:/b", "verdict": "change"}, OURS)


def test_no_address_is_right_twice():
    """A host that repeats itself could say so much that nobody notices what it leaves out."""
    with pytest.raises(Unreachable, match="twice"):
        Heard().right(right("file:/a", "file:/a"), OURS, "verdict")
    one = Heard()
    one.right(right("file:/a"), OURS, "verdict")
    with pytest.raises(Unreachable, match="twice"):
        one.right(right("file:/b", "file:/a"), OURS, "verdict")


def test_it_says_what_is_due():
    """Results before `go`, or verdicts after it, are no executor's words."""
    with pytest.raises(Unreachable, match="not due"):
        Heard().right(right("file:/a", of="result"), OURS, "verdict")


def test_strangers_have_little_room(monkeypatch):
    """Addresses that the catalogue does not have count as all that is told of such."""
    monkeypatch.setattr(heard, "ROOM_FOR_ELSE", 100)
    one = Heard()
    one.right(right("file:/x" * 5), OURS, "verdict")
    with pytest.raises(Unreachable, match="more resources"):
        one.right(right("file:/y" * 20), OURS, "verdict")


def test_its_result_is_like_a_message_of_its_own():
    """Whoever reads results need not know how they travelled."""
    told = right_result("file:/a")
    assert (told["address"], told["outcome"], told["changes"], told["error"]) == ("file:/a", "ok", [], None)
