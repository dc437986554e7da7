"""What dnf and zypper print, and what their repositories hold, becomes rows; recorded from dnf 4.14, dnf 5.4 and zypper 1.14."""

import gzip
import lzma
import os
import shutil
import subprocess
import tempfile
import unittest

from recorded import RecordedHost

from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.patching import (
    dnf,
    dnf_output,
    dnf_scan,
    rpm_advisories,
    rpm_database,
    rpm_files,
    rpm_lock,
    rpm_sources,
    zypper_output,
    zypper_scan,
)
from statectl.onhost.process import Ran

TABLE_4 = """Dependencies resolved.
================================================================================
 Package                Architecture  Version              Repository      Size
================================================================================
Installing:
 patch-renamed          noarch        2.0-1                patches        6.1 k
     replacing  patch-old.noarch 1.0-1
Upgrading:
 patch-epoch            noarch        1:1.0-1              patches        6.0 k
 patch-with-a-very-long-name-that-needs-a-line-of-its-own
                        noarch        1.0^git1-1           patches        6.0 M
Installing dependencies:
 patch-new              noarch        1.0-1                @commandline    10
Downgrading:
 patch-plain            noarch        1.0-1                patches        6.0 k
Removing:
 kernel-core            x86_64        5.14.0-1.el9         @baseos         68 M
Skipping packages with conflicts:
(add '--best --allowerasing' to command line to force their upgrade):
 patch-clash            noarch        1.1-1                patches        6.0 k

Transaction Summary
================================================================================
Install  2 Packages
"""
TABLE_5 = """Package                      Arch   Version      Repository      Size
Upgrading:
 patch-critical              noarch 0:1.1-1      patches      6.0   B
   replacing patch-critical  noarch 0:1.0-1      <unknown>    6.0   B
 python3.11                  noarch 1:3.11-2     patches      8.0 MiB
   replacing python3.11      noarch 1:3.11-1     <unknown>    6.0   B
Installing:
 patch-renamed               noarch 0:2.0-1      patches      6.0   B
   replacing patch-old       noarch 0:1.0-1      <unknown>    6.0   B
Skipping packages with conflicts:
 patch-clash                 noarch 1.1-1        patches      6.0   B

Transaction Summary:
 Upgrading:         10 packages
"""
PROBLEMS = """No match for argument: patch-gone-1.1-1.noarch
All matches were filtered out by exclude filtering for argument: patch-held-1:2.0-1.noarch

 Problem 1: package patch-needs-1.1-1.noarch requires patch-new, but none of the providers can be installed
  - conflicting requests
  - package patch-new-1.0-1.noarch is filtered out by exclude filtering
 Problem 2: package patch-clash-1.1-1.noarch conflicts with patch-old provided by patch-old-1.0-1.noarch
  - conflicting requests
  - problem with installed package patch-old-1.0-1.noarch
Operation aborted.
"""
DOWN_4 = """down                                            0.0  B/s |   0  B     00:00
Errors during downloading metadata for repository 'down':
  - Curl error (7): Couldn't connect to server for http://127.0.0.1:9/x/repodata/repomd.xml [Failed to connect]
Error: Failed to download metadata for repo 'down': Cannot download repomd.xml: All mirrors were tried
Errors during downloading metadata for repository 'bad':
  - Downloading successful, but checksum doesn't match. Calculated: 5a91 Expected: 7593
Error: Failed to download metadata for repo 'bad': Yum repo downloading error: all mirrors were already tried
Error: Failed to download metadata for repo 'unsig': GPG verification is enabled, but GPG signature is not available.
patches                                         2.9 MB/s | 3.0 kB     00:00
Ignoring repositories: down
"""
DOWN_5 = """Updating and loading repositories:
 patches                                100% |   0.0   B/s |   2.0 KiB |  00m00s
 Two of them with a rather long name wh ???% |   0.0   B/s |  -1.0   B |  ?
>>> Curl error (7): Could not connect to server for http://127.0.0.1:9/x/repodata/repomd.xml
>>> Usable URL not found
 Other                                  100% |   0.0   B/s |   2.0 KiB |  00m00s
>>> Curl error (7): of one of its mirrors
Repositories loaded.
"""
UPDATES = """<?xml version="1.0"?>
<updates>
<update from="a@b" status="stable" type="security" version="1"><id>SUSE-2026-1</id><title>Security &amp; more
  for foo</title><severity>important</severity><release>SLES</release><issued date="1767225600"/>
<references><reference href="h" id="CVE-2026-0001" title="t" type="cve"/><reference id="1200001" type="bugzilla"/>
<reference id="CVE-2026-0002" type="self"/></references>
<pkglist><collection><package name="foo" epoch="2" version="1.0" release="3" arch="x86_64" src="s"><filename>f</filename></package>
<package name="other" epoch="0" version="9" release="9" arch="x86_64"/></collection></pkglist></update>
<update type="recommended"><id>SUSE-2026-2</id><title>x</title><issued date="2026-02-01 10:00"/><updated date="2026-02-03"/>
<severity>None</severity><pkglist><collection><package name="foo" version="1.0" release="4" arch="noarch"/></collection></pkglist></update>
<update type="bugfix"><id>OTHER-1</id><pkglist><collection><package name="elsewhere" version="1" release="1" arch="noarch"/>
</collection></pkglist></update>
</updates>
"""
PROMPT = """<stream><message type="info">Resolving package dependencies...</message>
<prompt id="1">
<description>Problem: patch-clash-1.1-1.noarch conflicts with patch-old provided by patch-old-1.0-1.noarch
 Solution 1: deinstallation of patch-old-1.0-1.noarch
 Solution 2: do not install patch-clash-1.1-1.noarch
</description><text>Choose from above solutions</text></prompt></stream>
"""
SUMMARY = """<install-summary><to-upgrade>
<solvable type="package" name="patch-epoch" edition="1:1.0-1" arch="noarch" edition-old="2.0-1" summary="a &quot;b&quot;">
<description>Patch case</description></solvable>
<solvable type="patch" name="SUSE-1" edition="1" arch="noarch"/></to-upgrade>
<to-upgrade-change-arch><solvable type="package" name="moved" edition="2-1" arch="noarch"/></to-upgrade-change-arch>
<to-downgrade><solvable type="package" name="low" edition="1-1" arch="x86_64"/></to-downgrade>
<to-remove><solvable type="package" name="gone" edition="1-1" arch="x86_64"/></to-remove></install-summary>
"""
INVALID = """<message type="error">Repository &apos;bad&apos; is invalid.
[bad|dir:/srv/p2] Valid metadata not found at specified URL
History:
 - [bad|dir:/srv/p2] primary.xml.gz has wrong checksum
 - Can&apos;t provide ./repodata/primary.xml.gz

Please check if the URIs defined for this repository are pointing to a valid repository.
</message>
<message type="error">Skipping repository &apos;bad&apos; because of the above error.</message>
"""


