"""A command gets a clean room and a deadline, and leaves nothing behind when the deadline passes."""

# ruff: noqa: PT009, PT027  runs on Python 3.6 without pytest

import os
import signal
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from statectl.onhost import process
from statectl.onhost.failure import Failed
from statectl.onhost.host import Host
from statectl.onhost.supervised import MARKER


def living(mark):
    """Process ids whose command line holds `mark`, ourselves excepted."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open("/proc/%s/cmdline" % name, "rb") as stream:
                    if mark.encode() in stream.read():
                        found.append(int(name))
            except OSError:
                continue
    return found


def unique():
    """Seconds to sleep that nobody else sleeps."""
    return "7%d.%d" % (os.getpid(), int(time.time() * 1000) % 100000)


class EndTest(unittest.TestCase):
    """Promise G2: every wait ends, and a timeout ends all that was started."""

    def ended(self, script, timeout=0.4, within=2.0, grace=0.3):
        """Run a script whose sleeps carry a mark of their own -> Ran; nothing with that mark may live afterwards."""
        mark = unique()
        began = time.monotonic()
        ran = process.run(["sh", "-c", script.replace("MARK", mark)], timeout=timeout, grace=grace)
        self.assertLess(time.monotonic() - began, timeout + within)
        self.assertEqual(living(mark), [])
        return ran

    def test_sleeper_is_ended(self):
        """V07: a command that sleeps for ever."""
        ran = self.ended("sleep MARK")
        self.assertTrue(ran.timed_out)
        self.assertIn(ran.code, (-signal.SIGTERM, 128 + signal.SIGTERM))  # the shell may see its child die first

    def test_children_in_sessions_of_their_own_are_ended(self):
        """V07: setsid leaves the process group and is found nevertheless."""
        self.assertTrue(self.ended("setsid sleep MARK & setsid -f sleep MARK; sleep MARK").timed_out)

    def test_orphans_of_a_double_fork_are_ended(self):
        """V08: whoever has no living parent of ours left still carries our mark."""
        self.assertTrue(self.ended("(setsid sh -c 'nohup sleep MARK >/dev/null 2>&1 &' &) ; sleep MARK").timed_out)

    def test_deaf_ones_are_killed_after_the_grace(self):
        """V08: TERM is ignored; KILL is not."""
        ran = self.ended("trap '' TERM; (trap '' TERM; setsid sleep MARK) & while :; do sleep MARK; done")
        self.assertEqual(ran.code, -signal.SIGKILL)

    def test_stopped_one_is_ended(self):
        """A process that stopped itself sees no TERM until it is woken."""
        self.assertTrue(self.ended("sleep MARK & kill -STOP $! ; kill -STOP $$").timed_out)

    def test_environment_cleared_but_parent_known(self):
        """One that wiped its environment and left the session is found through its parent."""
        self.assertTrue(self.ended("env -i setsid sleep MARK & sleep MARK").timed_out)

    def test_deaf_one_whose_parent_dies_first_is_killed(self):
        """What was found before its parent died is not forgotten: it ignores TERM and is KILLed."""
        deaf = "env -i setsid sh -c 'trap : TERM; while :; do sleep 0.05; done; : MARK' & sleep MARK"
        self.assertTrue(self.ended(deaf).timed_out)

    def test_daemon_that_holds_stdout_is_not_waited_for(self):
        """V08: the end of the command counts, not the end of its pipes; a daemon started rightly lives on."""
        began = time.monotonic()
        ran = process.run(["sh", "-c", "sleep 3.21 & echo started"], timeout=30)
        self.assertLess(time.monotonic() - began, 1)
        self.assertEqual((ran.code, ran.out, ran.timed_out), (0, "started\n", False))

    def test_command_that_closed_its_streams_is_waited_for(self):
        """The end of its pipes is not the end of the command."""
        ran = process.run(["sh", "-c", "exec >/dev/null 2>&1; sleep 0.3; exit 7"])
        self.assertEqual(ran.code, 7)

    def test_endless_output_does_not_outlive_the_deadline(self):
        """V01: a flood is cut at the deadline and costs bounded memory."""
        ran = process.run(["sh", "-c", "yes x & yes y"], timeout=0.5)
        self.assertTrue(ran.timed_out)
        self.assertLess(len(ran.out), 1200000)

    def test_stop_ends_it_like_a_deadline(self):
        """Cancelling asks `stop` at least twice a second."""
        began = time.monotonic()
        ran = process.run(["sleep", "30"], stop=lambda: time.monotonic() - began > 0.2)
        self.assertTrue(ran.timed_out)
        self.assertLess(time.monotonic() - began, 2)


class RoomTest(unittest.TestCase):
    """What a command sees."""

    def test_stdin_is_at_its_end(self):
        """V09: nobody waits for input."""
        self.assertEqual(process.run(["cat"]).out, "")

    def test_input_arrives_whole(self):
        """More than a pipe holds, in both directions at once."""
        data = os.urandom(300000).hex().encode("ascii")
        self.assertEqual(process.run(["cat"], stdin=data).out, data.decode("ascii"))

    def test_input_nobody_reads_is_no_error(self):
        """A command may end without reading."""
        self.assertEqual(process.run(["true"], stdin=b"x" * 1000000).code, 0)

    def test_input_from_a_file(self):
        """A large input is read by the command itself."""
        with tempfile.TemporaryFile() as stream:
            stream.write(b"abc")
            stream.seek(0)
            self.assertEqual(process.run(["cat"], stdin=stream).out, "abc")

    def test_there_is_no_terminal(self):
        """V11: a prompt on /dev/tty fails instead of hanging."""
        self.assertNotEqual(process.run(["sh", "-c", "read word </dev/tty"]).code, 0)

    def test_environment_is_ours(self):
        """Nothing of the caller's environment but the time zone reaches a command (E10)."""
        os.environ["STATECTL_TEST_CANARY"] = "1"
        try:
            lines = process.run(["env"], env={"DEBIAN_FRONTEND": "noninteractive"}).out.splitlines()
        finally:
            del os.environ["STATECTL_TEST_CANARY"]
        names = {line.partition("=")[0] for line in lines}
        self.assertLessEqual(
            names,
            {"PATH", "LC_ALL", "LANG", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "DEBIAN_FRONTEND", "PWD", "_", "SHLVL"}
            | {MARKER},
        )
        self.assertIn("PATH=" + ":".join(process.SEARCH), lines)
        self.assertIn("LC_ALL=C.UTF-8", lines)
        self.assertIn("DEBIAN_FRONTEND=noninteractive", lines)

    def test_signals_and_umask_are_the_usual_ones(self):
        """Python ignores SIGPIPE; a command that inherited that would write into nothing for ever."""
        old = os.umask(0o777)
        try:
            ran = process.run(["sh", "-c", "umask; yes | head -1; grep SigIgn /proc/self/status"])
        finally:
            os.umask(old)
        mask, word, ignored = ran.out.split("\n")[:3]
        self.assertEqual((mask, word), ("0022", "y"))
        self.assertEqual(int(ignored.split()[1], 16) & (1 << (signal.SIGPIPE - 1)), 0)

    def test_no_descriptor_of_ours_is_inherited(self):
        """The channel to the controller is not a command's to write into."""
        read_end, write_end = os.pipe()
        try:
            ran = process.run(["sh", "-c", "ls /proc/self/fd | wc -l"])
        finally:
            os.close(read_end)
            os.close(write_end)
        self.assertEqual(ran.out.strip(), "4")  # 0, 1, 2 and the directory that ls reads

    def test_none_is_left_open_here(self):
        """10 commands leave as many descriptors as before."""
        process.run(["true"])
        before = len(os.listdir("/proc/self/fd"))
        for number in range(10):
            process.run(["sh", "-c", "echo; exit %d" % number], stdin=b"x")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_working_directory(self):
        """The root directory unless said otherwise: a command must not hold a mount."""
        self.assertEqual(process.run(["pwd"]).out, "/\n")
        self.assertEqual(process.run(["pwd"], cwd="/usr").out, "/usr\n")

    @unittest.skipIf(os.geteuid() != 0, "needs root to become somebody else")
    def test_other_user(self):
        """uid, gid, groups and home are all of that user."""
        host = Host()
        ran = host.run(["sh", "-c", "id -u; id -G; echo $HOME $USER"], user="daemon")
        uid, groups, names = ran.out.splitlines()
        self.assertEqual(uid, str(host.user_id("daemon")))
        self.assertNotIn("0", groups.split())
        self.assertTrue(names.endswith(" daemon"))


