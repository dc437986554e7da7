import pytest
from mistakes import mistake

from statectl.project.scalars import Expression, Plain
from statectl.resources.model import Edge
from statectl.resources.package_repository import Model, edges, short

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----"
APT = {"uris": ["http://x/"], "suites": ["bookworm"], "components": ["main"]}
RPM = {"baseurl": ["http://x/"], "gpgkey": ["http://x/key"]}


def test_short_form():
    """Only `absent`."""
    assert short("x", Plain("absent")) == {"state": "absent"}
    assert short("x", Plain("present")) is None


def test_the_whole_file_is_ours():
    """Fields that are left out have a value, so that what somebody adds to the file by hand is a difference."""
    model = Model(name="x", **APT)
    assert (model.enabled, model.options, model.allow_unsigned, model.signed_by, model.architectures) == (
        True,
        {},
        False,
        "",
        [],
    )
    assert Model(name="x", **RPM).gpgcheck is True
    assert Model(name="x", state="absent").enabled is None


def test_words_may_be_one_text():
    """`components: main contrib` as in the file itself."""
    assert Model(name="x", **{**APT, "components": "main contrib"}).components == ["main", "contrib"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "package_repository needs `uris` and `suites` (apt) or `baseurl` (dnf, zypper)"),
        ({"uris": ["http://x/"]}, "package_repository needs `uris` and `suites`"),
        (
            {**APT, "components": []},
            "package_repository needs `components`, such as main; a flat repository has the suite ./",
        ),
        ({**APT, "suites": ["./"]}, "a flat repository (a suite that ends in /) has no components"),
        ({**APT, **RPM}, "`uris` is apt's and `baseurl` is dnf's; use `when` and two repositories"),
        ({**APT, "manager": "dnf"}, "`uris` does not fit `manager: dnf`"),
        (
            {**RPM, "gpgcheck": False},
            "`gpgcheck: false` installs unsigned packages; say `allow_unsigned: true` too if you mean it",
        ),
        ({**APT, "signed_by": KEY[:-5]}, "the key is cut: its END line is missing"),
        (
            {**APT, "signed_by": "keys/x.asc"},
            "expected the absolute path of a keyring on the host, or an armored public key (-----BEGIN PGP ...)",
        ),
        ({**APT, "signed_by": "-----BEGIN PGP PRIVATE KEY BLOCK-----"}, "this is a private key; give the public one"),
        ({**APT, "options": {"Trusted": "yes"}}, "option Trusted has a field of its own or is not accepted here"),
        (
            {**APT, "options": {"Allow-Insecure": "yes"}},
            "option Allow-Insecure has a field of its own or is not accepted here",
        ),
        ({**APT, "options": {"A": "b\nTrusted: yes"}}, "the value of A must be one line of text"),
        (
            {**APT, "uris": ["http://x/\nTrusted: yes"]},
            "expected an address such as https://deb.example.org/debian, or a list of them",
        ),
    ],
)
def test_mistakes_say_the_fix(fields, expected):
    """Nothing gets a repository trusted but `allow_unsigned`."""
    assert mistake(Model, name="x", **fields) == expected


def test_names_are_file_names():
    """apt skips files with other names; a slash would leave the directory."""
    for name in ("../x", "a b", "-x", ".x", "a/b"):
        assert mistake(Model, name=name, **APT).startswith("repository name not valid")


def test_a_value_that_waits_for_a_host_is_accepted():
    """While files are checked, an expression stands for any value."""
    uris = Expression("{{ uris }}")
    assert Model(name="x", **{**APT, "uris": uris}).uris == uris
    assert Model(name="x", **{**APT, "suites": Expression("{{ s }}")}).components == ["main"]


def test_a_keyring_that_is_a_file_comes_first():
    """Its own key travels with it and needs nothing."""
    assert edges(Model(name="x", **APT, signed_by="/etc/apt/keyrings/k.gpg")) == [Edge("file:/etc/apt/keyrings/k.gpg")]
    assert edges(Model(name="x", **APT, signed_by=KEY)) == []