class DnfOutput(unittest.TestCase):
    def test_a_table_of_dnf_4(self):
        """Lines that dnf breaks, kernels that go, replaced and lowered packages; what is skipped is not placed."""
        found = dnf_output.table(TABLE_4)
        long = ("patch-with-a-very-long-name-that-needs-a-line-of-its-own", "noarch", "1.0^git1-1")
        lowered = ("patch-plain", "noarch", "1.0-1")
        renamed = ("patch-renamed", "noarch", "2.0-1")
        rest = [("patch-epoch", "noarch", "1:1.0-1"), long, ("patch-new", "noarch", "1.0-1"), lowered]
        assert found.placed == [renamed, *rest]
        assert found.lowered == {lowered}
        assert found.removed == [("kernel-core", "x86_64", "5.14.0-1.el9")]
        assert found.replacing == {renamed: ["patch-old"]}

    def test_a_table_of_dnf_5(self):
        """It names the replaced version of the same package too, and an epoch of 0."""
        found = dnf_output.table(TABLE_5)
        names = [
            ("patch-critical", "noarch", "1.1-1"),
            ("python3.11", "noarch", "1:3.11-2"),
            ("patch-renamed", "noarch", "2.0-1"),
        ]
        assert found.placed == names
        assert found.replacing == {("patch-renamed", "noarch", "2.0-1"): ["patch-old"]}
        assert not found.removed and not found.lowered

    def test_why_something_is_left_out(self):
        """In our words where we hid what it needs, in dnf's where it is a conflict."""
        wanted = [
            *(
                ("patch-needs", "noarch", "1.1-1"),
                ("patch-clash", "noarch", "1.1-1"),
                ("patch-gone", "noarch", "1.1-1"),
            ),
            ("patch-held", "noarch", "1:2.0-1"),
        ]
        found = {key[0]: why for key, why in dnf_output.reasons(PROBLEMS, wanted, {}).items()}
        assert (
            found["patch-needs"]
            == "it needs patch-new, which would take patch-new-1.0-1.noarch, but it is not approved"
        )
        assert found["patch-clash"].startswith("package patch-clash-1.1-1.noarch conflicts with patch-old")
        assert found["patch-gone"] == "no repository has this version (any more)"
        assert found["patch-held"] == "dnf's own configuration excludes or locks it"
        held = "Argument 'patch-held-1:2.0-1.noarch' matches only excluded packages.\n"
        assert dnf_output.reasons(held, wanted, {}) == {wanted[3]: found["patch-held"]}
        hidden = {"patch-new-1.0-1.noarch": "it would be a downgrade"}
        assert "downgrade" in dnf_output.reasons(PROBLEMS, wanted, hidden)[wanted[0]]
        five = PROBLEMS.replace(".noarch ", ".noarch from patches ")
        assert "not approved" in dnf_output.reasons(five, wanted, {})[wanted[0]]

    def test_which_repositories_cannot_be_had(self):
        """With the first cause and not that all mirrors were tried; dnf 5 names them by a name that it cuts off."""
        found = dnf_output.troubles(DOWN_4)
        assert found["down"].startswith("Curl error (7)")
        assert found["bad"].startswith("Downloading successful, but checksum doesn't match")
        assert found["unsig"].startswith("GPG verification is enabled")
        assert set(found) == {"down", "bad", "unsig"}
        names = {"two": "Two of them with a rather long name which is cut", "patches": "patches", "other": "Other"}
        assert dnf_output.unreachable(DOWN_5, names) == {
            "two": "Curl error (7): Could not connect to server for http://127.0.0.1:9/x/repodata/repomd.xml"
        }
        assert dnf_output.troubles(DOWN_5) == {} and dnf_output.unreachable(DOWN_4, names) == {}

    def test_long_lists_are_cut_into_several_options(self):
        """The kernel refuses an argument of more than 128 KiB."""
        names = ["package-%05d-1.0-1.x86_64" % number for number in range(5000)]
        options = dnf._lists("includepkgs", names)
        assert max(map(len, options)) < 100000
        assert [name for option in options for name in option.split("=")[2].split(",")] == names
        assert dnf._lists("includepkgs", []) == []


