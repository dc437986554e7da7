"""A change that may lock the controller out: kept before it is made, confirmed by a new login, or undone by the host itself."""

import json
import os
import re
import stat
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from executor_case import ExecutorCase

from statectl.onhost.host import Host
from statectl.onhost.lockout import account_lines, program, record, units, ways
from statectl.onhost.lockout.images import Images
from statectl.onhost.lockout.record import Armed
from statectl.onhost.wanted import Item, load_type

LONG = {"seconds": 300, "login": True, "sudo": True}
SHORT = {"seconds": 1.0, "login": True, "sudo": True}
WAIT_S = 20.0


def wait_for(condition):
    limit = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.02)


class Watched(ExecutorCase):
    """The directory `ssh` of the machine is what a login depends on; the watchdog is a detached process."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.at("ssh"))
        self.put("ssh/config", "old\n")
        os.chmod(self.at("ssh/config"), 0o640)
        paths = {"ssh": (self.at("ssh"),), "network": (), "account": (), "sudo": ()}
        self.replace(ways, "_PATHS", paths)
        self.replace(ways, "connecting_people", lambda: {"ana": self.at("home")})
        self.replace(program, "_as_unit", lambda *_: False)
        self.replace(record, "remember_boot_unit", lambda *_: False)
        self.armed = Armed(os.path.join(self.state, "armed"))
        self.addCleanup(self.end_watchdog)

    def replace(self, module, name, value):
        self.addCleanup(setattr, module, name, getattr(module, name))
        setattr(module, name, value)

    def watchdogs(self):
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open("/proc/%s/cmdline" % name, "rb") as stream:
                        words = stream.read().split(b"\0")
                except OSError:
                    continue
                if os.fsencode(self.armed.path("program.pyz")) in words:
                    found.append(int(name))
        return found

    def end_watchdog(self):
        for pid in self.watchdogs():
            os.kill(pid, 9)
        wait_for(lambda: not self.watchdogs())

    def changed(self, *resources, **options):
        """Apply without acknowledging, as a controller that has not confirmed yet."""
        order = dict({"lock_out": LONG}, **options.pop("order", {}))
        controller = self.planned("apply", self.catalogue(*resources, **options), **order)
        self.controller = controller
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        self.ended = controller.until("end")
        controller.hang_up()
        controller.wait()
        return controller

    def confirm(self, controller):
        """A new login that confirms -> its end message; `self.ready`: what it was told."""
        again = self.order("confirm", run=controller.run)
        self.ready = again.until("ready", "end")
        end = again.until("end") if self.ready["type"] == "ready" else self.ready
        again.hang_up()
        again.wait()
        return end

    def undelivered(self, run):
        with open(os.path.join(self.state, "undelivered", run + ".json")) as stream:
            return json.load(stream)["data"]


class Confirmed(Watched):
    def test_a_confirmed_change_stays(self):
        """The end says how long there is; the new login confirms, the watchdog ends, and the change is not undone."""
        first = self.changed(self.file("ssh/config", "new\n"), order={"lock_out": dict(SHORT, seconds=3.0)})
        assert self.ended["armed"] == 3.0
        assert len(self.watchdogs()) == 1
        assert self.confirm(first)["outcome"] == "done"
        wait_for(lambda: not self.watchdogs())
        time.sleep(3.2)
        assert self.text("ssh/config") == "new\n"
        assert sorted(os.listdir(self.armed.directory)) == ["settled.json", "watchdog.lock"]
        assert self.confirm(first)["outcome"] == "done"  # a confirmation whose answer was lost is repeated

    def test_the_plan_says_it(self):
        """Verdicts on what is armed say after how many seconds; others, and plans of who needs no login, do not."""
        files = [self.file("ssh/config", "new\n"), self.file("beside", "x\n")]
        controller = self.planned("plan", self.catalogue(*files), lock_out=LONG)
        said = {address.rpartition("/")[2]: one.get("armed") for address, one in controller.verdicts.items()}
        assert said == {"config": 300, "beside": None}
        controller = self.planned("plan", self.catalogue(*files), lock_out=dict(LONG, login=False))
        assert not [one for one in controller.verdicts.values() if "armed" in one]
        controller = self.planned("plan", self.catalogue(*files))
        assert not [one for one in controller.verdicts.values() if "armed" in one]

    def test_nothing_is_armed_without_need(self):
        """What is not of the way in, or is as wanted already, costs no directory, no process and no second login."""
        self.changed(self.file("beside", "x\n"), self.file("ssh/config", "old\n"))
        assert "armed" not in self.ended
        assert not os.path.exists(self.armed.directory)

    def test_only_its_own_run_is_confirmed(self):
        """A confirmation of another run is refused, and leaves what is armed as it is."""
        first = self.changed(self.file("ssh/config", "new\n"))
        first.run = "ANOTHER"
        assert self.confirm(first)["code"] == "E340"
        assert self.armed.read() is not None


class Undone(Watched):
    def test_files_and_memory_are_as_before(self):
        """Without a confirmation: content, mode, what was removed, made and linked; the rest of the run stays; the ledger forgets."""
        self.put("ssh/key", "secret\n")
        os.symlink("config", self.at("ssh/link"))
        self.changed(
            self.file("ssh/config", "new\n", mode="0600"),
            self.absent("ssh/key"),
            self.resource("directory", self.at("ssh/more"), state="present"),
            self.file("ssh/more/made", "x\n"),
            self.file("beside", "stays\n"),
            order={"lock_out": SHORT},
        )
        assert self.text("ssh/config") == "new\n"
        wait_for(lambda: self.armed.read() is None)
        assert self.text("ssh/config") == "old\n"
        assert stat.S_IMODE(os.stat(self.at("ssh/config")).st_mode) == 0o640
        assert self.text("ssh/key") == "secret\n"
        assert not self.exists("ssh/more")
        assert self.text("beside") == "stays\n"
        assert list(self.record("ledger.json")) == ["file:" + self.at("beside")]
        result = self.undelivered("R1")
        assert (result["outcome"], result["code"]) == ("failed", "E341")
        outcomes = {entry["address"].rpartition("/")[2]: entry["outcome"] for entry in result["results"]}
        assert outcomes == {
            "config": "failed",
            "key": "failed",
            "more": "failed",
            "made": "failed",
            "beside": "changed",
        }

    def test_the_plan_shows_the_change_again(self):
        """Managed before: the ledger's older entry is back, so nothing has drifted, and the change is pending, not corrective."""
        self.apply(self.file("ssh/config", "first\n"))
        self.changed(self.file("ssh/config", "second\n"), order={"lock_out": SHORT})
        wait_for(lambda: self.armed.read() is None)
        assert self.text("ssh/config") == "first\n"
        (verdict,) = self.plan(self.file("ssh/config", "second\n")).values()
        assert (verdict["verdict"], verdict["kind"]) == ("change", "intended")
        drift = self.order("drift")
        drift.until("end")
        assert [one["verdict"] for one in drift.of("verdict")] == ["ok"]

    def test_a_late_confirmation_is_told(self):
        """Who comes too late is told that it was undone, and is handed the result of the run."""
        first = self.changed(self.file("ssh/config", "new\n"), order={"lock_out": SHORT})
        wait_for(lambda: self.armed.read() is None)
        end = self.confirm(first)
        assert (end["outcome"], end["code"]) == ("failed", "E341")
        assert "undone by the host" in end["reason"]
        assert [one["outcome"] for one in self.ready["memory"]["undelivered"]] == ["failed"]

    def test_a_restart_that_only_it_asked_for_is_not_owed(self):
        """A debt of a change that was undone goes with it."""
        self.put("daemon", "1")
        self.put("daemon.broken", "")
        self.changed(
            self.file("ssh/config", "new\n", notify=["daemon:" + self.at("daemon")]),
            self.daemon(),
            order={"lock_out": SHORT},
        )
        assert list(self.record("debt.json")) == ["daemon:" + self.at("daemon")]
        wait_for(lambda: self.armed.read() is None)
        assert self.record("debt.json") == {}

    def test_the_executor_is_killed_in_the_middle(self):
        """The time begins when the executor is found dead: what it had changed is undone, and the ledger takes none of it in."""
        self.put("odd.kill", "")
        controller = self.planned(
            "apply", self.catalogue(self.file("ssh/config", "new\n"), self.odd("odd")), lock_out=SHORT
        )
        controller.send({"type": "go", "plan_id": None, "observed": {}})
        controller.wait()
        assert self.text("ssh/config") == "new\n"
        wait_for(lambda: self.armed.read() is None)
        assert self.text("ssh/config") == "old\n"
        assert "file:" + self.at("ssh/config") not in self.record("ledger.json")
        assert self.undelivered("R1")["outcome"] == "failed"

    def test_what_a_type_does_not_announce_is_recognised_by_its_write(self):
        """A file below a link that leads there is armed when it is written, although its address does not say so."""
        os.symlink(self.at("ssh"), self.at("elsewhere"))
        os.mkdir(self.at("ssh/deep"))
        os.symlink(self.at("ssh/deep"), self.at("deeper"))
        self.put("ssh/deep/config", "old\n")
        self.replace(ways.Ways, "of", lambda *_: [])
        self.changed(self.file("deeper/config", "new\n"), order={"lock_out": SHORT})
        assert self.ended["armed"] == 1.0
        wait_for(lambda: self.armed.read() is None)
        assert self.text("ssh/deep/config") == "old\n"


