"""What every log must keep, whatever stands behind it; an implementation is one more factory."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from streams.kafka_log import KafkaLog
from streams.log import (
    Envelope,
    Log,
    LogFull,
    LogRefused,
    LogTrimmed,
    LogUnavailable,
    Record,
    partition_of,
)
from streams.table_log import TableLog
from swept.embedded_postgres import EmbeddedPostgres

Open = Callable[..., Log]


@pytest.fixture(params=["table", "kafka"])
def open_log(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the same log again and again, each time as another process would."""
    with contextlib.ExitStack() as stack:
        table: str = request.getfixturevalue("store_url") if request.param == "table" else ""
        kafka: str = request.getfixturevalue("kafka_url") if request.param == "kafka" else ""

        def make(**bounds: Any) -> Log:
            log: Log = TableLog(table, **bounds) if table else KafkaLog(kafka, **bounds)
            return stack.enter_context(contextlib.closing(log))

        yield make


def envelope(key: str, number: int) -> Envelope:
    return Envelope(key, f"swept/v1/d/{key}/fix", b"%d" % number, number)


def read_all(log: Log, count: int, records_max: int = 100) -> list[Record]:
    """Reads until `count` records came, advancing as a worker does."""
    positions = dict.fromkeys(range(log.partitions), 0)
    records: list[Record] = []
    while len(records) < count:
        batch = log.read(positions, records_max)
        assert len(batch) <= records_max
        for record in batch:
            assert record.offset == positions[record.partition], "an offset was skipped or came twice"
            positions[record.partition] += 1
        records += batch
        if not batch:
            log.wait(1.0)
    return records


def test_it_has_four_partitions_and_one_id_for_all_who_open_it(open_log: Open) -> None:
    first, second = open_log(), open_log()
    assert first.partitions == second.partitions == 4
    assert first.log_id == second.log_id != ""


def test_a_record_comes_back_byte_for_byte_in_its_keys_partition(open_log: Open) -> None:
    log = open_log()
    odd = Envelope("车-1", "swept/v1/d/车-1/fix", bytes(range(256)) + b"", 2**62)
    log.append([odd, Envelope("empty", "t", b"", -1)])
    records = read_all(log, 2)
    assert {record.envelope for record in records} == {odd, Envelope("empty", "t", b"", -1)}
    for record in records:
        assert record.partition == partition_of(record.envelope.key, 4)


