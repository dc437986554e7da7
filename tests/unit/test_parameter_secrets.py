"""Secrets in the parameter store: what lies on the disk, what binds a ciphertext to its place, keys that are lost, wrong or rotated."""

import os
import sqlite3
import stat

import pytest

from statectl.errors import Refused, UsageError
from statectl.parameters.keys import Keys, aes, provider
from statectl.parameters.keys.key_file import KeyFile
from statectl.parameters.model import NewVersion
from statectl.secrets import Secret
from tests.unit.parameter_stores import Place

CANARIES = [f"canary-{number:02}-Qx7z" for number in range(8)]


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.close()


def refused(function, *arguments, **named) -> Refused:
    with pytest.raises(Refused) as caught:
        function(*arguments, **named)
    return caught.value


def on_disk(place) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(place.root.rglob("*")) if path.is_file())


def ciphertexts(place) -> list[bytes]:
    with place.opened[-1].reading() as connection:
        found = connection.execute("SELECT cipher FROM parameter_versions WHERE cipher IS NOT NULL").fetchall()
    return [bytes(row["cipher"]) for row in found]


def test_no_plaintext_in_any_file(place):
    """Database, log, free pages, key file: after writes, overwrites, copies, moves, a rotation, reading and deleting, no secret is there."""
    store = place.store()
    store.put_many(
        [NewVersion(f"/s/{number}", Secret(text), type="SecureString") for number, text in enumerate(CANARIES[:4])]
    )
    for number, text in enumerate(CANARIES[4:]):
        store.put(f"/s/{number}", Secret(text), overwrite=True)
    store.copy("/s", "/t", recursive=True)
    store.move("/t", "/u", recursive=True)
    store.rotate()
    store.delete_tree("/u")
    store.restore("/s", recursive=True, at=place.clock.now)
    assert [one.value.reveal() for one in store.by_path("/s", decrypt=True).parameters] == CANARIES[4:]
    held = on_disk(place)
    assert [text for text in CANARIES if text.encode() in held] == []
    store.put("/clear", CANARIES[0], type="String")
    assert CANARIES[0].encode() in on_disk(place)  # the search finds what is there


def test_no_plaintext_in_any_file_of_postgresql(tmp_path, postgresql, postgresql_url):
    """Tables, indexes and log of the server: the same."""
    place = Place(tmp_path, postgresql_url)
    store = place.store()
    for text in CANARIES[:3]:
        store.put("/s", Secret(text), type="SecureString", overwrite=True)
    store.rotate()
    assert store.get("/s", decrypt=True).value.reveal() == CANARIES[2]
    store.put("/clear", "canary-clear-Qx7z", type="String")
    place.close()
    postgresql.psql("CHECKPOINT")
    held = b"".join(path.read_bytes() for path in sorted(postgresql.data.rglob("*")) if path.is_file())
    assert b"canary-clear-Qx7z" in held  # the search finds what is there
    assert [text for text in CANARIES if text.encode() in held] == []


def test_no_ciphertext_is_left_of_what_was_deleted(place):
    """After delete and checkpoint: whoever finds the key later has nothing to use it on."""
    store = place.store()
    for text in CANARIES[:3]:
        store.put("/s", Secret(text), type="SecureString", overwrite=True)
    store.put("/other", Secret("stays"), type="SecureString")
    kept = ciphertexts(place)
    assert all(one in on_disk(place) for one in kept)
    store.delete("/s")
    with sqlite3.connect(place.root / ".statectl" / "state.db") as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    connection.close()
    held = on_disk(place)
    assert [one in held for one in kept].count(True) == 1


