"""What still runs old code: told of a /proc and marks made by hand, and of a real process whose program was replaced."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

from statectl.onhost import replaced
from statectl.onhost.host import Host
from statectl.onhost.patching import needs, restarting
from statectl.onhost.process import Ran

OLD = "7f0000000000-7f0000001000 r-xp 00000000 08:01 42   %s (deleted)\n"
DATA = "7f0000002000-7f0000003000 r--p 00000000 08:01 43   /var/lib/cache (deleted)\n"
NEW = "7f0000004000-7f0000005000 r-xp 00000000 08:01 44   /usr/lib/libnew.so\n"


class Rooted(unittest.TestCase):
    def setUp(self):
        self.root = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        os.makedirs(self.root + "/proc")
        self.host = Host({"virtualization": "systemd-nspawn"}, root=self.root)
        self.process(1, "/init.scope", "systemd")

    def put(self, path, text):
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "w") as stream:
            stream.write(text)

    def process(self, pid, group, name, *files):
        self.put(f"/proc/{pid}/cgroup", f"12:cpu:/\n1:name=systemd:{group}\n0::{group}\n")
        self.put(f"/proc/{pid}/comm", name + "\n")
        self.put(f"/proc/{pid}/maps", NEW + DATA + "".join(OLD % path for path in files))

    # -- what uses replaced files

    def test_services_and_processes(self):
        """Each service once with all files of its processes, templates and services of people by their unit; sessions as processes; data is no code."""
        self.process(10, "/system.slice/nginx.service", "nginx", "/usr/lib/libssl.so.3")
        self.process(11, "/system.slice/nginx.service/worker", "nginx", "/usr/lib/libz.so.1")
        self.process(12, "/system.slice/system-app.slice/app@blue.service", "app", "/usr/bin/app")
        self.process(13, "/user.slice/user-0.slice/user@0.service/app.slice/x.service", "x", "/usr/bin/x")
        self.process(14, "/user.slice/user-0.slice/session-3.scope", "bash", "/usr/bin/bash")
        self.process(15, "/system.slice/clean.service", "clean")
        told = needs.gather(self.host)
        assert told == {
            "reboot": False,
            "reasons": [],
            "services": {
                "nginx.service": ["/usr/lib/libssl.so.3", "/usr/lib/libz.so.1"],
                "app@blue.service": ["/usr/bin/app"],
                "user@0.service": ["/usr/bin/x"],
            },
            "processes": ["14 bash"],
        }

    def test_in_a_container_that_sees_the_groups_around_it(self):
        """What stands in front of the host's own groups names no unit of it."""
        around = "/system.slice/docker.service/payload"
        self.process(1, around + "/init.scope", "systemd")
        self.process(10, around + "/system.slice/nginx.service", "nginx", "/usr/lib/libssl.so.3")
        assert list(needs.gather(self.host)["services"]) == ["nginx.service"]

    def test_processes_of_containers(self):
        """They have files of their own, and are nothing to this host, whatever their group is called."""
        for pid, space in (("self", "1"), ("10", "1"), ("11", "2")):
            os.makedirs(self.root + "/proc/%s/ns" % pid)
            os.symlink("pid:[%s]" % space, self.root + "/proc/%s/ns/pid" % pid)
        for pid, name in ((10, "ours"), (11, "theirs")):
            self.process(pid, f"/system.slice/{name}.service", name, "/usr/lib/libssl.so.3")
        assert list(needs.gather(self.host)["services"]) == ["ours.service"]

    def test_what_only_a_reboot_renews(self):
        """init, the message bus and the login manager on old code are a reason for a reboot; another service is none."""
        for pid, unit in ((10, "dbus.service"), (11, "systemd-logind.service"), (12, "cron.service")):
            self.process(pid, "/system.slice/" + unit, "x", "/usr/lib/libc.so.6")
        self.process(1, "/init.scope", "systemd", "/usr/lib/libc.so.6", "/usr/lib/systemd/systemd")
        assert needs.gather(self.host)["reasons"] == [
            "dbus.service uses replaced /usr/lib/libc.so.6",
            "systemd-logind.service uses replaced /usr/lib/libc.so.6",
            "init uses replaced /usr/lib/libc.so.6 and 1 more",
        ]

    def test_a_process_that_ends_meanwhile(self):
        """It is passed over, and the others are told."""
        os.mkdir(self.root + "/proc/20")
        self.process(21, "/system.slice/a.service", "a", "/usr/bin/a")
        assert list(replaced.everywhere(self.host)) == ["21"]

    # -- marks and kernels

    def test_marks(self):
        """The packages that ask for a reboot are named once each; a mark without names, and zypper's, count as well."""
        self.put("/run/reboot-required", "*** System restart required ***\n")
        assert needs.gather(self.host)["reasons"] == ["/run/reboot-required is there"]
        self.put("/run/reboot-required.pkgs", "linux-base\nlab-reboot\nlinux-base\n")
        told = needs.gather(self.host)
        assert told["reasons"] == ["lab-reboot asks for a reboot", "linux-base asks for a reboot"]
        assert told["reboot"] is True
        self.put("/run/reboot-needed", "")
        assert needs.gather(self.host)["reasons"][2:] == ["/run/reboot-needed is there"]

    def test_the_kernel(self):
        """A newer one of the same flavour is a reason; an older one, another flavour, and any in a container are none."""
        host = Host({"virtualization": "kvm", "kernel": {"release": "6.1.0-40-amd64"}}, root=self.root)
        for release in ("6.1.0-40-amd64", "6.1.0-9-amd64", "6.1.0-41-cloud-amd64"):
            self.put(f"/lib/modules/{release}/modules.order", "")
        assert needs.gather(host)["reasons"] == []
        self.put("/lib/modules/6.1.0-41-amd64/modules.order", "")
        assert needs.gather(host)["reasons"] == ["kernel 6.1.0-41-amd64 is installed, 6.1.0-40-amd64 runs"]
        host.facts["virtualization"] = "systemd-nspawn"
        assert needs.gather(host)["reasons"] == []

    def test_core_packages_of_rpm(self):
        """glibc that was installed after init began is a reason, as for `dnf needs-restarting -r`; one that was there before is none, nor is it asked of apt."""
        ticks = os.sysconf("SC_CLK_TCK")
        self.put("/proc/stat", "cpu 1 2 3\nbtime 1000000\n")
        self.put("/proc/1/stat", "1 (sys temd) S " + " ".join("0" for _ in range(18)) + f" {500 * ticks} 0\n")
        out = "glibc\t2.34-60\t1000501\nsystemd\t252-1\t1000499\npackage kernel is not installed\n"
        self.host.which = lambda name: "/usr/bin/" + name
        self.host.run = lambda argv, **_: Ran(1, out, "")
        assert needs.gather(self.host, "dnf")["reasons"] == ["glibc 2.34-60 was installed since the boot"]
        assert needs.gather(self.host, "apt")["reasons"] == []

    # -- what may be restarted

    def test_what_is_not_restarted_blindly(self):
        """The bus, sessions, networks, jobs, what systemd lets nobody restart and the unit that this run itself goes on in: each with the reason."""
        shown = {
            "nginx.service": "simple control-group no no active",
            "job.service": "oneshot control-group no no activating",
            "auditd.service": "forking control-group no yes active",
            "agent.service": "simple control-group no no active",
            "gone.service": "simple control-group no no failed",
        }

        def run(argv, **_):
            keys = ("Type", "KillMode", "RefuseManualStart", "RefuseManualStop", "ActiveState")
            units = argv[argv.index("--") + 1 :]
            blocks = (dict([*map(lambda *pair: pair, keys, shown[unit].split()), ("Id", unit)]) for unit in units)
            return Ran(0, "\n\n".join("\n".join("=".join(one) for one in block.items()) for block in blocks), "")

        self.host.run = run
        self.process("self", "/system.slice/agent.service", "python3")
        by_hand = ["getty@tty1.service", "user@1000.service", "lightdm.service", "NetworkManager.service"]
        may, may_not = restarting.sorted_out(self.host, [*shown, *by_hand, "dbus.service"])
        assert list(may) == ["nginx.service"]
        assert may_not == {
            "agent.service": "this run goes on inside of it",
            "auditd.service": "systemd lets nobody restart it",
            "gone.service": "it is failed",
            "job.service": "it is a job that ends by itself",
            "dbus.service": "only a reboot renews it",
            **dict.fromkeys(by_hand, "it is not restarted blindly"),
        }
        shown["agent.service"] = "simple process no no active"  # as sshd: its sessions go on
        assert "agent.service" in restarting.sorted_out(self.host, ["agent.service"])[0]


class Real(unittest.TestCase):
    def test_a_program_that_was_replaced(self):
        """A running process whose program was replaced by rename is found in the walk over /proc of this machine, with the file's name."""
        top = tempfile.mkdtemp(
            dir=os.path.expanduser("~")
        )  # /tmp is never looked at: programs write code of their own there
        self.addCleanup(shutil.rmtree, top)
        program = os.path.join(top, "program")
        shutil.copy(shutil.which("sleep"), program)
        running = subprocess.Popen([program, "60"])
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        _wait_for(lambda: program in _text("/proc/%d/maps" % running.pid))
        shutil.copy(program, program + ".new")
        os.rename(program + ".new", program)
        assert replaced.everywhere(Host({}))[str(running.pid)] == [program]


def _wait_for(true):
    """Popen comes back as soon as a program is sure to start, which is before it is there."""
    limit = time.monotonic() + 30
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)


def _text(path):
    with open(path) as stream:
        return stream.read()
