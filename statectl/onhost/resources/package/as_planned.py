"""The package manager as it will be once other changes of the same plan were made: its repositories, and files of its configuration.

A copy of its configuration with these changes stands in a scratch directory below /tmp, and the indexes of planned repositories
are fetched there by the manager itself, with its own checks of signatures and certificates. Nothing of the host's is written.
"""

import re
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Tuple

from statectl.onhost.failure import Failed
from statectl.onhost.resources import package_repository
from statectl.onhost.resources.package import apt_index, zypper

if TYPE_CHECKING:
    from typing import Any, Union

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Address

APT = "/etc/apt"
TEMPLATE = "/tmp/statectl-planned.XXXXXXXXXX"  # noqa: S108  for mktemp, which makes it 0700 under a name nobody knows
FETCH_TIMEOUT_S = 120  # for all that one plan fetches
PATIENCE_S = 15  # for a server that says nothing
_REPOSITORIES = ("/etc/yum.repos.d", "/etc/yum/repos.d", "/etc/distro.repos.d")
_ZYPP = "/etc/zypp/repos.d"
_PLACES = {"apt": (APT,), "dnf": _REPOSITORIES, "zypper": (_ZYPP,)}


def foreseen(planned: "Mapping[str, Any]") -> "List[Address]":
    """Which of the planned changes, {address: want}, bear on packages -> their addresses, repositories first."""
    repositories = {address: want for address, want in planned.items() if _type(address) == "package_repository"}
    keys = {path for want in repositories.values() for path in _key_paths(want)}
    files = [
        address
        for address, want in planned.items()
        if _type(address) == "file"
        and (want.content is not None or want.state == "absent")
        and (want.name in keys or any(want.name.startswith(top + "/") for tops in _PLACES.values() for top in tops))
    ]
    return [*repositories, *files]


def _type(address: "Address") -> str:
    return address.partition(":")[0]


def _key_paths(want: "Any") -> "List[str]":
    """Paths of key files on the host that a repository names."""
    paths = [want.signed_by] if (want.signed_by or "").startswith("/") else []
    return paths + [key[len("file://") :] for key in want.gpgkey or () if key.startswith("file:///")]


class _Scratch(object):
    """files: {path: (bytes or None, mode)} that the plan writes or removes; repositories: planned ones to fetch, by name.

    options, env: what makes the manager look here. trouble: why it cannot, known when the context is entered.
    """

    def __init__(self, host: "Host", manager: str, planned: "Mapping[str, Any]") -> None:
        self._host = host
        self.files: Dict[str, Tuple[Optional[bytes], str]] = {}
        self.repositories: List[str] = []
        self.options: Sequence[str] = ()
        self.env: Optional[Mapping[str, str]] = None
        self.trouble = ""
        self._top = ""
        for address, want in planned.items():
            if _type(address) == "file":
                data = None if want.state == "absent" else want.content.read()
                self.files[want.name] = data, _octal(want.mode)
            elif package_repository.manager_name(host, want) == manager:
                self.files.update((path, (data, "0644")) for path, data in package_repository.files(host, want))
                if want.state != "absent" and want.enabled is not False:
                    self.repositories.append(want.name)

    def __enter__(self) -> "_Scratch":
        self._top = self._host.run(["mktemp", "-d", TEMPLATE]).out.strip()
        try:
            self._host.run(["chmod", "0711", "--", self._top])  # apt fetches as user _apt
            self._prepare()
        except Failed as error:
            self.trouble = error.message
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._host.run(["rm", "-rf", "--", self._top], check=False)

    def _prepare(self) -> None:
        raise NotImplementedError

    def _copy(self, source: str, target: str) -> None:
        """What a link leads to is copied; what cannot be read is left out, and the manager does not see it either."""
        argv = ["cp", "-rL", "--preserve=mode,ownership,timestamps", "--", source, target]
        self._host.run(argv, check=False)

    def _place(self, places: "Mapping[str, str]") -> None:
        """Write the planned files: those below a place of `places` ({path: scratch path}) there, keys beside.

        Texts that name a planned key then name its copy.
        """
        where, keys = {}, {}
        for number, path in enumerate(sorted(self.files)):
            data, mode = self.files[path]
            top = next((top for top in places if path.startswith(top + "/")), None)
            where[path] = self._top + "/key%d" % number if top is None else places[top] + path[len(top) :]
            if data is not None and not path.endswith((".sources", ".list", ".repo")):
                keys[path.encode("utf-8", "surrogateescape")] = where[path].encode("utf-8", "surrogateescape")
        for path in sorted(self.files):
            data, mode = self.files[path]
            if data is None:
                self._host.run(["rm", "-f", "--", where[path]])
                continue
            if path.endswith((".sources", ".list", ".repo")):
                data = _renamed(data, keys)
            argv = ["install", "-D", "-m", mode, "--", "/dev/stdin", where[path]]
            self._host.run(argv, input=data)


