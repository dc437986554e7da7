"""What a change needs is known in the plan: there already, made by the plan, perhaps brought by a package, or missing."""

import os
import types
import unittest

from executor_case import ExecutorCase

from statectl.onhost import wanted
from statectl.onhost.prerequisites import Prerequisites as Prerequisite
from statectl.onhost.prerequisites import _related
from statectl.onhost.resources import authorized_key, file, line, package, service, unit, unix_group, user


class Prerequisites(ExecutorCase):
    def told(self, *resources, **options):
        return self.plan(*resources, **options)[resources[-1]["address"]]

    def directory(self, name, **fields):
        return self.resource("directory", self.at(name), **dict({"state": "present"}, **fields))

    def test_a_missing_directory_is_refused(self):
        """Nothing makes it, so the apply would fail: the plan says so, with the directory that is missing."""
        told = self.told(self.file("a/b/f"))
        assert told["verdict"] == "refused"
        assert told["reason"] == "%s: directory missing: %s" % (self.at("a/b/f"), self.at("a"))

    def test_what_the_plan_makes_is_there(self):
        """Also without an edge, as long as it comes before; not when its association only audits."""
        told = self.told(self.directory("a"), self.file("a/f"))
        assert (told["verdict"], told["predicted_after"]) == ("change", ["directory:" + self.at("a")])
        audited = self.directory("a", association="watch")
        modes = [{"name": "watch", "mode": "audit"}, {"name": "web"}]
        assert self.told(audited, self.file("a/f"), associations=modes)["verdict"] == "refused"
        os.mkdir(self.at("a"))
        told = self.told(self.file("a/f"))
        assert (told["verdict"], told["predicted_after"]) == ("change", [])

    def test_what_the_plan_removes_is_not_there(self):
        """A file below a directory that goes earlier in the same plan cannot be made."""
        os.mkdir(self.at("a"))
        told = self.told(self.directory("a", state="absent"), self.file("a/f"))
        assert told["verdict"] == "refused"
        assert told["reason"].endswith("which directory:%s removes" % self.at("a"))

    def test_a_missing_user_is_refused(self):
        """As the owner of a file, and as whom a command runs as; what is not touched needs nobody."""
        told = self.told(self.file("f", owner="nobody-here"))
        assert (told["verdict"], told["reason"]) == ("refused", "no such user: nobody-here")
        told = self.told(self.command("c", ["true"], creates=self.at("x"), user="nobody-here"))
        assert told["verdict"] == "refused"
        assert self.told(self.absent("f"))["verdict"] == "ok"

    def test_a_guard_that_looks_at_what_changes_is_unknown(self):
        """Nobody can tell what it will say then; one that looks elsewhere is told as it is now."""
        changed = self.file("f")
        guarded = self.command("c", ["true"], unless=["test", "-e", self.at("f")])
        told = self.told(changed, guarded)
        assert (told["verdict"], told["unknown_until"]) == ("unknown", [changed["address"]])
        assert self.told(changed, self.command("c", ["true"], creates=self.at("fine")))["verdict"] == "change"

    def test_a_trigger_that_is_only_audited_fires_nothing(self):
        """It is not going to change, so its command is not going to run."""
        audited = self.file("f", association="watch")
        command = self.command("c", ["true"], when_changed=[audited["address"]])
        modes = [{"name": "watch", "mode": "audit"}, {"name": "web"}]
        assert self.told(audited, command, associations=modes)["verdict"] == "ok"

    def test_the_name_of_a_package_says_what_it_brings(self):
        """Its own name, without version and role, as a part of a path, a unit or a user; nothing else is believed of it."""
        for brand, name in (
            ("nginx", "/etc/nginx/conf.d"),
            ("postgresql-15", "postgresql@15-main"),
            ("chrony", "_chrony"),
            ("mariadb-server", "mariadb.service"),
            ("lab-service-01", "/etc/lab-service-01.conf"),
        ):
            assert _related(brand, name), (brand, name)
        for brand, name in (("lab-tool-01", "lab-service-01"), ("nginx", "/srv/t"), ("git", "digit")):
            assert not _related(brand, name), (brand, name)

    def test_a_mask_has_no_place_where_the_plan_puts_a_unit(self):
        """The unit's own file is written first, and systemctl then refuses to mask it: refused in the plan, by name."""
        engine = types.SimpleNamespace(items=[], by_address={}, enforced=lambda item: True)
        needs = Prerequisite(engine, lambda item: "/etc/systemd/system/app.service" if item.type == "unit" else None)
        file_of_its_own = wanted.Item("unit:app.service", "a", 0, None, unit.Desired("app.service", state="present"), 0)
        file_of_its_own.verdict = "change"
        needs.judged(file_of_its_own)
        mask = wanted.Item("service:app", "a", 1, None, service.Desired("app", masked=True), 1)
        mask.fields = ("masked",)
        reason, until, _ = needs.look(mask)
        assert (reason, until) == (
            "app cannot be masked: unit:app.service puts a file in the place of the mask",
            [],
        )
        mask.fields = ("enabled",)
        assert "masked" not in needs.look(mask)[0]

    def test_what_is_right_now_and_loses_what_it_needs_is_refused(self):
        """A key or a file whose user goes earlier in the same plan: it is as wanted, and will not be."""
        engine = types.SimpleNamespace(items=[], by_address={}, enforced=lambda item: True)
        needs = Prerequisite(engine, lambda item: None)
        gone = wanted.Item("user:ada", "a", 0, None, user.Desired("ada", state="absent"), 0)
        gone.verdict = "change"
        needs.judged(gone)

        def loses(kind, want):
            item = wanted.Item(f"{kind}:{want.name}", "a", 0, None, want, 1)
            item.found = want
            return needs.loses(item)

        assert loses("authorized_key", authorized_key.Desired("ada", state="present")) == "user ada goes with user:ada"
        assert loses("file", file.Desired("/f", state="present", owner="ada")) == "user ada goes with user:ada"
        assert loses("file", file.Desired("/f", state="present", owner="bob")) == ""
        assert loses("authorized_key", authorized_key.Desired("ada", state="absent")) == ""

    def test_what_another_change_brought_is_changed(self):
        """As announced; it counts as made by us, and a service that it notifies hears of it."""
        daemon = self.daemon(on_notify="restart")
        brought = self.file("f", "odd", notify=[daemon["address"]])
        command = self.command("c", ["sh", "-c", "printf odd > " + self.at("f")], creates=self.at("made"))
        command["want"]["run"] = "printf odd > %s; touch %s" % (self.at("f"), self.at("made"))
        self.put("daemon", "1")
        results = self.apply(command, brought, daemon)
        assert results[brought["address"]]["outcome"] == "changed"
        assert [entry["address"] for entry in self.controller.of("notified")] == [daemon["address"]]
        assert self.apply(command, daemon, prune=True)[brought["address"]]["action"] == "remove"
        assert not self.exists("f")

    def test_what_is_undone_before_the_end_is_reported(self):
        """The result of the file said changed, and that holds no longer: the run failed, and names it."""
        made = self.file("f")
        command = self.command("c", ["true"], creates=self.at("done"))
        command["want"]["run"] = "rm %s; touch %s" % (self.at("f"), self.at("done"))
        self.apply(made, command)
        assert (self.ended["outcome"], self.ended["reason"]) == (
            "failed",
            "no longer as this run made it, something undid it since: " + made["address"],
        )

    def test_a_directory_that_stays_full_is_kept_and_not_planned_to_go(self):
        """What somebody else put in, or this plan does; an empty one goes."""
        self.apply(self.directory("full"), self.directory("empty"), self.file("x"))
        self.put("full/theirs", "x")
        plan = self.plan(self.file("x"), prune=True)
        assert plan["directory:" + self.at("full")]["verdict"] == "orphan"
        assert plan["directory:" + self.at("full")]["reason"] == "no longer declared; kept: it holds theirs"
        assert plan["directory:" + self.at("empty")]["action"] == "remove"

    def test_what_a_declared_resource_needs_is_kept(self):
        """A user whom a declared file belongs to does not go with its own declaration, and the plan says why."""
        engine = types.SimpleNamespace(items=[], by_address={}, enforced=lambda item: True)
        needs = Prerequisite(engine, lambda item: getattr(item.want, "path", None))
        declared = (
            ("service", service.Desired("app", state="running")),
            ("authorized_key", authorized_key.Desired("ada", state="present")),
            ("file", file.Desired("/f", state="present", owner="bob", group="team")),
            ("line", line.Desired("one", path="/etc/t.conf", line="x")),
        )
        engine.items = [wanted.Item(f"{kind}:{want.name}", "a", 0, None, want, 0) for kind, want in declared]

        def needed(kind, want):
            return needs.needed(wanted.Item(f"{kind}:{want.name}", "a", 0, None, want, 0))

        assert needed("unit", unit.Desired("app.service", state="absent")) == "service:app"
        assert needed("package", package.Desired("app-server", state="absent")) == "service:app"
        assert needed("user", user.Desired("ada", state="absent")) == "authorized_key:ada"
        assert needed("user", user.Desired("bob", state="absent")) == "file:/f"
        assert needed("unix_group", unix_group.Desired("team", state="absent")) == "file:/f"
        assert needed("package", package.Desired("other", state="absent")) == ""
        assert needed("file", file.Desired("/etc/t.conf", state="absent")) == "line:one"
        assert needed("file", file.Desired("/etc/u.conf", state="absent")) == ""
        assert needed("unit", unit.Desired("app.service", state="absent", drop_in="x")) == ""


if __name__ == "__main__":
    unittest.main()
