"""What dpkg has installed and what apt's indexes offer beside it, told by their own tools and read line by line.

dpkg and apt hold a package of architecture `all` and one of the host's own architecture for the same one; so do we: (name, arch) is a
name on this host, and the architecture of its newest version may be another word.
"""

import re
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Sequence, Tuple

from statectl.onhost.failure import Failed
from statectl.onhost.patching.apt_lists import without_secrets

if TYPE_CHECKING:
    from typing import Iterable, Optional

    from statectl.onhost.host import Host

OUTPUT_LIMIT = 256 * 1024 * 1024  # of one command: a full archive is a quarter of that
_SHOWN = r"${Package}\t${Architecture}\t${Version}\t${Section}\t${Priority}\t${source:Package}\t${Status}\t${Installed-Size}\n"
_HERE = ("installed", "triggers-awaited", "triggers-pending", "half-configured", "unpacked")
_WHOLE = ("installed", "triggers-awaited", "triggers-pending", "config-files", "not-installed")
_VERSION = re.compile(r"^ (\*\*\*|   ) (\S+)(?: (-?\d+))?")
_ARCHIVE = re.compile(r"^ {8,}-?\d+ (.+)$")
_MOVE = re.compile(r"^Inst (\S+) (?:\[([^\]]+)\] )?\((\S+) .*?\[([^\]\s]+)\]\)", re.MULTILINE)
BATCH = 2000  # names on one command line


class Installed(NamedTuple):
    """status   dpkg's third word: installed, half-configured ...
    held     dpkg is told to leave it as it is
    size     KiB on disk
    """

    name: str
    arch: str
    version: str
    section: str
    priority: str
    source: str
    status: str
    held: bool
    size: int = 0


class Version(NamedTuple):
    """A line of apt's version table. priority: by the pins that apt was told to look at; archives: descriptions of indexes."""

    version: str
    priority: int
    archives: "List[str]"


class Table(NamedTuple):
    """candidate: '' : none; versions: newest first, the installed one among them."""

    installed: str
    candidate: str
    versions: "List[Version]"


def output(host: "Host", argv: "Sequence[str]", timeout: float = 300) -> "Tuple[Optional[int], str, str]":
    """Run what may say much -> (code, out, err), none of it left out."""
    kept: "Dict[str, List[bytes]]" = {"out": [], "err": []}
    size = [0]

    def keep(stream: str, data: bytes) -> None:
        size[0] += len(data)
        if size[0] > OUTPUT_LIMIT:
            raise Failed("%s says more than %d bytes" % (argv[0], OUTPUT_LIMIT), "too much output", argv[:3])
        kept[stream].append(data)

    ran = host.run(argv, timeout=timeout, check=False, on_output=keep)
    if ran.timed_out:
        raise Failed("%s did not end within %d s" % (argv[0], timeout), "timed out", argv[:3])
    texts = [b"".join(kept[name]).decode("utf-8", "surrogateescape") for name in ("out", "err")]
    return ran.code, ran.out + texts[0], ran.err + texts[1]


def complaint(text: str, code: "Optional[int]") -> str:
    """The first error of an apt tool, in one line."""
    errors = [line[3:].strip() for line in text.split("\n") if line.startswith("E: ")]
    return without_secrets(errors[0]) if errors else "exit code %s" % code


# -- dpkg


def dpkg(host: "Host") -> "List[Installed]":
    """Every package that dpkg has in hand, whole or not."""
    code, out, err = output(host, ["dpkg-query", "--show", "--showformat=" + _SHOWN], 60)
    if code != 0:
        raise Failed("dpkg-query: %s" % (err.strip().split("\n")[0] or "exit code %s" % code), "dpkg-query failed")
    return parse_dpkg(out)


def parse_dpkg(text: str) -> "List[Installed]":
    found = []
    for line in text.split("\n"):
        fields = line.split("\t")
        words = fields[6].split() if len(fields) == 8 else ()
        if len(words) == 3 and words[2] not in ("not-installed", "config-files"):
            size = int(fields[7]) if fields[7].isdigit() else 0
            status = words[2] if words[1] == "ok" else "%s (%s)" % (words[2], words[1])
            name, arch, version, section, priority, source = fields[:6]
            found.append(Installed(name, arch, version, section, priority, source, status, words[0] == "hold", size))
    return found


def broken(packages: "Iterable[Installed]") -> "List[str]":
    """`lab-broken is half-configured`: what dpkg has not brought to its end."""
    return ["%s is %s" % (one.name, one.status) for one in packages if one.status not in _WHOLE]


