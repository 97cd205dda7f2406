"""Original records of the table log, packed: a few bytes where a row takes hundreds, byte for byte the same.

A pack holds consecutive records of one partition as columns: keys and topics as indices into those that differ,
differences of received_us, and all payloads, sorted by unit, so that each lies behind one that it resembles.
The columns are a msgpack map, compressed by zstandard, behind a digest that finds any byte that changed.

Packing moves records from the log into a pack in one transaction. Readers find them in either place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray
from psycopg import Connection

from storage import log_table
from storage.log_table import Place

#: What a pack holds at most; a record that alone is larger has a pack of its own.
RECORDS_MAX = 10_000
BYTES_MAX = 16 << 20
#: Higher levels take ten times as long for a tenth less.
_LEVEL = 9
_MAGIC = b"swept-pack-1\n"
_DIGEST_BYTES = 16


class PackDamaged(Exception):  # noqa: N818 - it is what happened to it
    """A pack isn't what was written; the message says which and how."""


class Unpacked(NamedTuple):
    """What of a partition's log may be packed: committed and chained, and up to where its days are closed.

    `held_bytes` is the payload that a table log holds of the partition; of another log it isn't told.
    """

    partition: int
    first_offset: int
    next_offset: int
    closed_offset: int
    held_bytes: int = 0


class _Columns(msgspec.Struct, forbid_unknown_fields=True):
    """Numbers are little-endian and cut into planes of one byte each, lowest first."""

    partition: int
    first_offset: int
    keys: list[str]
    topics: list[str]
    key: bytes
    topic: bytes
    received_us_steps: bytes
    sizes: bytes
    payloads: bytes


def encode(records: Sequence[Place]) -> bytes:
    """The pack of consecutive records of one partition, at least one."""
    first = records[0]
    for before, after in pairwise(records):
        if (after.partition, after.offset) != (before.partition, before.offset + 1):
            raise ValueError(f"offset {after.offset} doesn't follow {before.offset}")
    keys, key = _coded(record.key for record in records)
    topics, topic = _coded(record.mqtt_topic for record in records)
    received_us = np.array([record.received_us for record in records], dtype=np.int64)
    order = np.lexsort((topic, key)).tolist()
    columns = _Columns(
        partition=first.partition,
        first_offset=first.offset,
        keys=keys,
        topics=topics,
        key=_planes(key),
        topic=_planes(topic),
        # Whatever a clock says, a difference that overflows comes back by overflowing again.
        received_us_steps=_planes(np.diff(received_us, prepend=np.int64(0))),
        sizes=_planes(np.array([len(record.payload) for record in records])),
        payloads=b"".join(records[place].payload for place in order),
    )
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)
    body = compressor.compress(msgspec.msgpack.encode(columns))
    return _MAGIC + _digest(body) + body


def decode(pack: bytes) -> list[Place]:
    """The records of a pack in order of offset; raises PackDamaged."""
    at = len(_MAGIC) + _DIGEST_BYTES
    body = pack[at:]
    if pack[: len(_MAGIC)] != _MAGIC:
        raise PackDamaged("it doesn't begin as a pack of version 1")
    if _digest(body) != pack[len(_MAGIC) : at]:
        raise PackDamaged("its bytes don't fit its checksum")
    columns = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(body), type=_Columns)
    sizes = _numbers(columns.sizes)
    key, topic = _numbers(columns.key), _numbers(columns.topic)
    received_us = np.cumsum(_numbers(columns.received_us_steps)).tolist()
    order = np.lexsort((topic, key))
    ends = np.empty(len(sizes), dtype=np.int64)
    ends[order] = list(accumulate(sizes[order].tolist()))
    return [
        Place(
            columns.partition,
            columns.first_offset + row,
            columns.keys[key[row]],
            columns.topics[topic[row]],
            columns.payloads[end - size : end],
            received_us[row],
        )
        for row, (end, size) in enumerate(zip(ends.tolist(), sizes.tolist(), strict=True))
    ]


