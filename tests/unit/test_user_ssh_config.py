"""The user's ssh config: what is read for one host says what the whole file says of it."""

import contextlib
import time
from pathlib import Path

import asyncssh
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statectl.transport.user_config import UserConfig, user_config

NAMES = ["web1", "web2", "db", "WEB1", "10.0.0.1"]
PATTERNS = [*NAMES, "*", "web?", "!web1", "web1,db", "[w]eb1", '"web1"', "db=x"]
SETTINGS = [
    "User me",
    "Port 2222",
    "HostName 10.9.9.9",
    "HostName=x",
    "Compression yes",
    "IdentityFile ~/k",
    "# Host no",
]
TROUBLES = [
    "Host",
    "Port none",
    'User "open',
    "Include more.conf",
    "CanonicalizeHostname no",
    "Match final",
    "  ",
    "Host=db",
]
MATCHES = ["Match host web1", "Match all", "Match originalhost web* user me", 'match exec "true"', "MATCH !host db"]
heads = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3).map(lambda words: "Host " + " ".join(words))
files = st.lists(
    st.one_of(heads, st.sampled_from(MATCHES), *[st.sampled_from(SETTINGS)] * 3, st.sampled_from(TROUBLES)), max_size=12
).map(lambda lines: "".join(line + "\n" for line in lines))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("home")
    (place / ".ssh").mkdir()
    (place / ".ssh" / "more.conf").write_text("Host web2\n  User included\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place))
        yield place


def said(name, config):
    """Everything that asyncssh takes from these files for one host, or the kind of mistake."""
    try:
        options = asyncssh.SSHClientConnectionOptions(host=name, config=config, client_keys=None)
    except ValueError as error:
        return type(error)
    return options.config.get_options(False), options.config.has_match_final()


@given(text=files, name=st.sampled_from(NAMES))
def test_a_part_says_what_the_whole_says(home, text, name):
    """For any file and any host, what is left out would have said nothing about that host."""
    (home / ".ssh" / "config").write_text(text)
    with UserConfig().about(name) as part:
        found = said(name, part)
    assert found == said(name, user_config()) or found is asyncssh.ConfigParseError


@example(text="Host db\nHost\n", name="web1")
@example(text='Host db\nUser "open\n', name="web1")
@given(text=files, name=st.sampled_from(NAMES))
def test_a_mistake_is_never_missed(home, text, name):
    """A file that asyncssh refuses as a whole is refused in part."""
    (home / ".ssh" / "config").write_text(text)
    with UserConfig().about(name) as part:
        assert (said(name, part) is asyncssh.ConfigParseError) == (
            said(name, user_config()) is asyncssh.ConfigParseError
        )


def test_blocks_of_other_hosts_are_not_read(home):
    """Of a file with a block for each of many hosts, asyncssh sees the common part and one block."""
    blocks = "".join(f"Host web{number}\n  Port {number}\n" for number in range(1, 1001))
    (home / ".ssh" / "config").write_text(f"User all\n{blocks}Host *\n  Compression yes\n")
    with UserConfig().about("web7") as part:
        assert Path(part[0]).read_text() == "User all\nHost web7\n  Port 7\nHost *\n  Compression yes\n"


def test_a_changed_file_is_read_again(home):
    """A process that runs for days goes by the file as it is."""
    config = UserConfig()
    for port in (22, 2222):
        (home / ".ssh" / "config").write_text(f"Host web1\n  Port {port}\n")
        with config.about("web1") as part:
            assert said("web1", part)[0]["Port"] == port
        time.sleep(0.01)


def test_nothing_is_read_where_there_is_no_file(home):
    """asyncssh is told to read nothing by itself."""
    with contextlib.suppress(FileNotFoundError):
        (home / ".ssh" / "config").unlink()
    with UserConfig().about("web1") as part:
        assert part is None
