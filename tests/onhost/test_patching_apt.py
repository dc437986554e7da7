"""What apt and dpkg say, read; what apt is told; which indexes are looked at."""

# ruff: noqa: PT027, B905  runs on Python 3.6 without pytest

import json
import os
import tempfile
import unittest

from recorded import RecordedHost

from statectl.onhost.failure import Failed
from statectl.onhost.patching import apt, apt_lists, apt_packages, apt_pins, apt_release, apt_scan, apt_transaction
from statectl.onhost.process import Ran
from statectl.onhost.resources.package import apt_index

URIS = """'http://someone:s3cret@deb.example.org/debian/dists/bookworm/InRelease' deb.example.org_debian_dists_bookworm_InRelease 0 
'http://someone:s3cret@deb.example.org/debian/dists/bookworm/main/binary-amd64/Packages.xz' deb.example.org_debian_dists_bookworm_main_binary-amd64_Packages 0 
'http://deb.example.org/debian-security/dists/bookworm-security/InRelease' deb.example.org_debian-security_dists_bookworm-security_InRelease 0 
'file:/srv/flat/./InRelease' _srv_flat_._InRelease 0 
"""  # noqa: W291  as apt prints it
POLICY = """openssl:
  Installed: 3.0.14-1~deb12u1
  Candidate: 3.0.15-1~deb12u1
  Version table:
     3.2.0-1~bpo12+1 100
        100 http://deb.example.org/debian bookworm-backports/main amd64 Packages
     3.0.15-1~deb12u1 500
        500 http://deb.example.org/debian bookworm-proposed-updates/main amd64 Packages
        500 http://deb.example.org/debian-security bookworm-security/main amd64 Packages
     3.0.14-1~deb12u2 500
        500 http://deb.example.org/debian-security bookworm-security/main amd64 Packages
 *** 3.0.14-1~deb12u1 500
        500 http://deb.example.org/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
libfoo:i386:
  Installed: 1.0
  Candidate: 1.0
  Version table:
     2.0 -1
         -1 http://deb.example.org/debian bookworm/main i386 Packages
 *** 1.0 100
        100 /var/lib/dpkg/status
phased:
  Installed: 1.0
  Candidate: 1.0
  Version table:
     1.1 1 (phased 20%)
        500 http://deb.example.org/debian bookworm/main amd64 Packages
 *** 1.0 100
        100 /var/lib/dpkg/status
gone:
  Installed: (none)
  Candidate: (none)
  Version table:
"""
SIMULATED = """Reading package lists...
The following packages will be REMOVED:
  lab-gone* lab-away:i386
The following packages will be DOWNGRADED:
  lab-down
The following held packages will be changed:
  lab-kept
Remv lab-gone [1.0]
Remv lab-away:i386 [1.0] [lab-x:amd64 ]
Inst lab-app [1.0] (1:1.2-1 Debian:12.9/stable, Debian-Security:12/stable-security [all])
Inst libfoo:i386 [1.0] (2.0 Lab [x] Patches:stable [i386]) []
Inst lab-new (1.0 Debian-Security:stable-security [amd64])
Inst lab-down [2.0] (1.0 Lab Patches:stable [all])
Conf lab-app (1:1.2-1 Debian:12.9/stable [all])
"""
UNMET = """Some packages could not be installed.
The following packages have unmet dependencies:
 lab-needs : Depends: lab-fresh but it is not installable
             Depends: lab-lib (>= 2.0) but 1.0 is to be installed
 lab-other : Breaks: lab-lib (< 2.0) but 1.0 is to be installed
E: Unable to correct problems, you have held broken packages.
"""
DPKG = (
    "dpkg\tamd64\t1.21.22\tadmin\trequired\tdpkg\tinstall ok installed\t6000\n"
    "lab-app\tall\t1.0\tmisc\toptional\tlab-app\thold ok installed\t12\n"
    "libfoo\ti386\t1.0\tlibs\toptional\tfoo\tinstall ok installed\t\n"
    "lab-half\tamd64\t1.0\tmisc\toptional\tlab-half\tinstall ok half-configured\t12\n"
    "lab-torn\tamd64\t1.0\tmisc\toptional\tlab-torn\tinstall reinstreq half-installed\t12\n"
    "lab-left\tall\t1.0\tmisc\toptional\tlab-left\tdeinstall ok config-files\t12\n"
)
UPDATE_FAILED = """Hit:1 http://deb.example.org/debian bookworm InRelease
Err:2 http://someone:s3cret@deb.example.org/debian-security bookworm-security InRelease
  Could not connect to deb.example.org:80 (192.0.2.1). - connect (111: Connection refused)
Reading package lists...
"""


