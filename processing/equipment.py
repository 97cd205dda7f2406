"""When each piece of a unit's equipment was on, off, or in a state that nobody knows.

A fix's own word on a piece of equipment comes first and holds until the next report; where it has none, the last
status on the equipment's own topic holds, for a bounded time. Then nobody knows, which is not the same as off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.fix import EQUIPMENT, UNKNOWN, Kind, ReportColumns
from processing.rules import Rules
from processing.service_day import US

_ALONE = int(Kind.EQUIPMENT)
#: What is known of a piece of equipment: whether it was ever told of, its last status on its own, what holds
#: since the last report and since when that was told, and the last interval.
_STATE = np.dtype(
    [
        ("begun", "?"),
        ("told", "?"),
        ("alone", "i1"),
        ("alone_us", "i8"),
        ("held", "i1"),
        ("since_us", "i8"),
        ("last_us", "i8"),
        ("state", "i1"),
        ("from_us", "i8"),
        ("to_us", "i8"),
    ],
    align=True,
)
_INTERVAL = np.dtype([("equipment", "i8"), ("state", "i8"), ("from_us", "i8"), ("to_us", "i8")])


@dataclass(frozen=True, slots=True)
class EquipmentInterval:
    """A time in which a piece of equipment was ON, OFF or UNKNOWN."""

    unit_id: str
    equipment: str
    state: int
    from_us: int
    to_us: int


class Intervals:
    """When each piece of a unit's equipment was in which state, as reports come, in order of time.

    Neighbouring intervals differ in their state. Equipment that nobody ever told of has none.
    """

    def __init__(self, unit_id: str, rules: Rules) -> None:
        self._unit_id = unit_id
        self._hold_us = round(rules.equipment_hold_s_max * US)
        self._states = np.zeros(len(EQUIPMENT), dtype=_STATE)

    @property
    def nbytes(self) -> int:
        """What it takes, about."""
        return 1_024

    def take(self, reports: ReportColumns) -> list[EquipmentInterval]:
        """The intervals that are new or longer now; one that is longer begins as it did."""
        rows = np.empty(2 * len(EQUIPMENT) * (len(reports) + 1), dtype=_INTERVAL)
        count = _take(self._states, reports.fix_time_us, reports.kind, reports.equipment, self._hold_us, rows)
        return [
            EquipmentInterval(self._unit_id, EQUIPMENT[which], state, from_us, to_us)
            for which, state, from_us, to_us in rows[:count].tolist()
        ]


@njit(cache=True, nogil=True)
def _take(
    states: NDArray[np.void],
    time_us: NDArray[np.int64],
    kind: NDArray[np.int8],
    equipment: NDArray[np.int8],
    hold_us: int,
    rows: NDArray[np.void],
) -> int:
    n = 0
    for which in range(len(states)):
        one, first = states[which], n
        for i in range(len(time_us)):
            if one.begun:
                # Between two reports: what was told, and then, once it no longer holds, unknown.
                until_us = min(max(one.since_us + hold_us, one.last_us), time_us[i])
                n = _add(states, which, one.held, one.last_us, until_us, rows, n)
                n = _add(states, which, UNKNOWN, until_us, time_us[i], rows, n)
            own = equipment[i, which]
            if own != UNKNOWN:
                one.told = True
            if kind[i] == _ALONE:
                one.alone, one.alone_us = own, time_us[i]
            elif not one.begun:
                one.alone, one.alone_us = UNKNOWN, time_us[i]
            if own != UNKNOWN or kind[i] == _ALONE:
                one.held, one.since_us = own, time_us[i]
            else:
                one.held, one.since_us = one.alone, one.alone_us
            one.begun, one.last_us = True, time_us[i]
        if not one.told:
            n = first
        elif one.from_us < one.to_us:
            row = rows[n]
            row.equipment, row.state, row.from_us, row.to_us = which, one.state, one.from_us, one.to_us
            n += 1
    return n


@njit(cache=True, nogil=True)
def _add(
    states: NDArray[np.void],
    which: int,
    state: int,
    from_us: int,
    to_us: int,
    rows: NDArray[np.void],
    n: int,
) -> int:
    """Go on with the last interval, or end it and begin another; how many rows there are."""
    if from_us >= to_us:
        return n
    one = states[which]
    if one.from_us < one.to_us:
        if one.state == state:
            one.to_us = to_us
            return n
        row = rows[n]
        row.equipment, row.state, row.from_us, row.to_us = which, one.state, one.from_us, one.to_us
        n += 1
    one.state, one.from_us, one.to_us = state, from_us, to_us
    return n
