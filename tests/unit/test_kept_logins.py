"""Logins that are kept between runs: used where a new one would be the same, replaced without a word where they are no good, and never in the way."""

import asyncio
import time
from pathlib import Path

import asyncssh
import pytest

from statectl.errors import Refused, Unreachable
from statectl.transport import bundle, kept, session, ssh
from statectl.transport.channel import Endpoint
from statectl.transport.kept import KeptLogins, files_of_logins
from statectl.transport.known_hosts import TrustedKeys
from tests.hostile.servers import READY, Channel, Open, Servers

ORDER = {"type": "order", "run": "r1", "host": "web01", "kind": "apply"}
CHANGED = {"type": "result", "address": "file:/etc/motd", "outcome": "changed"}


async def unchanged(channel: Channel) -> None:
    await channel.start()
    await channel.say(READY)
    await channel.end("applied")


async def changed(channel: Channel) -> None:
    await channel.start()
    await channel.say(READY, CHANGED)
    await channel.end("applied")


@pytest.fixture(scope="module")
def servers():
    with Servers() as running:
        yield running


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """`~` of the one who runs it; known_hosts has the servers' key."""
    ssh_directory = tmp_path / ".ssh"
    ssh_directory.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    return ssh_directory


class World:
    """One host, and a process that talks to it again and again. `logins`: every connection that the host has seen."""

    def __init__(self, servers: Servers, home: Path, talk=unchanged, **options) -> None:
        self.logins: list[asyncssh.SSHServerConnection] = []
        world = self

        class Counting(Open):
            def connection_made(self, conn):
                world.logins.append(conn)

        self.servers, self.home, self.talk = servers, home, talk

        async def talks(channel: Channel) -> None:
            await world.talk(channel)

        self.host = servers.executor(talks, server=Counting, **options)
        self.trust()
        self.kept = KeptLogins()

    def trust(self) -> None:
        (self.home / "known_hosts").write_text(f"[127.0.0.1]:{self.host.port} {self.servers.host_key}\n")

    def endpoint(self, **fields) -> Endpoint:
        return Endpoint(**{"name": "web01", "address": "127.0.0.1", "port": self.host.port, "user": "root", **fields})

    def transport(self) -> ssh.SshTransport:
        """As each run has one of its own: files are read again."""
        return ssh.SshTransport(TrustedKeys((self.home / "known_hosts",)), self.kept)

    async def run(self, order=ORDER, **fields):
        """One conversation -> its messages."""
        started = await session.start(self.transport(), self.endpoint(**fields), bundle.build(), order)
        said = []
        try:
            while not said or said[-1]["type"] != "end":
                said.append(await started.receive())
        finally:
            await started.close()
        return said

    async def gone(self, login) -> bool:
        """Is this login of the host closed, at the latest in a moment?"""
        for _ in range(200):
            if login.is_closed():
                return True
            await asyncio.sleep(0.02)
        return False


@pytest.fixture
def world(servers, home):
    return World(servers, home)


def test_one_login_for_many_runs(world):
    """Runs that change nothing share one login; the end of the process closes it."""

    async def main():
        for _ in range(4):
            assert (await world.run())[-1]["outcome"] == "applied"
        assert world.kept.hosts == ["web01"]
        await world.kept.close()
        assert await world.gone(world.logins[0])
        await world.run()
        assert world.kept.hosts == []  # nothing is kept once it ends

    asyncio.run(main())
    assert len(world.logins) == 2


def test_without_a_pool_each_run_logs_in(world):
    """A command that somebody types keeps nothing."""

    async def main():
        for _ in range(2):
            world.kept = None
            await world.run()

    asyncio.run(main())
    assert len(world.logins) == 2


def test_a_dead_login_is_replaced_once_and_nobody_is_told(world):
    """The host was restarted meanwhile: the run goes on over a new login, of which there is one."""

    async def main():
        await world.run()
        world.servers.do(_abort(world.logins[0]))
        assert (await world.run())[-1]["outcome"] == "applied"
        assert len(world.logins) == 2
        await world.run()
        await world.kept.close()

    asyncio.run(main())
    assert len(world.logins) == 2


async def _abort(connection):
    connection.abort()


def test_a_silent_login_is_replaced(world, monkeypatch):
    """The link died without a word: a kept connection that does not answer is given up after a moment, not when TCP notices."""
    monkeypatch.setattr(ssh, "REOPEN_S", 0.3)

    async def deaf(connection):
        connection._transport.pause_reading()

    async def hears_again(connection):
        connection._transport.resume_reading()

    async def main():
        await world.run()
        world.servers.do(deaf(world.logins[0]))
        assert (await world.run())[-1]["outcome"] == "applied"
        await world.kept.close()
        world.servers.do(hears_again(world.logins[0]))

    asyncio.run(main())
    assert len(world.logins) == 2


