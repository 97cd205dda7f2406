"""The log: original bytes in partitions, in one order that every reader sees.

Two implementations stand behind this protocol and pass one contract test: a table in the store (embedded)
and a Kafka topic (full). A record's place is (log_id, partition, offset); all records of one unit are in
one partition, in the order in which they were appended.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

NO_ACKS: Mapping[str, int] = MappingProxyType({})


class LogUnavailable(Exception):  # noqa: N818 - says what is the case
    """The log can't be reached now; trying again later is right."""


class LogFull(Exception):  # noqa: N818 - says what is the case
    """The log holds as much as it may; nothing was appended. Trim it, or raise its bound."""


class LogRefused(Exception):  # noqa: N818 - says what is the case
    """The log can't hold one of these records or acks, now or ever; nothing was appended."""


class LogTrimmed(Exception):  # noqa: N818 - says what is the case
    """A position lies below the oldest record that is kept: going on would skip records."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message as it came: the payload's own bytes, its topic, and when ingest first saw it."""

    key: str
    mqtt_topic: str
    payload: bytes
    received_us: int


@dataclass(frozen=True, slots=True)
class Record:
    """An envelope and its place in the log."""

    partition: int
    offset: int
    envelope: Envelope


class Log(Protocol):
    """What ingest appends to and workers read from."""

    @property
    def log_id(self) -> str:
        """Tells this log from any other, so that a position is never used on the wrong one."""

    @property
    def partitions(self) -> int:
        """Number of partitions, fixed when the log was made."""

    @property
    def in_store(self) -> bool:
        """Whether the records are in tables of the store, so that it can move them in its transactions."""

    def append(self, envelopes: Sequence[Envelope], acks: Mapping[str, int] = NO_ACKS) -> None:
        """Return once all envelopes and acks are durable, envelopes in order per key.

        Raises LogUnavailable, LogFull or LogRefused and appends none otherwise; where the connection broke while
        committing, some may be there all the same, so who tries again appends at least once. `acks` are
        device acknowledgements by unit, true once these envelopes are durable: the table log writes them in
        the same transaction, a Kafka log afterwards (one that is behind makes a device send again, no more).
        """

    def acks(self, keys: Iterable[str]) -> dict[str, int]:
        """The last acknowledgement of each unit that has one (Kafka: the compacted topic, read at start)."""

    def clock(self) -> bytes | None:
        """The district clock's payload as last set; None: the wall clock."""

    def set_clock(self, payload: bytes) -> None:
        """Return once the district clock is durable; b"" removes it (Kafka: one key, compacted)."""

    def read(self, positions: Mapping[int, int], records_max: int) -> list[Record]:
        """The next records of each partition from its offset on, at most `records_max` in all.

        Raises LogTrimmed where an offset is older than all that is kept; Kafka also where it is beyond the end.
        """

    def share(self) -> frozenset[int]:
        """The partitions that this reader is to process now; others have the rest. It may be empty, and change."""

    def done(self, positions: Mapping[int, int]) -> None:
        """Tell monitoring how far these partitions are processed. Nobody goes on from there; it never raises."""

    def firsts(self) -> dict[int, int]:
        """The oldest offset of each partition that the log itself still has; its end where it has none."""

    def ends(self) -> dict[int, int]:
        """The offset that each partition's next record will get."""

    def trim(self, before: Mapping[int, int]) -> int:
        """Delete the records of each partition below an offset; how many these were."""

    def wait(self, timeout_s: float) -> None:
        """Return when something may have been appended, or when the time is over."""

    def close(self) -> None:
        """Let go of connections."""


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: the same in every process and on every machine."""
    return zlib.crc32(key.encode()) % partitions
