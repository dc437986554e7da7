"""The types of the collected inventory: their attributes, and how a target expression names them.

    package.openssl < 3.0.14-1          the entry openssl: its main attribute, here the version
    package.openssl.architecture=arm64  the entry openssl, one attribute
    certificate.not_after < now+30d     any entry, one attribute
    custom.Rack.unit=4                  any entry of a type of the user's own; custom.Rack.NAME.unit with its name

Types and attributes have the names of AWS's inventory where that has them; in expressions upper and lower case and _ make no
difference. `tests/test_contract.py` holds this against what the host sends.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Attribute(NamedTuple):
    """`kind`: text, number, version, time or flag; any for types of the user's own."""

    name: str
    kind: str
    meaning: str


@dataclass(frozen=True, slots=True)
class CollectedType:
    """`words`: what expressions call it. `key`: the attributes that name an entry. `main`: the one that is meant when none is named.

    `own`: the attribute that differs from host to host where all others are the same, a time. `lasting` False: only the latest is kept.
    """

    name: str
    meaning: str
    words: tuple[str, ...]
    key: tuple[str, ...]
    main: str
    attributes: tuple[Attribute, ...]
    also: Mapping[str, str]
    own: str = ""
    lasting: bool = True

    def attribute(self, text: str) -> Attribute | None:
        wanted = fold(text)
        wanted = fold(self.also.get(wanted, wanted))
        return next((one for one in self.attributes if fold(one.name) == wanted), None)


class Asked(NamedTuple):
    """What a name in an expression stands for. `entry`: '' for any; it may hold * and ?."""

    type: str
    entry: str
    attribute: str
    kind: str


def fold(text: str) -> str:
    return text.replace("_", "").replace("-", "").lower()


CUSTOM = re.compile(r"Custom:[A-Z][A-Za-z0-9_]{0,63}")
_NO_ALSO: Mapping[str, str] = {}


def _type(
    name: str,
    meaning: str,
    words: str,
    key: str,
    main: str,
    attributes: str,
    *,
    also: Mapping[str, str] = _NO_ALSO,
    own: str = "",
    lasting: bool = True,
) -> CollectedType:
    found = tuple(
        Attribute(word, kind, text)
        for word, kind, text in (line.strip().split(None, 2) for line in attributes.strip().splitlines())
    )
    return CollectedType(name, meaning, tuple(words.split()), tuple(key.split()), main, found, also, own, lasting)


