"""SSH through asyncssh: one connection and one channel per host and run; `serve` keeps the connections (`kept.py`).

Foreign errors are mapped here once. The invoking user's own ssh config is read and no other; no agent, X11 or port
forwarding is ever offered to a host. asyncssh is imported while the first name is looked up, because its import is what a run on
one host would otherwise wait for.
"""

import asyncio
import contextlib
import errno
import os
import random
import shlex
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from statectl.errors import Refused, Unreachable
from statectl.transport import algorithms
from statectl.transport.channel import Channel, Endpoint
from statectl.transport.kept import Files, KeptLogins, Login, Way, files_of_logins
from statectl.transport.known_hosts import TrustedKeys, standard_files
from statectl.transport.loading import load_asyncssh
from statectl.transport.ssh_channel import SshChannel
from statectl.transport.ssh_client import Seen, pin
from statectl.transport.user_config import UserConfig, user_config

if TYPE_CHECKING:
    import asyncssh

KEEPALIVE_S = 7
JUMP_KEEPALIVE_S = 6  # a jump host is given up first: it is then the one cause for all hosts behind it
KEEPALIVE_COUNT = 3  # asyncssh gives up when one more would be due: a lost link is noticed within 28 s
BACKOFF_S = (0.1, 0.3, 0.8, 1.5, 2.5)  # sshd's MaxStartups drops connections before the banner: knock again
BUSY_S = 30.0  # for how long: a machine that turns us away is there, unlike one that says nothing
REFUSED_S = 0.5  # until a refused connection is tried once more: sshd may just be restarting
REOPEN_S = 3.0  # for a kept connection to start something: then it is dead, and a new login is made
NO_ANSWER = (errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT)


