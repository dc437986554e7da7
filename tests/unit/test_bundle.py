"""What travels to hosts is the same bytes for the same sources, holds nothing else, and stays small."""

import asyncio
import io
import os
import shlex
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from stand_in import interpreters

import statectl
from statectl.transport import bundle, session
from statectl.transport.channel import Endpoint
from statectl.transport.local import LocalTransport

PACKAGE = Path(statectl.__file__).parent
ORDER = {"type": "order", "run": "r1", "host": "here", "kind": "facts", "controller": "test"}


def test_same_sources_same_bytes(tmp_path):
    """A checkout elsewhere, with other dates, rights and .pyc files, is the same executor."""
    shutil.copytree(PACKAGE, tmp_path / "statectl", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tmp_path / "statectl").rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    (tmp_path / "statectl" / "onhost" / "__pycache__").mkdir()
    (tmp_path / "statectl" / "onhost" / "__pycache__" / "host.cpython-311.pyc").write_bytes(b"x")
    assert bundle.pack(tmp_path / "statectl") == bundle.pack(PACKAGE)


def test_any_change_is_another_executor(tmp_path):
    """One byte in one module of the host half, and hosts get it anew."""
    shutil.copytree(PACKAGE / "onhost", tmp_path / "onhost")
    shutil.copy(PACKAGE / "__init__.py", tmp_path)
    before = bundle.pack(tmp_path).sha256
    with (tmp_path / "onhost" / "host.py").open("a") as stream:
        stream.write("\n")
    assert bundle.pack(tmp_path).sha256 != before


def test_nothing_but_the_host_half_travels():
    """No controller code, no tests, no secrets of the project can be in it."""
    names = zipfile.ZipFile(io.BytesIO(bundle.build().data)).namelist()
    assert names == sorted(names)
    for name in names:
        assert name in ("__main__.py", "statectl/__init__.py") or name.startswith("statectl/onhost/")
        assert name.endswith(".py")


def test_it_is_small():
    """It is sent once per host and version; over a slow line that must not be felt. The stub is sent every time."""
    built = bundle.build()
    assert len(built.packed()) < 300_000
    assert len(built.stub) < 4_500


def test_the_command_survives_every_login_shell():
    """One line without quotes, backslashes and exclamation marks: csh and fish read it as sh does."""
    for careful in (False, True):
        for part in bundle.build().command("0123456789abcdef", careful=careful):
            assert not set(part) & set("'\\!\n\r")
        assert len(shlex.join(bundle.build().command("0123456789abcdef", careful=careful))) < 16_000


def started(tmp_path: Path, python: str) -> tuple[dict, float]:
    """Start the real executor -> (its `ready`, seconds until it came)."""

    async def run():
        endpoint = Endpoint("here", "", connection="local", python=python, state_dir=str(tmp_path / "state"))
        began = time.perf_counter()
        conversation = await session.start(
            LocalTransport(), endpoint, bundle.build(), {**ORDER, "state_dir": str(tmp_path / "state")}
        )
        ready = await conversation.receive()
        took = time.perf_counter() - began
        end = await conversation.receive()
        assert (ready["type"], end["type"], end["outcome"]) == ("ready", "end", "done")
        await conversation.send({"type": "ack", "runs": ["r1"]})
        await conversation.close()
        return ready, took

    return asyncio.run(run())


@pytest.mark.parametrize("python", interpreters())
def test_the_real_executor_starts_and_tells_its_facts(tmp_path, python):
    """Promise E02, end to end: what we ship speaks the protocol that we check, on every interpreter that is here."""
    ready, _ = started(tmp_path, python)
    assert ready["facts"]["missing"] == {}
    assert os.path.samefile(ready["facts"]["python"]["executable"], python)


def test_a_cached_start_is_quick(tmp_path):
    """The cache pays: the third start of three, facts included, is far below what compiling the executor costs."""
    times = [started(tmp_path, interpreters()[-1])[1] for _ in range(3)]
    assert min(times[1:]) < times[0]
    assert min(times[1:]) < 0.6


def test_by_hand_on_the_host(tmp_path):
    """`python3 onhost.pyz < order.json` tells the facts to whoever debugs a host."""
    file = tmp_path / "onhost.pyz"
    file.write_bytes(bundle.build().data)
    order = '{"type": "order", "run": "r1", "host": "here", "kind": "facts", "state_dir": "%s"}' % (tmp_path / "state")
    done = subprocess.run(
        [interpreters()[0], file], input=order, capture_output=True, text=True, check=True, timeout=60
    )
    assert '"type":"ready"' in done.stdout
    assert '"outcome":"done"' in done.stdout
