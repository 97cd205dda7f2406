"""Documents to write and read back: the made-up district of configs/, with figures from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from processing.district import District
from processing.district_files import parse_district
from reports.columns import COLUMNS
from reports.document import (
    VERDICTS,
    Cell,
    DayDigest,
    Document,
    Each,
    ExcuseNote,
    Language,
    MapStreet,
    UnitWork,
    VersionUse,
)

FOLDER = Path(__file__).parents[3] / "configs" / "zhanqian"
DAY = date(2026, 3, 1)
MADE_AT = datetime(2026, 4, 2, 1, 30, tzinfo=UTC)
PER_DAY = ("service_day", "street_id", "street", "grade", "subdistrict", "contractor", "required", "frequency",
           "frequency_certain", "coverage", "swept_m", "length_m", "passes", "cleaned_at", "verdict")  # fmt: skip
PER_MONTH = ("month", "street_id", "street", "grade", "street_days", "required", "cleanings", "shortfall",
             "compliance", "coverage", "swept", "ambiguous", "no_data", "partial", "not_swept", "open", "excused",
             "longest_without_h")  # fmt: skip


@cache
def district() -> District:
    return parse_district({path.name: path.read_bytes() for path in FOLDER.iterdir()})


def per_day(days: int, streets: int = 144, language: Language = "zh", seed: int = 1) -> Document:
    """Each day and street of the district, with verdicts."""
    draw = random.Random(seed)
    rows: list[tuple[Cell, ...]] = []
    for number in range(days):
        day = DAY + timedelta(days=number)
        for street in district().streets[:streets]:
            verdict = draw.choices(VERDICTS, (92, 1, 3, 2, 2))[0]
            lacking = {"swept": 0, "ambiguous": 0, "not swept": street.required}.get(verdict, 1)
            frequency = street.required - lacking
            morning = datetime(day.year, day.month, day.day, tzinfo=UTC)
            times = tuple(
                morning + timedelta(minutes=150 * turn + draw.randrange(90)) for turn in range(frequency)
            )
            length_m = draw.uniform(80, 900)
            coverage = 1.0 if lacking == 0 else draw.random() * min(frequency, 1)
            rows.append((day, street.street_id, street.name, street.grade, street.subdistrict, street.contractor,
                         street.required, frequency, frequency, coverage, length_m * coverage, length_m,
                         frequency + 1, times, verdict))  # fmt: skip
    by_verdict = {
        street.street_id: draw.choices(VERDICTS, (82, 3, 5, 5, 5))[0] for street in district().streets
    }
    totals: dict[str, Cell] = {"required": 300 * days, "frequency": 280 * days, "coverage": 0.962}
    return replace(
        _document(days, streets, language, "day", PER_DAY, rows, totals),
        streets=_on_map(streets, verdicts=by_verdict if days == 1 else None, draw=draw),
    )


def per_month(months: int, language: Language = "zh", seed: int = 2) -> Document:
    """Each month and street over many months."""
    draw = random.Random(seed)
    rows: list[tuple[Cell, ...]] = []
    for month in range(months):
        for street in district().streets:
            short = draw.randrange(4)
            rows.append((f"2026-{month + 1:02}", street.street_id, street.name, street.grade, 30,
                         30 * street.required, 30 * street.required - short, short, 1 - short / 30,
                         draw.uniform(0.9, 1.0), 30 - short, 0, short, 0, 0, 0, min(short, 1),
                         draw.uniform(6, 60)))  # fmt: skip
    totals: dict[str, Cell] = {"street_days": 4320 * months, "compliance": 0.9512, "coverage": 0.962}
    return replace(
        _document(30 * months, 144, language, "month", PER_MONTH, rows, totals),
        streets=_on_map(144, verdicts=None, draw=draw),
    )


def _on_map(streets: int, verdicts: dict[str, str] | None, draw: random.Random) -> tuple[MapStreet, ...]:
    return tuple(
        MapStreet(
            street.street_id,
            street.name,
            street.parts,
            300.0,
            street.subdistrict,
            verdict=verdicts[street.street_id] if verdicts else None,
            compliance=None if verdicts else min(1.0, draw.uniform(0.6, 1.3)),
            coverage=draw.random(),
            cleanings=2,
            required=2,
        )
        for street in district().streets[:streets]
    )


def _document(
    days: int,
    streets: int,
    language: Language,
    each: Each,
    keys: Sequence[str],
    rows: list[tuple[Cell, ...]],
    totals: dict[str, Cell],
) -> Document:
    last = DAY + timedelta(days=days - 1)
    return Document(
        district=district().name,
        language=language,
        first_day=DAY,
        last_day=last,
        each=each,
        by="street",
        made_at=MADE_AT,
        timezone="Asia/Shanghai",
        columns=tuple(COLUMNS[key] for key in keys),
        rows=tuple(rows),
        totals=tuple(totals.get(key) for key in keys),
        verdict_percent={"swept": 92, "ambiguous": 1, "no data": 3, "partial": 2, "not swept": 2},
        street_days=streets * days,
        open_days=streets if days > 1 else 0,
        excuses=(
            ExcuseNote("ZQ-001", "智慧巷", DAY, DAY, "road works", "供热管网抢修，全路段封闭", "王丽"),
            ExcuseNote(
                "ZQ-003", "吉祥小街", DAY, last, "parked cars", "Wedding; cars on both kerbs", "L. Wang"
            ),
        ),
        units=tuple(
            UnitWork(unit.unit_id, unit.name, 41.5 * days, 33.2 * days, 6.4 * days)
            for unit in district().units
        ),
        rule_versions=(VersionUse("0.1.0-3f9c2a7d51e08b64", DAY, last, days),),
        map_versions=(VersionUse(district().map_version, DAY, last, days),),
        digests=tuple(
            DayDigest(DAY + timedelta(days=n), "" if n == days - 1 and days > 1 else f"{n + 1:064x}"[::-1])
            for n in range(days)
        ),
        public_key="9f" * 32,
        synthetic=True,
    )
