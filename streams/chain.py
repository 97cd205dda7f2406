"""The chain over the records of a batch: the part of step 8 that comes before the positions move.

A day is the stretch of offsets that the first record, or tick, closes that was received after its end; what is
received later with an earlier time (a clock was set back) belongs to the day that is open then.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from psycopg import Connection

from processing.chain import Chain, link, payload_hash
from processing.service_day import day_start_us, service_day
from storage import chain as store
from storage.chain import Head
from streams.log import Record

Zone = tuple[int, str]
"""When a service day begins: seconds of local clock from midnight, and the time zone."""


def extend(connection: Connection[Any], log_id: str, records: Iterable[Record], zone: Zone) -> None:
    """Chain records, in order of offset, within the transaction that holds their partitions' positions.

    A record that is chained already, because its partition is read again from an earlier position, is passed
    over.
    """
    by_partition: dict[int, list[Record]] = {}
    for record in records:
        by_partition.setdefault(record.partition, []).append(record)
    heads = store.newest(connection, log_id, by_partition)
    after: dict[int, Head] = {}
    for partition, mine in sorted(by_partition.items()):
        known = heads.get(partition)
        fresh = mine if known is None else [one for one in mine if one.offset >= known.next_offset]
        if fresh:
            after[partition] = _extend(connection, log_id, fresh, known, zone)
    if after:
        store.put(connection, log_id, after)


def _extend(
    connection: Connection[Any],
    log_id: str,
    records: list[Record],
    known: Head | None,
    zone: Zone,
) -> Head:
    """The head after records of one partition; the days that they close are closed."""
    first = records[0]
    partition, chain = first.partition, Chain(log_id, first.partition)
    if known is None:
        known = Head(first.offset, chain.start(first.offset), first.envelope.received_us)
        store.put(connection, log_id, {partition: known})
    head, latest_us = known.head, known.received_us
    day = service_day(latest_us, *zone)
    end_us = day_start_us(day + timedelta(days=1), *zone)
    for record in records:
        sent = record.envelope
        latest_us = max(latest_us, sent.received_us)
        if latest_us >= end_us:
            store.close_day(connection, log_id, partition, day, Head(record.offset, head, latest_us))
            day = service_day(latest_us, *zone)
            end_us = day_start_us(day + timedelta(days=1), *zone)
        hashed = payload_hash(sent.payload)
        own = chain.record_hash(record.offset, sent.key, sent.mqtt_topic, sent.received_us, hashed)
        head = link(head, own)
    return Head(records[-1].offset + 1, head, latest_us)
