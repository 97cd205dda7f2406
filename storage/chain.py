"""The heads of the chain over the log's records, the days they close, and what was signed of those.

Of each partition `chain_head` holds the head at the start of its open day and one for each batch since; those
of closed days are in `day_head`. All is written in the transaction that moves the partition's position, under
its lock, so nobody else extends a partition's chain at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from psycopg import Connection

from processing.chain import DayRange


class Head(NamedTuple):
    """The head of a partition's chain before a record; `received_us` is the latest arrival so far."""

    next_offset: int
    head: bytes
    received_us: int


@dataclass(frozen=True, slots=True)
class Signed:
    """The digest of a service day, and who vouches for it."""

    log_id: str
    service_day: date
    digest: bytes
    signature: bytes
    public_key: bytes


def newest(connection: Connection[Any], log_id: str, partitions: Iterable[int]) -> dict[int, Head]:
    """The newest head of those partitions that have one."""
    rows = connection.execute(
        """SELECT wanted.partition, newest.* FROM unnest(%s::integer[]) AS wanted (partition), LATERAL (
               SELECT next_offset, head, received_us FROM chain_head
               WHERE log_id = %s AND chain_head.partition = wanted.partition
               ORDER BY next_offset DESC LIMIT 1) AS newest""",
        (sorted(partitions), log_id),
    )
    return {row[0]: Head(int(row[1]), bytes(row[2]), int(row[3])) for row in rows}


def put(connection: Connection[Any], log_id: str, heads: Mapping[int, Head]) -> None:
    """Keep a head of each of these partitions."""
    rows = list(heads.values())
    connection.execute(
        """INSERT INTO chain_head (log_id, partition, next_offset, head, received_us)
           SELECT %s, * FROM unnest(%s::integer[], %s::bigint[], %s::bytea[], %s::bigint[])
           ON CONFLICT (log_id, partition, next_offset) DO UPDATE SET received_us = excluded.received_us""",
        (
            log_id,
            list(heads),
            [row.next_offset for row in rows],
            [row.head for row in rows],
            [row.received_us for row in rows],
        ),
    )


def close_day(connection: Connection[Any], log_id: str, partition: int, day: date, end: Head) -> None:
    """Close a partition's open day before the record at `end`; the heads within it go."""
    connection.execute(
        """INSERT INTO day_head (log_id, service_day, partition, first_offset, next_offset, first_head, head)
           SELECT log_id, %s, partition, next_offset, %s, head, %s FROM chain_head
           WHERE log_id = %s AND partition = %s ORDER BY next_offset LIMIT 1""",
        (day, end.next_offset, end.head, log_id, partition),
    )
    connection.execute(
        "DELETE FROM chain_head WHERE log_id = %s AND partition = %s AND next_offset < %s",
        (log_id, partition, end.next_offset),
    )
    put(connection, log_id, {partition: end})


def open_ranges(connection: Connection[Any], log_id: str) -> dict[int, tuple[DayRange, int]]:
    """The open day of each partition so far, and the latest arrival in it."""
    rows = connection.execute(
        """SELECT partition, first.next_offset, last.next_offset, first.head, last.head, last.received_us
           FROM checkpoint,
               LATERAL (SELECT next_offset, head FROM chain_head AS h
                        WHERE h.log_id = checkpoint.log_id AND h.partition = checkpoint.partition
                        ORDER BY next_offset LIMIT 1) AS first,
               LATERAL (SELECT next_offset, head, received_us FROM chain_head AS h
                        WHERE h.log_id = checkpoint.log_id AND h.partition = checkpoint.partition
                        ORDER BY next_offset DESC LIMIT 1) AS last
           WHERE log_id = %s ORDER BY partition""",
        (log_id,),
    )
    return {
        row[0]: (DayRange(row[0], int(row[1]), int(row[2]), bytes(row[3]), bytes(row[4])), int(row[5]))
        for row in rows
    }


def closed_ranges(
    connection: Connection[Any], log_id: str, days: Iterable[date]
) -> dict[date, list[DayRange]]:
    """The closed ranges of all partitions of these service days."""
    return _by_day(connection, "log_id = %s AND service_day = ANY(%s)", (log_id, list(days)))


def days_holding(
    connection: Connection[Any], log_id: str, partition: int, offsets: Sequence[int]
) -> set[date]:
    """The closed service days whose range in a partition holds any of these offsets."""
    rows = connection.execute(
        """SELECT DISTINCT service_day FROM day_head, unnest(%s::bigint[]) AS wanted (log_offset)
           WHERE log_id = %s AND partition = %s AND log_offset >= first_offset AND log_offset < next_offset""",
        (list(offsets), log_id, partition),
    )
    return {row[0] for row in rows}


def unsigned(connection: Connection[Any], log_id: str, before: date) -> dict[date, list[DayRange]]:
    """The ranges of the service days before a day of which nothing is signed yet."""
    return _by_day(
        connection,
        """log_id = %s AND service_day < %s AND NOT EXISTS (
               SELECT FROM day_digest WHERE day_digest.log_id = day_head.log_id
                 AND day_digest.service_day = day_head.service_day)""",
        (log_id, before),
    )


def _by_day(connection: Connection[Any], where: str, parameters: Sequence[Any]) -> dict[date, list[DayRange]]:
    rows = connection.execute(
        f"""SELECT service_day, partition, first_offset, next_offset, first_head, head FROM day_head
            WHERE {where} ORDER BY service_day, partition""".encode(),  # noqa: S608 - the conditions are our own
        parameters,
    )
    found: dict[date, list[DayRange]] = {}
    for day, partition, first, following, first_head, head in rows:
        one = DayRange(partition, int(first), int(following), bytes(first_head), bytes(head))
        found.setdefault(day, []).append(one)
    return found


_SIGNED = "log_id, service_day, digest, signature, public_key"


def keep(connection: Connection[Any], signed: Signed, closed_us: int) -> None:
    """Keep a signed digest; where one is kept already, that one stays."""
    connection.execute(
        """INSERT INTO day_digest (log_id, service_day, digest, signature, public_key, closed_us)
           VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        (
            signed.log_id,
            signed.service_day,
            signed.digest,
            signed.signature,
            signed.public_key,
            closed_us,
        ),
    )


def signed_days(connection: Connection[Any], log_id: str, days: Iterable[date]) -> list[Signed]:
    """What is signed of these service days, in their order."""
    return _signed(connection, "log_id = %s AND service_day = ANY(%s)", (log_id, list(days)))


def unpublished(connection: Connection[Any], log_id: str) -> list[Signed]:
    """The signed digests that nobody was told of yet, in order of their days."""
    return _signed(connection, "log_id = %s AND published_at IS NULL", (log_id,))


def published(connection: Connection[Any], log_id: str, day: date) -> None:
    """Note that the digest of a day was published."""
    connection.execute(
        "UPDATE day_digest SET published_at = now() WHERE log_id = %s AND service_day = %s", (log_id, day)
    )


def _signed(connection: Connection[Any], where: str, parameters: Sequence[Any]) -> list[Signed]:
    rows = connection.execute(
        f"SELECT {_SIGNED} FROM day_digest WHERE {where} ORDER BY service_day".encode(),  # noqa: S608
        parameters,
    )
    return [Signed(row[0], row[1], *map(bytes, row[2:])) for row in rows]
