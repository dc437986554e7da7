"""Run one command: argv only, a clean environment, a deadline, and nothing of it left over when the deadline passes.

This is fork and exec by hand and not `subprocess`, whose import alone costs 9 ms of every run, and which waits for ever
on a pipe that a daemon inherited. The executor is single-threaded, so fork is safe.
What it takes to end one with all its children is in supervised.py.
"""

import errno
import os
import select
import signal
import stat
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Sequence

from statectl.onhost.failure import Failed, system_says
from statectl.onhost.supervised import MARKER, Supervised

if TYPE_CHECKING:
    import pwd
    from typing import IO, Callable, Dict, List, Mapping, NoReturn, Tuple, Union

    from statectl.onhost.shapes import Deliver

SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
OUTPUT_LIMIT = 1024 * 1024  # bytes kept of each stream: the first half and the last half
OUTPUT_SHOWN = 4096  # bytes of output that travel with a failure
TERM_GRACE_S = 3.0
DRAIN_S = 0.25
LOOK_S = 0.05  # how often to look whether the command has ended while a daemon holds its pipes
MAX_PIPE_READ = 65536


class Ran(NamedTuple):
    """How a command ended.

    code       exit code; negative: the signal that ended it; None: it could not be killed
    out, err   text, UTF-8 with surrogateescape; the middle of what exceeds 1 MiB is left out, saying so
    timed_out  the deadline passed, or `stop` said so
    """

    code: Optional[int]
    out: str
    err: str
    timed_out: bool = False


class Identity(NamedTuple):
    """Who a command runs as."""

    name: str
    uid: int
    gid: int
    groups: Sequence[int]  # every group id, supplementary ones too
    home: str


def which(name: str, root: str = "") -> "Optional[str]":
    """-> absolute path of an executable in the fixed search list, or None. Never looks at $PATH."""
    if "/" in name:
        return name if _executable(root + name) else None
    for directory in SEARCH:
        path = directory + "/" + name
        if _executable(root + path):
            return path
    return None


def _executable(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)
    except OSError:
        return False


def environment(identity: "Optional[Identity]" = None, extra: "Optional[Mapping[str, str]]" = None) -> "Dict[str, str]":
    """The whole environment of a command; nothing is inherited but the time zone."""
    env = {
        "PATH": ":".join(SEARCH),
        "LC_ALL": "C.UTF-8",
        "LANG": "C.UTF-8",
        "HOME": identity.home if identity else _own_home(),
        "USER": identity.name if identity else _own_name(),
    }
    env["LOGNAME"] = env["USER"]
    env["SHELL"] = "/bin/sh"
    if "TZ" in os.environ:
        env["TZ"] = os.environ["TZ"]
    env.update(extra or {})
    return env


def _own_entry() -> "Optional[pwd.struct_passwd]":
    import pwd

    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        return None


def _own_home() -> str:
    entry = _own_entry()
    return entry.pw_dir if entry else "/"


def _own_name() -> str:
    entry = _own_entry()
    return entry.pw_name if entry else str(os.geteuid())


def run(
    argv: "Sequence[Union[str, bytes]]",
    timeout: float = 300,
    stdin: "Union[bytes, bytearray, IO[bytes]]" = b"",
    env: "Optional[Mapping[str, str]]" = None,
    cwd: "Optional[str]" = None,
    identity: "Optional[Identity]" = None,
    on_output: "Optional[Deliver]" = None,
    stop: "Optional[Callable[[], bool]]" = None,
    grace: float = TERM_GRACE_S,
) -> "Ran":
    """Run `argv` to its end -> Ran. Raises Failed when it cannot be started.

    timeout    seconds until the whole group is ended: TERM, then KILL after `grace` seconds
    stdin      bytes, or an open file with a fileno (read by the command itself); then end of file
    env        additions to the clean environment
    identity   Identity to become (root only)
    on_output  called as on_output("out"|"err", bytes) while the command runs; nothing is then kept. If it raises, the
               command is ended and the exception goes on.
    stop       called between reads, at least twice a second; true: end the command as at its deadline
    """
    words = [os.fsencode(part) for part in argv]
    if not words:
        raise Failed("no command given", "no command given")
    program = which(os.fsdecode(words[0]))
    if program is None:
        name = os.fsdecode(words[0])
        where = "" if "/" in name else " (looked in %s)" % ":".join(SEARCH)
        raise Failed("command not found: %s%s" % (name, where), "command not found", map(os.fsdecode, words))
    marker = "%d-%s" % (os.getpid(), "".join("%02x" % byte for byte in bytearray(os.urandom(8))))
    variables = environment(identity, env)
    variables[MARKER] = marker
    started = time.monotonic()
    kept = {"out": _Kept(), "err": _Kept()}
    deliver: "Deliver" = on_output or (lambda stream, data: kept[stream].add(data))
    # A handler that raises must do so where the command can still be ended. It may raise out of the very call that blocks the
    # signals, so what to restore is asked first.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM))
        pid, streams = _start(program, words, variables, stdin, cwd, identity)
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise
    supervised = Supervised(pid, marker, grace)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        timed_out = _follow(supervised, streams, started + timeout, deliver, stop)
    except BaseException:
        supervised.end()
        raise
    finally:
        streams.close()
    return Ran(supervised.code, kept["out"].text(), kept["err"].text(), timed_out)


