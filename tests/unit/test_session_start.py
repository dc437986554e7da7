"""The executor starts on whatever a login shell does around it, once per host and version it is sent, and nothing else is trusted."""

import asyncio
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_in import Wrapped, endpoint, executor, interpreters

from statectl.errors import StatectlError, Unreachable
from statectl.secrets import Secret, Untrusted
from statectl.transport import session
from statectl.transport.channel import Become
from statectl.transport.local import LocalTransport

ORDER = {"type": "order", "run": "r1", "host": "here", "kind": "plan"}


def converse(directory, *, order=ORDER, transport=None, version="1", blobs=None, start_s=20.0, **fields):
    """Start, receive until `end` -> all messages."""

    async def run():
        started = await session.start(
            transport or LocalTransport(),
            endpoint(directory, **fields),
            executor(directory, version),
            order,
            start_s=start_s,
        )
        said = []
        try:
            while not said or said[-1]["type"] != "end":
                said.append(await started.receive())
                if said[-1]["type"] == "need":
                    for name in said[-1]["blobs"]:
                        await started.send_blob(name, blobs[name])
            return said
        finally:
            await started.close()

    return asyncio.run(run())


def cached(directory):
    return sorted((directory / "state" / "cache").glob("*.bin"))


def broken_python(directory: Path, text: str) -> str:
    """A directory whose python3 is this shell script, in front of the real ones."""
    path = directory / "python3"
    path.write_text("#!/bin/sh\n" + text + "\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("python", interpreters())
def test_every_interpreter_runs_it_first_from_the_zip_and_then_from_the_cache(tmp_path, python):
    """Promise E02: 3.6 and later work in full, and each has its own cached executor."""
    for _ in range(2):
        ready, end = converse(tmp_path, python=python)
        assert os.path.samefile(ready["facts"]["python"]["executable"], python)
        assert end["outcome"] == "applied"
        assert len(cached(tmp_path)) == 1


def test_stdout_of_the_executor_and_its_children_cannot_enter_the_protocol(tmp_path):
    """The stand-in prints, and starts a child that prints and reads stdin; the next frames are intact and stdin was at its end."""
    ready, end = converse(tmp_path)
    assert (ready["type"], end["type"]) == ("ready", "end")
    assert ready["memory"]["order"] == ORDER


def test_second_contact_sends_no_executor(tmp_path):
    """Once per host and version: the bytes sent the second time are the order's alone."""
    sent = []

    class Counting(LocalTransport):
        async def open(self, endpoint, argv, *, deadline_s):
            channel = await super().open(endpoint, argv, deadline_s=deadline_s)
            send = channel.send

            async def counted(data):
                sent.append(len(data))
                await send(data)

            channel.send = counted
            return channel

    converse(tmp_path, transport=Counting())
    assert max(sent) > 2000
    sent.clear()
    converse(tmp_path, transport=Counting())
    assert sum(sent) < 200


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-5]),
        lambda file: file.write_bytes(
            file.read_bytes()[:300] + bytes([file.read_bytes()[300] ^ 1]) + file.read_bytes()[301:]
        ),
        lambda file: file.write_bytes(b""),
        lambda file: file.chmod(0o666),
        lambda file: (file.rename(str(file) + ".moved"), file.symlink_to(str(file) + ".moved")),
        lambda file: (file.unlink(), os.mkfifo(file)),
        lambda file: file.parent.chmod(0o777),
    ],
    ids=["truncated", "bit flipped", "empty", "writable", "link", "fifo", "directory writable"],
)
def test_damaged_cache_is_noticed_and_sent_again(tmp_path, damage):
    """Promise E09: no wrong byte is run; the next contact heals the cache."""
    converse(tmp_path)
    (file,) = cached(tmp_path)
    good = file.read_bytes()
    damage(file)
    assert converse(tmp_path)[-1]["outcome"] == "applied"
    assert file.read_bytes() == good
    assert not file.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_executor_of_another_version_under_this_name_is_not_run(tmp_path):
    """A whole and valid cache file that was replaced by another version's is no match for the hash that was asked for."""
    converse(tmp_path, version="1")
    (one,) = cached(tmp_path)
    converse(tmp_path, version="2")
    (two,) = [file for file in cached(tmp_path) if file != one]
    good = two.read_bytes()
    shutil.copy(one, two)
    converse(tmp_path, version="2")
    assert two.read_bytes() == good


