import base64

import pytest
from mistakes import mistake

from statectl.project.scalars import Expression, Plain
from statectl.resources.authorized_key import Model, edges, short
from statectl.resources.model import Edge


def key(kind="ssh-ed25519", inside=None):
    name = (inside or kind).encode()
    return f"{kind} {base64.b64encode(len(name).to_bytes(4, 'big') + name + b'x' * 36).decode()}"


def test_short_forms():
    """A list of keys, an expression that gives it, or absent."""
    assert short("bob", [key()]) == {"keys": [key()]}
    assert short("bob", Expression("{{ keys }}")) == {"keys": Expression("{{ keys }}")}
    assert short("bob", Plain("absent")) == {"state": "absent"}
    assert short("bob", Plain("ssh-rsa")) is None


def test_keys_of_every_kind_with_options_and_comments():
    """Lines as sshd takes them; a text block of lines, as a .pub file or a URL gives it, is a list too."""
    lines = [
        key(),
        key("sk-ssh-ed25519@openssh.com") + " me@home",
        f'from="10.0.0.0/8",command="echo a b" {key("ecdsa-sha2-nistp256")} x',
    ]
    assert Model(name="bob", keys=lines).keys == lines
    assert Model(name="bob", keys="# mine\n" + "\n".join(lines) + "\n\n").keys == lines


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hello", "key 1 is not a public key line: [options] type base64 [comment]"),
        (key()[:-10], "key 1 is damaged: its base64 part cannot be decoded"),
        (key("ssh-rsa", "ssh-ed25519"), "key 1 is damaged: it says ssh-rsa but holds another type, or was cut"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "key 1 is a private key; give the public one (the .pub file)"),
        (key() + "\n" + key(), "key 1 is not a public key line: [options] type base64 [comment]"),
    ],
)
def test_a_key_that_sshd_would_ignore_is_a_mistake(line, expected):
    """sshd says nothing about a broken line; the person just cannot log in."""
    assert mistake(Model, name="bob", keys=[line]) == expected


def test_nobody_is_locked_out_by_an_empty_list():
    """A filter that finds no keys must not empty the file, unless that is said."""
    assert mistake(Model, name="bob", keys=[]).startswith("`keys` is empty")
    assert Model(name="bob", keys=[], exclusive=True).keys == []
    assert mistake(Model, name="bob") == "authorized_key needs `keys`"


def test_edges():
    """After the user, and after the directory of a file of its own."""
    model = Model(name="bob", keys=[key()], file="/etc/ssh/keys/bob")
    assert edges(model) == [Edge("user:bob"), Edge("directory:/etc/ssh/keys")]
