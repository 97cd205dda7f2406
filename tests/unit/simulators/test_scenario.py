from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from processing.datum import to_wgs84
from processing.service_day import US, from_us
from simulators.itinerary import Driving
from simulators.receiver import to_device
from simulators.roads import Roads
from simulators.scenario import Run, Scenario, ScenarioError, load_scenario, parse_scenario, play, with_seed
from tests.unit.simulators.grid import grid

SCENARIOS = Path(__file__).parents[3] / "configs" / "scenarios"


@pytest.fixture(scope="module")
def quiet() -> Run:
    return play(grid(), load_scenario(SCENARIOS / "quiet.toml"))


@pytest.fixture(scope="module")
def hard() -> Run:
    return play(grid(), load_scenario(SCENARIOS / "hard.toml"))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(hard: Run) -> None:
    again = play(grid(), hard.scenario)
    assert again.deliveries == hard.deliveries
    assert again.truth_passes == hard.truth_passes
    assert play(grid(), with_seed(hard.scenario, 2)).deliveries != hard.deliveries


def test_one_unit_fewer_moves_nothing_of_the_others(hard: Run) -> None:
    fewer = play(grid(), replace(hard.scenario, units=2))
    assert fewer.deliveries == tuple(d for d in hard.deliveries if d.unit_id != "b1")


def test_true_pieces_lie_on_their_street_follow_each_other_and_keep_the_work_band(hard: Run) -> None:
    roads = Roads(hard.district)
    profiles = {unit.unit_id: unit.profile for unit in hard.district.units}
    assert any(one.swept for one in hard.truth_passes)
    for one in hard.truth_passes:
        length_mm = round(roads.lines[roads.index[one.street_id]].length_m * 1_000)
        moment_us, measure_mm = one.enter_us, one.enter_mm
        for piece in one.swept:
            assert 0 <= min(piece.from_mm, piece.to_mm) <= max(piece.from_mm, piece.to_mm) <= length_mm
            assert (piece.to_mm - piece.from_mm) * one.direction > 0
            assert (piece.from_mm - measure_mm) * one.direction >= 0
            assert moment_us <= piece.from_us < piece.to_us <= one.leave_us
            speed_kmh = abs(piece.to_mm - piece.from_mm) / (piece.to_us - piece.from_us) * 3_600.0
            assert 0.5 < speed_kmh <= profiles[one.unit_id].work_kmh_max
            moment_us, measure_mm = piece.to_us, piece.to_mm


def test_without_mishaps_every_alley_is_worked_from_end_to_end_and_there_and_back_where_needed(
    quiet: Run,
) -> None:
    for street in quiet.district.streets:
        own = [p for p in quiet.truth_passes if p.street_id == street.street_id and p.work == "sweeping"]
        worked = [p for p in own if p.swept]
        directions = {p.direction for p in worked}
        assert all(p.swept_mm == abs(p.leave_mm - p.enter_mm) for p in worked)
        both = street.sides == 2 or street.street_id.endswith("2")
        assert len(worked) == street.required * (2 if both else 1)
        assert len(directions) == 2 or not both


def test_quiet_fixes_lie_on_the_line_of_the_true_pass_at_their_moment(quiet: Run) -> None:
    roads = Roads(quiet.district)
    one = max((p for p in quiet.truth_passes if p.unit_id == "u1" and p.swept), key=lambda p: p.swept_mm)
    seen = 0
    for report in (r for r in quiet.reports if r["unit"] == "u1"):
        moment_us = round(_us(report["time"]))
        for piece in one.swept:
            if piece.from_us <= moment_us < piece.to_us:
                share = (moment_us - piece.from_us) / (piece.to_us - piece.from_us)
                measure_m = (piece.from_mm + share * (piece.to_mm - piece.from_mm)) / 1_000
                x, y = roads.lines[roads.index[one.street_id]].at(np.array([measure_m]))[0]
                lon, lat = roads.plane.to_lonlat(x, y)
                assert abs(report["lon"] - lon) < 1e-5
                assert abs(report["lat"] - lat) < 1e-6
                assert report["equipment"]["brush"] is True
                seen += 1
    assert seen > 5


