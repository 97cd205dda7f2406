"""What makes the simulator hard: walls, map errors, brush changes, districts where everything is close."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree
from shapely.geometry import LineString

from processing.decode import Directory, decode
from processing.district import District, Street
from processing.district_files import parse_district, parse_plan
from processing.fix import ReportColumns
from processing.survey import check
from simulators.channel import Channel
from simulators.district import generate
from simulators.district_close import CLOSE_M, LAYOUTS, LayoutName
from simulators.itinerary import Driving
from simulators.map_error import MapError
from simulators.receiver import Reception, _gauss_markov
from simulators.roads import Roads
from simulators.scenario import Scenario, load_scenario, play, true_shift
from simulators.walls import Walls
from tests.unit.simulators.grid import grid

SCENARIOS = Path(__file__).parents[3] / "configs" / "scenarios"


@pytest.fixture(scope="module")
def close() -> District:
    return parse_district(generate(3, "close"))


@pytest.fixture(scope="module")
def zhanqian() -> Roads:
    return Roads(parse_district(generate(5)))


def shapes(roads: Roads) -> list[LineString]:
    return [LineString(line.xy) for line in roads.lines]


# Districts


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_each_layout_gives_sound_districts_with_a_plan(layout: LayoutName) -> None:
    for seed in range(3):
        files = generate(seed, layout)
        district = parse_district(files)
        assert len(district.streets) == 144
        assert parse_plan(files)
        bad = {finding.fault.value for finding in check(district.streets, district.roads)} - {"loop"}
        assert not bad


def test_the_avenues_layout_has_dozens_of_alleys_12_to_20_metres_beside_a_road() -> None:
    roads = Roads(parse_district(generate(1, "avenues")))
    lines = shapes(roads)
    near = 0
    for i, line in enumerate(roads.lines):
        middle = lines[i].interpolate(0.5, normalized=True)
        gaps = [middle.distance(lines[j]) for j, other in enumerate(roads.lines) if not other.is_street]
        near += line.is_street and CLOSE_M[0] - 1.0 <= min(gaps) <= CLOSE_M[1] + 1.0
    assert near > 100


def test_the_crossing_layout_has_alleys_that_cross_in_the_middle_of_both() -> None:
    roads = Roads(parse_district(generate(1, "crossing")))
    inner: dict[int, set[int]] = {}
    for i, line in enumerate(roads.lines):
        for _, node in roads.stations[i][1:-1] if line.is_street else ():
            inner.setdefault(node, set()).add(i)
    crossings = [
        node
        for node, lines in inner.items()
        if sum(isinstance(roads.lines[i].line, Street) for i in lines) == 2
    ]
    assert len(crossings) > 50


def test_the_close_layout_has_lanes_that_are_no_streets_beside_alleys(close: District) -> None:
    assert any(road.line_id.startswith("ZQ-RL") for road in close.roads)


# Map errors


def test_true_lines_lie_about_as_far_off_the_map_as_is_asked(zhanqian: Roads) -> None:
    true = MapError(off_m=2.0).true_roads(zhanqian, seed=4)
    off = []
    for mapped, line in zip(zhanqian.lines, true.lines, strict=True):
        off += np.hypot(*(mapped.at(line.mapped_m) - line.xy).T).tolist()
    assert 1.5 < np.sqrt(np.mean(np.square(off))) < 2.2
    assert max(off) < 8.0


def test_a_map_error_keeps_every_junction_joined_and_adds_none(zhanqian: Roads) -> None:
    true = MapError(off_m=2.0, cut_m=3.0).true_roads(zhanqian, seed=4)
    for mapped, line, before, after in zip(
        zhanqian.lines, true.lines, zhanqian.stations, true.stations, strict=True
    ):
        assert [node for _, node in before] == [node for _, node in after]
        for (mapped_m, node), (true_m, _) in zip(before, after, strict=True):
            gap = mapped.at(np.array([mapped_m]))[0] - np.array(zhanqian.node_xy[node])
            moved = line.at(np.array([true_m]))[0] - np.array(true.node_xy[node])
            assert moved == pytest.approx(gap, abs=1e-6)
            assert line.to_map(np.array([true_m]))[0] == pytest.approx(mapped_m, abs=1e-6)


def test_where_the_map_cuts_bends_true_lines_are_longer(zhanqian: Roads) -> None:
    true = MapError(cut_m=4.0).true_roads(zhanqian, seed=4)
    longer = [t.length_m - m.length_m for m, t in zip(zhanqian.lines, true.lines, strict=True)]
    assert min(longer) > -0.5
    assert max(longer) > 2.0


def test_true_passes_are_told_in_measures_of_the_map() -> None:
    district = grid()
    scenario = Scenario(map_error=MapError(off_m=3.0), seed=2)
    shift = true_shift(district, scenario)
    lengths = {line.line.line_id: line.length_m for line in Roads(district).lines}
    whole = [p for p in shift.passes if p.swept_mm and p.work == "sweeping"]
    true = {line.line.line_id: line.length_m for line in shift.roads.lines}
    assert any(abs(true[p.street_id] - lengths[p.street_id]) > 0.05 for p in whole)
    for one in whole:
        assert one.swept_mm / 1_000 == pytest.approx(lengths[one.street_id], abs=0.01)


def test_without_a_map_error_the_true_roads_are_the_maps(zhanqian: Roads) -> None:
    assert MapError().true_roads(zhanqian, seed=4) is zhanqian


# Walls


def test_walls_push_every_unit_alike_and_across_the_street() -> None:
    district = grid()
    calm = Reception(sigma_m=0.0, heading_sigma_deg=0.0, speed_sigma_kmh=0.0)
    scenario = Scenario(walls=Walls(share=0.5, push_m=10.0, sigma_m=0.0), reception=calm)
    shift = true_shift(district, scenario)
    open_air = true_shift(district, Scenario(reception=calm))
    walled, free = shift.sensed(), open_air.sensed()
    pushes: dict[tuple[float, ...], set[float]] = {}
    for unit_id, columns in walled.items():
        dx = (columns.lon - free[unit_id].lon) * 84_500.0
        dy = (columns.lat - free[unit_id].lat) * 111_000.0
        along = np.radians(columns.heading_deg)
        assert np.abs(dx * np.sin(along) + dy * np.cos(along)).max() < 0.1
        assert np.hypot(dx, dy).max() > 8.0
        # Where streets meet, each has its own walls.
        xy = np.column_stack(shift.roads.plane.to_xy(free[unit_id].lon, free[unit_id].lat))
        inside = cKDTree(shift.roads.node_xy).query(xy)[0] > 12.0
        lon, lat = free[unit_id].lon.round(5), free[unit_id].lat.round(5)
        street = (columns.heading_deg % 180.0).round(0)
        for *place, size in np.column_stack([lon, lat, street, np.hypot(dx, dy)])[inside].tolist():
            pushes.setdefault(tuple(place), set()).add(size)
    spread = [max(sizes) - min(sizes) for sizes in pushes.values() if len(sizes) > 1]
    assert len(spread) > 100
    assert max(spread) < 1.5


def test_a_push_changes_slowly_along_a_street_and_is_none_in_the_open(zhanqian: Roads) -> None:
    walls = Walls(share=0.3, push_m=8.0, sigma_m=5.0)
    line = max(range(len(zhanqian.lines)), key=lambda i: zhanqian.lines[i].length_m)
    measures = np.arange(0.0, zhanqian.lines[line].length_m, 1.0)
    push_m, sigma_m = walls.at(zhanqian, np.full(len(measures), line), measures, 7)
    assert np.abs(np.diff(push_m)).max() <= 2 * 1.5 * 8.0 / 50.0
    assert (push_m > 4.0).any()
    assert (push_m < -4.0).any()
    assert (sigma_m[push_m == 0.0] == 0.0).all()
    assert (push_m == 0.0).mean() > 0.2
    other, _ = walls.at(zhanqian, np.full(len(measures), line), measures, 8)
    assert (other != push_m).any()


# Equipment and receivers


def test_the_brush_changes_away_from_street_ends_within_one_pass() -> None:
    shift = true_shift(grid(), Scenario(driving=Driving(change_share=1.0, lateral_m=0.0), seed=3))
    lengths = {line.line.line_id: line.length_m * 1_000 for line in shift.roads.lines}
    own = [p for p in shift.passes if p.work == "sweeping"]
    cut = [p for p in own if 0 < p.swept_mm < 0.95 * lengths[p.street_id]]
    assert len(cut) > 0.9 * len([p for p in own if p.swept])
    lifted = [p for p in cut if any(a.to_mm != b.from_mm for a, b in pairwise(p.swept))]
    assert lifted
    for one in cut:
        assert abs(one.leave_mm - one.enter_mm) == pytest.approx(lengths[one.street_id], abs=5)


def test_a_units_own_bias_stays_for_its_shift_and_differs_from_unit_to_unit() -> None:
    calm = Reception(sigma_m=0.0, heading_sigma_deg=0.0, speed_sigma_kmh=0.0)
    shift = true_shift(grid(), Scenario())
    own, free = shift.sensed(replace(calm, unit_bias_m=2.0)), shift.sensed(calm)
    shifts = set()
    for unit_id, columns in own.items():
        off = np.column_stack([columns.lon - free[unit_id].lon, columns.lat - free[unit_id].lat])
        assert np.ptp(off, axis=0).max() < 3e-7
        shifts.add(tuple(off.mean(axis=0).round(6).tolist()))
    assert len(shifts) == len(own)


def test_noise_keeps_its_size_and_forgets_by_e_in_its_correlation_time() -> None:
    noise = _gauss_markov(200_000, 5.0 / 20.0, np.random.default_rng(1))
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    assert np.mean(noise[4:] * noise[:-4]) == pytest.approx(np.exp(-1.0), abs=0.03)


@pytest.mark.parametrize("equipment", ["fix", "topic"])
def test_what_is_sensed_is_what_a_channel_without_clock_error_delivers(equipment: str) -> None:
    scenario = Scenario(
        driving=Driving(change_share=0.3, breaks=1),
        map_error=MapError(off_m=2.0),
        walls=Walls(share=0.2),
        reception=Reception(dropouts_per_h=2.0, equipment="topic" if equipment == "topic" else "fix"),
        channel=Channel(loss_share=0.05, duplicate_share=0.05, outages_per_h=1.0),
    )
    run = play(grid(), scenario)
    directory = Directory.of(run.district)
    sent = [
        report
        for one in run.deliveries
        for report in decode(one.mqtt_topic, one.payload, one.deliver_at_us, directory).reports
    ]
    shift = true_shift(run.district, scenario)
    assert shift.passes == run.truth_passes
    for unit_id, columns in shift.sensed().items():
        rows = {(r.fix_time_us, r.kind): r for r in sent if r.unit_id == unit_id}
        delivered = ReportColumns.of(rows[key] for key in sorted(rows))
        for name in (field.name for field in fields(ReportColumns)):
            np.testing.assert_array_equal(getattr(columns, name), getattr(delivered, name), err_msg=name)


@pytest.mark.parametrize("name", sorted(path.stem for path in SCENARIOS.glob("*.toml")))
def test_every_scenario_that_comes_with_swept_can_be_read_and_played_anywhere(name: str) -> None:
    assert true_shift(grid(), load_scenario(SCENARIOS / f"{name}.toml")).sensed()
