"""Outer keys that others keep: age identities, Vault's transit engine (a small server that speaks as it does), AWS KMS (moto's server)."""

import base64
import contextlib
import http.server
import json
import os
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from statectl.errors import Failed, Refused, UsageError
from statectl.parameters.keys import aes, provider
from statectl.secrets import Secret
from tests.unit.parameter_stores import Place

TOKEN = "s.canary-token"


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.close()


def code_of(function, *arguments, **named) -> tuple[str, str]:
    with pytest.raises((Refused, UsageError, Failed)) as caught:
        function(*arguments, **named)
    return caught.value.code, f"{caught.value.message} {caught.value.hint}"


def works_through_its_life(place, key: str) -> None:
    """Write, read, rotate, read from a store that was opened before and one opened after."""
    store = place.store(key=key)
    store.put("/s", Secret("one"), type="SecureString")
    store.put("/s", Secret("two"), overwrite=True)
    assert store.rotate().wrapped == 2
    for again in (store, place.store(key=key)):
        assert [one.value.reveal() for one in again.history("/s", decrypt=True)] == ["one", "two"]


# age


def test_age_identities(place):
    """The newest identity of the file wraps; rotating adds one; a lost one is named."""
    import pyrage

    path = place.root / "identity.txt"
    key = "age:identity.txt"
    assert "age-keygen" in code_of(place.store(key=key).put, "/s", Secret("x"), type="SecureString")[1]
    path.write_text(f"# created: today\n{pyrage.x25519.Identity.generate()}\n")
    path.chmod(0o600)
    works_through_its_life(place, key)
    assert path.read_text().count("AGE-SECRET-KEY-1") == 2
    store = place.store(key=key)
    needed = store.get("/s").key_id
    path.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    code, text = code_of(store.get, "/s", decrypt=True)
    assert code == "E619"
    assert needed in text
    path.chmod(0o644)
    assert "chmod 600" in code_of(store.get, "/s", decrypt=True)[1]


# Vault


class Vault(http.server.BaseHTTPRequestHandler):
    """The part of transit that is used: versions of a key, `vault:vN:` before a ciphertext, errors as a list."""

    keys: list[bytes]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        verb, _, name = self.path.removeprefix("/v1/transit/").partition("/")
        if self.headers["X-Vault-Token"] != TOKEN:
            return self.answer(403, {"errors": ["permission denied"]})
        if verb == "keys" and name == "store/rotate":
            self.keys.append(aes.new_key())
            return self.answer(204, None)
        if name != "store":
            return self.answer(400, {"errors": ["encryption key not found"]})
        if verb == "encrypt":
            number = len(self.keys)
            wrapped = aes.wrap(self.keys[-1], base64.b64decode(body["plaintext"]), "")
            return self.answer(200, {"data": {"ciphertext": f"vault:v{number}:{base64.b64encode(wrapped).decode()}"}})
        _, number, text = body["ciphertext"].split(":")
        plain = aes.unwrap(self.keys[int(number[1:]) - 1], base64.b64decode(text), "")
        return self.answer(200, {"data": {"plaintext": base64.b64encode(plain).decode()}})

    def answer(self, status: int, document: object) -> None:
        text = json.dumps(document).encode() if document is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def vault(monkeypatch, tmp_path) -> Iterator[str]:
    handler = type("Handler", (Vault,), {"keys": [aes.new_key()]})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("VAULT_NAMESPACE", raising=False)
    yield f"vault:http://127.0.0.1:{server.server_port}/transit/store"
    server.shutdown()
    thread.join()
    server.server_close()


def test_vault_transit(place, vault, monkeypatch):
    """Data keys are wrapped there, rotation is done there; what it refuses is one line without the token."""
    works_through_its_life(place, vault)
    with place.opened[-1].reading() as connection:
        found = connection.execute("SELECT data_key FROM parameter_versions").fetchall()
    assert {bytes(row["data_key"])[:9] for row in found} == {b"vault:v2:"}
    store = place.store(key=vault)
    monkeypatch.setenv("VAULT_TOKEN", "s.other-canary")
    code, text = code_of(store.get, "/s", decrypt=True)
    assert code == "E621"
    assert "permission denied" in text
    assert "canary" not in text
    monkeypatch.delenv("VAULT_TOKEN")
    assert "vault login" in code_of(store.get, "/s", decrypt=True)[1]
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    empty = Place(place.root / "empty", "sqlite:state.db")
    empty.root.mkdir()
    error = code_of(empty.store(key=f"{vault}2").put, "/t", Secret("x"), type="SecureString")
    empty.close()
    assert "encryption key not found" in error[1]
    assert code_of(store.rotate, drop_old=True)[0] == "E619"


