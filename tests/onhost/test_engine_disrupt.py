"""What disrupts waits until its association allows it: nothing of it is lost, nothing is done twice, and everything else goes on."""

import os
import unittest

from executor_case import ExecutorCase

from statectl.onhost.resources import mount, package, service

WINDOW = [{"name": "web", "disrupt": "window:night"}]
OPEN = {"web": {"seconds": 3600, "waits": "waits for window night, opens tomorrow"}}
CLOSED = {"web": {"seconds": 0, "waits": "waits for window night, opens tonight"}}


class Disrupt(ExecutorCase):
    def setUp(self):
        super().setUp()
        self.put("daemon", "1")

    def site(self, text="one\n", associations=WINDOW, **options):
        target = f"daemon:{self.at('daemon')}"
        resources = [self.file("conf", text, notify=[target]), self.daemon()]
        return self.apply(*resources, associations=associations, **options)

    def test_the_file_changes_and_the_restart_waits(self):
        """Outside of the window a file is replaced at once; its restart is owed, told as pending with the reason, and paid once when open."""
        results = self.site(disrupt=CLOSED)
        assert self.outcomes(results) == {"conf": "changed", "daemon": "ok"}
        (told,) = self.notified
        assert (told["outcome"], told["pending"]) == ("skipped", True)
        assert told["reason"] == CLOSED["web"]["waits"]
        assert not self.exists("daemon.log")
        assert self.ended["outcome"] == "applied"
        self.site(disrupt=CLOSED)
        assert not self.exists("daemon.log")
        assert list(self.record("debt.json")) == [f"daemon:{self.at('daemon')}"]
        self.site(disrupt=OPEN)
        assert self.text("daemon.log") == "restart\n"
        assert self.record("debt.json") == {}
        self.site(disrupt=OPEN)
        assert self.text("daemon.log") == "restart\n"

    def test_silence_is_no_permission(self):
        """A controller that says nothing of the window lets nothing disrupt."""
        self.site()
        assert "nobody said that it may" in self.notified[0]["reason"]
        assert not self.exists("daemon.log")

    def test_the_time_runs_out_in_the_middle(self):
        """Each restart is judged at its own moment: one that comes after the cutoff waits, although the window was open at the beginning."""
        slow = self.command(
            "slow", ["sh", "-c", "sleep 0.6; touch " + self.at("slow")], creates=self.at("slow"), phase=4
        )
        target = f"daemon:{self.at('daemon')}"
        conf = self.file("conf", notify=[target])
        left = {"web": {"seconds": 0.3, "waits": "waits for window night, opens tomorrow"}}
        results = self.apply(slow, conf, self.daemon(), associations=WINDOW, disrupt=left)
        assert self.outcomes(results)["conf"] == "changed"
        assert self.notified[0]["pending"]
        assert not self.exists("daemon.log")

    def test_whoever_started_it_anew_has_paid(self):
        """A service that somebody else restarted while the restart waited has read everything: it is not restarted again."""
        self.site(disrupt=CLOSED)
        self.put("daemon", "2")
        self.site(disrupt=CLOSED)
        assert (self.notified[0]["outcome"], self.record("debt.json")) == ("ok", {})
        self.site(disrupt=OPEN)
        assert not self.exists("daemon.log")

    def test_started_before_the_last_change(self):
        """A start in between counts for what was changed before it, and not for what was changed since."""
        self.site(disrupt=CLOSED)
        self.put("daemon", "2")
        self.site("two\n", disrupt=CLOSED)
        self.site("two\n", disrupt=OPEN)
        assert self.text("daemon.log") == "restart\n"

    def test_a_restart_that_fails_in_the_window_stays_owed(self):
        """Also when something runs afterwards that was started since."""
        self.site(disrupt=CLOSED)
        self.put("daemon.broken", "")
        self.site(disrupt=OPEN)
        assert self.notified[0]["outcome"] == "failed"
        os.unlink(self.at("daemon.broken"))
        self.put("daemon", "7")
        self.site(disrupt=OPEN)
        assert self.text("daemon.log") == "restart\n"

    def test_the_cause_has_a_word_as_well(self):
        """A service that may restart at any time waits for the association whose file asks for it."""
        target = f"daemon:{self.at('daemon')}"
        conf = self.file("conf", notify=[target])
        daemon = self.daemon(association="base")
        both = [*WINDOW, {"name": "base"}]
        self.apply(conf, daemon, associations=both, disrupt=CLOSED)
        assert self.notified[0]["pending"]
        self.apply(conf, daemon, associations=both, disrupt=OPEN)
        assert self.text("daemon.log") == "restart\n"

    def test_what_runs_is_stopped_in_the_window_only(self):
        """Stopping waits, and what comes after it as well; the plan names it; starting what is stopped does not wait."""
        stop = self.daemon(state="stopped")
        after = self.file("after", after=[stop["address"]])
        beside = self.file("beside")
        verdicts = self.plan(stop, after, beside, associations=WINDOW)
        assert verdicts[stop["address"]]["disrupts"] == "stop"
        assert verdicts[after["address"]]["disrupts"] == ""
        results = self.apply(stop, after, beside, associations=WINDOW, disrupt=CLOSED)
        assert self.outcomes(results) == {"daemon": "skipped", "after": "skipped", "beside": "changed"}
        assert results[stop["address"]]["pending"]
        assert results[stop["address"]]["reason"] == CLOSED["web"]["waits"]
        assert self.exists("daemon")
        results = self.apply(stop, after, beside, associations=WINDOW, disrupt=OPEN)
        assert self.outcomes(results) == {"daemon": "changed", "after": "changed", "beside": "ok"}
        assert not self.exists("daemon")
        self.apply(self.daemon(), associations=WINDOW, disrupt=CLOSED)
        assert self.exists("daemon")

    def test_without_the_field_nothing_waits(self):
        """disrupt: always is the default, and costs no word on the channel."""
        verdicts = self.plan(self.daemon(state="stopped"))
        assert "disrupts" not in verdicts[f"daemon:{self.at('daemon')}"]
        self.site(associations=[{"name": "web"}])
        assert self.text("daemon.log") == "restart\n"
        assert "pending" not in self.notified[0]


