"""From settings to the real thing: which store, which log, which broker.

Where a URL is given, that is used. Where none is, the embedded servers under SWEPT_HOME are: those of a
swept that already runs there are joined, else they are started as our children and end with us.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import psycopg
from pydantic import SecretStr

from storage.migrate import SchemaError, migrate, pending
from swept.child_server import accepts
from swept.embedded_broker import EmbeddedBroker
from swept.embedded_postgres import EmbeddedPostgres
from swept.errors import UserError
from swept.kafka_server import KafkaServer
from swept.mosquitto_server import MosquittoServer
from swept.settings import Settings
from swept.supervisor import Adopted, Supervisor, running

if TYPE_CHECKING:
    from streams.log import Log

CONNECT_S_MAX = 10
MQTT_PORT, KAFKA_PORT = 1883, 9092


@dataclass(frozen=True, slots=True)
class Services:
    """Where store, broker and log are; `how` says for a person who runs them. URLs have no repr."""

    store_url: str = field(repr=False)
    mqtt_url: str = field(repr=False)
    how: str
    log_url: str | None = field(default=None, repr=False)

    @property
    def lines(self) -> tuple[str, ...]:
        """Where each is, for a person: without passwords."""
        log = "a table in the store" if self.log_url is None else shown(self.log_url)
        return f"broker  {shown(self.mqtt_url)}", f"store   {shown(self.store_url)}", f"log     {log}"


@contextmanager
def services(settings: Settings, *, store: bool = True) -> Iterator[Services]:
    """The store and the broker of this process's settings, running for as long as the context does.

    Without `store` and with a broker and a log elsewhere none is looked for, and its URL is empty.
    """
    store_url, mqtt_url, log_url = map(_plain, (settings.store_url, settings.mqtt_url, settings.log_url))
    if not store and mqtt_url and log_url:
        yield Services(store_url or "", mqtt_url, "as the environment says", log_url)
        return
    found = running(settings.home)
    if found is not None and (store_url is None or shown(store_url) == found.get("store")):
        how = f"joined those of process {found['pid']} in {settings.home}"
        joined = store_url or _found(found, "store_url"), mqtt_url or _found(found, "mqtt_url")
        yield Services(*joined, how, log_url or found.get("log_url"))
    elif store_url and mqtt_url:
        yield Services(store_url, mqtt_url, "as the environment says", log_url)
    else:
        with servers(settings) as (where, _):
            yield where


def _found(found: dict[str, Any], name: str) -> str:
    if name not in found:
        setting = f"SWEPT_{name.upper()}"
        raise UserError(f"process {found['pid']}, which runs here, was given {setting}; set it to the same.")
    return str(found[name])


@contextmanager
def servers(
    settings: Settings, *, full: bool = False, mqtt_port: int | None = None
) -> Iterator[tuple[Services, Supervisor]]:
    """Servers for those URLs that the settings don't give, and a supervisor of more.

    They live in one folder, SWEPT_HOME, and others can join by its runtime.json, which names our own only: a URL
    that was given may hold a password.
    """
    home = settings.home
    make_home(home)
    store_url, mqtt_url, log_url = map(_plain, (settings.store_url, settings.mqtt_url, settings.log_url))
    own: dict[str, str] = {}
    adopted: list[Adopted] = []
    with contextlib.ExitStack() as stack:
        if store_url is None:
            postgres = stack.enter_context(EmbeddedPostgres(home / "postgres"))
            store_url = own["store_url"] = postgres.url
            adopted.append(Adopted("store", lambda: postgres.pid))
            with psycopg.connect(store_url, autocommit=True) as connection:
                apply_migrations(connection)
        if mqtt_url is None:
            port = mqtt_port if mqtt_port is not None else _or_any(MQTT_PORT)
            broker: MosquittoServer | EmbeddedBroker
            broker = MosquittoServer(home / "mosquitto", port) if full else EmbeddedBroker(port, _warn)
            stack.enter_context(broker)
            mqtt_url = own["mqtt_url"] = broker.url
            adopted.append(Adopted("broker", lambda: broker.pid, broker.ensure))
        if log_url is None and full:
            kafka = stack.enter_context(KafkaServer(home / "kafka", _or_any(KAFKA_PORT)))
            log_url = own["log_url"] = kafka.url
            adopted.append(Adopted("kafka", lambda: kafka.pid, kafka.ensure))
        supervisor = stack.enter_context(Supervisor(home))
        for one in adopted:
            supervisor.adopt(one)
        supervisor.say(store=shown(store_url), **own)
        yield Services(store_url, mqtt_url, f"embedded, started in {home}", log_url), supervisor


@contextmanager
def embedded(home: Path, mqtt_port: int | None = None) -> Iterator[tuple[str, str, Supervisor]]:
    """Store, broker and a supervisor of more, all in one folder; others can join by its runtime.json."""
    with servers(Settings(home=home), mqtt_port=mqtt_port) as (where, supervisor):
        yield where.store_url, where.mqtt_url, supervisor


def shown(url: str) -> str:
    """A URL as a person may see it: without user, password and options."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2] or "".join(parse_qs(parts.query).get("host", []))
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


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


def open_log(where: Services, group: str | None = None, bytes_max: int | None = None) -> Log:
    """The log that the URLs name, a table in the store or Kafka; there as a member of a group, if one is named.

    Who appends says how many bytes it may hold.
    """
    if where.log_url is None:
        from streams.table_log import TableLog

        return TableLog(where.store_url, bytes_max=bytes_max)
    from streams.kafka_log import KafkaLog
    from streams.kafka_topics import TopicsWrong

    try:
        return KafkaLog(where.log_url, group, bytes_max=bytes_max)
    except TopicsWrong as wrong:
        raise UserError(f"Kafka isn't ready: {wrong}; run swept migrate.") from None


def reachable_log(where: Services, group: str | None = None) -> Log:
    """The same; a log that is away is the user's to start."""
    from streams.log import LogUnavailable

    try:
        return open_log(where, group)
    except LogUnavailable as error:
        raise UserError(f"{error}; start it, or correct SWEPT_LOG_URL.") from None


def log_elsewhere(settings: Settings) -> Log | None:
    """The log where it isn't in the store's tables: that of the settings, else of the swept that runs here."""
    log_url = _plain(settings.log_url) or (running(settings.home) or {}).get("log_url")
    return None if log_url is None else reachable_log(Services("", "", "", log_url))


def make_topics(log_url: str, *, check: bool) -> list[str]:
    """Make or correct a Kafka log's topics, or only check them; what was done, or what is wrong."""
    from streams import kafka_topics
    from streams.kafka_url import parse
    from streams.log import LogUnavailable

    address = parse(log_url)
    try:
        if not check:
            return kafka_topics.make(address)
        with contextlib.closing(kafka_topics.admin(address)) as opened:
            return kafka_topics.problems(opened, address)
    except LogUnavailable as error:
        raise UserError(f"{error}; start it, or correct SWEPT_LOG_URL.") from None
    except kafka_topics.TopicsWrong as wrong:
        raise UserError(
            f"{wrong}; correct SWEPT_LOG_URL, or name a new log in it, since this can't be changed."
        ) from None


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


def _or_any(port: int) -> int:
    """This port where it is free, else 0."""
    return 0 if accepts(port) else port
