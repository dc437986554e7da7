"""Inventories that are asked: answers are kept as long as the settings say, with their age, and never used in secret."""

import json
import time

import pytest

from statectl.cli.offline import keeping, offline_problems, yaml_tools
from statectl.project.settings import load_settings
from statectl.sections import load
from statectl.targets.inventory import load_inventory
from statectl.targets.sources import Keeping
from tests.bad_input.loading import HEAD, write

PROGRAM = """\
#!/bin/sh
echo x >> {place}/asked
[ -e {place}/broken ] && exit 3
cat {place}/answer
"""
ANSWER = {"cloud": {"hosts": ["c1", "c2"]}, "_meta": {"hostvars": {"c1": {"a": "1"}}}}


@pytest.fixture
def asked(tmp_path):
    """`asked(cache_s=600)` -> (hosts, codes of problems, how often the program ran in all)."""
    program = tmp_path / "inventory" / "cloud"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(place=tmp_path))
    program.chmod(0o755)
    (tmp_path / "answer").write_text(json.dumps(ANSWER))

    def load_it(allow=True, **options):
        policy = Keeping(tmp_path / "kept", **options)
        found, problems = load_inventory(
            program.parent, root=tmp_path, yaml=yaml_tools(), allow_executables=allow, keeping=lambda: policy
        )
        count = len((tmp_path / "asked").read_text().split()) if (tmp_path / "asked").exists() else 0
        load_it.answered = found.answered
        load_it.problems = [f"{one.code} {one.summary}" for one in problems]
        return sorted(found.hosts), [one.code for one in problems], count

    load_it.place = tmp_path
    load_it.program = program
    return load_it


def kept_files(asked):
    return list((asked.place / "kept").iterdir()) if (asked.place / "kept").exists() else []


def age(asked, seconds):
    (file,) = kept_files(asked)
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "at": time.time() - seconds}))


HOSTS = ["c1", "c2"]


def test_nothing_is_kept_unless_the_settings_say_so(asked):
    """Without a limit the program is asked each time, and what it says is on no disk."""
    assert [asked() for _ in range(2)] == [(HOSTS, [], 1), (HOSTS, [], 2)]
    assert kept_files(asked) == []
    assert [one.kept for one in asked.answered] == [False]


def test_a_young_answer_is_used_without_asking(asked):
    """Up to its age; `anew` asks all the same; a program that is another one now is asked."""
    assert [asked(cache_s=600) for _ in range(2)] == [(HOSTS, [], 1), (HOSTS, [], 1)]
    assert [one.kept for one in asked.answered] == [True]
    assert asked(cache_s=600, anew=True) == (HOSTS, [], 2)
    age(asked, 599)
    assert asked(cache_s=600)[2] == 2
    age(asked, 601)
    assert asked(cache_s=600)[2] == 3
    asked.program.write_text(asked.program.read_text() + "\n# another\n")
    assert asked(cache_s=600)[2] == 4


def test_a_source_that_fails(asked):
    """Its earlier answer up to the limit, with a warning that says its age; beyond, one clear error, and no hosts."""
    asked(if_failing_s=3600)
    (asked.place / "broken").touch()
    age(asked, 1500)
    assert asked(if_failing_s=3600) == (HOSTS, ["W160"], 2)
    assert asked.problems == ["W160 executable inventory: `--list` exited 3; its answer of 25m ago is used"]
    age(asked, 3601)
    assert asked(if_failing_s=3600) == ([], ["E165"], 3)
    assert asked(cache_s=7200) == (HOSTS, [], 3)
    assert asked() == ([], ["E165"], 4)


def test_validate_asks_nobody(asked):
    """It uses what is kept, of any age, and says so; without trust nothing is used either."""
    assert asked(allow=None, cache_s=600) == ([], ["W157"], 0)
    asked(cache_s=600)
    age(asked, 86400 * 3)
    assert asked(allow=None, cache_s=600) == (HOSTS, ["W160"], 1)
    assert "answer of 3d ago" in asked.problems[0]
    assert asked(allow=False, cache_s=600) == ([], ["E165"], 1)