class Waiting(Watched):
    def test_another_apply_waits_or_is_refused(self):
        """Nobody else writes while a change waits: E518 with who and how long; a lock timeout waits; a plan reads, and hands nothing over."""
        self.changed(self.file("ssh/config", "new\n"), order={"lock_out": dict(SHORT, seconds=4.0)})
        second = self.order("apply", controller="bob@desk")
        end = second.until("ready", "end")
        assert (end["type"], end["outcome"], end["code"]) == ("end", "refused", "E518")
        assert re.search(r"by run R1 of ana@laptop waits .* undone in \d s", end["reason"])
        plan = self.planned("plan", self.catalogue(self.file("ssh/config", "new\n")))
        assert plan.ready["memory"]["undelivered"] == []
        third = self.order("apply", lock_timeout_s=30)
        assert third.until("waiting", "ready", "end")["type"] == "waiting"
        assert third.until("ready", "end")["type"] == "ready"
        assert self.text("ssh/config") == "old\n"

    def test_a_dead_watchdog_is_started_again(self):
        """Killed, with nobody to start it: the next contact does, and an undoing that is due is waited for before anything is read."""
        self.changed(self.file("ssh/config", "new\n"), order={"lock_out": dict(SHORT, seconds=2.0)})
        self.end_watchdog()
        time.sleep(2.2)
        assert self.text("ssh/config") == "new\n"
        plan = self.planned("plan", self.catalogue(self.file("ssh/config", "new\n")))
        assert self.text("ssh/config") == "old\n"
        assert [one["verdict"] for one in plan.verdicts.values()] == ["change"]
        assert [one["outcome"] for one in plan.ready["memory"]["undelivered"]] == ["failed"]

    def test_a_dead_watchdog_does_not_cost_the_confirmation(self):
        """Killed while there is time: the confirmation holds all the same."""
        first = self.changed(self.file("ssh/config", "new\n"))
        self.end_watchdog()
        assert self.confirm(first)["outcome"] == "done"
        assert self.text("ssh/config") == "new\n"

    def test_another_boot_counts_as_over(self):
        """After a reboot nobody can tell the time: a confirmation comes too late, and the change is undone."""
        first = self.changed(self.file("ssh/config", "new\n"))
        self.end_watchdog()
        found = self.armed.read()
        self.armed.write(dict(found, boot="another"))
        assert self.confirm(first)["code"] == "E341"
        assert self.text("ssh/config") == "old\n"

    def test_what_cannot_be_armed_is_not_done(self):
        """Without a living watchdog the change is refused, the machine is as it was, and nothing stays armed."""
        self.replace(program, "_detached", lambda *_: None)
        self.replace(program, "START_S", 0.2)
        self.changed(self.file("ssh/config", "new\n"), self.file("beside", "x\n"))
        results = {one["address"].rpartition("/")[2]: one for one in self.controller.of("result")}
        assert results["config"]["outcome"] == "failed"
        assert results["config"]["error"]["cause"] == "cannot be armed"
        assert results["beside"]["outcome"] == "changed"
        assert "armed" not in self.ended
        assert self.text("ssh/config") == "old\n"
        assert self.armed.read() is None