def unpacked(connection: Connection[Any], log_id: str, partitions: Collection[int]) -> list[Unpacked]:
    """What may be packed; nothing of a log that isn't this database's own."""
    rows = connection.execute(
        """SELECT p.partition, p.first_offset,
                  greatest(p.first_offset, least(c.next_offset, coalesce((
                      SELECT max(next_offset) FROM chain_head AS h
                      WHERE h.log_id = c.log_id AND h.partition = c.partition), 0))),
                  coalesce((SELECT max(next_offset) FROM day_head AS d
                            WHERE d.log_id = c.log_id AND d.partition = c.partition), 0),
                  p.bytes
           FROM log JOIN checkpoint AS c USING (log_id) JOIN log_partition AS p USING (partition)
           WHERE log_id = %s AND p.partition = ANY(%s) ORDER BY p.partition""",
        (log_id, sorted(partitions)),
    ).fetchall()
    return [Unpacked(*map(int, row)) for row in rows]


def unpacked_elsewhere(connection: Connection[Any], log_id: str, firsts: Mapping[int, int]) -> list[Unpacked]:
    """The same of a log that isn't in this database, from the oldest record on that it has and no pack has."""
    rows = connection.execute(
        """SELECT partition, first_offset,
                  greatest(first_offset, least(next_offset, coalesce((
                      SELECT max(h.next_offset) FROM chain_head AS h
                      WHERE h.log_id = %s AND h.partition = c.partition), 0))),
                  coalesce((SELECT max(d.next_offset) FROM day_head AS d
                            WHERE d.log_id = %s AND d.partition = c.partition), 0)
           FROM (SELECT partition, checkpoint.next_offset,
                        greatest(kept.first_offset, (SELECT max(p.next_offset) FROM raw_pack AS p
                                                     WHERE p.log_id = %s AND p.partition = kept.partition))
                            AS first_offset
                 FROM unnest(%s::integer[], %s::bigint[]) AS kept (partition, first_offset)
                 JOIN checkpoint USING (partition) WHERE log_id = %s) AS c
           ORDER BY partition""",
        (log_id, log_id, log_id, list(firsts), list(firsts.values()), log_id),
    ).fetchall()
    return [Unpacked(*map(int, row)) for row in rows]


def pack(
    connection: Connection[Any],
    log_id: str,
    partition: int,
    upto_offset: int,
    *,
    records_max: int = RECORDS_MAX,
    bytes_max: int = BYTES_MAX,
) -> int:
    """Move the log's oldest records into one pack, those before `upto_offset` at most; how many these were.

    Only what is committed and chained moves: nobody who reads the log for the first time misses it. It takes a
    transaction of its own.
    """
    (state,) = unpacked(connection, log_id, [partition]) or (Unpacked(partition, 0, 0, 0),)
    upto = min(upto_offset, state.next_offset, state.first_offset + records_max)
    upto = min(upto, _bounded(connection, partition, state.first_offset, upto, bytes_max))
    if upto <= state.first_offset:
        return 0
    count = upto - state.first_offset
    records = log_table.read(connection, {partition: state.first_offset}, count, count)
    if [record.offset for record in records] != list(range(state.first_offset, upto)):
        return 0  # somebody else packed or trimmed them just now
    packed = encode(records)
    with connection.transaction():
        if not _insert(connection, log_id, records, packed):
            return 0  # somebody else did
        log_table.trim(connection, {partition: upto})
    return count


def put(connection: Connection[Any], log_id: str, records: Sequence[Place]) -> bool:
    """Keep consecutive records of a log that isn't in this database as a pack; False where there is one already.

    Raises ValueError where they aren't consecutive.
    """
    return _insert(connection, log_id, records, encode(records))


def records_at(
    connection: Connection[Any], log_id: str, partition: int, offsets: Iterable[int]
) -> list[Place]:
    """The records at these offsets, in order, from the log or from packs; those that are gone are left out.

    Raises PackDamaged, which names the pack.
    """
    wanted = sorted(set(offsets))
    # The log first: what is moved meanwhile is in a pack by the time that packs are read.
    found = {record.offset: record for record in log_table.records_at(connection, log_id, partition, wanted)}
    missing = [offset for offset in wanted if offset not in found]
    if missing:
        asked = set(missing)
        for records in _packs(connection, log_id, partition, missing):
            found |= {record.offset: record for record in records if record.offset in asked}
    return [found[offset] for offset in wanted if offset in found]