class ZypperOutput(unittest.TestCase):
    def test_a_problem_names_who_has_to_stay_out(self):
        """The package that would not be installed to solve it, not the other one of the conflict."""
        clash, other = ("patch-clash", "noarch", "1.1-1"), ("patch-other", "noarch", "1.1-1")
        text = "patch-clash-1.1-1.noarch conflicts with patch-old provided by patch-old-1.0-1.noarch"
        assert zypper_output.problem(PROMPT, [other, clash]) == ([clash], text)
        turned = PROMPT.replace("Problem: ", "Problem: patch-other-1.1-1.noarch and ")
        assert (zypper_output.problem(turned, [other, clash]) or [None])[0] == [clash]
        assert zypper_output.problem(SUMMARY, [clash]) is None

    def test_a_summary(self):
        """Packages of every section, patches left out."""
        found = zypper_output.summary(SUMMARY)
        low = ("low", "x86_64", "1-1")
        assert found.placed == [("patch-epoch", "noarch", "1:1.0-1"), ("moved", "noarch", "2-1"), low]
        assert found.lowered == [low] and found.removed == [("gone", "x86_64", "1-1")]

    def test_the_cause_of_a_failure(self):
        """What the history of a repository says, without the general sentences around it."""
        said = "primary.xml.gz has wrong checksum Can't provide ./repodata/primary.xml.gz"
        assert zypper_output.cause(INVALID) == said
        assert (
            zypper_output.cause('<message type="error">Some of the repositories have not been refreshed</message>')
            == ""
        )

    def test_what_is_in_no_repository(self):
        """Only what was asked for counts."""
        text = '<message type="error">No provider of &apos;a.noarch=1-1&apos; found.</message>'
        key = ("a", "noarch", "1-1")
        assert zypper_output.missing(text, {"a.noarch=1-1": key}) == [key]
        assert zypper_output.missing(text, {"b": key}) == []


