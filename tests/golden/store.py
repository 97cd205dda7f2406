"""The golden year in a real store: passes and unit-days as rows, street-days by the worker's own code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from psycopg import Connection

from processing.district_files import parse_district
from processing.geodesy import LocalProjection, projection_of
from processing.pipeline import Core
from processing.silence import Seen
from processing.unit_day import UnitDay
from storage import district, writer
from storage.versions import Versions
from streams.cores import Cores, Dated
from streams.figures import Causes, Figures
from streams.restate import Touched
from tests.golden import answers, slow, translate, year

DISTRICT = "golden"
PROJECTION = LocalProjection(13.4, 52.5)
RULE_VERSION = "golden rules"


def lonlat(place: slow.Place) -> tuple[float, float]:
    lon, lat = PROJECTION.to_lonlat(*place)
    return float(lon), float(lat)


def files(streets: Iterable[slow.Street]) -> dict[str, bytes]:
    """The files of a district."""
    features = [
        {
            "type": "Feature",
            "properties": {
                "kind": "alley",
                "street_id": one.street_id,
                "name": one.name,
                "grade": one.grade,
                "required": one.required,
                "work": one.work,
                "sides": one.sides,
                "subdistrict": one.subdistrict,
                "contractor": one.contractor,
                "oneway": one.oneway,
            },
            "geometry": {"type": "LineString", "coordinates": [lonlat(place) for place in one.line_m]},
        }
        for one in streets
    ]
    units = "".join(
        f'[[unit]]\nid = "{u.unit_id}"\nname = "Unit"\nprofile = "{u.unit_id}"\n' for u in year.UNITS
    )
    profiles = "".join(
        f'[{u.unit_id}]\nwork = "{u.work}"\nwork_kmh_max = {u.work_kmh}\ntop_speed_kmh = {u.top_kmh}\n'
        for u in year.UNITS
    )
    shifts = "".join(
        f'[[shift]]\nid = "{s.shift_id}"\nname = "{s.name}"\nstart = "{clock(s.start_s)}"\n'
        f'end = "{clock(s.end_s)}"\nroster = {json.dumps(s.roster)}\n'
        for s in year.SHIFTS
    )
    contractors = "".join(f'[[contractor]]\nid = "{name}"\nname = "{name}"\n' for name in ("east", "west"))
    head = f'id = "{DISTRICT}"\nname = "Golden"\ntimezone = "{year.ZONE}"\nday_start = "04:00"\nsynthetic = true\n'
    texts = {
        "district.toml": head,
        "streets.geojson": json.dumps({"type": "FeatureCollection", "features": features}),
        "units.toml": units,
        "profiles.toml": profiles,
        "shifts.toml": shifts,
        "contractors.toml": contractors,
    }
    return {name: text.encode() for name, text in texts.items()}


def clock(seconds: int) -> str:
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}"


def gap_rows(one: slow.UnitDay) -> tuple[tuple[int, int, float, float, float, float], ...]:
    return tuple(
        (gap.from_us, gap.to_us, *lonlat(gap.from_m), *lonlat(gap.to_m))
        for gap in one.silences
        if gap.from_m is not None and gap.to_m is not None
    )


def seen(one: slow.UnitDay) -> Seen:
    places = *lonlat(one.first_m), *lonlat(one.last_m)
    return Seen(one.unit, one.day, one.first_us, one.last_us, gap_rows(one), *places)


def write_districts(connection: Connection[Any]) -> Cores:
    """Two versions of the map, and the cores that compute with them."""
    dated = []
    for first_day, streets in ((date(2000, 1, 1), year.OLD_MAP), (year.REDRAWN, year.NEW_MAP)):
        parsed = parse_district(files(streets))
        assert projection_of(parsed) == PROJECTION
        version, _ = district.save(connection, parsed, files(streets), RULE_VERSION)
        district.put_in_force(connection, DISTRICT, version, first_day, answers.LOADED_US)
        dated.append(Dated(Core(parsed), Versions(RULE_VERSION, parsed.map_version), version))
    cores = Cores(dated[-1], lambda _: RULE_VERSION)
    cores.reread(connection)
    return cores


def write_passes(connection: Connection[Any], figures: Figures, given: Sequence[slow.Pass]) -> Touched:
    """Rows of passes; what they touch."""
    touched = Touched()
    passes = translate.passes(given)
    for one in passes:
        touched.street_days |= {(one.street_id, day) for day in figures.days.of_pass(one)}
    writer.passes(connection, [], [(one, figures.days.of(one.enter_us)) for one in passes])
    return touched


def write_unit_days(connection: Connection[Any], given: Sequence[slow.UnitDay]) -> None:
    """Rows of unit-days, and of the fixes that begin and end them."""
    days = [
        UnitDay(
            unit_id=one.unit,
            service_day=one.day,
            fixes=one.fixes,
            first_fix_us=one.first_us,
            last_fix_us=one.last_us,
            working_s=one.working_s,
            driven_m=one.driven_m,
            working_m=one.working_m,
            gaps=gap_rows(one),
            hours=(),
        )
        for one in given
    ]
    rows = [writer.DayRows(one.unit_id, one.service_day, one, (), (), whole=True) for one in days]
    writer.unit_days(connection, rows, Versions(RULE_VERSION, ""))
    connection.execute("INSERT INTO log_number (log_id) VALUES ('golden')")
    ends = [
        (one.unit, us, *(round(degrees * 1e7) for degrees in lonlat(place)))
        for one in given
        for us, place in ((one.first_us, one.first_m), (one.last_us, one.last_m))
    ]
    connection.execute(
        """INSERT INTO fix (unit_id, fix_time_us, lon_e7, lat_e7, received_us, log_offset, kind, log_number,
                            partition, element, historical)
           SELECT given.*, 0, 0, 0, number, 0, 0, false
           FROM unnest(%s::text[], %s::bigint[], %s::integer[], %s::integer[]) AS given, log_number""",
        tuple(list(column) for column in zip(*ends, strict=True)),
    )


def write_excuses(connection: Connection[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO excuse (street_id, first_day, last_day, kind, reason, author, at_us, withdrawn_by,
                                   withdrawn_us)
               VALUES (%s, %s, %s, 'parked cars', 'parked cars', 'golden', %s, %s, %s)""",
            [
                (*excuse, None if withdrawn_us is None else "golden", withdrawn_us)
                for *excuse, withdrawn_us in answers.EXCUSES
            ],
        )


def fill(connection: Connection[Any], given: year.Year, late: Sequence[slow.Pass]) -> None:
    """The year as a worker records it: as reports come, days closed behind them, and then what comes late."""
    figures = Figures(write_districts(connection))
    write_excuses(connection)
    write_unit_days(connection, given.unit_days)
    with connection.transaction():
        gone = set(late)
        touched = write_passes(connection, figures, [one for one in given.passes if one not in gone])
        figures.restate(connection, touched, Causes("reports"), answers.LOADED_US)
    for day in given.days:
        if day < year.OPEN_FROM:
            with connection.transaction():
                assert figures.close(connection, day, answers.CLOSED_US)
    with connection.transaction():
        touched = write_passes(connection, figures, late)
        figures.restate(connection, touched, Causes("late report"), answers.LATE_US)
    connection.execute("ANALYZE")