def test_what_is_kept_is_ours_alone(asked):
    """0600 in a directory of 0700; what others could have written, a link, or what is no answer, is none."""
    asked(cache_s=600)
    (file,) = kept_files(asked)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    file.chmod(0o620)
    assert asked(cache_s=600)[2] == 2
    (file,) = kept_files(asked)
    for number, text in enumerate(("{", "[]", '{"format": "statectl.source/1", "at": "x", "answer": 1}'), 3):
        file.write_text(text)
        assert asked(cache_s=600) == (HOSTS, [], number)
    other = file.rename(asked.place / "elsewhere")
    file.symlink_to(other)
    assert asked(cache_s=600)[2] == 6
    content = {"format": "statectl.source/1", "at": time.time(), "answer": {"list": 1}}
    file.write_text(json.dumps(content))
    assert asked(cache_s=600) == ([], ["E165"], 6)


def test_a_wrong_answer_is_not_kept(asked):
    """What could not be read is an error each time, not for as long as it would be kept."""
    (asked.place / "answer").write_text(json.dumps({"cloud": {"hosts": 7}}))
    assert asked(cache_s=600)[1] == ["E165"]
    assert kept_files(asked) == []


def test_an_answer_that_cannot_be_kept(asked):
    """The command goes on, with a warning."""
    (asked.place / "kept").write_text("a file")
    assert asked(cache_s=600)[:2] == (HOSTS, ["W161"])


def test_hosts_are_asked_one_by_one_without_meta(asked):
    """As Ansible does: --host for each, also when _meta has no hostvars; kept as a whole."""
    for tree in ({"cloud": {"hosts": ["c1"]}}, {"cloud": {"hosts": ["c1"]}, "_meta": {}}):
        asked.program.write_text(
            f"#!/bin/sh\necho x >> {asked.place}/asked\n"
            f"if [ $1 = --host ]; then echo '{{\"b\": \"'$2'\"}}'; else echo '{json.dumps(tree)}'; fi\n"
        )
        for _ in range(2):
            found, problems = load_inventory(
                asked.program, root=asked.place, yaml=yaml_tools(), allow_executables=True,
                keeping=lambda: Keeping(asked.place / "kept", cache_s=600),
            )  # fmt: skip
            assert not problems
            assert found.hosts["c1"].variables["b"].value == "c1"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{cache: 10}", "3:28"),
        ("{cache: -1s}", "3:28"),
        ("{cache: 31d}", "3:28"),
        ("{cash: 1m}", "3:21"),
        ("10m", "3:20"),
    ],
)
def test_settings_are_checked(tmp_path, text, place):
    """A limit is a duration up to 30 days, below its own key; the message has its place."""
    root = write(tmp_path, {"statectl.yml": f"{HEAD}inventory_sources: {text}\n"})
    _, problems = load_settings(root, {})
    assert [f"{one.span.line}:{one.span.column}" for one in problems] == [place]


def test_settings_reach_the_sources(tmp_path):
    """`inventory_sources` says both limits; `validate` with a kept answer knows the hosts of a program."""
    files = {
        "statectl.yml": f"{HEAD}inventory_sources: {{cache: 10m, if_failing: 2d}}\n",
        "inventories/prod": '#!/bin/sh\necho \'{"cloud": ["c1"]}\'\n',
    }
    root = write(tmp_path, files)
    (root / "inventories/prod").chmod(0o755)
    project = load(root, env={})
    policy = keeping(root, project.settings)
    assert (policy.cache_s, policy.if_failing_s, policy.ask) == (600, 172800, True)
    assert offline_problems(project, None)[1] == 0
    load_inventory(
        root / "inventories/prod", root=root, yaml=yaml_tools(), allow_executables=True, keeping=lambda: policy
    )
    problems, hosts = offline_problems(project, None)
    assert ([one.code for one in problems], hosts) == (["W160"], 1)
