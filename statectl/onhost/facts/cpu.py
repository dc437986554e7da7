"""facts.cpu: {count}: processors that are online."""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Facts


def gather(host: "Host", known: "Facts") -> "Dict[str, int]":
    return {"count": os.sysconf("SC_NPROCESSORS_ONLN")}
