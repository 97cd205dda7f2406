"""Messages that the log can't hold as they are: nobody's reports wait for them, and their bytes are kept."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import psycopg
import pytest

from ingest.append import append
from ingest.envelope import bounded
from processing.pipeline import Core
from streams.log import Envelope, LogUnavailable
from streams.table_log import TableLog
from streams.worker import Worker
from swept.embedded_broker import EmbeddedBroker
from tests.integration.small_world import district
from tests.integration.test_ingest import (
    WAIT_S,
    device,
    eventually,
    fix,
    last_ack,
    records,
    send_until_acknowledged,
    start_ingest,
)

LONG = ("x" * 65, *("".join(random.Random(n).choices(string.ascii_letters, k=n)) for n in (4_000, 20_000)))


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def dead_letters(store_url: str, connection: psycopg.Connection) -> set[tuple[str, str, bytes]]:
    """Reason, topic and bytes of what a worker makes dead letters of."""
    with closing(TableLog(store_url)) as log:
        worker = Worker(store_url, log, Core(replace(district(), district_id="d")), "rules")
        worker.drain()
        worker.close()
    return set(connection.execute("SELECT reason, mqtt_topic, payload FROM dead_letter").fetchall())


def refuse(connection: psycopg.Connection, table: str, what: str) -> None:
    """Let the database refuse what it otherwise would take; there is no telling what a next one refuses."""
    connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT poison CHECK (NOT ({what}))")


def test_a_unit_with_too_long_a_name_stops_nobody_hears_nothing_and_is_a_dead_letter(
    running: ExitStack, broker: EmbeddedBroker, store_url: str, connection: psycopg.Connection
) -> None:
    start_ingest(running, broker, store_url)
    one = device(running, broker)
    send_until_acknowledged(one, 0)
    for unit in LONG:
        one.send(f"swept/v1/d/{unit}/fix", fix(1))
    one.send("swept/v1/d/u/fix", fix(1))
    assert eventually(lambda: last_ack(one) == 1)
    assert connection.execute("SELECT key, seq FROM device_ack").fetchall() == [("u", 1)]
    topics = {bounded(f"swept/v1/d/{unit}/fix") for unit in LONG}
    kept = {record.envelope.mqtt_topic for record in records(store_url) if record.envelope.key == ""}
    assert kept == topics
    assert {("unknown_unit", topic, fix(1)) for topic in topics} <= dead_letters(store_url, connection)


def test_a_message_that_the_log_refuses_becomes_a_dead_letter_and_what_came_with_it_is_acknowledged(
    running: ExitStack, broker: EmbeddedBroker, store_url: str, connection: psycopg.Connection
) -> None:
    refuse(connection, "log_record", "mqtt_topic LIKE 'swept/%' AND position('poison'::bytea in payload) > 0")
    process = start_ingest(running, broker, store_url)
    one = device(running, broker)
    send_until_acknowledged(one, 0)
    poison = b'{"lon":"poison","seq":150}'
    for seq in range(1, 300):
        one.send("swept/v1/d/u/fix", poison if seq == 150 else fix(seq))
    assert eventually(lambda: last_ack(one) == 299)
    refused = ("bad_topic", "refused/swept/v1/d/u/fix", poison)
    letters = dead_letters(store_url, connection)
    assert [letter for letter in letters if letter[0] == "bad_topic"] == [refused]
    assert {payload for _, _, payload in letters} == {poison, *map(fix, set(range(300)) - {150})}
    process.terminate()
    said, _ = process.communicate(timeout=WAIT_S)
    assert b"1 messages become dead letters" in said
    assert b", 1 refused by the log" in said


def test_halves_keep_the_order_and_acks_that_are_refused_are_named(
    store_url: str, connection: psycopg.Connection
) -> None:
    refuse(connection, "log_record", "key = 'u' AND received_us IN (0, 7, 8, 19)")
    refuse(connection, "device_ack", "key = 'v'")
    with closing(TableLog(store_url)) as log:
        envelopes = [Envelope("u", "swept/v1/d/u/fix", b"%d" % n, n) for n in range(20)]
        done = append(log, envelopes, {"u": 19, "v": 3, "w": 4})
        assert done.records == 4
        assert done.acks == {"v"}
        assert "poison" in done.why
        assert log.acks(["u", "v", "w"]) == {"u": 19, "w": 4}
        found = [record.envelope for record in records(store_url)]
    assert [e.received_us for e in found if e.key == "u"] == sorted(set(range(20)) - {0, 7, 8, 19})
    aside = [(e.mqtt_topic, e.payload) for e in found if e.key == ""]
    assert aside == [("refused/swept/v1/d/u/fix", b"%d" % n) for n in (0, 7, 8, 19)]


def test_where_the_log_refuses_everything_nothing_is_acknowledged(
    store_url: str, connection: psycopg.Connection
) -> None:
    refuse(connection, "log_record", "true")
    with closing(TableLog(store_url)) as log:
        with pytest.raises(LogUnavailable, match="and so of every record"):
            append(log, [Envelope("u", "t", b"%d" % n, n) for n in range(20)], {"u": 1})
        assert log.acks(["u"]) == {}
        assert sum(log.ends().values()) == 0


@pytest.mark.parametrize("topic", ["a\0b", "swept/v1/d/\ud800/fix", "车" * 30_000])
def test_a_topic_that_is_no_text_is_kept_readable_with_its_payload(store_url: str, topic: str) -> None:
    with closing(TableLog(store_url)) as log:
        done = append(log, [Envelope(topic, topic, b"\0\xff", 1)], {})
        kept = records(store_url)[0].envelope
        assert kept.payload == b"\0\xff"
        assert done.records == (0 if "车" in topic else 1)
