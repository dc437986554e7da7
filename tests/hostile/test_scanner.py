"""The scanner for secrets finds all that is planted: only then its zero means something."""

import base64
import gzip
import json
import os
import sqlite3
import subprocess
import sys
import zlib
from urllib.parse import quote

import pytest

from tests.hostile.canaries.scanner import Canary, Scanner, Watched

PLANT = {
    "raw": lambda text: text.encode(),
    "base64 at 0": lambda text: base64.b64encode(text.encode() + b" and more"),
    "base64 at 1": lambda text: base64.b64encode(b"x" + text.encode() + b" and more"),
    "base64 at 2": lambda text: base64.b64encode(b"xy" + text.encode() + b" and more"),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"xy" + text.encode() + b" and more"),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "URL": lambda text: quote(text, safe="").encode(),
    "JSON": lambda text: json.dumps({"a": text}).encode(),
}


@pytest.mark.parametrize("packed", ["not", "zlib", "gzip", "gzip in zlib"])
@pytest.mark.parametrize("encoding", PLANT)
def test_all_that_is_planted(encoding: str, packed: str, tmp_path) -> None:
    """T32: 64 of 64 canaries are found in every encoding, also compressed and in the middle of other bytes."""
    canaries = [Canary.made(f"place {number}") for number in range(64)]
    scanner = Scanner(canaries)
    for number, canary in enumerate(canaries):
        data = b"before" * 50 + PLANT[encoding](canary.value) + b"after" * 50
        if "gzip" in packed:
            data = gzip.compress(data)
        if "zlib" in packed:
            data = zlib.compress(data)
        (tmp_path / f"{number}.bin").write_bytes(b"\x00\xff noise" * number + data + b"rest")
    scanner.scan_tree(tmp_path)
    assert {found.place for found in scanner.found} == {canary.place for canary in canaries}


def test_half_of_one(tmp_path) -> None:
    """T32: a canary that was cut in the middle is found by either half, in every encoding."""
    canary = Canary.made("cut")
    scanner = Scanner([canary, *canary.halves()])
    for encoding, planted in PLANT.items():
        for half in canary.halves():
            scanner.scan(planted("x" * 7 + half.value), f"{encoding} {half.value}")
    assert len({found.where for found in scanner.found}) == 2 * len(PLANT)


def test_nothing_where_nothing_is(tmp_path) -> None:
    """T32: other text, other canaries and random bytes are not taken for one."""
    (tmp_path / "a").write_bytes(os.urandom(100_000) + Canary.made("other").value.encode())
    scanner = Scanner([Canary.made("mine")])
    scanner.scan_tree(tmp_path)
    assert scanner.found == set()
    assert scanner.bytes_read > 100_000


def test_rows_names_links_and_processes(tmp_path) -> None:
    """T32: a large packed row, a file's name, a link's target, an argument and a variable of a short process are looked into."""
    canaries = {name: Canary.made(name, plain=True) for name in ("row", "name", "link", "argv", "environ")}
    scanner = Scanner(canaries.values())
    database = sqlite3.connect(tmp_path / "store.db")
    database.execute("CREATE TABLE t (v BLOB)")
    filler = os.urandom(20_000)
    database.execute("INSERT INTO t VALUES (?)", (zlib.compress(filler + canaries["row"].value.encode() + filler),))
    database.commit()
    database.close()
    (tmp_path / canaries["name"].value).write_text("")
    (tmp_path / "link").symlink_to(canaries["link"].value)
    with Watched(scanner) as watched:
        sleep = [sys.executable, "-c", "import time; time.sleep(0.5)", canaries["argv"].value]
        subprocess.run(sleep, env={"X": canaries["environ"].value}, check=True)
    scanner.scan_tree(tmp_path)
    scanner.scan_database(tmp_path / "store.db")
    assert watched.samples > 3
    assert {found.place for found in scanner.found} == set(canaries)
