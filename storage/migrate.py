"""Migrations: numbered SQL files in storage/schema, each applied once, in order, in its own transaction.

What was applied is kept with its SHA-256. An applied file that has changed since, or a database that has
more migrations than this release, is refused: going on would mean guessing what the tables look like.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

import psycopg

LOCK = 0x5357_4D49
"""Advisory lock of whoever migrates; any number that nothing else uses."""

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class SchemaError(Exception):
    """The database and this release of swept don't fit; the message says how."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of storage/schema."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of the file's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def label(self) -> str:
        """Number and name, as the file is called."""
        return f"{self.version:04}_{self.name}"


def migrations() -> list[Migration]:
    """All migrations of this release, in order."""
    found = []
    for file in resources.files("storage").joinpath("schema").iterdir():
        match = _NAME.fullmatch(file.name)
        if match is not None:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    versions = [migration.version for migration in found]
    if len(set(versions)) != len(versions):
        raise SchemaError(f"two files in storage/schema have one number: {versions}")
    return found


def migrate(connection: psycopg.Connection) -> list[str]:
    """Apply what is missing; the labels of what was applied. The connection must be in no transaction."""
    applied: list[str] = []
    while True:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migration (version integer PRIMARY KEY,"
                " name text NOT NULL, sha256 text NOT NULL,"
                " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
            )
            missing = _missing(connection)
            if not missing:
                return applied
            first = missing[0]
            # Without parameters psycopg sends a file of many statements as one.
            connection.execute(first.sql)
            connection.execute(
                "INSERT INTO schema_migration (version, name, sha256) VALUES (%s, %s, %s)",
                [first.version, first.name, first.sha256],
            )
            applied.append(first.label)


def pending(connection: psycopg.Connection) -> list[str]:
    """The labels of what `migrate` would apply; changes nothing, raises as `migrate` does."""
    with connection.transaction():
        exists = connection.execute("SELECT to_regclass('schema_migration') IS NOT NULL").fetchone()
        if exists is None or not exists[0]:
            return [migration.label for migration in migrations()]
        return [migration.label for migration in _missing(connection)]


def _missing(connection: psycopg.Connection) -> list[Migration]:
    rows = connection.execute(
        "SELECT version, name, sha256 FROM schema_migration ORDER BY version"
    ).fetchall()
    known = {migration.version: migration for migration in migrations()}
    for version, name, sha256 in rows:
        migration = known.get(version)
        if migration is None:
            raise SchemaError(
                f"the database has migration {version:04}_{name}, which this release of swept doesn't know; "
                "use the release that made it, or a newer one"
            )
        if migration.sha256 != sha256:
            raise SchemaError(
                f"migration {migration.label} was changed after it was applied to this database; "
                "restore the file and put the change into a new migration"
            )
    applied = {row[0] for row in rows}
    return [migration for migration in known.values() if migration.version not in applied]
