from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from simulators.replay import (
    RecordingError,
    csv_rows,
    moment,
    read_csv,
    read_ndjson,
    read_reports,
    recording,
)
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
    text = "unit,time,lon,lat\nu1,2026-06-01T06:00:10,1,2\nu1,soon,1,2\nu1,,1,2\nu1,1780264802000,1,2\nu1,1780264801000,1,2\n"
    played = recording(read_csv(text), "zq")
    assert [problem.line for problem in played.problems] == [2, 3, 4]
    assert [d.deliver_at_us for d in played.deliveries] == [1_780_264_801_000_000, 1_780_264_802_000_000]


def test_received_at_decides_when_a_row_is_played_and_stays_out_of_the_payload() -> None:
    text = "unit,time,lon,lat,received_at\nu1,1780264801000,1,2,1780264809000\nu1,1780264802000,1,2,\n"
    first, second = recording(read_csv(text), "zq").deliveries
    assert (first.deliver_at_us, second.deliver_at_us) == (
        1_780_264_802_000_000,
        1_780_264_809_000_000,
    )
    assert b"received_at" not in second.payload


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("0001-01-01T00:00:00+08:00", "dates go from"),
        ("9999-12-31T23:59:59-08:00", "dates go from"),
        ("1714514400", "seconds; write milliseconds"),
        ("9999999999999999999", "dates go from"),
        ("999999999999999", "dates go from"),
        ("²³", "is no time"),
        ("1e306", "dates go from|is no time"),
        ("nan", "is no time"),
        ("2024-05-01T06:00:00", "has no zone"),
    ],
)
def test_a_time_that_cannot_be_meant_is_a_problem_of_its_row(value: str, told: str) -> None:
    good = "u1,2026-06-01T06:00:05+08:00,1,2"
    played = recording(read_csv(f"unit,time,lon,lat\n{good}\nu1,{value},1,2\n"), "zq")
    assert len(played.deliveries) == 1
    (problem,) = played.problems
    assert re.search(told, problem.detail)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1780264805000", 1_780_264_805_000_000),
        ("1780264805000.0", 1_780_264_805_000_000),
        ("1.780264805e12", 1_780_264_805_000_000),
        ("1780264805000.25", 1_780_264_805_000_250),
        ("2026-06-01T06:00:05+08:00", 1_780_264_805_000_000),
        ("2026-06-01t06:00:05.5z", 1_780_293_605_500_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
    ],
)
def test_a_time_is_read_however_spreadsheets_write_it(value: str, expected: int) -> None:
    (delivery,) = recording(read_csv(f"unit,time,lon,lat\nu1,{value},1,2\n"), "zq").deliveries
    assert delivery.deliver_at_us == expected


def test_whole_numbers_and_states_are_read_as_pandas_writes_them() -> None:
    text = "unit,time,lon,lat,satellites,brush,spray,fan\nu1,1780264805000,1,2,14.0,1.0,0.0,²\n"
    ((_, _, payload),) = read_csv(text)
    assert isinstance(payload, dict)
    assert payload["satellites"] == 14
    assert payload["equipment"] == {"brush": True, "spray": False, "fan": "²"}


ROW = "u{0},2026-06-01T06:00:0{0}+08:00,1,2,"


@pytest.mark.parametrize(
    ("cells", "bad_lines"),
    [
        (['"' + ROW.format(1), *(ROW.format(n) for n in range(2, 9))], [2]),
        ([ROW.format(1) + '"', *(ROW.format(n) for n in range(2, 9))], [2]),
        ([ROW.format(1) + '"', ROW.format(2), ROW.format(3) + '"x', ROW.format(4)], [2, 4]),
        ([ROW.format(1), '"' + ROW.format(2), ROW.format(3), '"' + ROW.format(4), ROW.format(5)], [3, 5]),
        ([ROW.format(1), "0" * 300_000, ROW.format(2)], [3]),
    ],
)
def test_a_stray_quote_or_an_endless_line_costs_its_own_row_only(
    cells: list[str], bad_lines: list[int]
) -> None:
    rows = list(read_csv("\n".join(["unit,time,lon,lat,brush", *cells]) + "\n"))
    assert [line for line, _, payload in rows if isinstance(payload, str)] == bad_lines
    assert len(rows) == len(cells)


def test_a_remark_of_several_lines_stays_one_row_and_a_known_column_may_hold_none() -> None:
    row = ROW.format(1) + '"1\n'
    text = f'unit,time,lon,lat,remark\n{row}and 2"\n{ROW.format(2)}\n'
    assert [line for line, _, payload in read_csv(text) if isinstance(payload, dict)] == [2, 4]
    ((_, first), _) = csv_rows(text)
    assert first == row + 'and 2"'
    one, two, three, four = (ROW.format(n) for n in range(1, 5))
    text = f'unit,time,lon,lat,brush\n{one}"1\n{two}\n{three}1"\n{four}\n'
    lines = [(line, isinstance(payload, dict)) for line, _, payload in read_csv(text)]
    assert lines == [(2, False), (3, True), (4, True), (5, True)]


@pytest.mark.parametrize("name", ["day.csv", "day.ndjson", "day.gpx"])
def test_a_file_that_is_not_utf8_is_refused_with_its_line_so_that_no_two_vehicles_become_one(
    tmp_path: Path, name: str
) -> None:
    head = "unit,time,lon,lat\n" if name.endswith("csv") else ""
    (tmp_path / name).write_bytes(head.encode() + "吴1,1780264805000,1,2\n马1,1,1,2\n".encode("gbk"))
    with pytest.raises(RecordingError, match=rf"{name}:{2 if head else 1} is not UTF-8"):
        list(read_reports(tmp_path / name))


def test_half_a_surrogate_pair_is_played_as_it_was_sent() -> None:
    text = '{"unit":"u1","time":1780264805000,"lon":1,"lat":2,"x":"\\ud800"}\n{"unit":"\\ud800","time":1}'
    played = recording(read_ndjson(text), "zq")
    (delivery,) = played.deliveries
    assert b'"\\ud800"' in delivery.payload
    assert [problem.line for problem in played.problems] == [2]


def test_a_unit_is_bounded_in_bytes() -> None:
    for unit, known in (("a" * 200, True), ("a" * 201, False), ("吴" * 67, False)):
        ((_, _, payload),) = read_csv(f"unit,time,lon,lat\n{unit},1780264805000,1,2\n")
        assert isinstance(payload, dict) is known


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
