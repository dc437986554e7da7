"""A managed file is the old one or the new one, whole, with its rights; a hostile directory or a full disk changes nothing."""

# ruff: noqa: PT009, PT027, RUF005  runs on Python 3.6 without pytest

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from statectl.onhost import files
from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.host import Host

ROOT = os.geteuid() == 0


def mounts():
    """May we mount things here?"""
    if not ROOT:
        return False
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.call(["mount", "-t", "tmpfs", "probe", directory], stderr=subprocess.DEVNULL)
        return done == 0 and subprocess.call(["umount", directory]) == 0


MOUNTS = mounts()


class FilesCase(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.host = Host()
        self.target = self.at("target")

    def at(self, *parts):
        return os.path.join(self.directory, *parts)

    def put(self, path, data=b"old", mode=0o644):
        with open(path, "wb") as stream:
            stream.write(data)
        os.chmod(path, mode)
        return path

    def bytes_of(self, path):
        with open(path, "rb") as stream:
            return stream.read()

    def fails(self, cause, call, *args, **options):
        """`call` raises Failed of this cause and leaves no temporary file. -> its message"""
        with self.assertRaises(Failed) as caught:
            call(*args, **options)
        self.assertEqual(caught.exception.cause, cause)
        left = [name for _, _, names in os.walk(self.directory) for name in names if files.TEMPORARY.match(name)]
        self.assertEqual(left, [])
        return caught.exception.message


class ReplaceTest(FilesCase):
    def test_new_file(self):
        """0644 unless said otherwise, whatever the umask."""
        old = os.umask(0o777)
        try:
            self.host.replace_file(self.target, b"new")
            self.host.replace_file(self.at("secret"), b"new", mode="0600")
        finally:
            os.umask(old)
        self.assertEqual(stat.S_IMODE(os.stat(self.target).st_mode), 0o644)
        self.assertEqual(stat.S_IMODE(os.stat(self.at("secret")).st_mode), 0o600)
        self.assertEqual(self.bytes_of(self.target), b"new")

    def test_mode_of_the_old_file_is_kept_setuid_included(self):
        """D09."""
        self.put(self.target, mode=0o4711)
        self.host.replace_file(self.target, b"new")
        self.assertEqual(stat.S_IMODE(os.stat(self.target).st_mode), 0o4711)

    @unittest.skipUnless(ROOT, "needs root to give files away")
    def test_owner_of_the_old_file_is_kept_and_a_wanted_one_set(self):
        """D09: owner and group, by name and by number."""
        self.put(self.target, mode=0o4755)
        os.chown(self.target, 1, 2)
        os.chmod(self.target, 0o4755)
        self.host.replace_file(self.target, b"new")
        found = os.stat(self.target)
        self.assertEqual((found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)), (1, 2, 0o4755))
        self.host.replace_file(self.target, b"newer", owner="root", group=3)
        found = os.stat(self.target)
        self.assertEqual((found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)), (0, 3, 0o4755))

    def test_extended_attributes_are_kept(self):
        """D09: user attributes, ACL and capabilities travel to the new inode."""
        self.put(self.target)
        try:
            os.setxattr(self.target, "user.note", b"kept")
        except OSError as error:
            self.skipTest("no extended attributes here: %s" % error)
        if ROOT:
            os.setxattr(self.target, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
        # version 2; user::rw-, user:1:r--, group::r--, mask::r--, other::---
        acl = bytes.fromhex(
            "02000000 01000600ffffffff 02000400 01000000 04000400ffffffff 10000400ffffffff 20000000ffffffff".replace(
                " ", ""
            )
        )
        os.setxattr(self.target, "system.posix_acl_access", acl)
        before = {name: os.getxattr(self.target, name) for name in os.listxattr(self.target)}
        mode = os.stat(self.target).st_mode
        self.host.replace_file(self.target, b"new")
        self.assertEqual({name: os.getxattr(self.target, name) for name in os.listxattr(self.target)}, before)
        self.assertEqual(os.stat(self.target).st_mode, mode)
        self.assertIn("system.posix_acl_access", before)

    def test_default_acl_of_the_directory_does_not_reach_a_file_that_had_none(self):
        """The new inode must not be readable by more people than the old one."""
        self.put(self.target, mode=0o640)
        acl = bytes.fromhex(
            "02000000 01000700ffffffff 02000700 01000000 04000700ffffffff 10000700ffffffff 20000700ffffffff".replace(
                " ", ""
            )
        )
        try:
            os.setxattr(self.directory, "system.posix_acl_default", acl)
        except OSError as error:
            self.skipTest("no ACL here: %s" % error)
        self.host.replace_file(self.target, b"new")
        self.assertEqual(os.listxattr(self.target), [])
        self.assertEqual(stat.S_IMODE(os.stat(self.target).st_mode), 0o640)

    def test_other_names_of_a_hard_link_keep_the_old_content(self):
        """Documented choice: a replaced file is a new inode."""
        self.put(self.target)
        os.link(self.target, self.at("other"))
        self.host.replace_file(self.target, b"new")
        self.assertEqual((self.bytes_of(self.target), self.bytes_of(self.at("other"))), (b"new", b"old"))

    def test_temporary_file_is_never_readable_by_others(self):
        """D10: 0600 from its first moment until its content and owner are there."""
        seen, directory = [], self.directory

        class Slow(Content):
            __slots__ = ()

            def open(self):
                for name in os.listdir(directory):
                    mode = os.stat(os.path.join(directory, name)).st_mode
                    seen.append((bool(files.TEMPORARY.match(name)), stat.S_IMODE(mode)))
                return Content.open(self)

        content = Content.of_bytes(b"secret")
        old = os.umask(0)
        try:
            self.host.replace_file(self.target, Slow(content.sha256, content.size, b"secret"), mode=0o666)
        finally:
            os.umask(old)
        self.assertEqual(seen, [(True, 0o600)])

    def test_targets_that_are_no_files_are_refused_without_blocking(self):
        """D14: link, dangling link, directory, fifo, socket, device."""
        self.put(self.at("file"))
        os.symlink("file", self.at("link"))
        os.symlink("nowhere", self.at("dangling"))
        os.mkdir(self.at("directory"))
        os.mkfifo(self.at("fifo"))
        with socket.socket(socket.AF_UNIX) as channel:
            channel.bind(self.at("socket"))
        cases = {
            "link": "a symbolic link",
            "dangling": "a symbolic link",
            "directory": "a directory",
            "fifo": "a fifo",
            "socket": "a socket",
        }
        for name, word in cases.items():
            with self.subTest(name):
                message = self.fails("target is " + word, self.host.replace_file, self.at(name), b"new")
                self.assertIn(self.at(name) + " is " + word, message)
        self.fails("target is a character device", self.host.replace_file, "/dev/null", b"new")
        self.assertEqual(self.bytes_of(self.at("file")), b"old")

    def test_validation_sees_the_new_content_and_may_refuse(self):
        """The old file is in place until the check has agreed."""
        self.put(self.target)
        self.host.replace_file(
            self.target,
            b"good",
            validate=["sh", "-c", 'grep -q good "$1" && grep -q old "$2"', "sh", "%s", self.target],
        )
        self.assertEqual(self.bytes_of(self.target), b"good")
        with self.assertRaises(Failed) as caught:
            self.host.replace_file(self.target, b"bad", validate=["grep", "good", "%s"])
        self.assertEqual(caught.exception.argv[0], "grep")
        self.assertEqual(self.bytes_of(self.target), b"good")
        self.assertEqual(os.listdir(self.directory), ["target"])

    def test_content_that_is_not_what_its_hash_says_is_not_written(self):
        """A blob that changed on its way never becomes a file."""
        self.put(self.target)
        self.fails("content does not match its hash", self.host.replace_file, self.target, Content("0" * 64, 3, b"new"))
        self.assertEqual(self.bytes_of(self.target), b"old")

    def test_huge_file_is_streamed(self):
        """D16: 300 MB pass through in constant memory."""
        source = self.at("source")
        with open(source, "wb") as stream:
            stream.truncate(300 * 1024 * 1024)
        code = (
            "import resource, sys; sys.path.insert(0, %r)\n"
            "from statectl.onhost.host import Host, Content\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "Host().replace_file(%r, Content.of_file(%r))\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        ) % (os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), self.target, source)
        grown = subprocess.check_output([sys.executable, "-c", code])
        self.assertLess(int(grown), 16 * 1024)
        self.assertEqual(os.path.getsize(self.target), 300 * 1024 * 1024)

    def test_odd_names(self):
        """D17: newline, bytes that are no text, 255 bytes."""
        for name in ("a\nb", os.fsdecode(b"\xff\xfe"), "n" * 255, " ", "-rf", ".statectl"):
            self.host.replace_file(self.at(name), b"new")
            self.assertEqual(self.bytes_of(self.at(name)), b"new")
        self.fails("name too long", self.host.replace_file, self.at("n" * 256), b"new")

    def test_missing_directory_is_named(self):
        """D12."""
        message = self.fails("directory missing", self.host.replace_file, self.at("no", "such", "file"), b"new")
        self.assertIn("directory missing: " + self.at("no"), message)
        self.put(self.target)
        self.fails("not a directory", self.host.replace_file, self.at("target", "below"), b"new")

    def test_relative_and_climbing_paths_are_refused(self):
        """A path is absolute and ends in a name."""
        self.fails("path is not absolute", self.host.replace_file, "target", b"new")
        self.fails("path ends in ..", self.host.replace_file, self.at(".."), b"new")


