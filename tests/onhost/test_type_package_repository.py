import os
import unittest

from recorded import RecordedHost
from type_case import TypeCase

from statectl.onhost.content import SecretText
from statectl.onhost.process import Ran
from statectl.onhost.resources import package_repository

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEawPpmxYJ\n=FMGy\n-----END PGP PUBLIC KEY BLOCK-----"
APT = {
    "uris": ["https://deb.example.org/debian"],
    "suites": ["bookworm"],
    "components": ["main", "contrib"],
    "signed_by": "",
    "architectures": [],
    "enabled": True,
    "options": {},
    "allow_unsigned": False,
}
RPM = {
    "baseurl": ["https://rpm.example.org/9"],
    "gpgkey": ["https://rpm.example.org/key"],
    "gpgcheck": True,
    "enabled": True,
    "options": {},
    "allow_unsigned": False,
}


class Repositories(TypeCase):
    module = package_repository

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root, {"package_manager": "apt"})
        for path in ("/etc/apt/sources.list.d", "/etc/yum.repos.d", "/etc/zypp/repos.d"):
            self.directory(path)
        for words in ("apt-get update", "dnf", "zypper", "rpm --import"):
            self.host.answer(words, "")

    def apt(self, **fields):
        return self.want("extra", **dict(APT, **fields))

    path = "/etc/apt/sources.list.d/extra.sources"

    def test_a_repository_of_apt(self):
        """One deb822 file, and the index of this file alone is fetched."""
        self.converge(self.apt())
        assert self.bytes_of(self.path) == (
            b"# extra, written by statectl\nTypes: deb\nURIs: https://deb.example.org/debian\nSuites: bookworm\n"
            b"Components: main contrib\n"
        )
        assert len(self.host.ran) == 1
        assert {"Dir::Etc::sourcelist=" + self.path, "Dir::Etc::sourceparts=-"} <= set(self.host.ran[0])

    def test_a_password_in_an_option(self):
        """It is written as it is, into a file for root alone."""
        options = {"username": "us", "password": SecretText("canary")}
        self.host.facts["package_manager"] = "dnf"
        self.converge(self.want("extra", **dict(RPM, options=options)))
        assert b"\npassword=canary\n" in self.bytes_of("/etc/yum.repos.d/extra.repo")
        assert self.mode_of("/etc/yum.repos.d/extra.repo") == 0o600

    def test_a_key_given_as_text_gets_a_keyring_of_its_own(self):
        """Trusted for this repository only; an exchanged key is a difference."""
        self.converge(self.apt(signed_by=KEY))
        assert b"Signed-By: /etc/apt/keyrings/extra.asc\n" in self.bytes_of(self.path)
        assert self.bytes_of("/etc/apt/keyrings/extra.asc").decode() == KEY + "\n"
        self.put("/etc/apt/keyrings/extra.asc", b"another key")
        assert self.differing(self.apt(signed_by=KEY)) == ["signed_by"]
        self.converge(self.want("extra", state="absent", manager="apt"))
        assert os.listdir(self.at("/etc/apt/keyrings")) == []

    def test_nothing_in_the_file_goes_unseen(self):
        """Trust by hand, a second stanza, an option, another type: each is a difference."""
        self.converge(self.apt())
        for more, field in (
            (b"Trusted: yes\n", "allow_unsigned"),
            (b"Allow-Insecure: yes\n", "options"),
            (b"\nTypes: deb\nURIs: http://evil/\nSuites: x\n", "options"),
            (b"Enabled: no\n", "enabled"),
            (b"Signed-By: /tmp/key\n", "signed_by"),
            (b"Architectures: i386\n", "architectures"),
        ):
            before = self.bytes_of(self.path)
            self.put(self.path, before + more)
            assert self.differing(self.apt()) == [field]
            self.converge(self.apt())
            assert self.bytes_of(self.path) == before

    def test_options_and_continued_lines(self):
        """Options go into the file and come back; values may go on in the next line."""
        want = self.apt(options={"Check-Valid-Until": "no"}, architectures=["amd64", "arm64"], allow_unsigned=True)
        self.converge(want)
        text = (
            self.bytes_of(self.path).replace(b"amd64 arm64", b"amd64\n # comment\n arm64").replace(b" # comment\n", b"")
        )
        self.put(self.path, text)
        assert self.differing(want) == []

    def test_a_repository_that_does_not_work_is_taken_back(self):
        """It would look right to the next plan, and its packages would be missing without a reason."""
        said = "E: Failed to fetch http://x/InRelease  404  Not Found\n"
        self.host.answer("apt-get update", Ran(100, "", said))
        assert self.failure(self.apt()).startswith("repository has no such index: ")
        assert not os.path.exists(self.at(self.path))
        self.host.answer("apt-get update", "")
        self.converge(self.apt())
        before = self.bytes_of(self.path)
        self.host.answer("apt-get update", Ran(100, "", said))
        with self.assertRaises(package_repository.Failed):  # noqa: PT027  Python 3.6 runs this without pytest
            want = self.apt(uris=["https://other.example.org/"])
            package_repository.apply(self.host, want, self.found(want), ["uris"])
        assert self.bytes_of(self.path) == before

    def test_a_disabled_repository_is_not_asked_for_its_index(self):
        """It may be disabled because it does not answer."""
        self.converge(self.apt(enabled=False))
        assert self.host.ran == []

    def test_a_repository_of_dnf(self):
        """An ini file; only an explicit gpgcheck=0 accepts unsigned packages."""
        want = self.want("extra", manager="dnf", **dict(RPM, options={"priority": "50"}))
        self.converge(want)
        assert self.bytes_of("/etc/yum.repos.d/extra.repo") == (
            b"# written by statectl\n[extra]\nname=extra\nbaseurl=https://rpm.example.org/9\n"
            b"gpgkey=https://rpm.example.org/key\ngpgcheck=1\nenabled=1\npriority=50\n"
        )
        text = self.bytes_of("/etc/yum.repos.d/extra.repo")
        self.put(
            "/etc/yum.repos.d/extra.repo", text.replace(b"gpgcheck=1", b"gpgcheck=0") + b"[evil]\nbaseurl=http://x\n"
        )
        assert self.differing(want) == ["gpgcheck", "options", "allow_unsigned"]
        assert "--enablerepo=extra" in self.host.ran[0]

    def test_a_repository_of_zypper_imports_the_keys_it_names(self):
        """zypper asks about unknown keys; the ones that the declaration names are trusted, no others."""
        self.converge(self.want("extra", manager="zypper", **RPM))
        assert os.path.exists(self.at("/etc/zypp/repos.d/extra.repo"))
        assert self.host.ran[0] == ["rpm", "--import", "https://rpm.example.org/key"]
        assert "--gpg-auto-import-keys" not in str(self.host.ran)

    def test_a_manager_that_is_not_there_is_refused_in_the_plan(self):
        """A repository of dnf on a Debian host is a mistake that the plan tells."""
        self.host.which = lambda name: None if name in ("dnf", "dnf5", "rpm") else "/usr/bin/" + name
        refusal = self.refusal(self.want("extra", manager="dnf", **RPM))
        assert refusal == "package manager dnf is not on this host; give its repository a `when`"

    def test_removal_gives_an_adopted_repository_back(self):
        """What it was before is written again; one we made goes."""
        before = dict(APT, state="present", uris=["http://old/"], options={"stanza 2": "x", "By-Hash": "no"})
        record = {"name": "extra", "created": False, "before": before, "want": APT}
        self.converge(self.apt())
        self.converge(package_repository.removal(record))
        assert b"URIs: http://old/\n" in self.bytes_of(self.path)
        assert b"By-Hash: no\n" in self.bytes_of(self.path)
        record.update(created=True, before={})
        self.converge(package_repository.removal(record))
        assert not os.path.exists(self.at(self.path))


if __name__ == "__main__":
    unittest.main()
