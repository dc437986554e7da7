"""facts.python: {version, executable}: the interpreter that statectl runs on there."""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

import sys


def gather(host, known):
    return {"version": "%d.%d.%d" % sys.version_info[:3], "executable": sys.executable or ""}
