"""A small district, two machines that sweep it, and their log: what worker and API tests share."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from processing.district import District, Road, Shift, Street, Unit, UnitProfile
from processing.fix import ReportColumns
from processing.match import TrackFixes
from processing.pipeline import Core
from processing.service_day import day_start_us
from streams.log import Envelope
from streams.table_log import TableLog

LON0, LAT0 = 122.25, 40.67
_M_PER_DEG_LAT = 111_050.0
_M_PER_DEG_LON = 111_320.0 * math.cos(math.radians(LAT0))
SWEEPER = UnitProfile("sweeper")


class Killed(Exception):  # noqa: N818
    """The worker's process is gone."""


class BrokenCore(Core):
    """A core with a fault: it raises on any fix at one speed."""

    def _fixes(self, reports: ReportColumns, working: NDArray[np.int8]) -> TrackFixes:
        if np.any(reports.speed_kmh == 13.0):
            raise ZeroDivisionError("thirteen")
        return super()._fixes(reports, working)


def lonlat(x_m: float, y_m: float) -> tuple[float, float]:
    """Degrees of a place in metres east and north of the district's corner."""
    return round(LON0 + x_m / _M_PER_DEG_LON, 7), round(LAT0 + y_m / _M_PER_DEG_LAT, 7)


def _line(*points_m: tuple[float, float]) -> tuple[tuple[tuple[float, float], ...], ...]:
    return (tuple(lonlat(*point) for point in points_m),)


def district() -> District:
    """Two alleys of 300 m that leave one avenue, and a lane between their far ends."""
    return District(
        district_id="test",
        name="Test",
        streets=(
            Street("a", "Alley A", _line((0, 0), (0, 300)), required=1),
            Street("b", "Alley B", _line((120, 0), (120, 300)), required=2),
            Street("c", "Lane C", _line((0, 300), (120, 300)), required=1),
        ),
        roads=(Road("avenue", "Avenue", _line((-200, 0), (400, 0))),),
        units=tuple(Unit(f"u{n}", f"Unit {n}", SWEEPER) for n in range(1, 5)),
        shifts=(Shift("early", "Early shift", 6 * 3600, 14 * 3600),),
        map_version="map-1",
    )


@lru_cache(maxsize=1)
def core() -> Core:
    """The district made ready."""
    return Core(district())


START_US = day_start_us(date(2024, 5, 1), 6 * 3600, "Asia/Shanghai")
ROUND_M = ((-150, 0), (0, 0), (0, 300), (120, 300), (120, 0), (350, 0))


def drive(
    start_us: int, corners_m: Sequence[tuple[float, float]], *, speed_m_s: float = 2.5, every_s: float = 5.0
) -> list[dict[str, Any]]:
    """The fixes of a machine that drives along corners with its brush down."""
    fixes: list[dict[str, Any]] = []
    ahead_m, elapsed_s = 0.0, 0.0
    for (x0, y0), (x1, y1) in pairwise(corners_m):
        length_m = math.hypot(x1 - x0, y1 - y0)
        heading_deg = math.degrees(math.atan2(x1 - x0, y1 - y0)) % 360
        while ahead_m < length_m:
            share = ahead_m / length_m
            lon, lat = lonlat(x0 + share * (x1 - x0), y0 + share * (y1 - y0))
            fixes.append(
                {
                    "time": (start_us // 1000) + int(elapsed_s * 1000),
                    "lon": lon,
                    "lat": lat,
                    "speed_kmh": speed_m_s * 3.6,
                    "heading_deg": round(heading_deg, 1),
                    "seq": len(fixes),
                    "equipment": {"engine": True, "brush": True},
                }
            )
            ahead_m += speed_m_s * every_s
            elapsed_s += every_s
        ahead_m -= length_m
    return fixes


def message(
    unit_id: str, fixes: Sequence[Mapping[str, object]], received_us: int, kind: str = "fix"
) -> Envelope:
    """An envelope as ingest makes it."""
    payload = json.dumps(list(fixes), separators=(",", ":")).encode()
    return Envelope(unit_id, f"swept/v1/test/{unit_id}/{kind}", payload, received_us)


def messages(unit_id: str, fixes: Sequence[Mapping[str, object]], size: int = 6) -> list[Envelope]:
    """The fixes in messages of `size`, all received a day later, so that order may be anything."""
    parts = [fixes[n : n + size] for n in range(0, len(fixes), size)]
    return [message(unit_id, part, START_US + 86_400_000_000) for part in parts]


def log_of(store_url: str, envelopes: Sequence[Envelope]) -> TableLog:
    """A log of two partitions in the store that holds these messages."""
    log = TableLog(store_url, partitions=2)
    OPENED.append(log)
    log.append(envelopes)
    return log


#: Logs to close when a test is over.
OPENED: list[TableLog] = []


def close_logs() -> None:
    """Close what `log_of` opened."""
    while OPENED:
        OPENED.pop().close()


def clear(store_url: str) -> None:
    """Empty all tables, the log's too."""
    with psycopg.connect(store_url, autocommit=True) as connection:
        rows = connection.execute(
            """SELECT tablename FROM pg_tables
               WHERE schemaname = 'public' AND tablename NOT IN ('schema_migration', 'timescale_migration')"""
        ).fetchall()
        connection.execute(f"TRUNCATE {', '.join(row[0] for row in rows)}".encode())


def shuffled(envelopes: Iterable[Envelope], rng: random.Random, copies: float = 0.3) -> list[Envelope]:
    """The same messages in another order, some of them twice."""
    found = list(envelopes)
    found += [one for one in found if rng.random() < copies]
    rng.shuffle(found)
    return found


def results(store_url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of passes, tracks, street-days and unit-days, less what says when they were made."""
    questions = {
        "pass": "SELECT * FROM pass ORDER BY unit_id, track_start_us, ordinal",
        "track": "SELECT unit_id, start_us, end_us, fixes, digest FROM track ORDER BY 1, 2",
        "street_day": """SELECT street_id, service_day, work, frequency, frequency_certain, swept_mm,
                                swept_certain_mm, length_mm, cleaned_us, passes, frequency_if_observed, missing_mm
                         FROM street_day WHERE shift_id = '' ORDER BY 1, 2, 3""",
        "unit_day": "SELECT * FROM unit_day ORDER BY 1, 2",
        "equipment_interval": "SELECT * FROM equipment_interval ORDER BY 1, 2, 3, 4",
    }
    with psycopg.connect(store_url) as connection:
        return {name: connection.execute(text.encode()).fetchall() for name, text in questions.items()}