def here(packages: "Iterable[Installed]") -> "List[Installed]":
    """Those whose files are in place, configured or not."""
    return [one for one in packages if one.version and one.status.split(" ")[0] in _HERE]


def native(packages: "Iterable[Installed]") -> str:
    """The host's own architecture."""
    return next((one.arch for one in packages if one.name == "dpkg"), "amd64")


def spoken(name: str, arch: str, own: str) -> str:
    """As apt's tools want it: `name`, or `name:i386` for another architecture."""
    return name if arch in (own, "all", "") else "%s:%s" % (name, arch)


def slot(spec: str, own: str) -> "Tuple[str, str]":
    """`name` or `name:arch` of an apt tool -> (name, architecture), where the own one and `all` are ''."""
    name, _, arch = spec.partition(":")
    return name, "" if arch in (own, "all") else arch


# -- apt


def tables(host: "Host", options: "Sequence[str]", specs: "Sequence[str]") -> "Dict[str, Table]":
    """apt's version tables of packages -> {name or name:arch: Table}; unknown names are left out."""
    found: "Dict[str, Table]" = {}
    for start in range(0, len(specs), BATCH):
        argv = ["apt-cache", *options, "policy", "--", *specs[start : start + BATCH]]
        code, out, err = output(host, argv)
        if code != 0 and "Unable to locate package" not in err:
            raise Failed("apt-cache cannot read the indexes: %s" % complaint(err, code), "apt-cache failed", argv[:3])
        found.update(parse_tables(out))
    return found


def parse_tables(text: str) -> "Dict[str, Table]":
    found: "Dict[str, Table]" = {}
    shown, installed, candidate = "", "", ""
    versions: "List[Version]" = []
    for line in text.split("\n"):
        if line.endswith(":") and not line.startswith(" "):
            shown, installed, candidate, versions = line[:-1], "", "", []
            found[shown] = Table("", "", versions)
            continue
        match = _ARCHIVE.match(line)
        if match is not None:
            if versions and match.group(1) != "/var/lib/dpkg/status":
                versions[-1].archives.append(match.group(1))
            continue
        match = _VERSION.match(line)
        if match is not None and not line.startswith("        "):
            versions.append(Version(match.group(2), int(match.group(3) or 0), []))
        elif line.startswith("  Installed: "):
            installed = line[len("  Installed: ") :].strip()
        elif line.startswith("  Candidate: "):
            candidate = line[len("  Candidate: ") :].strip()
            known = ["" if word == "(none)" else word for word in (installed, candidate)]
            found[shown] = Table(known[0], known[1], versions)
    return found


def offered(table: "Table") -> "List[Version]":
    """The newer versions that apt would take by the host's own pins: those of a priority no lower than its candidate's.

    So packages of an archive that is there for single ones (backports) are offered for those that came from it, and no others.
    """
    least = next((one.priority for one in table.versions if one.version == table.candidate), 1)
    newer = []
    for one in table.versions:
        if one.version == table.installed:
            break
        if one.archives and one.priority >= max(least, 1):
            newer.append(one)
    return newer


def records(host: "Host", options: "Sequence[str]", specs: "Sequence[str]") -> "List[Dict[str, str]]":
    """`name=version` each -> the fields of their records, in lower case."""
    found: "List[Dict[str, str]]" = []
    for start in range(0, len(specs), BATCH):
        argv = ["apt-cache", *options, "show", "--", *specs[start : start + BATCH]]
        code, out, err = output(host, argv)
        if code != 0 and not out:
            raise Failed("apt-cache cannot read the indexes: %s" % complaint(err, code), "apt-cache failed", argv[:3])
        found += parse_records(out)
    return found


_FIELDS = (
    *("package", "version", "architecture", "section", "priority", "source", "sha256", "size"),
    *("installed-size", "depends"),
)


def parse_records(text: str) -> "List[Dict[str, str]]":
    found = []
    for stanza in text.split("\n\n"):
        fields = {}
        for line in stanza.split("\n"):
            key, colon, value = line.partition(": ")
            if colon and key.lower() in _FIELDS and not line.startswith(" "):
                fields[key.lower()] = value.strip()
        if "package" in fields and "version" in fields:
            fields["source"] = fields.get("source", fields["package"]).partition(" ")[0]
            found.append(fields)
    return found


def moves(text: str) -> "List[Tuple[str, str, str, str]]":
    """Output of `apt-get -s` -> [(name or name:arch, architecture, from or '', to), ...]"""
    return [(spec, arch, old, new) for spec, old, new, arch in _MOVE.findall(text)]
