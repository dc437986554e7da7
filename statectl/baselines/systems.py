"""Which of the systems of a baseline's `os` a host is, by its facts `os`, and what its product is called."""

from collections.abc import Mapping
from typing import Any

from statectl.baselines.model import SYSTEMS

APT, RPM = "apt", "rpm"  # the two kinds of packages
APT_SYSTEMS = ("debian", "ubuntu", "raspbian")
PRODUCTS: Mapping[str, str] = {  # how the names of products begin, as Systems Manager has them; the version follows
    "debian": "Debian",
    "ubuntu": "Ubuntu",
    "raspbian": "Raspbian",
    "rhel": "RedhatEnterpriseLinux",
    "centos": "CentOS",
    "rocky": "RockyLinux",
    "almalinux": "AlmaLinux",
    "oracle": "OracleLinux",
    "fedora": "Fedora",
    "amazon": "AmazonLinux",
    "sles": "Suse",
    "opensuse": "OpenSuse",
}
_BY_ID: Mapping[str, str] = {
    **{name: name for name in SYSTEMS},
    "ol": "oracle",
    "amzn": "amazon",
    "sled": "sles",
    "sles_sap": "sles",
    "sle_hpc": "sles",
    "sle-micro": "sles",
    "opensuse-leap": "opensuse",
    "opensuse-tumbleweed": "opensuse",
    "suse": "sles",
}


def kind_of_packages(system: str) -> str:
    """apt or rpm."""
    return APT if system in APT_SYSTEMS else RPM


def system_of(facts: Mapping[str, Any]) -> str:
    """One of SYSTEMS by `id`, else by the first word of `id_like` that is one; '' for all others.

    facts: the facts `os`, or what os-release says in small letters, where id_like is one text.
    """
    like = facts.get("id_like") or ()
    words = like.split() if isinstance(like, str) else like
    for word in (facts.get("id"), *words):
        if isinstance(word, str) and word.lower() in _BY_ID:
            return _BY_ID[word.lower()]
    return ""


def product_of(facts: Mapping[str, Any]) -> str:
    """Debian12, Ubuntu22.04, RedhatEnterpriseLinux9.2, Suse15.6; '' for a system that has no baselines.

    A derivative, known by `id_like` alone, has versions of its own: it is the product without a version.
    """
    system = system_of(facts)
    if not system:
        return ""
    own = str(facts.get("id", "")).lower() in _BY_ID
    return PRODUCTS[system] + (str(facts.get("version") or facts.get("version_id") or "") if own else "")
