"""Sources of packages, one file each: deb822 for apt, ini for dnf and zypper. The file is ours as a whole.

After a change the index of this repository is fetched. When that fails the file is put back as it was: a source that does not work
would look right to the next plan, and its packages would be missing without a reason.
"""

import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from statectl.onhost.compare import raw
from statectl.onhost.diff import holds_secret
from statectl.onhost.failure import Failed
from statectl.onhost.reading import each
from statectl.onhost.resources.package import apt_index, manager_of

if TYPE_CHECKING:
    from typing import Iterable, Set, Union

    from statectl.onhost.host import Host
    from statectl.onhost.process import Ran
    from statectl.onhost.shapes import JSON, Removal

OPTIONS = ("manager",)
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_APT = (
    ("uris", "URIs"),
    ("suites", "Suites"),
    ("components", "Components"),
    ("signed_by", "Signed-By"),
    ("architectures", "Architectures"),
)
_RPM = (("baseurl", "baseurl"), ("gpgkey", "gpgkey"))
_LISTS = ("uris", "suites", "components", "architectures", "baseurl", "gpgkey")
_NO = ("no", "false", "0", "off", "without", "disable")


class Desired(NamedTuple):
    """options: everything in the file that has no field of its own, so that nothing in it goes unseen."""

    name: str
    state: Optional[str] = None
    uris: Optional[Sequence[str]] = None
    suites: Optional[Sequence[str]] = None
    components: Optional[Sequence[str]] = None
    signed_by: Optional[str] = None
    architectures: Optional[Sequence[str]] = None
    baseurl: Optional[Sequence[str]] = None
    gpgkey: Optional[Sequence[str]] = None
    gpgcheck: Optional[bool] = None
    enabled: Optional[bool] = None
    options: Optional[Mapping[str, str]] = None
    allow_unsigned: Optional[bool] = None
    manager: Optional[str] = None


def read(host: "Host", wanted: "Sequence[Desired]") -> "Dict[str, Union[Desired, Failed]]":
    return each(wanted, lambda want: _read_one(host, want))


def manager_name(host: "Host", want: "Desired") -> str:
    """-> apt, dnf or zypper. Fields of one kind say which; an absent one without `manager` is the host's own."""
    if want.manager not in (None, "auto"):
        return want.manager
    own = manager_of(host, "auto").__name__.rpartition(".")[2]
    if want.uris is not None:
        return "apt"
    if want.baseurl is not None and own == "apt":
        return "zypper" if host.which("zypper") and not host.which("dnf") else "dnf"
    return own


def place(host: "Host", want: "Desired") -> str:
    """-> path of the repository's file"""
    manager = manager_name(host, want)
    if manager == "apt":
        return apt_path(want.name)
    return "/etc/%s/%s.repo" % ("yum.repos.d" if manager == "dnf" else "zypp/repos.d", want.name)


def apt_path(name: str) -> str:
    return "/etc/apt/sources.list.d/%s.sources" % name


def keyring(name: str) -> str:
    return "/etc/apt/keyrings/%s.asc" % name


def _read_one(host: "Host", want: "Desired") -> "Desired":
    path = place(host, want)
    data = host.read_file(path)
    if data is None:
        return Desired(want.name, state="absent")
    text = data.decode("utf-8", "surrogateescape")
    if not path.endswith(".sources"):
        return parse_ini(want.name, text)
    found = parse_deb822(want.name, text)
    if want.signed_by is not None and want.signed_by.startswith(KEY) and found.signed_by == keyring(want.name):
        key = (host.read_file(found.signed_by) or b"").decode("utf-8", "surrogateescape")
        found = found._replace(signed_by=key.strip())
    return found


def parse_deb822(name: str, text: str) -> "Desired":
    """A .sources file -> Desired. What is left over, a second stanza too, is in `options`."""
    stanzas = _stanzas(text)
    fields = dict(stanzas[0]) if stanzas else {}
    rest = {
        key: value for key, value in fields.items() if key.lower() not in _known(_APT, "types", "enabled", "trusted")
    }
    for number, stanza in enumerate(stanzas[1:], 2):
        rest["stanza %d" % number] = "; ".join("%s: %s" % pair for pair in stanza)
    lower = {key.lower(): value for key, value in fields.items()}
    if lower.get("types", "deb") != "deb":
        rest["Types"] = lower["types"]
    values: Dict[str, Any] = {field: _value(field, lower.get(key.lower(), "")) for field, key in _APT}
    return Desired(
        name,
        state="present",
        enabled=lower.get("enabled", "yes").lower() not in _NO,
        allow_unsigned="trusted" in lower and lower["trusted"].lower() not in _NO,
        options=rest,
        **values,
    )