class Reading(unittest.TestCase):
    def test_configured_archives(self):
        """Every archive that the sources name is known by the names of its files, and its password by nobody."""
        found = apt_lists.parse_configured(URIS)
        assert [(one.base, one.place) for one in found] == [
            ("deb.example.org_debian_dists_bookworm_", "http://deb.example.org/debian bookworm"),
            (
                "deb.example.org_debian-security_dists_bookworm-security_",
                "http://deb.example.org/debian-security bookworm-security",
            ),
            ("_srv_flat_._", "file:/srv/flat ./"),
        ]
        assert "s3cret" not in repr(found)
        disc = "'cdrom:[Debian 12]/dists/bookworm/InRelease' Debian_dists_bookworm_InRelease 0 \n"
        assert apt_lists.parse_configured(disc) == []

    def test_what_came_in_another_form_was_fetched(self):
        """apt tries an index in several forms, tells each that is missing as an error, and the last word counts."""
        place = apt_lists.Configured("_srv_debian_._", "file:/srv/debian/./", "file:/srv/debian ./")
        tried = "Err:4 file:/srv/debian ./ Packages\n  Method gave a blank filename\n"
        got = "Get:4 file:/srv/debian ./ Packages [67.9 kB]\n"
        assert apt_lists.refusals([place], Ran(0, tried + got, "")) == {}
        assert apt_lists.refusals([place], Ran(0, got + tried, "")) != {}
        assert apt_lists.refusals([place], Ran(0, tried, "")) != {}

    def test_refusals_are_those_of_their_archive(self):
        """What goes wrong with one archive is said of it alone, without a password; a warning on how a source is written is none."""
        configured = apt_lists.parse_configured(URIS)
        warning = (
            "W: Conflicting distribution: http://deb.example.org/debian bookworm InRelease (expected a but got b)\n"
        )
        found = apt_lists.refusals(configured, Ran(0, UPDATE_FAILED, warning))
        assert list(found) == [configured[1].base]
        assert found[configured[1].base].startswith("repository not reachable: ")
        assert "s3cret" not in repr(found)

    def test_a_failure_of_apt_itself_is_one_of_all_archives(self):
        """An error that names no archive leaves none of them refreshed."""
        configured = apt_lists.parse_configured(URIS)
        found = apt_lists.refusals(configured, Ran(100, "", "E: Problem executing scripts\n"))
        assert sorted(found) == sorted(one.base for one in configured)

    def test_release_files(self):
        """The fields before the hashes, dates in seconds, and what is no date is none."""
        text = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nSuite: stable\nDate: Sat, 11 Nov 2023 10:14:36 UTC\nSHA256:\n Valid-Until: x\n"
        fields = apt_release.parse_release(text)
        assert fields["suite"] == "stable"
        assert "valid-until" not in fields
        assert apt_release.epoch(fields["date"]) == 1699697676
        assert apt_release.epoch("Thu, 29 Feb 2024 23:59:59 UTC") == 1709251199
        assert apt_release.epoch("some day") == 0

    def test_version_tables(self):
        """What apt would take by the host's own pins is offered, newest first; backports, phased and forbidden versions are not."""
        tables = apt_packages.parse_tables(POLICY)
        assert [one.version for one in apt_packages.offered(tables["openssl"])] == [
            "3.0.15-1~deb12u1",
            "3.0.14-1~deb12u2",
        ]
        assert len(apt_packages.offered(tables["openssl"])[0].archives) == 2
        assert apt_packages.offered(tables["libfoo:i386"]) == []
        assert apt_packages.offered(tables["phased"]) == []
        assert tables["gone"] == apt_packages.Table("", "", [])

    def test_dpkg(self):
        """Holds, packages in pieces and those of which only configuration is left are told apart."""
        packages = apt_packages.parse_dpkg(DPKG)
        assert [one.name for one in packages] == ["dpkg", "lab-app", "libfoo", "lab-half", "lab-torn"]
        assert [one.name for one in packages if one.held] == ["lab-app"]
        assert apt_packages.broken(packages) == [
            "lab-half is half-configured",
            "lab-torn is half-installed (reinstreq)",
        ]
        assert [one.name for one in apt_packages.here(packages)] == ["dpkg", "lab-app", "libfoo", "lab-half"]
        assert apt_packages.native(packages) == "amd64"

    def test_records(self):
        """Fields of a record, the source's version left out, continued lines no fields."""
        text = "Package: lab-app\nVersion: 1.1\nSource: lab-src (7.0)\nSize: 42\nDescription: x\n Size: 7\n\nPackage: two\nVersion: 2\n"
        first, second = apt_packages.parse_records(text)
        assert (first["source"], first["size"], second["source"]) == ("lab-src", "42", "two")

    def test_keys_of_archives(self):
        """Debian's by codename, which outlives a release; Ubuntu's by suite, for all of them have one codename."""

        def row(**fields):
            empty = dict.fromkeys(apt_scan._COLUMNS, "")
            return apt_scan.row_of(dict(empty, **fields), "http://x ./", 0, 0)

        debian = row(ORIGIN="Debian", LABEL="Debian-Security", SUITE="oldstable-security", CODENAME="bookworm-security")
        ubuntu = row(ORIGIN="Ubuntu", LABEL="Ubuntu", SUITE="jammy-security", CODENAME="jammy", SITE="http://a:b@x/y")
        plain = row(ORIGIN="Ubuntu", LABEL="Ubuntu", SUITE="jammy", CODENAME="jammy")
        assert [one["key"] for one in (debian, ubuntu, plain, row())] == ["Debian:bookworm-security", "Ubuntu:jammy-security", "Ubuntu:jammy", "http://x ./"]  # fmt: skip
        assert [one["security"] for one in (debian, ubuntu, plain, row())] == [True, True, False, False]
        assert ubuntu["uri"] == "http://x/y"


