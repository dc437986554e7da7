"""What is compiled is what the project was at one moment, or nothing is."""

import subprocess
import threading

import pytest

from statectl.cli import fleet
from statectl.errors import ConfigError, Refused
from statectl.problems import Problem
from statectl.reconcile import commit
from statectl.reconcile.commit import Reading


@pytest.fixture
def project(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "a.yml").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=x", "-c", "user.email=x@x.invalid", "commit", "-q", "-m", "one")
    return tmp_path


def git(place, *argv):
    subprocess.run(["git", "-C", place, *argv], check=True)


def test_files_that_stand_still_are_of_their_commit(project):
    """Nothing moved: the commit is told, and whether something differs from it."""
    assert not Reading(project).ended().dirty
    (project / "b.yml").write_text("not committed\n")
    found = Reading(project).ended()
    assert found.dirty
    assert len(found.commit) == 40


def test_a_checkout_while_files_are_read_is_refused(project):
    """Another branch in between: half of each would be neither."""
    reading = Reading(project)
    reading._thread.join()
    git(project, "checkout", "-q", "-b", "other")
    (project / "a.yml").write_text("two\n")
    with pytest.raises(Refused, match="changed while they were read"):
        reading.ended()


def test_a_file_saved_again_while_files_are_read_is_refused(project):
    """It differed from the commit before and after, and is another one all the same."""
    (project / "a.yml").write_text("two\n")
    reading = Reading(project)
    reading._thread.join()
    (project / "a.yml").write_text("three\n")
    with pytest.raises(Refused):
        reading.ended()


def test_git_at_work_is_waited_for_and_a_forgotten_lock_is_not(project, monkeypatch):
    """A checkout under way ends first; a lock that nobody takes away holds nothing up for long."""
    lock = project / ".git" / "index.lock"
    lock.write_text("")
    timer = threading.Timer(0.2, lock.unlink)
    timer.start()
    commit._wait_for_git(project)
    assert not lock.exists()
    timer.join()
    lock.write_text("")
    monkeypatch.setattr(commit, "GIT_AT_WORK_S", 0.1)
    assert not Reading(project).ended().dirty


BAD = Problem("E123", "file cannot be read: no such file or directory")


@pytest.mark.parametrize(
    ("second", "expected"),
    [([BAD], ConfigError), ([Problem("E101", "unknown field")], Refused), (None, Refused)],
    ids=["the same again", "another one", "none"],
)
def test_a_mistake_must_be_there_at_a_second_look(project, monkeypatch, second, expected):
    """A file that is checked out away and back while files are read is no mistake in them."""
    answers = [[BAD], second]

    def read(_):
        problems = answers.pop(0)
        if problems:
            raise ConfigError(problems)
        return "project"

    monkeypatch.setattr(fleet, "open_project", read)
    with pytest.raises(expected):
        fleet._read({}, Reading(project))
    assert not answers


def test_outside_git_there_is_nothing_to_compare(tmp_path):
    """No repository: no commit, and no refusal."""
    assert Reading(tmp_path).ended() == commit.Revision()