def _known(pairs: "Iterable[Tuple[str, str]]", *more: str) -> "Set[str]":
    return {key.lower() for _, key in pairs} | set(more)


def _value(field: str, text: str) -> "Union[str, List[str]]":
    return text.split() if field in _LISTS else text.strip()


def _stanzas(text: str) -> "List[List[Tuple[str, str]]]":
    """-> list of stanzas, each a list of (key, value); continued lines are joined by newlines."""
    stanzas: List[List[Tuple[str, str]]] = [[]]
    for line in text.split("\n"):
        if line.startswith("#"):
            continue
        if not line.strip():
            stanzas.append([])
        elif line[0] in " \t" and stanzas[-1]:
            key, value = stanzas[-1][-1]
            more = line.strip()
            stanzas[-1][-1] = (key, value + "\n" + ("" if more == "." else more))
        else:
            key, _, value = line.partition(":")
            stanzas[-1].append((key.strip(), value.strip()))
    return [stanza for stanza in stanzas if stanza]


def parse_ini(name: str, text: str) -> "Desired":
    """A .repo file -> Desired. Other sections of it are in `options`."""
    sections: Dict[str, Dict[str, str]] = {}
    section, key = "", ""
    for line in text.split("\n"):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        if line.startswith("["):
            section, key = line.strip()[1:].partition("]")[0], ""
            sections.setdefault(section, {})
        elif line[0] in " \t" and key:
            sections[section][key] += " " + line.strip()
        elif "=" in line:
            key, _, value = line.partition("=")
            key = key.strip()
            sections.setdefault(section, {})[key] = value.strip()
    own = sections.pop(name, {})
    rest = {key: value for key, value in own.items() if key not in ("name", "baseurl", "gpgkey", "gpgcheck", "enabled")}
    for other, fields in sections.items():
        rest["section %s" % other] = "; ".join("%s=%s" % pair for pair in sorted(fields.items()))
    checked = own.get("gpgcheck", "0").lower() in ("1", "yes", "true", "on")
    return Desired(
        name,
        state="present",
        baseurl=own.get("baseurl", "").replace(",", " ").split(),
        gpgkey=own.get("gpgkey", "").replace(",", " ").split(),
        gpgcheck=checked,
        allow_unsigned=not checked,
        enabled=own.get("enabled", "1").lower() in ("1", "yes", "true", "on"),
        options=rest,
    )


def same(field: str, wanted: "Any", found: "Any") -> bool:
    """`allow_unsigned: true` permits an unchecked repository and does not forbid a checked one."""
    if field == "signed_by":
        return bool(wanted.strip() == (found or "").strip())
    if field == "allow_unsigned":
        return found is not True or wanted is True
    return bool(wanted == found)


def render(host: "Host", want: "Desired") -> str:
    """-> text of the file"""
    if manager_name(host, want) == "apt":
        lines = ["# %s, written by statectl" % want.name, "Types: deb"]
        for field, key in _APT:
            value = getattr(want, field)
            if field == "signed_by" and value and value.startswith(KEY):
                value = keyring(want.name)
            if value:
                lines.append("%s: %s" % (key, " ".join(value) if field in _LISTS else raw(value)))
        lines += ["Enabled: no"] if want.enabled is False else []
        lines += ["Trusted: yes"] if want.allow_unsigned else []
        lines += ["%s: %s" % (key, raw(value)) for key, value in sorted((want.options or {}).items())]
    else:
        lines = ["# written by statectl", "[%s]" % want.name, "name=%s" % want.name]
        lines += ["%s=%s" % (key, " ".join(getattr(want, field))) for field, key in _RPM if getattr(want, field)]
        lines += ["gpgcheck=%d" % (want.gpgcheck is not False), "enabled=%d" % (want.enabled is not False)]
        lines += ["%s=%s" % (key, raw(value)) for key, value in sorted((want.options or {}).items())]
    return "\n".join(lines) + "\n"


def files(host: "Host", want: "Desired") -> "List[Tuple[str, Optional[bytes]]]":
    """What an apply writes -> [(path, bytes, or None for one that goes)], keys first."""
    path = place(host, want)
    if want.state == "absent":
        return [(path, None), (keyring(want.name), None)]
    text = render(host, want).encode("utf-8", "surrogateescape")
    if want.signed_by and want.signed_by.startswith(KEY):
        return [(keyring(want.name), want.signed_by.strip().encode("utf-8") + b"\n"), (path, text)]
    return [(path, text)]