def test_a_host_that_is_gone_holds_nobody_up_for_longer(world, monkeypatch):
    """The kept login is dead and the host does not answer: both together have the one limit of a contact."""
    monkeypatch.setattr(ssh, "REOPEN_S", 0.6)

    async def deaf(connection):
        connection._transport.pause_reading()

    async def hears_again(connection):
        connection._transport.resume_reading()

    async def silent(host, port):
        await asyncio.sleep(60)

    async def main():
        await world.run()
        world.servers.do(deaf(world.logins[0]))
        monkeypatch.setattr(ssh, "_tcp", silent)
        began = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            await world.transport().open(world.endpoint(), ["true"], deadline_s=1.0)
        took = time.monotonic() - began
        world.servers.do(hears_again(world.logins[0]))
        return took, caught.value.message

    took, said = asyncio.run(main())
    assert took < 1.4, took
    assert "no answer in 1 s" in said


def test_a_login_over_which_nothing_starts_any_more(servers, home):
    """sshd takes no second session, or ends it at once, or the start is lost in its middle: a new login, and the run never knows."""

    async def main(talk_then):
        world = World(servers, home)
        await world.run()
        first = True

        async def talk(channel):
            nonlocal first
            if first:
                first = False
                await talk_then(channel)
            else:
                await unchanged(channel)

        world.talk = talk
        assert (await world.run())[-1]["outcome"] == "applied"
        assert len(world.logins) == 2
        assert not first
        await world.kept.close()

    async def ends_at_once(channel):
        channel.process.exit(1)

    async def lost(channel):
        channel.process.get_extra_info("connection").abort()

    for talk_then in (ends_at_once, lost):
        asyncio.run(main(talk_then))


def test_an_error_of_a_new_login_is_told(servers, home):
    """What a kept login cannot start is tried by a new login, and its refusal is the host's."""
    world = World(servers, home)

    async def never(channel):
        channel.process.stderr.write(b"no more processes\n")
        channel.process.exit(1)

    async def main():
        await world.run()
        world.talk = never
        with pytest.raises(Unreachable) as caught:
            await world.run()
        return caught.value

    error = asyncio.run(main())
    assert "no more processes" in error.message
    assert len(world.logins) == 3  # the kept one, and the two tries that any new contact has


def test_behind_a_change_comes_a_new_login(world):
    """What was changed may decide about logins: the next run shows that it is let in."""

    async def main():
        await world.run()
        world.talk = changed
        await world.run()
        assert world.kept.hosts == []
        assert await world.gone(world.logins[0])
        world.talk = unchanged
        await world.run()
        await world.kept.close()

    asyncio.run(main())
    assert len(world.logins) == 2


@pytest.mark.parametrize("kind", ["confirm", "run", "cancel"])
def test_orders_that_keep_nothing(world, kind):
    """Behind a command, or a confirmation, nobody knows what a login is worth."""

    async def main():
        await world.run({**ORDER, "kind": kind})
        assert world.kept.hosts == []

    asyncio.run(main())


def test_what_must_be_let_in_now_is(world):
    """A confirmation that we are not locked out goes over a new login, and the one that stood open is closed."""

    async def main():
        await world.run()
        await world.run({**ORDER, "kind": "confirm"}, new_login=True)
        assert len(world.logins) == 2
        assert await world.gone(world.logins[0])

    asyncio.run(main())


def test_a_host_that_is_trusted_no_more(world):
    """The key was taken out of known_hosts: the next run refuses, though a connection stood open."""

    async def main():
        await world.run()
        (world.home / "known_hosts").write_text("")
        with pytest.raises(Refused) as caught:
            await world.run()
        assert caught.value.code == "E311"
        assert await world.gone(world.logins[0])
        world.trust()
        await world.run()
        await world.kept.close()

    asyncio.run(main())


def test_a_revoked_key(world):
    """The key was marked as revoked in known_hosts: refused, though a connection stood open."""

    async def main():
        await world.run()
        text = (world.home / "known_hosts").read_text()
        (world.home / "known_hosts").write_text(f"{text}@revoked {text}")
        with pytest.raises(Refused):
            await world.run()

    asyncio.run(main())


@pytest.mark.parametrize(
    "other",
    [{"user": "admin"}, {"host_key": "PIN"}, {"identity_files": ("~/.ssh/other",)}, {"address": "localhost"}],
)
def test_another_way_is_another_login(world, other):
    """Whatever decides about a connection was edited: the old one is closed, and the run logs in as the inventory says now."""
    fields = {key: world.servers.host_key if value == "PIN" else value for key, value in other.items()}
    if "identity_files" in fields:
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(world.home / "other")

    async def main():
        await world.run()
        text = (world.home / "known_hosts").read_text()
        (world.home / "known_hosts").write_text(text + text.replace("127.0.0.1", "localhost"))
        await world.run()
        assert len(world.logins) == 2
        await world.run(**fields)
        assert len(world.logins) == 3
        assert await world.gone(world.logins[1])
        await world.run(**fields)
        assert len(world.logins) == 3
        await world.kept.close()

    asyncio.run(main())


