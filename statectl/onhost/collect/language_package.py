"""LanguagePackage: what Python, Node and Ruby have for the whole machine, as names of directories and files tell it.

Nothing is run. Environments of single applications are not looked for: `files` or a custom type of the project can name them.
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all types

import json
import re
from typing import TYPE_CHECKING

from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Dict, Iterator, List

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

NAME = "LanguagePackage"
COLUMNS = ("Name", "Version", "Language", "Path")
DEADLINE_S = 5.0
MAX_ROWS = 5000
_DIST = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[0-9][^-]*)(?:-py[0-9.]+)?\.(?:dist|egg)-info\Z")
_GEM = re.compile(r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*?)-(?P<version>[0-9][A-Za-z0-9.]*)(?:-[a-z0-9_-]+)?\.gemspec\Z")
MANIFEST = 65536  # bytes of a package.json that are read


def gather(host: "Host", asked: "Dict[str, JSON]") -> "Iterator[List[JSON]]":
    for top in ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"):
        for python in host.listdir(top):
            if python.startswith("python3"):
                for below in ("dist-packages", "site-packages"):
                    yield from _named(host, "%s/%s/%s" % (top, python, below), _DIST, "python")
        yield from _node(host, top + "/node_modules")
    for top in ("/var/lib/gems", "/usr/share/gems", "/usr/lib/ruby/gems", "/usr/share/rubygems-integration"):
        for below in [""] + ["/" + name for name in host.listdir(top) if name != "specifications"]:
            yield from _named(host, "%s%s/specifications" % (top, below), _GEM, "ruby")


def _named(host: "Host", directory: str, pattern: "re.Pattern[str]", language: str) -> "Iterator[List[JSON]]":
    for name in _names(host, directory):
        match = pattern.match(name)
        if match:
            yield [match.group("name"), match.group("version"), language, directory]


def _names(host: "Host", directory: str) -> "List[str]":
    try:
        return host.listdir(directory)
    except Failed:
        return []  # not for this user: then its packages are none that this user could use


def _node(host: "Host", directory: str) -> "Iterator[List[JSON]]":
    names = []
    for name in _names(host, directory):
        names += ["%s/%s" % (name, one) for one in _names(host, directory + "/" + name)] if name[:1] == "@" else [name]
    for name in names:
        try:
            data = host.read_file("%s/%s/package.json" % (directory, name), MANIFEST)
            manifest = json.loads(data.decode("utf-8")) if data else None
        except (Failed, ValueError, RecursionError):
            continue  # no package of its own, or none that can be read
        if isinstance(manifest, dict) and isinstance(manifest.get("version"), str):
            yield [name, manifest["version"], "node", directory]