class _Streams(object):
    """Our ends of the pipes. A descriptor is forgotten the moment it is closed, so none is closed twice."""

    def __init__(self, out: int, err: int, to_child: "Optional[int]", text: "Union[bytes, bytearray]") -> None:
        self.reading = {out: "out", err: "err"}
        self.to_child: "Optional[int]" = to_child  # None: nothing left to write
        self.left = memoryview(text)
        for fd in (out, err) + (() if to_child is None else (to_child,)):
            os.set_blocking(fd, False)

    def take(self, fd: int, deliver: "Deliver") -> bool:
        """One read -> False when there is nothing more for now."""
        try:
            data = os.read(fd, MAX_PIPE_READ)
        except BlockingIOError:
            return False
        if not data:
            del self.reading[fd]
            os.close(fd)
            return False
        deliver(self.reading[fd], data)
        return True

    def give(self) -> None:
        if self.to_child is None:
            return
        try:
            self.left = self.left[os.write(self.to_child, self.left[:MAX_PIPE_READ]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.left = self.left[:0]  # it does not want more; that is its right
        if self.left.nbytes == 0:
            os.close(self.to_child)
            self.to_child = None

    def drain(self, deliver: "Deliver") -> None:
        """What was written before the end is in the pipes already: take that, and do not wait for what a daemon may add."""
        limit = time.monotonic() + DRAIN_S  # one that writes without pause would keep us for ever
        for fd in list(self.reading):
            while time.monotonic() < limit and self.take(fd, deliver):
                continue

    def close(self) -> None:
        for fd in list(self.reading) + ([] if self.to_child is None else [self.to_child]):
            os.close(fd)
        self.reading, self.to_child = {}, None


def _start(
    program: str,
    argv: "List[bytes]",
    variables: "Dict[str, str]",
    stdin: "Union[bytes, bytearray, IO[bytes]]",
    cwd: "Optional[str]",
    identity: "Optional[Identity]",
) -> "Tuple[int, _Streams]":
    """Fork and exec -> (pid, _Streams)."""
    ends: Any = []

    def pipe() -> "Tuple[int, int]":
        pair = os.pipe()
        ends.extend(pair)
        return pair

    to_child = None
    text, source = (stdin, None) if isinstance(stdin, (bytes, bytearray)) else (b"", stdin)
    try:
        if text:
            child_in, to_child = pipe()
        else:
            child_in = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if source is None else os.dup(source.fileno())
            ends.append(child_in)
        out, child_out = pipe()
        err, child_err = pipe()
        status, child_status = pipe()
        pid = os.fork()
    except OSError as error:
        for fd in ends:
            os.close(fd)
        raise Failed("cannot start %s: %s" % (program, error.strerror), system_says(error), map(os.fsdecode, argv))
    if pid == 0:
        _become(program, argv, variables, cwd, identity, (child_in, child_out, child_err), child_status)
    for fd in (child_in, child_out, child_err, child_status):
        os.close(fd)
    streams = _Streams(out, err, to_child, text)
    with os.fdopen(status, "rb") as stream:
        trouble = stream.read().decode("ascii")
    if trouble:
        os.waitpid(pid, 0)
        streams.close()
        stage, number = trouble.split(":")
        reason = os.strerror(int(number))
        where = {"exec": "", "cwd": " in directory %s" % cwd, "user": " as user %s" % (identity and identity.name)}[
            stage
        ]
        raise Failed("cannot start %s%s: %s" % (program, where, reason), reason.lower(), map(os.fsdecode, argv))
    return pid, streams


def _become(
    program: str,
    argv: "List[bytes]",
    variables: "Dict[str, str]",
    cwd: "Optional[str]",
    identity: "Optional[Identity]",
    streams: "Tuple[int, int, int]",
    status: int,
) -> "NoReturn":
    """The child between fork and exec. Never returns."""
    stage = "exec"
    try:
        os.setsid()
        import fcntl

        # first out of the way of 0, 1 and 2, then into place
        moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in streams]
        for number, fd in enumerate(moved):
            os.dup2(fd, number)
        os.closerange(3, status)  # ours close at exec; those that whoever started us let through do not
        os.closerange(status + 1, 1024)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)  # Python ignores SIGPIPE; a command must not inherit that
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.umask(0o022)
        if identity is not None:
            stage = "user"
            os.setgroups(identity.groups)
            os.setresgid(identity.gid, identity.gid, identity.gid)
            os.setresuid(identity.uid, identity.uid, identity.uid)
        stage = "cwd"
        os.chdir(cwd or "/")
        stage = "exec"
        os.execve(program, argv, variables)  # noqa: S606  that there is no shell is the rule
    except OSError as error:
        os.write(status, ("%s:%d" % (stage, error.errno or errno.EIO)).encode("ascii"))
    except BaseException:  # noqa: BLE001  a second executor must never return from here
        os.write(status, ("%s:%d" % (stage, errno.EINVAL)).encode("ascii"))
    finally:
        os._exit(127)


