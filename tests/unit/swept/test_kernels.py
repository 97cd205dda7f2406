"""Kernels are compiled before the first record, and never again: a worker stood still for 5 s where one was."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import processing
from processing.equipment import Intervals
from processing.fix import Kind, Report, ReportColumns
from processing.service_day import service_day
from processing.sweep import Pass
from processing.unit_day import GrowingDay
from swept.kernels import warm
from tests.integration.small_world import ROUND_M, START_US, core, lonlat

ROOT = Path(__file__).resolve().parents[3]
#: Of reports that come together: a single fix is the odd one, whose columns are contiguous whatever they are of.
SIZES = (1, 2, 50, 10_000)


def test_nothing_is_compiled_once_they_are_warm() -> None:
    # In a process of its own: what other tests compiled is there for good.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, __file__], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout.split() == ["warm"]


def compiled_late() -> list[str]:
    """The kernels that were compiled for some kind of shift although a short drive had gone through the core."""
    kernels = dict(_kernels())
    assert warm(core()) > 0
    warmed = {name: set(kernel.signatures) for name, kernel in kernels.items()}
    assert sum(map(bool, warmed.values())) > 10
    for unit_id in core().units:
        for size in SIZES:
            _shift(unit_id, size, speed=unit_id != "u1", alone=unit_id != "u2")
    return sorted(name for name, kernel in kernels.items() if set(kernel.signatures) != warmed[name])


def _kernels() -> Iterator[tuple[str, Any]]:
    for module in pkgutil.iter_modules(processing.__path__):
        for name, value in vars(importlib.import_module(f"processing.{module.name}")).items():
            if hasattr(value, "py_func") and value.py_func.__module__ == f"processing.{module.name}":
                yield f"{module.name}.{name}", value


def _shift(unit_id: str, size: int, *, speed: bool, alone: bool) -> None:
    """A round through the small district by so many reports at a time, as a worker takes them in."""
    rules, growing = core().rules, None
    passes: list[Pass] = []
    day = service_day(START_US, rules.day_start_s, rules.timezone)
    grown, intervals = GrowingDay(core().units[unit_id], day, rules), Intervals(unit_id, rules)
    reports = ReportColumns.of(_reports(unit_id, speed=speed, alone=alone))
    for low in range(0, len(reports), size):
        part = reports.take(slice(low, low + size))
        grown.take(part)
        intervals.take(part)
        if growing is None:
            tracks = core().tracks(unit_id, part, {})
            passes += [one for track in tracks for one in track.passes or ()]
            growing = tracks[-1].growing if tracks else None
        else:
            more = core().grow(growing, part)
            assert more is not None
            assert not more.after
            passes += more.passes
            growing.settle()
    core().street_days(passes)


def _reports(unit_id: str, *, speed: bool, alone: bool) -> Iterator[Any]:
    """A fix a second, the brush now on and now off, told with each fix or alone."""
    noise, at_us = np.random.default_rng(1), START_US
    for (x0, y0), (x1, y1) in pairwise(ROUND_M):
        for share in np.arange(0.0, 1.0, 2.2 / np.hypot(x1 - x0, y1 - y0)):
            x_m, y_m = (x0, y0) + share * np.array((x1 - x0, y1 - y0)) + noise.normal(0.0, 2.0, 2)
            at_us += 1_000_000
            on = at_us // 40_000_000 % 2 == 0
            fix = Report(unit_id, Kind.FIX, at_us, at_us, *lonlat(x_m, y_m), 8.0 if speed else None)
            yield fix if alone else replace(fix, brush=on, water_pct=50.0)
            if alone and at_us // 1_000_000 % 20 == 0:
                yield Report(unit_id, Kind.EQUIPMENT, at_us + 500_000, at_us, brush=on)


if __name__ == "__main__":
    print("warm", *compiled_late())