class TroubleTest(FilesCase):
    """Every system call may fail; the target stays as it was and the cause is named."""

    def broken(self, name, number, after=0):
        """The call os.<name> fails with errno `number` after `after` good calls."""
        real = getattr(os, name)
        calls = []

        def call(*args, **options):
            calls.append(args)
            if len(calls) > after:
                raise OSError(number, os.strerror(number))
            return real(*args, **options)

        return mock.patch.object(os, name, call)

    def test_every_step_may_fail(self):
        """D08: EIO at write, fchmod, fsync and rename: old content, no temporary file, no second try."""
        self.put(self.target)
        for name in ("write", "fchmod", "fsync", "rename"):
            with self.subTest(name), self.broken(name, errno.EIO):
                self.fails("input/output error", self.host.replace_file, self.target, b"new")
            self.assertEqual(self.bytes_of(self.target), b"old")

    def test_directory_sync_that_fails_is_told(self):
        """ "changed" is said only of what a power cut cannot take back."""
        self.put(self.target)
        with self.broken("fsync", errno.EIO, after=1):
            self.fails("input/output error", self.host.replace_file, self.target, b"new")

    def test_order_of_the_steps(self):
        """D06: the file's data is on disk before it gets its name, and the name before we say so."""
        calls = []
        real_sync, real_rename = os.fsync, os.rename

        def sync(fd):
            calls.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
            real_sync(fd)

        def rename(*args, **options):
            calls.append("rename")
            real_rename(*args, **options)

        with mock.patch.object(os, "fsync", sync), mock.patch.object(os, "rename", rename):
            self.host.replace_file(self.target, b"new")
        self.assertEqual(calls, ["file", "rename", "directory"])

    @unittest.skipUnless(MOUNTS, "needs root and mount")
    def test_full_disk(self):
        """D01: both sizes and the mount are named; nothing is written before it is known that it fits."""
        small = self.at("small")
        os.mkdir(small)
        subprocess.check_call(["mount", "-t", "tmpfs", "-o", "size=1m", "small", small])
        try:
            target = os.path.join(small, "file")
            self.put(target)
            message = self.fails("no space left on device", self.host.replace_file, target, b"x" * (3 * 1024 * 1024))
            self.assertRegex(message, r"needs 3\.0 MB, 1\.0 MB free on " + small)
            self.assertEqual(self.bytes_of(target), b"old")
            with self.broken("write", errno.ENOSPC):
                self.fails("no space left on device", self.host.replace_file, target, b"x")
        finally:
            subprocess.check_call(["umount", small])

    @unittest.skipUnless(MOUNTS, "needs root and mount")
    def test_no_inodes(self):
        """D03."""
        small = self.at("small")
        os.mkdir(small)
        subprocess.check_call(["mount", "-t", "tmpfs", "-o", "nr_inodes=2", "small", small])
        try:
            self.put(os.path.join(small, "one"))
            self.fails("no inodes left", self.host.replace_file, os.path.join(small, "two"), b"x")
        finally:
            subprocess.check_call(["umount", small])

    @unittest.skipUnless(MOUNTS, "needs root and mount")
    def test_read_only_file_system(self):
        """D04: named with its mount."""
        small = self.at("small")
        os.mkdir(small)
        subprocess.check_call(["mount", "-t", "tmpfs", "-o", "ro", "small", small])
        try:
            message = self.fails("read-only file system", self.host.replace_file, os.path.join(small, "file"), b"x")
            self.assertIn(small, message)
            self.fails("read-only file system", self.host.make_directory, os.path.join(small, "new"))
        finally:
            subprocess.check_call(["umount", small])

    @unittest.skipUnless(ROOT, "needs root and chattr")
    def test_immutable_file(self):
        """D05: the attribute is named and stays."""
        self.put(self.target)
        if not shutil.which("chattr") or subprocess.call(["chattr", "+i", self.target], stderr=subprocess.DEVNULL):
            self.skipTest("no attributes on this file system")
        try:
            message = self.fails("immutable or append-only attribute", self.host.replace_file, self.target, b"new")
            self.assertIn("immutable attribute (chattr +i)", message)
            self.fails("immutable or append-only attribute", self.host.remove_file, self.target)
            self.fails("immutable or append-only attribute", self.host.set_mode, self.target, 0o600)
        finally:
            subprocess.check_call(["chattr", "-i", self.target])

    @unittest.skipUnless(MOUNTS, "needs root and mount")
    def test_file_that_is_a_mount_point(self):
        """A bind-mounted file (/etc/hosts of a container) is told as what it is."""
        self.put(self.target)
        self.put(self.at("source"))
        subprocess.check_call(["mount", "--bind", self.at("source"), self.target])
        try:
            self.fails("mount point or in use", self.host.replace_file, self.target, b"new")
        finally:
            subprocess.check_call(["umount", self.target])

    @unittest.skipUnless(ROOT, "needs root to become somebody else")
    def test_without_rights(self):
        """Nobody's file is not replaced by a user who may not; a file that cannot keep its owner is not taken over."""
        os.chmod(self.directory, 0o777)
        self.put(self.target)
        os.mkdir(self.at("closed"), 0o755)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                host = Host()
                self.fails("not allowed to set the owner", host.replace_file, self.target, b"new")
                self.fails("permission denied", host.replace_file, self.at("closed", "x"), b"new")
                host.replace_file(self.at("own"), b"new")
                code = 0
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(self.bytes_of(self.target), b"old")


