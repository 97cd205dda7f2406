"""Migrations: numbered SQL files, each applied once, in order, in its own transaction.

Those of storage/schema make the same tables everywhere. Where the server has TimescaleDB, those of
storage/schema/timescale follow and make them hypertables (storage/timescale.py says whether it has).
What was applied is kept with its SHA-256. An applied file that has changed since, or a database that has
more migrations than this release, is refused: going on would mean guessing what the tables look like.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

import psycopg

from storage import timescale

LOCK = 0x5357_4D49
"""Advisory lock of whoever migrates; any number that nothing else uses."""

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class SchemaError(Exception):
    """The database and this release of swept don't fit; the message says how."""


@dataclass(frozen=True, slots=True)
class Series:
    """A folder of migrations, what their labels begin with, and the table of what was applied."""

    folder: str
    prefix: str
    table: str


PLAIN = Series("schema", "", "schema_migration")
TIMESCALE = Series("schema/timescale", "timescale/", "timescale_migration")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of a series."""

    version: int
    name: str
    sql: str
    prefix: str = ""

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of the file's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def label(self) -> str:
        """Number and name, as the file is called; of TimescaleDB's own, with their folder."""
        return f"{self.prefix}{self.version:04}_{self.name}"


def migrations(series: Series = PLAIN) -> list[Migration]:
    """All migrations of this release, in order."""
    found = []
    for file in resources.files("storage").joinpath(series.folder).iterdir():
        match = _NAME.fullmatch(file.name)
        if match is not None:
            text = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), match[2], text, series.prefix))
    found.sort(key=lambda migration: migration.version)
    versions = [migration.version for migration in found]
    if len(set(versions)) != len(versions):
        raise SchemaError(f"two files in storage/{series.folder} have one number: {versions}")
    return found


def migrate(connection: psycopg.Connection) -> list[str]:
    """Apply what is missing; the labels of what was applied. The connection must be in no transaction."""
    applied = _apply(connection, PLAIN)
    if timescale.ensure(connection):
        applied += _apply(connection, TIMESCALE)
    return applied


def _apply(connection: psycopg.Connection, series: Series) -> list[str]:
    applied: list[str] = []
    while True:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {series.table} (version integer PRIMARY KEY,"
                " name text NOT NULL, sha256 text NOT NULL,"
                " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())".encode()
            )
            missing = _missing(connection, series)
            if not missing:
                return applied
            first = missing[0]
            # Without parameters psycopg sends a file of many statements as one.
            connection.execute(first.sql)
            connection.execute(
                f"INSERT INTO {series.table} (version, name, sha256) VALUES (%s, %s, %s)".encode(),  # noqa: S608
                [first.version, first.name, first.sha256],
            )
            applied.append(first.label)


def pending(connection: psycopg.Connection) -> list[str]:
    """The labels of what `migrate` would apply; changes nothing, raises as `migrate` does."""
    wanted = [PLAIN, TIMESCALE] if timescale.found(connection).usable else [PLAIN]
    with connection.transaction():
        return [one.label for series in wanted for one in _missing(connection, series)]


def _missing(connection: psycopg.Connection, series: Series) -> list[Migration]:
    known = {migration.version: migration for migration in migrations(series)}
    exists = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [series.table]).fetchone()
    if exists is None or not exists[0]:
        return list(known.values())
    rows = connection.execute(
        f"SELECT version, name, sha256 FROM {series.table} ORDER BY version".encode()  # noqa: S608
    ).fetchall()
    for version, name, sha256 in rows:
        migration = known.get(version)
        if migration is None:
            raise SchemaError(
                f"the database has migration {series.prefix}{version:04}_{name}, which this release of swept doesn't know; "
                "use the release that made it, or a newer one"
            )
        if migration.sha256 != sha256:
            raise SchemaError(
                f"migration {migration.label} was changed after it was applied to this database; "
                "restore the file and put the change into a new migration"
            )
    applied = {row[0] for row in rows}
    return [migration for migration in known.values() if migration.version not in applied]
