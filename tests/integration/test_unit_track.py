"""A unit's way: each fix with the track it belongs to, a fix that ends one and begins the next with both."""

from __future__ import annotations

import psycopg

from processing.fix import Kind, Report
from storage import writer
from storage.queries.unit_track import unit_track
from storage.versions import Versions
from storage.writer import TrackRow
from tests.integration.written import write

DAY_US = 86_400_000_000
START_US = 1_714_525_200_000_000


def test_each_fix_comes_with_its_track(connection: psycopg.Connection) -> None:
    moments = [START_US + n * 1_000_000 for n in range(6)]
    reports = [Report("u", Kind.FIX, moment, 0, 122.0, 40.0, speed_kmh=1.5) for moment in moments]
    reports.append(Report("u", Kind.EQUIPMENT, moments[1], 0, brush=True))
    write(connection, reports)
    spans = [
        (START_US - 400 * DAY_US, START_US - 399 * DAY_US),
        (START_US - DAY_US, moments[1]),
        (moments[1], moments[2]),
        (moments[4], moments[4]),
        (moments[5], START_US + DAY_US),
    ]
    rows = [TrackRow("u", first, last, 2, b"", Versions("rules", "map")) for first, last in spans]
    writer.tracks(connection, [], rows)
    writer.tracks(connection, [], [TrackRow("v", START_US, START_US + DAY_US, 2, b"", Versions("r", "m"))])
    found = unit_track(connection, "u", START_US, moments[5], 100)
    assert [(one.fix_time_us, one.track_start_us) for one in found] == [
        (moments[0], spans[1][0]),
        (moments[1], spans[1][0]),
        (moments[1], spans[2][0]),
        (moments[2], spans[2][0]),
        (moments[3], None),
        (moments[4], spans[3][0]),
    ]
    assert (found[0].lon, found[0].lat, found[0].speed_kmh, found[0].heading_deg) == (122.0, 40.0, 1.5, None)
    assert unit_track(connection, "u", START_US, moments[5], 2) == found[:2]
    assert unit_track(connection, "u", moments[5] + 1, 2**62, 100) == []
