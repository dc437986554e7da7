"""The executor on real hosts: real sshd, real sudo, what is in real accounts' dot files, and what it leaves behind."""

import asyncio
import time

import pytest

from statectl.errors import Unreachable
from statectl.secrets import Secret
from statectl.transport import bundle, session
from statectl.transport.channel import Become, Endpoint
from statectl.transport.known_hosts import TrustedKeys
from statectl.transport.ssh import SshTransport

PASSWORD = "operator-test-password"


@pytest.fixture
def contact(tmp_path, monkeypatch):
    """`contact(host, user=..., become=...)`: facts of the host through the executor -> its `ready`."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(host, **fields):
        async def talk():
            endpoint = Endpoint(host.name, host.address, identity_files=(str(host.key),), **fields)
            order = {"type": "order", "run": "r1", "host": host.name, "kind": "facts", "controller": "test"}
            transport = SshTransport(TrustedKeys((host.known_hosts,)))
            conversation = await session.start(transport, endpoint, bundle.build(), order)
            try:
                ready = await conversation.receive()
                assert (await conversation.receive())["outcome"] == "done"
                await conversation.send({"type": "ack", "runs": []})
                return ready
            finally:
                await conversation.close()

        return asyncio.run(talk())

    return run


@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie", "rpm"])
def test_facts_are_those_of_the_host(lab_hosts, contact, suite):
    """Promise E02 on each system of the lab; the second contact finds the executor in the cache."""
    (host,) = lab_hosts(1, suite)
    facts = contact(host, user="root")["facts"]
    assert facts["missing"] == {}
    assert facts["host"]["hostname"] == host.name
    assert facts["network"]["default_address"] in ("", host.address)
    assert host.address in facts["network"]["addresses"]
    assert facts["virtualization"] == "systemd-nspawn"
    assert facts["service_manager"] == "systemd"
    assert facts["os"]["codename"] == (suite if suite != "rpm" else "bookworm")
    cache = host.upper / "var" / "cache" / "statectl"
    (file,) = cache.iterdir()
    before = file.stat()
    assert contact(host, user="root")["uid"] == 0
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert (cache.stat().st_mode & 0o777, before.st_mode & 0o777, before.st_uid) == (0o700, 0o600, 0)


def test_sudo_in_all_its_moods(lab_host, contact):
    """Promise E05 with the real sudo: without a password, with one, a wrong one, none, and nobody's."""
    root = Become("root")
    assert contact(lab_host, user="admin", become=root)["uid"] == 0
    assert contact(lab_host, user="operator", become=Become("root", Secret(PASSWORD)))["uid"] == 0
    assert contact(lab_host, user="admin", become=Become("root", Secret("not asked for")))["uid"] == 0
    for user, become, code in (
        ("operator", root, "E330"),
        ("operator", Become("root", Secret("wrong")), "E331"),
        ("plain", Become("root", Secret("whatever")), None),
        ("admin", Become("nobody-here"), "E335"),
    ):
        began = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            contact(lab_host, user=user, become=become)
        assert caught.value.code == code or (code is None and caught.value.code in ("E331", "E332")), (
            caught.value.message
        )
        assert time.monotonic() - began < 15
    log = lab_host.sh("journalctl -o cat _COMM=sudo --no-pager")
    assert PASSWORD not in log


def test_unprivileged_user_has_a_cache_of_its_own(lab_host, contact):
    """Without root the executor lives in the user's own 0700 directory."""
    assert contact(lab_host, user="plain")["uid"] != 0
    listed = lab_host.sh("stat -c '%a %U' ~plain/.cache/statectl").split()
    assert listed == ["700", "plain"]


def test_dot_files_and_requiretty(lab_host, contact):
    """Promise E06 and E05: noise of a real login, a sudo that wants a terminal, a shell that is none."""
    lab_host.sh(
        "printf 'echo hello; echo hello >&2; printf \"\\\\033[2J\"; head -c 300000 /dev/zero\\n' > /root/.bashrc"
    )
    assert contact(lab_host, user="root")["uid"] == 0
    lab_host.sh("echo 'Defaults requiretty' > /etc/sudoers.d/tty")
    with pytest.raises(Unreachable) as caught:
        contact(lab_host, user="admin", become=Become("root"))
    assert caught.value.code == "E333"
    lab_host.sh("usermod -s /usr/sbin/nologin plain")
    with pytest.raises(Unreachable, match="not available") as caught:
        contact(lab_host, user="plain")
    assert caught.value.code == "E322"


def test_host_without_python(lab_host, contact):
    """Promise E01: no interpreter at all, and one that lacks its library."""
    lab_host.sh(
        "rm -f /usr/bin/python3 && printf '#!/bin/sh\\necho Python 3.11.2\\n' > /usr/bin/python3 && chmod 755 /usr/bin/python3"
    )
    assert contact(lab_host, user="root")["facts"]["python"]["executable"] == "/usr/bin/python3.11"
    lab_host.sh("rm -f /usr/bin/python3.11")
    with pytest.raises(Unreachable, match=r"no python3 >= 3\.6 found \(python3 does not work\)") as caught:
        contact(lab_host, user="root")
    assert caught.value.code == "E320"


def test_nothing_of_ours_stays_running(lab_host, contact):
    """O4: after a contact no process of ours is left."""
    contact(lab_host, user="root")
    time.sleep(1)
    running = lab_host.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'")
    assert "systemd" in running
    assert bundle.build().sha256 not in running
