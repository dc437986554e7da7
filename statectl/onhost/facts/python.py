"""facts.python: {version, executable}: the interpreter that statectl runs on there."""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from statectl.onhost.host import Host
    from statectl.onhost.shapes import Facts


def gather(host: "Host", known: "Facts") -> "Dict[str, str]":
    return {"version": "%d.%d.%d" % sys.version_info[:3], "executable": sys.executable or ""}
