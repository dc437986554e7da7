"""facts.os: {id, id_like, family, name, version, major, codename}, from os-release.

family is debian, redhat, suse, arch, alpine, or the id itself when it is none of these; major is an integer, or null for a system
without version numbers (Debian testing, Arch).
"""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

from statectl.onhost.facts import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import JSON, Facts

FAMILIES = {
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "redhat",
    "fedora": "redhat",
    "centos": "redhat",
    "amzn": "redhat",
    "suse": "suse",
    "opensuse": "suse",
    "sles": "suse",
    "arch": "arch",
    "alpine": "alpine",
    "gentoo": "gentoo",
}


def gather(host: "Host", known: "Facts") -> "Dict[str, JSON]":
    fields = os_release(text_of(host, "/etc/os-release") or text_of(host, "/usr/lib/os-release"))
    identity = fields.get("ID", "linux").lower()
    like = fields.get("ID_LIKE", "").lower().split()
    family = next((FAMILIES[word] for word in [identity, *like] if word in FAMILIES), identity)
    version = fields.get("VERSION_ID", "")
    major = version.partition(".")[0]
    return {
        "id": identity,
        "id_like": like,
        "family": family,
        "name": fields.get("PRETTY_NAME") or fields.get("NAME") or identity,
        "version": version,
        "major": int(major) if major.isdigit() and len(major) < 9 else None,
        "codename": fields.get("VERSION_CODENAME") or _between(fields.get("VERSION", "")),
    }


def os_release(text: str) -> "Dict[str, str]":
    """KEY=value lines with shell quotes -> dict. Nothing is expanded."""
    fields = {}
    for line in text.splitlines():
        key, found, value = line.strip().partition("=")
        if not found or key.startswith("#"):
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        fields[key.strip()] = value.replace("\\$", "$").replace('\\"', '"').replace("\\`", "`").replace("\\\\", "\\")
    return fields


def _between(version: str) -> str:
    """'12 (bookworm)' -> 'bookworm'."""
    inside = version.partition("(")[2].partition(")")[0].lower()
    return inside if inside.isalnum() else ""
