"""The executor as a program of its own: a zip of compiled modules that any later process of this interpreter can run.

The executor itself lives in memory and ends with its conversation. What must outlive it is started from here: by systemd as a unit of its own
where it runs, so that the end of the login's session or of sshd's control group does not take it along; else in a session of its own.
"""

import marshal
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Iterator, List, Tuple

    from statectl.onhost.host import Host
    from statectl.onhost.lockout.record import Armed

MAIN = "import sys\nfrom statectl.onhost.lockout import watchdog\nsys.exit(watchdog.main(sys.argv[1]))\n"
START_S = 20.0


def write(path: str) -> None:
    """Write the program, durably. Raises OSError."""
    import zipfile

    with open(path + ".new", "wb") as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, package, code in _modules():
                entry = name.replace(".", "/") + ("/__init__.pyc" if package else ".pyc")
                archive.writestr(zipfile.ZipInfo(entry), _header() + code)
            main = marshal.dumps(compile(MAIN, "__main__.py", "exec", dont_inherit=True))
            archive.writestr(zipfile.ZipInfo("__main__.pyc"), _header() + main)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(path + ".new", path)


def _header() -> bytes:
    """Of a .pyc file without a source to compare with."""
    import _frozen_importlib_external

    return _frozen_importlib_external.MAGIC_NUMBER + bytes(bytearray(12 if sys.version_info >= (3, 7) else 8))


def _modules() -> "Iterator[Tuple[str, bool, bytes]]":
    """(name, is it a package, marshalled code) of everything the executor is made of."""
    import statectl.onhost

    loader = statectl.onhost.__spec__.loader
    loaded = getattr(loader, "modules", None)
    if loaded is not None:  # started by the stub: all of them are in memory
        for name, (package, _, code) in sorted(loaded.items()):
            yield name, package, code
        return
    import importlib.util
    import pkgutil

    names = ["statectl", "statectl.onhost"]
    names += [found.name for found in pkgutil.walk_packages(statectl.onhost.__path__, "statectl.onhost.")]
    for name in names:
        spec: Any = importlib.util.find_spec(name)
        code = spec.loader.get_code(name)
        yield name, spec.submodule_search_locations is not None, marshal.dumps(code)


def command(program: str, state_dir: str) -> "List[str]":
    return [sys.executable, "-E", "-s", "-S", "-B", program, state_dir]


def start(host: "Host", armed: "Armed", state_dir: str, run: str) -> None:
    """Start the watchdog, and be sure that it lives. Raises Failed."""
    argv = command(armed.path("program.pyz"), state_dir)
    if not _as_unit(host, argv, run) or not _lives(armed, START_S / 2):
        _detached(argv)
        if not _lives(armed, START_S / 2):
            raise Failed("the watchdog that would undo it does not start", "cannot be armed")


def _lives(armed: "Armed", limit_s: float) -> bool:
    limit = time.monotonic() + limit_s
    while not armed.guarded():
        if armed.read() is None:
            return True  # it was settled at once
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


def _as_unit(host: "Host", argv: "List[str]", run: str) -> bool:
    """-> is it a unit of systemd's now? One that is killed is started again."""
    if host.uid != 0 or not os.path.isdir("/run/systemd/system") or host.which("systemd-run") is None:
        return False
    name = "statectl-undo-%s-%s" % (run, os.urandom(3).hex())
    words = ["--quiet", "--collect", "--unit=" + name, "--description=statectl: undoes run %s unless confirmed" % run]
    words += ["--property=Restart=on-failure", "--property=RestartSec=1"]
    try:
        host.run(["systemd-run", *words, "--", *argv], timeout=20)
    except Failed:
        return False
    return True


def _detached(argv: "List[str]") -> None:
    """A process that nobody waits for, in a session of its own, with nothing of ours open."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.closerange(3, 1024)
        os.chdir("/")
        from statectl.onhost import process

        os.execve(argv[0], argv, process.environment())  # noqa: S606  that there is no shell is the rule
    finally:
        os._exit(127)
