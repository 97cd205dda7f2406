"""Real servers for the tests: one PostgreSQL a session, a fresh migrated database and broker a test.

SWEPT_TEST_STORE_URL names another server (TimescaleDB, say) whose user may create databases.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from storage.migrate import migrate
from streams import kafka_topics
from streams.kafka_url import parse as kafka_address
from swept import kafka_server, mosquitto_server
from swept.embedded_broker import EmbeddedBroker
from swept.embedded_postgres import EmbeddedPostgres
from swept.kafka_server import KafkaServer
from swept.kernel_cache import use_own_cache
from swept.mosquitto_server import MosquittoServer

use_own_cache()


def on_database(url: str, database: str) -> str:
    """The same server's URL with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this session's own; a test may kill it, it comes back."""
    # Not pytest's tmp_path: as root that is closed to the user whom PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="swept-test-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        yield server
    finally:
        server.destroy()
        folder.rmdir()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The server on which tests make their databases."""
    given = os.environ.get("SWEPT_TEST_STORE_URL")
    if given:
        return given
    postgres: EmbeddedPostgres = request.getfixturevalue("postgres")
    return postgres.url


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of a migrated, empty database that others are copied from."""
    name = f"swept_template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(on_database(server_url, name), autocommit=True) as connection:
        migrate(connection)
    yield name
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_store_url(server_url: str) -> Iterator[str]:
    """A fresh database without any migration."""
    with _database(server_url, "template0") as url:
        yield url


@pytest.fixture
def store_url(server_url: str, template: str) -> Iterator[str]:
    """A fresh, migrated database of this test's own."""
    with _database(server_url, template) as url:
        yield url


@pytest.fixture
def connection(store_url: str) -> Iterator[psycopg.Connection]:
    """A connection in autocommit to this test's database."""
    with psycopg.connect(store_url, autocommit=True) as opened:
        yield opened


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """A broker of this test's own on a free port."""
    with EmbeddedBroker() as started:
        yield started


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka of this session's own: a test takes topics of its own, and calls `ensure` if it killed it."""
    if lacking := kafka_server.missing():
        pytest.skip(lacking)
    with KafkaServer(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.fixture
def kafka_url(kafka: KafkaServer) -> str:
    """A log of this test's own on the session's Kafka: four partitions, their topics made."""
    url = f"{kafka.url}/t{uuid.uuid4().hex[:12]}?partitions=4"
    kafka_topics.make(kafka_address(url))
    return url


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoServer]:
    """A Mosquitto of this test's own on a free port."""
    if lacking := mosquitto_server.missing():
        pytest.skip(lacking)
    with MosquittoServer(tmp_path / "mosquitto") as started:
        yield started


@contextmanager
def _database(server_url: str, template: str) -> Iterator[str]:
    name = f"swept_test_{uuid.uuid4().hex[:12]}"
    make = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(make)
    try:
        yield on_database(server_url, name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