def validate(host: "Host", want: "Desired", found: "Desired") -> str:  # noqa: ARG001  the contract of every type
    """A repository of a manager that the host does not have, told before anything is written. '' : fine."""
    try:
        manager_of(host, manager_name(host, want))
    except Failed as error:
        return "%s; give its repository a `when`" % error.message.partition(";")[0]
    return ""


def apply(host: "Host", want: "Desired", found: "Desired", differing: "Sequence[str]") -> None:  # noqa: ARG001  the file is written as a whole
    path = place(host, want)
    before = host.read_file(path), host.read_file(keyring(want.name))
    for written, data in files(host, want):
        if data is None:
            host.remove_file(written)
            continue
        if written == keyring(want.name) and host.lstat("/etc/apt/keyrings") is None:
            host.make_directory("/etc/apt/keyrings", mode="0755")
        # a password in it is for root alone: apt and dnf read it as root
        host.replace_file(written, data, mode="0600" if written == path and holds_secret(list(want)) else "0644")
    if want.state == "absent" or want.enabled is False:
        return
    try:
        refresh(host, want, path)
    except BaseException:
        for written, data in zip((path, keyring(want.name)), before):
            if data is None:
                host.remove_file(written)
            else:
                host.replace_file(written, data)
        raise


def refresh(host: "Host", want: "Desired", path: str) -> None:
    """Fetch the index of this repository only. Raises Failed with the cause."""
    manager = manager_name(host, want)
    if manager == "apt":
        apt_index.refresh_one(host, path)
        return
    if manager == "dnf":
        release = (host.read_file("/etc/dnf/vars/releasever") or b"").decode("utf-8", "replace").strip()
        argv = ["dnf", *(["--releasever=" + release] if release else [])]
        argv += ["-y", "makecache", "--refresh", "--disablerepo=*", "--enablerepo=" + want.name]
        argv += ["--setopt=%s.skip_if_unavailable=False" % want.name]  # or dnf would ignore one that does not answer
    else:
        for key in want.gpgkey or ():
            host.run(
                ["rpm", "--import", key], timeout=120
            )  # zypper asks about unknown keys, and nobody is there to answer
        argv = ["zypper", "--non-interactive", "refresh", "--force", "--", want.name]
    fetched(host, argv, want.name, apt_index.UPDATE_TIMEOUT_S)


def fetched(host: "Host", argv: "Sequence[str]", name: str, timeout: float) -> None:
    """Run what fetches the index of repository `name`. Raises Failed with the cause."""
    ran = host.run(argv, timeout=timeout, check=False)
    if ran.timed_out or ran.code != 0:
        why = "its index did not come within %d s" % timeout if ran.timed_out else _why(ran)
        output = (ran.out + ran.err)[-4096:]
        raise Failed("repository %s: %s" % (name, why), "repository cannot be read", argv, ran.code, output)


def _why(ran: "Ran") -> str:
    lines = [line.strip() for line in (ran.err + "\n" + ran.out).split("\n") if line.strip()]
    for telling in (r"Curl error|Status code|Valid metadata not found|GPG|signature", r"Error|Cannot|Failed|invalid"):
        known = [line for line in lines if re.search(telling, line)]
        if known:
            return known[0].lstrip("- ")
    return lines[0] if lines else "exit code %s" % ran.code


def removal(record: "Removal") -> "Optional[Desired]":
    """A repository we made goes, its key too; one that was there gets its old settings back."""
    before, want = record["before"], record["want"]
    if record["created"] or not (before.get("uris") or before.get("baseurl")):
        return Desired(record["name"], state="absent", manager=_was(want))
    fields: Dict[str, Any] = {field: before.get(field) for field in Desired._fields if field not in ("name", "manager")}
    # names such as "stanza 2" stand for what cannot be written back as an option
    fields["options"] = {key: value for key, value in (before.get("options") or {}).items() if " " not in key}
    return Desired(record["name"], manager=_was(want), **fields)


def _was(want: "Dict[str, JSON]") -> "Optional[str]":
    """An absent repository has no fields that tell its manager."""
    manager: Optional[str] = want.get("manager")
    if manager not in (None, "auto"):
        return manager
    return "apt" if want.get("uris") else None