class _Apt(_Scratch):
    """A whole /etc/apt of its own, and lists that are the host's but for those of planned repositories."""

    def _prepare(self) -> None:
        host, top = self._host, self._top
        parts = [top + part for part in ("/lists/partial", "/cache/archives/partial")]
        host.run(["mkdir", "-p", "--", *parts])
        if host.uid == 0 and host.user_id("_apt") is not None:
            host.run(["chown", "_apt", "--", *parts])
        self._copy(APT, top + "/etc")
        self._place({APT: top + "/etc"})
        # apt reads this before its own configuration, which it then looks for in the copy
        host.run(["tee", "--", top + "/apt.conf"], input=('Dir::Etc "%s/etc/";\n' % top).encode("ascii"))
        self.env = {"APT_CONFIG": top + "/apt.conf"}
        self.options = ("-o", "Dir::State::Lists=%s/lists" % top, "-o", "Dir::Cache=%s/cache" % top)
        if self.repositories:
            self._fetch()
        # links to the host's own lists, which apt only reads from here on
        host.run(["cp", "-rs", "--no-clobber", "--", apt_index.LISTS + "/.", top + "/lists"], check=False)

    def _fetch(self) -> None:
        host, top = self._host, self._top
        host.run(["mkdir", "-p", "--", top + "/fetched"])
        sources = [
            top + "/etc" + package_repository.apt_path(name)[len(APT) :] for name in sorted(set(self.repositories))
        ]
        host.run(["cp", "-p", "--", *sources, top + "/fetched"])
        only = ("-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=%s/fetched" % top)
        patience = ["-o", "Acquire::Retries=0"]
        for method in ("http", "https", "ftp"):
            patience += ["-o", "Acquire::%s::Timeout=%d" % (method, PATIENCE_S)]
        apt_index.update(host, (*self.options, *only, *patience), env=self.env, timeout=FETCH_TIMEOUT_S)


class _Dnf(_Scratch):
    """Repository files of its own; metadata goes to the cache that looking ahead uses in any case, by address."""

    def _prepare(self) -> None:
        from statectl.onhost.resources.package import dnf

        repositories = self._top + "/repos"
        self._host.run(["mkdir", "--", repositories])
        for top in _reposdirs(self._host):
            if self._host.lstat(top) is not None:
                self._copy(top + "/.", repositories)
        self._place(dict.fromkeys((*_reposdirs(self._host), *_REPOSITORIES), repositories))
        self.options = ("--setopt=reposdir=" + repositories,)
        if not self.repositories:
            return
        argv = dnf.looking(self._host, *self.options, "-y", "makecache", "--refresh", "--disablerepo=*")
        argv += ["--setopt=timeout=%d" % PATIENCE_S, "--setopt=retries=1"]
        for name in self.repositories:
            argv += ["--enablerepo=" + name, "--setopt=%s.skip_if_unavailable=False" % name]
        package_repository.fetched(self._host, argv, ", ".join(self.repositories), FETCH_TIMEOUT_S)


def _reposdirs(host: "Host") -> "List[str]":
    text = (host.read_file("/etc/dnf/dnf.conf") or b"").decode("utf-8", "replace")
    said = re.search(r"^\s*reposdir\s*=\s*(.+)$", text, re.MULTILINE)
    return said.group(1).replace(",", " ").split() if said else list(_REPOSITORIES)


class _Zypper(_Scratch):
    """Repository files and a cache of its own: zypp's cache goes by name, and a planned one may have another address.

    A repository signed by a key that the host does not trust yet cannot be looked at: the key would have to be imported.
    """

    def _prepare(self) -> None:
        repositories, cache = self._top + "/repos", self._top + "/cache"
        self._host.run(["mkdir", "--", repositories, cache])
        self._copy(_ZYPP + "/.", repositories)
        for name in (zypper.CACHE, "/var/cache/zypp"):
            if self._host.lstat(name) is not None:
                self._copy(name + "/.", cache)
                break
        self._place({_ZYPP: repositories})
        self.options = ("--reposd-dir", repositories, "--cache-dir", cache)
        for name in self.repositories:
            argv = ["zypper", "--non-interactive", *self.options, "refresh", "--force", "--", name]
            package_repository.fetched(self._host, argv, name, FETCH_TIMEOUT_S)


_SCRATCH = {"apt": _Apt, "dnf": _Dnf, "zypper": _Zypper}


def scratch(host: "Host", manager: str, planned: "Mapping[str, Any]") -> "Optional[_Scratch]":
    """-> context manager with `options` and `env`, or None: nothing of the plan is this manager's."""
    made = _SCRATCH[manager](host, manager, planned)
    return made if any(path.startswith(_PLACES[manager]) for path in made.files) else None


def _renamed(data: bytes, keys: "Dict[bytes, bytes]") -> bytes:
    """bytes with every path of `keys` replaced, the longer ones first: one may begin with another."""
    for key in sorted(keys, key=len, reverse=True):
        data = data.replace(key, keys[key])
    return data


def _octal(mode: "Union[str, int, None]") -> str:
    if mode is None:
        return "0644"
    return mode if isinstance(mode, str) else "%04o" % mode