class SshTransport:
    """Opens SSH channels. `trusted`: where host keys are looked up; `kept`: logins of earlier runs, and where those of this one go."""

    def __init__(self, trusted: TrustedKeys | None = None, kept: KeptLogins | None = None) -> None:
        self.trusted = trusted or TrustedKeys(standard_files(None))
        self.notes: dict[str, str] = {}  # of each host, what its way in could do better
        self._kept = kept
        # before a key or setting is read of them: what is edited meanwhile makes the next run log in anew
        self._files: Files | None = files_of_logins(self.trusted.files) if kept is not None else None
        self._user_config = UserConfig()

    async def open(self, endpoint: Endpoint, argv: Sequence[str], *, deadline_s: float) -> Channel:
        """Log in and start argv; raises Unreachable or Refused (host key) with the cause in one line."""
        began = time.monotonic()
        channel = await self._reopen(endpoint, argv)
        if channel is not None:
            return channel
        until = time.monotonic() + BUSY_S
        left_s = deadline_s - (time.monotonic() - began)  # of the one limit: a dead login used some of it up
        attempt = refused = 0
        while True:
            stage = Stage(deadline_s)
            try:
                async with asyncio.timeout(left_s):
                    return await self._open_once(endpoint, argv, stage)
            except TimeoutError:
                raise Unreachable(stage.timed_out(endpoint), code="E302") from None
            except _Dropped as dropped:
                # sshd closed before its banner: it is busy (MaxStartups), or it is not sshd
                wait = BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)] * random.uniform(0.7, 1.3)  # noqa: S311 - jitter, not a secret
                attempt += 1
                if time.monotonic() + wait > until:
                    raise Unreachable(f"{dropped.text} ({attempt} times in {BUSY_S:g} s)", code="E305") from None
                await asyncio.sleep(wait)
            except Unreachable as error:
                if error.code != "E301" or refused:
                    raise
                refused += 1
                await asyncio.sleep(REFUSED_S)
            left_s = deadline_s

    def way(self, endpoint: Endpoint) -> Way | None:
        """What decides about a login there; None: none is kept."""
        return Way.of(endpoint, self._files) if self._kept is not None and self._files is not None else None

    async def _reopen(self, endpoint: Endpoint, argv: Sequence[str]) -> SshChannel | None:
        """Start argv over a login that is kept; None when there is none, or it is no good any more: then it is closed."""
        way = self.way(endpoint)
        if self._kept is None or way is None:
            return None
        if endpoint.new_login:
            self._kept.forget(endpoint.name)
            return None
        login = self._kept.take(endpoint.name, way)
        if login is None:
            return None
        import asyncssh

        connection = login.connections[0]
        try:
            async with asyncio.timeout(REOPEN_S):
                if await _elsewhere(endpoint, connection):
                    login.close()
                    return None
                login.keepalive(KEEPALIVE_S, JUMP_KEEPALIVE_S)
                process = await connection.create_process(
                    shlex.join(argv), encoding=None, stdin=-1, stdout=-1, stderr=-1
                )
        except (OSError, asyncssh.Error):  # a time that is over is an OSError as well
            login.abort()
            return None
        except BaseException:
            login.abort()
            raise
        if login.note:
            self.notes[endpoint.name] = login.note
        return SshChannel(login, process, kept=True, keep=lambda one: self._give_back(endpoint.name, one))

    def _give_back(self, host: str, login: Login) -> None:
        if self._kept is not None:
            self._kept.give_back(host, login)

    async def _open_once(self, endpoint: Endpoint, argv: Sequence[str], stage: "Stage") -> SshChannel:
        connections: list[asyncssh.SSHClientConnection] = []
        try:
            tunnel: asyncssh.SSHClientConnection | None = None
            for hop in hops(endpoint):
                tunnel = await self._through(hop, tunnel, stage, endpoint.name)
                connections.insert(0, tunnel)
            connection = await self._connect(endpoint, tunnel, stage)
            connections.insert(0, connection)
            stage.name = "start of the executor"
            process = await connection.create_process(shlex.join(argv), encoding=None, stdin=-1, stdout=-1, stderr=-1)
            way = self.way(endpoint)
            login = Login(way or Way.of(endpoint, ()), connections, self.notes.get(endpoint.name, ""))
            keep = (lambda one: self._give_back(endpoint.name, one)) if way is not None else None
            return SshChannel(login, process, keep=keep)
        except BaseException:
            for connection in connections:
                connection.abort()
            raise

    async def _through(
        self, hop: Endpoint, tunnel: "asyncssh.SSHClientConnection | None", stage: "Stage", target: str
    ) -> "asyncssh.SSHClientConnection":
        """Log in on a jump host of `target`: what goes wrong there is said to be there."""
        try:
            return await self._connect(hop, tunnel, stage, through=True)
        except (Unreachable, Refused) as error:
            hint = error.hint.replace(f"trust {hop.name}", f"trust {target}")
            hint = hint.replace(f"--replace {hop.name}", f"--replace {target}")
            raise type(error)(f"jump host {hop.name}: {error.message}", code=error.code, hint=hint) from None

    async def _connect(
        self,
        endpoint: Endpoint,
        tunnel: "asyncssh.SSHClientConnection | None",
        stage: "Stage",
        *,
        through: bool = False,
    ) -> "asyncssh.SSHClientConnection":
        """`through`: a jump host, on the way to another."""
        stage.name = "TCP connection"
        stage.endpoint = endpoint
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, load_asyncssh)
        import asyncssh

        seen = stage.seen = Seen(endpoint.host_key)
        options: dict[str, Any] = {
            "known_hosts": self.trusted.matcher(),
            "client_factory": seen.client,
            "agent_forwarding": False,
            "keepalive_interval": JUMP_KEEPALIVE_S if through else KEEPALIVE_S,
            "keepalive_count_max": KEEPALIVE_COUNT,
            "connect_timeout": None,
            "login_timeout": 0,
            "x11_forwarding": False,
        }
        options["config"] = user_config()
        if endpoint.port:
            options["port"] = endpoint.port
        if endpoint.user:
            options["username"] = endpoint.user
        if endpoint.identity_files:
            options["client_keys"] = [_home(file) for file in endpoint.identity_files]
        if endpoint.password is not None:
            options["password"] = endpoint.password.reveal()
        try:
            resolved = await loop.run_in_executor(None, self._resolved, endpoint.address, options)
        except (OSError, ValueError, asyncssh.Error) as error:
            raise Unreachable(f"SSH settings for this host do not work: {_one_line(error)}", code="E306") from None
        host, port = resolved.host or endpoint.address, resolved.port or 22
        kinds = [endpoint.host_key.split()[0]] if endpoint.host_key else self.trusted.known_algorithms(host, "", port)
        if kinds:
            # ask for the kind of key that we know, or a server with several kinds shows one that we do not
            options["server_host_key_algs"] = _preferring(kinds)
        options |= algorithms.allowed(resolved)
        if not (resolved.canonicalize_hostname or resolved.config.has_match_final()):
            # what the user's file says is known by now; those two settings make asyncssh read it again
            options |= {"options": resolved, "config": None}
        stage.port = port
        try:
            while True:
                try:
                    if tunnel is not None or resolved.tunnel or resolved.proxy_command:
                        tunnelled = await asyncssh.connect(endpoint.address, tunnel=tunnel or (), **options)
                        return self._strong(endpoint, tunnelled)
                    sock = await _tcp(host, port)
                    stage.name = "SSH banner and login"
                    # by the name as it was given, under which the user's configuration is looked up
                    connection = await asyncssh.connect(endpoint.address, sock=sock, **{**options, "port": port})
                    return self._strong(endpoint, connection)
                except asyncssh.DisconnectError as error:
                    untried = seen.untried() if "too many authentication failures" in str(error).lower() else {}
                    if not untried:
                        raise
                    options |= untried  # MaxAuthTries: the next connection goes on with the next keys
        except socket.gaierror as error:
            raise Unreachable(f"name {host} does not resolve: {_one_line(error)}", code="E303") from None
        except ConnectionRefusedError:
            raise Unreachable(f"connection refused ({host} tcp {port})", code="E301") from None
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._host_key(endpoint, host, port, seen, error) from None
        except asyncssh.KeyExchangeFailed as error:
            raise Refused(
                f"no safe algorithm in common: {_one_line(error)}",
                code="E313",
                hint="update sshd there; or name what you accept for this host in your ~/.ssh/config",
            ) from None
        except asyncssh.PermissionDenied as error:
            user = resolved.username
            raise Unreachable(
                f"login as {user} refused: {_one_line(error)}",
                code="E304",
                hint=f"check that a key of yours is in {user}'s authorized_keys there; ssh -v {user}@{host} shows what was tried",
            ) from None
        except (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError) as error:
            if seen.missing == "banner":
                raise _Dropped(f"the connection was closed before SSH began: {_one_line(error)}") from None
            raise Unreachable(f"connection lost during login: {_one_line(error)}", code="E305") from None
        except (OSError, UnicodeError, ValueError, asyncssh.Error) as error:
            number = getattr(error, "errno", None)
            if number in NO_ANSWER:
                raise Unreachable(
                    f"no answer: {os.strerror(number).lower()} ({host} tcp {port})", code="E302"
                ) from None
            if number == errno.ENETUNREACH:
                raise Unreachable(f"no route to {host} from here", code="E303") from None
            raise Unreachable(f"{_one_line(error)}", code="E305") from None

    def _resolved(self, address: str, options: dict[str, Any]) -> "asyncssh.SSHClientConnectionOptions":
        import asyncssh

        with self._user_config.about(address) as config, contextlib.suppress(ValueError):
            return asyncssh.SSHClientConnectionOptions(host=address, **{**options, "config": config})
        return asyncssh.SSHClientConnectionOptions(
            host=address, **options
        )  # a mistake is told with its place in the whole file

    def _strong(self, endpoint: Endpoint, connection: "asyncssh.SSHClientConnection") -> "asyncssh.SSHClientConnection":
        """The connection, when nobody on the way can cut something out of it; what is missing is noted."""
        missing, usable = algorithms.weakness(connection)
        if not usable:
            connection.abort()
            raise Refused(f"the connection is not safe: {missing}", code="E313", hint="update sshd there")
        if missing:
            self.notes[endpoint.name] = missing
        return connection

    def _host_key(self, endpoint: Endpoint, host: str, port: int, seen: "Seen", error: BaseException) -> Exception:
        shown = seen.key.get_fingerprint() if seen.key is not None else "no key of a kind we accept"
        if endpoint.host_key:
            return Refused(
                f"host key is not the one the inventory pins: shown {shown}, pinned {pin(endpoint.host_key)}",
                code="E312",
            )
        known = self.trusted.known(host, "", port)
        if known:
            return Refused(
                f"host key changed: shown {shown}, on file {', '.join(known)}",
                code="E312",
                hint=f"if the host was reinstalled: statectl inventory trust --replace {endpoint.name}",
            )
        return Refused(
            f"host key unknown: shown {shown}" + ("" if seen.key is not None else f" ({_one_line(error)})"),
            code="E311",
            hint=f"compare the fingerprint on the host, then: statectl inventory trust {endpoint.name}",
        )

    async def close(self) -> None:
        """Nothing is kept between hosts."""


