"""What ingest makes of a message without interpreting it: key, received_at, and the seq to acknowledge.

Pure: no clock, no network. A payload stays the device's own bytes; only `seq` is looked for in it, because
a device keeps a report until `.../ack` names the highest seq such that all up to it are durable. `advance`
is that rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec

from processing.service_day import to_us

UNIT_ID_MAX = 64
"""Characters of the longest unit id that a district can have; a longer one is nobody's."""
SEQ_MAX = 2**63 - 1
"""What the log's table holds; a larger seq is no seq."""
RESET_SEQ = 100_000
"""A seq this far below the last one isn't a resend: the device's counter started again."""
LOST_US = 20_000_000
"""A device resends from its oldest report after 30 s; what it skips again after 20 s it no longer has."""
LOST_SHARED_US = 600_000_000
"""The same where others share the work: what is missing may lie in the session of one of them that is away."""
DURABLE_MAX = 2_000_000
"""Seqs of one unit in one message to the other members: more than a batch can hold."""
AHEAD_MAX = 4_096
"""Seqs beyond a hole that are remembered per unit; more than that and the device must send them again."""


class TopicError(ValueError):
    """Not a topic of the device contract."""


class ClockError(ValueError):
    """Not a district clock; the message says what is wrong."""


def unit_of(mqtt_topic: str, district_id: str) -> str:
    """The unit in swept/v1/{district}/{unit}/{kind}: the key of the log."""
    parts = mqtt_topic.split("/")
    if len(parts) != 5 or parts[:3] != ["swept", "v1", district_id]:
        raise TopicError(f"{mqtt_topic!r} is not swept/v1/{district_id}/UNIT/KIND")
    if len(parts[3]) > UNIT_ID_MAX:
        raise TopicError(f"a unit's id has at most {UNIT_ID_MAX} characters, not {len(parts[3])}")
    return parts[3]


def bounded(mqtt_topic: str) -> str:
    """The topic, where any level that is too long for a unit has its first part, length and digest only."""
    return "/".join(map(_bounded_level, mqtt_topic.split("/")))


