"""The first five minutes, word for word, as a user without rights: everything is said in them, and nothing else is touched."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.local_project import ROOT

NOBODY = 65534
WORDS = """\
$ statectl init ~/demo --example local && cd ~/demo
$ statectl validate
$ statectl plan
$ statectl apply --yes
$ statectl plan                                  # No changes. 1 host already right.
$ echo "debug = true" >> machine/etc/app.conf
$ statectl drift                                 # shows the line; exit 2
$ statectl apply --yes
$ statectl compliance                            # 1 of 1 host compliant
$ cd .. && rm -rf demo                           # nothing else was touched
"""


def open_to_all(path: Path) -> bool:
    """May a stranger get there?"""
    return all(parent.stat().st_mode & 0o001 for parent in path.parents) and bool(path.stat().st_mode & 0o001)


@pytest.fixture
def stranger() -> Iterator[tuple[Path, list[str]]]:
    """A home, and the argv in front of a shell there: a user of no rights where the tests run as root, else who runs them.

    An interpreter that only root can reach is bound to a place where everybody can, in a mount namespace that ends with the shell.
    """
    home = Path(tempfile.mkdtemp(prefix="first-five-minutes-"))
    python = Path(sys.base_prefix)
    before: list[str] = []
    try:
        home.chmod(0o755)
        (home / "bin").mkdir()
        if os.geteuid() == 0:
            drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--"]
            before = drop
            if not open_to_all(python):
                (home / "python").mkdir()
                bind = f'mount --bind "{python}" "{home}/python" && exec "$@"'
                before = ["unshare", "-m", "--", "sh", "-c", bind, "sh", *drop]
                python = home / "python"
        library = Path(sysconfig.get_path("purelib"))
        if before and not (open_to_all(library) and open_to_all(ROOT)):
            pytest.skip("NO STRANGER: the checkout lies where only its owner can read")
        wrapper = home / "bin" / "statectl"
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        wrapper.write_text(
            f'#!/bin/sh\nPYTHONPATH="{ROOT}:{library}" PYTHONDONTWRITEBYTECODE=1'
            f' exec "{python}/bin/python{version}" -m statectl "$@"\n'
        )
        wrapper.chmod(0o755)
        if before:
            os.chown(home, NOBODY, NOBODY)
        yield home, before
    finally:
        shutil.rmtree(home)


def test_word_for_word(stranger):
    """Every line of the first five minutes works for a user without rights and says what it promises; nothing is left behind."""
    home, before = stranger
    lines = [line.removeprefix("$ ") for line in WORDS.splitlines()]
    script = "".join(f"{line}\necho '=== ended '$?\n" for line in lines)
    done = subprocess.run(
        [*before, "bash", "--norc"],
        input=script,
        cwd=home,
        env={
            "HOME": str(home),
            "PATH": f"{home}/bin:/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    told = re.split(r"=== ended (\d+)\n", done.stdout)
    said, codes = told[:-1:2], [int(code) for code in told[1::2]]
    assert codes == [0, 0, 0, 0, 0, 0, 2, 0, 0, 0], done.stdout + done.stderr
    assert "Valid: 1 association, 1 host. Nothing was contacted." in said[1]
    assert "8 changes on 1 host" in said[2]
    assert "Apply exactly this:  statectl apply " in said[2]
    assert "8 changed on 1 host." in said[3]
    assert said[4] == "No changes. 1 host already right.\n"
    assert "-debug = true" in said[6]
    assert "1 changed on 1 host." in said[7]
    assert "1 of 1 host compliant" in said[8]
    left = {path.relative_to(home).as_posix() for path in home.rglob("*")} - {"bin", "bin/statectl", "python"}
    assert left == set()
