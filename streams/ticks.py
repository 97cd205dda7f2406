"""Ticks: records without a report, by which a log says that time went on.

Ingest appends one to each partition every ten minutes of the district's clock. So a night in which no unit
reports closes its day too, and a replay of the log sees when it did: time comes with the data.
"""

from __future__ import annotations

from itertools import count

from streams.log import Envelope, partition_of


def tick_topic(district_id: str) -> str:
    """The topic of a tick; it is no unit's, and nobody can publish to it from outside."""
    return f"swept/v1/{district_id}/tick"


def tick_keys(partitions: int) -> list[str]:
    """For each partition a key that leads to it."""
    return [
        next(key for key in map("tick-{}".format, count()) if partition_of(key, partitions) == partition)
        for partition in range(partitions)
    ]


def ticks(district_id: str, partitions: int, received_us: int) -> list[Envelope]:
    """A tick for each partition."""
    topic = tick_topic(district_id)
    return [Envelope(key, topic, b"", received_us) for key in tick_keys(partitions)]
