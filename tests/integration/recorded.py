"""A record written by hand: districts, street-days and closed days as the worker leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from processing.service_day import day_start_us, to_us

H_US = 3_600_000_000
ZONE = "Asia/Shanghai"


def at_us(text: str, zone: str = ZONE) -> int:
    """The instant of a local time such as 2026-06-01T09:00."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def put_map(
    connection: psycopg.Connection,
    version: int,
    streets: Sequence[tuple[str, dict[str, Any]]],
    *,
    at: int = 0,
    first_day: str = "2000-01-01",
    district_id: str = "test",
) -> None:
    """A version of the district's map, in force from `first_day` on; all streets are 100 m long."""
    connection.execute(
        "INSERT INTO district_version VALUES (%s, %s, 'm', 'r', '{}', '{}')", (district_id, version)
    )
    for street_id, given in streets:
        about = {"name": street_id.upper(), "grade": 1, "required": 1, "work": "sweeping"} | given
        connection.execute(
            """INSERT INTO district_street VALUES (%s, %s, %s, %s, %s, %s, %s, 1, %s, %s, 100000, %s)""",
            (
                *(district_id, version, street_id, about["name"], about["grade"], about["required"]),
                *(about["work"], about.get("subdistrict", "north"), about.get("contractor", "c1")),
                "[[[122.0, 40.0], [122.001, 40.0]]]",
            ),
        )
    for shift_id, start_h in (("early", 0), ("late", 12)):
        connection.execute(
            "INSERT INTO district_shift VALUES (%s, %s, %s, %s, %s, %s)",
            (district_id, version, shift_id, shift_id.title(), start_h * 3600, (start_h + 12) * 3600),
        )
    connection.execute(
        "INSERT INTO in_force (district_id, version, first_day, at_us) VALUES (%s, %s, %s, %s)",
        (district_id, version, first_day, at),
    )


def close_day(connection: psycopg.Connection, day: str, closed_us: int) -> None:
    connection.execute("INSERT INTO closed_day VALUES (%s, %s)", (day, closed_us))


def put_day(
    connection: psycopg.Connection,
    street_id: str,
    day: str,
    verdict: str | None,
    *,
    cleaned_h: Sequence[float] = (),
    superseded_us: int | None = None,
    zone: str = ZONE,
    **given: Any,
) -> None:
    """A street-day, cleaned at these hours after its day began; superseded, or current."""
    begin_us = day_start_us(date.fromisoformat(day), 0, zone)
    row = {
        "street_id": street_id,
        "service_day": day,
        "work": "sweeping",
        "frequency": len(cleaned_h),
        "frequency_certain": len(cleaned_h),
        "swept_mm": 100_000 if cleaned_h else 0,
        "swept_certain_mm": 0,
        "length_mm": 100_000,
        "cleaned_us": [begin_us + round(hours * H_US) for hours in cleaned_h],
        "passes": len(cleaned_h),
        "frequency_if_observed": 0,
        "missing_mm": 0,
        "rule_version": "r",
        "map_version": "m",
        "shift_id": "",
        "required": 1,
        "verdict": verdict,
        "district_version": 1,
    } | given
    table = "street_day"
    if superseded_us is not None:
        row["superseded_us"], table = superseded_us, "street_day_version"
        # Columns without a default there.
        row = {
            "updated_at": "2026-01-01",
            "version": 1,
            "cause": "first figures",
            "begun_us": 0,
            "known_us": 0,
        } | row
    names = ", ".join(row)
    connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(row))})".encode(), list(row.values())
    )
