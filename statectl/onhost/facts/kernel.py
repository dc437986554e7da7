"""facts.kernel: {release, arch}: "6.1.0-18-amd64", "x86_64"."""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Facts


def gather(host: "Host", known: "Facts") -> "Dict[str, str]":
    name = os.uname()
    return {"release": name.release, "arch": name.machine}