_ALL = (
    _type(
        "InstanceInformation", "Who the host is", "instance", "", "PlatformName", """
        ComputerName     text     The full name that the host gives itself
        InstanceId       text     /etc/machine-id
        IpAddress        text     The address that a packet to the internet would carry
        PlatformType     text     Linux
        PlatformName     text     Debian GNU/Linux 12 (bookworm)
        PlatformVersion  version  12, 9.4
        AgentType        text     statectl
        AgentVersion     version  Of the statectl that asked
        ResourceType     text     ManagedInstance
        """,
    ),
    _type(
        "InstanceDetailedInformation", "What the machine is made of", "hardware", "", "CPUModel", """
        CPUModel               text    As the processor names itself
        CPUs                   number  Logical processors
        CPUCores               number  Physical cores
        CPUSockets             number  Processors
        CPUHyperThreadEnabled  flag    Are there more logical processors than cores?
        MemoryMB               number  Units of 1024 * 1024 bytes
        Architecture           text    x86_64, aarch64
        Manufacturer           text    Of the machine, as its firmware says
        Product                text    Of the machine, as its firmware says
        Virtualization         text    none, kvm, docker ...
        """, also={"cpus": "CPUs"},
    ),
    _type(
        "Kernel", "Which kernel runs, and whether the host should be restarted", "kernel", "", "Running", """
        Running         version  The release that runs
        Newest          version  The newest that is installed, of the same flavour
        RebootRequired  flag     The system says so, or Newest is another; empty where it cannot be told
        RebootPackages  text     What asked for the restart, as Debian notes it
        BootId          text     Another one after every boot
        """,
    ),
    _type(
        "Application", "Installed packages of dpkg and rpm", "package application", "Name", "Version", """
        Name             text     Of the package
        Architecture     text     amd64, noarch
        Version          version  Whole: epoch, version, and revision or release
        ApplicationType  text     deb or rpm
        InstalledTime    time     When it was installed or upgraded last
        Publisher        text     Maintainer or vendor
        Source           text     The source package
        Summary          text     The first line of its description
        URL              text     Its home page
        """, own="InstalledTime",
    ),
    _type(
        "Service", "Services of systemd", "service", "Name", "Status", """
        Name         text  Without .service
        DisplayName  text  Its description
        Status       text  running, exited, stopped, failed ...
        StartType    text  enabled, disabled, static, masked, generated
        """, also={"state": "Status"},
    ),
    _type(
        "Network", "Network interfaces", "network", "Name", "IPV4", """
        Name        text  Of the interface
        MacAddress  text  02:00:...
        Up          flag  Is it up?
        IPV4        text  Addresses with their length, separated by spaces
        IPV6        text  Addresses with their length, separated by spaces
        Gateway     text  Of the default route over it
        DNSServer   text  Name servers of the host
        """,
    ),
    _type(
        "User", "Accounts of /etc/passwd", "user", "Name", "Uid", """
        Name     text    Of the user
        Uid      number  Its number
        Gid      number  Of its first group
        Groups   text    Its other groups, separated by spaces
        Home     text    Its home directory
        Shell    text    Its shell
        Comment  text    Its full name
        """,
    ),
    _type(
        "Group", "Groups of /etc/group", "group", "Name", "Gid", """
        Name     text    Of the group
        Gid      number  Its number
        Members  text    Users, separated by spaces
        """,
    ),
    _type(
        "Mount", "Mounted file systems", "mount", "Path", "FileSystem", """
        Path        text    Where it is mounted
        Device      text    What is mounted
        FileSystem  text    ext4, xfs, nfs4 ...
        ReadOnly    flag    Mounted for reading only?
        SizeMB      number  Units of 1024 * 1024 bytes
        """,
    ),
    _type(
        "Disk", "Block devices", "disk", "Name", "SizeMB", """
        Name        text    sda, nvme0n1
        SizeMB      number  Units of 1024 * 1024 bytes
        Model       text    As the device names itself
        Vendor      text    As the device names itself
        Rotational  flag    Does it turn?
        Removable   flag    Can it be taken out?
        ReadOnly    flag    Can it only be read?
        """,
    ),
    _type(
        "Usage", "How full file systems are; only the latest reading is kept", "usage", "Path", "UsedPercent", """
        Path         text    Where it is mounted
        SizeMB       number  Units of 1024 * 1024 bytes
        AvailableMB  number  What users may still write
        UsedPercent  number  0 to 100
        """, lasting=False,
    ),
    _type(
        "LanguagePackage", "What Python, Node and Ruby have for the whole machine", "language_package", "Name", "Version", """
        Name      text     Of the package
        Version   version  Its version
        Language  text     python, node or ruby
        Path      text     The directory that holds it
        """,
    ),
    _type(
        "Process", "What uses most processor and memory; only the latest reading is kept; never with arguments",
        "process", "Name", "CPUPercent", """
        Name        text    As the kernel calls it
        Pid         number  Its number
        User        text    Whose it is
        FileName    text    Its executable
        StartTime   time    When it began
        CPUPercent  number  Share of one processor over its life
        MemoryMB    number  Resident, units of 1024 * 1024 bytes
        Threads     number  How many it has
        """, lasting=False,
    ),
    _type(
        "Listener", "Ports that something waits on", "listener", "Protocol Port", "Address", """
        Protocol  text    tcp or udp
        Address   text    0.0.0.0 and :: are all addresses
        Port      number  1 to 65535
        Process   text    Who waits, as far as the login may see
        User      text    Whose socket it is
        """,
    ),
    _type(
        "File", "Files that the project asks for (`collect.files`)", "file", "InstalledDir Name", "Size", """
        InstalledDir      text    Its directory
        Name              text    Its name in there
        Size              number  Bytes
        ModificationTime  time    When its content was changed last
        Owner             text    User
        Group             text    Group
        Mode              text    0644
        Sha256            text    Of the content, where `hash` asks for it
        """,
    ),
    _type(
        "Certificate", "Certificates in PEM files that the project names (`collect.certificates`)",
        "certificate", "Path", "NotAfter", """
        Path       text    The file
        Position   number  In the file, from 1
        Subject    text    CN=...
        Issuer     text    CN=...
        Names      text    DNS names and addresses that it is for
        NotBefore  time    Valid from
        NotAfter   time    Valid until
        Serial     text    Hexadecimal
        Sha256     text    Of the certificate
        Problem    text    Why it could not be read
        """,
    ),
)  # fmt: skip

