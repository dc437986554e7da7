"""What patches leave to be done: hooks around them, restarts, and a reboot that is owed until the host was booted. The host's boot is a file here."""

import json
import os
import sys
import time
import types
from typing import Any, NamedTuple

from executor_case import PHASES, ExecutorCase

from statectl.onhost.failure import Failed
from statectl.onhost.lockout.arming import Arming
from statectl.onhost.memory import Memory
from statectl.onhost.patching import afterwards, needs, rebooting, restarting, since_boot
from statectl.onhost.resources import service

PHASES["patches"] = 2
WINDOW = [{"name": "web", "disrupt": "window:night"}]
CLOSED = {"web": {"seconds": 0, "waits": "waits for window night, opens tomorrow"}}
NOTHING = {"reboot": False, "reasons": [], "services": {}, "processes": []}
WANTED = {"reboot": True, "reasons": ["lab-kernel asks for a reboot"], "services": {}, "processes": []}
TARGET = "patches:debian"


class Patches(NamedTuple):
    """Installed when the file `where` holds the version; version 'fails' does not install."""

    name: str
    where: Any = None
    version: Any = None
    versions: Any = None
    manager: Any = None
    reboot: Any = None
    restart: Any = None
    hooks: Any = None
    max_reboots: Any = None
    reboot_timeout_s: Any = None


def _patches():
    module = types.ModuleType("statectl.onhost.resources.patches")

    def read(host, wanted):
        found = {}
        for want in wanted:
            there = os.path.exists(want.where)
            with open(want.where if there else os.devnull) as stream:
                found[want.name] = Patches(want.name, version=stream.read())
        return found

    def apply(host, want, found, differing):
        if want.version == "fails":
            raise Failed("dpkg said no", "dpkg said no")
        with open(want.where, "w") as stream:
            stream.write(want.version)
        with open(want.where + ".log", "a") as stream:
            stream.write("install\n")
        if os.path.exists(want.where + ".kill"):
            os.unlink(want.where + ".kill")
            os.kill(os.getpid(), 9)

    options = ("where", "versions", "manager", "reboot", "restart", "hooks", "max_reboots", "reboot_timeout_s")
    module.__dict__.update(
        Desired=Patches,
        OPTIONS=options,
        read=read,
        apply=apply,
        installs=lambda want, found: [["lab", "amd64", want.version]],
        disrupts=lambda want, found, differing: "upgrade",
        removal=lambda record: None,
    )
    return module


