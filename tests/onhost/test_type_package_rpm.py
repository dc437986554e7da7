import unittest

from recorded import RecordedHost
from type_case import TypeCase

from statectl.onhost.failure import Failed
from statectl.onhost.process import Ran
from statectl.onhost.resources import package
from statectl.onhost.resources.package import dnf, rpm, zypper
from statectl.onhost.versions import compare_rpm

RPM = "lab-beta noarch 1.0-1\npackage lab-alpha is not installed\n"
REPOQUERY = "lab-alpha 0:1.0-1 noarch\nlab-alpha 1.1-1 noarch\n\nlab-beta 1.0-1 noarch\nlab-beta 1.1-1 noarch\n"
DNF_TABLE = """Dependencies resolved.
================================================================================
 Package           Architecture     Version             Repository         Size
================================================================================
Installing:
 lab-alpha         noarch           1.1-1               lab               6.1 k
Removing dependent packages:
 lab-gamma         noarch           1.0-1               @lab               10
Downgrading:
 lab-delta         noarch           1.0-1               lab               6.1 k

Transaction Summary
================================================================================
Install    1 Package
Operation aborted.
"""
SEARCH = """<?xml version='1.0'?>
<stream>
<search-result version="0.0">
<solvable-list>
<solvable status="other-version" name="lab-beta" kind="package" edition="1.1-1" arch="noarch" repository="lab"/>
<solvable status="installed" name="lab-beta" kind="package" edition="1.0-1" arch="noarch" repository="(System Packages)"/>
<solvable status="not-installed" name="lab-alpha" kind="package" edition="1.0-1" arch="noarch" repository="lab"/>
<solvable status="not-installed" name="lab-alpha" kind="package" edition="1.1-1" arch="noarch" repository="lab"/>
</solvable-list>
</search-result>
</stream>
"""
LOCKED = """<prompt id="1">
<description>Problem: conflicting requests
 Solution 1: Following actions will be done:
  remove lock to allow installation of lab-beta-1.1-1.noarch[lab]
</description>
"""


class Versions(unittest.TestCase):
    def test_the_order_of_versions_is_rpms(self):
        """From rpm's own test suite: numbers beat letters, ~ comes before the end, ^ after it, epochs before all."""
        rising = ["1.0~rc1", "1.0~rc2", "1.0", "1.0^git1", "1.0.a", "1.0.1", "1.9", "1.10", "2.0", "1:0.1"]
        for lower, higher in zip(rising, rising[1:]):  # noqa: B905, RUF007  Python 3.6
            assert compare_rpm(lower, higher) == -1, (lower, higher)
            assert compare_rpm(higher, lower) == 1
        for same in (("1.01", "1.1"), ("1.0-1", "0:1.0-1"), ("1_0", "1.0"), ("2.0", "2.0")):
            assert compare_rpm(*same) == 0, same
        assert rpm.newest_first(["1.0-1", "1.0-10", "1.0-2", "1.0-2"]) == ["1.0-10", "1.0-2", "1.0-1"]


