"""Records that were packed are read as before, byte for byte, and none is packed too early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from storage import log_table, positions, raw_packs
from storage.raw_packs import PackDamaged
from streams import packing
from streams.log import Envelope, LogTrimmed, Record, partition_of
from streams.table_log import TableLog

KEYS = [f"u{n}" for n in range(40)]
PARTITION = partition_of("u0", 4)
OURS = [key for key in KEYS if partition_of(key, 4) == PARTITION][:3]


@pytest.fixture
def log(store_url: str) -> Iterator[TableLog]:
    with closing(TableLog(store_url)) as opened:
        yield opened


def fill(log: TableLog, rows: int) -> list[Record]:
    """Records of one partition, odd ones among them."""
    odd = [Envelope(OURS[0], "车/\n", bytes(range(256)), -(2**62)), Envelope(OURS[1], "", b"", 2**62)]
    plain = [Envelope(OURS[n % 3], f"swept/{n % 2}", b'{"seq":%d}' % n, n) for n in range(rows - 2)]
    log.append(odd + plain)
    return log.read({PARTITION: 0}, 100_000)


def commit(connection: psycopg.Connection, log: TableLog, next_offset: int) -> None:
    """Pretend that a worker committed and chained the records before an offset."""
    positions.read(connection, log.log_id, [PARTITION])
    positions_of = (next_offset, log.log_id, PARTITION)
    connection.execute(
        "UPDATE checkpoint SET next_offset = %s WHERE log_id = %s AND partition = %s", positions_of
    )
    connection.execute(
        """INSERT INTO chain_head (log_id, partition, next_offset, head, received_us)
           VALUES (%s, %s, %s, '', 0) ON CONFLICT DO NOTHING""",
        (log.log_id, PARTITION, next_offset),
    )


def pack(connection: psycopg.Connection, log: TableLog, upto: int = 2**62, **bounds: int) -> int:
    return raw_packs.pack(connection, log.log_id, PARTITION, upto, **bounds)


def in_log(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM log_record").fetchone()
    assert row is not None
    return int(row[0])


def test_a_reader_gets_every_record_once_wherever_it_lies(
    connection: psycopg.Connection, log: TableLog
) -> None:
    records = fill(log, 60)
    commit(connection, log, 40)
    assert [pack(connection, log, records_max=15) for _ in range(4)] == [15, 15, 10, 0]
    assert in_log(connection) == 20
    for step in (4, 7, 100):
        read: list[Record] = []
        while found := log.read({PARTITION: len(read)}, step):
            read += found
        assert read == records
    assert log.read(dict.fromkeys(range(4), 0), 100)[0] == records[0]


def test_records_are_found_by_their_places(connection: psycopg.Connection, log: TableLog) -> None:
    records = fill(log, 30)
    commit(connection, log, 20)
    for upto in (10, 20):
        pack(connection, log, upto)
    found = raw_packs.records_at(connection, log.log_id, PARTITION, [29, 3, 15, 3, 1_000])
    assert [Record(one.partition, one.offset, Envelope(*one[2:])) for one in found] == [
        records[3], records[15], records[29],
    ]  # fmt: skip
    assert raw_packs.records_at(connection, "another log", PARTITION, [3, 29]) == []


def test_nothing_is_packed_that_is_not_committed_and_chained(
    connection: psycopg.Connection, log: TableLog
) -> None:
    fill(log, 10)
    assert pack(connection, log) == 0
    commit(connection, log, 6)
    connection.execute("UPDATE checkpoint SET next_offset = 4")
    assert pack(connection, log) == 4
    connection.execute("UPDATE checkpoint SET next_offset = 9")
    assert pack(connection, log) == 2
    assert in_log(connection) == 4
    assert raw_packs.pack(connection, "another log", PARTITION, 9) == 0


def test_a_pack_is_bounded_in_bytes_but_takes_one_record_at_least(
    connection: psycopg.Connection, log: TableLog
) -> None:
    log.append([Envelope(OURS[0], "t", bytes(n), n) for n in (10, 10, 50, 10, 10)])
    commit(connection, log, 5)
    assert [pack(connection, log, bytes_max=25) for _ in range(4)] == [2, 1, 2, 0]


def test_a_damaged_pack_says_which_it_is(connection: psycopg.Connection, log: TableLog) -> None:
    fill(log, 20)
    commit(connection, log, 20)
    for upto in (8, 20):
        pack(connection, log, upto)
    (data,) = connection.execute("SELECT pack FROM raw_pack WHERE first_offset = 8").fetchone() or (b"",)
    wrong = bytearray(data)
    wrong[len(wrong) // 2] ^= 4
    for bytes_of in (bytes(wrong), b""):
        connection.execute("UPDATE raw_pack SET pack = %s WHERE first_offset = 8", (bytes_of,))
        with pytest.raises(
            PackDamaged, match=rf"partition {PARTITION}, offsets 8 to 19, of log {log.log_id}"
        ):
            raw_packs.records_at(connection, log.log_id, PARTITION, [9])
    assert len(raw_packs.records_at(connection, log.log_id, PARTITION, [7])) == 1
    connection.execute(
        "UPDATE raw_pack SET pack = (SELECT pack FROM raw_pack WHERE first_offset = 0) WHERE first_offset = 8"
    )
    with pytest.raises(PackDamaged, match="holds other records"):
        raw_packs.records_at(connection, log.log_id, PARTITION, [9])


def test_a_reader_behind_what_was_trimmed_without_a_pack_is_told(log: TableLog) -> None:
    fill(log, 10)
    log.trim({PARTITION: 10})
    with pytest.raises(LogTrimmed, match="no offset 4"):
        log.read({PARTITION: 4}, 100)
    assert log.read({PARTITION: 10}, 100) == []


def test_the_step_between_batches_packs_what_is_worth_it_and_closed_days(
    connection: psycopg.Connection, log: TableLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "RECORDS_MIN", 20)
    records = fill(log, 30)
    commit(connection, log, 19)
    assert packing.due(connection, log, range(4)) == 0
    connection.execute(
        """INSERT INTO day_head (log_id, service_day, partition, first_offset, next_offset, first_head, head)
           VALUES (%s, '2024-05-01', %s, 0, 7, '', '')""",
        (log.log_id, PARTITION),
    )
    assert packing.due(connection, log, range(4)) == 7
    assert packing.due(connection, log, range(4)) == 0
    commit(connection, log, 30)
    assert packing.due(connection, log, [PARTITION]) == 23
    assert log.read({PARTITION: 0}, 7) == records[:7]
    assert log_table.size(connection).records == 0


def test_two_that_pack_at_once_make_each_pack_once(
    connection: psycopg.Connection, log: TableLog, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = fill(log, 30)
    commit(connection, log, 30)
    encode = raw_packs.encode
    with psycopg.connect(store_url, autocommit=True) as other:

        def overtaken(rows: list[log_table.Place]) -> bytes:
            monkeypatch.setattr(raw_packs, "encode", encode)
            assert pack(other, log, 10) == 10
            return encode(rows)

        monkeypatch.setattr(raw_packs, "encode", overtaken)
        assert pack(connection, log) == 0
    assert pack(connection, log) == 20
    assert log.read({PARTITION: 0}, 100)[:10] == records[:10]
    assert connection.execute("SELECT first_offset, next_offset FROM raw_pack ORDER BY 1").fetchall() == [
        (0, 10), (10, 30),
    ]  # fmt: skip


def test_what_is_trimmed_before_it_is_read_is_not_packed(
    connection: psycopg.Connection, log: TableLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, 30)
    commit(connection, log, 30)
    bounded = raw_packs._bounded

    def overtaken(*asked: Any) -> int:
        log.trim({PARTITION: 10})
        return bounded(*asked)

    monkeypatch.setattr(raw_packs, "_bounded", overtaken)
    assert pack(connection, log, 10) == 0
    assert pack(connection, log, 20) == 10
    assert [one.offset for one in raw_packs.records_at(connection, log.log_id, PARTITION, range(30))] == list(
        range(10, 30)
    )
