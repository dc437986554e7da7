"""A service that still runs code which was replaced on disk is restarted when that is asked for, and only then."""

import os
import unittest

from recorded import RecordedHost
from test_type_service import UNIT
from type_case import TypeCase

from statectl.onhost.resources import service

MAPS = """\
55d0-55d1 r--p 00000000 00:22 11 /usr/sbin/app{app}
55d1-55d2 r-xp 00001000 00:22 11 /usr/sbin/app{app}
7f00-7f01 r-xp 00000000 00:22 12 /usr/lib/libone.so.1{one}
7f01-7f02 r--p 00000000 00:22 13 /usr/share/data (deleted)
7f02-7f03 r-xp 00000000 00:01 14 /memfd:jit (deleted)
7f03-7f04 r-xp 00000000 00:22 15 /tmp/jit.so (deleted)
7f04-7f05 r-xp 00000000 00:00 0 [vdso]
"""


class NeedRestart(TypeCase):
    module = service

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root)
        self.unit = dict(UNIT, Id="app.service", ActiveState="active", ControlGroup="/system.slice/app.service")
        self.host.answer("systemctl", self.systemctl)
        for name, value in (("HOLD_S", 0.02), ("STABLE_S", 0.06), ("LOOK_S", 0.005)):
            self.addCleanup(setattr, service, name, getattr(service, name))
            setattr(service, name, value)
        self.group("41\n42\n")
        self.process("41")
        self.process("42")

    def place(self, path, text):
        path = self.root + path
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "w") as stream:
            stream.write(text)

    def group(self, pids):
        self.place("/sys/fs/cgroup/system.slice/app.service/cgroup.procs", pids)

    def process(self, pid, app="", one=""):
        self.place(f"/proc/{pid}/maps", MAPS.format(app=app, one=one))

    def systemctl(self, argv, _):
        if "show" in argv:
            return "\n".join("{}={}".format(*pair) for pair in sorted(self.unit.items())) + "\n"
        if "restart" in argv:
            self.unit["InvocationID"] = "b"
            self.process("41")
            self.process("42")
        return ""

    def restarts(self):
        return [argv for argv in self.host.ran if "restart" in argv]

    def want(self, **fields):
        return service.Desired("app", state="running", **fields)

    def test_a_replaced_library_is_named_and_restarting_puts_it_right(self):
        """What is found names the file, one restart follows, and the second reading finds nothing any more."""
        self.process("42", one=" (deleted)")
        found = service.read(self.host, [self.want(needrestart=True)])["app"]
        assert found.needrestart == "uses replaced /usr/lib/libone.so.1"
        assert self.converge(self.want(needrestart=True)) == ["needrestart"]
        assert len(self.restarts()) == 1
        assert self.differing(self.want(needrestart=True)) == []

    def test_a_replaced_program_counts_too(self):
        """The file that the process was started from, by whatever path it was replaced."""
        self.process("41", app=" (deleted)")
        assert self.differing(self.want(needrestart=True)) == ["needrestart"]

    def test_data_and_code_that_programs_write_themselves_do_not_count(self):
        """Only what is executed and had a lasting name: no data files, no memory of a JIT."""
        assert self.differing(self.want(needrestart=True)) == []

    def test_who_does_not_ask_is_left_alone(self):
        """Without the field, and with `false`, nothing differs."""
        self.process("42", one=" (deleted)")
        assert self.differing(self.want()) == []
        assert self.differing(self.want(needrestart=False)) == []

    def test_a_process_that_ends_meanwhile_is_no_error(self):
        """Between the list of processes and their maps there is time to end."""
        self.group("41\n43\n")
        assert self.differing(self.want(needrestart=True)) == []

    def test_a_stopped_service_uses_nothing(self):
        """Its start reads the new files: no second restart follows."""
        self.unit["ActiveState"] = "inactive"
        self.group("")
        found = service.read(self.host, [self.want(needrestart=True)])["app"]
        assert (found.state, found.needrestart) == ("stopped", None)


if __name__ == "__main__":
    unittest.main()
