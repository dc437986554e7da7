"""facts.cpu: {count}: processors that are online."""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

import os


def gather(host, known):
    return {"count": os.sysconf("SC_NPROCESSORS_ONLN")}