class Ways(unittest.TestCase):
    """Which declarations touch the way in."""

    def of(self, kind, name, login=True, sudo=True, fields=("content",), **want):
        module = load_type(kind)
        item = Item("%s:%s" % (kind, name), "web", 1, module, module.Desired(name=name, **want), 0)
        item.fields = fields
        return ways.Ways(login, sudo, {"ana": "/home/ana", "root": "/root"}, ["wheel"]).of(item)

    def test_by_address(self):
        """Paths, services, packages, users, groups, commands and kernel settings, each with its family; their neighbours are none."""
        for kind, name, want, expected in (
            ("file", "/etc/ssh/sshd_config", {}, ["ssh"]),
            ("file", "/etc/ssh/sshd_config.d/10-x.conf", {}, ["ssh"]),
            ("file", "/etc/sshd", {}, []),
            ("line", "x", {"path": "/etc/sudoers"}, ["sudo"]),
            ("text_block", "x", {"path": "/etc/nftables.conf"}, ["network"]),
            ("text_block", "x", {"path": "/etc/hosts"}, []),
            ("link", "/etc/pam.d/sshd", {}, ["account"]),
            ("unit", "ssh.service", {"drop_in": "x"}, ["ssh"]),
            ("unit", "web.service", {}, []),
            ("service", "ssh", {}, ["ssh"]),
            ("service", "nftables.service", {}, ["network"]),
            ("service", "nginx", {}, []),
            ("package", "openssh-server", {}, ["ssh"]),
            ("package", "sudo", {}, ["sudo"]),
            ("package", "openssh-client", {}, []),
            ("user", "ana", {}, ["account"]),
            ("user", "bob", {}, []),
            ("unix_group", "wheel", {}, ["account"]),
            ("unix_group", "web", {}, []),
            ("authorized_key", "ana", {}, ["account"]),
            ("authorized_key", "bob", {}, []),
            ("authorized_key", "bob", {"file": "/etc/ssh/keys/bob"}, []),
            ("command", "x", {"run": ["/usr/sbin/nft", "-f", "/x"]}, ["network"]),
            ("command", "x", {"run": "systemctl restart ssh"}, ["ssh"]),
            ("command", "x", {"run": "sed -i s/a/b/ /etc/sudoers"}, ["sudo"]),
            ("command", "x", {"run": ["make", "install"]}, []),
            ("sysctl", "net.ipv6.conf.all.disable_ipv6", {}, ["network"]),
            ("sysctl", "net.core.somaxconn", {}, []),
        ):
            with self.subTest(kind=kind, name=name, want=want):
                assert self.of(kind, name, **want) == expected

    def test_directories_above(self):
        """Owner and mode of a directory on the way count; what is in a tree counts where it lies; a directory far away does not."""
        assert self.of("directory", "/home/ana", fields=("mode",)) == ["account"]
        assert self.of("directory", "/home", fields=("owner",)) == ["account"]
        assert self.of("directory", "/srv", fields=("owner",)) == []
        manifest = [{"path": "ssh/sshd_config", "kind": "file"}, {"path": "motd", "kind": "file"}]
        assert self.of("tree", "/etc", fields=("manifest",), manifest=manifest) == ["ssh"]
        assert self.of("tree", "/etc", fields=("manifest",), manifest=manifest[1:]) == []

    def test_who_needs_it(self):
        """Without sudo, sudoers is nothing to us; without a login, sshd is nothing."""
        assert self.of("file", "/etc/sudoers", sudo=False) == []
        assert self.of("file", "/etc/ssh/sshd_config", login=False) == []
        assert self.of("file", "/etc/pam.d/sudo", login=False) == ["account"]