class _Kept(object):
    """The head and the tail of a stream."""

    def __init__(self, limit: int = OUTPUT_LIMIT) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def add(self, data: bytes) -> None:
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._half:
            self._trim()

    def _trim(self) -> None:
        surplus = len(self._tail) - self._half
        if surplus > 0:
            self._left_out += surplus
            del self._tail[:surplus]

    def text(self) -> str:
        self._trim()
        head, tail = bytes(self._head), bytes(self._tail)
        if self._left_out:
            tail = b"\n[... %d bytes left out ...]\n" % self._left_out + tail
        return (head + tail).decode("utf-8", "surrogateescape")


def _follow(
    supervised: "Supervised",
    streams: "_Streams",
    deadline: float,
    deliver: "Deliver",
    stop: "Optional[Callable[[], bool]]",
) -> bool:
    """Move bytes until the command has ended -> did it have to be ended?

    The end of the process counts, not the end of its pipes: a daemon may hold those for ever.
    """
    pause = 0.0005
    while True:
        now = time.monotonic()
        if now >= deadline or (stop is not None and stop()):
            supervised.end()
            streams.drain(deliver)
            return True
        if supervised.poll():
            streams.drain(deliver)
            return False
        if streams.reading or streams.to_child is not None:
            poller = select.poll()
            for fd in streams.reading:
                poller.register(fd, select.POLLIN)
            if streams.to_child is not None:
                poller.register(streams.to_child, select.POLLOUT)
            for fd, _ in poller.poll(max(1, int(1000 * min(LOOK_S, deadline - now)))):
                if fd in streams.reading:
                    streams.take(fd, deliver)
                else:
                    streams.give()
        else:
            time.sleep(min(pause, deadline - now))  # its streams are closed, it is about to end
            pause = min(pause * 2, LOOK_S)


def failure(argv: "Sequence[Union[str, bytes]]", ran: "Ran", timeout: float) -> "Failed":
    """The Failed that tells how a command went wrong."""
    words = [os.fsdecode(part) if isinstance(part, bytes) else str(part) for part in argv]
    output = ran.err + ("\n" if ran.err and ran.out and not ran.err.endswith("\n") else "") + ran.out
    name = words[0].rpartition("/")[2]
    if ran.timed_out:
        message, cause = "%s did not end within %g s" % (name, timeout), "timed out"
    elif ran.code is None:
        message, cause = "%s ended in a way nobody could see" % name, "exit code lost"
    elif ran.code < 0:
        message, cause = "%s was ended by signal %d" % (name, -ran.code), "%s ended by signal %d" % (name, -ran.code)
    else:
        said = _last_line(ran.err) or _last_line(ran.out)
        message = "%s exited with code %d%s" % (name, ran.code, ": " + said if said else "")
        cause = "%s exited with code %d" % (name, ran.code)
    return Failed(message, cause, words, ran.code, output[-OUTPUT_SHOWN:])


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text[-OUTPUT_SHOWN:].splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