class Advisories(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)

    def _file(self, name, data):
        path = os.path.join(self.root, name)
        with open(path, "wb") as stream:
            stream.write(data)
        return path

    def _read(self, path, names=("foo",)):
        found = rpm_advisories.Advisories()
        found.add(path, set(names))
        return found

    def test_what_an_update_tells(self):
        """SUSE's and Fedora's ways of saying it; advisories of packages that are not here are left out."""
        found = self._read(self._file("u.xml", UPDATES.encode()))
        assert found.told["SUSE-2026-1"] == {
            "classification": "Security",
            "severity": "Important",
            "title": "Security & more for foo",
            "issued": 1767225600,
            "updated": 1767225600,
            "cves": ["CVE-2026-0001", "CVE-2026-0002"],
            "bugs": ["1200001"],
        }
        assert found.told["SUSE-2026-2"]["classification"] == "Recommended"
        assert found.told["SUSE-2026-2"]["severity"] == ""
        assert (found.told["SUSE-2026-2"]["issued"], found.told["SUSE-2026-2"]["updated"]) == (1769940000, 1770076800)
        assert set(found.told) == {"SUSE-2026-1", "SUSE-2026-2"}
        assert found.of == {("foo", "x86_64", "2:1.0-3"): ["SUSE-2026-1"], ("foo", "noarch", "1.0-4"): ["SUSE-2026-2"]}

    def test_every_compression(self):
        """gzip, xz and, by the library that rpm uses, zstd; whatever the size of the pieces."""
        one = UPDATES.split("<updates>")[1].split("</updates>")[0]
        many = ("<updates>%s</updates>" % (one * 2000)).encode()
        for name, data in (("u.xml.gz", gzip.compress(many)), ("u.xml.xz", lzma.compress(many)), ("u.xml", many)):
            assert len(self._read(self._file(name, data)).told) == 2, name
        if shutil.which("zstd") is None:
            self.skipTest("needs zstd")
        plain = self._file("u.xml", many)
        subprocess.check_call(["zstd", "-q", "-f", plain, "-o", plain + ".zst"])
        assert len(self._read(plain + ".zst").told) == 2
        with open(plain + ".zst", "rb") as stream:
            packed = stream.read()
        for spoilt in (packed[:-9], packed[:-2], b"garbage" * 10):
            with self.assertRaises(Failed):  # noqa: PT027
                self._read(self._file("s.xml.zst", spoilt))

    def test_a_file_that_is_cut_off_is_an_error(self):
        """Half of the advisories would look like fewer security updates."""
        packed = gzip.compress(UPDATES.encode())
        texts = (UPDATES.encode()[:700], packed[:-20], b"garbage")
        for name, data in (("u.xml", texts[0]), ("u.xml.gz", texts[1]), ("v.xml.gz", texts[2]), ("u.xml.zck", b"x")):
            with self.assertRaises(Failed) as caught:  # noqa: PT027
                self._read(self._file(name, data))
            assert name in caught.exception.message

    def test_repodata(self):
        """The time the repository was made is its revision, or the newest timestamp when revisions are only counted."""
        os.mkdir(self.root + "/repodata")
        text = (
            "<repomd><revision>%s</revision><data type='primary'><timestamp>1700000000</timestamp></data>"
            '<data type="updateinfo"><location href="repodata/abc-updateinfo.xml.gz"/><timestamp>1700000005.5</timestamp></data></repomd>'
        )
        for revision, date in (("1767225600", 1767225600), ("17", 1700000005)):
            path = self._file("repodata/repomd.xml", (text % revision).encode())
            os.utime(path, (5, 1700000100))
            assert rpm_advisories.repodata(self.root) == (
                date,
                1700000100,
                self.root + "/repodata/abc-updateinfo.xml.gz",
            )
        assert rpm_advisories.repodata(self.root + "/none") is None

    def test_moments(self):
        """Dates are UTC; what is no date is 0."""
        assert rpm_advisories.moment("2026-01-01 00:00:00") == 1767225600
        assert rpm_advisories.moment("2026-01-01T00:00:00Z") == 1767225600
        assert [rpm_advisories.moment(text) for text in ("", "soon", "2026-13-41", "12")] == [0, 0, 0, 0]
        assert rpm_database.built_time("2026-01-01 00:00") == rpm_database.built_time("1767225600") == 1767225600


