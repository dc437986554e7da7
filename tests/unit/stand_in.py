"""An executor that says what its order tells it to, in a real bundle started by the real bootstrap."""

import os
import shutil
from pathlib import Path

import statectl
from statectl.transport import bundle
from statectl.transport.channel import Endpoint
from statectl.transport.local import LocalTransport

SOURCE = Path(statectl.__file__).parent
RUNNER = """
import os
import signal
import sys
from statectl.onhost import protocol


def frames(decoder, receive_fd, buffered):
    data = buffered
    while True:
        for frame in decoder.feed(data):
            yield frame
        data = os.read(receive_fd, 65536)
        if not data:
            return


def serve(receive_fd, send_fd, buffered):
    signal.alarm(20)  # below a terminal nobody tells us that the other side has gone
    digest = protocol.Digest()

    def say(message):
        data = protocol.encode(message)
        digest.add(data[protocol.HEADER.size:])
        while data:
            data = data[os.write(send_fd, data):]

    source = frames(protocol.Decoder(), receive_fd, buffered)
    order = protocol.decode_json(next(source)[1])
    print("a stray line that must not reach the protocol")
    os.system("echo and one of a child; cat")
    say({"type": "ready", "facts": {"python": {"executable": sys.executable, "path": sys.path}}, "probes": {}, "memory": {"order": order}})
    if order.get("die"):
        sys.stderr.write("it fell over\\n")
        os._exit(9)
    if order.get("want"):
        say({"type": "need", "blobs": order["want"]})
        got, sizes = 0, []
        while len(sizes) < len(order["want"]):
            kind, payload = next(source)
            if kind == protocol.BLOB_FRAME:
                got += len(payload)
            else:
                size = protocol.decode_json(payload)["size"]
            if got == size:
                sizes.append(got)
                got = 0
        say({"type": "log", "level": "info", "text": repr(sizes)})
    for text in order.get("texts", ()):
        say({"type": "log", "level": "info", "text": text})
    say({"type": "end", "outcome": "applied", "digest": digest.value() if not order.get("lie") else "0" * 64})
    next(source, None)
"""


def executor(directory: Path, version: str = "1") -> bundle.Bundle:
    """A bundle of the stand-in; another version is another executor."""
    package = directory / f"package-{version}"
    if not package.exists():
        (package / "onhost").mkdir(parents=True)
        (package / "__init__.py").write_text((SOURCE / "__init__.py").read_text())
        for name in ("__init__", "__main__", "protocol", "stub", "unpack"):
            shutil.copy(SOURCE / "onhost" / f"{name}.py", package / "onhost")
        (package / "onhost" / "runner.py").write_text(f"# {version}\n{RUNNER}")
    return bundle.pack(package)


def endpoint(directory: Path, **fields: object) -> Endpoint:
    """This machine, with all that is kept below `directory`."""
    return Endpoint(name="here", address="", connection="local", state_dir=str(directory / "state"), **fields)  # type: ignore[arg-type]


class Wrapped(LocalTransport):
    """Puts a login shell of its own making around the command; counts what it started."""

    def __init__(self, wrapper: str) -> None:
        self.wrapper = wrapper
        self.opened = 0

    async def open(self, endpoint, argv, *, deadline_s):
        self.opened += 1
        return await super().open(endpoint, ["/bin/sh", "-c", self.wrapper, "sh", *argv], deadline_s=deadline_s)


def interpreters() -> list[str]:
    """Python 3.6 and later of this machine: pyenv's and those on PATH, one of each version."""
    found = {}
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(6, 15):
        for path in sorted(root.glob(f"3.{minor}.*/bin/python3")):
            found[minor] = str(path)
        if minor not in found:
            path = shutil.which(f"python3.{minor}", path="/usr/local/bin:/usr/bin:/bin")
            if path:
                found[minor] = path
    return [found[minor] for minor in sorted(found)]