class WayTest(FilesCase):
    """Where a path really leads is what counts."""

    def test_links_of_our_own_are_followed(self):
        """/var/run is a link on every machine."""
        os.mkdir(self.at("real"))
        os.symlink("real", self.at("relative"))
        os.symlink(self.at("relative"), self.at("absolute"))
        self.host.replace_file(self.at("absolute", "file"), b"new")
        self.host.replace_file(self.at("real", "..", "relative", "two"), b"new")
        self.assertEqual(sorted(os.listdir(self.at("real"))), ["file", "two"])

    def test_circle_of_links_ends(self):
        """Two links to each other are an error and not a wait."""
        os.symlink("b", self.at("a"))
        os.symlink("a", self.at("b"))
        self.fails("too many symbolic links", self.host.replace_file, self.at("a", "x"), b"new")

    @unittest.skipUnless(ROOT, "needs root to give links away")
    def test_link_of_a_user_to_a_directory_of_another_is_refused(self):
        """T30: whoever owns ~/.ssh must not point root's writing at /root/.ssh; within their own files they may link."""
        os.mkdir(self.at("home"))
        os.mkdir(self.at("precious"))
        os.mkdir(self.at("home", "own"))
        os.chown(self.at("home", "own"), 1234, 1234)
        for name, to in (("bad", "../precious"), ("good", "own")):
            os.symlink(to, self.at("home", name))
            os.chown(self.at("home", name), 1234, 1234, follow_symlinks=False)
        self.fails("link of another user", self.host.replace_file, self.at("home", "bad", "keys"), b"new")
        self.assertEqual(os.listdir(self.at("precious")), [])
        self.host.replace_file(self.at("home", "good", "keys"), b"new")

    def test_link_swapped_in_while_we_work_gains_nothing(self):
        """T30: the directory that was checked is the directory that is written to."""
        os.mkdir(self.at("here"))
        os.mkdir(self.at("elsewhere"))
        host = Host(limits={"paths": [self.at("here")]})

        def swap(action, path):
            os.rename(self.at("here"), self.at("moved"))
            os.symlink("elsewhere", self.at("here"))

        host.on_write = swap
        host.replace_file(self.at("here", "file"), b"new")
        self.assertEqual(os.listdir(self.at("elsewhere")), [])
        self.assertEqual(os.listdir(self.at("moved")), ["file"])

    def test_limits(self):
        """limits.paths and limits.deny hold for every write, links resolved."""
        for name in ("in", "in/deny", "in/deny/below", "out"):
            os.mkdir(self.at(name))
        os.symlink("../out", self.at("in", "leak"))
        host = Host(limits={"paths": [self.at("in")], "deny": [self.at("in", "deny")]})
        host.replace_file(self.at("in", "file"), b"new")
        outside = "outside limits.paths"
        for path in (
            self.at("out", "x"),
            self.at("in", "leak", "x"),
            self.at("in", "..", "out", "x"),
            self.at("inner"),
        ):
            self.fails(outside, host.replace_file, path, b"new")
        self.put(self.at("out", "victim"))
        for call, args in (
            (host.remove_file, ()),
            (host.set_mode, (0o600,)),
            (host.set_owner, (os.geteuid(),)),
            (host.make_link, ("x", True)),
            (host.remove_tree, ()),
        ):
            self.fails(outside, call, self.at("out", "victim"), *args)
        self.fails(outside, host.make_directory, self.at("out", "new"))
        denied = "denied by limits.deny"
        self.fails(denied, host.replace_file, self.at("in", "deny", "x"), b"new")
        self.fails(denied, host.remove_tree, self.at("in"))
        self.fails(denied, host.remove_tree, self.at("in", "deny", "below"))
        self.assertEqual(self.bytes_of(self.at("out", "victim")), b"old")

    def test_limits_may_be_written_with_links(self):
        """limits.paths: [/var/run/x] means /run/x."""
        os.mkdir(self.at("run"))
        os.symlink("run", self.at("var-run"))
        Host(limits={"paths": [self.at("var-run")]}).replace_file(self.at("run", "x"), b"new")

    def test_writes_are_announced_and_may_be_stopped(self):
        """The journal knows before the file system does."""

        def stop(action, path):
            raise Failed("%s %s" % (action, path), "stopped")

        host = Host(on_write=stop)
        message = self.fails("stopped", host.replace_file, self.target, b"new")
        self.assertEqual(message, "replace " + self.target)
        self.assertEqual(os.listdir(self.directory), [])