class Host(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.host = RecordedHost(self.root)

    def _write(self, path, text):
        target = self.root + path
        if not os.path.isdir(os.path.dirname(target)):
            os.makedirs(os.path.dirname(target))
        with open(target, "w") as stream:
            stream.write(text)

    def _rpm(self, text, provides=""):
        def answer(argv, _):
            return provides if any("PROVIDES" in word for word in argv) else text

        self.host.answer("rpm --query", answer)
        self.host.run = _delivering(self.host)

    def test_a_package_installed_twice_is_an_interrupted_transaction(self):
        """Unless several versions of it are meant to be there, as of a kernel."""
        lines = "a\tnoarch\t1.0-1\ta-1.0-1.src.rpm\t5\na\tnoarch\t1.0-2\ta-1.0-2.src.rpm\t5\ngpg-pubkey\t(none)\t1-1\t(none)\t1\n"
        lines += "kernel-core\tx86_64\t5-1\tkernel-5-1.src.rpm\t5\nkernel-core\tx86_64\t6-1\tkernel-6-1.src.rpm\t6\n"
        self._rpm(lines, "a a\nkernel-core kernel-core installonlypkg(kernel)\nkernel-core kernel-core\n")
        text = rpm_database.interrupted(self.host)
        assert text.endswith("rpm --erase a 1.0-1 of which 1.0-2 is installed too")
        assert rpm_database.current(self.host, ["a", "kernel-core"]) == {
            ("a", "noarch"): "1.0-2",
            ("kernel-core", "x86_64"): "6-1",
        }
        assert rpm_database.rows(self.host)[2] == ("kernel-core", "x86_64", "5-1", "kernel", 5)
        self._rpm("a\tnoarch\t1.0-1\ta-1.0-1.src.rpm\t5\n")
        assert rpm_database.interrupted(self.host) == ""

    def test_rpm_that_does_not_answer_is_an_error(self):
        """Nothing installed is not what a broken database tells."""
        self.host.answer("rpm --query", Ran(1, "", "error: rpmdb: damaged header"))
        self.host.run = _delivering(self.host)
        with self.assertRaises(Failed) as caught:  # noqa: PT027
            rpm_database.rows(self.host)
        assert "damaged header" in caught.exception.message

    def test_a_server_that_says_nothing(self):
        """zypper is ended after three minutes, and the next repository is asked all the same."""
        self.host.answer("zypper", lambda argv, _: Ran(-15, "", "", argv[-1] == "silent"))
        self.host.run = _delivering(self.host)
        found = zypper_scan._refresh(self.host, [], "/cache", ["silent", "other"], 3600)
        assert found["silent"] == "it was not fetched within 180 s" and "other" in found

    def test_what_could_not_be_fetched_keeps_its_time(self):
        """dnf 5 marks it as fetched now; only repositories that failed are set back."""
        for name in ("a", "b"):
            path = "%s/%s-0123456789abcdef/repodata/repomd.xml" % (dnf_scan.CACHE, name)
            self._write(path, "<repomd><revision>1767225600</revision></repomd>")
            os.utime(self.root + path, (9000, 9000))
        before = {name: rpm_advisories.Repodata(5, 1000, "") for name in ("a", "b")}
        dnf_scan._date_back(self.host, before, {"a": "it is down"})
        found = dnf_scan._fetched(self.host, ["a", "b"])
        assert (found["a"].fetched, found["b"].fetched) == (1000, 9000)

    def test_what_dnf_locks_and_excludes(self):
        """versionlock in three ways of writing, and exclude of the main section; what has only a like name is not held."""
        self._write("/etc/dnf/plugins/versionlock.list", "# comment\nlab-a-0:1.0-1.*\n!lab-other-0:1-1.*\n")
        self._write("/etc/yum/pluginconf.d/versionlock.list", "0:lab-b-1.0-1.el7.*\n")
        self._write("/etc/dnf/versionlock.toml", 'version = "1.0"\n[[packages]]\nname = "lab-c"\ncomment = "x"\n')
        self._write("/etc/dnf/dnf.conf", "[main]\nexclude=lab-d*,\n  lab-e.noarch\n[repo]\nexclude=lab-f\n")
        names = ["lab-" + name for name in ("a", "aa", "b", "c", "dd", "e", "f", "other")]
        there = [dnf_scan._Offered(name, "noarch", "1.0-1", "", 0, "", 0) for name in names]
        assert sorted(dnf_scan._held(self.host, there)) == ["lab-a", "lab-b", "lab-c", "lab-dd", "lab-e"]

    def test_sources_become_repository_files(self):
        """Signed unless there is a reason why not; a name that could leave the directory is refused."""
        self.host.answer("mkdir")
        self.host.answer("install")
        key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nabc\n"
        sources = [
            {"name": "own", "baseurl": "https://r/", "gpgkey": key},
            {"name": "lax", "baseurl": "https://s/", "trusted": "of this lab"},
        ]
        made = rpm_sources.Sources(self.host, sources, "/tmp/x")
        assert made.keys == ["file:///tmp/x/own.asc"]
        written = {argv[-1]: text for argv, text in zip(self.host.ran, self.host.inputs)}  # noqa: B905  Python 3.6
        assert written["/tmp/x/own.asc"] == key
        own, lax = written["/tmp/x/repos/own.repo"], written["/tmp/x/repos/lax.repo"]
        assert "gpgcheck=1\n" in own and "pkg_gpgcheck=1\n" in own and "gpgkey=file:///tmp/x/own.asc\n" in own
        assert "gpgcheck=0\n" in lax and "gpgkey" not in lax
        for name in ("../etc", "a b", ""):
            with self.assertRaises(Failed):  # noqa: PT027
                rpm_sources.Sources(self.host, [{"name": name, "baseurl": "x"}], "/tmp/x")

    def test_repository_files_are_read(self):
        """Values over several lines, comments, and addresses without their password."""
        self._write(
            "/etc/yum.repos.d/a.repo",
            "# c\n[a]\nbaseurl = https://me:pw@host/x\n  https://two/\nenabled=0\n[b]\nmirrorlist=m\n",
        )
        found = rpm_sources.configured(self.host, ["/etc/yum.repos.d", "/none"])
        assert rpm_sources.address(found["a"]) == "https://host/x"
        assert rpm_sources.is_off(found["a"]["enabled"]) and rpm_sources.address(found["b"]) == "m"

    def test_keys_do_not_stay(self):
        """Keys that came during a run are erased after it, also when it fails; those that were there stay."""
        known = ["gpg-pubkey-old-1"]
        self.host.answer("rpm --query gpg-pubkey", lambda *_: "\n".join(known) + "\n")
        self.host.answer("rpm --import", lambda *_: known.append("gpg-pubkey-new-1") or "")
        self.host.answer("rpm --erase", lambda argv, _: known.remove(argv[-1]) or "")
        with self.assertRaises(ZeroDivisionError), rpm_sources.Keys(self.host, ["file:///k"]):  # noqa: PT027
            raise ZeroDivisionError
        assert known == ["gpg-pubkey-old-1"]
        assert self.host.ran[1] == ["rpm", "--import", "/k"]

    def test_a_file_that_is_not_signed(self):
        """Refused where all repositories ask for signatures; one whose signature is wrong is refused everywhere."""
        os.mkdir(self.root + "/tmp")
        content = {"a noarch 1-1": Content.of_bytes(b"x")}
        self.host.answer("install")
        self.host.answer("rpm --query", "a noarch 1-1\n")
        for verdict, code, unsigned, accepted in (
            ("digests signatures OK", 0, False, True),
            ("digests OK", 0, False, False),
            ("digests OK", 0, True, True),
            ("digests SIGNATURES NOT OK", 1, True, False),
        ):
            self.host.answer("rpm --checksig", Ran(code, "/tmp/a.rpm: %s\n" % verdict, ""))
            found = rpm_files.Files(self.host, "/tmp", content, unsigned)
            assert bool(found.paths) is accepted and bool(found.refused) is not accepted, verdict

    def test_who_holds_the_lock_is_named(self):
        """By number and command line, after the time is over; a number that is another program's now holds nothing."""
        self._write("/run/zypp.pid", "4711\n")
        self._write("/proc/4711/comm", "zypper\n")
        self._write("/proc/4711/cmdline", "zypper\0up\0-y\0now\0")
        clock = iter(range(1000))
        with self.assertRaises(Failed) as caught:  # noqa: PT027
            rpm_lock.wait(self.host, rpm_lock.ZYPP, 120.0, lambda _: None, lambda: next(clock))
        assert caught.exception.message.startswith("rpm's lock has been held for 120 s by process 4711 zypper up -y;")
        assert caught.exception.cause == "package manager is locked"
        self._write("/proc/4711/comm", "sshd\n")
        assert rpm_lock.find(self.host, rpm_lock.ZYPP) == ""

    def test_scripts_that_failed(self):
        """By the name that a packager knows them by."""
        text = "warning: %post(a-1-1.noarch) scriptlet failed, exit status 3\n%prein(b-1-1.x86_64) scriptlet failed, signal 9\n"
        text += ">>> [RPM] %postun(c-1-1.noarch) scriptlet failed, exit status 1\n"
        assert rpm_database.failed_scripts(text * 2) == [
            "the %post script of a-1-1.noarch failed, exit status 3",
            "the %pre script of b-1-1.x86_64 failed, signal 9",
            "the %postun script of c-1-1.noarch failed, exit status 1",
        ]


def _delivering(host):
    """As the real one: what a caller wants to have delivered is not kept."""
    run = type(host).run

    def deliver(argv, on_output=None, **more):
        ran = run(host, argv, **more)
        if on_output is None:
            return ran
        on_output("out", ran.out.encode())
        on_output("err", ran.err.encode())
        return ran._replace(out="", err="")

    return deliver


if __name__ == "__main__":
    unittest.main()
