"""Original records by their places, wherever they are by now: in the log, or in a pack of the store.

The table log's are moved into a pack in one transaction (storage/raw_packs.py). Another log's are copied
into a pack first and trimmed then: killed in between, it leaves them in both places, and the next step
trims them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from psycopg import Connection

from storage import raw_packs
from storage.log_table import Place
from storage.raw_packs import Unpacked
from streams.log import Log, LogTrimmed

_READ_MAX = 2_000


def records_at(
    connection: Connection[Any], log: Log | None, log_id: str, partition: int, offsets: Iterable[int]
) -> list[Place]:
    """The records at these offsets, in order; those that are gone are left out.

    Raises PackDamaged, and LogUnavailable. Without `log` only what the store has is found.
    """
    wanted = sorted(set(offsets))
    if log is None or log.in_store or log.log_id != log_id or not wanted:
        return raw_packs.records_at(connection, log_id, partition, wanted)
    # The log first: what is moved meanwhile is in a pack by the time that packs are read.
    asked = set(wanted)
    first = max(wanted[0], log.firsts()[partition])
    found = {one.offset: one for one in _kept(log, partition, first, wanted[-1] + 1) if one.offset in asked}
    missing = [offset for offset in wanted if offset not in found]
    if missing:
        found |= {one.offset: one for one in raw_packs.records_at(connection, log_id, partition, missing)}
    return [found[offset] for offset in wanted if offset in found]


def unpacked(connection: Connection[Any], log: Log, partitions: Collection[int]) -> list[Unpacked]:
    """What of these partitions may be packed: committed, chained, and not packed yet."""
    if log.in_store:
        return raw_packs.unpacked(connection, log.log_id, partitions)
    firsts = log.firsts()
    found = raw_packs.unpacked_elsewhere(connection, log.log_id, {one: firsts[one] for one in partitions})
    both = {one.partition: one.first_offset for one in found if one.first_offset > firsts[one.partition]}
    if both:  # killed after copying, before trimming
        log.trim(both)
    return found


def pack(connection: Connection[Any], log: Log, one: Unpacked, upto_offset: int) -> int:
    """Move the oldest unpacked records of a partition into one pack; how many these were.

    Raises ValueError where the log lacks one of them: a pack has no holes.
    """
    if log.in_store:
        return raw_packs.pack(connection, log.log_id, one.partition, upto_offset)
    upto = min(upto_offset, one.next_offset, one.first_offset + raw_packs.RECORDS_MAX)
    try:
        records = _bounded(_kept(log, one.partition, one.first_offset, upto))
    except LogTrimmed:
        return 0  # somebody else packed and trimmed them just now
    if not records:
        return 0
    if records[0].offset != one.first_offset:
        raise ValueError(f"partition {one.partition} of the log has no record {one.first_offset}")
    if not raw_packs.put(connection, log.log_id, records):
        return 0  # somebody else did
    log.trim({one.partition: records[-1].offset + 1})
    return len(records)


def _kept(log: Log, partition: int, first: int, upto: int) -> Iterable[Place]:
    """The records that the log itself has from an offset on, before another."""
    upto = min(upto, log.ends()[partition])
    while first < upto:
        read = log.read({partition: first}, min(_READ_MAX, upto - first))
        if not read:
            return
        for record in read:
            if record.offset < upto:
                sent = record.envelope
                yield Place(
                    partition, record.offset, sent.key, sent.mqtt_topic, sent.payload, sent.received_us
                )
        first = read[-1].offset + 1


def _bounded(records: Iterable[Place]) -> list[Place]:
    """As many as a pack holds, at least one."""
    taken: list[Place] = []
    total = 0
    for record in records:
        total += len(record.payload)
        if taken and total > raw_packs.BYTES_MAX:
            break
        taken.append(record)
    return taken
