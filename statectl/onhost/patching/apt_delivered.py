"""Package files that the controller delivered, as one more archive of this transaction: versions that no index has any more."""

import re
from typing import TYPE_CHECKING, Any, Tuple

from statectl.onhost.content import chunks
from statectl.onhost.failure import Failed
from statectl.onhost.patching import apt_packages, apt_pins
from statectl.onhost.resources.package import apt_index

if TYPE_CHECKING:
    from statectl.onhost.host import Host
    from statectl.onhost.patching.apt_lists import Lists
    from statectl.onhost.resources.patches import Desired

_UNUSUAL = re.compile(r"[^A-Za-z0-9._+~-]")


def options(host: "Host", top: str, own: str, lists: "Lists", want: "Desired") -> "Tuple[str, ...]":
    """Make an archive of `want.cached` below the scratch directory `top` -> what makes apt see it beside all others. Raises Failed.

    Dependencies of these files are resolved as those of any package. own: the host's architecture.
    """
    host.run(["mkdir", "-p", "--", top + "/debs", top + "/lists/partial", top + "/sources.list.d"])
    host.run(["chmod", "0711", "--", top])  # apt fetches as user _apt
    if host.user_id("_apt") is not None:
        host.run(["chown", "_apt", "--", top + "/lists/partial"])
    index = []
    for key, content in sorted((want.cached or {}).items()):
        name, arch, version = key.split(" ")
        apt_pins.checked(name, version)
        path = "%s/debs/%s_%s_%s.deb" % (top, name, _UNUSUAL.sub("_", version), _UNUSUAL.sub("_", arch))
        index.append(_deb(host, path, key, content, own))
    host.run(["tee", "--", top + "/debs/Packages"], input="\n".join(index).encode("utf-8", "surrogateescape"))
    # verified by their hashes, which came with the order
    source = "deb [trusted=yes] file:%s/debs ./\n" % top
    host.run(["tee", "--", top + "/sources.list.d/zz-delivered.list"], input=source.encode("ascii"))
    _link_sources(host, top, lists, want)
    where = ["-o", "Dir::State::Lists=%s/lists" % top]
    only = ["-o", "Dir::Etc::sourcelist=%s/sources.list.d/zz-delivered.list" % top]
    only += ["-o", "Dir::Etc::sourceparts=/dev/null", "-o", "APT::Get::List-Cleanup=0"]
    apt_index.update(host, [*where, *apt_index.IN_MEMORY, *only], env=lists.quietly())
    # links to the other indexes, which apt only reads from here on
    host.run(["cp", "-rs", "--no-clobber", "--", lists.directory + "/.", top + "/lists"], check=False)
    for name in ("pkgcache", "srcpkgcache"):
        where += ["-o", "Dir::Cache::%s=%s/%s.bin" % (name, top, name)]
    parts = "Dir::Etc::sourceparts=%s/sources.list.d" % top
    return (*where, "-o", "Dir::Etc::sourcelist=/dev/null", "-o", parts)


def _link_sources(host: "Host", top: str, lists: "Lists", want: "Desired") -> None:
    links, place = [("/etc/apt/sources.list", "000-host.list")], "/etc/apt/sources.list.d"
    if want.sources:
        links, place = [], lists.own_sources
    links += [("%s/%s" % (place, name), name) for name in host.listdir(place)]
    for path, name in links:
        if host.lstat(path) is not None:
            host.run(["ln", "-s", "--", path, "%s/sources.list.d/%s" % (top, name)])


def _deb(host: "Host", path: str, key: str, content: "Any", own: str) -> str:
    """Write the file and look whether it is that package -> its record for an index. Raises Failed."""
    import hashlib

    name, arch, version = key.split(" ")
    digest, size = hashlib.sha256(), 0
    with content.open() as source, open(host.path(path), "xb") as target:
        for chunk in chunks(source):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    if digest.hexdigest() != content.sha256:
        raise Failed("the file of %s %s is not the one that was announced" % (name, version), "wrong package file")
    host.run(["chmod", "0644", "--", path])
    text = host.run(["dpkg-deb", "--field", path], timeout=60).out
    records = apt_packages.parse_records(text)
    told = tuple(records[0].get(field, "") for field in ("package", "version")) if records else ()
    if told != (name, version) or records[0].get("architecture") not in (arch, "all", own):
        said = " ".join([*told, records[0].get("architecture", "")]) if records else "no package"
        raise Failed("the file that was delivered for %s is %s" % (key, said), "wrong package file")
    lines = [text.rstrip("\n"), "Filename: ./" + path.rpartition("/")[2], "Size: %d" % size]
    return "\n".join([*lines, "SHA256: " + content.sha256, ""])
