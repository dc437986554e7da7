"""A temp directory as a machine, and the engine's cycle in small: read, compare, apply what differs, read again."""

import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from statectl.onhost.content import Content
from statectl.onhost.failure import Failed
from statectl.onhost.host import Host


def differing(module, want, found):
    """The fields in which `found` is not as wanted, as the engine compares them."""
    same = getattr(module, "same", lambda field, wanted, there: wanted == there)
    if getattr(want, "state", None) == "absent":
        return [] if found.state == "absent" else ["state"]
    options = ("name", *getattr(module, "OPTIONS", ()))
    return [
        field
        for field in want._fields
        if field not in options
        and getattr(want, field) is not None
        and not same(field, getattr(want, field), getattr(found, field))
    ]


class TypeCase(unittest.TestCase):
    """`self.host` writes below a temp directory only."""

    module = None

    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.host = Host(root=self.root)

    def at(self, path):
        return self.root + path

    def put(self, path, data=b"", mode=0o644):
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        with open(self.at(path), "wb") as stream:
            stream.write(data)
        os.chmod(self.at(path), mode)

    def directory(self, path, mode=0o755):
        os.makedirs(self.at(path), exist_ok=True)
        os.chmod(self.at(path), mode)

    def bytes_of(self, path):
        with open(self.at(path), "rb") as stream:
            return stream.read()

    def mode_of(self, path):
        return os.lstat(self.at(path)).st_mode & 0o7777

    def want(self, name, **fields):
        fields.setdefault("state", "present")
        return self.module.Desired(name, **fields)

    def found(self, want):
        return self.module.read(self.host, [want])[want.name]

    def differing(self, want):
        return differing(self.module, want, self.found(want))

    def refusal(self, want):
        return self.module.validate(self.host, want, self.found(want))

    def converge(self, want):
        """Apply what differs -> the fields that differed; fails unless a second reading finds nothing more to do."""
        before = self.snapshot()
        found = self.found(want)
        fields = differing(self.module, want, found)
        assert before == self.snapshot(), "reading wrote something"
        if fields:
            make_so(self.module, self.host, want, found, fields)
        assert not self.differing(want), "a second reading is not content"
        return fields

    def failure(self, want):
        """What applying this raises, as text; nothing may have changed."""
        before = self.snapshot(directory_times=False)
        try:
            self.converge(want)
        except Failed as error:
            assert before == self.snapshot(directory_times=False), "a refusal wrote something"
            return error.message
        raise AssertionError("nothing was refused")

    def snapshot(self, directory_times=True):
        """Every path below the root with what a plan must not touch. A temporary file that is gone again changes a directory's time."""
        seen = {}
        for where, directories, files in os.walk(self.root):
            for name in directories + files:
                path = os.path.join(where, name)
                status = os.lstat(path)
                seen[path] = (status.st_mode, status.st_uid, status.st_gid, status.st_ino)
                if directory_times or name in files:
                    seen[path] += (status.st_size, status.st_mtime)
        return seen


def delivered(data, secret=False):
    """A wanted Content whose blob has come."""
    if isinstance(data, str):
        data = data.encode("utf-8")
    return Content.of_bytes(data, secret)


def make_so(module, host, want, found, fields):
    """apply() of one, also of a type that takes several at once and says of each what went wrong."""
    if not getattr(module, "BATCH", False):
        module.apply(host, want, found, fields)
        return
    for error in (module.apply(host, [(want, found, fields)]) or {}).values():
        raise error