class TreeTest(FilesCase):
    def test_removal_of_a_tree(self):
        """Links in it are removed, never followed; a deep tree needs no recursion."""
        top = self.at("tree")
        os.mkdir(top)
        self.put(self.at("outside"))
        os.symlink("../outside", os.path.join(top, "link"))
        os.symlink("..", os.path.join(top, "up"))
        os.mkfifo(os.path.join(top, "fifo"))
        self.put(os.path.join(top, "read-only"), mode=0)
        fd = os.open(top, os.O_RDONLY)
        for _ in range(200):
            os.mkdir("deep", dir_fd=fd)
            below = os.open("deep", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)
        self.assertTrue(self.host.remove_tree(top))
        self.assertEqual(os.listdir(self.directory), ["outside"])
        self.assertFalse(self.host.remove_tree(top))

    @unittest.skipUnless(MOUNTS, "needs root and mount")
    def test_removal_stops_at_a_mount(self):
        """A file system mounted below is somebody's data."""
        os.makedirs(self.at("tree", "mnt"))
        subprocess.check_call(["mount", "-t", "tmpfs", "data", self.at("tree", "mnt")])
        try:
            self.put(self.at("tree", "mnt", "data"))
            self.fails("mount point", self.host.remove_tree, self.at("tree"))
            self.fails("mount point", self.host.remove_tree, self.at("tree", "mnt"))
            self.assertEqual(self.bytes_of(self.at("tree", "mnt", "data")), b"old")
        finally:
            subprocess.check_call(["umount", self.at("tree", "mnt")])

    def test_directories(self):
        """Made with its mode whatever the umask, with the setgid bit too; a taken name is told."""
        old = os.umask(0o777 if ROOT else 0o077)
        try:
            self.host.make_directory(self.at("new"), mode="02775")
        finally:
            os.umask(old)
        self.assertEqual(stat.S_IMODE(os.stat(self.at("new")).st_mode), 0o2775)
        self.assertIn("is a directory", self.fails("name is taken", self.host.make_directory, self.at("new")))
        self.fails("directory missing", self.host.make_directory, self.at("no", "parent"))

    def test_links(self):
        """A link is replaced by rename; what is no link only with force, a full directory never."""
        self.host.make_link(self.at("link"), "one")
        self.host.make_link(self.at("link"), "two words\n")
        self.assertEqual(self.host.readlink(self.at("link")), "two words\n")
        self.put(self.target)
        self.fails("name is taken", self.host.make_link, self.target, "x")
        self.host.make_link(self.target, "x", force=True)
        self.assertEqual(os.readlink(self.target), "x")
        os.makedirs(self.at("full", "below"))
        self.fails("directory is not empty", self.host.make_link, self.at("full"), "x", force=True)
        self.host.make_link(self.at("full", "below"), "x", force=True)

    def test_mode_is_not_set_through_a_link(self):
        """The file behind a link keeps its mode; setting a fifo's mode does not open it."""
        self.put(self.target, mode=0o600)
        os.symlink("target", self.at("link"))
        self.fails("target is a symbolic link", self.host.set_mode, self.at("link"), 0o666)
        os.mkfifo(self.at("fifo"), 0o600)
        self.host.set_mode(self.at("fifo"), "0640")
        self.assertEqual(stat.S_IMODE(os.stat(self.at("fifo")).st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(self.target).st_mode), 0o600)

    @unittest.skipUnless(ROOT, "needs root to give files away")
    def test_owner_of_the_name_itself(self):
        """A link's target keeps its owner, and a setuid bit survives a change of owner."""
        self.put(self.target)
        os.chmod(self.target, 0o4755)
        os.symlink("target", self.at("link"))
        self.host.set_owner(self.at("link"), owner=1, group="2")
        self.assertEqual(os.stat(self.target).st_uid, 0)
        self.assertEqual(os.lstat(self.at("link")).st_uid, 1)
        self.host.set_owner(self.target, owner="daemon")
        self.assertEqual(stat.S_IMODE(os.stat(self.target).st_mode), 0o4755)
        self.fails("no such user", self.host.set_owner, self.target, owner="no-such-user")
        self.fails("no such group", self.host.set_owner, self.target, group="no-such-group")


