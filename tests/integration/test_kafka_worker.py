"""Workers on a Kafka log: the store's positions, the group's shares, and packing by copy and trim."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from storage import positions, raw_packs
from storage.log_table import Place
from streams import packing, raw
from streams.checkpoint import Fenced
from streams.kafka_log import KafkaLog
from streams.lag import lag
from streams.log import Envelope, LogTrimmed, Record, partition_of
from streams.worker import Bounds, Worker
from tests.integration.small_world import clear, close_logs, core, log_of, results
from tests.integration.test_worker import shift, work

KEYS = [key for key in (f"u{n}" for n in range(40)) if partition_of(key, 4) == 1][:3]
Open = Callable[..., KafkaLog]


@pytest.fixture
def opened(kafka_url: str) -> Iterator[Open]:
    with contextlib.ExitStack() as stack:

        def make(group: str | None = None) -> KafkaLog:
            return stack.enter_context(contextlib.closing(KafkaLog(kafka_url, group)))

        yield make


@pytest.fixture
def expected(store_url: str) -> dict[str, list[tuple[object, ...]]]:
    """What the table log's worker stores of the same messages."""
    work(store_url, log_of(store_url, shift()))
    close_logs()
    found = results(store_url)
    clear(store_url)
    return found


def worker_of(store_url: str, log: KafkaLog, records_max: int = 8, **options: Any) -> Worker:
    return Worker(store_url, log, core(), "rules-1", bounds=Bounds(records_max=records_max), **options)


def test_a_shift_gives_the_same_rows_as_from_the_table(
    store_url: str,
    opened: Open,
    expected: dict[str, list[tuple[object, ...]]],
    connection: psycopg.Connection,
) -> None:
    log = opened()
    log.append(shift())
    assert sum(lag(connection, log).values()) == len(shift())
    worker = worker_of(store_url, log)
    worker.drain()
    worker.close()
    assert results(store_url) == expected
    assert lag(connection, log) == dict.fromkeys(range(4), 0)


def test_members_that_come_and_go_give_the_same_rows(
    store_url: str,
    opened: Open,
    expected: dict[str, list[tuple[object, ...]]],
    connection: psycopg.Connection,
) -> None:
    log = opened()
    stops = [threading.Event() for _ in range(3)]
    workers = [worker_of(store_url, opened("g"), 4) for _ in stops]
    threads = [
        threading.Thread(target=worker.run, args=[stop.is_set, 0.1])
        for worker, stop in zip(workers, stops, strict=True)
    ]
    deadline_s = time.monotonic() + 120.0
    messages = shift()
    threads[0].start()
    for number in range(0, len(messages), 20):
        log.append(messages[number : number + 20])
        if number == 40:
            threads[1].start()
        if number == 80:
            threads[2].start()
            stops[0].set()
    while any(lag(connection, log).values()):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    for stop in stops:
        stop.set()
    for thread, worker in zip(threads, workers, strict=True):
        thread.join()
        worker.close()
    assert results(store_url) == expected


def test_a_zombie_that_goes_on_with_a_lost_partition_is_fenced_and_counts_nothing(
    store_url: str, opened: Open, expected: dict[str, list[tuple[object, ...]]]
) -> None:
    log = opened()
    log.append(shift())
    other = worker_of(store_url, opened(), 10_000)

    def overtaken(step: str) -> None:
        if step == "decode" and other.counts.batches == 0:
            other.step()

    zombie = worker_of(store_url, log, on_step=overtaken)
    with pytest.raises(Fenced):
        zombie.step()
    assert zombie.counts.records == 0
    other.drain()
    zombie.drain()
    assert results(store_url) == expected
    for worker in (zombie, other):
        worker.close()


def test_a_position_that_was_put_back_is_where_the_worker_goes_on(
    store_url: str, opened: Open, connection: psycopg.Connection
) -> None:
    log = opened("g")
    log.append(shift())
    worker = worker_of(store_url, log, 10_000)
    while any(lag(connection, log).values()):
        worker.step()
        log.wait(0.1)
    worker.close()
    log.close()
    clear(store_url)
    again = worker_of(store_url, opened("g"), 10_000)
    while any(lag(connection, log).values()):
        again.step()
        time.sleep(0.05)
    assert again.counts.records == len(shift())
    again.close()


# Packing


def fill(log: KafkaLog, rows: int) -> list[Record]:
    odd = [Envelope(KEYS[0], "车/\n", bytes(range(256)), -(2**62)), Envelope(KEYS[1], "", b"", 2**62)]
    log.append(odd + [Envelope(KEYS[n % 3], f"swept/{n % 2}", b'{"seq":%d}' % n, n) for n in range(rows - 2)])
    return log.read({1: 0}, 100_000)


