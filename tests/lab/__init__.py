"""Real hosts on one machine: Debian systems booted by systemd-nspawn, each with its own network namespace, systemd and sshd.

`python -m tests.lab up 3` starts some and prints an inventory; tests use the fixtures of tests/hosts/conftest.py. What
it needs, makes and leaves behind stands in docs/lab.md.
"""

from tests.lab.bases import OPERATOR_PASSWORD, SUITES
from tests.lab.lab import Lab, missing_requirements
from tests.lab.machine import LabHost, Ran
from tests.lab.pool import HostPool

__all__ = ["OPERATOR_PASSWORD", "SUITES", "HostPool", "Lab", "LabHost", "Ran", "missing_requirements"]
