import os
import unittest

from type_case import TypeCase

from statectl.onhost.content import SecretText
from statectl.onhost.resources import cron_job

EVERY = {"minute": "5", "hour": "*", "day": "*", "month": "*", "weekday": "*", "user": "root", "env": {}}


class CronJobs(TypeCase):
    module = cron_job

    def setUp(self):
        TypeCase.setUp(self)
        self.directory("/etc/cron.d")

    def job(self, name="backup", **fields):
        return self.want(name, **dict(EVERY, command="/usr/bin/backup --all", **fields))

    def test_a_job_gets_a_file_of_its_own(self):
        """One line with the user; the next reading finds nothing to do."""
        self.converge(self.job(env={"MAILTO": "root@example.org"}))
        assert self.bytes_of("/etc/cron.d/statectl-backup") == (
            b'# cron job backup, written by statectl\nMAILTO="root@example.org"\n5 * * * * root /usr/bin/backup --all\n'
        )
        assert self.mode_of("/etc/cron.d/statectl-backup") == 0o644

    def test_a_secret_in_the_environment(self):
        """It is written as it is, quoted so that cron reads it back, into a file for root alone; what no quotes can hold is refused."""
        secret = SecretText('pass"word')
        self.converge(self.job(env={"KEY": secret}))
        assert b"KEY='pass\"word'\n" in self.bytes_of("/etc/cron.d/statectl-backup")
        assert self.mode_of("/etc/cron.d/statectl-backup") == 0o600
        for impossible in ("both\"and'", "two\nlines"):
            want = self.job(env={"KEY": SecretText(impossible)})
            refusal = cron_job.validate(self.host, want, self.found(want))
            assert "KEY" in refusal
            assert impossible not in refusal

    def test_what_was_edited_by_hand_is_seen_field_by_field(self):
        """A changed hour, a second line and a new variable are each a difference."""
        self.converge(self.job())
        self.put("/etc/cron.d/statectl-backup", b"5 3 * * * root /usr/bin/backup --all\n")
        assert self.differing(self.job()) == ["hour"]
        self.put("/etc/cron.d/statectl-backup", b"A=1\n5 * * * * root /usr/bin/backup --all\n* * * * * root evil\n")
        found = self.found(self.job())
        assert found.env == {"A": "1"}
        assert "evil" in found.command
        self.converge(self.job())

    def test_a_file_that_cron_would_skip_is_a_difference(self):
        """cron silently skips files that others may write; a job in one does not run, so the plan must not say ok."""
        self.converge(self.job())
        os.chmod(self.at("/etc/cron.d/statectl-backup"), 0o666)
        assert self.found(self.job()).state == "skipped by cron: mode 0666"
        assert self.converge(self.job()) == ["state"]

    def test_special_times(self):
        """@daily and the five fields give way to each other."""
        want = self.want("backup", special="daily", command="x y", user="bob", env={})
        self.converge(want)
        assert self.bytes_of("/etc/cron.d/statectl-backup").endswith(b"\n@daily bob x y\n")
        assert self.differing(self.job()) == ["user", "command", "minute", "hour", "day", "month", "weekday"]

    def test_a_block_in_a_shared_file_leaves_the_rest(self):
        """Two jobs and lines of others in /etc/crontab; one job goes and the rest stays byte for byte."""
        self.put("/etc/crontab", b"SHELL=/bin/sh\n17 * * * * root run-parts\n\n")
        self.converge(self.job("one", file="/etc/crontab"))
        self.converge(self.job("two", file="/etc/crontab"))
        self.converge(self.job("one", file="/etc/crontab", state="absent"))
        assert self.bytes_of("/etc/crontab") == (
            b"SHELL=/bin/sh\n17 * * * * root run-parts\n# statectl cron job two: begin\n"
            b"5 * * * * root /usr/bin/backup --all\n# statectl cron job two: end\n"
        )

    def test_a_block_without_its_end_is_never_guessed(self):
        """A damaged mark must not cost the lines behind it."""
        self.put("/etc/crontab", b"# statectl cron job one: begin\n5 * * * * root x\n")
        assert "no end mark" in self.found(self.job("one", file="/etc/crontab")).message

    def test_absent_removes_the_file(self):
        """Nothing is left, and a second time there is nothing to do."""
        self.converge(self.job())
        self.converge(self.want("backup", state="absent"))
        assert os.listdir(self.at("/etc/cron.d")) == []

    def test_removal_gives_an_adopted_job_back(self):
        """A job that was there gets its old times; one we made goes."""
        before = dict(EVERY, state="present", hour="3", command="old")
        record = {"name": "backup", "created": False, "before": before, "want": {"file": None}}
        self.converge(cron_job.removal(record))
        assert self.bytes_of("/etc/cron.d/statectl-backup").endswith(b"\n5 3 * * * root old\n")
        record["created"] = True
        self.converge(cron_job.removal(record))
        assert os.listdir(self.at("/etc/cron.d")) == []


if __name__ == "__main__":
    unittest.main()
