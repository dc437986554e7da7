import os
import unittest

from type_case import TypeCase, delivered, differing

from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.resources import tree

WWW = "/srv/www"


def entry(path, content=None, **more):
    if content is None:
        return dict({"path": path, "kind": "directory"}, **more)
    return dict({"path": path, "kind": "file", "content": delivered(content)}, **more)


SITE = [entry("index.html", "hello"), entry("css/site.css", "a {}"), entry("bin/run", "#!", executable=True)]


class Trees(TypeCase):
    module = tree

    def setUp(self):
        TypeCase.setUp(self)
        self.directory("/srv")

    def tree(self, manifest=None, **fields):
        return tree.Desired(WWW, manifest=SITE if manifest is None else manifest, **fields)

    def converge(self, want):
        """As for other types; a tree that is not there at all has no state to be wanted, but is found absent."""
        before = self.snapshot()
        found = self.found(want)
        fields = ["manifest"] if isinstance(found, tree.Missing) else differing(tree, want, found)
        assert before == self.snapshot(), "reading wrote something"
        if fields:
            tree.apply(self.host, want, found, fields)
        left = self.found(want)
        assert not isinstance(left, tree.Missing)
        assert not differing(tree, want, left), "a second reading is not content"
        return fields

    def below(self, top=WWW):
        found = []
        for where, directories, files in os.walk(self.at(top)):
            found += [os.path.relpath(os.path.join(where, name), self.at(top)) for name in directories + files]
        return sorted(found)

    def test_a_new_tree_is_made_and_then_right(self):
        """With the directories its paths imply; files 0644, executables and directories 0755."""
        self.converge(self.tree())
        assert self.below() == ["bin", "bin/run", "css", "css/site.css", "index.html"]
        modes = [self.mode_of(WWW + path) for path in ("", "/css", "/css/site.css", "/bin/run")]
        assert modes == [0o755, 0o755, 0o644, 0o755]

    def test_the_plan_says_what_happens_to_each_file(self):
        """One line each: added, changed in what, removed."""
        assert tree.diff("manifest", self.tree(), self.found(self.tree())) == [
            "+bin/", "+bin/run", "+css/", "+css/site.css", "+index.html",
        ]  # fmt: skip
        self.converge(self.tree())
        self.put(WWW + "/index.html", b"by hand")
        os.unlink(self.at(WWW + "/css/site.css"))
        os.chmod(self.at(WWW + "/bin/run"), 0o644)
        want = self.tree()
        lines = tree.diff("manifest", want, self.found(want))
        assert lines == ["~bin/run (mode 0644)", "+css/site.css", "~index.html (content)"]

    def test_only_contents_that_differ_are_asked_for(self):
        """Unchanged files never travel; all do for a new tree."""
        manifest = [
            {"path": e["path"], "kind": "file", "content": Content.wanted(e["content"].sha256, e["content"].size)}
            for e in SITE
        ]
        assert len(tree.blobs(self.tree(manifest), self.found(self.tree(manifest)))) == 3
        self.converge(self.tree())
        self.put(WWW + "/index.html", b"by hand")
        os.chmod(self.at(WWW + "/css/site.css"), 0o600)
        want = self.tree(manifest, mode="0644")
        assert tree.blobs(want, self.found(want)) == [(delivered("hello").sha256, 5)]

    def test_what_is_found_is_only_what_differs(self):
        """A right tree costs no memory to have read, and a changed file is found with its content, to be kept."""
        self.converge(self.tree())
        assert self.found(self.tree()).manifest == []
        self.put(WWW + "/index.html", b"by hand")
        assert self.found(self.tree()).manifest == [
            {"path": "index.html", "kind": "file", "content": delivered("by hand")}
        ]

    def test_a_mode_holds_for_all(self):
        """Files get it; directories and executables get x wherever it has r; the tree's own directory too."""
        self.converge(self.tree(mode="0640"))
        modes = [self.mode_of(WWW + path) for path in ("", "/css", "/css/site.css", "/bin/run")]
        assert modes == [0o750, 0o750, 0o640, 0o750]
        os.chmod(self.at(WWW), 0o700)
        want = self.tree(mode="0640")
        assert tree.diff("manifest", want, self.found(want)) == ["~./ (mode 0700)"]
        self.converge(want)

    def test_without_a_mode_what_is_there_keeps_its_own(self):
        """Only a missing x of an executable file is put right."""
        self.converge(self.tree())
        for path in ("/css", "/bin/run"):
            os.chmod(self.at(WWW + path), 0o700)
        os.chmod(self.at(WWW + "/index.html"), 0o600)
        assert self.converge(self.tree()) == []

    @unittest.skipUnless(os.geteuid() == 0, "needs root: gives files to another user")
    def test_an_owner_holds_for_all(self):
        """The tree's own directory too; also for what was there before."""
        self.converge(self.tree())
        self.converge(self.tree(owner="4711", group="4712"))
        for path in ("", "/css", "/css/site.css"):
            status = os.lstat(self.at(WWW + path))
            assert (status.st_uid, status.st_gid) == (4711, 4712)

    def test_others_files_stay_unless_exclusive(self):
        """Exclusive removes all that neither the source nor another resource has; the plan names it."""
        self.converge(self.tree())
        self.put(WWW + "/old/a/b")
        self.put(WWW + "/css/old.css")
        self.put(WWW + "/uploads/cat.png")
        self.put(WWW + "/etc/app.conf")
        self.put(WWW + "/etc/stray")
        self.put("/srv/precious")
        os.symlink("/srv/precious", self.at(WWW + "/way"))
        assert self.converge(self.tree()) == []
        want = self.tree(exclusive=True, declared=["uploads", "etc/app.conf"])
        assert self.found(want).exclusive == ["css/old.css", "etc/stray", "old/", "way"]
        assert tree.diff("exclusive", want, self.found(want)) == ["-css/old.css", "-etc/stray", "-old/", "-way"]
        assert self.converge(want) == ["exclusive"]
        assert os.path.exists(self.at("/srv/precious"))
        assert os.path.exists(self.at(WWW + "/uploads/cat.png"))
        assert self.below(WWW + "/etc") == ["app.conf"]
        self.put(WWW + "/css/stray")
        assert self.converge(self.tree(exclusive=True, declared=["uploads", "etc/app.conf", "css"])) == []

    def test_exclusive_without_the_declared_paths_removes_nothing(self):
        """Not knowing what is declared is not the same as nothing being declared."""
        self.converge(self.tree())
        self.put(WWW + "/old")
        assert "did not come along" in self.refusal(self.tree(exclusive=True))

    def test_another_kind_is_refused_unless_exclusive(self):
        """A link in the way is neither followed nor lost."""
        self.converge(self.tree())
        os.unlink(self.at(WWW + "/index.html"))
        os.symlink("/etc/passwd", self.at(WWW + "/index.html"))
        assert self.refusal(self.tree()) == (
            "/srv/www/index.html is a symbolic link to /etc/passwd; the tree has a file there; remove it first"
        )
        self.converge(self.tree(exclusive=True, declared=[]))
        assert self.bytes_of(WWW + "/index.html") == b"hello"

    def test_links_of_the_source(self):
        """Made as they are written, and put right."""
        manifest = [*SITE, {"path": "latest", "kind": "link", "to": "css"}]
        self.converge(self.tree(manifest))
        os.unlink(self.at(WWW + "/latest"))
        os.symlink("bin", self.at(WWW + "/latest"))
        want = self.tree(manifest)
        assert tree.diff("manifest", want, self.found(want)) == ["~latest (to bin)"]
        self.converge(want)
        assert os.readlink(self.at(WWW + "/latest")) == "css"

    def test_a_path_that_is_no_directory_is_refused(self):
        """Neither a link to a directory nor a file is taken for the tree's directory."""
        os.symlink("/srv", self.at(WWW))
        assert self.refusal(self.tree()) == "/srv/www is a symbolic link to /srv; a tree needs a directory there"

    def test_a_manifest_cannot_leave_its_tree(self):
        """Whatever a controller sends."""
        self.directory(WWW)
        for path in ("../x", "/etc/x", "a/../../x", ""):
            found = self.found(self.tree([entry(path, "x")]))
            assert isinstance(found, Failed)
            assert "which is not below it" in found.message

    def test_secret_content_is_closed(self):
        """A rendered secret is readable by its owner only unless the tree has a mode."""
        self.converge(self.tree([{"path": "key", "kind": "file", "content": delivered("s3cret", secret=True)}]))
        assert self.mode_of(WWW + "/key") == 0o600

    def test_removal_of_a_tree_we_made(self):
        """Our files go, directories when they are empty, and others' files stay."""
        want = self.tree()
        self.converge(want)
        record = {
            "name": WWW,
            "created": True,
            "before": {},
            "want": {"manifest": {"$manifest": [dict(e, content={"$blob": "0" * 64, "size": 1}) for e in SITE]}},
        }
        self.put(WWW + "/css/foreign")
        self.converge(tree.removal(record))
        assert self.below() == ["css", "css/foreign"]
        os.unlink(self.at(WWW + "/css/foreign"))
        self.converge(tree.removal(record))
        assert not os.path.exists(self.at(WWW))
        assert self.converge(tree.removal(record)) == []

    def test_removal_of_a_tree_we_adopted(self):
        """What was missing goes, what was different comes back, what was right stays."""
        self.put(WWW + "/index.html", b"before us", 0o640)
        self.put(WWW + "/bin/run", b"#!", 0o755)
        want = self.tree(mode="0644")
        found = self.found(want)
        before = {"manifest": found.manifest}
        found.manifest[[e["path"] for e in found.manifest].index("index.html")]["content"] = delivered("before us")
        self.converge(want)
        removal = tree.removal({"name": WWW, "created": False, "before": before, "want": {"manifest": SITE}})
        self.converge(removal)
        assert self.below() == ["bin", "bin/run", "index.html"]
        assert (self.bytes_of(WWW + "/index.html"), self.mode_of(WWW + "/index.html")) == (b"before us", 0o640)
        assert tree.removal({"name": WWW, "created": False, "before": {}, "want": {"manifest": SITE}}) is None

    def test_many_files_in_bounded_memory(self):
        """Two thousand right files leave nothing behind in memory; the reading stays near the size of the manifest."""
        import tracemalloc

        same = delivered("x")
        manifest = [{"path": f"{n % 100}/{n}", "kind": "file", "content": same} for n in range(2000)]
        for number in range(100):
            self.directory(WWW + f"/{number}")
        for e in manifest:
            with open(self.at(WWW + "/" + e["path"]), "w") as stream:
                stream.write("x")
        want = self.tree(manifest, exclusive=True, declared=[])
        tracemalloc.start()
        try:
            found = self.found(want)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (found.manifest, found.exclusive) == ([], [])
        assert peak < 1024 * 1024


if __name__ == "__main__":
    unittest.main()
