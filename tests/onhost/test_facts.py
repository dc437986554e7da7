"""Facts are true, small and never waited for: files are read, no command runs, and a dead mount costs two seconds at most."""

# ruff: noqa: PT009, PT027, SIM117  runs on Python 3.6 without pytest

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from statectl.onhost import facts
from statectl.onhost.facts import mounts
from statectl.onhost.facts.os import os_release
from statectl.onhost.host import Host

SYSTEMS = {
    "debian": (
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION="12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n',
        ("debian", "debian", "12", 12, "bookworm"),
    ),
    "sid": (
        'PRETTY_NAME="Debian GNU/Linux forky/sid"\nVERSION_CODENAME=forky\nID=debian\n',
        ("debian", "debian", "", None, "forky"),
    ),
    "ubuntu": (
        'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\nVERSION="22.04.3 LTS (Jammy Jellyfish)"\nVERSION_CODENAME=jammy\n',
        ("ubuntu", "debian", "22.04", 22, "jammy"),
    ),
    "rocky": (
        'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nVERSION="9.4 (Blue Onyx)"\n',
        ("rocky", "redhat", "9.4", 9, ""),
    ),
    "amazon": ('ID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n', ("amzn", "redhat", "2023", 2023, "")),
    "leap": (
        'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n',
        ("opensuse-leap", "suse", "15.6", 15, ""),
    ),
    "sles": ('ID="sles"\nVERSION_ID="15.5"\n', ("sles", "suse", "15.5", 15, "")),
    "arch": ("ID=arch\nBUILD_ID=rolling\n", ("arch", "arch", "", None, "")),
    "alpine": ("ID=alpine\nVERSION_ID=3.19.1\n", ("alpine", "alpine", "3.19.1", 3, "")),
    "unknown": ("ID='void'\n", ("void", "void", "", None, "")),
    "none": ("", ("linux", "linux", "", None, "")),
}


class SmallMachine(unittest.TestCase):
    """A machine of a few files."""

    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.host = Host(root=self.root)

    def put(self, path, text):
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "w") as stream:
            stream.write(text)

    def gather(self, topic):
        found = facts.gather(self.host, (topic,))
        self.assertEqual(found["missing"], {})
        return found[topic]

    def test_systems(self):
        """id, family, version, major and code name of every system we know, and of one we do not."""
        for name, (text, wanted) in SYSTEMS.items():
            with self.subTest(name):
                self.put("/etc/os-release", text)
                found = self.gather("os")
                self.assertEqual(tuple(found[key] for key in ("id", "family", "version", "major", "codename")), wanted)

    def test_os_release_is_not_run(self):
        """Shell syntax in it is text (T01)."""
        self.assertEqual(
            os_release('NAME="a $(reboot) \\"b\\" \\$c"\n# ID=no\nID=\'x y\'\nbroken line\n'),
            {"NAME": 'a $(reboot) "b" $c', "ID": "x y"},
        )

    def test_time_zone(self):
        """From the link, else from Debian's file, else UTC."""
        self.assertEqual(self.gather("time")["timezone"], "UTC")
        self.put("/etc/timezone", "Asia/Tokyo\n")
        self.assertEqual(self.gather("time")["timezone"], "Asia/Tokyo")
        os.symlink("../usr/share/zoneinfo/Europe/Berlin", self.root + "/etc/localtime")
        self.assertEqual(self.gather("time")["timezone"], "Europe/Berlin")

    def test_virtualization(self):
        """Container first, then the machine's own words."""
        self.put("/proc/cpuinfo", "flags : fpu\n")
        self.assertEqual(self.gather("virtualization"), "none")
        self.put("/proc/cpuinfo", "flags : fpu hypervisor lahf\n")
        self.assertEqual(self.gather("virtualization"), "vm")
        self.put("/sys/class/dmi/id/sys_vendor", "QEMU\n")
        self.put("/sys/class/dmi/id/product_name", "Standard PC\n")
        self.assertEqual(self.gather("virtualization"), "qemu")
        self.put("/proc/1/environ", "PATH=/\0container=lxc\0")
        self.assertEqual(self.gather("virtualization"), "lxc")
        self.put("/run/systemd/container", "systemd-nspawn\n")
        self.assertEqual(self.gather("virtualization"), "systemd-nspawn")

    def test_service_manager(self):
        """What runs."""
        self.assertEqual(self.gather("service_manager"), "")
        self.put("/proc/1/comm", "init\n")
        self.put("/etc/init.d/ssh", "")
        self.assertEqual(self.gather("service_manager"), "sysvinit")
        os.makedirs(self.root + "/run/systemd/system")
        self.assertEqual(self.gather("service_manager"), "systemd")

    def test_package_manager_of_the_family_comes_first(self):
        """A Debian that has dnf as well is managed by apt, and the other way round."""
        with mock.patch.object(self.host, "which", lambda name: "/usr/bin/" + name):
            for system, wanted in (("debian", "apt"), ("rocky", "dnf"), ("leap", "zypper"), ("alpine", "apk")):
                self.put("/etc/os-release", SYSTEMS[system][0])
                self.assertEqual(facts.gather(self.host, ("os", "package_manager"))["package_manager"], wanted)

    def test_one_topic_that_fails_costs_nobody_the_others(self):
        """G4 in small: what could not be read is named with its reason."""
        self.put("/proc/meminfo", "MemTotal: many kB\n")
        found = facts.gather(self.host, ("memory", "kernel"))
        self.assertIn("ValueError", found["missing"]["memory"])
        self.assertNotIn("memory", found)
        self.assertEqual(found["kernel"]["release"], os.uname().release)

    def test_sizes_are_bounded(self):
        """A hostile os-release makes no large message, and bytes that are no text none that cannot be encoded."""
        self.put("/etc/os-release", "ID=debian\nID_LIKE='%s'\nNAME=%s\n" % ("x " * 3000, "y" * 60000))
        with open(self.root + "/etc/os-release", "ab") as stream:
            stream.write(b"VERSION_ID=\xff\n")
        found = self.gather("os")
        self.assertLess(len(json.dumps(found)), 3000)
        found["name"].encode("utf-8")