class SweepTest(FilesCase):
    def test_only_what_an_interrupted_replace_left_is_removed(self):
        """D06: names of ours go, names like ours stay."""
        ours = ".statectl-0123456789abcdef.tmp"
        stays = [".statectl-0123.tmp", "statectl-0123456789abcdef.tmp", ours + ".bak", ".statectl-0123456789ABCDEF.tmp"]
        for name in [ours] + stays:
            self.put(self.at(name))
        os.symlink("target", self.at(".statectl-00000000000000ff.tmp"))
        removed = files.sweep(self.directory)
        self.assertEqual(sorted(removed), [".statectl-00000000000000ff.tmp", ours])
        self.assertEqual(sorted(os.listdir(self.directory)), sorted(stays))
        self.assertEqual(files.sweep(self.at("missing")), [])

    def test_kill_at_every_step_leaves_old_or_new(self):
        """D07: the process dies before each system call in turn; after a sweep there is one whole file and nothing else."""
        steps = ("open", "write", "fchown", "fchmod", "fsync", "rename")
        for name in steps:
            for after in range(4):
                self.put(self.target)
                pid = os.fork()
                if pid == 0:
                    real = getattr(os, name)
                    calls = []

                    def die(*args, **options):
                        calls.append(1)  # noqa: B023  used before the next round
                        if len(calls) > after:  # noqa: B023
                            os._exit(9)
                        return real(*args, **options)  # noqa: B023

                    setattr(os, name, die)
                    try:
                        self.host.replace_file(self.target, b"new" * 1000)
                    finally:
                        os._exit(0)
                os.waitpid(pid, 0)
                self.assertIn(self.bytes_of(self.target), (b"old", b"new" * 1000))
                files.sweep(self.directory)
                self.assertEqual(os.listdir(self.directory), ["target"])


