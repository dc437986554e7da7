"""facts.kernel: {release, arch}: "6.1.0-18-amd64", "x86_64"."""
# ruff: noqa: ARG001  the signature of gather is the contract of all topics

import os


def gather(host, known):
    name = os.uname()
    return {"release": name.release, "arch": name.machine}