class ThisMachine(unittest.TestCase):
    def test_everything_is_there_and_json(self):
        """No topic is missing on a normal machine, the shapes are as documented, and it all fits in little."""
        began = time.monotonic()
        found = facts.gather(Host())
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(found["missing"], {})
        self.assertEqual(set(found) - {"missing"}, set(facts.TOPICS))
        self.assertLess(len(json.dumps(found)), 200000)
        self.assertGreater(found["memory"]["total_mb"], 10)
        self.assertGreater(found["cpu"]["count"], 0)
        self.assertEqual(found["python"]["executable"], sys.executable)
        self.assertEqual(found["host"]["hostname"], os.uname().nodename.partition(".")[0])

    def test_no_command_is_run(self):
        """Gathering execs nothing."""
        with mock.patch.object(os, "execve", side_effect=AssertionError):
            with mock.patch.object(Host, "run", side_effect=AssertionError):
                facts.gather(Host())

    @unittest.skipUnless(shutil.which("ip"), "no ip(8) to compare with")
    def test_addresses_are_those_that_ip_shows(self):
        """Netlink is read rightly: every interface and address as iproute2 prints them."""
        listed = json.loads(subprocess.check_output(["ip", "-j", "address"]).decode())
        wanted = {
            entry["ifname"]: sorted("%s/%d" % (item["local"], item["prefixlen"]) for item in entry["addr_info"])
            for entry in listed
            if entry
        }
        found = facts.gather(Host(), ("network",))["network"]
        self.assertEqual({name: sorted(entry["addresses"]) for name, entry in found["interfaces"].items()}, wanted)
        for entry in listed:
            if entry.get("address"):
                self.assertEqual(found["interfaces"][entry["ifname"]]["mac"], entry["address"])

    def test_nothing_is_left_behind(self):
        """No descriptor and no child."""
        facts.gather(Host())
        before = len(os.listdir("/proc/self/fd"))
        facts.gather(Host())
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


class DeadMount(unittest.TestCase):
    def test_dead_file_system_is_not_waited_for(self):
        """E12: a mount whose server never answers; its sizes are null, all others are there, within the deadline."""
        if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
            self.skipTest("needs root and /dev/fuse")
        directory = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, directory)
        server = os.open("/dev/fuse", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        options = "fd=%d,rootmode=40000,user_id=0,group_id=0" % server
        if libc.mount(b"dead", directory.encode(), b"fuse.dead", 0, options.encode()):
            os.close(server)
            self.skipTest("no fuse in this kernel")
        try:
            began = time.monotonic()
            found = facts.gather(Host(), ("mounts",))["mounts"]
            self.assertLess(time.monotonic() - began, mounts.DEADLINE_S + 5)  # for ever, without it
        finally:
            os.close(server)
            libc.umount2(directory.encode(), 2)
        sizes = {mount["path"]: mount["size_mb"] for mount in found}
        self.assertIsNone(sizes[directory])
        self.assertGreater(sizes["/"], 0)

    def test_own_disks_are_asked_without_a_child(self):
        """A process for each run costs more than all other facts; what lies below a remote mount hangs with it."""
        lines = "/dev/a / ext4 rw 0 0\nsrv:/x /mnt nfs rw 0 0\n/dev/b /mnt/inner xfs rw 0 0\n/dev/c /mnt2 xfs rw 0 0\n"
        asked = []

        def sizes(places):
            asked.extend(path for _, path in places)
            return [(place, 7, 5) for place, _ in places]

        with mock.patch.object(mounts, "text_of", return_value=lines), mock.patch.object(mounts, "sizes", sizes):
            found = {mount["path"]: mount["size_mb"] for mount in facts.gather(Host(), ("mounts",))["mounts"]}
        self.assertEqual(sorted(asked), ["/mnt", "/mnt/inner"])
        self.assertEqual((found["/mnt"], found["/mnt/inner"], found["/mnt2"]), (7, 7, None))
        self.assertGreater(found["/"], 7)

    def test_names_are_unescaped(self):
        """The kernel writes a space as a backslash and digits."""
        self.assertEqual(mounts.unescape("/mnt/a\\040b\\134c"), "/mnt/a b\\c")


if __name__ == "__main__":
    unittest.main()
