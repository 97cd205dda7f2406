"""Reports of many units as columns, and their identities settled by sorting.

It says what order.py says of the same reports, at a fraction of the cost: only those whose identity has another content
too are settled there, as values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from operator import attrgetter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from processing.fix import EQUIPMENT, LEVELS, UNKNOWN, Kind, Rejection, Report, ReportColumns
from processing.order import Identity, resolve

#: No instant is older.
_NEVER_US = -(1 << 62)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Reports of many units as columns of shape (n,): what `Report` has, and where each stood.

    `unit` is an index into `unit_ids`, which are sorted; `seq` counts only where `numbered`, `satellites` is NaN where
    it wasn't told, `extra` holds str or None; `message` and `element` are the report's place in what was read.
    """

    unit_ids: tuple[str, ...]
    unit: NDArray[np.int64]
    reports: ReportColumns
    received_us: NDArray[np.int64]
    satellites: NDArray[np.float64]
    seq: NDArray[np.int64]
    numbered: NDArray[np.bool_]
    historical: NDArray[np.bool_]
    extra: NDArray[np.object_]
    message: NDArray[np.int64]
    element: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.unit)

    @classmethod
    def of(cls, unit_ids: tuple[str, ...], placed: Sequence[tuple[Report, int, int]] = ()) -> Self:
        """The columns of (report, message, element)."""
        code = {unit_id: number for number, unit_id in enumerate(unit_ids)}
        rows = [report for report, _, _ in placed]
        extra = np.empty(len(rows), dtype=object)
        extra[:] = [row.extra for row in rows]
        return cls(
            unit_ids,
            integers([code[row.unit_id] for row in rows]),
            ReportColumns.of(rows),
            integers([row.received_us for row in rows]),
            floats([row.satellites for row in rows]),
            *numbers([row.seq for row in rows]),
            np.array([row.historical for row in rows], dtype=bool),
            extra,
            integers([message for _, message, _ in placed]),
            integers([element for _, _, element in placed]),
        )

    def take(self, index: Any) -> Self:  # noqa: ANN401 - whatever numpy indexes with
        """The rows that a numpy index selects."""
        columns = [column[index] for column in _rest_of(self)]
        return type(self)(self.unit_ids, self.unit[index], self.reports.take(index), *columns)

    def joined(self, other: Self) -> Self:
        """The rows of both, of the same units, in the order of messages."""
        both = type(self)(
            self.unit_ids,
            np.concatenate([self.unit, other.unit]),
            self.reports.joined(other.reports),
            *map(np.concatenate, zip(_rest_of(self), _rest_of(other), strict=True)),
        )
        return both.take(np.lexsort((both.element, both.message)))

    def report(self, row: int) -> Report:
        """The report in a row."""
        rows = self.reports
        states = (None if state == UNKNOWN else bool(state) for state in rows.equipment[row].tolist())
        equipment: dict[str, Any] = dict(zip(EQUIPMENT, states, strict=True))
        equipment |= zip(LEVELS, map(_told, rows.levels[row].tolist()), strict=True)
        satellites = _told(self.satellites[row])
        return Report(
            self.unit_ids[self.unit[row]],
            Kind(rows.kind[row]),
            int(rows.fix_time_us[row]),
            int(self.received_us[row]),
            float(rows.lon[row]),
            float(rows.lat[row]),
            _told(rows.speed_kmh[row]),
            _told(rows.heading_deg[row]),
            _told(rows.accuracy_m[row]),
            None if satellites is None else int(satellites),
            int(self.seq[row]) if self.numbered[row] else None,
            bool(self.historical[row]),
            extra=self.extra[row],
            **equipment,
        )

    def identities(self, rows: NDArray[np.int64]) -> list[Identity]:
        """The identities of some rows."""
        units, kinds, moments_us = self.unit[rows], self.reports.kind[rows], self.reports.fix_time_us[rows]
        return [
            (self.unit_ids[unit], Kind(kind), moment_us)
            for unit, kind, moment_us in zip(units.tolist(), kinds.tolist(), moments_us.tolist(), strict=True)
        ]

    def units(self) -> list[str]:
        """The units that reported, in order."""
        return [self.unit_ids[number] for number in np.unique(self.unit).tolist()]

    def known_until(self, last_us: Mapping[str, int]) -> NDArray[np.int64]:
        """The rows that aren't newer than their unit's newest report of before, which `last_us` tells."""
        newest_us = np.full(len(self.unit_ids), _NEVER_US)
        present = np.unique(self.unit)
        newest_us[present] = [last_us.get(self.unit_ids[number], _NEVER_US) for number in present.tolist()]
        return np.flatnonzero(self.reports.fix_time_us <= newest_us[self.unit])

    def by_unit(self) -> Iterator[tuple[str, ReportColumns]]:
        """The reports of each unit, where the rows are sorted as `settle` leaves them."""
        begins = np.flatnonzero(np.diff(self.unit, prepend=-1))
        for begin, end in pairwise([*begins.tolist(), len(self)]):
            yield self.unit_ids[self.unit[begin]], self.reports.take(slice(begin, end))


