"""The definitions once more: plain, slow, and by itself.

Written from docs/DEFINITIONS.md alone and importing nothing of swept's, so that the two can't share a mistake.
Measures are whole millimetres, instants whole microseconds, all arithmetic on them is exact: integers and
fractions. Plane metres are floats; only the distance of a silent unit from a street needs them.

Where the page leaves a choice, this is what is taken here:
- A millimetre is swept by a moment if all of it is.
- The k-th moment of a measure is that of the sweep which is the k-th counted at the middle of its cell.
- The moment at a middle is a whole microsecond, rounded down. What was swept exactly 30 minutes before a window is fresh.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

US = 1_000_000
FRESH_US = 30 * 60 * US
JOIN_US = 120 * US
GAP_MM = 10_000
CLOSED_SHARE = Fraction(1, 10)
HELD_SHARE = Fraction(9, 10)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Place = tuple[float, float]


class Piece(NamedTuple):
    """From one measure to another, from one instant to another, evenly."""

    from_mm: int
    to_mm: int
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Pass:
    unit: str
    street: str
    work: str
    direction: int
    enter_us: int
    leave_us: int
    swept: tuple[Piece, ...]
    unobserved: tuple[Piece, ...]
    ambiguous_with: str | None


@dataclass(frozen=True, slots=True)
class Street:
    """`line_m` are plane metres; `closed` where its last point is its first."""

    street_id: str
    name: str
    length_mm: int
    line_m: tuple[Place, ...]
    closed: bool
    sides: int
    oneway: bool
    required: int
    work: str
    grade: int
    subdistrict: str
    contractor: str

    @property
    def directions(self) -> tuple[int, ...]:
        """The directions of movement that sweep each side; 0 is either."""
        return (1, -1) if self.sides == 2 and not self.oneway else (0,)


@dataclass(frozen=True, slots=True)
class Unit:
    unit_id: str
    work: str
    top_kmh: float
    work_kmh: float


@dataclass(frozen=True, slots=True)
class Shift:
    """A window of local clock, in seconds from the midnight that the service day is named by."""

    shift_id: str
    name: str
    start_s: int
    end_s: int
    roster: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Silence:
    """A time without a report; `None` is a place that nobody knows."""

    from_us: int
    to_us: int
    from_m: Place | None
    to_m: Place | None


@dataclass(frozen=True, slots=True)
class UnitDay:
    """What a unit reported in a service day."""

    unit: str
    day: date
    fixes: int
    first_us: int
    last_us: int
    first_m: Place
    last_m: Place
    silences: tuple[Silence, ...]
    driven_m: float
    working_m: float
    working_s: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A stretch between two cuts, and the sweeps that count there in their order."""

    low_mm: int
    high_mm: int
    counted: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a street and a window; swept lengths are means of its sides, what is missing is their sum."""

    frequency: int
    frequency_certain: int
    swept_mm: int
    swept_certain_mm: int
    length_mm: int
    cleaned_us: tuple[int, ...]
    passes: int
    frequency_if_observed: int
    missing_mm: int


# Time


def clock_us(day: date, seconds: int, zone: str) -> int:
    """The instant at which local clocks show so many seconds after a day's midnight."""
    local = datetime.combine(day, time()) + timedelta(seconds=seconds)
    return (local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def fresh_before(passes: Iterable[Pass], from_us: int) -> tuple[Piece, ...]:
    """The pieces of passes that started before a window and swept in the last 30 minutes before it."""
    return tuple(
        piece
        for one in passes
        if one.enter_us < from_us
        for piece in one.swept
        if piece.from_us < from_us and piece.to_us >= from_us - FRESH_US
    )


# Depth


def moment_us(piece: Piece, twice_mm: int) -> int:
    """The whole microsecond in which a piece was at half of a measure given twice."""
    share = Fraction(twice_mm - 2 * piece.from_mm, 2 * (piece.to_mm - piece.from_mm))
    return piece.from_us + math.floor(share * (piece.to_us - piece.from_us))


def laps(pieces: Iterable[Piece], origin_mm: int, length_mm: int) -> list[Piece]:
    """Pieces on a closed street, each as often as it passes through the round from an origin."""
    through = []
    for piece in pieces:
        low, high = sorted(piece[:2])
        first, last = (origin_mm - high) // length_mm, (origin_mm + length_mm - low) // length_mm
        for lap in range(first, last + 1):
            shift = lap * length_mm
            if low + shift < origin_mm + length_mm and high + shift > origin_mm:
                through.append(piece._replace(from_mm=piece.from_mm + shift, to_mm=piece.to_mm + shift))
    return through


@lru_cache(maxsize=100_000)
def cells(
    today: tuple[Piece, ...], before: tuple[Piece, ...], start_us: int, length_mm: int, *, closed: bool
) -> tuple[Cell, ...]:
    """The street, cut at the ends of all pieces, with what counts between two cuts."""
    today = tuple(piece for piece in today if piece.from_mm != piece.to_mm)
    before = tuple(piece for piece in before if piece.from_mm != piece.to_mm)
    origin = 0
    if closed:
        origin = min((mm % length_mm for piece in today + before for mm in piece[:2]), default=0)
        today = tuple(laps(today, origin, length_mm))
        before = tuple(laps(before, origin, length_mm))
    end = origin + length_mm
    ends = {min(max(mm, origin), end) for piece in today + before for mm in piece[:2]}
    cuts = sorted(ends | {origin, end})
    return tuple(Cell(low, high, counted(today, before, start_us, low, high)) for low, high in pairwise(cuts))


def counted(
    today: tuple[Piece, ...], before: tuple[Piece, ...], start_us: int, low: int, high: int
) -> tuple[Piece, ...]:
    """The sweeps of a cell that count: each more than 30 minutes after the one counted before."""
    moments = [moment_us(piece, low + high) for piece in before if covers(piece, low, high)]
    last = max((us for us in moments if start_us - FRESH_US <= us < start_us), default=None)
    sweeps = sorted((moment_us(piece, low + high), piece) for piece in today if covers(piece, low, high))
    count = []
    for us, piece in sweeps:
        if last is None or us - last > FRESH_US:
            count.append(piece)
            last = us
    return tuple(count)


def covers(piece: Piece, low: int, high: int) -> bool:
    return min(piece[:2]) <= low and high <= max(piece[:2])


# S_k


def done_mm(piece: Piece, until_us: int) -> int:
    """How much of a piece is swept by a moment."""
    length = abs(piece.to_mm - piece.from_mm)
    if until_us >= piece.to_us:
        return length
    if until_us <= piece.from_us:
        return 0
    return (until_us - piece.from_us) * length // (piece.to_us - piece.from_us)


def stretches(street: Sequence[Cell], k: int, until_us: int) -> list[tuple[int, int]]:
    """What was swept for the k-th time by a moment, in the order of the measure."""
    swept = []
    for cell in street:
        if len(cell.counted) < k:
            continue
        piece = cell.counted[k - 1]
        done = done_mm(piece, until_us)
        low, high = cell.low_mm, cell.high_mm
        if piece.from_mm < piece.to_mm:
            high = min(high, piece.from_mm + done)
        else:
            low = max(low, piece.from_mm - done)
        if low < high:
            swept.append((low, high))
    return swept


def held_mm(street: Sequence[Cell], k: int, until_us: int, *, closed: bool) -> int:
    """The length of S_k by a moment: swept, and the shortest gaps closed while they are few."""
    swept = stretches(street, k, until_us)
    if not swept:
        return 0
    first, last = street[0].low_mm, street[-1].high_mm
    gaps = [high[0] - low[1] for low, high in pairwise(swept)]
    at_ends = swept[0][0] - first, last - swept[-1][1]
    gaps.extend((sum(at_ends),) if closed else at_ends)
    closed_mm = 0
    for gap in sorted(gaps):
        if gap > GAP_MM or closed_mm + gap > CLOSED_SHARE * (last - first):
            break
        closed_mm += gap
    return sum(high - low for low, high in swept) + closed_mm


def depth_max(street: Sequence[Cell]) -> int:
    return max(len(cell.counted) for cell in street)


def enough_mm(street: Sequence[Cell]) -> Fraction:
    return HELD_SHARE * (street[-1].high_mm - street[0].low_mm)


def frequency(street: Sequence[Cell], *, closed: bool) -> int:
    """The largest k whose S_k holds at least 90 % of the length."""
    for k in range(depth_max(street), 0, -1):
        if held_mm(street, k, END_US, closed=closed) >= enough_mm(street):
            return k
    return 0


END_US = 1 << 62


def cleaned_us(street: Sequence[Cell], k: int, *, closed: bool) -> int:
    """The first microsecond at which S_k held enough.

    What S_k holds grows while no gap is cut in two. That happens only where a cell begins to be swept, so
    between two such moments bisection finds the first.
    """
    begun = set()
    for cell in street:
        if len(cell.counted) >= k:
            piece = cell.counted[k - 1]
            before = (
                cell.low_mm - piece.from_mm if piece.from_mm < piece.to_mm else piece.from_mm - cell.high_mm
            )
            length = abs(piece.to_mm - piece.from_mm)
            begun.add(piece.from_us - (before + 1) * (piece.from_us - piece.to_us) // length)  # rounded up
    starts = sorted(begun)
    for start, end in zip(starts, [us - 1 for us in starts[1:]] + [END_US], strict=True):
        if held_mm(street, k, end, closed=closed) >= enough_mm(street):
            low, high = start, end
            while low < high:
                middle = (low + high) // 2
                if held_mm(street, k, middle, closed=closed) >= enough_mm(street):
                    high = middle
                else:
                    low = middle + 1
            return low
    raise AssertionError


# A street in a window


def sides(street: Street, passes: Iterable[tuple[int, Piece]]) -> list[tuple[Piece, ...]]:
    """The pieces that sweep each side."""
    given = list(passes)
    return [
        tuple(piece for going, piece in given if going == direction or not direction)
        for direction in street.directions
    ]


def figures(street: Street, work: str, passes: Iterable[Pass], from_us: int, to_us: int) -> Figures:
    """The figures of a street in a window, for a kind of work."""
    of_work = [one for one in passes if one.work == work and one.street == street.street_id]
    today = [one for one in of_work if from_us <= one.enter_us < to_us]
    before = sides(street, [(one.direction, p) for one in of_work for p in fresh_before([one], from_us)])

    def counted_cells(pieces: Iterable[tuple[int, Piece]]) -> list[tuple[Cell, ...]]:
        return [
            cells(tuple(sorted(side)), tuple(sorted(fresh)), from_us, street.length_mm, closed=street.closed)
            for side, fresh in zip(sides(street, pieces), before, strict=True)
        ]

    swept = counted_cells((one.direction, p) for one in today for p in one.swept)
    certain = counted_cells(
        (one.direction, p) for one in today if one.ambiguous_with is None for p in one.swept
    )
    seen = counted_cells((one.direction, p) for one in today for p in one.swept + one.unobserved)
    often = min(frequency(side, closed=street.closed) for side in swept)
    return Figures(
        frequency=often,
        frequency_certain=min(frequency(side, closed=street.closed) for side in certain),
        swept_mm=mean_mm(held_mm(side, 1, END_US, closed=street.closed) for side in swept),
        swept_certain_mm=mean_mm(held_mm(side, 1, END_US, closed=street.closed) for side in certain),
        length_mm=street.length_mm,
        cleaned_us=tuple(
            max(cleaned_us(side, k, closed=street.closed) for side in swept) for k in range(1, often + 1)
        ),
        passes=sum(any(piece.from_mm != piece.to_mm for piece in one.swept) for one in today),
        frequency_if_observed=min(frequency(side, closed=street.closed) for side in seen),
        missing_mm=sum(missing_mm(side, street) for side in swept),
    )


def mean_mm(lengths: Iterable[int]) -> int:
    """The mean of the sides, in whole millimetres that were swept."""
    each = list(lengths)
    return sum(each) // len(each)


def missing_mm(side: Sequence[Cell], street: Street) -> int:
    """What is missing on a side of as many cleanings as are required."""
    held = [held_mm(side, k, END_US, closed=street.closed) for k in range(1, street.required + 1)]
    return sum(max(0, math.ceil(enough_mm(side) - mm)) for mm in held)


# The verdict


def silences(unit: str, row: UnitDay | None, from_us: int, to_us: int) -> list[Silence]:
    """When a unit wasn't heard of in a window; where it is cut, nobody knows where the unit was.

    What a join between two fixes may last is no silence.
    """
    if row is None:
        return [Silence(from_us, to_us, None, None)]
    assert row.unit == unit
    before = Silence(min(from_us, row.first_us), row.first_us, None, row.first_m)
    after = Silence(row.last_us, max(to_us, row.last_us), row.last_m, None)
    within = [
        Silence(
            max(one.from_us, from_us),
            min(one.to_us, to_us),
            one.from_m if one.from_us >= from_us else None,
            one.to_m if one.to_us <= to_us else None,
        )
        for one in (before, *row.silences, after)
        if one.from_us < to_us and one.to_us > from_us
    ]
    return [one for one in within if one.to_us - one.from_us > JOIN_US]


@lru_cache(maxsize=1_000_000)
def distance_m(line_m: tuple[Place, ...], place: Place | None) -> float:
    """From a place to the nearest point of a line; 0 where nobody knows the place."""
    if place is None:
        return 0.0
    nearest = math.inf
    for (ax, ay), (bx, by) in pairwise(line_m):
        along = (place[0] - ax) * (bx - ax) + (place[1] - ay) * (by - ay)
        share = min(max(along / ((bx - ax) ** 2 + (by - ay) ** 2), 0.0), 1.0)
        nearest = min(
            nearest, math.hypot(place[0] - ax - share * (bx - ax), place[1] - ay - share * (by - ay))
        )
    return nearest


def spare_s(street: Street, figures: Figures, unit: Unit, silence: Silence) -> float:
    """What is left of a silence after coming, working what is missing and going on; negative: too short."""
    drive_m = distance_m(street.line_m, silence.from_m) + distance_m(street.line_m, silence.to_m)
    needed_s = drive_m / (unit.top_kmh / 3.6) + figures.missing_mm / 1000 / (unit.work_kmh / 3.6)
    return (silence.to_us - silence.from_us) / US - needed_s


def verdict(street: Street, figures: Figures, silent: Iterable[tuple[Unit, Silence]]) -> str:
    """One of the five."""
    if figures.frequency_certain >= street.required:
        return "swept"
    if figures.frequency >= street.required:
        return "ambiguous"
    if figures.frequency_if_observed >= street.required or any(
        spare_s(street, figures, unit, one) >= 0 for unit, one in silent if unit.work == street.work
    ):
        return "no data"
    return "partial" if figures.swept_mm > 0 else "not swept"
