"""Records in Kafka's topic that ingest didn't write: they become dead letters, and nothing stands still."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg
from kafka import KafkaProducer

from processing.pipeline import Core
from storage.queries.dead_letters import dead_letters
from streams import kafka_url as address
from streams.kafka_log import KafkaLog
from streams.kafka_reader import HEADER, RECEIVED
from streams.log import partition_of
from streams.worker import Worker
from tests.integration.small_world import START_US, district, drive, messages

GARBAGE: tuple[dict[str, Any], ...] = (
    {"value": b"garbage"},
    {"value": None, "key": b"u1"},
    {"value": b"garbage", "key": b"u1", "headers": [("e", b"short")]},
    {"value": b"garbage", "key": b"u1", "headers": [("e", RECEIVED.pack(START_US) + b"\xff\xfe")]},
    {"value": b"garbage", "key": b"\xff", "headers": [(HEADER, RECEIVED.pack(START_US) + b"t")]},
    {"value": b"garbage", "key": b"u1", "headers": [("x", RECEIVED.pack(START_US) + b"t")]},
    {"value": b"garbage", "key": b"u1", "headers": [("e", b""), ("e", b"")]},
)


def test_records_of_others_become_dead_letters_and_hold_nobody_up(kafka_url: str, store_url: str) -> None:
    where = address.parse(kafka_url)
    with closing(KafkaLog(kafka_url)) as log:
        producer = KafkaProducer(**address.client(where, "stranger"))
        partition = partition_of("u1", log.partitions)
        for one in GARBAGE:
            producer.send(where.records, partition=partition, timestamp_ms=START_US // 1_000, **one)
        producer.flush()
        producer.close()
        log.append(messages("u1", drive(START_US, ((0, 0), (0, 300)))))
        worker = Worker(store_url, log, Core(district()), "rules-1")
        worker.drain()
        worker.close()
    with psycopg.connect(store_url, autocommit=True) as connection:
        letters, _ = dead_letters(connection, 100)
        assert [one.payload for one in letters].count(b"garbage") == len(GARBAGE) - 1
        assert len(letters) == len(GARBAGE)
        assert connection.execute("SELECT count(*) FROM pass").fetchone() != (0,)