@dataclass(frozen=True, slots=True)
class ShownKey:
    """What a host showed, and by which name and port known_hosts knows it (the user's ssh config may have changed both)."""

    host: str
    port: int
    key: "asyncssh.SSHKey"


async def shown_host_key(endpoint: Endpoint, trusted: TrustedKeys, *, deadline_s: float = 10) -> ShownKey:
    """The key that a host shows, without logging in there: for `inventory trust`. Its jump hosts must be trusted already."""
    load_asyncssh()
    import asyncssh

    transport = SshTransport(trusted)
    stage = Stage(deadline_s)
    connections: list[asyncssh.SSHClientConnection] = []
    address, config = endpoint.address, user_config()
    try:
        async with asyncio.timeout(deadline_s):
            for hop in hops(endpoint):
                tunnel = connections[-1] if connections else None
                connections.append(await transport._through(hop, tunnel, stage, endpoint.name))  # noqa: SLF001 - its other half
            stage.name, stage.endpoint, stage.port = "TCP connection", endpoint, endpoint.port
            resolved = asyncssh.SSHClientConnectionOptions(host=address, port=endpoint.port or (), config=config)
            host, port = resolved.host or address, resolved.port or 22
            stage.port = port
            key = await asyncssh.get_server_host_key(
                address, endpoint.port or (), tunnel=connections[-1] if connections else (), config=config
            )
    except TimeoutError:
        raise Unreachable(stage.timed_out(endpoint), code="E302") from None
    except socket.gaierror as error:
        raise Unreachable(f"name {address} does not resolve: {_one_line(error)}", code="E303") from None
    except ConnectionRefusedError:
        raise Unreachable(f"connection refused ({address} tcp {endpoint.port or 22})", code="E301") from None
    except _Dropped as dropped:
        raise Unreachable(dropped.text, code="E305") from None
    except (OSError, asyncssh.Error, ValueError) as error:
        raise Unreachable(_one_line(error), code="E305") from None
    finally:
        for connection in reversed(connections):
            connection.abort()
    if key is None:
        raise Unreachable("the host showed no key", code="E305")
    return ShownKey(host, port, key)