def _bounded_level(level: str) -> str:
    if len(level) <= UNIT_ID_MAX:
        return level
    digest = hashlib.sha256(level.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{level[:UNIT_ID_MAX]}... ({len(level)} characters, SHA-256 {digest})"


def ack_topic(district_id: str, unit_id: str) -> str:
    """Where a unit hears which of its reports are durable."""
    return f"swept/v1/{district_id}/{unit_id}/ack"


def durable_topic(district_id: str) -> str:
    """Where those who share the work of ingest tell each other which reports are durable."""
    return f"swept/v1/{district_id}/durable"


def clock_topic(district_id: str) -> str:
    """Where the district clock is set."""
    return f"swept/v1/{district_id}/clock"


# The district clock


@dataclass(frozen=True, slots=True)
class DistrictClock:
    """now = start + rate * (wall clock - wall), microseconds; the wall clock itself by default.

    It stands still at the ends of `CLOCK_US`: a fast one would soon leave what a calendar and a database hold.
    """

    start_us: int = 0
    rate: float = 1.0
    wall_us: int = 0

    def now_us(self, wall_now_us: int) -> int:
        """The district's time at a moment of the wall clock."""
        passed_us = wall_now_us - self.wall_us
        if self.rate != 1.0:  # else exact, where a float would not be
            passed_us = round(self.rate * passed_us)
        return min(max(self.start_us + passed_us, CLOCK_US[0]), CLOCK_US[1])


class _Clock(msgspec.Struct):
    start: datetime
    wall: datetime
    rate: float = 1.0


_clock_decoder = msgspec.json.Decoder(_Clock)
RATE_MAX = 1e6
CLOCK_US = (0, 7_258_118_400_000_000)
"""1970 to 2200: outside of it no district's clock is set, nor runs."""


def parse_clock(payload: bytes | None) -> DistrictClock:
    """The clock of a payload {"start": RFC3339, "rate": 160.0, "wall": RFC3339}; the wall clock if empty."""
    if not payload:
        return DistrictClock()
    try:
        clock = _clock_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ClockError(f"not a district clock: {error}") from None
    if clock.start.tzinfo is None or clock.wall.tzinfo is None:
        raise ClockError("not a district clock: start and wall need a zone")
    if not 0 < clock.rate <= RATE_MAX:
        raise ClockError(f"not a district clock: rate must be above 0 and at most {RATE_MAX:g}")
    start_us, wall_us = to_us(clock.start), to_us(clock.wall)
    if not all(CLOCK_US[0] <= moment_us < CLOCK_US[1] for moment_us in (start_us, wall_us)):
        raise ClockError("not a district clock: start and wall must be from 1970 to 2199")
    return DistrictClock(start_us, clock.rate, wall_us)


# Which seq a message carries


class _Seq(msgspec.Struct):
    seq: int | None = None


_fast_decoder = msgspec.json.Decoder(_Seq | list[_Seq])
_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_seq_decoder = msgspec.json.Decoder(_Seq)


def seqs_of(payload: bytes) -> tuple[int, ...]:
    """The seqs in an object or an array of objects, in their order; whatever has none gives none."""
    try:
        found = _fast_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _seqs_one_by_one(payload)
    if isinstance(found, _Seq):
        return (found.seq,) if _is_seq(found.seq) else ()  # type: ignore[return-value]
    return tuple(each.seq for each in found if _is_seq(each.seq))


def _seqs_one_by_one(payload: bytes) -> tuple[int, ...]:
    """A bad element beside good ones costs only itself."""
    seqs = []
    try:
        for raw in _raw_list_decoder.decode(payload):
            try:
                seq = _seq_decoder.decode(raw).seq
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
            if seq is not None and _is_seq(seq):
                seqs.append(seq)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
    return tuple(seqs)


def _is_seq(seq: int | None) -> bool:
    return seq is not None and 0 <= seq <= SEQ_MAX


# Which seq is acknowledged


class Frontier(NamedTuple):
    """How far a unit's reports are durable.

    `seq`: all up to it are; None: no report yet. `ahead`: durable beyond a hole, so that a hole that is
    filled later counts them. `hole_us`: when the first of those was first seen.
    """

    seq: int | None = None
    ahead: frozenset[int] = frozenset()
    hole_us: int = 0


def advance(frontier: Frontier, seqs: Iterable[int], now_us: int, lost_us: int = LOST_US) -> Frontier:
    """The frontier once reports with these seqs are durable too; `now_us` of any clock that is never set back.

    The next one in turn moves it. A first one, or one of a counter that started again, sets it. One at or
    below it is a resend. One beyond a hole doesn't move it: what is missing was lost on the way and the
    device will send it again; unless it begins there again `lost_us` later, for then it no longer has it.
    """
    found = tuple(seqs)
    if frontier.seq is not None and not frontier.ahead:
        next_seq = frontier.seq + 1
        if found and found == tuple(range(next_seq, next_seq + len(found))):
            return Frontier(found[-1])  # as nearly all messages do
    for seq in found:
        frontier = _advance_one(frontier, seq, now_us, lost_us)
    return frontier


def joined(frontier: Frontier, seq: int) -> Frontier:
    """The frontier, where the log says that all up to `seq` are durable."""
    if frontier.seq is not None and seq <= frontier.seq:
        return frontier
    return _absorb(seq, frontier)


class _Durable(msgspec.Struct):
    unit: str
    seqs: list[tuple[int, int]]


_durable_decoder = msgspec.json.Decoder(list[_Durable])
_durable_encoder = msgspec.json.Encoder()


def durable_payload(seqs: Mapping[str, Sequence[int]]) -> bytes:
    """What a member tells the others: by unit, the first and last of each run of seqs that are durable now."""
    return _durable_encoder.encode([_Durable(unit_id, _runs(found)) for unit_id, found in seqs.items()])


def parse_durable(payload: bytes) -> dict[str, list[int]]:
    """What another member told; nothing of what can't be read or claims too much."""
    try:
        told = _durable_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return {
        one.unit: [seq for first, last in one.seqs for seq in range(first, last + 1)]
        for one in told
        if sum(max(0, last - first + 1) for first, last in one.seqs) <= DURABLE_MAX
        and all(_is_seq(seq) for run in one.seqs for seq in run)
    }


def _runs(seqs: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for seq in seqs:
        if runs and seq == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], seq
        else:
            runs.append((seq, seq))
    return runs


def _advance_one(frontier: Frontier, seq: int, now_us: int, lost_us: int) -> Frontier:
    last = frontier.seq
    if last is None:
        return Frontier(seq)
    if seq == last + 1:
        return _absorb(seq, frontier) if frontier.ahead else Frontier(seq)
    if seq <= last:
        started_again = seq < last - RESET_SEQ or (seq in (0, 1) and seq != last)
        return Frontier(seq) if started_again else frontier
    return _ahead(frontier, seq, now_us, lost_us)


def _ahead(frontier: Frontier, seq: int, now_us: int, lost_us: int) -> Frontier:
    """The frontier once `seq`, beyond a hole, is durable too."""
    first_ahead = min(frontier.ahead, default=None)
    if first_ahead is None or seq < first_ahead:
        return Frontier(frontier.seq, frontier.ahead | {seq}, now_us)
    if seq == first_ahead and now_us - frontier.hole_us >= lost_us:
        return _absorb(seq, frontier)
    if len(frontier.ahead) < AHEAD_MAX:
        return frontier._replace(ahead=frontier.ahead | {seq})
    return frontier


def _absorb(seq: int, frontier: Frontier) -> Frontier:
    """Move to `seq`, and on over what follows it without a hole."""
    while seq + 1 in frontier.ahead:
        seq += 1
    rest = frozenset(later for later in frontier.ahead if later > seq)
    return Frontier(seq, rest, frontier.hole_us)