class Reboot(ExecutorCase):
    def setUp(self):
        super().setUp()
        replaced = {
            (since_boot, "BOOT_ID"): self.at("boot_id"),
            (needs, "gather"): lambda host, manager="": json.loads(self.text("needs")),
            (afterwards, "failed_units"): lambda host, stop: self.text("failed").split(),
            (afterwards, "_services_failed"): lambda host, units: Failed(
                "failed since the reboot: " + ", ".join(units), "services failed since the reboot"
            ),
            (rebooting, "WAYS"): ((self.at("reboot"),),),
            (rebooting, "GOING_DOWN_S"): 5.0,
            (restarting, "sorted_out"): lambda host, units: (
                {unit: "" for unit in units if unit != "dbus.service"},
                {unit: "only a reboot renews it" for unit in units if unit == "dbus.service"},
            ),
            (service, "notify"): self._restart,
        }
        for (module, name), value in replaced.items():
            self.addCleanup(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        name = "statectl.onhost.resources.patches"
        self.addCleanup(sys.modules.__setitem__, name, sys.modules.get(name) or types.ModuleType(name))
        sys.modules[name] = _patches()
        self.boot("one")
        self.put("failed", "")
        self.need(WANTED)
        # a reboot is a line in a file, and the end of the executor
        self.put("reboot", f"#!/bin/sh\necho reboot >> {self.at('reboots')}\nkill $PPID\n")
        os.chmod(self.at("reboot"), 0o755)
        self.put("hook", f"#!/bin/sh\necho $STATECTL_HOOK $STATECTL_BASELINE $STATECTL_PATCHES >> {self.at('hooks')}\n"
                         f"[ ! -e {self.at('broken')}-$STATECTL_HOOK ] || {{ echo broken; exit 3; }}\n")  # fmt: skip
        os.chmod(self.at("hook"), 0o755)

    def _restart(self, host, want, verb):
        if os.path.exists(self.at("stuck-" + want.name)):
            raise Failed(want.name + " restart: failed", "restart failed")
        with open(self.at("restarts"), "a") as stream:
            stream.write(want.name + "\n")

    def boot(self, name):
        self.put("boot_id", name)

    def need(self, told):
        self.put("needs", json.dumps(told))

    def lines(self, name):
        return self.text(name).split("\n")[:-1] if self.exists(name) else []

    def hooks(self, *names):
        return {**{name: [self.at("hook")] for name in names}, "timeout_s": 10}

    def patches(self, version="1", **fields):
        fields.setdefault("reboot", "if_needed")
        fields.setdefault("restart", "needed")
        fields.setdefault("max_reboots", 1)
        fields["versions"] = [["lab", "amd64", version]]
        return self.resource("patches", "debian", where=self.at("patch"), version=version, **fields)

    def go(self, *resources, grant=True, disrupt=None, associations=None, **order):
        """An apply to its very end: also behind `end`."""
        options = {} if associations is None else {"associations": associations}
        controller = self.planned("apply", self.catalogue(*resources, **options), **order)
        self.controller = controller
        controller.send({"type": "go", "observed": {}, **({} if disrupt is None else {"disrupt": disrupt})})
        self.ended = controller.until("end")
        controller.send({"type": "ack", "runs": [controller.run], **({"reboot": True} if grant else {})})
        controller.wait()
        self.notified = controller.of("notified")
        return {message["address"]: message for message in controller.of("result")}

    def told(self):
        return [(one["address"], one["verb"], one["outcome"]) for one in self.notified]

    def debts(self):
        there = os.path.exists(os.path.join(self.state, "debt.json"))
        return {address: debt["verb"] for address, debt in self.record("debt.json").items()} if there else {}

    def owed(self):
        """As a plan hears it."""
        controller = self.planned("plan", self.catalogue())
        controller.hang_up()
        controller.wait()
        return [f"{debt['verb']} {debt['address']}" for debt in controller.ready["memory"]["debts"]]

    # -- the debt

    def test_it_is_rebooted_only_at_the_controllers_word(self):
        """`end` asks for the reboot and names the boot; with the word it happens, once, and without it the host stays up and owes it."""
        self.go(self.patches(), grant=False)
        asked = self.ended["reboot"]
        assert (asked["boot_id"], asked["timeout_s"], asked["max_reboots"]) == ("one", 900, 1)
        assert asked["reasons"] == WANTED["reasons"]
        assert self.lines("reboots") == []
        assert self.debts() == {TARGET: "reboot"}
        assert self.record("debt.json")[TARGET]["paying"] is None
        self.go(self.patches())
        assert self.lines("reboots") == ["reboot"]
        assert self.lines("patch.log") == ["install"]

    def test_no_other_run_begins_while_it_goes_down(self):
        """The host is held until its reboot ends us: who comes meanwhile is refused, with the name of this run."""
        self.put("reboot", f"#!/bin/sh\ntouch {self.at('going')}\nsleep 1\nkill $PPID\n")
        controller = self.planned("apply", self.catalogue(self.patches()))
        controller.send({"type": "go", "observed": {}})
        controller.until("end")
        controller.send({"type": "ack", "runs": [controller.run], "reboot": True})
        limit = time.monotonic() + 20
        while not self.exists("going") and time.monotonic() < limit:
            time.sleep(0.01)
        other = self.order("apply")
        refused = other.until("ready", "end")
        assert (refused["type"], refused.get("code")) == ("end", "E501"), refused
        assert refused["holder"]["run"] == controller.run
        controller.wait()

    def test_a_reboot_of_ours_is_told_and_the_patches_are_not_repeated(self):
        """In the next boot the run that goes on says that it was rebooted, installs nothing again, and nothing is owed."""
        self.go(self.patches())
        self.boot("two")
        self.need(NOTHING)
        assert self.owed() == [f"after_reboot {TARGET}"]
        results = self.go(self.patches(), rebooted=1)
        assert self.outcomes(results) == {"debian": "ok"}
        assert self.told() == [(TARGET, "reboot", "changed"), (TARGET, "after_reboot", "ok")]
        assert self.ended["outcome"] == "applied"
        assert "reboot" not in self.ended
        assert self.debts() == {}
        assert self.lines("patch.log") == ["install"]

    def test_whoever_boots_the_host_has_paid(self):
        """A reboot by somebody else pays the debt: nothing is owed, nothing is told, no hook runs."""
        self.go(self.patches(hooks=self.hooks("after_reboot")), grant=False)
        self.boot("two")
        assert self.owed() == []
        self.go(self.patches(hooks=self.hooks("after_reboot")))
        assert self.told() == []
        assert self.lines("hooks") == []
        assert self.lines("reboots") == []

    def test_not_needed_means_no_reboot(self):
        """if_needed looks at what is needed really; always reboots after an install and not after none; never does not."""
        self.need(NOTHING)
        self.go(self.patches())
        assert (self.ended.get("reboot"), self.debts()) == (None, {})
        self.go(self.patches("2", reboot="always"))
        assert self.ended["reboot"]["reasons"] == ["reboot: always"]
        self.boot("two")
        self.go(self.patches("2", reboot="always"), rebooted=1)
        assert "reboot" not in self.ended
        self.need(WANTED)
        self.go(self.patches("3", reboot="never"))
        assert (self.ended.get("reboot"), self.debts()) == (None, {})
        assert "reboot: never" in self.notified[-1]["reason"]
        assert "lab-kernel" in self.notified[-1]["reason"]

    def test_what_was_installed_since_the_boot_is_known(self):
        """Also with reboot: never, and only until the next boot; it waits for one only where that is needed, or always wanted."""
        self.go(self.patches("1", reboot="never"))
        self.go(self.patches("2", reboot="never"))
        memory = Memory(self.state)
        memory.load()
        expected = [["lab", "amd64", "1"], ["lab", "amd64", "2"]]
        assert needs.pending_reboot(memory, "one", needed=True) == expected
        assert needs.pending_reboot(memory, "two", needed=True) == []
        assert needs.pending_reboot(memory, "one", needed=False) == []
        self.go(self.patches("3", reboot="always"), grant=False)
        memory.load()
        assert needs.pending_reboot(memory, "one", needed=False) == [*expected, ["lab", "amd64", "3"]]

    def test_killed_in_the_transaction_it_is_owed(self):
        """The debt is durable before the first package is unpacked."""
        self.put("patch.kill", "")
        self.apply_until_killed(self.patches())
        self.go(self.patches(), grant=False)
        assert self.ended["reboot"]["boot_id"] == "one"
        assert self.lines("patch.log") == ["install"]

    def test_the_power_fails_in_the_transaction(self):
        """The boot was not ours, so after_reboot does not run and no reboot is told; on_exit, which the cut-off run owed, does."""
        patches = self.patches(hooks=self.hooks("after_reboot", "on_exit"))
        self.put("patch.kill", "")
        self.apply_until_killed(patches)
        self.boot("two")
        self.put("failed", "web.service")  # for whatever reason: it was not us who rebooted
        self.need(NOTHING)
        self.go(patches)
        assert [line.split()[0] for line in self.lines("hooks")] == ["on_exit"]
        assert (TARGET, "reboot", "changed") not in self.told()
        assert (self.ended["outcome"], self.debts()) == ("applied", {})

    def test_it_waits_for_the_window(self):
        """Installed in the window, whose cutoff is over at the end: told as pending with the reason, still owed, and done in the next one."""
        self.go(self.patches(), grant=False)
        self.go(self.patches(), associations=WINDOW, disrupt=CLOSED)
        assert "reboot" not in self.ended
        (told,) = self.notified
        assert (told["verb"], told["outcome"], told["pending"]) == ("reboot", "skipped", True)
        assert told["reason"] == CLOSED["web"]["waits"]
        assert self.lines("reboots") == []
        assert self.owed() == [f"reboot {TARGET}"]
        self.go(self.patches(), associations=WINDOW, disrupt={"web": {"seconds": 3600, "waits": ""}})
        assert self.lines("reboots") == ["reboot"]

    def test_a_host_on_which_something_failed_is_not_rebooted(self):
        """It stays as it is for whoever looks at it; the reboot is owed, and the reason is told."""
        self.go(self.patches(), self.odd("bad", how="fails"))
        assert self.ended["outcome"] == "failed"
        assert "reboot" not in self.ended
        assert (TARGET, "reboot", "skipped") in self.told()
        assert "still owed" in self.notified[-1]["reason"]
        assert self.debts() == {TARGET: "reboot"}

    def test_a_change_that_may_lock_us_out_comes_first(self):
        """While it waits for its confirmation the host is not rebooted: the reboot is owed, and the next run does it."""
        armed = Arming.armed
        self.addCleanup(setattr, Arming, "armed", armed)
        Arming.armed = property(lambda _: True)
        self.go(self.patches())
        assert "reboot" not in self.ended
        assert "still owed: a change that may lock us out is not confirmed yet" in [
            one["reason"] for one in self.notified
        ]
        Arming.armed = armed
        self.go(self.patches())
        assert self.lines("reboots") == ["reboot"]

    def test_a_reboot_in_a_circle_ends(self):
        """What still asks for a reboot after the only one of this run has failed, names it, and stays owed for the next run."""
        self.go(self.patches())
        self.boot("two")
        self.go(self.patches(), rebooted=1)
        assert self.lines("reboots") == ["reboot"]
        assert self.ended["outcome"] == "failed"
        (told,) = [one for one in self.notified if one["outcome"] == "failed"]
        assert told["error"]["message"] == "still wants a reboot after 1 reboot (lab-kernel)"
        assert self.ended["code"] == "E531"
        assert self.debts() == {TARGET: "reboot"}
        self.go(self.patches(max_reboots=2), rebooted=1)
        assert self.lines("reboots") == ["reboot"] * 2

    def test_a_service_that_failed_since_the_reboot(self):
        """One that had failed before is nothing new; a new one fails the host, and no more patches are installed there."""
        self.put("failed", "old.service")
        self.go(self.patches())
        self.boot("two")
        self.put("failed", "old.service\nweb.service")
        results = self.go(self.patches("2"), rebooted=1)
        assert self.ended["outcome"] == "failed"
        assert results[TARGET]["outcome"] == "skipped"
        (told,) = [one for one in self.notified if one["outcome"] == "failed"]
        assert told["error"]["message"] == "failed since the reboot: web.service"
        assert self.ended["code"] == "E411"
        assert self.lines("patch.log") == ["install"]

    def test_health_is_asked_when_it_is_back(self):
        """Not before the reboot; after it, and what is not well then fails the host."""
        health = {"kind": "command", "what": ["test", "-e", self.at("well")], "within_s": 0.2, "expect": 0}
        associations = [{"name": "web", "health": health}]
        self.go(self.patches(), associations=associations)
        assert self.ended["outcome"] == "applied"
        assert not [one for one in self.notified if one["verb"] == "check"]
        self.boot("two")
        self.need(NOTHING)
        self.go(self.patches(), associations=associations, rebooted=1)
        assert self.ended["outcome"] == "failed"
        assert "health of association web" in self.ended["reason"]

    def test_packages_that_cannot_be_judged_after_the_reboot(self):
        """A scan that failed takes the patches out of the catalogue: services and hooks are looked at all the same, and nothing is forgotten."""
        self.go(self.patches(hooks=self.hooks("after_reboot", "on_exit")))
        self.boot("two")
        self.put("failed", "web.service")
        self.need(NOTHING)
        self.go(self.file("beside"), rebooted=1)
        assert self.ended["outcome"] == "failed"
        assert [line.split()[0] for line in self.lines("hooks")] == ["on_exit"]
        self.put("failed", "")
        self.need(WANTED)
        self.go(self.patches("2"), grant=False)
        self.go(self.file("beside"))
        assert self.told() == [(TARGET, "reboot", "skipped")]
        assert self.debts() == {TARGET: "reboot"}

    # -- restarts

    def test_what_runs_old_code_is_restarted(self):
        """Each service is told as restarted because of the patches; one that is not restarted blindly is warned of; never restarts none."""
        using = {"app.service": ["/usr/lib/x.so"], "dbus.service": ["/usr/lib/x.so"]}
        self.need(dict(NOTHING, services=using))
        self.go(self.patches(restart="never"))
        assert self.lines("restarts") == []
        self.go(self.patches("2"))
        assert self.lines("restarts") == ["app.service"]
        (told,) = [one for one in self.notified if one["outcome"] == "changed"]
        assert (told["address"], told["verb"], told["because"]) == ("service:app", "restart", [TARGET])
        (warned,) = self.controller.of("log")
        assert "dbus.service still uses replaced /usr/lib/x.so" in warned["text"]
        assert self.debts() == {}

    def test_a_restart_that_fails_is_owed(self):
        """The host has failed, and the next run tries it again although it installs nothing."""
        self.need(dict(NOTHING, services={"app.service": ["/usr/lib/x.so"]}))
        self.put("stuck-app.service", "")
        self.go(self.patches())
        assert self.ended["outcome"] == "failed"
        assert self.debts() == {TARGET: "restart"}
        os.unlink(self.at("stuck-app.service"))
        self.go(self.patches())
        assert self.lines("restarts") == ["app.service"]
        assert (self.ended["outcome"], self.debts()) == ("applied", {})

    def test_what_a_reboot_renews_is_not_restarted_before(self):
        """No service is restarted right before the reboot that restarts it anyway."""
        self.need(dict(WANTED, services={"app.service": ["/usr/lib/x.so"]}))
        self.go(self.patches())
        assert self.lines("restarts") == []
        assert self.lines("reboots") == ["reboot"]

    # -- hooks

    ALL = ("before_install", "after_install", "before_reboot", "after_reboot", "on_exit")

    def test_hooks_in_their_order(self):
        """Over a reboot: on_exit comes once, at the very end; in a run with nothing to do none runs."""
        patches = self.patches(hooks=self.hooks(*self.ALL))
        self.go(patches)
        assert self.lines("hooks") == [f"{name} debian 1" for name in self.ALL[:3]]
        self.boot("two")
        self.need(NOTHING)
        patches["want"]["versions"] = []  # nothing is left to be installed, and the hooks are told of what was
        self.go(patches, rebooted=1)
        assert self.lines("hooks") == [f"{name} debian 1" for name in self.ALL]
        self.go(patches)
        assert len(self.lines("hooks")) == len(self.ALL)

    def test_a_hook_that_fails_skips_to_on_exit(self):
        """before_install: nothing is installed; after_install: installed, not rebooted; before_reboot: not rebooted. The host has failed each time."""
        expected = {
            "before_install": (["before_install", "on_exit"], []),
            "after_install": (["before_install", "after_install", "on_exit"], ["install"]),
            "before_reboot": (["before_install", "after_install", "before_reboot", "on_exit"], ["install"]),
        }
        for version, (broken, (ran, installed)) in enumerate(expected.items(), 1):
            with self.subTest(broken):
                for name in ("hooks", "patch.log"):
                    if self.exists(name):
                        os.unlink(self.at(name))
                self.put("broken-" + broken, "")
                results = self.go(self.patches(str(version), hooks=self.hooks(*self.ALL)))
                os.unlink(self.at("broken-" + broken))
                assert [line.split()[0] for line in self.lines("hooks")] == ran
                assert self.lines("patch.log") == installed
                assert self.ended["outcome"] == "failed"
                assert "reboot" not in self.ended
                told = [one["error"] for one in (*results.values(), *self.notified) if one.get("error")]
                assert [error["cause"] for error in told] == [f"hook {broken} failed"]
                assert self.ended["code"] == "E410"
                assert "broken" in told[0]["output"]

    def test_on_exit_runs_when_the_install_failed(self):
        """And one that fails itself fails a host that went well."""
        self.go(self.patches("fails", hooks=self.hooks("on_exit")))
        assert [line.split()[0] for line in self.lines("hooks")] == ["on_exit"]
        self.need(NOTHING)
        self.put("broken-on_exit", "")
        self.go(self.patches("2", hooks=self.hooks("on_exit")))
        assert self.ended["outcome"] == "failed"
        assert self.told()[-1] == (TARGET, "on_exit", "failed")

    def test_without_the_word_on_exit_runs_all_the_same(self):
        """Nobody listens any more: its result is in what the host keeps."""
        self.go(self.patches(hooks=self.hooks("on_exit")), grant=False)
        assert [line.split()[0] for line in self.lines("hooks")] == ["on_exit"]

    def test_after_reboot_that_fails(self):
        """The host has failed, on_exit runs, and nothing more is owed to this boot."""
        patches = self.patches(hooks=self.hooks("after_reboot", "on_exit"))
        self.go(patches)
        self.boot("two")
        self.need(NOTHING)
        self.put("broken-after_reboot", "")
        self.go(patches, rebooted=1)
        assert [line.split()[0] for line in self.lines("hooks")] == ["after_reboot", "on_exit"]
        assert self.ended["outcome"] == "failed"
        assert self.debts() == {}

    def test_the_controller_was_lost_over_the_reboot(self):
        """Whatever run comes next looks at what came of it, with the hooks that are owed."""
        patches = self.patches(hooks=self.hooks("after_reboot", "on_exit"))
        self.go(patches)
        self.boot("two")
        self.need(NOTHING)
        self.go(patches)  # another run, that knows nothing of a reboot
        assert [line.split()[0] for line in self.lines("hooks")] == ["after_reboot", "on_exit"]
        assert self.ended["outcome"] == "applied"