class Stage:
    """How far a login came: names what did not answer when the one deadline for all of it is over."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.name = "name look-up"
        self.endpoint: Endpoint | None = None
        self.port = 0
        self.seen: Seen | None = None

    def timed_out(self, endpoint: Endpoint) -> str:
        at = self.endpoint or endpoint
        where = f"{at.address} tcp {self.port or at.port}" + ("" if at is endpoint else ", a jump host")
        what = {"TCP connection": "no answer"}.get(self.name, f"no {self.name}")
        if self.seen is not None and self.name == "SSH banner and login":
            what = f"no SSH {self.seen.missing}"
        return f"{what} in {self.limit_s:g} s ({where})"


class _Dropped(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


async def _elsewhere(endpoint: Endpoint, connection: "asyncssh.SSHClientConnection") -> bool:
    """Does the host's name lead to another machine by now than the one that this connection goes to?"""
    peer = connection.get_extra_info("peername")
    host = connection.get_extra_info("host")
    if endpoint.jump or not peer or not host or peer[0] == host:
        return False  # through a jump host, or a proxy, it is not ours to look up
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return peer[0] not in {address[0] for *_, address in found}


async def _tcp(host: str, port: int) -> socket.socket:
    """Connect to the first address that answers; the caller holds the deadline."""
    loop = asyncio.get_running_loop()
    last: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            last = error
            continue
        except BaseException:
            sock.close()
            raise
        return sock
    raise last or OSError(f"{host} has no address")


def hops(endpoint: Endpoint) -> list[Endpoint]:
    """The jump hosts on the way, outermost first; each is to be reached through those before it."""
    return [replace(_hop(text, endpoint), jump=endpoint.jump[:number]) for number, text in enumerate(endpoint.jump)]


def _hop(text: str, endpoint: Endpoint) -> Endpoint:
    """[user@]host[:port] of a jump host."""
    user, _, rest = text.rpartition("@")
    if rest.startswith("["):
        address, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    elif rest.count(":") == 1:
        address, _, port = rest.partition(":")
    else:
        address, port = rest, ""
    return Endpoint(name=text, address=address, port=int(port or 22), user=user, identity_files=endpoint.identity_files)


def _preferring(kinds: Sequence[str]) -> list[str]:
    from asyncssh.public_key import get_default_public_key_algs

    wanted: list[str] = []
    for algorithm in kinds:
        wanted += ["rsa-sha2-512", "rsa-sha2-256"] if algorithm == "ssh-rsa" else [algorithm]
    default = [alg.decode() for alg in get_default_public_key_algs()]
    default = [alg for alg in default if alg not in algorithms.REFUSED_SIGNATURES]
    return [alg for alg in wanted if alg in default] + [alg for alg in default if alg not in wanted]


def _home(path: str) -> str:
    return os.path.expanduser(path)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:300] or type(error).__name__
