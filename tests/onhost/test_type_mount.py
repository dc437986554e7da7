import os
import unittest

from recorded import RecordedHost
from type_case import TypeCase

from statectl.onhost.content import SecretText
from statectl.onhost.failure import Failed
from statectl.onhost.fstab import encode
from statectl.onhost.process import Ran
from statectl.onhost.resources import mount

FSTAB = "/etc/fstab"
ROOT = "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
OTHERS = b"# static file systems\nUUID=1-2  /\text4  errors=remount-ro  0 1   # root\n\n"


class Mounts(TypeCase):
    module = mount

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root)
        self.host.which = lambda name: None
        self.host.answer("mount", self.mount)
        self.host.answer("umount", self.umount)
        self.put("/proc/self/mountinfo", ROOT.encode("ascii"))
        self.put("/proc/filesystems", b"nodev\ttmpfs\n\text4\n")
        self.put(FSTAB, OTHERS)
        self.directory("/srv/data")

    def table(self):
        return self.bytes_of("/proc/self/mountinfo").decode("ascii")

    def mount(self, argv, _):
        """As mount(8) does to the kernel's table; argv: mount -t TYPE -o OPTIONS -- DEVICE PLACE."""
        fstype, options, device, place = argv[2], argv[4].split(","), argv[6], argv[7]
        flags = [option for option in options if option in ("ro", "noexec", "nosuid", "nodev")]
        number, root = "0:42", "/"
        if "bind" in options:
            fstype, number, root, device = "ext4", "8:1", device, "/dev/sda1"
        line = "2 1 %s %s %s %s - %s %s rw\n" % (
            number,
            encode(root),
            encode(place),
            ",".join(["relatime", *flags]),
            fstype,
            encode(device),
        )
        if options[0] == "remount":
            self.umount(["umount", "--", place], "")
        self.put("/proc/self/mountinfo", (self.table() + line).encode("ascii"))

    def umount(self, argv, _):
        lines = self.table().splitlines(True)
        last = max(index for index, line in enumerate(lines) if line.split()[4] == encode(argv[2]))
        del lines[last]
        self.put("/proc/self/mountinfo", "".join(lines).encode("ascii"))

    def want(self, name="/srv/data", **fields):
        if fields.get("state") != "absent":
            fields = dict({"device": "tmpfs", "fstype": "tmpfs", "options": "defaults", "state": "mounted"}, **fields)
        return TypeCase.want(self, name, **fields)

    def ran(self, word):
        return [argv for argv in self.host.ran if argv[0] == word]

    def message(self, act):
        """What it fails with."""
        try:
            act()
        except Failed as error:
            return error.message
        raise AssertionError("nothing failed")

    def test_mounted_now_and_at_boot(self):
        """The line goes to the end, every other byte stays; a second reading has nothing to do."""
        self.converge(self.want(options="size=1m,noexec"))
        assert self.bytes_of(FSTAB) == OTHERS + b"tmpfs /srv/data tmpfs size=1m,noexec 0 0\n"
        assert self.host.ran == [["mount", "-t", "tmpfs", "-o", "size=1m,noexec", "--", "tmpfs", "/srv/data"]]
        assert self.converge(self.want(options="size=1m,noexec")) == []

    def test_systemd_learns_of_a_new_line(self):
        """Its mount units are made from fstab, and only when it is told."""
        self.directory("/run/systemd/system")
        self.host.answer("systemctl daemon-reload")
        self.converge(self.want())
        assert self.host.ran[-1] == ["systemctl", "daemon-reload"]

    def test_present_leaves_the_mount_alone(self):
        """Only the line counts, whether something is mounted or not."""
        self.converge(self.want(state="present", passno=2))
        assert self.host.ran == []
        assert self.bytes_of(FSTAB) == OTHERS + b"tmpfs /srv/data tmpfs defaults 0 2\n"
        self.converge(self.want())
        assert self.converge(self.want(state="present", options="size=2m")) == ["options"]
        assert len(self.ran("mount")) == 1

    def test_a_missing_fstab_is_made(self):
        """A container may have none."""
        os.remove(self.at(FSTAB))
        self.converge(self.want())
        assert (self.bytes_of(FSTAB), self.mode_of(FSTAB)) == (b"tmpfs /srv/data tmpfs defaults 0 0\n", 0o644)

    def test_only_the_field_that_differs_is_touched(self):
        """Blanks, the other fields and what stands behind them stay."""
        self.put(FSTAB, b"tmpfs\t/srv/data/   tmpfs  size=1m\t0 3 # ours\n")
        assert self.converge(self.want(state="present", options="size=2m")) == ["options"]
        assert self.bytes_of(FSTAB) == b"tmpfs\t/srv/data/   tmpfs  size=2m\t0 3 # ours\n"
        self.put(FSTAB, b"tmpfs /srv/data tmpfs")
        assert self.converge(self.want(state="present", passno=2)) == ["passno"]
        assert self.bytes_of(FSTAB) == b"tmpfs /srv/data tmpfs defaults 0 2"

    def test_blanks_and_backslashes_are_escaped(self):
        """In fstab and in the kernel's table alike."""
        self.directory("/srv/my data\\x")
        want = self.want("/srv/my data\\x", device="#a b")
        self.converge(want)
        assert self.bytes_of(FSTAB) == OTHERS + b"\\043a\\040b /srv/my\\040data\\134x tmpfs defaults 0 0\n"
        assert self.found(want).device == "#a b"
        self.converge(self.want("/srv/my data\\x", state="absent"))
        assert self.bytes_of(FSTAB) == OTHERS

    def test_what_was_unmounted_by_hand_is_mounted(self):
        """The line alone is not enough."""
        self.converge(self.want())
        self.umount(["umount", "--", "/srv/data"], "")
        assert self.found(self.want()).state == "present"
        assert self.converge(self.want()) == ["state"]

    def test_changed_options_are_remounted(self):
        """Without unmounting, so that who works there works on."""
        self.converge(self.want())
        assert self.converge(self.want(options="noexec,nofail")) == ["options"]
        assert self.host.ran[-1] == ["mount", "-t", "tmpfs", "-o", "remount,noexec", "--", "tmpfs", "/srv/data"]
        assert self.ran("umount") == []

    def test_a_flag_that_is_missing_on_the_mount_is_seen(self):
        """Remounted by hand with exec, it is no longer what the line promises."""
        want = self.want(options="noexec,nosuid,suid")
        self.converge(want)
        self.put("/proc/self/mountinfo", self.table().replace(",noexec", "").encode("ascii"))
        assert self.found(want).state == "mounted without noexec"
        assert self.converge(want) == ["state"]
        assert self.ran("umount") == []

    def test_another_device_is_mounted_in_its_place(self):
        """And where that fails, the old one comes back."""
        for name in ("sdb1", "sdc1"):
            self.put("/dev/" + name)
        self.directory("/dev/disk/by-uuid")
        os.symlink("../../sdb1", self.at("/dev/disk/by-uuid/ab-cd"))
        self.converge(self.want(device="/dev/sdb1", fstype="ext4"))
        assert self.converge(self.want(device="UUID=ab-cd", fstype="ext4")) == ["device"]
        assert self.ran("umount") == [], "it is the same device"
        assert self.converge(self.want(device="/dev/sdc1", fstype="ext4")) == ["device"]
        assert len(self.ran("umount")) == 1
        before = self.bytes_of(FSTAB), self.table()
        broken = "/dev/sdb1: can't read superblock"
        self.host.answer("mount -t ext4 -o defaults -- /dev/sdb1", Ran(32, "", "mount: /srv/data: %s.\n" % broken))
        assert self.message(lambda: self.converge(self.want(device="/dev/sdb1", fstype="ext4"))) == (
            "cannot mount /srv/data: mount: /srv/data: %s." % broken
        )
        assert before == (self.bytes_of(FSTAB), self.table())

    def test_what_is_mounted_by_hand_over_it_is_seen(self):
        """Whatever fstab says."""
        self.put("/dev/sdb1")
        self.put("/dev/sdc1")
        want = self.want(device="/dev/sdb1", fstype="ext4")
        self.converge(want)
        self.put("/proc/self/mountinfo", self.table().replace("sdb1", "sdc1").encode("ascii"))
        assert self.found(want).state == "/dev/sdc1 is mounted"
        assert self.converge(want) == ["state"]

    def test_a_directory_mounted_elsewhere(self):
        """A bind mount is known by what it shows, not by a name."""
        self.directory("/srv/real")
        want = self.want(device="/srv/real", fstype="none", options="bind,ro")
        self.converge(want)
        assert self.refusal(want) == ""
        self.put("/proc/self/mountinfo", self.table().replace("/srv/real", "/srv/other").encode("ascii"))
        assert self.found(want).state == "another directory is mounted"
        self.converge(want)

    def test_a_mount_that_fails_leaves_nothing_for_the_next_boot(self):
        """A wrong line in fstab ends in a machine that does not come up."""
        self.host.answer("mount", Ran(32, "", "mount: /srv/data: bad option.\n"))
        assert self.failure(self.want(options="nonsense")) == "cannot mount /srv/data: mount: /srv/data: bad option."

    def test_absent(self):
        """Unmounted, everything that lies on one another, and only its line goes."""
        self.converge(self.want())
        self.mount(["mount", "-t", "tmpfs", "-o", "ro", "--", "tmpfs", "/srv/data"], "")
        assert self.converge(self.want(state="absent")) == ["state"]
        assert (self.bytes_of(FSTAB), self.table()) == (OTHERS, ROOT)
        assert self.converge(self.want(state="absent")) == []

    def test_absent_of_a_busy_mount_names_who_holds_it(self):
        """And changes nothing."""
        self.converge(self.want())
        self.host.answer("umount", Ran(32, "", "umount: /srv/data: target is busy.\n"))
        want = self.want(state="absent")
        assert self.failure(want) == "cannot unmount /srv/data: umount: /srv/data: target is busy."
        self.put("/proc/12/comm", b"nginx\n")
        self.directory("/proc/12/fd")
        os.symlink("/srv/data/log", self.at("/proc/12/fd/3"))
        assert self.failure(want) == "/srv/data is in use: nginx (process 12)"
        self.directory("/srv/data/deep")
        self.mount(["mount", "-t", "tmpfs", "-o", "ro", "--", "tmpfs", "/srv/data/deep"], "")
        assert self.failure(want) == "/srv/data is in use: /srv/data/deep, mounted below it"

    def test_two_lines_for_one_place_are_refused(self):
        """Which of them is meant is for a person to say."""
        self.put(FSTAB, b"a /srv/data tmpfs\nb /srv/data/ tmpfs\n")
        found = self.found(self.want())
        assert isinstance(found, Failed)
        assert found.message == "/etc/fstab has several lines for /srv/data (1, 2); leave one"

    def test_refusals(self):
        """Told while planning, with the fix."""
        assert "belongs to the system" in self.refusal(self.want("/proc"))
        assert self.refusal(self.want("/srv/none")) == (
            "there is no directory /srv/none to mount on; declare it in `directories`"
        )
        assert self.refusal(self.want(device="/dev/sdx", fstype="ext4")) == (
            "there is no /dev/sdx; `state: present` writes the line alone"
        )
        assert "no file system nfs, and there is no program mount.nfs" in self.refusal(self.want(fstype="nfs"))
        self.host.which = lambda name: "/sbin/mount.nfs" if name == "mount.nfs" else None
        assert self.refusal(self.want(device="server:/x", fstype="nfs")) == ""
        self.directory("/var/lib")
        assert "what runs now stands on /var/lib" in self.refusal(self.want("/var/lib"))
        assert "put the secret into a file" in self.refusal(self.want(options=SecretText("password=x")))
        os.symlink("data", self.at("/srv/link"))
        os.symlink("srv", self.at("/short"))
        assert self.refusal(self.want("/srv/link")) == (
            "/srv/link is a symbolic link to data; name the directory it points to"
        )
        assert self.refusal(self.want("/short/data")) == (
            "/short/data is reached through a symbolic link; name /srv/data"
        )
        assert self.refusal(self.want(state="present", device="/dev/sdx", fstype="ext4")) == ""

    def test_limits_hold_for_what_a_mount_covers(self):
        """A mount over a directory that may not be written would change all below it."""
        self.host.limits = {"deny": ["/srv/data/keys"]}
        assert "denied by limits.deny" in self.message(lambda: self.refusal(self.want()))

    def test_limits_hold_for_fstab(self):
        """A run that may write below /srv alone writes no line of fstab."""
        self.host.limits = {"paths": ["/srv"]}
        assert "/etc/fstab is outside limits.paths" in self.message(lambda: self.refusal(self.want()))

    def test_removal_of_what_was_made(self):
        """Unmounted, and the line goes."""
        self.converge(self.want())
        self.converge(mount.removal({"name": "/srv/data", "created": True, "before": {}, "want": {}}))
        assert (self.bytes_of(FSTAB), self.table()) == (OTHERS, ROOT)

    def adopted(self, want):
        """The record of an adoption, with what is found now."""
        before = {
            field: value for field, value in self.found(want)._asdict().items() if field != "name" and value is not None
        }
        return {"name": "/srv/data", "created": False, "before": before, "want": {}}

    def test_removal_of_what_was_adopted(self):
        """The line gets its fields back; what was only mounted stays mounted, without our line."""
        self.put(FSTAB, OTHERS + b"tmpfs /srv/data tmpfs ro 0 0\n")
        old = self.bytes_of(FSTAB)
        record = self.adopted(self.want())
        self.converge(self.want())
        self.converge(mount.removal(record))
        assert self.bytes_of(FSTAB) == old
        self.put(FSTAB, OTHERS)
        record = self.adopted(self.want())
        self.converge(self.want())
        self.converge(mount.removal(record))
        assert self.bytes_of(FSTAB) == OTHERS
        assert "/srv/data" in self.table()


if __name__ == "__main__":
    unittest.main()
