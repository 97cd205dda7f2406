"""A unit's report, what it is refused for, and reports as columns.

Errors are values here: decoding gives a `Report` or a `Rejection` with one of a closed list of reasons.
A report is a fix (with a position) or a status of the equipment alone. Its identity is (unit, kind, device
time). `None`, NaN and `UNKNOWN` all say that the device did not tell, which is never the same as off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

OFF, ON, UNKNOWN = 0, 1, -1

#: Equipment with a state of on, off or unknown, in the order of `ReportColumns.equipment`.
EQUIPMENT = ("engine", "brush", "spray", "fan", "working")
#: Equipment with a level in percent.
LEVELS = ("hopper_pct", "water_pct")
#: Decimals that are kept of a report's numbers. The store holds them as whole numbers, so that what is
#: computed from the wire, from a file and from the store is computed from the same values.
DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(("lon", "lat"), 7),
    **dict.fromkeys(("speed_kmh", "heading_deg", "accuracy_m", *LEVELS), 2),
}


def ten_millionths(value: float) -> float:
    """The nearest multiple of 1e-7, about a centimetre of a degree; of two as near the even one."""
    return round(value * 1e7) / 1e7


def hundredths(value: float | None) -> float | None:
    """The nearest multiple of 0.01, as `ten_millionths`."""
    return value if value is None else round(value * 1e2) / 1e2


class Kind(IntEnum):
    """The two kinds of report, part of a report's identity."""

    FIX = 0
    EQUIPMENT = 1


class Reason(StrEnum):
    """Why a report, or a whole message, was refused. The list is closed."""

    TOO_LARGE = "too_large"
    BAD_TOPIC = "bad_topic"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    BAD_FIELD = "bad_field"
    TOO_MANY = "too_many"
    WRONG_DISTRICT = "wrong_district"
    WRONG_UNIT = "wrong_unit"
    UNKNOWN_UNIT = "unknown_unit"
    NO_TIME = "no_time"
    NO_ZONE = "no_zone"
    FUTURE = "future"
    LATE = "late"
    NO_POSITION = "no_position"
    OUT_OF_RANGE = "out_of_range"
    NULL_ISLAND = "null_island"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refused report: why, in the words for a person, and its original bytes."""

    reason: Reason
    detail: str
    mqtt_topic: str
    payload: bytes
    received_us: int
    unit_id: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a unit; lon and lat are WGS-84 degrees, NaN in a status of the equipment alone."""

    unit_id: str
    kind: Kind
    fix_time_us: int
    received_us: int
    lon: float = float("nan")
    lat: float = float("nan")
    speed_kmh: float | None = None
    heading_deg: float | None = None
    accuracy_m: float | None = None
    satellites: int | None = None
    seq: int | None = None
    historical: bool = False
    engine: bool | None = None
    brush: bool | None = None
    spray: bool | None = None
    fan: bool | None = None
    working: bool | None = None
    hopper_pct: float | None = None
    water_pct: float | None = None
    extra: str | None = None

    def canonical(self) -> bytes:
        """The content that two reports of one identity are compared by.

        How a report travelled (seq, historical, received_at) is not its content: a resend is a duplicate.
        """
        content: dict[str, Any] = {
            field.name: value
            for field in fields(self)
            if field.name not in _TRANSPORT and (value := getattr(self, field.name)) is not None
        }
        return msgspec.json.encode(content, order="sorted")


_TRANSPORT = frozenset({"seq", "historical", "received_us"})


@dataclass(frozen=True, slots=True, eq=False)
class ReportColumns:
    """Reports as columns; those of one unit are sorted by (fix_time_us, kind), identities unique.

    Shapes are (n,); `equipment` is (n, 5) int8 with ON, OFF or UNKNOWN in the order of `EQUIPMENT`, `levels`
    is (n, 2) in percent in the order of `LEVELS`.
    """

    fix_time_us: NDArray[np.int64]
    kind: NDArray[np.int8]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    speed_kmh: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    accuracy_m: NDArray[np.float64]
    equipment: NDArray[np.int8]
    levels: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.fix_time_us)

    def take(self, index: Any) -> ReportColumns:  # noqa: ANN401 - whatever numpy indexes with
        """The rows that a numpy index selects."""
        return ReportColumns(*[column[index] for column in _columns_of(self)])

    def between(self, from_us: int, to_us: int) -> ReportColumns:
        """The rows with from_us <= fix_time_us < to_us."""
        low, high = np.searchsorted(self.fix_time_us, [from_us, to_us])
        return self.take(slice(low, high))

    @classmethod
    def empty(cls) -> ReportColumns:
        """No reports."""
        return cls.of(())

    @classmethod
    def of(cls, reports: Iterable[Report]) -> ReportColumns:
        """Columns of reports, in their order."""
        rows: Sequence[Report] = tuple(reports)

        def number(name: str) -> NDArray[np.float64]:
            values = (getattr(row, name) for row in rows)
            return np.array([np.nan if v is None else v for v in values], dtype=np.float64)

        return cls(
            fix_time_us=np.array([row.fix_time_us for row in rows], dtype=np.int64),
            kind=np.array([row.kind for row in rows], dtype=np.int8),
            lon=number("lon"),
            lat=number("lat"),
            speed_kmh=number("speed_kmh"),
            heading_deg=number("heading_deg"),
            accuracy_m=number("accuracy_m"),
            equipment=np.array(
                [
                    [UNKNOWN if (v := getattr(row, name)) is None else int(v) for name in EQUIPMENT]
                    for row in rows
                ],
                dtype=np.int8,
            ).reshape(len(rows), len(EQUIPMENT)),
            levels=np.stack([number(name) for name in LEVELS], axis=1),
        )

    def joined(self, other: ReportColumns) -> ReportColumns:
        """The rows of both, one after the other."""
        return ReportColumns(*map(np.concatenate, zip(_columns_of(self), _columns_of(other), strict=True)))

    def merge(self, newer: ReportColumns) -> ReportColumns:
        """Both sets in order; where an identity is in both, the row of `newer` stays."""
        both = newer.joined(self)
        order = np.lexsort((both.kind, both.fix_time_us))  # stable: of equals, newer comes first
        times, kinds = both.fix_time_us[order], both.kind[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = (times[1:] != times[:-1]) | (kinds[1:] != kinds[:-1])
        return both.take(order[first])


_columns_of = attrgetter(*(field.name for field in fields(ReportColumns)))
