import unittest

from recorded import RecordedHost
from type_case import TypeCase

from statectl.onhost.resources import unix_group

GROUPS = b"root:x:0:\nwww-data:x:33:\napp:x:1000:bob\n"


class Groups(TypeCase):
    module = unix_group

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root)
        self.put("/etc/group", GROUPS)
        self.host.answer("groupadd", self.groupadd)
        self.host.answer("groupmod", self.groupmod)
        self.host.answer("groupdel", self.groupdel)

    def rows(self):
        return self.bytes_of("/etc/group").decode().splitlines()

    def groupadd(self, argv, _):
        gid = argv[argv.index("--gid") + 1] if "--gid" in argv else "1001"
        self.put("/etc/group", ("\n".join([*self.rows(), f"{argv[-1]}:x:{gid}:"]) + "\n").encode())

    def groupmod(self, argv, _):
        rows = [row for row in self.rows() if not row.startswith(argv[-1] + ":")]
        self.put("/etc/group", ("\n".join([*rows, f"{argv[-1]}:x:{argv[2]}:"]) + "\n").encode())

    def groupdel(self, argv, _):
        rows = [row for row in self.rows() if not row.startswith(argv[-1] + ":")]
        self.put("/etc/group", ("\n".join(rows) + "\n").encode())

    def test_a_group_is_made_with_its_number(self):
        """A missing group is made once, with the number that was asked for."""
        assert self.converge(self.want("deploy", gid=2000, system=True)) == ["state", "gid"]
        assert self.host.ran == [["groupadd", "--gid", "2000", "--system", "--", "deploy"]]

    def test_system_alone_is_no_difference(self):
        """`system` only says how to make a group; one that is there is right."""
        assert self.differing(self.want("app", system=True)) == []

    def test_a_wrong_number_is_put_right(self):
        """Only the number is changed."""
        assert self.converge(self.want("app", gid=1500)) == ["gid"]
        assert self.host.ran == [["groupmod", "--gid", "1500", "--", "app"]]

    def test_a_number_in_use_is_refused_in_the_plan(self):
        """Two groups never share a number by accident."""
        assert self.refusal(self.want("deploy", gid=33)) == "gid 33 belongs to group www-data already"
        assert self.refusal(self.want("www-data", gid=33)) == ""

    def test_absent_removes_it_and_is_right_when_userdel_did_already(self):
        """userdel takes a user's own group along; the group's removal then has nothing to do."""
        want = self.want("app", state="absent")
        found = self.found(want)
        assert self.converge(want) == ["state"]
        unix_group.apply(self.host, want, found, ["state"])
        assert self.host.ran == [["groupdel", "--", "app"]]

    def test_removal_follows_who_made_it(self):
        """A group we made goes; one that was there keeps all but the number we gave it."""
        want = {"name": "app", "state": "present", "gid": 1500}
        record = {"name": "app", "created": True, "before": {"state": "absent"}, "want": want}
        assert unix_group.removal(record) == unix_group.Desired("app", state="absent")
        record.update(created=False, before={"state": "present", "gid": 1000})
        assert unix_group.removal(record) == unix_group.Desired("app", state="present", gid=1000)
        record.update(want={"name": "app", "state": "present"})
        assert unix_group.removal(record) is None


if __name__ == "__main__":
    unittest.main()