def _us(text: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - only this helper reads a text's time

    return datetime.fromisoformat(text).timestamp() * US


def test_each_unit_reports_every_five_seconds_of_the_shift_in_quiet(quiet: Run) -> None:
    for unit in quiet.units:
        times = [_us(r["time"]) for r in quiet.reports if r["unit"] == unit.unit_id]
        assert len(times) == 8 * 3_600 / 5
        assert set(np.diff(times)) == {5.0 * US}
        assert quiet.start_us <= times[0] < quiet.start_us + 5 * US


def test_the_channel_loses_nothing_doubles_some_and_numbers_in_order_of_first_delivery(hard: Run) -> None:
    for unit in hard.units:
        first: list[int] = []
        copies = 0
        for delivery in (d for d in hard.deliveries if d.unit_id == unit.unit_id):
            content = json.loads(delivery.payload)
            seqs = [body["seq"] for body in (content if isinstance(content, list) else [content])]
            assert delivery.seq == max(seqs)
            if seqs[0] in first:
                copies += 1
            else:
                first += seqs
        assert first == list(range(1, len(first) + 1))
        assert copies > 0


def test_hard_deliveries_arrive_out_of_order_late_and_in_arrays_and_tell_equipment_apart(hard: Run) -> None:
    fixes = [d for d in hard.deliveries if d.unit_id == "u1" and d.mqtt_topic.endswith("/u1/fix")]
    assert any(d.payload.startswith(b"[") for d in fixes)
    assert any(b'"historical":true' in d.payload for d in fixes)
    alone = [json.loads(d.payload)["time"] for d in fixes if d.payload.startswith(b"{")]
    assert alone != sorted(alone)
    assert any(d.mqtt_topic == "swept/v1/grid/u1/equipment" for d in hard.deliveries)
    assert not any(d.mqtt_topic == "swept/v1/grid/b1/equipment" for d in hard.deliveries)
    assert all(b"brush" not in d.payload for d in fixes)


def test_streets_driven_through_are_passes_without_a_swept_metre() -> None:
    scenario = Scenario(driving=Driving(through_share=1.0), seed=3)
    run = play(grid(), scenario)
    own = [p for p in run.truth_passes if p.work == "sweeping"]
    assert own
    assert not any(p.swept for p in own)


def test_half_passes_leave_a_part_of_the_street_unswept() -> None:
    run = play(grid(), Scenario(driving=Driving(half_share=1.0)))
    lengths = {line.line.line_id: line.length_m for line in Roads(run.district).lines}
    shares = [
        p.swept_mm / 1_000 / lengths[p.street_id]
        for p in run.truth_passes
        if p.swept and p.work == "sweeping"
    ]
    assert shares
    assert all(0.25 < share < 0.75 for share in shares)


def test_a_break_with_the_brush_left_on_sweeps_nothing() -> None:
    run = play(grid(), Scenario(driving=Driving(breaks=3, break_s=900.0, break_on_share=1.0), units=1))
    standing = [r for r in run.reports if r["equipment"]["brush"] and r["speed_kmh"] == 0.0]
    assert len(standing) > 100
    for report in standing:
        moment_us = round(_us(report["time"]))
        assert not any(p.from_us < moment_us < p.to_us for one in run.truth_passes for p in one.swept)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = ", "not TOML"),
        ("sede = 1", "sede"),
        ("[reception]\nsigma = 3", "reception.sigma"),
        ('seed = "many"', "seed"),
        ("[channel]\nloss_share = 1.5", "channel.loss_share"),
        ("[reception]\nfix_interval_s = 0", "reception.fix_interval_s"),
        ("shift_start_s = 5\nshift_end_s = 5", "shift_end_s"),
    ],
)
def test_a_wrong_scenario_is_refused_with_the_place_of_the_fault(text: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        parse_scenario(text, "wrong")


def test_the_shift_begins_at_six_in_shanghai(quiet: Run) -> None:
    assert from_us(quiet.start_us).isoformat() == "2026-05-31T22:00:00+00:00"


@pytest.mark.parametrize("datum", ["WGS-84", "GCJ-02", "BD-09"])
def test_what_a_device_of_any_datum_reports_reads_back_as_where_it_is(datum: str) -> None:
    own = to_device(122.26, 40.68, datum)
    assert (own == (122.26, 40.68)) == (datum == "WGS-84")
    assert to_wgs84(*own, datum) == pytest.approx((122.26, 40.68), abs=1e-7)
