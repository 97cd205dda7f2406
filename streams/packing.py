"""The step between batches that packs what the worker is done with (storage/raw_packs.py, raw.py)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from psycopg import Connection

from storage import raw_packs
from streams import raw
from streams.log import Log

#: A pack of fewer records compresses less; those of a closed day are packed however few they are.
RECORDS_MIN = 5_000
#: Large records are packed sooner, or a log that may hold so and so much would be full of what is done.
BYTES_MIN = raw_packs.BYTES_MAX


def due(connection: Connection[Any], log: Log, partitions: Collection[int]) -> int:
    """Make at most one pack, of the partition with the most to pack; how many records were moved.

    To be called between batches, outside of a transaction. It touches nothing that isn't committed.
    """
    most, upto = None, 0
    for one in raw.unpacked(connection, log, partitions):
        many = one.next_offset - one.first_offset >= RECORDS_MIN or one.held_bytes >= BYTES_MIN
        end = one.next_offset if many else one.closed_offset
        if end > one.first_offset and (most is None or end - one.first_offset > upto - most.first_offset):
            most, upto = one, end
    return 0 if most is None else raw.pack(connection, log, most, upto)