class Pins(unittest.TestCase):
    def asked(self, **fields):
        known = {"wanted": {}, "allowed": {}, "blocked": (), "anything": False, "downgrade": False, "own": "amd64"}
        return apt_pins.Asked(**dict(known, **fields))

    def test_preferences(self):
        """Wanted before installed before allowed, all else forbidden; a rollback alone may go down."""
        text = apt_pins.preferences(
            self.asked(wanted={("lab-app", ""): "1.2"}, allowed={("libfoo", "i386"): "2.0", ("lab-app", ""): "1.1"})
        )
        assert (
            text == "Package: lab-app:amd64\nPin: version 1.2\nPin-Priority: 990\n\n"
            "Package: libfoo:i386\nPin: version 2.0\nPin-Priority: 980\n\n"
            "Package: *\nPin: release a=now\nPin-Priority: 900\n\n"
            "Package: *\nPin: release *\nPin-Priority: -1\n"
        )
        assert "Pin-Priority: 1001" in apt_pins.preferences(self.asked(wanted={("a", ""): "1"}, downgrade=True))

    def test_preferences_where_anything_may_come(self):
        """The host's own preferences count, behind ours; what is rejected stays where it is."""
        text = apt_pins.preferences(
            self.asked(blocked=("lab-blocked",), anything=True, foreign=("i386",)), "HOST'S OWN"
        )
        assert text.endswith("HOST'S OWN")
        assert "Package: *" not in text
        assert text.count("Pin: release *\nPin-Priority: -1") == 2
        assert "Package: lab-blocked:i386\n" in text

    def test_nothing_but_names_and_versions_becomes_preferences(self):
        """A line break, a glob, an option or a space in what a controller sends is refused."""
        for name, version in (
            ("a\nPackage: *", "1"),
            ("*", "1"),
            ("-o", "1"),
            ("a", "1 2"),
            ("a", "1*"),
            ("", "1"),
            ("a", ""),
        ):
            with self.assertRaises(Failed):
                apt_pins.slots([[name, "all", version]], "amd64")
        with self.assertRaises(Failed):
            apt_pins.slots([["a", "*", "1"]], "amd64")

    def test_outcome(self):
        """Moves with their architectures, removals and downgrades, whatever the description of an archive holds."""
        found = apt_pins.outcome(0, SIMULATED, "amd64")
        assert found.moves == {
            ("lab-app", ""): ("1.0", "1:1.2-1"),
            ("libfoo", "i386"): ("1.0", "2.0"),
            ("lab-new", ""): ("", "1.0"),
            ("lab-down", ""): ("2.0", "1.0"),
        }
        assert found.arches["lab-app", ""] == "all"
        assert found.removed == ["lab-away:i386", "lab-gone"]
        assert found.downgraded == {("lab-down", "")}

    def test_objections(self):
        """A removal, a downgrade, a version that nobody named, a name that is rejected: each is reason enough."""
        inst = "Inst lab-app [1.0] (1.2 Lab:stable [all])\n"
        asked = self.asked(wanted={("lab-app", ""): "1.2"}, allowed={("lab-lib", ""): "2.0"}, blocked=("lab-blocked",))

        def said(text, code=0, asked=asked):
            return apt_pins.objection(apt_pins.outcome(code, text, "amd64"), asked)

        assert said(inst + "Inst lab-lib (2.0 Lab:stable [all])\n") == ""
        assert said(inst + "Inst lab-lib (2.1 Lab:stable [all])\n") == "it needs lab-lib 2.1, which is not approved"
        assert said(inst + "Remv lab-x [1.0]\n") == "it would remove lab-x"
        assert said("The following packages will be DOWNGRADED:\n  lab-z\n" + inst) == "it would downgrade lab-z"
        assert "1.2 is wanted" in said(inst.replace("1.2", "1.3"))
        free = asked._replace(anything=True)
        assert said(inst + "Inst lab-new (1 Lab:stable [all])\n", asked=free) == ""
        assert "rejected" in said(inst + "Inst lab-blocked [1] (2 Lab:stable [all])\n", asked=free)
        assert said("E: Something else\n", 100) == "apt cannot do it: Something else"

    def test_unmet(self):
        """Each dependency with its package, also on lines that do not name it again."""
        lines = apt_pins.unmet_lines(UNMET)
        assert [(one.package, one.kind, one.name) for one in lines] == [
            ("lab-needs", "Depends", "lab-fresh"),
            ("lab-needs", "Depends", "lab-lib"),
            ("lab-other", "Breaks", "lab-lib"),
        ]
        assert apt_pins.told(lines[1]) == "lab-needs needs lab-lib (>= 2.0), but 1.0 is to be installed"