def test_only_the_newest_executors_stay(tmp_path):
    """The cache of a long-lived host does not grow with every release."""
    for version in "123456":
        converse(tmp_path, version=version)
    assert len(cached(tmp_path)) == 4


def test_cache_of_another_user_is_not_used(tmp_path):
    """A directory that somebody else made beforehand is neither read nor written; the executor runs from memory."""
    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    cache = tmp_path / "state" / "cache"
    cache.mkdir(parents=True)
    os.chown(cache, 12345, 12345)
    for _ in range(2):
        assert converse(tmp_path)[-1]["outcome"] == "applied"
    assert list(cache.iterdir()) == []


def test_read_only_or_missing_cache_directory_costs_only_the_saving(tmp_path):
    """Promise E08: a host that can keep nothing is still served."""
    (tmp_path / "state").write_text("a file where a directory should be")
    assert converse(tmp_path)[-1]["outcome"] == "applied"


@pytest.mark.parametrize(
    "noise",
    [
        'echo "Welcome to here"; exec "$@"',
        'printf "no newline at its end"; exec "$@"',
        'head -c 1048576 /dev/urandom; exec "$@"',
        'printf "\\033[2J\\033]0;title\\007\\r\\n"; exec "$@"',
        'echo statectl:0123456789abcdef:have; echo statectl:; exec "$@"',
        'echo "$@"; exec "$@"',
        'set -x; exec "$@"',
        'echo noise >&2; "$@"; code=$?; exit $code',
        'export PYTHONPATH=/nonexistent PYTHONSTARTUP=/etc/passwd LC_ALL=tr_TR PATH=; umask 777; exec "$@"',
    ],
    ids=[
        "motd",
        "no newline",
        "1 MiB banner",
        "escapes",
        "fake markers",
        "echoes the command",
        "set -x",
        "no exec",
        "hostile environment",
    ],
)
def test_noise_of_a_login_shell_is_skipped(tmp_path, noise):
    """Promises E06 and E10: what a dot file prints or sets does not matter."""
    assert converse(tmp_path, transport=Wrapped(noise))[-1]["outcome"] == "applied"


@pytest.mark.skipif(not shutil.which("script"), reason="no script(1) here")
def test_forced_terminal_is_made_plain(tmp_path):
    """Promise E06: a login shell that wraps everything into `script` echoes and edits what is sent; it works nevertheless."""
    wrapper = 'exec script -qec "$(printf "%s" "$0")" /dev/null'

    class Scripted(LocalTransport):
        async def open(self, endpoint, argv, *, deadline_s):
            return await super().open(endpoint, ["/bin/sh", "-c", wrapper, shlex.join(argv)], deadline_s=deadline_s)

    order = {**ORDER, "texts": ["x" * 5000, "\n\r\x03\x04"]}
    assert converse(tmp_path, transport=Scripted(), order=order)[-1]["outcome"] == "applied"


def test_endless_noise_is_cut(tmp_path):
    """A shell that prints for ever is given up after 2 MiB, in one line."""
    with pytest.raises(Unreachable, match="printed more than 2 MiB") as caught:
        converse(tmp_path, transport=Wrapped("yes"))
    assert caught.value.code == "E323"


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "zsh", "fish", "ksh", "tcsh", "csh"])
def test_login_shells_pass_the_command_on_unchanged(tmp_path, shell):
    """SSH hands one line to the user's own shell, whatever that is."""
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")

    class Login(LocalTransport):
        async def open(self, endpoint, argv, *, deadline_s):
            return await super().open(endpoint, [shell, "-c", shlex.join(argv)], deadline_s=deadline_s)

    assert converse(tmp_path, transport=Login())[-1]["outcome"] == "applied"


@pytest.mark.parametrize(
    "text",
    ["echo Python 3.11.0", "kill -SEGV $$", "exit 0", "cat >/dev/null", "echo moved; exit 127", "exec /bin/false"],
    ids=["prints and exits 0", "segfaults", "exits 0", "reads stdin", "127", "false"],
)
def test_interpreter_that_is_none_is_passed_over(tmp_path, text, monkeypatch):
    """Promise E03: a wrapper is found out and the next candidate is taken."""
    fake = broken_python(tmp_path, text)
    monkeypatch.setattr("statectl.transport.bundle.CANDIDATES", (fake, "python3"))
    transport = Wrapped('exec "$@"')
    ready, _ = converse(tmp_path, transport=transport)
    assert ready["facts"]["python"]["executable"] != fake
    assert transport.opened == 2


