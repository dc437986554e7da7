"""Ten thousand pairs of versions each are in the order of dpkg and of rpm: pairs that differ in little, where a mistake would show."""

import random
import shutil
import subprocess

import pytest

from statectl.onhost.versions import compare_deb, compare_rpm

COUNT = 10_000
BINARY = 500  # pairs asked of dpkg itself: its library is asked about all, in one process
PARTS = [
    "0",
    "00",
    "1",
    "01",
    "9",
    "10",
    "010",
    "99999999999999999999",
    "a",
    "A",
    "z",
    "rc",
    "alpha",
    ".",
    "..",
    "~",
    "~~",
]
DEB_PARTS = [*PARTS, "+", "+b1", "-1", "deb12u", "ubuntu", "~bpo12"]
RPM_PARTS = [*PARTS, "^", "^^", "_", "+", "el9", "^git", "~rc"]
EPOCHS = ["", "", "", "0:", "1:", "01:", "10:"]
DPKG = "while (<STDIN>) { chomp; my ($one, $other) = split / /; print version_compare($one, $other), qq(\\n); }"
RPM = '%{lua: for line in io.lines("FILE") do local a, b = line:match("(%S+) (%S+)"); print(rpm.vercmp(a, b) .. "\\n") end}'


def pairs(seed: int, parts: list[str], releases: list[str]) -> list[tuple[str, str]]:
    """The second of a pair is the first with one thing changed, or now and then another version altogether."""
    chance = random.Random(seed)

    def version() -> list[str]:
        body = [chance.choice(parts) for _ in range(chance.randint(0, 6))]
        return [chance.choice(EPOCHS), str(chance.randint(0, 11)), *body, chance.choice(releases)]

    def changed(words: list[str]) -> list[str]:
        place = chance.randrange(len(words))
        if place == 0:
            return [chance.choice(EPOCHS), *words[1:]]
        if place == len(words) - 1:
            return [*words[:-1], chance.choice(releases)]
        if place == 1:
            return [words[0], str(chance.randint(0, 11)), *words[2:]]
        return [
            *words[:place],
            *chance.choice(([], [chance.choice(parts)], [words[place], chance.choice(parts)])),
            *words[place + 1 :],
        ]

    found = []
    while len(found) < COUNT:
        one = version()
        other = version() if chance.random() < 0.1 else changed(one)
        found.append(("".join(one), "".join(other)))
    return found


def disagreements(ours, pairs, theirs):
    assert len(theirs) == len(pairs)
    return [(pair, their, our) for pair, their in zip(pairs, theirs, strict=True) if (our := ours(*pair)) != their]


@pytest.mark.skipif(
    shutil.which("perl") is None or shutil.which("dpkg") is None, reason="needs dpkg and its library for perl"
)
def test_ten_thousand_pairs_are_in_the_order_of_dpkg():
    """dpkg's own library is asked about all pairs, and `dpkg --compare-versions` about every twentieth; all three agree."""
    if subprocess.run(["perl", "-MDpkg::Version", "-e", "1"], capture_output=True, check=False).returncode:
        pytest.skip("needs libdpkg-perl")
    asked = pairs(
        1, DEB_PARTS, ["", "-0", "-1", "-01", "-1.1", "-1~bpo1", "-2+b1", "-1ubuntu1", "-0+deb12u9", "-0+deb12u10"]
    )
    lines = "".join(f"{one} {other}\n" for one, other in asked)
    perl = ["perl", "-MDpkg::Version", "-e", DPKG]
    done = subprocess.run(perl, input=lines, capture_output=True, text=True, check=True)
    theirs = [int(line) for line in done.stdout.split()]
    assert {-1, 0, 1} == set(theirs)
    assert disagreements(compare_deb, asked, theirs) == []
    for (one, other), their in list(zip(asked, theirs, strict=True))[:: COUNT // BINARY]:
        operator = {-1: "lt", 0: "eq", 1: "gt"}[their]
        binary = subprocess.run(["dpkg", "--compare-versions", one, operator, other], capture_output=True, check=False)
        assert binary.returncode == 0, (one, operator, other)


@pytest.mark.skipif(shutil.which("rpm") is None, reason="needs rpm")
def test_ten_thousand_pairs_are_in_the_order_of_rpm(tmp_path):
    """rpm itself is asked about all pairs, in one process."""
    asked = pairs(
        2, RPM_PARTS, ["", "-1", "-01", "-1.1", "-10", "-1.el9", "-1.el9_4", "-1~rc", "-1^git", "-9.fc40", "-10.fc40"]
    )
    file = tmp_path / "pairs"
    file.write_text("".join(f"{one} {other}\n" for one, other in asked))
    done = subprocess.run(["rpm", "--eval", RPM.replace("FILE", str(file))], capture_output=True, text=True, check=True)
    theirs = [int(line) for line in done.stdout.split()]
    assert {-1, 0, 1} == set(theirs)
    assert disagreements(compare_rpm, asked, theirs) == []
