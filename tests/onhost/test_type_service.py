import re
import unittest

from recorded import RecordedHost
from type_case import TypeCase, make_so

from statectl.onhost.failure import Failed, Unknown
from statectl.onhost.process import Ran
from statectl.onhost.resources import service

UNIT = {
    "LoadState": "loaded",
    "ActiveState": "inactive",
    "UnitFileState": "disabled",
    "Type": "simple",
    "RemainAfterExit": "no",
    "NeedDaemonReload": "no",
    "CanReload": "no",
    "NRestarts": "0",
    "InvocationID": "a",
    "Result": "success",
    "ActiveEnterTimestampMonotonic": "0",
    "ActiveExitTimestampMonotonic": "0",
}


def apply_one(host, want, found, differing):
    make_so(service, host, want, found, differing)


class Services(TypeCase):
    module = service

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root)
        self.units = {}
        self.host.answer("systemctl", self.systemctl)
        self.host.answer("systemctl show", self.show)
        self.host.answer("journalctl", "x[1]: going down\n")
        for name, value in (("HOLD_S", 0.02), ("STABLE_S", 0.06), ("LOOK_S", 0.005)):
            self.addCleanup(setattr, service, name, getattr(service, name))
            setattr(service, name, value)

    def unit(self, name, **properties):
        self.units[name + ".service"] = dict(UNIT, Id=name + ".service", **properties)

    def show(self, argv, _):
        names = argv[argv.index("--") + 1 :]
        blocks = [
            self.units.get(name) or dict(UNIT, Id=name, LoadState="not-found", UnitFileState="") for name in names
        ]
        return (
            "\n\n".join("\n".join("{}={}".format(*pair) for pair in sorted(block.items())) for block in blocks) + "\n"
        )

    def systemctl(self, argv, _):
        """What systemd would do."""
        words = [word for word in argv[1:] if not word.startswith("--")]
        verb, block = words[0], self.units.get(words[-1], {})
        changes = {
            "start": {"ActiveState": "active"},
            "restart": {"ActiveState": "active", "InvocationID": "b"},
            "stop": {"ActiveState": "inactive"},
            "enable": {"UnitFileState": "enabled"},
            "disable": {"UnitFileState": "disabled"},
            "mask": {"UnitFileState": "masked", "LoadState": "masked"},
            "unmask": {"UnitFileState": "disabled", "LoadState": "loaded"},
        }
        block.update(changes.get(verb, {}))

    def want(self, name, **fields):
        return service.Desired(name, **fields)

    def verbs(self):
        return [
            " ".join(word for word in argv[1:] if not word.startswith("--"))
            for argv in self.host.ran
            if argv[0] == "systemctl" and argv[1] != "show"
        ]

    def failed(self, call, *words):
        with self.assertRaises(Failed) as caught:  # noqa: PT027  Python 3.6 runs this without pytest
            call(self.host, *words)
        return caught.exception

    def test_all_units_are_read_by_one_command(self):
        """Twenty services cost one systemctl; a bare name is a service."""
        for number in range(20):
            self.unit(f"s{number}", ActiveState="active", UnitFileState="enabled")
        wants = [self.want(f"s{number}", state="running", enabled=True) for number in range(20)]
        found = service.read(self.host, wants)
        assert all(record.state == "running" and record.enabled is True for record in found.values())
        assert len(self.host.ran) == 1

    def test_running_and_enabled(self):
        """Enabled first, so that a start that fails still leaves it enabled for the next boot."""
        self.unit("nginx")
        assert self.converge(self.want("nginx", state="running", enabled=True)) == ["state", "enabled"]
        assert self.verbs() == ["enable nginx.service", "start nginx.service"]

    def test_several_are_enabled_at_once_and_one_that_breaks_is_named(self):
        """Five services cost one call to enable and one wait; the one that does not come up is told apart, the others stay up."""
        names = ["s%d" % number for number in range(5)]
        for name in names:
            self.unit(name)
        self.host.answer("systemctl --no-ask-password start -- s3.service", Ran(1, "", "Job for s3.service failed\n"))
        wants = [self.want(name, state="running", enabled=True) for name in names]
        found = service.read(self.host, wants)
        failed = service.apply(self.host, [(want, found[want.name], ["state", "enabled"]) for want in wants])
        assert list(failed) == ["s3"]
        assert self.verbs()[0] == "enable " + " ".join(name + ".service" for name in names)
        assert [name for name, block in service.read(self.host, wants).items() if block.state == "running"] == [
            "s0",
            "s1",
            "s2",
            "s4",
        ]

    def test_stopped_and_masked(self):
        """Stopped before it is masked; masking alone would leave it running."""
        self.unit("nginx", ActiveState="active", UnitFileState="enabled")
        self.converge(self.want("nginx", state="stopped", masked=True))
        assert self.verbs() == ["stop nginx.service", "mask nginx.service"]
        self.converge(self.want("nginx", state="running", masked=False))
        assert self.verbs()[2:] == ["unmask nginx.service", "start nginx.service"]

    def test_a_failed_unit_is_stopped_and_its_start_limit_is_lifted(self):
        """`stopped` has nothing to do; `running` starts it although systemd has given up on it."""
        self.unit("nginx", ActiveState="failed")
        assert self.differing(self.want("nginx", state="stopped")) == []
        self.converge(self.want("nginx", state="running"))
        assert self.verbs() == ["reset-failed nginx.service", "start nginx.service"]

    def test_what_cannot_be_enabled_never_flaps(self):
        """Static, indirect, generated and aliased units look neither enabled nor disabled; a rule that insists changes for ever."""
        for state in ("static", "indirect", "alias", "transient"):
            self.unit("x", UnitFileState=state)
            assert self.differing(self.want("x", enabled=True)) == []
            assert self.differing(self.want("x", enabled=False)) == []

    def test_a_sysv_script_is_asked_for_its_own_links(self):
        """systemd calls it `generated` whether it starts at boot or not."""
        self.unit("x", UnitFileState="generated")
        self.host.answer("systemctl is-enabled", Ran(1, "disabled\n", ""))
        assert self.differing(self.want("x", enabled=True)) == ["enabled"]

    def test_enabled_until_reboot_is_not_enabled(self):
        """A link below /run is gone after the boot it was meant for."""
        self.unit("x", UnitFileState="enabled-runtime")
        assert self.differing(self.want("x", enabled=True)) == ["enabled"]
        assert self.differing(self.want("x", enabled=False)) == ["enabled"]

    def test_a_missing_unit_is_absent_or_as_good_as_stopped(self):
        """A package or unit of the same plan may bring it; one that is to be stopped need not be there."""
        assert self.found(self.want("x", state="running")).state == "absent"
        assert self.differing(self.want("x", state="stopped", enabled=False, masked=False)) == []
        assert "no unit x.service" in self.failed(apply_one, self.want("x", state="running"), None, ["state"]).message

    def test_a_deleted_unit_that_still_runs_is_stopped(self):
        """Its file is gone, its process is not."""
        self.unit("x", LoadState="not-found", UnitFileState="", ActiveState="active")
        assert self.converge(self.want("x", state="stopped", enabled=False)) == ["state"]

    def test_a_service_that_dies_at_once_has_failed(self):
        """systemctl says success; a look a moment later, with the unit's last words, says what is."""
        self.unit("x")
        calls = []

        def dying(argv, text):
            calls.append(1)
            if len(calls) > 2:
                self.units["x.service"].update(ActiveState="failed", Result="exit-code")
            return self.show(argv, text)

        self.host.answer("systemctl show", dying)
        error = self.failed(apply_one, self.want("x", state="running"), None, ["state"])
        assert re.search(r"active for 0\.\d s, then failed \(exit-code\)", error.message)
        assert error.output == "x[1]: going down\n"

    def test_a_service_that_systemd_keeps_restarting_has_failed(self):
        """Every look finds it active, in another invocation each time."""
        self.unit("x")
        calls = []

        def looping(argv, text):
            calls.append(1)
            self.units["x.service"]["NRestarts"] = str(max(0, len(calls) - 2))
            return self.show(argv, text)

        self.host.answer("systemctl show", looping)
        error = self.failed(apply_one, self.want("x", state="running"), None, ["state"])
        assert "then restarted by systemd" in error.message

    def started(self, *names):
        """These, started by this run and up a moment later."""
        for name in names:
            self.unit(name)
        wants = [self.want(name, state="running") for name in names]
        assert service.apply(self.host, [(want, None, ["state"]) for want in wants]) == {}
        self.host.ran = []

    def fallen(self, *names, stop=""):
        return {name: error.message for name, error in service.fallen(self.host, names, lambda: stop).items()}

    def test_a_service_that_dies_later_has_failed_at_the_end_of_the_run(self):
        """It was up when it was looked at first; how long it was up is what systemd says, however late that is noticed."""
        self.started("x", "y")
        begun, _ = self.host.started["x"]
        left = str(int((begun + 2) * 1e6))
        self.units["x.service"].update(ActiveState="failed", Result="exit-code", ActiveExitTimestampMonotonic=left)
        assert self.fallen("x", "y") == {"x": "x.service active for 2.0 s, then failed (exit-code)"}

    def test_one_wait_for_all_that_were_started(self):
        """Ten services are asked about together, until the last one has had its time; a stop ends the wait after one look."""
        names = ["s%d" % number for number in range(10)]
        self.started(*names)
        assert all(service.watched(self.host, name) for name in names)
        assert self.fallen(*names) == {}
        assert len(self.host.ran) < 1 + service.STABLE_S / service.LOOK_S
        assert all(len(argv) > 10 for argv in self.host.ran)
        self.started("z")
        assert self.fallen("z", stop="cancelled") == {}
        assert len(self.host.ran) == 1

    def test_what_somebody_else_restarts_has_not_fallen(self):
        """A package of the same run restarts its service; systemd counts only its own restarts, and those tell of a crash."""
        self.started("x")
        self.units["x.service"].update(InvocationID="another")
        assert self.fallen("x") == {}
        self.units["x.service"].update(InvocationID="one more", NRestarts="1")
        assert "then restarted by systemd" in self.fallen("x")["x"]

    def test_what_this_run_did_not_start_is_not_watched(self):
        """Enabled only, or stopped again by the same run: nothing to wait for."""
        self.unit("x", ActiveState="active")
        apply_one(self.host, self.want("x", enabled=True), None, ["enabled"])
        assert not service.watched(self.host, "x")
        self.started("y")
        apply_one(self.host, self.want("y", state="stopped"), None, ["state"])
        assert not service.watched(self.host, "y")

    def test_systemd_is_asked_for_all_that_is_judged(self):
        """What is not asked for looks like zero, and a crash loop would look like a quiet service."""
        self.started("x")
        self.fallen("x")
        asked = next(word for word in self.host.ran[0] if word.startswith("--property="))
        assert set(UNIT) <= set(asked[len("--property=") :].split(","))

    def test_a_unit_between_two_automatic_restarts_is_not_running(self):
        """A plan that looks at the right moment must not say ok about a crash loop."""
        import time

        now = int(time.monotonic() * 1e6)
        self.unit("x", ActiveState="active", NRestarts="7", ActiveEnterTimestampMonotonic=str(now - 300000))
        assert self.found(self.want("x", state="running")).state == "restarting"
        self.unit("x", ActiveState="active", NRestarts="7", ActiveEnterTimestampMonotonic=str(now - 60000000))
        assert self.found(self.want("x", state="running")).state == "running"

    def test_a_oneshot_that_ends_is_refused_in_the_plan(self):
        """It would be started by every run."""
        self.unit("x", Type="oneshot")
        assert "never stays running" in self.refusal(self.want("x", state="running"))
        self.unit("x", Type="oneshot", RemainAfterExit="yes")
        assert self.refusal(self.want("x", state="running")) == ""

    def test_a_masked_unit_is_not_unmasked_unasked(self):
        """Somebody masked it for a reason."""
        self.unit("x", LoadState="masked", UnitFileState="masked")
        assert "say `masked: false`" in self.refusal(self.want("x", state="running"))
        assert self.refusal(self.want("x", state="running", masked=False)) == ""

    def test_a_unit_of_the_administrator_cannot_be_masked(self):
        """A mask is a link in the place where its file stands; systemctl refuses, and the plan knows."""
        self.unit("x")
        assert self.refusal(self.want("x", masked=True)) == ""
        self.put("/etc/systemd/system/x.service")
        assert "cannot be masked" in self.refusal(self.want("x", masked=True))
        self.unit("x", LoadState="masked", UnitFileState="masked")
        assert self.refusal(self.want("x", masked=True)) == ""

    def test_a_changed_unit_file_is_read_before_it_is_started(self):
        """Or systemd would start what the file said before."""
        self.unit("x", NeedDaemonReload="yes")
        apply_one(self.host, self.want("x", state="running"), None, ["state"])
        assert self.verbs() == ["daemon-reload", "start x.service"]

    def test_notifications(self):
        """Restart and reload act on what runs; what is wanted stopped is not started by a notification."""
        self.unit("x", ActiveState="active", CanReload="yes")
        service.notify(self.host, self.want("x", state="running"), "reload")
        service.notify(self.host, self.want("x", state="running"), "restart")
        service.notify(self.host, self.want("x"), "try-restart")
        self.units["x.service"]["ActiveState"] = "inactive"
        for verb in ("restart", "reload", "try-restart"):
            service.notify(self.host, self.want("x", state="stopped"), verb)
        service.notify(self.host, self.want("x", state="running"), "try-restart")
        assert self.verbs() == ["reload x.service", "restart x.service", "restart x.service"]
        service.notify(self.host, self.want("x", state="running"), "restart")
        assert self.verbs()[3:] == ["restart x.service"]

    def test_a_reload_that_the_unit_does_not_know_fails_clearly(self):
        """No silent restart instead."""
        self.unit("x", ActiveState="active")
        error = self.failed(service.notify, self.want("x", state="running"), "reload")
        assert error.message == "x.service cannot reload (its unit has no ExecReload); say `on_notify: restart`"

    def test_a_failure_is_called_what_it_is(self):
        """A reload that failed is not a service that is down; one that comes up and goes is not one that did not start."""
        self.unit("x", ActiveState="active", CanReload="yes")
        self.host.answer("systemctl --no-ask-password reload -- x.service", Ran(1, "", "Job for x.service failed\n"))
        error = self.failed(service.notify, self.want("x", state="running"), "reload")
        assert error.cause == "reload failed"
        self.host.answer("systemctl --no-ask-password restart -- x.service", Ran(1, "", "Job for x.service failed\n"))
        assert self.failed(service.notify, self.want("x", state="running"), "restart").cause == "restart failed"

    def test_without_systemd_nothing_is_claimed(self):
        """Neither stopped nor disabled: unknown, with systemd's own words."""
        said = "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
        self.host.answer("systemctl show", Ran(1, "", said))
        found = self.found(self.want("x", state="stopped"))
        assert isinstance(found, Unknown)
        assert "not been booted with systemd" in found.reason

    def test_removal_puts_back_what_was(self):
        """An adopted service runs or not as before; one whose unit we brought is stopped and disabled."""
        want = {"state": "running", "enabled": True}
        record = {"name": "x", "created": False, "before": {"state": "failed", "enabled": False}, "want": want}
        assert service.removal(record) == self.want("x", state="stopped", enabled=False)
        record["before"] = {"state": "running", "enabled": "static"}
        assert service.removal(record) == self.want("x", state="running")
        record.update(created=True, before={})
        assert service.removal(record) == self.want("x", state="stopped", enabled=False)


if __name__ == "__main__":
    unittest.main()