class OutputTest(unittest.TestCase):
    """What is kept of what a command says."""

    def test_head_and_tail_are_kept(self):
        """V01: the first and the last of 30 MB, and how much is missing."""
        ran = process.run(["sh", "-c", "echo first; head -c 30000000 /dev/zero | tr '\\0' x; echo; echo last"])
        self.assertTrue(ran.out.startswith("first\nxxx"))
        self.assertTrue(ran.out.endswith("x\nlast\n"))
        self.assertIn("bytes left out", ran.out)
        self.assertLess(len(ran.out), process.OUTPUT_LIMIT + 100)

    def test_bytes_that_are_no_text_survive(self):
        """V03: nothing is lost on the way into text."""
        ran = process.run(["printf", "\\377\\000\\303\\244"])
        self.assertEqual(ran.out.encode("utf-8", "surrogateescape"), b"\xff\x00\xc3\xa4")

    def test_streaming_delivers_bytes_as_they_come(self):
        """kind run shows output while the command runs."""
        seen = []
        began = time.monotonic()
        process.run(
            ["sh", "-c", "echo one; echo two >&2; sleep 0.4; echo three"],
            on_output=lambda stream, data: seen.append((stream, data, time.monotonic() - began < 0.3)),
        )
        self.assertEqual(sorted(seen), [("err", b"two\n", True), ("out", b"one\n", True), ("out", b"three\n", False)])

    def test_receiver_that_raises_ends_the_command(self):
        """A broken channel must not leave the command running unseen."""

        def broken(stream, data):
            raise BrokenPipeError

        mark = unique()
        with self.assertRaises(BrokenPipeError):
            process.run(["sh", "-c", "echo; sleep " + mark], on_output=broken)
        self.assertEqual(living(mark), [])

    def test_signal_whose_handler_raises_ends_the_command(self):
        """Whenever it comes, also while the command is being started."""

        class Told(Exception):
            pass

        def tell(number, frame):
            raise Told

        mark = unique()
        old = signal.signal(signal.SIGALRM, tell)
        try:
            for delay in (0.0002, 0.0005, 0.001, 0.002, 0.004, 0.05):
                with self.assertRaises(Told):
                    signal.setitimer(signal.ITIMER_REAL, delay)
                    process.run(["sh", "-c", "sleep " + mark])
                self.assertEqual(living(mark), [])
        finally:
            signal.signal(signal.SIGALRM, old)

    def test_signal_that_comes_while_signals_are_being_blocked(self):
        """pthread_sigmask itself runs handlers: one that raises out of it must not leave the signals blocked for good."""

        class Told(Exception):
            pass

        blocking = signal.pthread_sigmask

        def block(how, signals):
            before = blocking(how, signals)
            if how == signal.SIG_BLOCK and signals:
                raise Told
            return before

        before = blocking(signal.SIG_BLOCK, ())
        process.signal.pthread_sigmask = block
        try:
            with self.assertRaises(Told):
                process.run(["true"])
        finally:
            process.signal.pthread_sigmask = blocking
        self.assertEqual(blocking(signal.SIG_SETMASK, before), before)


