"""For all tests: generated tests are judged by what they find, not by how fast this machine is today; how workers share."""

from hypothesis import HealthCheck, settings
from sharing_out import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401  hooks

settings.register_profile("statectl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("statectl")