def following(
    connection: Connection[Any], log_id: str, partition: int, offset: int, records_max: int
) -> list[Place]:
    """The packed records from an offset on, of one pack; none where the offset isn't in a pack."""
    for records in _packs(connection, log_id, partition, [offset]):
        skipped = offset - records[0].offset
        return records[skipped : skipped + records_max]
    return []


def _packs(
    connection: Connection[Any], log_id: str, partition: int, offsets: Sequence[int]
) -> Iterable[list[Place]]:
    """The records of each pack that has one of the offsets, pack by pack."""
    firsts = connection.execute(
        """SELECT first_offset FROM raw_pack
           WHERE log_id = %s AND partition = %s AND next_offset > %s AND first_offset <= %s
             AND EXISTS (SELECT FROM unnest(%s::bigint[]) AS wanted
                         WHERE wanted >= first_offset AND wanted < next_offset)
           ORDER BY first_offset""",
        (log_id, partition, offsets[0], offsets[-1], list(offsets)),
    ).fetchall()
    for (first,) in firsts:
        row = (
            connection.cursor(binary=True)
            .execute(
                """SELECT next_offset, pack FROM raw_pack
               WHERE log_id = %s AND partition = %s AND first_offset = %s""",
                (log_id, partition, first),
            )
            .fetchone()
        )
        if row is None:
            continue
        which = f"the pack of partition {partition}, offsets {first} to {row[0] - 1}, of log {log_id}"
        try:
            records = decode(row[1])
        except PackDamaged as damage:
            raise PackDamaged(f"{which} is damaged: {damage}") from None
        if (records[0].partition, records[0].offset, len(records)) != (partition, first, row[0] - first):
            raise PackDamaged(f"{which} is damaged: it holds other records")
        yield records


def _insert(connection: Connection[Any], log_id: str, records: Sequence[Place], packed: bytes) -> bool:
    received_us = [record.received_us for record in records]
    place = log_id, records[0].partition, records[0].offset, records[-1].offset + 1
    done = connection.execute(
        """INSERT INTO raw_pack (log_id, partition, first_offset, next_offset, first_received_us,
                                 last_received_us, payload_bytes, pack)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %b) ON CONFLICT DO NOTHING""",
        (*place, min(received_us), max(received_us), sum(len(record.payload) for record in records), packed),
    )
    return done.rowcount > 0


def _bounded(connection: Connection[Any], partition: int, first: int, upto: int, bytes_max: int) -> int:
    """The offset before which the records from `first` on fit into a pack."""
    row = connection.execute(
        """SELECT max("offset") + 1 FROM (
               SELECT "offset", sum(octet_length(payload)) OVER (ORDER BY "offset") AS so_far
               FROM log_record WHERE partition = %s AND "offset" >= %s AND "offset" < %s) AS sized
           WHERE so_far <= %s OR "offset" = %s""",
        (partition, first, upto, bytes_max, first),
    ).fetchone()
    return first if row is None or row[0] is None else int(row[0])


def _coded(texts: Iterable[str]) -> tuple[list[str], NDArray[np.int64]]:
    known: dict[str, int] = {}
    codes = [known.setdefault(text, len(known)) for text in texts]
    return list(known), np.array(codes, dtype=np.int64)


def _planes(numbers: NDArray[np.int64]) -> bytes:
    return np.ascontiguousarray(numbers.astype("<i8").view(np.uint8).reshape(-1, 8).T).tobytes()


def _numbers(planes: bytes) -> NDArray[np.int64]:
    rows = np.frombuffer(planes, dtype=np.uint8).reshape(8, -1).T
    return np.ascontiguousarray(rows).view("<i8").reshape(-1).astype(np.int64)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
