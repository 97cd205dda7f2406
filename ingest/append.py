"""An append that no single message can stop.

Where the log refuses a batch for what is in it, its halves are appended, down to the records that it
refuses. Such a record goes in without its key, under a topic that is no unit's, with its own payload: so
processing refuses it and keeps its bytes among the dead letters. Where not even that is taken, the fault
isn't the record's: the log counts as away, and nothing is acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.log import Envelope, Log, LogRefused, LogUnavailable

REFUSED = "refused/"
"""What stands before the topic of a record that the log refused as it came."""
TOPIC_MAX = 1_000


class Refused(NamedTuple):
    """What the log didn't take as it came: how many records, and the acks it can't remember."""

    records: int = 0
    acks: frozenset[str] = frozenset()
    why: str = ""


def append(log: Log, envelopes: Sequence[Envelope], acks: Mapping[str, int]) -> Refused:
    """Append all, envelopes in order per key and acks not before them; raises LogUnavailable or LogFull."""
    try:
        log.append(envelopes, acks)
    except LogRefused as error:
        records = _append_records(log, envelopes)
        return Refused(records, frozenset(_append_acks(log, sorted(acks.items()))), str(error))
    return Refused()


def _append_records(log: Log, envelopes: Sequence[Envelope]) -> int:
    """How many were set aside."""
    if not envelopes:
        return 0
    try:
        log.append(envelopes)
    except LogRefused:
        if len(envelopes) == 1:
            _set_aside(log, envelopes[0])
            return 1
        half = len(envelopes) // 2
        return _append_records(log, envelopes[:half]) + _append_records(log, envelopes[half:])
    return 0


def _set_aside(log: Log, envelope: Envelope) -> None:
    topic = envelope.mqtt_topic.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")
    try:
        log.append([Envelope("", (REFUSED + topic)[:TOPIC_MAX], envelope.payload, envelope.received_us)])
    except LogRefused as error:
        raise LogUnavailable(f"{error} (and so of every record)") from error


def _append_acks(log: Log, acks: Sequence[tuple[str, int]]) -> list[str]:
    """The units whose acks were refused."""
    if not acks:
        return []
    try:
        log.append([], dict(acks))
    except LogRefused:
        if len(acks) == 1:
            return [acks[0][0]]
        half = len(acks) // 2
        return _append_acks(log, acks[:half]) + _append_acks(log, acks[half:])
    return []
