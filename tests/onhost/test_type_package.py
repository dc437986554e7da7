import unittest

from recorded import RecordedHost
from type_case import TypeCase, delivered, differing

from statectl.onhost.failure import Failed, Unknown
from statectl.onhost.process import Ran
from statectl.onhost.resources import file, package, package_repository
from statectl.onhost.resources.package import apt, apt_index

STATUS = b"""Package: nginx
Status: install ok installed
Priority: optional
Architecture: amd64
Version: 1.22.1-9
Conffiles:
 /etc/nginx/nginx.conf 1234

Package: tmux
Status: hold ok installed
Architecture: amd64
Version: 3.3a-3

Package: old-conf
Status: deinstall ok config-files
Architecture: all
Version: 1.0

Package: libfoo
Status: install ok installed
Architecture: i386
Version: 2.0

Package: half
Status: install ok half-configured
Architecture: all
Version: 1.0
"""
POLICY = """lab-tool-01:
  Installed: (none)
  Candidate: 1.1
  Version table:
     1.1 500
        500 file:/srv/lab/apt/main lab/main amd64 Packages
        500 file:/srv/lab/apt/main lab/main all Packages
     1.0 500
        500 file:/srv/lab/apt/main lab/main amd64 Packages
nginx:
  Installed: 1.22.1-9
  Candidate: 1.22.1-9+deb12u1
  Version table:
     1.22.1-9+deb12u1 500
        500 http://deb.example.org bookworm-security/main amd64 Packages
 *** 1.22.1-9 100
        100 /var/lib/dpkg/status
tmux:
  Installed: 3.3a-3
  Candidate: 3.4-1
  Version table:
     3.4-1 990
        990 http://deb.example.org bookworm/main amd64 Packages
 *** 3.3a-3 100
        100 /var/lib/dpkg/status
mail-transport-agent:
  Installed: (none)
  Candidate: (none)
  Version table:
"""
INSTALLS = """Reading package lists...
The following NEW packages will be installed:
  lab-tool-01
Inst lab-tool-01 (1.1 Lab main:lab [all])
Conf lab-tool-01 (1.1 Lab main:lab [all])
"""
CONFLICT = """The following packages will be REMOVED:
  lab-tool-01
The following NEW packages will be installed:
  lab-conflict
0 upgraded, 1 newly installed, 1 to remove and 0 not upgraded.
Remv lab-tool-01 [1.1]
Inst lab-conflict (1.0 Lab main:lab [all])
Conf lab-conflict (1.0 Lab main:lab [all])
"""
DOWNGRADE = """The following held packages will be changed:
  libbar
The following packages will be DOWNGRADED:
  lab-tool-03 libbaz
0 upgraded, 0 newly installed, 2 downgraded, 0 to remove and 0 not upgraded.
Inst lab-tool-03 [1.1] (1.0 Lab main:lab [all])
"""