class Parts(ExecutorCase):
    def test_users_by_line(self):
        """A changed, removed or regrouped user is as before; another one that came meanwhile stays."""
        os.mkdir(self.at("etc"))
        before = {
            "etc/passwd": "root:x:0:0::/root:/bin/sh\nana:x:5:5::/home/ana:/bin/sh\n",
            "etc/shadow": "root:*:1::::::\nana:hash:1::::::\n",
            "etc/group": "root:x:0:\nana:x:5:\nwheel:x:6:ana,bob\nweb:x:7:bob\n",
        }
        for name, text in before.items():
            self.put(name, text)
        self.addCleanup(setattr, account_lines, "LOCK", account_lines.LOCK)
        account_lines.LOCK = self.at("lock")
        host = Host(root=self.machine)
        images = json.loads(json.dumps(account_lines.image(host, ["ana"])))
        self.put("etc/passwd", "root:x:0:0::/root:/bin/sh\neve:x:8:8::/:/bin/sh\n")
        self.put("etc/shadow", "root:*:1::::::\nana:!:1::::::\neve:*:1::::::\n")
        self.put("etc/group", "root:x:0:\nwheel:x:6:bob,eve\nweb:x:7:ana,bob\n")
        assert account_lines.put_back(host, images) == ["/etc/passwd", "/etc/shadow", "/etc/group"]
        assert (
            self.text("etc/passwd") == "root:x:0:0::/root:/bin/sh\neve:x:8:8::/:/bin/sh\nana:x:5:5::/home/ana:/bin/sh\n"
        )
        assert self.text("etc/shadow") == "root:*:1::::::\nana:hash:1::::::\neve:*:1::::::\n"
        assert self.text("etc/group") == "root:x:0:\nwheel:x:6:bob,eve,ana\nweb:x:7:bob\nana:x:5:\n"
        assert account_lines.put_back(host, images) == []

    def test_images_of_every_kind(self):
        """Whatever took the place of a file, a link or a directory gives way; what was not there goes, with all that is in it."""
        os.mkdir(self.at("kept"))
        for name in ("file", "other"):
            self.put(name, name)
        os.symlink("file", self.at("link"))
        os.mkdir(self.at("directory"), 0o700)
        images = Images(self.at("kept"), {})
        for name in ("file", "link", "directory", "absent", "other"):
            images.take(self.at(name))
        os.unlink(self.at("file"))
        os.mkdir(self.at("file"))
        self.put("file/in-it", "x")
        os.unlink(self.at("link"))
        self.put("link", "x")
        os.rmdir(self.at("directory"))
        os.makedirs(self.at("absent/deep/deeper"))
        moved, troubles = images.put_back(Host())
        assert troubles == []
        assert [os.path.basename(path) for path in moved] == ["directory", "file", "link", "absent"]
        assert self.text("file") == "file"
        assert os.readlink(self.at("link")) == "file"
        assert stat.S_IMODE(os.stat(self.at("directory")).st_mode) == 0o700
        assert not self.exists("absent")
        assert images.put_back(Host()) == ([], [])

    def test_enabling_and_masking_back(self):
        """Words for systemctl that lead back from each state to each other."""
        steps = units._enabling
        assert steps("enabled", "enabled") == []
        assert steps("enabled", "masked") == [["unmask"], ["enable"]]
        assert steps("disabled", "enabled") == [["disable"]]
        assert steps("masked-runtime", "disabled") == [["mask", "--runtime"]]
        assert steps("static", "masked-runtime") == [["unmask", "--runtime"]]

    def test_the_program_stands_alone(self):
        """The zip runs without this checkout, and finds nothing to do where nothing is armed."""
        armed = Armed(os.path.join(self.top, "empty", "armed"))
        os.makedirs(armed.directory)
        path = self.at("program.pyz")
        program.write(path)
        argv = program.command(path, os.path.join(self.top, "empty"))
        ran = Host().run(argv, cwd="/", check=False, timeout=30)
        assert (ran.code, ran.out, ran.err) == (0, "", "")


if __name__ == "__main__":
    unittest.main()
