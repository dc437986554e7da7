"""Servers that are not what they should be: another key, no protection against truncation, old algorithms, channels of their own."""

import asyncio
import time
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import String, UInt32

from tests.hostile.fleets import run, write_fleet
from tests.hostile.servers import READY, Channel, Listening, Open, Servers


async def honest(channel: Channel) -> None:
    await channel.start()
    await channel.say(READY)
    await channel.end("done", counts={"code": 0})


def test_another_host_key(servers: Servers, project) -> None:
    """T09: a server with another key than the pinned one is refused with both fingerprints, and not one byte of ours gets there."""
    other = asyncssh.generate_private_key("ssh-ed25519")
    host = servers.executor(honest, key=other)
    write_fleet(project, servers, {"evil": host})
    ran = run(project, "apply", "--yes")
    assert ran.code == 5, ran
    assert other.get_fingerprint() in ran.out and servers.key.get_fingerprint() in ran.out
    assert "[E312]" in ran.out
    assert not host.channels


def test_unknown_host_key(servers: Servers, project) -> None:
    """T09: first contact with a key that nobody enrolled is refused, and nothing is sent."""
    host = servers.executor(honest)
    write_fleet(project, servers, {"evil": host})
    inventory = project.root / "inventories/local/hosts.yml"
    inventory.write_text(inventory.read_text().replace(f", host_key: {servers.host_key}", ""))
    ran = run(project, "apply", "--yes")
    assert ran.code == 5, ran
    assert "[E311]" in ran.out and servers.key.get_fingerprint() in ran.out
    assert not host.channels