def test_old_interpreter_hands_over_to_the_next_on_the_same_channel(tmp_path, monkeypatch):
    """Promise E01: Python 2 or one without json is no reason to log in twice."""
    old = next(Path.home().glob(".pyenv/versions/2.7.*/bin/python"), None)
    if old is None:
        pytest.skip("no Python 2.7 here")
    monkeypatch.setattr("statectl.transport.bundle.CANDIDATES", (str(old), "python3"))
    transport = Wrapped('exec "$@"')
    assert converse(tmp_path, transport=transport)[-1]["outcome"] == "applied"
    assert transport.opened == 1
    with pytest.raises(Unreachable, match=r"no python3 >= 3.6 found \(.*is 2\.7") as caught:
        converse(tmp_path, python=str(old))
    assert caught.value.code == "E320"


def test_python3_minimal_is_refused_by_name(tmp_path):
    """An interpreter without json names the package to install."""
    code = "import sys; sys.modules['json'] = None;  code = sys.argv[6]; del sys.argv[1:7]; exec(code)"
    without = broken_python(tmp_path, f'exec {sys.executable} -c "{code}" "$@"')
    with pytest.raises(Unreachable, match=r"lacks json .*install python3, not only python3-minimal") as caught:
        converse(tmp_path, python=without)
    assert caught.value.code == "E320"


def test_no_python_says_where_it_was_looked_for(tmp_path):
    """Promise E01: one line, and quickly."""
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"no python3 >= 3\.6 found") as caught:
        converse(tmp_path, python="/nonexistent/python3")
    assert caught.value.code == "E320"
    assert time.monotonic() - began < 5


def test_modules_in_the_working_directory_are_never_imported(tmp_path):
    """Promise E04: json.py, sitecustomize.py and PYTHONPATH beside a login are ignored."""
    canary = tmp_path / "canary"
    for name in ("json", "hashlib", "sitecustomize", "usercustomize", "os", "zlib", "statectl"):
        (tmp_path / f"{name}.py").write_text(f"open({str(canary)!r}, 'w')\n")
    wrapper = f'cd {shlex.quote(str(tmp_path))}; PYTHONPATH=.; export PYTHONPATH; exec "$@"'
    assert converse(tmp_path, transport=Wrapped(wrapper))[-1]["outcome"] == "applied"
    assert not canary.exists()


def test_silent_start_ends_at_its_deadline(tmp_path):
    """Promise N05: after login something must be heard within the limit."""
    began = time.monotonic()
    with pytest.raises(Unreachable, match="executor did not start in 1 s") as caught:
        converse(tmp_path, transport=Wrapped("sleep 60"), start_s=1, python="/usr/bin/python3")
    assert caught.value.code == "E322"
    assert time.monotonic() - began < 4


def test_host_texts_are_untrusted_to_the_last_key(tmp_path):
    """Rule 1: nothing a host said can be taken for text of ours."""
    ready, log, _ = converse(tmp_path, order={**ORDER, "texts": ["{{ 7*7 }}"]})
    assert isinstance(log["text"], Untrusted)
    assert all(isinstance(key, Untrusted) for key in ready["memory"]["order"])
    assert isinstance(ready["memory"]["order"]["run"], Untrusted)


def test_blobs_travel_whole(tmp_path):
    """Content of bytes and of a file, empty and larger than a frame, arrives in the announced sizes."""
    file = tmp_path / "large"
    file.write_bytes(os.urandom(3_000_001))
    names = ["a" * 64, "b" * 64, "c" * 64]
    said = converse(
        tmp_path, order={**ORDER, "want": names}, blobs={names[0]: b"x" * 700_000, names[1]: b"", names[2]: file}
    )
    assert said[2]["text"] == "[700000, 0, 3000001]"


def test_executor_that_dies_is_no_success(tmp_path):
    """Promise G1: without its last word a run is lost, and what it printed last is shown."""
    with pytest.raises(Unreachable, match=r"channel lost.*it fell over") as caught:
        converse(tmp_path, order={**ORDER, "die": True})
    assert caught.value.code == "E310"


def test_last_word_with_another_digest_is_no_success(tmp_path):
    """A stream that lost or gained a message on its way is noticed at its end."""
    with pytest.raises(Unreachable, match="digest") as caught:
        converse(tmp_path, order={**ORDER, "lie": True})
    assert caught.value.code == "E321"


