"""The positions of partitions: they commit with the results of the records before them, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from psycopg import Connection

from storage.fixes import log_number


class Position(NamedTuple):
    """How far a partition is processed: its next offset, and how many shares of its backlog."""

    next_offset: int
    shares: int = 0


def read(connection: Connection[Any], log_id: str, partitions: Iterable[int]) -> dict[int, Position]:
    """The position of each partition; one that was never read begins at 0."""
    wanted = sorted(partitions)
    log_number(connection, log_id)  # in no batch: two workers would wait for each other's
    with connection.transaction():
        connection.execute(
            """INSERT INTO checkpoint (log_id, partition, next_offset)
               SELECT %s, partition, 0 FROM unnest(%s::integer[]) AS partition
               ON CONFLICT DO NOTHING""",
            (log_id, wanted),
        )
        rows = connection.execute(
            "SELECT partition, next_offset, shares FROM checkpoint WHERE log_id = %s AND partition = ANY(%s)",
            (log_id, wanted),
        ).fetchall()
    return {int(partition): Position(offset, shares) for partition, offset, shares in rows}


def lock(connection: Connection[Any], log_id: str, partitions: Iterable[int]) -> dict[int, Position]:
    """The same, and nobody else may move them until this transaction ends."""
    rows = connection.execute(
        """SELECT partition, next_offset, shares FROM checkpoint
           WHERE log_id = %s AND partition = ANY(%s) ORDER BY partition FOR UPDATE""",
        (log_id, sorted(partitions)),
    ).fetchall()
    return {int(partition): Position(offset, shares) for partition, offset, shares in rows}


def advance(
    connection: Connection[Any], log_id: str, next_offsets: Mapping[int, int], received_us: Mapping[int, int]
) -> None:
    """Move the positions, within the transaction that writes the results.

    `received_us` is when the newest record of each partition was received.
    """
    partitions = list(next_offsets)
    connection.execute(
        """UPDATE checkpoint SET next_offset = new.next_offset, updated_at = now(),
                                 received_us = greatest(checkpoint.received_us, new.received_us)
           FROM unnest(%s::integer[], %s::bigint[], %s::bigint[]) AS new (partition, next_offset, received_us)
           WHERE checkpoint.log_id = %s AND checkpoint.partition = new.partition""",
        (
            partitions,
            [next_offsets[one] for one in partitions],
            [received_us[one] for one in partitions],
            log_id,
        ),
    )


def count_share(connection: Connection[Any], log_id: str, partitions: Iterable[int]) -> None:
    """Note that a share of the backlog of these partitions is processed, within its transaction."""
    connection.execute(
        """UPDATE checkpoint SET shares = shares + 1, updated_at = now()
           WHERE log_id = %s AND partition = ANY(%s)""",
        (log_id, sorted(partitions)),
    )


def lock_partition(connection: Connection[Any], partition: int) -> None:
    """Nobody else writes what the units of a partition reported until this transaction ends."""
    connection.execute("SELECT FROM checkpoint WHERE partition = %s ORDER BY log_id FOR UPDATE", (partition,))


def heard_us(connection: Connection[Any], log_id: str, partitions: int) -> int | None:
    """Until when all that a log's partitions had is processed; None while one of them was never heard of."""
    row = connection.execute(
        """SELECT count(*) FILTER (WHERE next_offset > 0),
                  least(min(received_us), (SELECT min(received_us) FROM backlog WHERE log_id = %(log_id)s))
           FROM checkpoint WHERE log_id = %(log_id)s""",
        {"log_id": log_id},
    ).fetchone()
    return int(row[1]) if row is not None and row[0] == partitions else None


def lock_days(connection: Connection[Any], *, shared: Iterable[date], alone: Iterable[date]) -> None:
    """Hold an advisory lock on service days to the end of the transaction, in sorted order."""
    wanted = sorted([(day, "") for day in alone] + [(day, "_shared") for day in shared])
    for day, how in wanted:
        connection.execute(
            f"SELECT pg_advisory_xact_lock{how}(hashtextextended(%s, 1))".encode(), (f"day {day}",)
        )


def lock_street_days(connection: Connection[Any], keys: Iterable[str]) -> None:
    """Hold an advisory lock on each (street, service day) to the end of the transaction, in sorted order.

    Two units on one street are two workers: without it the later commit forgets the earlier one's pass.
    """
    connection.execute(
        """SELECT pg_advisory_xact_lock(lock) FROM (
               SELECT DISTINCT hashtextextended(key, 0) AS lock FROM unnest(%s::text[]) AS key ORDER BY 1
           ) AS locks""",
        (sorted(keys),),
    )
