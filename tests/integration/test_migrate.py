from __future__ import annotations

import threading

import psycopg
import pytest

from storage.migrate import SchemaError, migrate, migrations, pending


@pytest.fixture
def empty(empty_store_url: str) -> psycopg.Connection:
    return psycopg.connect(empty_store_url, autocommit=True)


def test_an_empty_database_gets_every_migration_once(empty: psycopg.Connection) -> None:
    with empty:
        labels = [migration.label for migration in migrations()]
        assert pending(empty) == labels
        assert migrate(empty) == labels
        assert migrate(empty) == []
        assert pending(empty) == []


def test_two_that_migrate_at_once_apply_each_migration_once(empty_store_url: str) -> None:
    applied: list[str] = []

    def run() -> None:
        with psycopg.connect(empty_store_url, autocommit=True) as connection:
            applied.extend(migrate(connection))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == [migration.label for migration in migrations()]


def test_a_file_that_changed_after_it_was_applied_is_refused(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE schema_migration SET sha256 = 'other' WHERE version = 1")
    with pytest.raises(SchemaError, match="0001_log was changed"):
        migrate(connection)
    with pytest.raises(SchemaError, match="0001_log was changed"):
        pending(connection)


def test_a_database_that_is_ahead_is_refused(connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO schema_migration (version, name, sha256) VALUES (9999, 'later', 'x')")
    with pytest.raises(SchemaError, match="9999_later"):
        migrate(connection)