def test_password_is_not_shown_to_a_stranger(servers: Servers, project) -> None:
    """T09: a login password goes to nobody whose key is not the known one."""
    tried: list[str] = []

    class Greedy(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            tried.append(username)
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            tried.append(password)
            return True

    host = servers.executor(honest, server=Greedy, key=asyncssh.generate_private_key("ssh-ed25519"))
    write_fleet(project, servers, {"evil": host})
    (project.home / "password").write_text("login-canary-5b1e\n")
    with open(project.home / "password") as password:
        ran = run(project, "run", "--password-fd", str(password.fileno()), "--", "id", pass_fds=(password.fileno(),))
    assert ran.code == 5, ran
    assert tried == []


WEAK: dict[str, dict[str, Any]] = {
    "key exchange with SHA-1": {"kex_algs": ["diffie-hellman-group14-sha1"]},
    "group 1": {"kex_algs": ["diffie-hellman-group1-sha1"]},
    "CBC": {"encryption_algs": ["aes128-cbc", "3des-cbc"]},
    "arcfour": {"encryption_algs": ["arcfour256"]},
    "MAC with SHA-1": {"encryption_algs": ["aes128-ctr"], "mac_algs": ["hmac-sha1"]},
    "MAC with MD5": {"encryption_algs": ["aes128-ctr"], "mac_algs": ["hmac-md5"]},
}


@pytest.mark.parametrize("algorithms", WEAK)
def test_old_algorithms_only(servers: Servers, project, algorithms: str) -> None:
    """T26: a server that offers only old algorithms is refused in one line before the login."""
    host = servers.executor(honest, **WEAK[algorithms])
    write_fleet(project, servers, {"evil": host})
    ran = run(project, "run", "-t", "evil", "--", "id")
    assert ran.code == 5, ran
    assert "[E313]" in ran.err
    assert not host.channels


def test_host_key_with_sha1() -> None:
    """T26: a signature with SHA-1 proves no host key, neither of a known RSA key nor of one of any kind."""
    from statectl.transport.ssh import _preferring

    for known in (["ssh-rsa"], ["ssh-ed25519"], []):
        assert not {"ssh-rsa", "ssh-dss"}.intersection(_preferring(known))


@pytest.fixture
def not_strict(monkeypatch):
    """Servers made now do not know strict key exchange."""
    original = asyncssh.connection.SSHServerConnection._get_extra_kex_algs
    monkeypatch.setattr(
        asyncssh.connection.SSHServerConnection,
        "_get_extra_kex_algs",
        lambda self: [name for name in original(self) if b"strict" not in name],
    )
    never = property(lambda self: False, lambda self, value: None)
    monkeypatch.setattr(asyncssh.connection.SSHServerConnection, "_strict_kex", never, raising=False)


def test_truncation_is_possible(servers: Servers, project, not_strict) -> None:
    """T26: no strict key exchange and only ChaCha20 (CVE-2023-48795): refused before anything is sent."""
    host = servers.executor(honest, encryption_algs=["chacha20-poly1305@openssh.com"])
    write_fleet(project, servers, {"evil": host})
    ran = run(project, "run", "-t", "evil", "--", "id")
    assert ran.code == 5, ran
    assert "[E313]" in ran.err and "no strict key exchange" in ran.err
    assert not host.channels


def test_strict_key_exchange_is_missing(servers: Servers, project, not_strict) -> None:
    """T26: without strict key exchange a cipher is taken that cannot be truncated, and doctor says what is missing."""
    host = servers.executor(honest, encryption_algs=["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"])
    write_fleet(project, servers, {"evil": host})
    ran = run(project, "doctor", "evil")
    assert ran.code == 0, ran
    assert "no strict key exchange" in ran.out
    assert (
        host.channels[0].process.get_extra_info("connection").get_extra_info("send_cipher") == "aes128-gcm@openssh.com"
    )


async def _attempt(kind: bytes, connection: Any, seen: list[str]) -> None:
    """Open a channel towards the controller, whatever it asked for."""
    address = [String("127.0.0.1"), UInt32(22), String("127.0.0.1"), UInt32(3333)]
    more = {
        b"x11": address[2:],
        b"forwarded-tcpip": address,
        b"direct-tcpip": address,
        b"session": [],
        b"forwarded-streamlocal@openssh.com": [String("/run/x"), String("")],
    }.get(kind, [])
    try:
        await asyncio.wait_for(connection.create_tcp_channel()._open(kind, *more), 5)
        seen.append("opened")
    except asyncssh.ChannelOpenError:
        seen.append("refused")


@pytest.mark.parametrize(
    "kind", [b"forwarded-tcpip", b"x11", b"auth-agent@openssh.com", b"direct-tcpip", b"session", b"forwarded-streamlocal@openssh.com"]
)  # fmt: skip
def test_server_opens_a_channel(servers: Servers, project, kind: bytes, tmp_path) -> None:
    """T36: a server that opens forwarded ports, X11 or the agent backwards is refused, and the user's configuration does not change it."""
    seen: list[str] = []

    async def talk(channel: Channel) -> None:
        await channel.start()
        await _attempt(kind, channel.process.get_extra_info("connection"), seen)
        await channel.say(READY)
        await channel.end("done", counts={"code": 0})

    host = servers.executor(talk)
    write_fleet(project, servers, {"evil": host})
    (project.home / ".ssh").mkdir()
    (project.home / ".ssh" / "config").write_text("Host *\n  ForwardAgent yes\n  ForwardX11 yes\n")
    ran = run(project, "run", "-t", "evil", "--", "id", env={"DISPLAY": ":0", "SSH_AUTH_SOCK": str(tmp_path / "agent")})
    assert seen == ["refused"]
    assert ran.code == 0, ran


def test_no_forwarding_is_asked_for(servers: Servers, project, tmp_path) -> None:
    """T36: no agent, X11 or port forwarding is requested, whatever the user's configuration says."""
    asked: list[str] = []

    class Watching(Open):
        def server_requested(self, listen_host: str, listen_port: int) -> bool:
            asked.append("tcpip-forward")
            return True

        def connection_requested(self, *where: Any) -> bool:
            asked.append("direct-tcpip")
            return True

    async def talk(channel: Channel) -> None:
        extra = channel.process.channel
        asked.extend(["agent"] if extra.get_agent_path() else [])
        asked.extend(["x11"] if extra.get_x11_display() else [])
        await honest(channel)

    host = servers.executor(talk, server=Watching, agent_forwarding=True, x11_forwarding=True)
    write_fleet(project, servers, {"evil": host})
    (project.home / ".ssh").mkdir()
    (project.home / ".ssh" / "config").write_text(
        "Host *\n  ForwardAgent yes\n  ForwardX11 yes\n  RemoteForward 2222 localhost:22\n  LocalForward 127.0.0.1:3333 localhost:22\n"
    )
    ran = run(project, "run", "-t", "evil", "--", "id", env={"DISPLAY": ":0", "SSH_AUTH_SOCK": str(tmp_path / "agent")})
    assert ran.code == 0, ran
    assert asked == []


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _ in range(4000):
        writer.write(b"this is no banner\r\n" * 500)
        await writer.drain()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x1b]0;owned\x07\x1b[2J\xff\xfe" * 100 + b"\r\n")
    await writer.drain()


async def banner_then_garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-x\r\n" + b"\xff" * 40_000)
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("talk", [silent, endless, garbage, banner_then_garbage])
def test_no_ssh_at_all(servers: Servers, project, talk) -> None:
    """T09: a tarpit, a banner without end, bytes that are no SSH: unreachable within a limit, in one clean line."""
    host: Listening = servers.raw(talk)
    write_fleet(project, servers, {"evil": host})
    began = time.monotonic()
    ran = run(project, "run", "-t", "evil", "--", "id", timeout=90)
    assert ran.code == 3, ran
    assert time.monotonic() - began < 60
    (line,) = [line for line in ran.err.splitlines() if not line.startswith("  hint: ")]
    assert "\x1b" not in line and "\xff" not in line


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07\x1b[2J", "x\r\nPlan AAAAAAAA: No changes.", "\u202egnp"])
def test_words_of_a_disconnect(servers: Servers, project, text: str) -> None:
    """T06: what a server says when it hangs up is shown by doctor, trust and run without what steers a terminal."""

    class Rude(asyncssh.SSHServer):
        def connection_made(self, conn: Any) -> None:
            self.conn = conn

        def begin_auth(self, username: str) -> bool:
            self.conn.disconnect(asyncssh.DISC_BY_APPLICATION, text)
            return True

    host = servers.executor(honest, server=Rude)
    write_fleet(project, servers, {"evil": host})
    for argv in (("doctor", "evil"), ("run", "-t", "evil", "--", "id"), ("plan",)):
        ran = run(project, *argv)
        assert ran.code == 3, ran
        for sign in ("\x1b", "\x07", "\r", "\u202e"):
            assert sign not in ran.out + ran.err, ran
        assert not any(line.startswith("Plan AAAA") for line in (ran.out + ran.err).splitlines()), ran
