from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulators.replay import RecordingError, moment, read_csv, read_ndjson, read_reports, recording
from simulators.scenario import Scenario, play
from simulators.truth import TruthError, read_truth, truth_of, write_fixes, write_truth
from tests.unit.simulators.grid import grid

CSV = """unit,time,lon,lat,speed_kmh,brush,hopper_pct,colour
u1,2026-06-01T06:00:05+08:00,122.2,40.6,6.4,1,40,red
u1,2026-06-01T06:00:10+08:00,122.2,forty,,0,,
u1,2026-06-01T06:00:15+08:00,122.2
,2026-06-01T06:00:20+08:00,122.2,40.6,,,,

u2,1780264825000,122.2,40.6,,maybe,,
"""


def test_a_csv_gives_contract_payloads_and_leaves_bad_values_for_the_decoder() -> None:
    rows = list(read_csv(CSV))
    assert [line for line, _, _ in rows] == [2, 3, 4, 5, 7]
    assert rows[0][1:] == (
        "u1",
        {
            "time": "2026-06-01T06:00:05+08:00",
            "lon": 122.2,
            "lat": 40.6,
            "speed_kmh": 6.4,
            "colour": "red",
            "equipment": {"brush": True, "hopper_pct": 40.0},
        },
    )
    assert isinstance(rows[1][2], dict)
    assert rows[1][2]["lat"] == "forty"
    assert rows[2][2] == "3 cells under 8 columns"
    assert isinstance(rows[3][2], str)
    assert isinstance(rows[4][2], dict)
    assert rows[4][2]["time"] == 1780264825000
    assert rows[4][2]["equipment"] == {"brush": "maybe"}


def test_a_csv_without_a_needed_column_is_refused_by_name() -> None:
    with pytest.raises(RecordingError, match="lat"):
        list(read_csv("unit,time,lon\n"))
    with pytest.raises(RecordingError, match="unit"):
        list(read_csv(""))


def test_a_row_that_csv_itself_refuses_does_not_stop_the_rest() -> None:
    text = 'unit,time,lon,lat\nu1,"2026"x,1,2\nu1,2026-06-01T06:00:05Z,1,2\n'
    rows = list(read_csv(text))
    assert isinstance(rows[0][2], str)
    assert isinstance(rows[1][2], dict)


def test_ndjson_takes_contract_objects_and_topics_with_their_payloads() -> None:
    lines = [
        '{"unit":"u1","time":"2026-06-01T06:00:10+08:00","lon":122.2,"lat":40.6}',
        '{"topic":"swept/v1/d/u2/fix","payload":[{"time":1780264805000,"lon":1,"lat":2},7]}',
        '{"topic":"swept/v1/d/u2/equipment","payload":"{\\"time\\":1780264800000,\\"equipment\\":{}}"}',
        "{",
        "[]",
        '{"topic":"a/b","payload":{}}',
    ]
    rows = list(read_ndjson("\n".join(lines)))
    assert [(line, unit, isinstance(payload, dict)) for line, unit, payload in rows] == [
        (1, "u1", True),
        (2, "u2", True),
        (2, "u2", False),
        (3, "u2", True),
        (4, "", False),
        (5, "", False),
        (6, "", False),
    ]
    played = recording(rows, "zq")
    assert [d.mqtt_topic for d in played.deliveries] == [
        "swept/v1/zq/u2/equipment",
        "swept/v1/zq/u2/fix",
        "swept/v1/zq/u1/fix",
    ]
    assert [d.seq for d in played.deliveries] == [1, 2, 1]
    assert [problem.line for problem in played.problems] == [2, 4, 5, 6]


def test_gpx_tracks_are_units_and_a_document_type_is_refused(tmp_path: Path) -> None:
    point = '<trkpt lat="40.6" lon="122.2"><time>2026-06-01T06:00:00Z</time><speed>2</speed></trkpt>'
    text = (
        '<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><name>a/b</name><trkseg>\n'
        f'{point}\n<trkpt lat="1" lon="2"></trkpt></trkseg></trk><trk><trkseg>{point}</trkseg></trk></gpx>'
    )
    path = tmp_path / "day.gpx"
    path.write_text(text)
    rows = list(read_reports(path))
    assert [(line, unit) for line, unit, _ in rows] == [(2, "a-b"), (3, "a-b"), (3, "track-2")]
    assert rows[0][2] == {"time": "2026-06-01T06:00:00Z", "lon": 122.2, "lat": 40.6, "speed_kmh": 7.2}
    assert rows[1][2] == "a trkpt without time"
    path.write_text('<!DOCTYPE gpx [<!ENTITY a "b">]>' + text)
    (only,) = read_reports(path)
    assert "DOCTYPE" in only[2]
    path.write_text(text[:-30])
    broken = list(read_reports(path))
    assert broken[0][2] == rows[0][2]
    assert isinstance(broken[-1][2], str)


def test_rows_without_a_moment_are_told_and_the_rest_is_played_in_order_of_time() -> None:
    text = "unit,time,lon,lat\nu1,2026-06-01T06:00:10,1,2\nu1,soon,1,2\nu1,,1,2\nu1,2000,1,2\nu1,1000,1,2\n"
    played = recording(read_csv(text), "zq")
    assert [problem.line for problem in played.problems] == [2, 3, 4]
    assert [d.deliver_at_us for d in played.deliveries] == [1_000_000, 2_000_000]


def test_received_at_decides_when_a_row_is_played_and_stays_out_of_the_payload() -> None:
    text = "unit,time,lon,lat,received_at\nu1,1000,1,2,9000\nu1,2000,1,2,\n"
    first, second = recording(read_csv(text), "zq").deliveries
    assert (first.deliver_at_us, second.deliver_at_us) == (2_000_000, 9_000_000)
    assert b"received_at" not in second.payload


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="convert"):
        read_reports(tmp_path / "day.xlsx")


def test_a_run_written_as_csv_reads_back_as_the_same_fixes(tmp_path: Path) -> None:
    run = play(grid(), Scenario(shift_end_s=7 * 3_600))
    assert write_fixes(tmp_path / "fixes.csv", run) == len(run.reports)
    rows = list(read_reports(tmp_path / "fixes.csv"))
    for (_, unit, payload), report in zip(rows, run.reports, strict=True):
        assert isinstance(payload, dict)
        kept = {k: v for k, v in report.items() if k not in {"unit", "seq", "satellites", "historical"}}
        equipment = kept.get("equipment", {})
        kept["equipment"] = {**equipment, "working": equipment.get("brush", True)}
        assert (unit, payload) == (report["unit"], kept)
    assert moment(rows[0][2]["time"]) >= run.start_us  # type: ignore[index]


def test_truth_reads_back_and_other_files_are_refused(tmp_path: Path) -> None:
    run = play(grid(), Scenario(shift_end_s=7 * 3_600))
    path = tmp_path / "truth.json"
    write_truth(path, truth_of(run))
    assert read_truth(path) == truth_of(run)
    path.write_text(json.dumps({"passes": []}))
    with pytest.raises(TruthError, match="swept simulate"):
        read_truth(path)