def test_commits_that_cross_lose_nothing_and_keep_the_order_of_each_key(open_log: Open) -> None:
    appenders, batches, size = 2, 40, 25
    keys = [f"unit-{number}" for number in range(12)]

    def append(appender: int) -> None:
        log = open_log()
        for batch in range(batches):
            numbers = range(batch * size, (batch + 1) * size)
            log.append([envelope(f"{keys[n % len(keys)]}-{appender}", n) for n in numbers])

    seen: list[list[Record]] = [[], []]

    def read(reader: int) -> None:
        seen[reader] = read_all(open_log(), appenders * batches * size, records_max=37)

    threads = [threading.Thread(target=append, args=[n]) for n in range(appenders)]
    threads += [threading.Thread(target=read, args=[n]) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for records in seen:
        assert len({(r.envelope.key, r.envelope.payload) for r in records}) == appenders * batches * size
        by_key: dict[str, list[int]] = {}
        for record in records:
            by_key.setdefault(record.envelope.key, []).append(record.envelope.received_us)
        assert all(numbers == sorted(numbers) for numbers in by_key.values())
    place = [(r.partition, r.offset, r.envelope) for r in seen[0]]
    assert sorted(place, key=lambda p: p[:2]) == sorted(
        ((r.partition, r.offset, r.envelope) for r in seen[1]), key=lambda p: p[:2]
    )
    assert sum(open_log().ends().values()) == appenders * batches * size


def test_wait_returns_when_another_appends(open_log: Open) -> None:
    reader, writer = open_log(), open_log()
    reader.wait(0.0)
    returned = threading.Event()

    def wait() -> None:
        reader.wait(60.0)
        returned.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    writer.append([envelope("a", 1)])
    assert returned.wait(30.0)
    waiting.join()


def test_acks_and_clock_are_remembered_by_the_log(open_log: Open) -> None:
    log = open_log()
    assert log.acks(["a", "b"]) == {}
    assert log.clock() is None
    log.append([envelope("a", 1)], {"a": 7, "b": 9})
    log.append([], {"a": 3})
    log.set_clock(b'{"rate": 2}')
    again = open_log()
    assert again.acks(["a", "b", "c"]) == {"a": 3, "b": 9}
    assert again.clock() == b'{"rate": 2}'
    again.set_clock(b"")
    assert log.clock() is None


def test_reading_fewer_records_than_partitions_is_an_error(open_log: Open) -> None:
    with pytest.raises(ValueError, match="at least the 4"):
        open_log().read(dict.fromkeys(range(4), 0), 3)


def test_each_reader_of_its_own_has_all_partitions_from_its_oldest_record_on(open_log: Open) -> None:
    log = open_log()
    assert log.share() == frozenset(range(4))
    log.done({0: 1})
    log.append([envelope("a", number) for number in range(3)])
    partition = partition_of("a", 4)
    assert log.firsts()[partition] == 0
    assert log.trim({partition: 2}) == 2
    assert log.trim({partition: 1}) == 0
    assert log.firsts() == {0: 0, 1: 0, 2: 0, 3: 0} | {partition: 2}
    assert log.ends()[partition] == 3
    assert log.trim({partition: 2**40}) == 1
    assert log.firsts()[partition] == log.ends()[partition] == 3


def test_a_reader_may_go_back_and_to_other_partitions(open_log: Open) -> None:
    log = open_log()
    log.append([envelope(f"k{number}", number) for number in range(200)])
    ends = log.ends()
    everywhere = dict.fromkeys(range(4), 0)
    whole = log.read(everywhere, 1_000)
    assert len(whole) == 200
    for partition in range(4):
        for offset in (ends[partition] - 1, 3, 0, 4):
            records = log.read({partition: offset}, 5)
            assert records == [r for r in whole if r.partition == partition and r.offset >= offset][:5]
    assert log.read(ends, 100) == []
    assert log.read(everywhere, 1_000) == whole
    log.append([envelope("k0", 1)])
    assert [record.envelope.received_us for record in log.read(ends, 100)] == [1]


def test_a_partition_with_much_does_not_keep_the_others_waiting(open_log: Open) -> None:
    log = open_log()
    keys = {partition_of(f"k{n}", 4): f"k{n}" for n in range(40)}
    log.append([envelope(keys[0], number) for number in range(3_000)] + [envelope(keys[1], 1)])
    positions, read = dict.fromkeys(range(4), 0), list[Record]()
    while {record.partition for record in read} != {0, 1}:
        read = log.read(positions, 40)
        assert len(read) <= 40
        positions[0] += sum(record.partition == 0 for record in read)
    assert positions[0] < 200


@pytest.mark.parametrize("bound", [{"records_max": 3}, {"bytes_max": 3}])
def test_a_full_log_refuses_the_whole_append(open_log: Open, bound: dict[str, int]) -> None:
    log = open_log(**bound)
    if "records_max" in bound:
        log.append([envelope("a", 1), envelope("a", 2), envelope("a", 3)])
    ends = log.ends()
    with pytest.raises(LogFull, match="3 at most"):
        log.append([envelope("a", 4_000)])
    assert log.ends() == ends


@pytest.mark.parametrize(
    ("poison", "acks"),
    [
        (Envelope("u", "a\0b", b"", 1), {}),
        (Envelope("u", "a\ud800", b"", 1), {}),
        (Envelope("\ud800", "t", b"", 1), {}),
        (Envelope("u", "t", b"", 2**63), {}),
        (Envelope("u", "t", b"", 1), {"u": 2**63}),
        (Envelope("u", "t", b"", 1), {"\0": 1}),
    ],
)
def test_what_a_store_can_not_hold_is_refused_whole_and_the_log_goes_on(
    open_log: Open, poison: Envelope, acks: dict[str, int]
) -> None:
    log = open_log()
    with pytest.raises(LogRefused):
        log.append([envelope("a", 1), poison], {"a": 1, **acks})
    assert sum(log.ends().values()) == 0
    assert log.acks(["a", "u"]) == {}
    log.append([envelope("a", 1)], {"a": 1})
    assert log.acks(["a"]) == {"a": 1}


# What only the table log promises


def test_what_append_returned_for_survives_a_kill_of_the_database_and_an_append_in_flight_is_whole(
    store_url: str, postgres: EmbeddedPostgres
) -> None:
    log = TableLog(store_url)
    done: list[int] = []
    started = threading.Event()

    def append() -> None:
        for number in range(100_000):
            try:
                log.append([envelope(f"u{n}", number) for n in range(10)], {"u0": number})
            except LogUnavailable:
                return
            done.append(number)
            started.set()

    appending = threading.Thread(target=append)
    appending.start()
    started.wait(30.0)
    postgres.kill()
    appending.join()
    postgres.ensure()
    with contextlib.closing(TableLog(store_url)) as again:
        total = sum(again.ends().values())
        assert total in (10 * len(done), 10 * len(done) + 10)  # one may have committed unheard
        records = read_all(again, total)
        assert {r.envelope.received_us for r in records} >= set(done)
        assert again.acks(["u0"])["u0"] == total // 10 - 1
        again.append([envelope("u0", 1)])
        assert sum(again.ends().values()) == total + 1
    log.append([envelope("u0", 2)])  # the first object finds its way back too
    log.close()


def test_an_append_of_another_that_has_not_committed_holds_back_only_its_partitions(
    store_url: str, connection: psycopg.Connection
) -> None:
    keys = {partition_of(f"k{n}", 4): f"k{n}" for n in range(40)}
    with contextlib.closing(TableLog(store_url)) as log:
        log.append([envelope(keys[0], 0)])
        with connection.transaction():
            connection.execute("SELECT * FROM log_partition WHERE partition = 0 FOR UPDATE")
            log.append([envelope(keys[1], 1)])
            late = threading.Thread(target=log.append, args=[[envelope(keys[0], 2)]])
            late.start()
            late.join(0.2)
            assert late.is_alive()
            with contextlib.closing(TableLog(store_url)) as reader:
                assert reader.ends()[0] == 1
        late.join()
        assert log.ends()[0] == 2


@pytest.mark.parametrize("bound", [{"records_max": 3}, {"bytes_max": 3}])
def test_a_full_log_refuses_the_whole_append_and_takes_it_once_trimmed(
    store_url: str, bound: dict[str, int]
) -> None:
    with contextlib.closing(TableLog(store_url, **bound)) as log:
        log.append([envelope("a", 1), envelope("a", 2), envelope("a", 3)])
        with pytest.raises(LogFull, match="3 at most"):
            log.append([envelope("a", 4)])
        partition = partition_of("a", 4)
        assert log.ends()[partition] == 3
        assert log.trim({partition: 2}) == 2
        log.append([envelope("a", 4)])
        assert [r.offset for r in log.read({partition: 2}, 10)] == [2, 3]
        with pytest.raises(LogTrimmed, match="no offset 1"):
            log.read({partition: 1}, 10)


def test_the_number_of_partitions_stays_what_it_was_when_the_log_was_made(store_url: str) -> None:
    with contextlib.closing(TableLog(store_url, partitions=4)):
        pass
    with contextlib.closing(TableLog(store_url, partitions=9)) as log:
        assert log.partitions == 4


def test_an_acknowledgement_that_no_index_can_hold_is_refused(store_url: str) -> None:
    with contextlib.closing(TableLog(store_url)) as log:
        # An index takes no more than about 2,700 bytes, after compression.
        long = "".join(map(chr, range(0x4E00, 0x4E00 + 7_000)))
        with pytest.raises(LogRefused):
            log.append([envelope("a", 1)], {"a": 1, long: 1})
        assert sum(log.ends().values()) == 0


def test_a_database_that_only_reads_is_unavailable_not_refusing(
    store_url: str, connection: psycopg.Connection
) -> None:
    with contextlib.closing(TableLog(store_url)) as log:
        log.append([envelope("a", 1)])
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        log.close()
        with pytest.raises(LogUnavailable, match="read-only"):
            log.append([envelope("a", 2)])


def test_a_database_that_is_not_there_is_unavailable(tmp_path: str) -> None:
    with pytest.raises(LogUnavailable, match="can't be used now"):
        TableLog(f"postgresql://postgres@/x?host={tmp_path}")
