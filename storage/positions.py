"""The positions of partitions: they commit with the results of the records before them, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Connection


def read(connection: Connection[Any], log_id: str, partitions: Iterable[int]) -> dict[int, int]:
    """The next offset of each partition; a partition that was never read begins at 0."""
    wanted = sorted(partitions)
    with connection.transaction():
        connection.execute(
            """INSERT INTO checkpoint (log_id, partition, next_offset)
               SELECT %s, partition, 0 FROM unnest(%s::integer[]) AS partition
               ON CONFLICT DO NOTHING""",
            (log_id, wanted),
        )
        rows = connection.execute(
            "SELECT partition, next_offset FROM checkpoint WHERE log_id = %s AND partition = ANY(%s)",
            (log_id, wanted),
        ).fetchall()
    return {int(partition): int(offset) for partition, offset in rows}


def lock(connection: Connection[Any], log_id: str, partitions: Iterable[int]) -> dict[int, int]:
    """The same, and nobody else may move them until this transaction ends."""
    rows = connection.execute(
        """SELECT partition, next_offset FROM checkpoint
           WHERE log_id = %s AND partition = ANY(%s) ORDER BY partition FOR UPDATE""",
        (log_id, sorted(partitions)),
    ).fetchall()
    return {int(partition): int(offset) for partition, offset in rows}


def advance(connection: Connection[Any], log_id: str, next_offsets: Mapping[int, int]) -> None:
    """Move the positions, within the transaction that writes the results."""
    connection.execute(
        """UPDATE checkpoint SET next_offset = new.next_offset, updated_at = now()
           FROM unnest(%s::integer[], %s::bigint[]) AS new (partition, next_offset)
           WHERE checkpoint.log_id = %s AND checkpoint.partition = new.partition""",
        (list(next_offsets), list(next_offsets.values()), log_id),
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