class AptPackages(TypeCase):
    module = package

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root, {"package_manager": "apt"})
        self.put("/var/lib/dpkg/status", STATUS)
        self.put("/var/lib/apt/lists/deb.example.org_InRelease")
        self.host.answer("apt-cache", POLICY)
        self.host.answer("apt-get -s", INSTALLS)
        self.host.answer("apt-get -y", "")
        self.host.answer("apt-mark", "")

    def ran(self, *words):
        """The last part of the commands that start so, without the options that are always the same."""
        return [argv for argv in self.host.ran if argv[: len(words)] == list(words)]

    def apply(self, *wants):
        found = package.read(self.host, list(wants))
        items = [(want, found[want.name], differing(package, want, found[want.name])) for want in wants]
        self.host.ran = []
        package.apply(self.host, [item for item in items if item[2]])

    def test_what_is_right_costs_no_command(self):
        """An unchanged host is read from dpkg's status file alone."""
        wants = [self.want("nginx"), self.want("libfoo:i386"), self.want("gone", state="absent")]
        wants += [
            self.want("nginx", version="1.22.*"),
            self.want("tmux", hold=True),
            self.want("old-conf", state="absent"),
        ]
        for want in wants:
            found = self.found(want)
            if want.state == "absent":
                assert found.state in ("absent", "purged")
            else:
                assert self.differing(want) == []
        assert self.host.ran == []

    def test_states_of_dpkg(self):
        """Configuration files that are left make `absent`, nothing left makes `purged`, half-done work is named."""
        states = {name: self.found(self.want(name)).state for name in ("old-conf", "never-heard", "half", "tmux")}
        assert states == {"old-conf": "absent", "never-heard": "purged", "half": "half-configured", "tmux": "present"}

    def test_a_version_may_leave_out_epoch_and_revision(self):
        """People write 1.22.1; dpkg writes 1:1.22.1-9."""
        for pattern in ("1.22.1", "1.22.*", "1.22.1-9", "1:1.22.1-9", "1:1.22*"):
            assert package.matches("1:1.22.1-9", pattern)
        for pattern in ("1.22", "1.2", "2:1.22.1-9", "1.22.1-8"):
            assert not package.matches("1:1.22.1-9", pattern)

    def test_the_plan_knows_the_version_that_would_come(self):
        """The version is shown before it is installed, and named when it is: what was looked at is what is done."""
        want = self.want("lab-tool-01", recommends=False)
        assert self.found(want).chosen == "1.1"
        self.apply(want)
        (argv,) = self.host.ran
        assert argv[-3:] == ["install", "--", "lab-tool-01=1.1"]
        assert "--no-install-recommends" in argv
        assert "--no-remove" in argv

    def test_a_glob_chooses_among_the_versions_on_offer(self):
        """The newest that fits; a version that only this host still has is no offer."""
        assert self.found(self.want("lab-tool-01", version="1.0*")).chosen == "1.0"
        refusal = self.refusal(self.want("nginx", version="1.20.*"))
        assert refusal == "no version of nginx matches 1.20.*; the repositories have 1.22.1-9+deb12u1"

    def test_latest_compares_with_the_candidate(self):
        """`latest` differs exactly when the repositories have something newer, and says so as a state."""
        assert self.found(self.want("nginx", state="latest")).state == "outdated"
        assert self.differing(self.want("nginx", state="latest")) == ["state"]

    def test_an_unknown_name_is_refused_in_the_plan(self):
        """With the name, and for virtual packages too."""
        for name in ("nginxx", "mail-transport-agent"):
            assert self.refusal(self.want(name)) == f"no package called {name} in the configured repositories"

    def test_a_held_package_is_not_moved_unasked(self):
        """Somebody held it for a reason; saying `hold` with the version is the way to mean it."""
        assert "is on hold at 3.3a-3" in self.refusal(self.want("tmux", version="3.4*"))
        want = self.want("tmux", version="3.4*", hold=True)
        assert self.refusal(want) == ""
        self.apply(want)
        assert [argv[3:] for argv in self.ran("apt-mark")] == [["unhold", "--", "tmux"], ["hold", "--", "tmux"]]

    def test_a_hold_outlives_its_package(self):
        """apt refuses to install what was held when it was removed: so does the plan, unless `hold` is said with it."""
        held = b"\nPackage: lab-tool-01\nStatus: hold ok not-installed\nArchitecture: all\n"
        self.put("/var/lib/dpkg/status", STATUS + held)
        assert "is on hold at nothing" in self.refusal(self.want("lab-tool-01"))
        self.apply(self.want("lab-tool-01", hold=False))
        assert [argv[3:] for argv in self.ran("apt-mark")] == [["unhold", "--", "lab-tool-01"]]
        assert self.ran("apt-get", "-y")

    def test_side_effects_are_refused_with_the_list(self):
        """Packages that nobody named are neither removed nor downgraded nor taken off their hold."""
        install = package.Transaction([("lab-conflict", "1.0")])
        assert apt.objection(CONFLICT, install).startswith("it would also remove lab-tool-01;")
        assert apt.objection(CONFLICT, install._replace(remove=["lab-tool-01"])) == ""
        text = apt.objection(DOWNGRADE, package.Transaction([("lab-tool-03", "1.0")]))
        assert text.startswith("it would also downgrade libbaz and change held libbar;")

    def test_one_transaction_for_all(self):
        """Three packages are one apt-get; a removal is an operand of it, so that a conflict is solved in one step."""
        self.host.answer("apt-get -s", "Remv nginx [1]\nInst lab-tool-01 (1.1 x)\n")
        self.apply(self.want("lab-tool-01"), self.want("nginx", state="absent"), self.want("tmux", state="purged"))
        acted = [argv[argv.index("--") - 1 :] for argv in self.ran("apt-get", "-y")]
        assert acted == [["install", "--", "lab-tool-01=1.1", "nginx-", "tmux-"], ["purge", "--", "tmux"]]

    def test_what_the_plan_allowed_is_looked_at_again(self):
        """Between plan and apply the repositories may have moved: a transaction with removals is simulated once more."""
        want = self.want("nginx", state="absent")
        found = self.found(want)
        self.host.answer("apt-get -s", "Remv nginx [1]\nRemv wordpress [6]\n")
        self.put("/var/lib/apt/lists/main_Packages", b"moved")
        with self.assertRaises(Failed) as caught:  # noqa: PT027  Python 3.6 runs this without pytest
            package.apply(self.host, [(want, found, ["state"])])
        assert caught.exception.message.startswith("it would also remove wordpress;")
        assert self.ran("apt-get", "-y") == []

    def test_apt_is_not_asked_again_for_what_cannot_have_changed(self):
        """The same question, and no file moved that apt reads: what it said stands. Its settings, lists and dpkg's status count."""
        want = self.want("lab-tool-01")
        asked = lambda: len(self.ran("apt-get", "-s")) + len(self.ran("apt-cache"))  # noqa: E731
        self.found(want)
        first = asked()
        assert first == 2
        self.found(want)
        assert asked() == first
        for number, path in enumerate(("/etc/apt/preferences.d/pin", "/var/lib/apt/lists/x", "/etc/apt/apt.conf"), 2):
            self.put(path, b"moved")
            self.found(want)
            assert asked() == first * number, path
        self.put("/var/lib/dpkg/status", STATUS + b"\n")
        self.found(want)
        assert asked() == first * 5

    def test_an_interrupted_dpkg_is_repaired_first(self):
        """apt refuses to work until `dpkg --configure -a` has run."""
        self.put("/var/lib/dpkg/updates/0001")
        self.host.answer("dpkg-query", "nginx amd64 1.22.1-9 install ok installed\n")
        self.host.answer("dpkg --force-confdef", "")
        self.apply(self.want("lab-tool-01"))
        assert [argv[0] for argv in self.host.ran if argv[0] != "dpkg-query"] == ["dpkg", "apt-get"]

    def test_a_held_lock_names_its_holder(self):
        """Who, by process id and name, and for how long we waited."""
        said = (
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)\n"
            "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n"
        )
        self.host.answer("apt-get -y", Ran(100, "", said))
        with self.assertRaises(Failed) as caught:  # noqa: PT027
            self.apply(self.want("lab-tool-01"))
        assert caught.exception.cause == "package manager is locked"
        assert "held for 120 s by process 4711 (unattended-upgr)" in caught.exception.message

    def test_a_lock_that_was_waited_for_names_its_holder(self):
        """apt says who holds it while it waits, on stdout, and not when it gives up."""
        waiting = "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 62 (python3)...\n"
        said = (
            "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n"
        )
        self.host.answer("apt-get -y", Ran(100, waiting, said))
        with self.assertRaises(Failed) as caught:  # noqa: PT027
            self.apply(self.want("lab-tool-01"))
        assert "held for 120 s by process 62 (python3)" in caught.exception.message

    def test_an_interrupted_dpkg_is_told_in_the_plan(self):
        """A package that dpkg was ended in is shown with what comes first."""
        self.put("/var/lib/dpkg/updates/0001")
        self.host.answer("dpkg-query", "lab-slow amd64 1.0 install ok half-configured\n")
        found = package.apt.installed(self.host, ["lab-slow"])["lab-slow"]
        assert found.state == "half-configured (dpkg was interrupted: dpkg --configure -a comes first)"

    def test_a_failing_script_is_the_cause_and_not_the_exit_code(self):
        """Of forty lines, the one that says which package and why."""
        out = "Setting up x\ndpkg: error processing package x (--configure):\n installed x post-installation script failed\n"
        self.host.answer("apt-get -y", Ran(100, out, "E: Sub-process /usr/bin/dpkg returned an error code (1)\n"))
        with self.assertRaises(Failed) as caught:  # noqa: PT027
            self.apply(self.want("lab-tool-01"))
        assert caught.exception.message == (
            "apt-get install: package x (--configure): installed x post-installation script failed"
        )

    def test_old_lists_are_not_believed_about_a_missing_name(self):
        """A name that lists of last week do not know is looked for in fresh ones, in a scratch directory that goes again."""
        self.host.answer("mktemp", "/tmp/statectl-apt.abc\n")
        for words in ("mkdir", "chmod", "chown", "rm", "apt-get update"):
            self.host.answer(words, "")
        old = apt_index.may_be_outdated
        apt_index.may_be_outdated = lambda host: True
        self.addCleanup(setattr, apt_index, "may_be_outdated", old)
        assert "no package called nosuch" in self.refusal(self.want("nosuch"))
        updates = self.ran("apt-get", "update")
        assert all("Dir::State::Lists=/tmp/statectl-apt.abc/lists" in argv for argv in updates)
        assert updates
        assert self.host.ran[-1] == ["rm", "-rf", "--", "/tmp/statectl-apt.abc"]

    def test_an_index_that_cannot_be_fetched_names_its_cause(self):
        """apt exits 0 when it falls back to old lists; that is not success."""
        texts = {
            "W: Failed to fetch http://x/InRelease  Could not resolve 'x'": "repository name does not resolve",
            "W: Failed to fetch http://x/InRelease  Could not connect to x:80 - connect (111: Connection refused)": (
                "repository not reachable"
            ),
            "E: Failed to fetch http://x/InRelease  404  Not Found": "repository has no such index",
            "E: Failed to fetch http://x/Packages  Hash Sum mismatch": "index does not match its hash",
            "E: Release file for http://x/InRelease is expired (invalid since 3d)": "index is out of its time",
            "W: GPG error: http://x lab InRelease: NO_PUBKEY A0\nE: The repository 'http://x' is not signed.": (
                "signature not accepted"
            ),
            "W: Failed to fetch http://x/InRelease  Connection timed out": "repository does not answer",
            "W: Failed to fetch http://x/Packages  Undetermined Error [IP: 10.0.0.1 80]": "index was not fetched whole",
            "W: Failed to fetch http://x/Packages  ": "index was not fetched whole",
        }
        for said, cause in texts.items():
            line, found = apt_index.complaint(Ran(0 if said[0] == "W" and "\n" not in said else 100, "", said + "\n"))
            assert found == cause
            assert line.startswith(cause + ": ")
        assert apt_index.complaint(Ran(0, "Hit:1 http://x\nReading package lists...\n", "")) is None

    def test_only_what_we_installed_is_removed_with_its_declaration(self):
        """A package that was there before stays."""
        record = {"name": "nginx", "created": False, "before": {"version": "1"}, "want": {"manager": "apt"}}
        assert package.removal(record) is None
        record["created"] = True
        assert package.removal(record) == package.Desired("nginx", state="absent", manager="apt")

    def ahead(self, *wants, **planned):
        """-> {name: found} of the time when these are made; the keywords are repositories, but for `files`."""
        files = planned.pop("files", {})
        self.host.answer("mktemp", "/tmp/statectl-planned.abc\n")
        for words in ("mkdir", "chmod", "chown", "rm", "cp", "install", "tee", "apt-get update"):
            self.host.answer(words, "")
        changes = {"package_repository:" + name: want for name, want in planned.items()}
        changes.update(("file:" + path, want) for path, want in files.items())
        self.host.ran, self.host.inputs = [], []
        return package.read_ahead(self.host, list(wants), {name: changes[name] for name in package.foreseen(changes)})

    def test_a_planned_repository_is_looked_at_in_a_scratch_directory(self):
        """Only its index is fetched, into a place that goes again, and apt is asked with the configuration to come."""
        extra = package_repository.Desired(
            "extra",
            state="present",
            uris=["https://deb.example.org"],
            suites=["x"],
            components=["main"],
            signed_by="/k",
        )
        key = file.Desired("/k", content=delivered("key"), mode="0600")
        found = self.ahead(self.want("lab-tool-01"), self.want("nginx"), extra=extra, files={"/k": key})
        assert found["lab-tool-01"].chosen == "1.1"
        (update,) = self.ran("apt-get", "update")
        assert "Dir::Etc::sourceparts=/tmp/statectl-planned.abc/fetched" in update
        for argv in [update, *self.ran("apt-cache"), *self.ran("apt-get", "-s")]:
            assert "Dir::State::Lists=/tmp/statectl-planned.abc/lists" in argv
        inputs = zip(self.host.ran, self.host.inputs)  # noqa: B905  Python 3.6 has no `strict`
        placed = {argv[-1]: text for argv, text in inputs if argv[0] == "install"}
        source = placed["/tmp/statectl-planned.abc/etc/sources.list.d/extra.sources"]
        (key_path,) = [path for path, text in placed.items() if text == "key"]
        assert "Signed-By: %s\n" % key_path in source
        assert "Trusted" not in source
        assert ["install", "-D", "-m", "0600", "--", "/dev/stdin", key_path] in self.host.ran
        assert self.host.ran[-1] == ["rm", "-rf", "--", "/tmp/statectl-planned.abc"]

    def test_a_planned_repository_that_does_not_answer_leaves_packages_unknown(self):
        """With the cause, until the repository; what is right already is told all the same."""
        extra = package_repository.Desired("extra", state="present", uris=["https://x"], suites=["./"], components=[])
        self.host.answer("apt-get update", Ran(100, "", "E: Failed to fetch https://x  Could not resolve 'x'\n"))
        answers, self.host.answer = (
            self.host.answer,
            lambda words, answer="": None if words == "apt-get update" else answers(words, answer),
        )
        found = self.ahead(self.want("lab-tool-01"), self.want("nginx"), extra=extra)
        assert found["nginx"].state == "present"
        assert isinstance(found["lab-tool-01"], Unknown)
        assert "repository name does not resolve" in found["lab-tool-01"].reason
        assert found["lab-tool-01"].until == ("package_repository:extra",)
        assert self.host.ran[-1] == ["rm", "-rf", "--", "/tmp/statectl-planned.abc"]

    def test_nothing_is_fetched_where_nothing_is_to_come(self):
        """Packages that are right already, or a repository of another manager: no command at all."""
        extra = package_repository.Desired("extra", state="present", uris=["https://x"], suites=["./"], components=[])
        assert self.ahead(self.want("nginx"), extra=extra)["nginx"].state == "present"
        assert self.host.ran == []
        rpm = package_repository.Desired("rpm", state="present", baseurl=["https://x"], manager="dnf")
        self.ahead(self.want("lab-tool-01"), rpm=rpm)
        assert self.ran("mktemp") == []
        assert package.foreseen({"file:/etc/motd": file.Desired("/etc/motd", content=delivered("x"))}) == []


if __name__ == "__main__":
    unittest.main()
