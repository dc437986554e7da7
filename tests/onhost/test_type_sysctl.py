import os
import unittest

from recorded import RecordedHost
from type_case import TypeCase

from statectl.onhost.process import Ran
from statectl.onhost.resources import sysctl

FILE = "/etc/sysctl.d/60-statectl.conf"


class Sysctls(TypeCase):
    module = sysctl

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root)
        self.directory("/etc/sysctl.d")
        self.put("/proc/sys/net/ipv4/ip_forward", b"0\n")
        self.put("/proc/sys/net/ipv4/tcp_rmem", b"4096\t131072\t6291456\n")
        self.host.answer("tee", self.tee)

    def tee(self, argv, text):
        with open(argv[-1], "w") as stream:
            stream.write(text)

    def want(self, name, value=None, **fields):
        fields = dict({"file": FILE, "reload": True}, **fields)
        return TypeCase.want(self, name, value=value, **fields)

    def test_live_value_and_file_are_both_set(self):
        """Now and after the next boot; the next reading finds nothing to do."""
        assert self.converge(self.want("net.ipv4.ip_forward", "1")) == ["state", "value"]
        assert self.bytes_of("/proc/sys/net/ipv4/ip_forward") == b"1\n"
        assert self.bytes_of(FILE).endswith(b"\nnet.ipv4.ip_forward = 1\n")

    def test_each_place_is_seen_on_its_own(self):
        """A file that is right does not hide a live value that is wrong, and the other way round."""
        self.put(FILE, b"net.ipv4.ip_forward=1\n")
        want = self.want("net.ipv4.ip_forward", "1")
        assert self.found(want).value == "file: 1, live: 0"
        assert self.converge(want) == ["value"]
        assert self.bytes_of(FILE) == b"net.ipv4.ip_forward = 1\n"
        self.put(FILE, b"net.ipv4.ip_forward = 0\n")
        assert self.found(want).value == "file: 0, live: 1"

    def test_tabs_and_spaces_are_one(self):
        """The kernel separates numbers by tabs, people by spaces."""
        self.put(FILE, b"net.ipv4.tcp_rmem = 4096 131072   6291456\n")
        assert self.differing(self.want("net.ipv4.tcp_rmem", "4096 131072 6291456")) == []

    def test_without_reload_only_the_file_counts(self):
        """A container whose /proc/sys cannot be written still gets the line for its next boot."""
        self.converge(self.want("net.ipv4.ip_forward", "1", reload=False))
        assert self.bytes_of("/proc/sys/net/ipv4/ip_forward") == b"0\n"
        assert self.host.ran == []

    def test_other_lines_stay_and_keys_stand_in_order(self):
        """A new line takes its place in the alphabet; comments, other keys and a second spelling of the key are handled."""
        self.put(FILE, b"# ours\n; too\nkernel.panic = 10\nvm.swappiness = 1\n")
        self.converge(self.want("net.ipv4.ip_forward", "1"))
        assert self.bytes_of(FILE) == b"# ours\n; too\nkernel.panic = 10\nnet.ipv4.ip_forward = 1\nvm.swappiness = 1\n"
        self.put(FILE, b"-net/ipv4/ip_forward=0\nkernel.panic = 10\nnet.ipv4.ip_forward = 0")
        self.converge(self.want("net.ipv4.ip_forward", "1"))
        assert self.bytes_of(FILE) == b"net.ipv4.ip_forward = 1\nkernel.panic = 10"

    def test_interface_names_with_dots(self):
        """As sysctl.d(5): behind a first dot, dot and slash trade places."""
        expected = "/proc/sys/net/ipv4/conf/eth0.1/forwarding"
        assert sysctl.proc_path("net.ipv4.conf.eth0/1.forwarding") == expected
        assert sysctl.proc_path("net/ipv4/conf/eth0.1/forwarding") == expected

    def test_a_value_the_kernel_refuses_is_not_left_for_the_next_boot(self):
        """The live value is tried first; what it says is the cause."""
        self.host.answer("tee", Ran(1, "", "tee: /proc/sys/net/ipv4/ip_forward: Invalid argument\n"))
        assert self.failure(self.want("net.ipv4.ip_forward", "9")) == (
            "the kernel does not take net.ipv4.ip_forward = 9: invalid argument"
        )
        assert not os.path.exists(self.at(FILE))

    def test_a_setting_of_a_missing_module_says_so(self):
        """The fix stands in the message."""
        assert "say `reload: false`" in self.failure(self.want("net.netfilter.nf_conntrack_max", "1"))

    def test_a_read_only_proc_sys_is_refused_in_the_plan(self):
        """In a container the plan already says that the live value cannot be set; a value that is right is fine."""
        os.chmod(self.at("/proc/sys/net/ipv4/ip_forward"), 0o444)
        if os.geteuid() != 0:  # root may write whatever the mode
            assert "`reload: false`" in self.refusal(self.want("net.ipv4.ip_forward", "1"))
        assert self.refusal(self.want("net.ipv4.ip_forward", "0")) == ""

    def test_absent_removes_the_line_and_a_file_that_was_ours(self):
        """The live value stays until the next boot, unless a removal knows what it was."""
        self.converge(self.want("net.ipv4.ip_forward", "1"))
        want = {"name": "net.ipv4.ip_forward", "value": "1", "file": FILE, "reload": True}
        before = {"state": "not in the file", "value": "live: 0"}
        record = {"name": "net.ipv4.ip_forward", "created": False, "before": before}
        record["want"] = want
        self.converge(sysctl.removal(record))
        assert self.bytes_of("/proc/sys/net/ipv4/ip_forward") == b"0\n"
        assert not os.path.exists(self.at(FILE))
        record.update(created=False, before={"state": "present", "value": "file: 2, live: 0"})
        assert sysctl.removal(record).value == "2"


if __name__ == "__main__":
    unittest.main()