class ReadTest(FilesCase):
    def test_missing_is_none_and_odd_is_told(self):
        """Reading never blocks and never hides an error."""
        self.assertIsNone(self.host.read_file(self.at("nothing")))
        self.assertIsNone(self.host.lstat(self.at("no", "thing")))
        self.assertIsNone(self.host.readlink(self.at("nothing")))
        self.assertEqual(self.host.listdir(self.at("nothing")), [])
        os.mkfifo(self.at("fifo"))
        self.fails("not a regular file", self.host.read_file, self.at("fifo"))
        self.fails("not a regular file", Content.of_file, self.at("fifo"))
        self.assertIsNone(self.host.content_of(self.at("fifo")))
        self.put(self.target, b"0123456789")
        self.assertEqual(self.host.read_file(self.target, limit=4), b"0123")

    def test_content_is_equal_by_hash(self):
        """Found and wanted meet in one comparison; the bytes need not be there."""
        self.put(self.target, b"abc")
        found = Content.of_file(self.target)
        self.assertEqual(found, Content.of_bytes(b"abc"))
        self.assertEqual(found, Content.wanted(found.sha256, 3))
        self.assertNotEqual(found, Content.of_bytes(b"abd"))
        self.assertNotEqual(found, "abc")
        with self.assertRaises(Failed):
            Content.wanted(found.sha256, 3).read()
        promised = Content.wanted(found.sha256, 3)
        promised.deliver(self.target)
        self.assertEqual(promised.read(2), b"ab")


if __name__ == "__main__":
    unittest.main()
