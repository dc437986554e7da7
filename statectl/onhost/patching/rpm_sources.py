"""A baseline's own repositories as .repo files in a scratch directory: they are there for one look or one transaction, then gone."""

import re
from typing import TYPE_CHECKING, List

from statectl.onhost.failure import Failed

if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Sequence

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON

CACHE = "/var/cache/statectl/patching"
SCRATCH = "/tmp/statectl-patches.XXXXXXXXXX"  # noqa: S108  for mktemp, which makes it 0700 under a name nobody knows
_USER = re.compile(r"(://)[^/@]*@")
_ID = re.compile(r"[A-Za-z0-9_.:-]+\Z")


def scratch(host: "Host") -> str:
    return host.run(["mktemp", "-d", SCRATCH]).out.strip()


def remove_scratch(host: "Host", top: str) -> None:
    if top:
        host.run(["rm", "-rf", "--", top], check=False)


def write(host: "Host", path: str, data: bytes) -> None:
    host.run(["install", "-m", "0600", "--", "/dev/stdin", path], input=data)


class Sources(object):
    """Repository files in `directory`: those of the baseline alone.

    keys: paths or addresses of their public keys.
    """

    def __init__(self, host: "Host", sources: "Sequence[Mapping[str, JSON]]", top: str) -> None:
        self.directory = top + "/repos"
        self.keys: List[str] = []
        host.run(["mkdir", "--", self.directory])
        for source in sources:
            name = str(source["name"])
            if not _ID.match(name):
                raise Failed(
                    "a patch source cannot be called %s: letters, digits and _.:- only" % name, "bad name of a source"
                )
            key = self._key(host, top, name, str(source.get("gpgkey") or ""))
            text = _repo(name, str(source["baseurl"]), key, bool(source.get("trusted")))
            write(host, "%s/%s.repo" % (self.directory, name), text.encode("utf-8"))

    def _key(self, host: "Host", top: str, name: str, key: str) -> str:
        if key.startswith("-----BEGIN"):
            path = "%s/%s.asc" % (top, name)
            write(host, path, key.encode("utf-8"))
            key = "file://" + path
        elif key.startswith("/"):
            key = "file://" + key
        if key and key not in self.keys:
            self.keys.append(key)
        return key


def _repo(name: str, baseurl: str, key: str, trusted: bool) -> str:
    """Without a reason to trust it, every package must be signed; zypper checks packages then, not the index, as dnf does."""
    check = "0" if trusted else "1"
    lines = ["[%s]" % name, "name=" + name, "baseurl=" + baseurl, "enabled=1", "autorefresh=1", "gpgcheck=" + check]
    lines += ["repo_gpgcheck=0", "pkg_gpgcheck=" + check]
    if key:
        lines.append("gpgkey=" + key)
    return "\n".join(lines) + "\n"


class Keys(object):
    """Context manager: rpm trusts these public keys inside it, and no key that came in the meantime after it."""

    def __init__(self, host: "Host", keys: "Sequence[str]") -> None:
        self._host = host
        self._keys = keys
        self._before: "Optional[List[str]]" = None

    def __enter__(self) -> "Keys":
        if self._keys:
            self._before = self._known()
            for key in self._keys:
                path = key[len("file://") :] if key.startswith("file://") else key
                self._host.run(["rpm", "--import", path], timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            return
        added = [key for key in self._known() if key not in self._before]
        if added:
            self._host.run(["rpm", "--erase", "--allmatches", "--", *added], timeout=60)

    def _known(self) -> "List[str]":
        ran = self._host.run(["rpm", "--query", "gpg-pubkey"], timeout=60, check=False)
        return [line for line in ran.out.split("\n") if line.startswith("gpg-pubkey-")]


def shown(url: str) -> str:
    """An address without user and password, for people."""
    return _USER.sub(r"\1", url)


def configured(host: "Host", places: "Sequence[str]") -> "Dict[str, Dict[str, str]]":
    """{id: {option: value}} of the .repo files in these directories; options are those that are said there, variables as written."""
    found: "Dict[str, Dict[str, str]]" = {}
    for place in places:
        for name in host.listdir(place):
            if name.endswith(".repo"):
                text = (host.read_file(place + "/" + name) or b"").decode("utf-8", "replace")
                found.update(sections(text))
    return found


def sections(text: str) -> "Dict[str, Dict[str, str]]":
    """An ini file as dnf and zypper write them -> {section: {option: value}}; a value may go on in lines that are indented."""
    found: "Dict[str, Dict[str, str]]" = {}
    section: "Any" = None
    last = ""
    for line in text.split("\n"):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        if line.startswith("[") and "]" in line:
            section = found.setdefault(line[1 : line.index("]")], {})
            last = ""
        elif line[0].isspace() and last and section is not None:
            section[last] += " " + line.strip()
        elif "=" in line and section is not None:
            last, _, value = line.partition("=")
            last = last.strip()
            section[last] = value.strip()
    return found


def address(options: "Mapping[str, str]") -> str:
    """Where a repository is, as its file says, for people."""
    return shown(
        next((options[name].split()[0] for name in ("baseurl", "metalink", "mirrorlist") if options.get(name)), "")
    )


def is_off(value: str) -> bool:
    return value.strip().lower() in ("0", "no", "false", "off")