def test_no_service_is_asked_while_the_store_is_held(place, vault, monkeypatch):
    """A key that is far away keeps no other writer waiting: writes, moves, copies and restores ask it before."""
    from statectl.parameters.keys.vault import VaultTransit

    store = place.store(key=vault)
    held, asked, real = place.opened[-1], [], VaultTransit._ask

    def asking(self, *arguments):
        asked.append(held._one_writes.locked())
        return real(self, *arguments)

    monkeypatch.setattr(VaultTransit, "_ask", asking)
    for text in ("one", "two"):
        store.put("/a/s", Secret(text), type="SecureString", overwrite=True)
    place.clock.on(hours=1)
    moment = place.clock.now
    place.clock.on(hours=1)
    store.put("/a/s", Secret("three"), overwrite=True)
    store.copy("/a", "/b", recursive=True)
    store.move("/a", "/c", recursive=True)
    store.put_back("/c/s", 1)
    store.restore("/c", recursive=True, at=moment)
    store.rotate()
    assert [one.value.reveal() for one in store.history("/c/s", decrypt=True)] == ["one", "two", "three", "one", "two"]
    assert asked and not any(asked)


def test_vault_that_does_not_answer(place, vault, monkeypatch):
    """One line; text can be read and written all the same, and nothing was written of the secret."""
    store = place.store(key="vault:http://127.0.0.1:1/transit/store")
    store.put("/a", "text", type="String")
    code, text = code_of(store.put, "/s", Secret("x"), type="SecureString")
    assert code == "E621"
    assert "does not answer" in text
    assert [one.name for one in store.describe().parameters] == ["/a"]


# AWS KMS


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def kms(aws, monkeypatch, tmp_path) -> str:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in {
        "AWS_ENDPOINT_URL_KMS": aws,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{aws}/moto-api/reset", method="POST")).close()
    import boto3

    return str(boto3.client("kms").create_key()["KeyMetadata"]["Arn"])


def test_aws_kms(place, kms):
    """Data keys are wrapped by KMS, bound to the name of the parameter; another key takes over by rotation."""
    import boto3

    works_through_its_life(place, f"kms:{kms}")
    other = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
    assert place.store(key=f"kms:{other}").rotate().wrapped == 2
    store = place.store(key=f"kms:{other}")
    assert store.get("/s").key_id == f"kms:{other}"
    assert store.get("/s", decrypt=True).value.reveal() == "two"
    outer = provider(f"kms:{kms}", place.root)
    key_id, wrapped = outer.wrap(b"d" * 32, "/a")
    assert outer.unwrap(key_id, wrapped, "/a") == b"d" * 32
    assert code_of(outer.unwrap, key_id, wrapped, "/b")[0] == "E621"
    assert code_of(place.store(key="kms:alias/nothing").put, "/t", Secret("x"), type="SecureString")[0] == "E621"


def test_aws_that_does_not_answer(place, kms, monkeypatch):
    """One line, after a bounded number of tries."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
    code, text = code_of(place.store(key=f"kms:{kms}").put, "/s", Secret("x"), type="SecureString")
    assert code == "E621"
    assert "cannot be asked" in text


@pytest.mark.parametrize(
    ("spec", "library", "extra"), [("age:x", "pyrage", "statectl[age]"), ("kms:x", "boto3", "statectl[aws]")]
)
def test_a_library_that_is_not_installed(place, monkeypatch, spec, library, extra):
    """Optional parts say what to install."""
    import sys

    (place.root / "x").write_text("AGE-SECRET-KEY-1QQQ\n")
    (place.root / "x").chmod(0o600)
    monkeypatch.setitem(sys.modules, library, None)
    assert extra in code_of(place.store(key=spec).put, "/s", Secret("x"), type="SecureString")[1]
