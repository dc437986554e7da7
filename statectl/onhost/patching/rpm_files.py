"""Packages that the controller kept and delivers as files: each must be what it is said to be, and signed where the host asks for it."""

import os
from typing import TYPE_CHECKING, Dict, Tuple

from statectl.onhost.failure import Failed, system_says
from statectl.onhost.patching.rpm_database import nevra, plain

if TYPE_CHECKING:
    from statectl.onhost.content import Content
    from statectl.onhost.host import Host

_FORMAT = "%{NAME} %{ARCH} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n"
RESERVE = 64 * 1024 * 1024  # bytes that stay free where the files are put


class Files(object):
    """paths    {(name, arch, version): path} of the packages that may be installed
    refused  {(name, arch, version): why not}
    """

    def __init__(self, host: "Host", top: str, cached: "Dict[str, Content]", unsigned: bool) -> None:
        self.paths: "Dict[Tuple[str, str, str], str]" = {}
        self.refused: "Dict[Tuple[str, str, str], str]" = {}
        if not cached:
            return
        size = sum(content.size for content in cached.values())
        free = _free(host, top)
        if size + RESERVE > free:
            message = "%d MiB of packages from the controller do not fit into %s: %d MiB are free" % (
                size // 1048576 + 1,
                os.path.dirname(top),
                free // 1048576,
            )
            raise Failed(message, "no space left on device")
        for text in sorted(cached):
            name, arch, version = text.split(" ")
            self._put(host, top, (name, arch, version), cached[text], unsigned)

    def _put(self, host: "Host", top: str, key: "Tuple[str, str, str]", content: "Content", unsigned: bool) -> None:
        path = "%s/%s.rpm" % (top, nevra(*key).replace("/", "_"))
        with content.open() as stream:
            host.run(["install", "-m", "0600", "--", "/dev/stdin", path], input=stream.read())
        said = host.run(["rpm", "--query", "--queryformat", _FORMAT, "--package", "--", path], timeout=60, check=False)
        words = said.out.split()
        if said.code != 0 or len(words) != 3:
            self.refused[key] = "what the controller keeps for it is no rpm package"
            return
        found = words[0], words[1], plain(words[2])
        if found != key:
            self.refused[key] = "what the controller keeps for it is %s" % nevra(*found)
            return
        checked = host.run(["rpm", "--checksig", "--", path], timeout=120, check=False)
        verdict = checked.out.strip().rpartition(": ")[2]
        if checked.code != 0:
            self.refused[key] = "rpm does not accept the package that the controller keeps: %s" % (
                verdict or checked.err.strip()
            )
        elif "signatures" not in verdict and "pgp" not in verdict and not unsigned:
            self.refused[key] = "the package that the controller keeps is not signed"
        else:
            self.paths[key] = path


def _free(host: "Host", top: str) -> int:
    try:
        there = os.statvfs(host.path(top))
    except OSError as error:
        raise Failed("cannot look at %s: %s" % (top, system_says(error)), system_says(error))
    return there.f_bavail * there.f_frsize