TYPES: Mapping[str, CollectedType] = {one.name: one for one in _ALL}
WORDS: Mapping[str, CollectedType] = {word: one for one in _ALL for word in (*one.words, fold(one.name))}


def type_named(text: str) -> str:
    """The name of a type as `--type` takes it: Application, application, package, custom:Rack. '' when there is none."""
    found = WORDS.get(fold(text)) or WORDS.get(text)
    if found is not None:
        return found.name
    name = f"Custom:{text[7:]}" if fold(text[:7]) in ("custom:", "custom.") else ""
    return name if CUSTOM.fullmatch(name) else ""


def is_collected(name: str) -> bool:
    """Does a name in an expression ask for collected inventory?"""
    word, dot, rest = name.partition(".")
    return bool(dot and rest) and (word in WORDS or word == "custom")


def read_name(name: str) -> Asked | str:
    """What a name that `is_collected` asks for, or what is wrong with it."""
    word, _, rest = name.partition(".")
    if word == "custom":
        return _custom(rest)
    kind = WORDS[word]
    whole = kind.attribute(rest)
    if whole is not None:
        return Asked(kind.name, "", whole.name, whole.kind)
    if not kind.key:
        return f"{word} has no attribute `{rest}`"
    entry, attribute = _split(rest)
    found = kind.attribute(attribute) if entry else None
    if found is not None:
        return Asked(kind.name, _unquoted(entry), found.name, found.kind)
    main = kind.attribute(kind.main)
    assert main is not None
    return Asked(kind.name, _unquoted(rest), main.name, main.kind)


def attribute_named(type_name: str, name: str) -> Asked | str:
    """What an attribute's name stands for where the type is known already, or what is wrong with it."""
    kind = TYPES.get(type_name)
    if kind is None:
        return Asked(type_name, "", name, "any")
    found = kind.attribute(name)
    return f"{type_name} has no attribute `{name}`" if found is None else Asked(type_name, "", found.name, found.kind)


def _custom(rest: str) -> Asked | str:
    name, _, below = rest.partition(".")
    if not below or not CUSTOM.fullmatch(f"Custom:{name}"):
        return "a type of your own is written custom.TYPE.ATTRIBUTE or custom.TYPE.NAME.ATTRIBUTE, and TYPE begins with a capital"
    entry, attribute = _split(below)
    return Asked(f"Custom:{name}", _unquoted(entry), attribute, "any")


def _split(text: str) -> tuple[str, str]:
    """At the last dot that stands outside quotes -> (before, behind); ('', text) without one."""
    if text[-1:] in "\"'":
        return "", text
    entry, _, attribute = text.rpartition(".")
    return entry, attribute


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def names_of(kind: CollectedType) -> Iterator[tuple[str, Attribute]]:
    """(as expressions write it, attribute)."""
    for one in kind.attributes:
        yield snake(one.name), one


def snake(name: str) -> str:
    """InstalledTime -> installed_time, CPUModel -> cpu_model, MemoryMB -> memory_mb, IPV4 -> ipv4."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})", "_", name).lower()
