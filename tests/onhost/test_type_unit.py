import os
import unittest

from type_case import TypeCase, delivered

from statectl.onhost.process import Ran
from statectl.onhost.resources import unit

SYSTEM = "/etc/systemd/system"
APP = SYSTEM + "/app.service"


class Units(TypeCase):
    module = unit

    def setUp(self):
        TypeCase.setUp(self)
        self.directory(SYSTEM)
        self.directory("/run/systemd/system")
        self.commands = []
        self.stale = set()  # units that the manager would call changed on disk
        self.host.run = self.run_systemctl

    def run_systemctl(self, argv, **_):
        self.commands.append(argv)
        if argv[1] == "daemon-reload":
            self.stale.clear()
            return Ran(0, "", "")
        assert argv[:4] == ["systemctl", "show", "--property=NeedDaemonReload", "--"]
        lines = ["NeedDaemonReload=" + ("yes" if name in self.stale else "no") for name in argv[4:]]
        return Ran(0, "\n\n".join(lines) + "\n", "")

    def reloads(self):
        return self.commands.count(["systemctl", "daemon-reload"])

    def test_a_new_unit_is_written_and_the_manager_told(self):
        """Once; a right unit costs no reload."""
        want = self.want("app.service", content=delivered("[Service]\n"))
        assert self.converge(want) == ["content", "state"]
        assert (self.bytes_of(APP), self.mode_of(APP), self.reloads()) == (b"[Service]\n", 0o644, 1)
        assert self.converge(want) == []
        assert self.reloads() == 1

    def test_a_unit_the_manager_has_not_seen_is_reloaded(self):
        """A run that ended between writing and reloading is healed by the next."""
        self.put(APP, b"x")
        self.stale.add("app.service")
        want = self.want("app.service", content=delivered("x"))
        assert self.found(want).state == "present, not loaded"
        assert self.converge(want) == ["state"]
        assert self.reloads() == 1

    def test_all_units_are_asked_about_at_once(self):
        """One question however many; none about templates, nor about those that are to be written anyway."""
        for name in ("a.service", "b.timer", "c@.service", "d.service"):
            self.put(SYSTEM + "/" + name, b"x")
        wanted = [
            self.want(name, content=delivered("x" if name != "d.service" else "y"))
            for name in ("a.service", "b.timer", "c@.service", "d.service")
        ]
        self.stale.add("b.timer")
        found = unit.read(self.host, wanted)
        assert [argv[4:] for argv in self.commands] == [["a.service", "b.timer"]]
        assert found["b.timer"].state == "present, not loaded"
        assert found["a.service"].state == "present"

    def test_a_drop_in(self):
        """Its directory is made, and goes with the last one."""
        path = SYSTEM + "/nginx.service.d/limits.conf"
        self.converge(self.want("nginx.service", drop_in="limits", content=delivered("[Service]\n")))
        assert self.bytes_of(path) == b"[Service]\n"
        self.converge(self.want("nginx.service", drop_in="limits", state="absent"))
        assert not os.path.exists(self.at(SYSTEM + "/nginx.service.d"))
        assert self.reloads() == 2

    def test_absent(self):
        """The file goes and the manager forgets it; others' drop-ins keep their directory."""
        self.put(SYSTEM + "/app.service.d/other.conf", b"x")
        self.put(APP, b"x")
        self.converge(self.want("app.service", state="absent"))
        self.converge(self.want("app.service", drop_in="mine", state="absent"))
        assert os.path.exists(self.at(SYSTEM + "/app.service.d/other.conf"))
        self.stale.add("app.service")
        want = self.want("app.service", state="absent")
        assert self.found(want).state == "absent, still loaded"
        self.converge(want)
        assert not self.stale

    def test_a_masked_unit_is_refused(self):
        """A link to /dev/null is somebody's decision."""
        os.symlink("/dev/null", self.at(APP))
        text = "/etc/systemd/system/app.service is a symbolic link to /dev/null; the unit is masked; unmask or disable it first"
        assert self.failure(self.want("app.service", content=delivered("x"))) == text

    def test_without_systemd_only_the_file_is_managed(self):
        """An image, or a container with another init."""
        os.rmdir(self.at("/run/systemd/system"))
        self.converge(self.want("app.service", content=delivered("x")))
        assert self.commands == []

    def test_removal(self):
        """Ours goes, an adopted one gets back its content."""
        record = {"name": "app.service", "created": True, "before": {}, "want": {"drop_in": "x", "state": "present"}}
        assert unit.removal(record) == unit.Desired("app.service", drop_in="x", state="absent")
        old = delivered("old")
        record.update(created=False, before={"content": old, "state": "present"})
        assert unit.removal(record) == unit.Desired("app.service", drop_in="x", content=old, state="present")


if __name__ == "__main__":
    unittest.main()