def test_what_says_only_how_it_goes_on_is_no_other_way(world):
    """Another interpreter, or another time to undo a change in, needs no other login."""

    async def main():
        await world.run()
        await world.run(undo_after=30.0)
        await world.kept.close()

    asyncio.run(main())
    assert len(world.logins) == 1


def test_a_name_that_moved(world, monkeypatch):
    """The host's name leads to another address by now: the connection to the old machine is no way to it."""
    (world.home / "known_hosts").write_text(f"[localhost]:{world.host.port} {world.servers.host_key}\n")
    moved = False

    async def main():
        loop = asyncio.get_running_loop()
        found = loop.getaddrinfo

        async def getaddrinfo(host, port, **options):
            if moved and port is None:
                return [(2, 1, 6, "", ("192.0.2.7", 0))]
            return await found("127.0.0.1" if host == "localhost" else host, port, **options)

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        nonlocal moved
        for _ in range(2):
            await world.run(address="localhost")
        assert len(world.logins) == 1
        moved = True
        await world.run(address="localhost")
        assert len(world.logins) == 2
        await world.kept.close()

    asyncio.run(main())


def test_through_a_jump_host(servers, home):
    """The login on the jump host is kept with the one behind it, is noticed to be dead first, and both are replaced together."""
    jumps: list[asyncssh.SSHServerConnection] = []

    class Jump(Open):
        def connection_made(self, conn):
            jumps.append(conn)

        def connection_requested(self, *_):
            return True

    jump = servers.executor(unchanged, server=Jump)
    world = World(servers, home)
    with (home / "known_hosts").open("a") as known:
        known.write(f"[127.0.0.1]:{jump.port} {servers.host_key}\n")
    way = {"jump": (f"root@127.0.0.1:{jump.port}",)}

    async def main():
        for _ in range(3):
            await world.run(**way)
        assert (len(jumps), len(world.logins)) == (1, 1)
        login = world.kept.take("web01", world.transport().way(world.endpoint(**way)))
        world.kept.give_back("web01", login)
        assert {connection._keepalive_interval for connection in login.connections} == {kept.KEEPALIVE_S}
        channel = await world.transport()._reopen(world.endpoint(**way), ["true"])
        own, through = (connection._keepalive_interval for connection in login.connections)
        assert through < own < kept.KEEPALIVE_S  # it is the one cause for all that is behind it
        await channel.close()
        await world.run(**way)
        assert (len(jumps), len(world.logins)) == (2, 2)
        servers.do(_abort(jumps[-1]))
        await world.run(**way)
        assert (len(jumps), len(world.logins)) == (3, 3)
        await world.kept.close()
        assert await world.gone(jumps[-1])

    asyncio.run(main())


def test_limits(world):
    """A login that was idle for long, or is old, or is one too many, is closed; so is that of a host that is gone from the inventory."""

    async def main():
        now = [1000.0]
        world.kept = KeptLogins(idle_s=0.1, age_s=100.0, most=2, now=lambda: now[0])
        await world.run()
        assert await world.gone(world.logins[0])
        assert world.kept.hosts == []
        world.kept = KeptLogins(age_s=100.0, most=2, now=lambda: now[0])
        for name in ("a", "b", "c"):
            await world.run(name=name)
        assert world.kept.hosts == ["b", "c"]
        now[0] += 101
        count = len(world.logins)
        await world.run(name="b")
        assert len(world.logins) == count + 1
        world.kept.only({"b": world.transport().way(world.endpoint(name="b"))}.get)
        assert world.kept.hosts == ["b"]
        world.kept.only({"b": world.transport().way(world.endpoint(name="b", user="admin"))}.get)
        assert world.kept.hosts == []

    asyncio.run(main())


def test_two_at_once_have_two_logins(world):
    """A login that is in use is nobody else's: each conversation is the only one of its connection."""

    async def main():
        await world.run()
        await asyncio.gather(world.run(), world.run())
        assert len(world.logins) == 2
        assert len(world.kept.hosts) == 1
        await world.kept.close()

    asyncio.run(main())


def test_files_that_decide_about_logins(home):
    """An edit of the user's configuration, or of what it includes, is seen; where it asks commands, nothing is kept."""
    known = home / "known_hosts"
    (home / "config").write_text("Include conf.d/*\n")
    (home / "conf.d").mkdir()
    first = files_of_logins([known])
    (home / "conf.d" / "jump").write_text("Host a\n  ProxyJump b\n")
    second = files_of_logins([known])
    known.write_text("x")
    third = files_of_logins([known])
    assert first != second != third
    assert third == files_of_logins([known])
    (home / "conf.d" / "jump").write_text('Match host a exec "vpn-is-up"\n  ProxyJump b\n')
    assert files_of_logins([known]) is None
    assert kept.IDLE_S < kept.AGE_S
