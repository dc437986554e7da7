import base64
import os
import unittest

from type_case import TypeCase

from statectl.onhost.resources import authorized_key


def key(seed, kind="ssh-ed25519"):
    name = kind.encode()
    blob = len(name).to_bytes(4, "big") + name + b"\x00\x00\x00\x20" + bytes([seed]) * 32
    return f"{kind} {base64.b64encode(blob).decode()}"


A, B, C = key(1), key(2), key(3)


class AuthorizedKeys(TypeCase):
    module = authorized_key
    path = "/home/bob/.ssh/authorized_keys"

    def setUp(self):
        TypeCase.setUp(self)
        self.put("/etc/passwd", ("bob:x:%d:%d::/home/bob:/bin/sh\n" % (os.geteuid(), os.getegid())).encode())
        self.directory("/home/bob")

    def test_a_first_key_makes_directory_and_file_that_sshd_accepts(self):
        """sshd refuses keys in a directory or file that others may write: 0700 and 0600."""
        assert self.converge(self.want("bob", keys=[A + " me@home"])) == ["state", "keys"]
        assert self.bytes_of(self.path) == (A + " me@home\n").encode()
        assert self.mode_of("/home/bob/.ssh") == 0o700
        assert self.mode_of(self.path) == 0o600

    def test_comments_do_not_make_another_key(self):
        """The same type and blob under another comment is the same key: nothing to do, no second line."""
        self.put(self.path, (A + " old comment\n").encode())
        assert self.differing(self.want("bob", keys=[A + " new"])) == []

    def test_options_are_part_of_what_is_wanted(self):
        """A key that is there without its restriction is replaced, not joined by a second line."""
        self.put(self.path, (A + " me\n" + B + "\n").encode())
        wanted = f'from="10.0.0.0/8,x y",no-pty {A} me'
        assert self.converge(self.want("bob", keys=[wanted])) == ["keys"]
        assert self.bytes_of(self.path) == (B + "\n" + wanted + "\n").encode()

    def test_other_keys_and_comments_stay_unless_exclusive(self):
        """What somebody else put there is not ours to remove, until we say so; comments stay even then."""
        self.put(self.path, ("# by hand\n" + B + " other\ncert-thing AAAA\n").encode())
        self.converge(self.want("bob", keys=[A]))
        assert self.bytes_of(self.path) == ("# by hand\n" + B + " other\ncert-thing AAAA\n" + A + "\n").encode()
        assert self.found(self.want("bob", keys=[A], exclusive=True)).keys == [A, B + " other", "cert-thing AAAA"]
        assert self.converge(self.want("bob", keys=[A], exclusive=True)) == ["keys"]
        assert self.bytes_of(self.path) == ("# by hand\n" + A + "\n").encode()

    def test_absent_takes_the_listed_keys_only(self):
        """The last one takes an otherwise empty file along."""
        self.put(self.path, (A + "\n" + B + "\n").encode())
        assert self.converge(self.want("bob", state="absent", keys=[A])) == ["state"]
        assert self.bytes_of(self.path) == (B + "\n").encode()
        self.converge(self.want("bob", state="absent", keys=[B]))
        assert not os.path.exists(self.at(self.path))

    def test_absent_without_keys_removes_the_file(self):
        """Nobody logs in by key any more."""
        self.put(self.path, (A + "\n").encode())
        self.converge(self.want("bob", state="absent"))
        assert not os.path.exists(self.at(self.path))

    def test_a_user_that_is_not_there_yet_is_no_error_in_the_plan(self):
        """The plan that makes the user predicts the key; applying without the user says why not."""
        want = self.want("eve", keys=[A])
        assert self.found(want).state == "absent"
        assert self.failure(want) == "no such user: eve"

    def test_a_file_of_the_system_keeps_its_directory_as_it_is(self):
        """A file outside the home directory is written as root's and readable, for AuthorizedKeysFile."""
        self.directory("/etc/ssh/keys")
        self.converge(self.want("bob", keys=[A], file="/etc/ssh/keys/bob"))
        assert self.mode_of("/etc/ssh/keys/bob") == 0o644
        assert self.mode_of("/etc/ssh/keys") == 0o755

    def test_a_link_in_place_of_the_file_is_not_read(self):
        """A user cannot make root copy a file they may not read into one they may."""
        self.put("/etc/secret", (A + "\n").encode(), 0o600)
        self.directory("/home/bob/.ssh")
        os.symlink(self.at("/etc/secret"), self.at(self.path))
        assert self.found(self.want("bob", keys=[A])).state == "absent"
        self.failure(self.want("bob", keys=[A]))
        assert os.path.islink(self.at(self.path))

    def test_removal_takes_what_we_added(self):
        """Keys that were there before stay; under `exclusive` those that we removed come back."""
        want = {"keys": [A, B], "file": None}
        record = {"name": "bob", "created": False, "before": {"state": "present", "keys": [B]}, "want": want}
        assert authorized_key.removal(record) == authorized_key.Desired("bob", state="absent", keys=[A])
        want["exclusive"] = True
        record["before"]["keys"] = [B, C]
        restore = authorized_key.removal(record)
        self.put(self.path, (A + "\n" + B + "\n").encode())
        self.converge(restore)
        assert self.bytes_of(self.path) == (B + "\n" + C + "\n").encode()


if __name__ == "__main__":
    unittest.main()
