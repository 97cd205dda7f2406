"""The silence of expected units, which decides between 'not swept' and 'no data'.

A gap counts as far as it lies in the shift; where it is cut nobody knows where the unit was. Without shifts a
unit is expected from its first to its last fix of the day, and over midnight where it was seen on both sides
of it within a shift's usual length. A track in a wrong datum is as good as silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from processing.district import District, Shift, Unit
from processing.geodesy import LocalProjection
from processing.rules import Rules
from processing.service_day import US, day_start_us
from processing.verdict import Gap

Window = tuple[int, int]
GapRow = tuple[int, int, float, float, float, float]
"""From and to in microseconds, where the unit was last and next seen: lon, lat, lon, lat."""
Place = tuple[float | None, float | None]
NOWHERE: Place = (None, None)
#: The usual length of a shift; a unit that is silent over midnight for longer had its night off.
SHIFT_US = 8 * 3_600 * US


@dataclass(frozen=True, slots=True)
class Seen:
    """When and where a unit was heard of on a service day; places are degrees."""

    unit_id: str
    service_day: date
    first_fix_us: int
    last_fix_us: int
    gaps: Sequence[GapRow]
    first_lon: float | None
    first_lat: float | None
    last_lon: float | None
    last_lat: float | None


@dataclass(frozen=True, slots=True)
class Suspect:
    """A track that fits the map only when read in another datum: nobody knows where the unit was."""

    unit_id: str
    start_us: int
    end_us: int
    fixes: int
    suspected_datum: str


@dataclass(frozen=True, slots=True)
class Ground:
    """The district and its projection: what silence is judged on."""

    district: District
    projection: LocalProjection

    @property
    def rules(self) -> Rules:
        """The district's rules."""
        return self.district.rules

    def day_us(self, day: date) -> Window:
        """The instants at which a service day begins and ends."""
        zone = self.rules.day_start_s, self.rules.timezone
        return day_start_us(day, *zone), day_start_us(day + timedelta(days=1), *zone)


def gaps_of_day(
    ground: Ground,
    day: date,
    rows: Sequence[Seen],
    now_us: int | None,
    suspects: Sequence[Suspect] = (),
) -> dict[str, list[Gap]]:
    """By kind of work: when units that were expected that day were not heard of in their shift.

    `rows` hold the day's unit-days and, for districts without shifts, those of the days beside it. What is
    still to come of a shift is no gap. Without a roster those are expected that reported.
    """
    reported = {(row.unit_id, row.service_day): row for row in rows}
    found: dict[str, list[Gap]] = {}
    for unit, window in _expected(ground, day, reported):
        from_us, to_us = window[0], window[1] if now_us is None else min(window[1], now_us)
        if from_us < to_us:
            mine = [one for one in suspects if one.unit_id == unit.unit_id]
            gaps = _gaps(ground, unit, reported.get((unit.unit_id, day)), (from_us, to_us), mine)
            found.setdefault(unit.profile.work, []).extend(gaps)
    return found


def _expected(ground: Ground, day: date, reported: dict[tuple[str, date], Seen]) -> list[tuple[Unit, Window]]:
    district = ground.district
    units = {unit.unit_id: unit for unit in district.units}
    seen = sorted(unit_id for unit_id, its_day in reported if its_day == day and unit_id in units)
    if not district.shifts:
        return [(units[unit_id], _own_window(ground, unit_id, day, reported)) for unit_id in seen]
    expected = []
    for shift in district.shifts:
        unit_ids = district.roster.get(shift.shift_id, ()) if district.roster else seen
        window = shift_window(ground.rules, shift, day)
        expected += [(units[unit_id], window) for unit_id in unit_ids if unit_id in units]
    return expected


def _own_window(ground: Ground, unit_id: str, day: date, reported: dict[tuple[str, date], Seen]) -> Window:
    """From a unit's first to its last fix of a day, or from and to the day's ends where it went on there."""
    row = reported[unit_id, day]
    before = reported.get((unit_id, day - timedelta(days=1)))
    after = reported.get((unit_id, day + timedelta(days=1)))
    day_us = ground.day_us(day)
    came_over = before is not None and row.first_fix_us - before.last_fix_us <= SHIFT_US
    goes_on = after is not None and after.first_fix_us - row.last_fix_us <= SHIFT_US
    return (
        day_us[0] if came_over else row.first_fix_us,
        day_us[1] if goes_on else row.last_fix_us,
    )


def shift_window(rules: Rules, shift: Shift, day: date) -> Window:
    """The instants at which a shift begins and ends in a service day."""
    # A shift before the day's own start belongs to the next calendar day.
    calendar = day if shift.start_s >= rules.day_start_s else day + timedelta(days=1)
    from_us = day_start_us(calendar, shift.start_s, rules.timezone)
    to_us = day_start_us(calendar, shift.end_s, rules.timezone)
    following_us = day_start_us(day + timedelta(days=1), rules.day_start_s, rules.timezone)
    return from_us, min(to_us, following_us)


def _gaps(
    ground: Ground, unit: Unit, row: Seen | None, window: Window, suspects: Sequence[Suspect]
) -> list[Gap]:
    profile = unit.profile

    def gap(first_us: int, last_us: int, before: Place, after: Place) -> Gap:
        """The part in the shift; at an end that is cut off the unit may have been anywhere."""
        from_us, to_us = max(first_us, window[0]), min(last_us, window[1])
        ends = (
            _xy(ground, before if from_us == first_us else NOWHERE),
            _xy(ground, after if to_us == last_us else NOWHERE),
        )
        return Gap(unit.unit_id, from_us, to_us, *ends, profile.top_speed_kmh, profile.work_kmh_max)

    if row is None or row.last_fix_us < window[0] or row.first_fix_us > window[1]:
        return [gap(*window, NOWHERE, NOWHERE)]
    silent = [
        gap(window[0], row.first_fix_us, NOWHERE, (row.first_lon, row.first_lat)),
        *(gap(one[0], one[1], (one[2], one[3]), (one[4], one[5])) for one in row.gaps),
        gap(row.last_fix_us, window[1], (row.last_lon, row.last_lat), NOWHERE),
        *(gap(*lost, NOWHERE, NOWHERE) for lost in _lost(ground, suspects)),
    ]
    shortest_us = int(ground.rules.join_s_max * US)
    return [one for one in silent if one.to_us - one.from_us > shortest_us]


def _lost(ground: Ground, suspects: Sequence[Suspect]) -> list[Window]:
    """When a unit's fixes were in a wrong datum; a stop between two such tracks belongs to it."""
    stop_us = int(ground.rules.track_gap_s_max * US)
    found: list[Window] = []
    for one in sorted(suspects, key=lambda suspect: suspect.start_us):
        if found and one.start_us - found[-1][1] <= stop_us:
            found[-1] = found[-1][0], max(found[-1][1], one.end_us)
        else:
            found.append((one.start_us, one.end_us))
    return found


def _xy(ground: Ground, place: Place) -> tuple[float, float] | None:
    lon, lat = place
    if lon is None or lat is None:
        return None
    x_m, y_m = ground.projection.to_xy(lon, lat)
    return float(x_m), float(y_m)