class DnfPackages(TypeCase):
    module = package

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root, {"package_manager": "dnf"})
        self.host.answer("rpm --query", RPM)
        self.host.answer(
            "dnf", lambda argv, _: REPOQUERY if "repoquery" in argv else Ran(1, "Operation aborted.\n", "")
        )

    def test_looking_ahead_leaves_dnfs_own_cache_alone(self):
        """Every look-ahead names our own cache; the rpm database answers everything else."""
        self.host.answer("rpm --query", "lab-beta noarch 1.0-1\n")
        assert self.differing(self.want("lab-beta", version="1.0")) == []
        assert [argv[0] for argv in self.host.ran] == ["rpm"] * len(self.host.ran)
        self.host.answer("rpm --query", "package lab-alpha is not installed\n")
        assert self.found(self.want("lab-alpha")).chosen == "1.1-1"
        looked = [argv for argv in self.host.ran if argv[0] == "dnf"]
        assert len(looked) == 2
        assert all("--setopt=cachedir=" + dnf.CACHE in argv for argv in looked)

    def test_the_release_of_a_host_that_says_one_is_named(self):
        """Where the system does not tell its release, /etc/dnf/vars does."""
        self.put("/etc/dnf/vars/releasever", b"9\n")
        self.host.answer("rpm --query", "package lab-alpha is not installed\n")
        self.host.answer("dnf --releasever=9", REPOQUERY)
        assert self.found(self.want("lab-alpha")).refusal == ""

    def test_side_effects_are_read_from_the_table(self):
        """What dnf would remove or downgrade besides is refused with the names."""
        transaction = package.Transaction([("lab-alpha", "1.1-1")])
        assert dnf.objection(DNF_TABLE, transaction).startswith(
            "it would also remove lab-gamma and downgrade lab-delta;"
        )
        named = package.Transaction([("lab-alpha", "1.1-1"), ("lab-delta", "1.0-1")], remove=["lab-gamma"])
        assert dnf.objection(DNF_TABLE, named) == ""

    def test_removing_takes_nothing_along_that_is_no_longer_needed(self):
        """dnf's autoremove would take packages that nobody named."""
        self.host.answer("rpm --query", "lab-beta noarch 1.0-1\n")
        want = self.want("lab-beta", state="absent")
        self.host.answer("dnf -y", "")
        package.apply(self.host, [(want, self.found(want), ["state"])])
        argv = self.host.ran[-1]
        assert argv == ["dnf", "-y", "remove", "--setopt=clean_requirements_on_remove=False", "--", "lab-beta"]

    def test_a_lower_version_is_a_downgrade(self):
        """`dnf install` of an older version does nothing; `downgrade` does it."""
        self.host.answer("rpm --query", "lab-beta noarch 1.1-1\n")
        want = self.want("lab-beta", version="1.0")
        self.host.answer("dnf -y", "")
        package.apply(self.host, [(want, self.found(want), ["version"])])
        assert self.host.ran[-1] == ["dnf", "-y", "downgrade", "--", "lab-beta-1.0-1"]

    def test_holding_without_the_plugin_says_which_package_brings_it(self):
        """Not `no such command`."""
        self.host.answer("dnf -q versionlock", Ran(1, "", "No such command: versionlock.\n"))
        with self.assertRaises(Failed) as caught:  # noqa: PT027  Python 3.6 runs this without pytest
            dnf.hold(self.host, ["lab-beta"], True)
        assert "python3-dnf-plugin-versionlock" in caught.exception.message

    def test_a_broken_database_is_no_missing_package(self):
        """If rpm itself fails, nothing is known; it is not `absent`."""
        self.host.answer("rpm --query", Ran(1, "", "error: cannot open Packages database\n"))
        with self.assertRaises(Failed):  # noqa: PT027
            self.found(self.want("lab-beta"))


class ZypperPackages(TypeCase):
    module = package

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root, {"package_manager": "zypper"})
        self.host.answer("rpm --query", RPM)
        self.host.answer("zypper", lambda argv, _: SEARCH if "search" in argv else "<stream/>")

    def test_versions_of_the_system_are_no_offer(self):
        """What is only installed cannot be installed."""
        offers = zypper.parse_offers(SEARCH, ["lab-alpha", "lab-beta", "nosuch"])
        assert sorted(offers) == ["lab-alpha", "lab-beta"]
        assert offers["lab-alpha"].versions == ["1.1-1", "1.0-1"]
        assert offers["lab-beta"].versions == ["1.1-1"]

    def test_one_call_installs_and_removes(self):
        """zypper solves both in one step, each version named."""
        wants = [self.want("lab-alpha", recommends=False), self.want("lab-beta", state="absent")]
        found = package.read(self.host, wants)
        package.apply(self.host, [(want, found[want.name], ["state"]) for want in wants])
        assert self.host.ran[-1] == [
            *["zypper", "--non-interactive", "install", "--auto-agree-with-licenses", "--no-recommends", "--"],
            *["lab-alpha=1.1-1", "!lab-beta"],
        ]

    def test_a_problem_is_told_and_not_its_first_solution(self):
        """zypper asks; nobody answers; the question is the reason."""
        assert zypper.why(Ran(4, LOCKED, "")) == "Problem: conflicting requests"

    def test_news_are_no_errors_and_a_missing_capability_is_one(self):
        """Exit code 102 asks for a reboot; 104 found nothing."""
        transaction = package.Transaction([("lab-alpha", "9")])
        with zypper.Index(self.host) as index:
            self.host.answer("zypper", Ran(102, "<stream/>", ""))
            assert index.simulate(transaction) == ""
            said = '<message type="error">No provider of &apos;lab-alpha=9&apos; found.</message>'
            self.host.answer("zypper", Ran(104, said, ""))
            assert index.simulate(transaction) == "zypper cannot do it: No provider of 'lab-alpha=9' found."


if __name__ == "__main__":
    unittest.main()
