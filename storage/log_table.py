"""The SQL of the table log (streams/table_log.py) on the tables of schema/0001_log.sql.

Order of commits: an append locks the rows of its partitions, in order, and holds them until it has
committed. So a partition's offsets become visible in their order, and no reader skips a late commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import psycopg
from psycopg.rows import tuple_row

CHANNEL = "swept_log"


class Row(NamedTuple):
    """A record as the table has it, without its offset."""

    partition: int
    key: str
    mqtt_topic: str
    payload: bytes
    received_us: int


class Place(NamedTuple):
    """A record as the table has it."""

    partition: int
    offset: int
    key: str
    mqtt_topic: str
    payload: bytes
    received_us: int


class Size(NamedTuple):
    """What the log holds now."""

    records: int
    payload_bytes: int


def create(connection: psycopg.Connection, partitions: int) -> tuple[str, int]:
    """The log's id and number of partitions; makes the log if there is none."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO log (log_id, partitions) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [uuid.uuid4().hex, partitions],
        )
        row = connection.execute("SELECT log_id, partitions FROM log").fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO log_partition (partition) SELECT generate_series(0, %s - 1) ON CONFLICT DO NOTHING",
            [row[1]],
        )
        return str(row[0]), int(row[1])


def lock_ends(connection: psycopg.Connection, partitions: Iterable[int]) -> dict[int, int]:
    """Lock partitions until the transaction ends; the next offset of each."""
    rows = connection.execute(
        "SELECT partition, next_offset FROM log_partition WHERE partition = ANY(%s)"
        " ORDER BY partition FOR UPDATE",
        [sorted(partitions)],
    )
    return {int(partition): int(offset) for partition, offset in rows}


def size(connection: psycopg.Connection) -> Size:
    """Records and bytes of payload that are kept."""
    row = connection.execute(
        "SELECT sum(next_offset - first_offset)::bigint, sum(bytes)::bigint FROM log_partition"
    ).fetchone()
    assert row is not None
    return Size(row[0] or 0, row[1] or 0)


def copy_records(connection: psycopg.Connection, rows: Sequence[Row], ends: Mapping[int, int]) -> None:
    """Write rows from `ends` on, move the ends, and tell readers; within a transaction with the lock."""
    following = dict(ends)
    grown = dict.fromkeys(ends, 0)
    with (
        connection.cursor() as cursor,
        cursor.copy(
            'COPY log_record (partition, "offset", key, mqtt_topic, payload, received_us)'
            " FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        copy.set_types(["int2", "int8", "text", "text", "bytea", "int8"])
        for partition, key, mqtt_topic, payload, received_us in rows:
            copy.write_row((partition, following[partition], key, mqtt_topic, payload, received_us))
            following[partition] += 1
            grown[partition] += len(payload)
    connection.execute(
        "UPDATE log_partition AS p SET next_offset = g.next_offset, bytes = p.bytes + g.grown"
        " FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[]) AS g (partition, next_offset, grown)"
        " WHERE p.partition = g.partition",
        [list(following), list(following.values()), [grown[partition] for partition in following]],
    )
    connection.execute(f"NOTIFY {CHANNEL}")


def upsert_acks(connection: psycopg.Connection, acks: Mapping[str, int]) -> None:
    """Remember the last acknowledged seq of units; in order of keys, so that two never deadlock."""
    keys = sorted(acks)
    connection.execute(
        "INSERT INTO device_ack (key, seq) SELECT * FROM unnest(%s::text[], %s::bigint[])"
        " ON CONFLICT (key) DO UPDATE SET seq = excluded.seq",
        [keys, [acks[key] for key in keys]],
    )


def acks(connection: psycopg.Connection, keys: Iterable[str]) -> dict[str, int]:
    """The last acknowledged seq of those units that have one."""
    rows = connection.execute("SELECT key, seq FROM device_ack WHERE key = ANY(%s)", [list(keys)])
    return {str(key): int(seq) for key, seq in rows}


def read(
    connection: psycopg.Connection, positions: Mapping[int, int], each_max: int, records_max: int
) -> list[Place]:
    """Records from the positions on, in order of partition and offset."""
    with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        cursor.execute(
            "SELECT r.* FROM unnest(%s::smallint[], %s::bigint[]) AS p (partition, from_offset)"
            ' CROSS JOIN LATERAL (SELECT partition, "offset", key, mqtt_topic, payload, received_us'
            '   FROM log_record WHERE partition = p.partition AND "offset" >= p.from_offset'
            '   ORDER BY "offset" LIMIT %s) AS r'
            ' ORDER BY r.partition, r."offset" LIMIT %s',
            [list(positions), list(positions.values()), each_max, records_max],
        )
        return [Place(*row) for row in cursor]


def records_at(
    connection: psycopg.Connection, log_id: str, partition: int, offsets: Sequence[int]
) -> list[Place]:
    """The records at these offsets that the log still has; none of another log's."""
    with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        cursor.execute(
            'SELECT partition, "offset", key, mqtt_topic, payload, received_us FROM log_record'
            ' WHERE partition = %s AND "offset" = ANY(%s) AND EXISTS (SELECT FROM log WHERE log_id = %s)'
            ' ORDER BY "offset"',
            [partition, list(offsets), log_id],
        )
        return [Place(*row) for row in cursor]


def firsts(connection: psycopg.Connection, partitions: Iterable[int]) -> dict[int, int]:
    """The oldest offset of each partition that the log itself still has."""
    rows = connection.execute(
        "SELECT partition, first_offset FROM log_partition WHERE partition = ANY(%s)", [sorted(partitions)]
    )
    return {int(partition): int(offset) for partition, offset in rows}


def ends(connection: psycopg.Connection) -> dict[int, int]:
    """The next offset of each partition."""
    rows = connection.execute("SELECT partition, next_offset FROM log_partition ORDER BY partition")
    return {int(partition): int(offset) for partition, offset in rows}


def trim(connection: psycopg.Connection, before: Mapping[int, int]) -> int:
    """Delete records below the given offsets; how many.

    Records go before their partition is locked, so that appends wait for no more than one short update.
    """
    deleted = 0
    with connection.transaction():
        limits = ends(connection)
        for partition, asked in sorted(before.items()):
            offset = min(asked, limits[partition])
            row = connection.execute(
                'WITH gone AS (DELETE FROM log_record WHERE partition = %s AND "offset" < %s'
                " RETURNING octet_length(payload) AS bytes)"
                " SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM gone",
                [partition, offset],
            ).fetchone()
            assert row is not None
            connection.execute(
                "UPDATE log_partition SET first_offset = greatest(first_offset, %s), bytes = bytes - %s"
                " WHERE partition = %s",
                [offset, row[1], partition],
            )
            deleted += row[0]
    return deleted


def clock(connection: psycopg.Connection) -> bytes | None:
    """The district clock's payload; None: none is set."""
    row = connection.execute("SELECT payload FROM district_clock").fetchone()
    return None if row is None else bytes(row[0])


def set_clock(connection: psycopg.Connection, payload: bytes) -> None:
    """Set the district clock; an empty payload removes it."""
    if not payload:
        connection.execute("DELETE FROM district_clock")
        return
    connection.execute(
        "INSERT INTO district_clock (payload) VALUES (%s)"
        " ON CONFLICT (singleton) DO UPDATE SET payload = excluded.payload",
        [payload],
    )
