"""What dnf and zypper share: the rpm database for reading, and the order of rpm's versions."""

import re
from functools import cmp_to_key
from typing import TYPE_CHECKING, Dict

from statectl.onhost.failure import Failed
from statectl.onhost.resources.package import Installed
from statectl.onhost.versions import compare_rpm

if TYPE_CHECKING:
    from typing import Collection, Iterable, List, Sequence

    from statectl.onhost.host import Host

_FORMAT = "%{NAME} %{ARCH} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n"
_MISSING = re.compile(r"^package (\S+) is not installed$", re.MULTILINE)


def installed(host: "Host", names: "Sequence[str]", held: "Collection[str]") -> "Dict[str, Installed]":
    """-> {name: Installed}. Of several versions, as of a kernel, the one installed last."""
    argv = ["rpm", "--query", "--queryformat", _FORMAT, "--", *names]
    ran = host.run(argv, timeout=60, check=False)
    found: Dict[str, Installed] = {}
    lines = [line for line in ran.out.split("\n") if line and not _MISSING.match(line)]
    for line in lines:
        words = line.split()
        if len(words) != 3:
            raise Failed(
                "rpm cannot be asked: %s" % (ran.err or line).strip(), "rpm query failed", argv, ran.code, ran.err
            )
        for key in (words[0], "%s.%s" % (words[0], words[1])):
            found[key] = Installed("present", words[2], words[0] in held)
    if len(lines) + len(_MISSING.findall(ran.out)) < len(names):
        raise Failed("rpm cannot be asked: %s" % ran.err.strip(), "rpm query failed", argv, ran.code, ran.err[-4096:])
    return {name: found.get(name, Installed("purged", None, False)) for name in names}


def newest_first(versions: "Iterable[str]") -> "List[str]":
    return sorted(set(versions), key=cmp_to_key(compare_rpm), reverse=True)
