"""For all tests: generated tests are judged by what they find, not by how fast this machine is today; how workers share."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings
from sharing_out import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401  hooks

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `tests.postgresql`, however pytest was started

from tests.postgresql.plugin import postgresql, postgresql_url, store_url  # noqa: F401  fixtures

settings.register_profile("statectl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("statectl")