FAKE_SUDO = """#!/bin/sh
printf '%s\\n' "$*" >> {log}
{before}
while [ "$1" != -- ]; do case $1 in -p) prompt=$2; shift 2;; -u) shift 2;; *) shift;; esac; done
shift
{body}
"""
ASKS = """printf '%s' "$prompt" >&2
IFS= read -r word
[ "$word" = sesame ] || { printf 'Sorry, try again.\\n%s' "$prompt" >&2; read -r word; echo 'sudo: 1 incorrect password attempt' >&2; exit 1; }
exec "$@"
"""


def sudo_host(directory: Path, body: str, before: str = "") -> Wrapped:
    """A host whose sudo is this script."""
    tools = directory / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "sudo").write_text(FAKE_SUDO.format(log=directory / "argv", before=before, body=body))
    (tools / "sudo").chmod(0o755)
    return Wrapped(f'PATH={tools}:$PATH exec "$@"')


SESAME = Become("root", Secret("sesame"))


@pytest.mark.parametrize(
    ("body", "before"),
    [(ASKS, ""), ('exec "$@"', ""), (ASKS, "echo 'We trust you have received the usual lecture' >&2; sleep 0.5")],
    ids=["asks", "does not ask", "lecture and slow"],
)
def test_sudo_gets_its_password_when_it_asks_and_only_then(tmp_path, body, before):
    """Promise E05: the password travels on the channel, once, and is in no argv."""
    transport = sudo_host(tmp_path, body, before)
    ready, end = converse(tmp_path, transport=transport, become=SESAME)
    assert end["outcome"] == "applied"
    assert ready["memory"]["order"] == ORDER
    assert "sesame" not in (tmp_path / "argv").read_text()


@pytest.mark.parametrize(
    ("become", "body", "code"),
    [
        (Become("root", Secret("wrong")), ASKS, "E331"),
        (Become("root"), "echo 'sudo: a password is required' >&2; exit 1", "E330"),
        (SESAME, "echo 'joe is not in the sudoers file.  This incident will be reported.' >&2; exit 1", "E332"),
        (
            Become("root"),
            "echo 'Sorry, user joe is not allowed to execute /bin/sh as root on here.' >&2; exit 1",
            "E332",
        ),
        (Become("root"), "echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1", "E333"),
        (Become("ghost"), "echo 'sudo: unknown user ghost' >&2; exit 1", "E335"),
    ],
    ids=["wrong", "needed", "not in sudoers", "not allowed", "requiretty", "unknown user"],
)
def test_sudo_says_no_in_one_line_per_cause(tmp_path, become, body, code):
    """Promise E05: every refusal has its own code, and none waits for the deadline."""
    began = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        converse(tmp_path, transport=sudo_host(tmp_path, body), become=become)
    assert caught.value.code == code
    assert "\n" not in caught.value.message
    assert "wrong" not in caught.value.message
    assert time.monotonic() - began < 5
    assert (tmp_path / "argv").read_text().count("\n") == 1


def test_missing_sudo_is_named(tmp_path):
    """Promise E05: not installed."""
    with pytest.raises(Unreachable, match="sudo is not installed") as caught:
        converse(tmp_path, transport=Wrapped('PATH=/nonexistent exec "$@"'), become=Become("root"))
    assert caught.value.code == "E334"


def test_sudo_that_asks_in_other_words_ends_at_the_deadline(tmp_path):
    """Promise E05: never hangs on a prompt that is not ours; it is shown."""
    body = "printf 'Verification code: ' >&2; read -r word; exit 1"
    with pytest.raises(
        StatectlError, match=r"did not ask for the password in 1 s; it said: Verification code"
    ) as caught:
        converse(tmp_path, transport=sudo_host(tmp_path, body), become=SESAME, start_s=1)
    assert caught.value.code == "E322"


def test_by_hand_on_the_host(tmp_path):
    """`python3 onhost.pyz < order.json` answers in JSON lines."""
    file = tmp_path / "onhost.pyz"
    file.write_bytes(executor(tmp_path).data)
    for python in interpreters()[:1] + interpreters()[-1:]:
        done = subprocess.run(
            [python, file], input='{"type": "order", "texts": ["ä"]}\n', capture_output=True, text=True, check=True
        )
        assert [line.split('"')[3] for line in done.stdout.splitlines()] == ["ready", "log", "end"]
    done = subprocess.run([python, file], input="no json", capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("statectl: stdin is not JSON")
