"""From settings to the real thing: which store, which log, which broker.

Where a URL is given, that is used. Where none is, the embedded servers under SWEPT_HOME are: those of a
swept that already runs there are joined, else they are started as our children and end with us.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from pydantic import SecretStr

from storage.migrate import SchemaError, migrate, pending
from swept.embedded_broker import EmbeddedBroker
from swept.embedded_postgres import EmbeddedPostgres
from swept.errors import UserError
from swept.settings import Settings
from swept.supervisor import Adopted, Supervisor, running

if TYPE_CHECKING:
    from streams.log import Log

CONNECT_S_MAX = 10
MQTT_PORT = 1883


@dataclass(frozen=True, slots=True)
class Services:
    """Where the store and the broker are; `how` says for a person who runs them. URLs have no repr."""

    store_url: str = field(repr=False)
    mqtt_url: str = field(repr=False)
    how: str
    log_url: str | None = field(default=None, repr=False)


@contextmanager
def services(settings: Settings) -> Iterator[Services]:
    """The store and the broker of this process's settings, running for as long as the context does."""
    store_url, mqtt_url, log_url = map(_plain, (settings.store_url, settings.mqtt_url, settings.log_url))
    if store_url and mqtt_url:
        yield Services(store_url, mqtt_url, "as the environment says", log_url)
        return
    found = running(settings.home)
    if found is not None and "store_url" in found:
        how = f"joined those of process {found['pid']} in {settings.home}"
        yield Services(store_url or found["store_url"], mqtt_url or found["mqtt_url"], how, log_url)
        return
    with embedded(settings.home) as (own_store_url, own_mqtt_url, _):
        how = f"embedded, started in {settings.home}"
        yield Services(store_url or own_store_url, mqtt_url or own_mqtt_url, how, log_url)


@contextmanager
def embedded(home: Path, mqtt_port: int | None = None) -> Iterator[tuple[str, str, Supervisor]]:
    """Store, broker and a supervisor of more, all in one folder; others can join by its runtime.json."""
    make_home(home)
    port = mqtt_port if mqtt_port is not None else MQTT_PORT if _is_free(MQTT_PORT) else 0
    with (
        EmbeddedPostgres(home / "postgres") as postgres,
        EmbeddedBroker(port, _warn) as broker,
        Supervisor(home) as supervisor,
    ):
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            apply_migrations(connection)
        supervisor.adopt(Adopted("store", lambda: postgres.pid))
        supervisor.adopt(Adopted("broker", lambda: broker.pid, broker.ensure))
        supervisor.say(store_url=postgres.url, mqtt_url=broker.url)
        yield postgres.url, broker.url, supervisor


@contextmanager
def store_connection(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection, in autocommit, to a store that has all migrations."""
    with contextlib.ExitStack() as stack:
        store_url = _plain(settings.store_url) or stack.enter_context(services(settings)).store_url
        connection = stack.enter_context(connect(store_url))
        with _schema_errors():
            missing = pending(connection)
        if missing:
            raise UserError(f"the store lacks {', '.join(missing)}; run swept migrate first.")
        yield connection


def connect(store_url: str) -> psycopg.Connection[Any]:
    """A connection in autocommit, or the user's error that the store can't be reached."""
    try:
        return psycopg.connect(store_url, autocommit=True, connect_timeout=CONNECT_S_MAX)
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(
            f"the store can't be reached ({reason}); start it, or correct SWEPT_STORE_URL."
        ) from None


def apply_migrations(connection: psycopg.Connection[Any]) -> list[str]:
    """Apply what is missing; the labels of what was applied."""
    from processing.district_files import parse_district
    from storage.district import complete

    with _schema_errors():
        applied = migrate(connection)
    if applied:
        complete(connection, parse_district)
    return applied


def open_log(where: Services) -> Log:
    """The log that the URLs name: a table in the store, or Kafka once that is there."""
    from streams.table_log import TableLog

    if where.log_url is not None:
        raise UserError("Kafka isn't there yet; unset SWEPT_LOG_URL and the log is a table in the store.")
    return TableLog(where.store_url)


def broker_url(settings: Settings) -> str:
    """The broker to play devices against: one that is running, since nobody would listen to our own."""
    given = _plain(settings.mqtt_url)
    found = running(settings.home)
    if given is not None:
        return given
    if found is None or "mqtt_url" not in found:
        raise UserError(f"nothing runs in {settings.home}; start swept ingest first, or set SWEPT_MQTT_URL.")
    return str(found["mqtt_url"])


def _plain(url: SecretStr | None) -> str | None:
    return None if url is None else url.get_secret_value()


@contextmanager
def _schema_errors() -> Iterator[None]:
    try:
        yield
    except SchemaError as error:
        raise UserError(f"{error}.") from None


def make_home(home: Path) -> None:
    """Make the folder of the embedded servers, or raise the user's error that it can't be one."""
    try:
        (home / "postgres").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{home} can't be the folder of the embedded servers ({error.strerror}); set SWEPT_HOME to one that "
            "you may write to."
        ) from None


def _warn(line: str) -> None:
    print(f"swept: {line}", file=sys.stderr, flush=True)


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
        return False
    return True