class FailureTest(unittest.TestCase):
    """A failed command says which, how and what it printed last."""

    def failure(self, *args, **options):
        with self.assertRaises(Failed) as caught:
            Host().run(*args, **options)
        return caught.exception

    def test_exit_code(self):
        """argv, code and the last of stderr travel."""
        error = self.failure(["sh", "-c", "head -c 9000 /dev/zero | tr '\\0' a; echo no such thing >&2; exit 4"])
        self.assertEqual(error.cause, "sh exited with code 4")
        self.assertEqual(error.message, "sh exited with code 4: no such thing")
        self.assertEqual(error.code, 4)
        self.assertEqual(len(error.output), 4096)

    def test_signal_and_timeout(self):
        """Being ended is not an exit code."""
        self.assertEqual(self.failure(["sh", "-c", "kill -9 $$"]).message, "sh was ended by signal 9")
        self.assertEqual(self.failure(["sleep", "9"], timeout=0.2).message, "sleep did not end within 0.2 s")

    def test_unchecked(self):
        """check=False leaves the judgement to the caller."""
        self.assertEqual(Host().run(["false"], check=False).code, 1)

    def test_missing_command_and_directory(self):
        """What could not be started is named; $PATH plays no part."""
        self.assertEqual(self.failure(["no-such-command"]).cause, "command not found")
        self.assertIn("in directory /nonexistent", self.failure(["true"], cwd="/nonexistent").message)
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "only-here")
            with open(path, "w") as stream:
                stream.write("#!/bin/sh\n")
            os.chmod(path, 0o755)
            old, os.environ["PATH"] = os.environ["PATH"], directory
            try:
                self.assertEqual(self.failure(["only-here"]).cause, "command not found")
                self.assertEqual(Host().run([path]).code, 0)
            finally:
                os.environ["PATH"] = old

    def test_script_without_interpreter_line(self):
        """ENOEXEC is told as such, not run by a shell."""
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "script")
            with open(path, "w") as stream:
                stream.write("echo hi\n")
            os.chmod(path, 0o755)
            self.assertIn("exec format error", self.failure([path]).cause)

    def test_unknown_user(self):
        """A user that does not exist is no traceback."""
        self.assertEqual(self.failure(["true"], user="no-such-user").cause, "no such user")


if __name__ == "__main__":
    unittest.main()