def commit(connection: psycopg.Connection, log: KafkaLog, next_offset: int) -> None:
    """Pretend that a worker committed and chained the records before an offset."""
    positions.read(connection, log.log_id, range(4))
    place = (next_offset, log.log_id)
    connection.execute("UPDATE checkpoint SET next_offset = %s WHERE log_id = %s AND partition = 1", place)
    connection.execute(
        """INSERT INTO chain_head (log_id, partition, next_offset, head, received_us)
           VALUES (%s, 1, %s, '', 0) ON CONFLICT DO NOTHING""",
        (log.log_id, next_offset),
    )


def places(records: list[Record]) -> list[Place]:
    return [
        Place(r.partition, r.offset, r.envelope.key, r.envelope.mqtt_topic, r.envelope.payload,
              r.envelope.received_us)
        for r in records
    ]  # fmt: skip


def test_what_is_done_with_moves_into_packs_and_is_found_in_either_place(
    connection: psycopg.Connection, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "RECORDS_MIN", 20)
    log = opened()
    records = fill(log, 50)
    commit(connection, log, 19)
    assert packing.due(connection, log, range(4)) == 0
    connection.execute(
        """INSERT INTO day_head (log_id, service_day, partition, first_offset, next_offset, first_head, head)
           VALUES (%s, '2024-05-01', 1, 0, 7, '', '')""",
        (log.log_id,),
    )
    assert packing.due(connection, log, range(4)) == 7
    assert log.firsts()[1] == 7
    commit(connection, log, 45)
    assert packing.due(connection, log, [0, 1]) == 38
    assert packing.due(connection, log, range(4)) == 0
    assert log.firsts()[1] == 45
    assert raw.records_at(connection, log, log.log_id, 1, range(60)) == places(records)
    assert raw.records_at(connection, log, log.log_id, 1, [48, 6, 7, 6]) == [
        places(records)[n] for n in (6, 7, 48)
    ]
    assert raw.records_at(connection, None, log.log_id, 1, range(60)) == places(records)[:45]
    assert raw.records_at(connection, log, "another log", 1, range(60)) == []
    with pytest.raises(LogTrimmed):
        log.read({1: 3}, 10)
    assert [record.offset for record in log.read({1: 45}, 10)] == [45, 46, 47, 48, 49]


def test_who_is_killed_between_copying_and_trimming_leaves_both_and_the_next_step_trims(
    connection: psycopg.Connection, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "RECORDS_MIN", 10)
    log = opened()
    records = fill(log, 30)
    commit(connection, log, 20)

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(KafkaLog, "trim", killed)
        with pytest.raises(KeyboardInterrupt):
            packing.due(connection, log, range(4))
    assert log.firsts()[1] == 0
    assert raw.records_at(connection, log, log.log_id, 1, range(30)) == places(records)
    other = opened()
    assert packing.due(connection, other, range(4)) == 0
    assert log.firsts()[1] == 20
    commit(connection, log, 30)
    assert packing.due(connection, other, range(4)) == 10
    assert raw.records_at(connection, log, log.log_id, 1, range(30)) == places(records)


def test_two_that_pack_at_once_make_each_pack_once(
    connection: psycopg.Connection, opened: Open, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "RECORDS_MIN", 10)
    log, rival = opened(), opened()
    records = fill(log, 30)
    commit(connection, log, 30)
    encode = raw_packs.encode
    with psycopg.connect(store_url, autocommit=True) as other:

        def overtaken(rows: list[Place]) -> bytes:
            monkeypatch.setattr(raw_packs, "encode", encode)
            assert packing.due(other, rival, range(4)) == 30
            return encode(rows)

        monkeypatch.setattr(raw_packs, "encode", overtaken)
        assert packing.due(connection, log, range(4)) == 0
    assert connection.execute("SELECT first_offset, next_offset FROM raw_pack").fetchall() == [(0, 30)]
    assert raw.records_at(connection, log, log.log_id, 1, range(30)) == places(records)


def test_a_log_with_a_hole_is_not_packed(connection: psycopg.Connection, opened: Open) -> None:
    log = opened()
    fill(log, 5)
    with pytest.raises(ValueError, match="doesn't follow"):
        raw_packs.put(
            connection, log.log_id, [place for place in places(log.read({1: 0}, 5)) if place.offset != 2]
        )
    assert connection.execute("SELECT count(*) FROM raw_pack").fetchone() == (0,)


def test_packs_are_bounded_in_records_and_bytes(
    connection: psycopg.Connection, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "RECORDS_MIN", 1)
    monkeypatch.setattr(raw_packs, "RECORDS_MAX", 12)
    log = opened()
    records = fill(log, 30)
    commit(connection, log, 30)
    assert packing.due(connection, log, range(4)) == 12
    monkeypatch.setattr(raw_packs, "BYTES_MAX", len(records[12].envelope.payload) + 1)
    assert packing.due(connection, log, range(4)) == 1
