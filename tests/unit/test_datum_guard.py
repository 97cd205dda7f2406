"""A unit in another datum is told so, and not computed; a unit that is only off the map is neither."""

from __future__ import annotations

from dataclasses import replace

import pytest

from processing.datum import to_wgs84, wgs84_to_bd09, wgs84_to_gcj02
from processing.fix import Report, ReportColumns
from processing.pipeline import Core, Track
from tests.unit.town import Leg, drive, road, street, town

CORE = Core(
    town(
        road("avenue", (-1500, 0), (1500, 0)),
        street("A", (0, 0), (0, 300)),
        street("B", (200, 0), (200, 300)),
    )
)
ROUND = drive((-300, 0), [Leg(0, 0), Leg(0, 300), Leg(0, 0), Leg(200, 0), Leg(200, 300), Leg(200, 0)])


def only_track(reports: list[Report]) -> Track:
    (track,) = CORE.tracks("S1", ReportColumns.of(reports), {})
    return track


def moved(how: object) -> list[Report]:
    places = [how(r.lon, r.lat) for r in ROUND]  # type: ignore[operator]
    return [replace(r, lon=lon, lat=lat) for r, (lon, lat) in zip(ROUND, places, strict=True)]


@pytest.mark.parametrize(
    ("how", "datum"),
    [
        (wgs84_to_gcj02, "GCJ-02"),
        (wgs84_to_bd09, "BD-09"),
        (lambda lon, lat: to_wgs84(lon, lat, "GCJ-02"), "WGS-84, not GCJ-02"),
        (lambda lon, lat: to_wgs84(lon, lat, "BD-09"), "WGS-84, not BD-09"),
    ],
)
def test_fixes_in_another_datum_are_named_and_make_no_passes(how: object, datum: str) -> None:
    track = only_track(moved(how))
    assert (track.suspected_datum, track.passes) == (datum, ())


def test_fixes_on_the_map_are_computed() -> None:
    track = only_track(ROUND)
    assert track.suspected_datum is None
    assert track.passes


def test_a_unit_that_is_merely_elsewhere_is_under_no_suspicion() -> None:
    track = only_track(moved(lambda lon, lat: (lon + 0.02, lat + 0.02)))
    assert (track.suspected_datum, track.passes) == (None, ())


def test_a_unit_parked_beside_the_map_is_under_no_suspicion() -> None:
    lon, lat = wgs84_to_gcj02(ROUND[0].lon, ROUND[0].lat)
    parked = [replace(r, lon=lon, lat=lat) for r in ROUND[:100]]
    assert only_track(parked).suspected_datum is None
