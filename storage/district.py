"""A district's files in the store: every version that was ever loaded, and which one a service day goes by.

Versions are never changed, and what is in force is only ever added to: so it can be told what map and which
rules a figure was made with, and which were in force at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection

from processing.district import District
from processing.era import LAST_DAY
from processing.geodesy import projection_of
from processing.linear_reference import reference


@dataclass(frozen=True, slots=True)
class InForce:
    """From `at_us` on the service days from `first_day` to `last_day` are computed with `version`."""

    version: int
    first_day: date
    last_day: date
    at_us: int


def save(
    connection: Connection[Any], district: District, files: Mapping[str, bytes], rule_version: str
) -> tuple[int, bool]:
    """Keep the files as a version of the district; its number, and whether it is new.

    The same files are the same version. A new one is in force for no day yet: see `put_in_force`.
    """
    names = sorted(files)
    contents = [bytes(files[name]) for name in names]
    with connection.transaction():
        _lock(connection, district.district_id)
        known = connection.execute(
            """SELECT version FROM district_version
               WHERE district_id = %s AND map_version = %s AND file_names = %s AND file_contents = %s
               ORDER BY version DESC LIMIT 1""",
            (district.district_id, district.map_version, names, contents),
        ).fetchone()
        if known is not None:
            _write_streets(connection, district, int(known[0]))
            return int(known[0]), False
        newest = connection.execute(
            "SELECT coalesce(max(version), 0) FROM district_version WHERE district_id = %s",
            (district.district_id,),
        ).fetchone()
        version = (int(newest[0]) if newest else 0) + 1
        connection.execute(
            """INSERT INTO district_version
                   (district_id, version, map_version, rule_version, file_names, file_contents)
               VALUES (%s, %s, %s, %s, %s, %s)""",
            (district.district_id, version, district.map_version, rule_version, names, contents),
        )
        _write_streets(connection, district, version)
    return version, True


def _write_streets(connection: Connection[Any], district: District, version: int) -> None:
    """The version's streets and shifts as rows, unless they are there."""
    projection = projection_of(district)
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO district_street (district_id, version, street_id, name, grade, required, work, sides,
                                            subdistrict, contractor, length_mm, line)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [
                (
                    district.district_id,
                    version,
                    street.street_id,
                    street.name,
                    street.grade,
                    street.required,
                    street.work,
                    street.sides,
                    street.subdistrict,
                    street.contractor,
                    reference(street, projection).length_mm,
                    json.dumps(street.parts),
                )
                for street in district.streets
            ],
        )
        cursor.executemany(
            """INSERT INTO district_shift (district_id, version, shift_id, name, start_s, end_s)
               VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [
                (district.district_id, version, shift.shift_id, shift.name, shift.start_s, shift.end_s)
                for shift in district.shifts
            ],
        )


def complete(connection: Connection[Any], parse: Callable[[Mapping[str, bytes]], District]) -> None:
    """Give the versions that an earlier release kept their streets and shifts as rows."""
    rows = connection.execute(
        """SELECT district_id, version FROM district_version
           WHERE NOT EXISTS (SELECT FROM district_street AS s WHERE s.district_id = district_version.district_id
                             AND s.version = district_version.version)"""
    ).fetchall()
    for district_id, version in rows:
        files = files_of(connection, district_id, version)
        assert files is not None
        with connection.transaction():
            _write_streets(connection, parse(files), version)


def put_in_force(
    connection: Connection[Any],
    district_id: str,
    version: int,
    first_day: date,
    at_us: int,
    last_day: date = LAST_DAY,
) -> None:
    """From now on compute the service days from `first_day` to `last_day` with this version."""
    with connection.transaction():
        _lock(connection, district_id)
        connection.execute(
            """INSERT INTO in_force (district_id, version, first_day, last_day, at_us)
               VALUES (%s, %s, %s, %s, %s)""",
            (district_id, version, first_day, last_day, at_us),
        )


def in_force(connection: Connection[Any], district_id: str) -> list[InForce]:
    """What was put in force, in that order."""
    rows = connection.execute(
        """SELECT version, first_day, last_day, at_us FROM in_force
           WHERE district_id = %s ORDER BY in_force_id""",
        (district_id,),
    )
    return [InForce(*row) for row in rows]


def version_of(timeline: Sequence[InForce], day: date) -> int | None:
    """The version that a service day is computed with: the last that was put in force for it."""
    return next((one.version for one in reversed(timeline) if one.first_day <= day <= one.last_day), None)


def standing(timeline: Sequence[InForce]) -> int | None:
    """The version that goes on: the last that was put in force without an end."""
    return version_of(timeline, LAST_DAY)


def files_of(connection: Connection[Any], district_id: str, version: int) -> dict[str, bytes] | None:
    """The files of a version of the district by name; None where there is none."""
    row = connection.execute(
        "SELECT file_names, file_contents FROM district_version WHERE district_id = %s AND version = %s",
        (district_id, version),
    ).fetchone()
    if row is None:
        return None
    return {name: bytes(content) for name, content in zip(row[0], row[1], strict=True)}


@dataclass(frozen=True, slots=True)
class Version:
    """A district version as a person lists them."""

    version: int
    map_version: str
    rule_version: str
    loaded_at: datetime


def versions(connection: Connection[Any], district_id: str) -> list[Version]:
    """All versions of a district, oldest first."""
    rows = connection.execute(
        """SELECT version, map_version, rule_version, loaded_at FROM district_version
           WHERE district_id = %s ORDER BY version""",
        (district_id,),
    )
    return [Version(*row) for row in rows]


def loaded(connection: Connection[Any]) -> list[str]:
    """The districts of which the store holds files."""
    return [
        row[0] for row in connection.execute("SELECT DISTINCT district_id FROM district_version ORDER BY 1")
    ]


def _lock(connection: Connection[Any], district_id: str) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"district {district_id}",))
