"""TimescaleDB for the tests: the one in WASM from npm, or the server that SWEPT_TEST_TIMESCALE_URL names.

On a server of yours each test makes a database of its own, so its user must be allowed to.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from storage.migrate import migrate
from tests.timescale.wasm import Missing, wasm_server


@pytest.fixture(scope="session")
def timescale_server_url() -> Iterator[str]:
    """A server with the extension TimescaleDB."""
    given = os.environ.get("SWEPT_TEST_TIMESCALE_URL")
    if given:
        yield given
        return
    try:
        with wasm_server() as url:
            yield url
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def empty_timescale_url(timescale_server_url: str) -> Iterator[str]:
    """A fresh database without any table of ours, where the extension can be made."""
    with _database(timescale_server_url) as url:
        yield url


@pytest.fixture
def store_url(empty_timescale_url: str) -> str:
    """A fresh, migrated database; the same name as on PostgreSQL, so that a test can run on both."""
    with psycopg.connect(empty_timescale_url, autocommit=True) as connection:
        migrate(connection)
    return empty_timescale_url


@contextmanager
def _database(server_url: str) -> Iterator[str]:
    name = f"swept_test_{uuid.uuid4().hex[:12]}"
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    if not os.environ.get("SWEPT_TEST_TIMESCALE_URL"):
        yield url  # the one in WASM makes a database when it is asked for
        return
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield url
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
