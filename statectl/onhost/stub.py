# The first code that runs on a host: `python -E -s -S -B -c LAUNCH STUB NONCE HASH CACHE TRIED [next python ...]`.
#
# It parses on Python 2.7, costs a few milliseconds, reads nothing from stdin unless it has to, and does one of three things:
#
#     have   the executor of this HASH and this interpreter is in the cache and intact: run it
#     need   it is not: take it from stdin (a Z frame; what comes before it is kept for the executor), check it, run it
#     none   this interpreter will not do: start the next one, or say what was tried
#
# The answer is one line, `statectl:NONCE:have`, on a line of its own, so that the controller can skip whatever a login
# shell printed before it. Frames follow at once.
#
# ruff: noqa: E402, I001  the working directory leaves sys.path before anything is imported
# ruff: noqa: S102, S302, S606  code from memory is what a bootstrap runs, after its hash and owner were checked
# ruff: noqa: ARG002, F401  signatures of the import protocol; json is imported to know that it can be
import sys

sys.path[:] = [entry for entry in sys.path if entry]  # -c puts the working directory first
import os

STUB, NONCE, HASH, CACHE, TRIED = sys.argv[1:6]


def say(word):
    # type: (str) -> None
    os.write(1, ("\nstatectl:%s:%s\n" % (NONCE, word)).encode("ascii", "replace"))


def refuse(reason):
    # type: (str) -> None
    tried = TRIED + "; " * bool(TRIED) + "%s %s" % (sys.executable, reason)
    for place, name in enumerate(sys.argv[6:]):
        for directory in [""] if "/" in name else os.environ.get("PATH", "").split(":"):
            path = os.path.join(directory, name)
            if os.access(path, os.X_OK) and os.path.realpath(path) != os.path.realpath(sys.executable):
                launch = "import sys,zlib,binascii;exec(zlib.decompress(binascii.a2b_base64(sys.argv[1])))"
                options = [path, "-E", "-s", "-S", "-B", "-c", launch, STUB, NONCE, HASH, CACHE, tried]
                os.execv(path, options + sys.argv[7 + place :])
    say("none " + tried.replace("\n", " "))
    sys.exit(3)


def cached():
    # type: () -> bytes | None
    """The verified payload of the cache file, or None. Everything is asked of the opened descriptors, nothing of names."""
    import stat

    directory = os.open(CACHE, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        info = os.fstat(directory)
        if info.st_uid != os.geteuid() or info.st_mode & 0o022:
            return None
        fd = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    finally:
        os.close(directory)
    with open(fd, "rb") as stream:
        info = os.fstat(fd)
        if info.st_uid != os.geteuid() or info.st_mode & 0o022 or not stat.S_ISREG(info.st_mode):
            return None
        data = stream.read()
    head = HASH.encode("ascii") + b"\n"
    payload = data[len(head) + 65 :]
    good = data[: len(head) + 65] == head + hashlib.sha256(head + payload).hexdigest().encode("ascii") + b"\n"
    return payload if good else None


def received():
    # type: () -> tuple[bytes, bytes]
    """-> (zip, what came before it). Frames are those of protocol.py; Z is known here only."""
    import signal

    signal.alarm(120)  # a controller that lost its network does not keep us here
    before = b""
    while True:
        head = exactly(5)
        size = int.from_bytes(head[1:], "big")
        if size > 16 * 1024 * 1024:
            raise SystemExit("statectl: a frame of %d bytes came instead of the executor" % size)
        body = exactly(size)
        if head[:1] == b"Z":
            import zlib

            body = zlib.decompressobj().decompress(body, 64 * 1024 * 1024)
            if hashlib.sha256(body).hexdigest() != HASH:
                raise SystemExit("statectl: the executor that came is not the one that was announced")
            signal.alarm(0)
            return body, before
        before += head + body


def exactly(size):
    # type: (int) -> bytes
    data = b""
    while len(data) < size:
        chunk = os.read(0, min(size - len(data), 1048576))
        if not chunk:
            raise SystemExit("statectl: the controller went away before it had sent the executor")
        data += chunk
    return data


def default_cache():
    # type: () -> str
    if os.geteuid() == 0:
        return "/var/cache/statectl"
    import pwd

    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""
    return (os.environ.get("XDG_CACHE_HOME") or home + "/.cache") + "/statectl"


def plain():
    # type: () -> str
    """Make a terminal carry bytes: a login shell may have wrapped us into `script`. -> what to add to the answer.

    What was sent before is lost with this, and sent again when the controller reads "tty".
    """
    terminals = [fd for fd in (0, 1) if os.isatty(fd)]
    for fd in terminals:
        import tty

        tty.setraw(fd)
    if terminals and os.isatty(2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # errors would land among the frames
    return " tty" if terminals else ""


class Importer:
    """Modules from memory: {name: (is_package, file name, marshalled code)}."""

    def __init__(self, modules, spec):
        # type: (dict[str, tuple[bool, str, bytes]], type[_frozen_importlib.ModuleSpec]) -> None
        self.modules, self.spec = modules, spec

    def find_spec(self, name, path=None, target=None):
        # type: (str, object, object) -> _frozen_importlib.ModuleSpec | None
        if name in self.modules:
            package, origin, _ = self.modules[name]
            return self.spec(name, self, origin=origin, is_package=package)  # type: ignore[arg-type]
        return None

    def create_module(self, spec):
        # type: (object) -> None
        return None

    def exec_module(self, module):
        # type: (object) -> None
        exec(marshal.loads(self.modules[module.__name__][2]), module.__dict__)  # type: ignore[attr-defined]


if sys.version_info < (3, 6):
    refuse("is %d.%d.%d" % sys.version_info[:3])
try:
    import hashlib
    import json
    import marshal

    import _frozen_importlib
    import _frozen_importlib_external
except ImportError as error:
    refuse("lacks %s of the standard library (install python3, not only python3-minimal)" % (error.name or error))

CACHE = CACHE or default_cache()
MAGIC = "".join("%02x" % byte for byte in _frozen_importlib_external.MAGIC_NUMBER)
FILE = "%s-%s-%s.bin" % (HASH, sys.implementation.cache_tag, MAGIC)
try:
    found = cached()
except OSError:
    found = None
earlier = b""
terminal = plain()
if found is None:
    say("need" + terminal)
    package, earlier = received()
    import io
    import zipfile

    archive = zipfile.ZipFile(io.BytesIO(package))
    names = {"__name__": "unpack"}
    exec(compile(archive.read("statectl/onhost/unpack.py"), "statectl/onhost/unpack.py", "exec"), names)
    unpack = names["unpack"]
    found = unpack(archive, CACHE, FILE, HASH)  # type: ignore[operator]
else:
    say("have" + terminal)
sys.meta_path.insert(0, Importer(marshal.loads(found), _frozen_importlib.ModuleSpec))
sys.argv[1:] = []
import statectl.onhost
from statectl.onhost.__main__ import main

setattr(statectl.onhost, "bundle_hash", HASH)  # noqa: B010  a module has no such attribute until now
main(0, 1, earlier)
