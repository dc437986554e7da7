"""Logins that a process keeps from one run to the next: `serve` opens one connection to a host and starts many executors over it.

A kept login is used only where a new one would be the same: same way, same files, same address, not too old, and it answers. Otherwise
it is closed, nobody is told, and whoever asked makes a new one. It never stands in for a login that has to be new (`Endpoint.new_login`).
"""

import asyncio
import contextlib
import os
import re
import shlex
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from statectl.transport.channel import Endpoint

if TYPE_CHECKING:
    import asyncssh

IDLE_S = 45 * 60.0  # longer than half an hour and a jitter of ten minutes
AGE_S = 4 * 3600.0  # then a new login shows that we may still log in
MOST = 200  # each is a descriptor here and two processes of sshd there
KEEPALIVE_S = 60  # of a connection that nobody uses
PARTING_S = 1.0
USER_DIRECTORY = "~/.ssh"
_INCLUDE = re.compile(r"^\s*include(?:\s+|\s*=\s*)(.+)$", re.IGNORECASE)
_MATCH_EXEC = re.compile(r"^\s*match\b.*\bexec\b", re.IGNORECASE)

Files = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Way:
    """What decides about a connection to a host. Two that are equal lead to the same login."""

    endpoint: Endpoint
    asks: bool  # with a password, of which a process has one
    files: Files

    @classmethod
    def of(cls, endpoint: Endpoint, files: Files) -> "Way":
        """Without what only says what is started there, or how it goes on."""
        plain = replace(endpoint, python="", become=None, password=None, undo_after=0.0, state_dir="", new_login=False)
        return cls(plain, endpoint.password is not None, files)


@dataclass
class Login:
    """connections: the host's own first, then its jump hosts from the inside out. note: what the way in could do better."""

    way: Way
    connections: "Sequence[asyncssh.SSHClientConnection]"
    note: str = ""
    began: float = 0.0  # as the pool's clock shows it; 0: not kept yet

    @property
    def lives(self) -> bool:
        return not any(connection.is_closed() for connection in self.connections)

    def keepalive(self, own_s: float, jump_s: float) -> None:
        """How often each is asked whether it lives: the host's own, and its jump hosts'."""
        for place, connection in enumerate(self.connections):
            connection.set_keepalive(interval=jump_s if place else own_s)

    def close(self) -> None:
        """Let go; who does not answer to that is cut off a moment later."""
        for connection in self.connections:
            connection.close()
        with contextlib.suppress(RuntimeError):  # no loop is running any more: then its connections are gone with it
            asyncio.get_running_loop().call_later(PARTING_S, self.abort)

    def abort(self) -> None:
        for connection in self.connections:
            connection.abort()


class KeptLogins:
    """At most one idle login for each host of the inventory. Of one event loop."""

    def __init__(
        self,
        *,
        idle_s: float = IDLE_S,
        age_s: float = AGE_S,
        most: int = MOST,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle_s, self._age_s, self._most, self._now = idle_s, age_s, most, now
        self._idle: dict[str, tuple[Login, asyncio.TimerHandle]] = {}  # the longest idle first
        self._closed = False

    @property
    def hosts(self) -> list[str]:
        """Those to which a connection is open that nobody uses."""
        return list(self._idle)

    def take(self, host: str, way: Way) -> Login | None:
        """The login of this host, from now on the caller's; None when there is none that a new one would be like."""
        found = self._idle.pop(host, None)
        if found is None:
            return None
        login, timer = found
        timer.cancel()
        if login.way != way or self._now() - login.began > self._age_s:
            login.close()
            return None
        return login

    def give_back(self, host: str, login: Login) -> None:
        """Keep it for the next run, in place of the one that may be kept already."""
        login.began = login.began or self._now()
        if self._closed or not login.lives or self._now() - login.began > self._age_s:
            login.close()
            return
        self.forget(host)
        while len(self._idle) >= self._most:
            self.forget(next(iter(self._idle)))
        login.keepalive(KEEPALIVE_S, KEEPALIVE_S)
        timer = asyncio.get_running_loop().call_later(self._idle_s, self._idle_for_long, host, login)
        self._idle[host] = login, timer

    def forget(self, host: str) -> None:
        """Close the connection to this host: the next run logs in anew."""
        found = self._idle.pop(host, None)
        if found is not None:
            found[1].cancel()
            found[0].close()

    def only(self, ways: Callable[[str], Way | None]) -> None:
        """Close what no longer leads to a host as it is reached now. ways: of a host, None when there is no such host."""
        for host, (login, _) in list(self._idle.items()):
            if ways(host) != login.way:
                self.forget(host)

    def _idle_for_long(self, host: str, login: Login) -> None:
        found = self._idle.get(host)
        if found is not None and found[0] is login:
            self.forget(host)

    async def close(self) -> None:
        """Close all of them, and keep none from now on."""
        self._closed = True
        logins = [login for login, _ in self._idle.values()]
        for host in self.hosts:
            self.forget(host)
        waits = [connection.wait_closed() for login in logins for connection in login.connections]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PARTING_S):
                await asyncio.gather(*waits, return_exceptions=True)
        for login in logins:
            login.abort()


def files_of_logins(known_hosts: Iterable[Path]) -> Files | None:
    """How the files stand that decide about logins: known hosts, and the user's configuration with its keys and what it includes.

    None when the configuration asks commands: what they answer may be another thing tomorrow.
    """
    home = os.path.expanduser(USER_DIRECTORY)
    paths = {str(file.expanduser()) for file in known_hosts}
    with contextlib.suppress(OSError):  # no such directory: then nothing in it decides
        paths.update(entry.path for entry in os.scandir(home))
    todo, seen = [os.path.join(home, "config")], set[str]()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            continue  # as it stands is told below
        if any(map(_MATCH_EXEC.match, lines)):
            return None
        for found in filter(None, map(_INCLUDE.match, lines)):
            for pattern in _words(found[1]):
                todo += sorted(glob(os.path.join(home, os.path.expanduser(pattern))))
    return tuple((path, look) for path in sorted(paths | seen) if (look := _look(path)) is not None)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return [text]


def _look(path: str) -> tuple[int, ...] | None:
    """None for what is no file: sockets of other programs come and go there."""
    try:
        found = os.stat(path)
    except OSError as error:
        return (error.errno or 0,)
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
