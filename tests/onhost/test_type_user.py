import unittest

from recorded import RecordedHost
from type_case import TypeCase

from statectl.onhost.content import SecretText
from statectl.onhost.resources import user

PASSWD = b"root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000:Bob:/home/bob:/bin/sh\n+::::::\n"
GROUP = b"root:x:0:\nbob:x:1000:\nsudo:x:27:bob\ndocker:x:998:\napp:x:1001:\n"
HASH = "$6$rounds=5000$saltsalt$" + "a" * 86
SHADOW = (f"root:*:19000:0:99999:7:::\nbob:{HASH}:19000:0:99999:7::19723:\n").encode()


class Users(TypeCase):
    module = user

    def setUp(self):
        TypeCase.setUp(self)
        self.host = RecordedHost(self.root)
        self.put("/etc/passwd", PASSWD)
        self.put("/etc/group", GROUP)
        self.put("/etc/shadow", SHADOW, 0o640)
        for tool in ("useradd", "usermod", "userdel", "chpasswd"):
            self.host.answer(tool, "")

    def applied(self, want):
        found = self.found(want)
        fields = self.differing(want)
        if fields:
            user.apply(self.host, want, found, fields)
        return fields

    def test_a_user_is_made_with_all_that_was_asked_for(self):
        """One useradd; the name stands behind `--`; a further user group is made for it."""
        self.applied(
            self.want("web", uid=2000, groups=["docker", "sudo"], home="/srv/web", shell="/bin/bash", comment="Web")
        )
        assert self.host.ran == [
            [
                "useradd",
                "--uid",
                "2000",
                "--home-dir",
                "/srv/web",
                "--shell",
                "/bin/bash",
                "--comment",
                "Web",
                "--user-group",
                "--groups",
                "docker,sudo",
                "--create-home",
                "--",
                "web",
            ]
        ]

    def test_a_group_of_the_same_name_becomes_the_primary_one(self):
        """useradd refuses to make a user whose own group is there; declaring both is ordinary."""
        self.applied(self.want("app", system=True))
        assert self.host.ran == [["useradd", "--gid", "app", "--system", "--no-create-home", "--", "app"]]

    def test_only_what_differs_is_changed(self):
        """A shell put right touches no group and no password."""
        assert self.applied(self.want("bob", uid=1000, shell="/bin/bash", groups=["sudo"])) == ["shell"]
        assert self.host.ran == [["usermod", "--shell", "/bin/bash", "--", "bob"]]

    def test_groups_are_exact_unless_append(self):
        """Without `append` other memberships end; with it they stay and do not count as a difference."""
        self.applied(self.want("bob", groups=["docker"]))
        self.applied(self.want("bob", groups=["docker"], append=True))
        assert self.host.ran == [
            ["usermod", "--groups", "docker", "--", "bob"],
            ["usermod", "--groups", "docker,sudo", "--", "bob"],
        ]
        assert self.differing(self.want("bob", groups=["sudo"], append=True)) == []

    def test_a_primary_group_may_be_a_name_or_a_number(self):
        """Both say the same thing."""
        assert self.differing(self.want("bob", group="bob")) == []
        assert self.differing(self.want("bob", group="1000")) == []
        assert self.differing(self.want("bob", group="app")) == ["group"]

    def test_a_password_hash_is_compared_and_goes_through_stdin_only(self):
        """The hash stands in no argv, and an equal one writes nothing."""
        assert self.applied(self.want("bob", password_hash=SecretText(HASH))) == []
        other = HASH[:-1] + "b"
        assert self.applied(self.want("bob", password_hash=SecretText(other))) == ["password_hash"]
        assert self.host.ran == [["chpasswd", "--encrypted"]]
        assert self.host.inputs == [f"bob:{other}\n"]
        assert HASH not in repr(self.found(self.want("bob", password_hash=SecretText(HASH))))

    def test_a_password_in_place_of_a_hash_is_refused(self):
        """A plain password in /etc/shadow would lock the account and be readable."""
        refusal = self.refusal(self.want("bob", password_hash=SecretText("hunter2hunter2")))
        assert refusal.startswith("password_hash is not a hash")
        assert "hunter2" not in refusal
        assert self.refusal(self.want("bob", password_hash=SecretText("x:0:0\nroot::"))) != ""

        class Remembered(SecretText):
            """As drift knows a secret: by a keyed hash of it."""

        assert self.refusal(self.want("bob", password_hash=Remembered("0" * 64))) == ""

    def test_a_new_user_gets_its_password_after_it_is_made(self):
        """chpasswd knows only users that are there."""
        self.applied(self.want("web", password_hash="!"))
        assert [argv[0] for argv in self.host.ran] == ["useradd", "chpasswd"]

    def test_expiry_is_a_date(self):
        """Days since 1970 are shown and compared as the date people write."""
        assert self.found(self.want("bob", expires="never")).expires == "2024-01-01"
        assert self.applied(self.want("bob", expires="never")) == ["expires"]
        assert self.host.ran == [["usermod", "--expiredate", "", "--", "bob"]]
        assert self.differing(self.want("root", expires="never")) == []

    def test_the_home_directory_goes_only_on_request(self):
        """`absent` alone keeps files."""
        self.applied(self.want("bob", state="absent"))
        self.applied(self.want("bob", state="absent", remove_home=True))
        assert self.host.ran == [["userdel", "--", "bob"], ["userdel", "--remove", "--", "bob"]]
        assert self.differing(self.want("nobody-such", state="absent")) == []

    def test_a_uid_in_use_is_refused_in_the_plan(self):
        """Two users never share a number by accident."""
        assert self.refusal(self.want("web", uid=1000)) == "uid 1000 belongs to user bob already"

    def test_removal_gives_back_what_we_changed(self):
        """An adopted user keeps its account and memberships of its own; the groups we appended go."""
        want = {"name": "bob", "state": "present", "shell": "/bin/bash", "groups": ["docker", "sudo"], "append": True}
        before = {"name": "bob", "state": "present", "shell": "/bin/sh", "groups": ["sudo"], "uid": 1000}
        record = {"name": "bob", "created": False, "before": before, "want": want}
        self.put(
            "/etc/group",
            GROUP.replace(b"docker:x:998:", b"docker:x:998:bob").replace(b"app:x:1001:", b"app:x:1001:bob"),
        )
        restore = user.removal(record)
        assert restore.shell == "/bin/sh"
        self.applied(restore._replace(shell=None))
        assert self.host.ran == [["usermod", "--groups", "app,sudo", "--", "bob"]]
        record["created"] = True
        assert user.removal(record) == user.Desired("bob", state="absent")


if __name__ == "__main__":
    unittest.main()
