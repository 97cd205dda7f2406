"""Numba's kernels, compiled before the first record needs them: some 20 s, once after an installation.

Compiling happens where a kernel is first called, which for a worker is inside its first batch, long after the
person at the terminal could be told. So a short drive along a street goes through the whole core first.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processing.fix import Report
    from processing.pipeline import Core
    from processing.sweep import Pass

FIXES_MAX = 60
EVERY_S = 2
US = 1_000_000


def warm(core: Core) -> int:
    """Let a unit of the district sweep its longest street, and forget it; how many passes that were.

    A fault of the core is not told here: where a record meets it, it becomes a dead letter that says so.
    """
    from processing.equipment import Intervals
    from processing.fix import ReportColumns
    from processing.service_day import service_day
    from processing.unit_day import unit_day

    passes: list[Pass] = []
    if core.units and core.references:
        unit, rules = core.units[min(core.units)], core.rules
        with contextlib.suppress(Exception):
            reports = ReportColumns.of(_drive(core, unit.unit_id))
            for track in core.tracks(unit.unit_id, reports, {}):
                passes += track.passes or ()
            core.street_days(passes)
            unit_day(unit, service_day(0, rules.day_start_s, rules.timezone), reports, rules)
            Intervals(unit.unit_id, rules).take(reports)
    return len(passes)


def _drive(core: Core, unit_id: str) -> Iterator[Report]:
    """A fix every 2 s along the longest street, with everything switched on."""
    from processing.fix import Kind, Report

    profile = core.units[unit_id].profile
    speed_kmh = (profile.work_kmh_min + profile.work_kmh_max) / 2
    street = max(core.references.values(), key=lambda one: one.length_mm)
    for number in count():
        along_m = number * EVERY_S * speed_kmh / 3.6
        if number == FIXES_MAX or 1_000 * along_m > street.length_mm:
            return
        lon, lat = map(float, core.projection.to_lonlat(*street.point_at(along_m)))
        at_us = number * EVERY_S * US
        fix = Report(unit_id, Kind.FIX, at_us, at_us, lon, lat, speed_kmh)
        yield replace(fix, engine=True, brush=True, spray=True, fan=True, working=True)