def test_a_version_that_is_no_longer_kept_is_wiped(place):
    """What falls out of the history is overwritten as well."""
    store = place.store(versions=2)
    store.put("/s", Secret(CANARIES[0]), type="SecureString")
    (first,) = ciphertexts(place)
    for text in CANARIES[1:4]:
        store.put("/s", Secret(text), overwrite=True)
    with sqlite3.connect(place.root / ".statectl" / "state.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert first not in on_disk(place)


@pytest.mark.parametrize("moved", ["cipher", "cipher and data key", "another version", "another life"])
def test_a_moved_ciphertext_does_not_open(place, moved):
    """Copied in the database to another name, version or life of the name, a ciphertext opens nowhere: one line says so."""
    store = place.store()
    store.put("/s", Secret(CANARIES[0]), type="SecureString")
    store.put("/s", Secret(CANARIES[1]), overwrite=True)
    store.put("/t", Secret(CANARIES[2]), type="SecureString")
    path = place.root / ".statectl" / "state.db"
    columns = "cipher" if moved == "cipher" else "cipher, data_key"
    target = "/s" if moved == "another version" else "/t"
    with sqlite3.connect(path) as connection:
        if moved == "another life":
            connection.execute("UPDATE parameter_versions SET life = 'OTHER' WHERE name = '/t'")
        else:
            connection.execute(
                f"UPDATE parameter_versions SET ({columns}) = (SELECT {columns} FROM parameter_versions WHERE name = '/s' AND version = 1)"
                " WHERE name = ? AND is_current = 1",
                (target,),
            )
    connection.close()
    error = refused(store.get, target, decrypt=True)
    assert error.code == "E620"
    assert "canary" not in str(error)


def test_a_decryption_without_its_audit_row_does_not_happen(place, monkeypatch):
    """No record, no action: the row is durable before the value is there."""
    store = place.store()
    store.put("/s", Secret(CANARIES[0]), type="SecureString")
    store.get("/s")
    assert "parameter.decrypt" not in [action for _, action, _ in place.audit()]

    def fails(*_: object, **__: object) -> None:
        raise Refused("disk full", code="E520")

    monkeypatch.setattr("statectl.parameters.context.append_audits", fails)
    opened = []
    monkeypatch.setattr("statectl.parameters.crypto.unseal", lambda *_a, **_k: opened.append(1))
    assert refused(store.get, "/s", decrypt=True).code == "E520"
    assert opened == []
    monkeypatch.undo()
    assert store.decrypt_version("/s", 1).reveal() == CANARIES[0]
    assert [detail for _, action, detail in place.audit() if action == "parameter.decrypt"] == [
        '{"name": "/s", "version": 1}'
    ]
    assert CANARIES[0] not in str(place.audit())


# The key


def test_the_key_file_is_made_once_and_private(place):
    """Mode 0600 under any umask; made with the first secret, never for text."""
    before = os.umask(0)
    try:
        store = place.store()
        store.put("/a", "text", type="String")
        assert not place.key_file.exists()
        put = store.put("/s", Secret("x"), type="SecureString")
    finally:
        os.umask(before)
    assert any("keep a copy" in text for text in put.warnings)
    assert stat.S_IMODE(place.key_file.stat().st_mode) == 0o600
    key = place.key_file.read_bytes()
    assert place.store().put("/t", Secret("x"), type="SecureString").warnings == ()
    assert place.key_file.read_bytes() == key


def test_a_lost_key_is_one_line_and_no_new_one_is_made(place):
    """While anything is encrypted with it, a lost key is asked for; what is not secret goes on."""
    store = place.store()
    store.put("/s", Secret("x"), type="SecureString")
    place.key_file.rename(place.root / "copy")
    store = place.store()
    for verb in (lambda: store.get("/s", decrypt=True), lambda: store.put("/t", Secret("y"), type="SecureString")):
        error = refused(verb)
        assert error.code == "E619"
        assert "parameters.key is not there" in error.message
        assert "copy" in error.hint
    assert not place.key_file.exists()
    store.put("/a", "text", type="String")
    (place.root / "copy").rename(place.key_file)
    assert store.get("/s", decrypt=True).value.reveal() == "x"
    place.key_file.unlink()
    store.delete("/s")
    store.put("/t", Secret("y"), type="SecureString")  # nothing needs the lost one any more
    assert store.get("/t", decrypt=True).value.reveal() == "y"


def test_a_wrong_key_is_one_line(place):
    """It names the key that is needed and those that are there, and never their bytes."""
    place.store().put("/s", Secret("x"), type="SecureString")
    right = place.key_file.read_text().splitlines()[-1]
    wrong = aes.line_of(aes.new_key())
    place.key_file.write_text(f"{wrong}\n")
    error = refused(place.store().get, "/s", decrypt=True)
    assert error.code == "E619"
    assert f"/s v1 was written with the key {aes.id_of(aes.base64.b64decode(right))}; the key file" in error.message
    assert right not in str(error) + error.hint and wrong not in str(error) + error.hint


def test_nothing_is_encrypted_with_a_key_that_the_others_do_not_have(place, monkeypatch):
    """A second controller with a key of its own, or a changed setting: its secrets would be lost for all others, so it writes none."""
    monkeypatch.setenv("STORE_KEY", aes.line_of(aes.new_key()))
    place.store().put("/s", Secret("x"), type="SecureString")
    other = place.store(key="env:STORE_KEY")
    for verb in (
        lambda: other.put("/t", Secret("y"), type="SecureString"),
        lambda: other.put("/s", Secret("y"), overwrite=True),
        lambda: other.put_many(
            [NewVersion("/a", "x", type="String"), NewVersion("/t", Secret("y"), type="SecureString")]
        ),
    ):
        error = refused(verb)
        assert error.code == "E619"
        assert "rotate --from" in error.hint
    assert [one.name for one in other.describe().parameters] == ["/s"]
    moved = place.store(key="env:STORE_KEY", old=("file:.statectl/parameters.key",))
    moved.rotate(renew=False)
    assert other.put("/t", Secret("y"), type="SecureString").version == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(place, mode):
    """It may be no secret any more."""
    place.store().put("/s", Secret("x"), type="SecureString")
    place.key_file.chmod(mode)
    error = refused(place.store().get, "/s", decrypt=True)
    assert (error.code, "chmod 600" in error.hint) == ("E619", True)


def test_a_damaged_key_file_is_one_line(place):
    """The line that is no key is named, not shown."""
    place.store().put("/s", Secret("x"), type="SecureString")
    place.key_file.write_text("hunter2\n")
    error = refused(place.store().get, "/s", decrypt=True)
    assert error.code == "E619"
    assert "key 1 is not 32 bytes" in error.message
    assert "hunter2" not in str(error)


def test_rotation_touches_no_value(place):
    """The same ciphertexts under data keys that are wrapped anew; earlier versions stay readable; the old key may go then."""
    store = place.store()
    for text in CANARIES[:3]:
        store.put("/s", Secret(text), type="SecureString", overwrite=True)
    before, versions = ciphertexts(place), [one.modified for one in store.history("/s")]
    done = store.rotate(drop_old=True)
    assert (done.wrapped, done.dropped) == (3, 1)
    assert ciphertexts(place) == before
    assert [one.modified for one in store.history("/s")] == versions
    assert len([line for line in place.key_file.read_text().splitlines() if not line.startswith("#")]) == 1
    assert [one.value.reveal() for one in place.store().history("/s", decrypt=True)] == CANARIES[:3]
    assert {one.key_id for one in store.history("/s")} == {done.key_id}


def test_rotated_in_the_middle(place, monkeypatch):
    """Another process rotates between two steps of ours: the writer uses the new key, the reader finds it, nothing is lost."""
    ours, other = place.store(), place.store()
    ours.put("/s", Secret("one"), type="SecureString")
    other.rotate(drop_old=True)
    assert ours.get("/s", decrypt=True).value.reveal() == "one"
    from statectl.parameters import writing

    real, rotations = writing._prepare, []

    def rotated_behind(*arguments):
        doubts = real(*arguments)
        if len(rotations) < 2:  # after the data key was wrapped, before it is written
            rotations.append(other.rotate(drop_old=True))
        return doubts

    monkeypatch.setattr(writing, "_prepare", rotated_behind)
    ours.put("/s", Secret("two"), overwrite=True)
    assert len(rotations) == 2
    assert [one.value.reveal() for one in place.store().history("/s", decrypt=True)] == ["one", "two"]


def test_a_rotation_that_was_killed_is_continued(place, monkeypatch):
    """Some data keys under the new key, some under the old: all are readable, and the next rotation ends it."""
    from statectl.parameters import keeping_keys

    store = place.store()
    store.put_many([NewVersion(f"/s/{number}", Secret(str(number)), type="SecureString") for number in range(10)])
    monkeypatch.setattr(keeping_keys, "BATCH", 3)

    def killed(done: int) -> None:
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.rotate(tell=killed)
    assert len({one.key_id for one in store.by_path("/s").parameters}) == 2
    assert [one.value.reveal() for one in place.store().by_path("/s", decrypt=True).parameters] == [
        str(n) for n in range(10)
    ]
    done = place.store().rotate(renew=False, drop_old=True)
    assert done.wrapped == 4
    assert [one.value.reveal() for one in place.store().by_path("/s", decrypt=True).parameters] == [
        str(n) for n in range(10)
    ]


def test_from_one_kind_of_key_to_another(place, monkeypatch):
    """The new key is in the setting, the old one is named once: afterwards the old one is not needed."""
    monkeypatch.setenv("STORE_KEY", aes.line_of(aes.new_key()))
    place.store().put("/s", Secret("x"), type="SecureString")
    assert refused(place.store(key="env:STORE_KEY").get, "/s", decrypt=True).code == "E619"
    moved = place.store(key="env:STORE_KEY", old=("file:.statectl/parameters.key",)).rotate(renew=False)
    assert moved.wrapped == 1
    place.key_file.unlink()
    assert place.store(key="env:STORE_KEY").get("/s", decrypt=True).value.reveal() == "x"


def test_keys_in_the_environment(tmp_path, monkeypatch):
    """The first of the variable wraps, all of them unwrap; without it one line says what it should be."""
    first, second = aes.line_of(aes.new_key()), aes.line_of(aes.new_key())
    monkeypatch.delenv("STORE_KEY", raising=False)
    keys = Keys.open("env:STORE_KEY", tmp_path)
    assert refused(keys.outer.wrap, b"x" * 32, "/a").code == "E619"
    assert refused(keys.outer.create).code == "E619"
    monkeypatch.setenv("STORE_KEY", first)
    key_id, wrapped = provider("env:STORE_KEY", tmp_path).wrap(b"d" * 32, "/a")
    assert refused(provider("env:STORE_KEY", tmp_path).renew).code == "E619"
    monkeypatch.setenv("STORE_KEY", f"{second},{first}")
    both = Keys.open("env:STORE_KEY", tmp_path)
    assert both.unwrap(key_id, wrapped, "/a", 1) == b"d" * 32
    assert both.outer.current() != key_id
    assert refused(both.unwrap, key_id, wrapped, "/b", 1).code == "E620"


@pytest.mark.parametrize(
    "spec", ["", "x", "file:", "gpg:me", "vault:http://v.example/transit/k", "vault:https://v.example/k"]
)
def test_an_address_that_is_none(tmp_path, spec):
    """What is no key is no key file by accident."""
    with pytest.raises(UsageError) as caught:
        provider(spec, tmp_path)
    assert caught.value.code == "E619"


def test_two_processes_make_one_key(tmp_path):
    """The second finds the key of the first and takes it."""
    first, second = KeyFile("k", tmp_path), KeyFile("k", tmp_path)
    assert not first.exists() and not second.exists()
    first.create()
    second.create()
    assert first.current() == second.current()
