"""The golden year on TimescaleDB: every question has the slow count's answer there too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import tests.golden.test_golden_record as on_postgres
from storage.migrate import migrate
from tests.golden import answers, store
from tests.timescale.conftest import _database


@pytest.fixture(scope="module")
def recorded(timescale_server_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A store that holds the year."""
    with _database(timescale_server_url) as url, psycopg.connect(url, autocommit=True) as connection:
        migrate(connection)
        store.fill(connection, answers.golden(), answers.late())
        yield connection


globals().update({name: test for name, test in vars(on_postgres).items() if name.startswith("test_")})
