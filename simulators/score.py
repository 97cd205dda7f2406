"""Results against the truth: whose frequency is right, and which metres were credited or missed.

The true frequency comes from the true passes by the very definitions that the results come from, so what
differs is what receivers, channel and matching did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from processing.district import District, Street
from processing.frequency import StreetDay, street_day
from processing.geodesy import LocalProjection
from processing.linear_reference import reference
from processing.service_day import service_day
from processing.sweep import Pass, Passes
from simulators.vehicle import Stay

#: Swept stretches of a street in metres, from and to in any order.
Stretches = Iterable[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """What a result says of a street and day: how often it was swept, and the share of it that was."""

    street_id: str
    frequency: int
    coverage: float


@dataclass(frozen=True, slots=True)
class Row:
    """One street: result and truth side by side; metres are None where no passes were given."""

    street_id: str
    name: str
    frequency: int
    true_frequency: int
    coverage: float
    true_coverage: float
    driven: bool
    false_m: float | None
    missed_m: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """All streets together; shares are 0 to 1, lengths metres."""

    service_day: date
    streets: int
    exact: int
    off_by_more: int
    coverage_error: float
    credited_undriven: int
    true_m: float
    false_m: float | None
    missed_m: float | None
    rows: tuple[Row, ...]

    @property
    def exact_share(self) -> float:
        """Share of the streets with exactly the true frequency."""
        return self.exact / max(self.streets, 1)

    def table(self) -> list[tuple[str, str]]:
        """Names and values for a person."""
        table = [
            ("streets", str(self.streets)),
            ("frequency exactly right", f"{self.exact} ({self.exact_share:.1%})"),
            ("frequency off by more than one", str(self.off_by_more)),
            ("coverage, mean absolute error", f"{self.coverage_error:.2%}"),
            ("credited though nobody drove there", str(self.credited_undriven)),
            ("truly swept", f"{self.true_m:,.0f} m"),
        ]
        if self.false_m is not None and self.missed_m is not None:
            table.append(("swept by the result only", f"{self.false_m:,.0f} m"))
            table.append(("swept in truth only", f"{self.missed_m:,.0f} m"))
        return table


def score(
    district: District,
    truth: Iterable[Pass],
    figures: Mapping[str, Figure],
    day: date,
    swept: Mapping[str, Stretches] | None = None,
) -> Score:
    """Compare figures of a service day (by street_id; a street without one counts as 0) with true passes.

    `swept` holds the result's swept stretches of the day, of the kind of work that the street requires.
    """
    by_street = defaultdict[str, list[Pass]](list)
    for one in truth:
        by_street[one.street_id].append(one)
    true = true_figures(district, by_street, day)
    rows = []
    true_m = 0.0
    for street in district.streets:
        figure = figures.get(street.street_id, Figure(street.street_id, 0, 0.0))
        day_passes = [p for p in by_street[street.street_id] if _day(district, p) == day]
        own = _union(
            (s.from_mm / 1e3, s.to_mm / 1e3) for p in day_passes if p.work == street.work for s in p.swept
        )
        found = None if swept is None else _union(swept.get(street.street_id, ()))
        true_m += _length(own)
        rows.append(_row(street, figure, true[street.street_id], own, found, driven=bool(day_passes)))
    return _total(day, rows, true_m)


def true_figures(district: District, passes: Mapping[str, Iterable[Pass]], day: date) -> dict[str, StreetDay]:
    """The figures of every street that the true passes come to."""
    points = np.array([p for s in district.streets for part in s.parts for p in part])
    plane = LocalProjection(*((points.min(axis=0) + points.max(axis=0)) / 2.0).tolist())
    return {
        street.street_id: street_day(
            street,
            reference(street, plane),
            day,
            street.work,
            Passes.of(
                street.street_id, [p for p in passes.get(street.street_id, ()) if _day(district, p) == day]
            ),
            district.rules,
        )
        for street in district.streets
    }


def _day(district: District, one: Pass) -> date:
    return service_day(one.enter_us, district.rules.day_start_s, district.rules.timezone)


def _row(
    street: Street,
    figure: Figure,
    true: StreetDay,
    own: list[tuple[float, float]],
    found: list[tuple[float, float]] | None,
    *,
    driven: bool,
) -> Row:
    both = 0.0 if found is None else _common(own, found)
    return Row(
        street_id=street.street_id,
        name=street.name,
        frequency=figure.frequency,
        true_frequency=true.frequency,
        coverage=figure.coverage,
        true_coverage=true.coverage,
        driven=driven,
        false_m=None if found is None else _length(found) - both,
        missed_m=None if found is None else _length(own) - both,
    )


def _total(day: date, rows: list[Row], true_m: float) -> Score:
    errors = [abs(row.coverage - row.true_coverage) for row in rows]
    off = [abs(row.frequency - row.true_frequency) for row in rows]
    false = [row.false_m for row in rows if row.false_m is not None]
    missed = [row.missed_m for row in rows if row.missed_m is not None]
    known = len(false) == len(rows)
    return Score(
        service_day=day,
        streets=len(rows),
        exact=off.count(0),
        off_by_more=sum(one > 1 for one in off),
        coverage_error=sum(errors) / max(len(errors), 1),
        credited_undriven=sum(not row.driven and (row.frequency > 0 or row.coverage > 0.0) for row in rows),
        true_m=true_m,
        false_m=sum(false) if known else None,
        missed_m=sum(missed) if known else None,
        rows=tuple(rows),
    )


def _union(stretches: Stretches) -> list[tuple[float, float]]:
    """Disjoint stretches in order."""
    merged: list[tuple[float, float]] = []
    for low, high in sorted((min(pair), max(pair)) for pair in stretches):
        if merged and low <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], high)
        else:
            merged.append((low, high))
    return merged


def _length(stretches: list[tuple[float, float]]) -> float:
    return sum(high - low for low, high in stretches)


def _common(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> float:
    return sum(max(0.0, min(high, top) - max(low, bottom)) for low, high in one for bottom, top in other)


def right_passes(found: Iterable[Pass], stays: Iterable[Stay]) -> list[bool]:
    """Of each pass whether it is right: its unit truly was on its street then.

    That is for more than half of the metres that it says it swept, at the moments at which it says so, or for
    more than half of its time: the last metres before a brush goes up may be laid some seconds late, which
    says nothing of which street it was. A pass without a swept metre is wrong.
    """
    there = defaultdict[tuple[str, str], list[tuple[float, float]]](list)
    for stay in stays:
        there[stay.unit_id, stay.street_id].append((stay.from_us, stay.to_us))
    merged = {key: _union(moments) for key, moments in there.items()}
    return [_is_right(one, merged.get((one.unit_id, one.street_id), [])) for one in found]


def _is_right(one: Pass, there: list[tuple[float, float]]) -> bool:
    then_us = _common([(one.enter_us, one.leave_us)], there)
    in_time = then_us > (one.leave_us - one.enter_us) / 2
    return bool(one.swept) and (in_time or _right_mm(one, there) > one.swept_mm / 2)


def _right_mm(one: Pass, there: list[tuple[float, float]]) -> float:
    """How much of a pass's swept length lies at moments in `there`."""
    right_mm = 0.0
    for piece in one.swept:
        share = _common([(piece.from_us, piece.to_us)], there) / max(piece.to_us - piece.from_us, 1)
        right_mm += share * abs(piece.to_mm - piece.from_mm)
    return right_mm