class OnHost(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.host = RecordedHost(self.root)
        self.host.uid = 0
        self.host.answer("apt-get update --print-uris", URIS.split("\n")[0] + "\n")
        for words in ("install", "mkdir", "chmod", "chown", "find", "cp", "rm"):
            self.host.answer(words)

    def write(self, path, text=""):
        path = self.root + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as stream:
            stream.write(text)
        return path

    def lists(self):
        return apt_lists.Lists(self.host)

    def updates(self):
        return [argv for argv in self.host.ran if argv[:2] == ["apt-get", "update"] and "--print-uris" not in argv]

    def test_fresh_lists_of_the_host_are_enough(self):
        """Nothing is fetched while the host's own index is young, and its lists are the ones that are looked at."""
        os.makedirs(self.root + apt_index.LISTS + "/partial")
        self.write(apt_index.LISTS + "/deb.example.org_debian_dists_bookworm_InRelease", "Suite: stable\nSHA256:\n")
        lists = self.lists()
        lists.refresh(3600)
        assert self.updates() == []
        assert (lists.directory, lists.stale) == (apt_index.LISTS, [])
        assert "Dir::State::Lists" not in " ".join(lists.options)
        assert "/statectl-apt/host/pkgcache.bin" in " ".join(lists.options)

    def test_an_index_past_its_end_is_asked_for_again(self):
        """However young its file is; one that was fetched after its end was accepted so, for its check is off."""
        os.makedirs(self.root + apt_index.LISTS + "/partial")
        name = apt_index.LISTS + "/deb.example.org_debian_dists_bookworm_InRelease"
        self.write(name, "Suite: stable\nValid-Until: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n")
        lists = self.lists()
        assert lists.expired(lists.configured[0]) == 0
        lists.fetched = lambda one, directory="": 1767225600 - 60
        assert lists.expired(lists.configured[0]) == 1767225600

    def test_a_failing_fetch_is_told_with_the_age_of_what_is_there(self):
        """The copy of an old index is no young one, although its file is new."""
        os.makedirs(self.root + apt_index.LISTS + "/partial")
        old = "deb.example.org_debian_dists_bookworm_InRelease"
        self.write(apt_index.LISTS + "/" + old, "Suite: stable\nSHA256:\n")
        self.host.answer(
            "apt-get update -q",
            Ran(0, UPDATE_FAILED.replace("debian-security bookworm-security", "debian bookworm"), ""),
        )
        ours = self.write(apt_lists.TOP + "/host/lists/" + old, "Suite: stable\nSHA256:\n")
        seeds = {old: [os.stat(ours).st_ctime, 1767225600.0]}
        self.write(apt_lists.TOP + "/host/seeded.json", json.dumps(seeds))
        os.unlink(self.root + apt_index.LISTS + "/" + old)
        lists = self.lists()
        assert lists.directory == apt_lists.TOP + "/host/lists"
        lists.refresh(3600)
        assert len(self.updates()) == 1
        (line,) = lists.stale
        assert line.startswith(
            "http://deb.example.org/debian bookworm could not be refreshed: repository not reachable"
        )
        assert line.endswith("its index was fetched 2026-01-01 00:00 UTC")

    def test_others_than_root_look_and_say_so(self):
        """Who cannot write our cache sees the host's own indexes, with their age, and writes nothing."""
        self.host.uid = 1000
        lists = self.lists()
        lists.refresh(3600)
        assert self.updates() == []
        assert lists.stale == ["http://deb.example.org/debian bookworm has no index here: only root can refresh it"]
        assert lists.options[: len(apt_index.IN_MEMORY)] == apt_index.IN_MEMORY

    def test_sources_of_a_baseline(self):
        """They are written for root alone beside their key, checked unless the baseline says why not, and hide the host's own."""
        source = {
            "name": "own",
            "uris": ["http://a:b@x/"],
            "suites": ["s"],
            "components": ["main"],
            "signed_by": "-----BEGIN PGP\nkey\n",
        }
        lists = apt_lists.Lists(self.host, [source])
        assert "Dir::Etc::sourcelist=/dev/null" in lists.options
        written = {
            argv[-1].rpartition("/")[2]: (argv[3], text)
            for argv, text in zip(self.host.ran, self.host.inputs)
            if argv[0] == "install"
        }
        assert written["00.sources"][0] == "0600"
        assert "Signed-By: " + apt_lists.TOP in written["00.sources"][1]
        assert "Trusted" not in written["00.sources"][1]
        assert "/etc/apt" not in " ".join(word for argv in self.host.ran for word in argv)
        assert "Trusted: yes" in apt_lists.render(dict(source, trusted="a network of its own"), "")

    def test_current(self):
        """A package of the own architecture is found under `all` too, and one of another under its own alone."""
        self.host.answer("dpkg-query", "")
        told = DPKG.encode()

        def run(argv, timeout=300, on_output=None, **_):
            on_output("out", told)
            return Ran(0, "", "")

        self.host.run = run
        found = apt.current(self.host, ["lab-app", "libfoo"])
        assert found == {("lab-app", "all"): "1.0", ("lab-app", "amd64"): "1.0", ("libfoo", "i386"): "1.0"}

    def test_a_version_out_of_reach(self):
        """Gone from all archives, forbidden or kept elsewhere by the host's own preferences: each says which."""
        tables = apt_packages.parse_tables(POLICY)
        assert apt_transaction._unobtainable(tables["openssl"], "3.0.15-1~deb12u1", False) == ""
        assert apt_transaction._unobtainable(tables["openssl"], "3.0.14-1~deb12u2", False) == ""
        assert "keep it at" in apt_transaction._unobtainable(tables["openssl"], "3.2.0-1~bpo12+1", False)
        assert "forbid 2.0" in apt_transaction._unobtainable(tables["libfoo:i386"], "2.0", False)
        assert "no archive of this host has 9" in apt_transaction._unobtainable(tables["openssl"], "9", False)
        assert apt_transaction._unobtainable(tables["openssl"], "3.0.14-1~deb12u1", True) == ""
        assert "no archive" in apt_transaction._unobtainable(None, "1", False)


if __name__ == "__main__":
    unittest.main()
