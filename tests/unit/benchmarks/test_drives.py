from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.drives import Drive, grid_of, read_drives, tiled, write_drives
from benchmarks.placed import Placed, edge_at, judge, placed_fixes
from processing.fix import ReportColumns
from processing.pipeline import Core
from tests.unit.town import Leg, drive, road, street, town

DISTRICT = town(
    street("alley", (100, 0), (100, 80)), road("high", (0, 0), (300, 0)), road("west", (0, 0), (0, 200))
)


def one_drive() -> Drive:
    reports = ReportColumns.of(drive((20, 0), [Leg(280, 0, 9.0)], every_s=4.0))
    return Drive("S1", reports, np.full(len(reports), 1), np.arange(20.0, 281.0, 10.0))


def test_a_town_holds_the_district_in_each_tile_and_roads_between() -> None:
    district, drives = tiled(DISTRICT, [one_drive()], 2, 2)
    assert [one.street_id for one in district.streets] == ["alley.0", "alley.1", "alley.2", "alley.3"]
    # A link to the right for `high` and one up for `west`, in both rows and both columns.
    assert len(district.roads) == 4 * 2 + 4
    assert len(drives) == 4
    core = Core(district)
    a, b = (
        next(e for e in range(len(core.network.edges)) if core.line_of_edge(e) == name)
        for name in ("alley.0", "alley.3")
    )
    edges = core.network.edges
    assert core.network.nodes == len({*edges["tail"].tolist(), *edges["head"].tolist()})
    reached = {int(edges["tail"][a])}
    for _ in range(len(edges)):
        for tail, head in zip(edges["tail"].tolist(), edges["head"].tolist(), strict=True):
            if tail in reached or head in reached:
                reached |= {tail, head}
    assert int(edges["head"][b]) in reached


def test_a_drive_is_right_in_every_tile() -> None:
    district, drives = tiled(DISTRICT, [one_drive()], 2, 1)
    core = Core(district)
    for one in drives:
        ((fixes, match),) = core.matched(one.unit_id, one.reports)
        placed = placed_fixes(core, fixes, match)
        counts = judge(core.network, placed, one.line, one.measure_m)
        assert counts.judged > 10
        assert counts.wrong == counts.nowhere == 0
        edge = edge_at(core.network, one.line, one.measure_m)
        assert {core.line_of_edge(e) for e in edge.tolist()} <= {"high.0", "high.1"}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    first, second = one_drive(), replace(one_drive(), unit_id="S2")
    write_drives(tmp_path / "drives.npz", [first, second])
    (one, reports), (other, _) = read_drives(tmp_path / "drives.npz")
    assert (one, other) == ("S1", "S2")
    assert np.array_equal(reports.fix_time_us, first.reports.fix_time_us)
    assert np.array_equal(reports.equipment, first.reports.equipment)
    assert np.array_equal(reports.lon, first.reports.lon)


@pytest.mark.parametrize(("tiles", "grid"), [(1, (1, 1)), (4, (2, 2)), (7, (7, 1)), (10, (5, 2))])
def test_tiles_lie_in_a_grid(tiles: int, grid: tuple[int, int]) -> None:
    assert grid_of(tiles) == grid


def test_an_edge_that_is_no_place_is_nowhere() -> None:
    core = Core(DISTRICT)
    found = Placed(np.array([-1]), np.array([np.nan]))
    assert judge(core.network, found, np.array([1]), np.array([50.0])).nowhere == 1
