"""The hash chain over the log's records, and the digest of a service day.

Each partition has a chain of its own, in the order of offsets: link = SHA-256(previous link || record hash).
The link after the last record of a stretch is its head, and stands for every byte of every record before it.
A record's hash holds its payload by the payload's own SHA-256, so that a record can be named, and its place,
unit and time proven, without its payload. All encodings are unambiguous: each begins with its own tag, and
what has no fixed length stands behind its length. How records are grouped makes no difference.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import NamedTuple

_RECORD = b"swept record 1\n"
_START = b"swept chain 1\n"
_DAY = b"swept day 1\n"
_PLACE = struct.Struct(">qqII32s")
_RANGE = struct.Struct(">qqq32s")


class DayRange(NamedTuple):
    """The records of one partition that a service day holds, from `first_offset` on and before `next_offset`."""

    partition: int
    first_offset: int
    next_offset: int
    first_head: bytes
    head: bytes


def payload_hash(payload: bytes) -> bytes:
    """SHA-256 of a payload."""
    return hashlib.sha256(payload).digest()


class Chain:
    """The arithmetic of one partition of one log."""

    __slots__ = ("_prefix", "_start")

    def __init__(self, log_id: str, partition: int) -> None:
        own = _text(log_id) + partition.to_bytes(8, "big", signed=True)
        self._prefix = hashlib.sha256(_RECORD + own)
        self._start = _START + own

    def start(self, first_offset: int) -> bytes:
        """The head of a chain whose first record has this offset, before that record."""
        return hashlib.sha256(self._start + first_offset.to_bytes(8, "big", signed=True)).digest()

    def record_hash(
        self, offset: int, key: str, mqtt_topic: str, received_us: int, payload_sha256: bytes
    ) -> bytes:
        """The hash of a record at an offset; `payload_sha256` is `payload_hash` of its payload."""
        name, topic = key.encode(), mqtt_topic.encode()
        digest = self._prefix.copy()
        digest.update(_PLACE.pack(offset, received_us, len(name), len(topic), payload_sha256) + name + topic)
        return digest.digest()


def link(head: bytes, record_hash: bytes) -> bytes:
    """The head after one more record."""
    return hashlib.sha256(head + record_hash).digest()


def day_digest(log_id: str, district_id: str, day: str, ranges: Iterable[DayRange]) -> bytes:
    """What is signed of a service day (ISO date): the heads of all partitions that had records in it."""
    digest = hashlib.sha256(_DAY + _text(log_id) + _text(district_id) + _text(day))
    for one in sorted(ranges):
        digest.update(_RANGE.pack(one.partition, one.first_offset, one.next_offset, one.head))
    return digest.digest()


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(4, "big") + encoded
