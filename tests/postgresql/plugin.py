"""Fixtures: `postgresql`, one server for all tests of a process, and `store_url`, an empty store on each kind of database."""

import itertools
from collections.abc import Iterator

import pytest

from tests.postgresql.server import Server, missing

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    lacking = missing()
    if lacking:
        pytest.skip(f"NO POSTGRESQL: {lacking}")
    with Server() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: Server) -> str:
    """The address of an empty store of this test alone."""
    schema = f"test_{next(_NUMBERS)}"
    postgresql.psql(f"CREATE SCHEMA {schema}")
    return postgresql.url(schema=schema)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A path of SQLite is relative to the directory that the test opens the store in."""
    return "sqlite:state.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
