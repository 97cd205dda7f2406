import numpy as np
import pytest

from benchmarks.kubicka import (
    agreement,
    core_of,
    lower_bound,
    matched_arcs,
    reports_of,
    thin,
    without_touches,
)
from processing.district import District
from processing.fix import ReportColumns
from processing.join import Legs
from processing.pipeline import Core
from simulators.kubicka import Recording
from tests.unit.town import Leg, drive, road, town


def legs(*rows: tuple[int, float, float]) -> Legs:
    """Legs of edge, from and to, one after the other."""
    edge, from_m, to_m = (np.array(column) for column in zip(*rows, strict=True))
    nothing = np.zeros(len(rows), dtype=np.int64)
    length_m = np.abs(to_m - from_m)
    return Legs(
        nothing, nothing, edge, (to_m < from_m).astype(np.int64), from_m, to_m, np.cumsum(length_m) - length_m
    )


def test_an_edge_that_was_left_where_it_was_entered_is_only_touched() -> None:
    path = legs((1, 0.0, 50.0), (2, 0.0, 4.0), (2, 4.0, 9.0), (2, 9.0, 0.0), (3, 0.0, 50.0))
    assert without_touches(path, 10.0) == [1, 3]


@pytest.mark.parametrize(
    "middle",
    [
        [(2, 0.0, 11.0), (2, 11.0, 0.0)],  # too deep for a touch
        [(2, 0.0, 5.0)],  # a short edge, but driven through
    ],
)
def test_a_visit_is_no_touch(middle: list[tuple[int, float, float]]) -> None:
    assert without_touches(legs((1, 0.0, 50.0), *middle, (3, 0.0, 50.0)), 10.0) == [1, 2, 3]


def test_where_a_path_begins_and_ends_nothing_is_left_out() -> None:
    assert without_touches(legs((1, 5.0, 0.0), (2, 0.0, 50.0), (3, 0.0, 4.0)), 10.0) == [1, 2, 3]
    assert without_touches(legs((1, 5.0, 5.0)), 10.0) == []


def arcs() -> Core:
    """A way of four arcs and one that leads off it, as a recording's map has them."""
    ways = [road(f"{i:07d}", (100 * i, 0), (100 * i + 100, 0)) for i in range(4)]
    plan = town(*ways, road("0000009", (200, 0), (200, 100)))
    car = plan.units[0].__class__("car", "car", plan.units[0].profile)
    return Core(District("arcs", "", (), plan.roads, (car,), noded=True))


def test_a_drive_gives_its_arcs_in_order_and_what_agrees_is_metres() -> None:
    core = arcs()
    there = drive((10, 0), [Leg(390, 0, 20.0)], every_s=3.0, unit_id="car")
    found = matched_arcs(core, ReportColumns.of(there))
    assert found == [0, 1, 2, 3]
    both, have, want = agreement(core, found, [0, 1, 9])
    assert (both, have, want) == pytest.approx((200.0, 400.0, 300.0), abs=0.01)


def test_thinning_keeps_the_first_fix_and_then_those_far_enough_apart() -> None:
    reports = ReportColumns.of(drive((0, 0), [Leg(300, 0, 20.0)], every_s=3.0))
    kept = thin(reports, 10.0)
    assert kept.fix_time_us[0] == reports.fix_time_us[0]
    assert set(np.diff(kept.fix_time_us).tolist()) == {12_000_000}


def test_the_bound_lies_below_the_mean_and_equal_tracks_need_no_margin() -> None:
    difference = np.array([0.0, 0.02, -0.01, 0.03, 0.01])
    assert lower_bound(difference) < difference.mean()
    assert lower_bound(np.full(9, 0.01)) == pytest.approx(0.01)


def test_of_a_map_that_is_too_large_the_part_near_the_track_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    near = [road(f"{i:07d}", (100 * i, 0), (100 * i + 100, 0)) for i in range(4)]
    far = road("0000009", (250_000, 250_000), (250_100, 250_000))
    there = drive((10, 0), [Leg(390, 0, 20.0)], every_s=3.0)
    fixes = np.array([(one.lon, one.lat, 3.0 * i) for i, one in enumerate(there)])
    recording = Recording("R", (*near, far), fixes, ("0000000",))
    core = core_of(recording)
    assert {one.line_id for one in core.line_references} == {one.line_id for one in near}
    assert "only what lies near" in capsys.readouterr().err
    assert matched_arcs(core, reports_of(recording)) == [0, 1, 2, 3]
