"""Records that wait for their share of a batch: put in, looked at and taken out inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from psycopg import Connection


class Row(NamedTuple):
    """A record that waits; `weight` is the number of its reports, or more where its payload is large."""

    partition: int
    offset: int
    key: str
    mqtt_topic: str
    payload: bytes
    received_us: int
    weight: int


class Waiting(NamedTuple):
    """How much waits, and since when, as the district's clock had it; None: nothing does."""

    records: int
    weight: int
    since_us: int | None


def put(connection: Connection[Any], log_id: str, rows: Iterable[Row]) -> None:
    """Let records wait."""
    columns = "log_id, partition, log_offset, key, mqtt_topic, payload, received_us, weight"
    statement = f"COPY backlog ({columns}) FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.set_types(["text", "int4", "int8", "text", "text", "bytea", "int8", "int4"])
        for row in rows:
            copy.write_row((log_id, *row))


def any_of(connection: Connection[Any], log_id: str, partitions: Collection[int]) -> bool:
    """Whether any record of these partitions waits."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM backlog WHERE log_id = %s AND partition = ANY(%s))",
        (log_id, sorted(partitions)),
    ).fetchone()
    return row is not None and bool(row[0])


def first(
    connection: Connection[Any], log_id: str, partitions: Collection[int], weight_max: int
) -> list[Row]:
    """The records whose turn it is: all of the unit that waits longest, then those of the next, as they came.

    They weigh at most `weight_max` together, but there is one at least where any waits.
    """
    cursor = connection.cursor(binary=True)
    cursor.execute(
        """WITH unit AS (
               SELECT p.partition, oldest.key, min(oldest.received_us) AS since_us
               FROM unnest(%(partitions)s::integer[]) AS p (partition) CROSS JOIN LATERAL (
                   SELECT key, received_us FROM backlog
                   WHERE log_id = %(log_id)s AND partition = p.partition
                   ORDER BY log_offset LIMIT %(weight_max)s) AS oldest
               GROUP BY 1, 2),
           turn AS (
               SELECT unit.partition, row.log_offset, row_number() OVER waited AS number,
                      sum(row.weight) OVER waited AS so_far
               FROM unit CROSS JOIN LATERAL (
                   SELECT log_offset, weight FROM backlog
                   WHERE log_id = %(log_id)s AND partition = unit.partition AND key = unit.key
                   ORDER BY log_offset LIMIT %(weight_max)s) AS row
               WINDOW waited AS (ORDER BY since_us, unit.partition, unit.key, row.log_offset
                                 ROWS UNBOUNDED PRECEDING))
           SELECT b.partition, b.log_offset, b.key, b.mqtt_topic, b.payload, b.received_us, b.weight
           FROM turn JOIN backlog AS b ON b.log_id = %(log_id)s AND b.partition = turn.partition
                                      AND b.log_offset = turn.log_offset
           WHERE so_far <= %(weight_max)s OR number = 1 ORDER BY number""",
        {"log_id": log_id, "partitions": sorted(partitions), "weight_max": weight_max},
    )
    return [Row(*row) for row in cursor]


def remove(connection: Connection[Any], log_id: str, places: Sequence[tuple[int, int]]) -> int:
    """Take records out by (partition, offset), within the transaction of their results; how many were there."""
    done = connection.execute(
        """DELETE FROM backlog USING unnest(%s::integer[], %s::bigint[]) AS gone (partition, log_offset)
           WHERE backlog.log_id = %s AND backlog.partition = gone.partition
             AND backlog.log_offset = gone.log_offset""",
        ([one[0] for one in places], [one[1] for one in places], log_id),
    )
    return done.rowcount


def waiting(connection: Connection[Any], log_id: str) -> Waiting:
    """How much waits in all partitions of a log."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(weight), 0)::bigint, min(received_us) FROM backlog WHERE log_id = %s",
        (log_id,),
    ).fetchone()
    assert row is not None
    return Waiting(*row)