class Types(unittest.TestCase):
    """What takes something away that is in use, type by type; the table stands in disruption.py."""

    def test_service(self):
        """Stopping and restarting what runs; never a start."""
        desired = service.Desired
        stopped, running = desired("x", state="stopped"), desired("x", state="running", needrestart=True)
        assert service.disrupts(stopped, desired("x", state="running"), ("state",)) == "stop"
        assert service.disrupts(stopped, desired("x", state="running"), ("enabled",)) == ""
        assert service.disrupts(running, desired("x", state="stopped"), ("state",)) == ""
        assert service.disrupts(running, desired("x", state="failed"), ("state",)) == ""
        stale = desired("x", state="running", needrestart="uses replaced /lib/x")
        assert service.disrupts(running, stale, ("needrestart",)) == "restart"

    def test_package(self):
        """Another version and a removal; never what was not there, its leftovers, or a hold."""
        desired, found = package.Desired, package.Found
        latest, gone = desired("x", state="latest"), desired("x", state="purged")
        assert package.disrupts(latest, found("x", state="outdated", version="1"), ("state",)) == "upgrade"
        assert package.disrupts(latest, found("x", state="purged"), ("state",)) == ""
        pinned = desired("x", state="present", version="2", hold=True)
        there = found("x", state="present", version="1")
        assert package.disrupts(pinned, there, ("version",)) == "upgrade"
        assert package.disrupts(pinned, there, ("hold",)) == ""
        assert package.disrupts(gone, there, ("state",)) == "remove"
        assert package.disrupts(gone, found("x", state="absent"), ("state",)) == ""

    def test_mount(self):
        """Unmounting and mounting otherwise; never a first mount or a line of fstab."""
        desired = mount.Desired
        want, gone = desired("/x", "a", "ext4", "ro", state="mounted"), desired("/x", state="absent")
        there = desired("/x", "a", "ext4", "rw", state="mounted")
        assert mount.disrupts(want, there, ("options",)) == "remount"
        assert mount.disrupts(want, there, ("passno",)) == ""
        assert mount.disrupts(want, desired("/x", state="absent"), ("state",)) == ""
        assert mount.disrupts(want, there._replace(state="present"), ("state", "options")) == ""
        assert mount.disrupts(gone, there, ("state",)) == "unmount"
        assert mount.disrupts(gone, there._replace(state="present"), ("state",)) == ""
        assert mount.disrupts(want._replace(state="present"), there, ("options",)) == ""


if __name__ == "__main__":
    unittest.main()
