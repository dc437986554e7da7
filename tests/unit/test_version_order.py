"""Versions are in the order that dpkg and rpm themselves give them, for real versions and for made up ones."""

import random
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statectl.onhost.versions import compare_deb, compare_rpm, compare_versions

PIECES = ["0", "1", "01", "9", "10", "123", "a", "b", "rc", "alpha", "~", "^", ".", "+", "deb", "el9", "Z", "ubuntu"]


def made_up(pieces: list[str], count: int) -> list[str]:
    chance = random.Random(20)
    found = []
    while len(found) < count:
        upstream = "".join(chance.choice(pieces) for _ in range(chance.randint(1, 6)))
        epoch = chance.choice(["", "", "0:", "1:", "2:"])
        release = chance.choice(["", "-1", "-0", "-1.1", "-01", "-1~bpo", "-2+b1"])
        found.append(f"{epoch}{chance.randint(0, 12)}{upstream}{release}")
    return found


DEB = [
    "1.0", "1.0-0", "1.0-1", "1.0~rc1-1", "1.0~~", "1.0~", "1:0.9", "2.36-9+deb12u4", "2.36-9+deb12u10", "3.0.11-1~deb12u2",
    "3.0.14-1", "1.0a", "1.0+b1", "1.0.", "1.0-1-1", "0:1.0", "1.00", "1.0-00", "1.2.3~beta2", "1.2.3+git20200101", "7",
]  # fmt: skip
RPM = [
    "1.0-1", "1.0-1.el9", "1.0~rc1-1", "1.0^git1-1", "1.0^", "1.0~", "1.0.1-1", "1:0.9-1", "5.14.0-427.el9", "1.0a-1", "1.0.a-1",
    "1.01-1", "2-1", "10-1", "1.0~~-1", "1.0^^-1", "xyz-1", "1_0-1", "1.0-10.el9_4", "1.0-9.el9_4", "0:1.0-1",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg")
def test_the_order_is_that_of_dpkg():
    """dpkg itself is asked about every pair."""
    versions = [*DEB, *made_up([one for one in PIECES if one != "^"], 30)]
    chance = random.Random(1)
    pairs = [(one, other) for one in DEB for other in DEB] + [tuple(chance.sample(versions, 2)) for _ in range(300)]
    wrong = []
    for one, other in pairs:
        order = compare_deb(one, other)
        operator = {-1: "lt", 0: "eq", 1: "gt"}[order]
        done = subprocess.run(["dpkg", "--compare-versions", one, operator, other], capture_output=True, check=False)
        if done.returncode:
            wrong.append((one, operator, other))
    assert wrong == []


@pytest.mark.skipif(shutil.which("rpm") is None, reason="needs rpm")
def test_the_order_is_that_of_rpm():
    """rpm itself is asked about every pair."""
    versions = [*RPM, *made_up([one for one in PIECES if one != "+"], 40)]
    chance = random.Random(2)
    pairs = [(one, other) for one in RPM for other in RPM] + [tuple(chance.sample(versions, 2)) for _ in range(400)]
    script = "".join(f'print(rpm.vercmp("{one}", "{other}").." ")' for one, other in pairs)
    answer = subprocess.run(["rpm", "--eval", "%{lua:" + script + "}"], capture_output=True, check=True, text=True)
    theirs = [int(word) for word in answer.stdout.split()]
    wrong = [(pair, their) for pair, their in zip(pairs, theirs, strict=True) if their != compare_rpm(*pair)]
    assert wrong == []


@settings(max_examples=200)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_text_has_a_place_in_the_order(one, other, third):
    """Whatever a host says is its version: no exception, and an order that is one."""
    for kind in ("deb", "rpm"):
        assert compare_versions(one, one, kind) == 0
        assert compare_versions(one, other, kind) == -compare_versions(other, one, kind)
    if compare_deb(one, other) <= 0 and compare_deb(other, third) <= 0:
        assert compare_deb(one, third) <= 0


def test_a_number_of_any_length_is_compared():
    """Python's limit on digits of a number is no limit here."""
    assert compare_deb("1." + "9" * 10000, "1.1" + "0" * 10000) == -1