_rest_of = attrgetter(*(field.name for field in fields(Batch)[3:]))


@dataclass(frozen=True, slots=True, eq=False)
class Committed:
    """Reports that were there before under the identities of some `rows` of a batch.

    `extra` says whether they have any, as it isn't compared here.
    """

    rows: NDArray[np.int64]
    reports: ReportColumns
    satellites: NDArray[np.float64]
    extra: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A batch beside what was there before: its rows by (unit, fix_time, kind), and of each whether it is `there`.

    `first` is the first row of each identity; `contested` are those whose identity has two contents.
    """

    order: NDArray[np.int64]
    first: NDArray[np.bool_]
    there: NDArray[np.bool_]
    contested: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a batch changes: `accepted` are sorted by (unit, fix_time, kind); the rest is as in `order.Resolved`.

    `contested` are the reports that `order.resolve` saw, with their rows in the batch.
    """

    accepted: Batch
    replaced: tuple[Report, ...]
    conflicts: tuple[Rejection, ...]
    duplicates: int
    contested: tuple[tuple[Report, int], ...]


def compare(batch: Batch, before: Committed | None = None) -> Compared:
    """Find the reports that share an identity, in the batch or with what was there before, and those that differ."""
    rows, size = batch.reports, len(batch)
    order = np.lexsort((rows.kind, rows.fix_time_us, batch.unit))
    again = np.zeros(size, dtype=bool)
    again[1:] = True
    for column in (batch.unit, rows.fix_time_us, rows.kind):
        again[1:] &= np.diff(column[order]) == 0
    there, differs = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    (second,) = np.nonzero(again)
    one, other = batch.take(order[second]), batch.take(order[second - 1])
    alike = _alike(one.reports, other.reports, one.satellites, other.satellites)
    differs[order[second]] = ~(alike & (one.extra == other.extra))
    if before is not None:
        mine = batch.take(before.rows)
        alike = _alike(mine.reports, before.reports, mine.satellites, before.satellites)
        there[before.rows] = True
        differs[before.rows] |= ~alike | before.extra | (mine.extra != None)  # noqa: E711 - an array
    identity = np.cumsum(~again) - 1
    contested, first = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    contested[order] = np.bincount(identity, differs[order]).astype(bool)[identity]
    first[order] = ~again
    return Compared(order, first, there, contested)


def settle(batch: Batch, compared: Compared, known: Mapping[Identity, Report]) -> Settled:
    """As `order.resolve`; `known` are the reports there were before under the identities that are contested."""
    contested = [(batch.report(row), row) for row in np.flatnonzero(compared.contested).tolist()]
    resolved = resolve(known, (report for report, _ in contested))
    accepted = compared.first & ~compared.there & ~compared.contested
    duplicates = len(batch) - len(contested) - int(accepted.sum()) + resolved.duplicates
    accepted[[contested[number][1] for number in resolved.accepted_at]] = True
    return Settled(
        batch.take(compared.order[accepted[compared.order]]),
        resolved.replaced,
        resolved.conflicts,
        duplicates,
        tuple(contested),
    )


def _alike(one: ReportColumns, other: ReportColumns, *satellites: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether reports of one identity have the same content (`Report.canonical`), `extra` apart."""
    same = _equal(*satellites)
    for name in ("lon", "lat", "speed_kmh", "heading_deg", "accuracy_m"):
        same &= _equal(getattr(one, name), getattr(other, name))
    for number in range(len(LEVELS)):
        same &= _equal(one.levels[:, number], other.levels[:, number])
    for number in range(len(EQUIPMENT)):
        same &= one.equipment[:, number] == other.equipment[:, number]
    return same


def _equal(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))


def integers(values: Sequence[int]) -> NDArray[np.int64]:
    """Integers that all were told."""
    return np.array(values, dtype=np.int64)


def floats(values: list[Any]) -> NDArray[np.float64]:
    """Numbers, NaN where None; of most columns all are or none is."""
    if values and values[0] is None and values.count(None) == len(values):
        return np.full(len(values), np.nan)
    return np.array(values, dtype=np.float64)


def numbers(values: list[int | None]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Integers of 64 bits, and which of them were told."""
    told = np.array([value is not None for value in values], dtype=bool)
    return integers([value or 0 for value in values]), told


def _told(number: float) -> float | None:
    return None if math.isnan(number) else float(number)
