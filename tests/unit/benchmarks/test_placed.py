import numpy as np
import pytest

from benchmarks.placed import Placed, edge_at, judge, placed_fixes
from processing.fix import ReportColumns
from processing.pipeline import Core
from tests.unit.town import Leg, drive, road, street, town

#: A high street of 300 m, an alley that leaves it at 100 m and ends after 80 m.
HIGH, ALLEY = road("high", (0, 0), (300, 0)), street("alley", (100, 0), (100, 80))


@pytest.fixture(scope="module")
def core() -> Core:
    return Core(town(ALLEY, HIGH))


def lines(core: Core, *ids: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    number = {one.line_id: i for i, one in enumerate(core.line_references)}
    return np.array([number[line_id] for line_id in ids])


def test_the_edge_at_a_measure_is_the_one_between_its_cuts(core: Core) -> None:
    edge = edge_at(core.network, lines(core, "high", "high", "alley"), np.array([40.0, 140.0, 0.0]))
    assert [core.line_of_edge(one) for one in edge.tolist()] == ["high", "high", "alley"]
    assert core.network.edges["from_m"][edge] == pytest.approx([0.0, 100.0, 0.0], abs=1e-3)


def test_a_measure_past_the_end_is_on_the_last_edge(core: Core) -> None:
    (edge,) = edge_at(core.network, lines(core, "high"), np.array([300.4])).tolist()
    assert core.line_of_edge(edge) == "high"
    assert core.network.edges["from_m"][edge] == pytest.approx(100.0, abs=1e-3)


def test_a_fix_near_a_junction_is_not_judged_but_one_at_a_dead_end_is(core: Core) -> None:
    line, measure_m = lines(core, "alley", "alley", "alley"), np.array([9.0, 11.0, 80.0])
    elsewhere = edge_at(core.network, lines(core, "high"), np.array([50.0]))[0]
    found = Placed(np.full(3, elsewhere), np.full(3, 50.0))
    counts = judge(core.network, found, line, measure_m)
    assert (counts.fixes, counts.judged, counts.wrong, counts.nowhere) == (3, 2, 2, 0)


def test_no_edge_is_nowhere_and_the_true_edge_is_right(core: Core) -> None:
    line, measure_m = lines(core, "alley", "alley"), np.array([40.0, 50.0])
    found = Placed(edge_at(core.network, line, measure_m), measure_m)
    assert judge(core.network, found, line, measure_m).wrong == 0
    found.edge[1] = -1
    counts = judge(core.network, found, line, measure_m)
    assert (counts.wrong, counts.nowhere) == (0, 1)


def test_fixes_between_two_steps_lie_on_the_path_between_them(core: Core) -> None:
    reports = ReportColumns.of(drive((0, 0), [Leg(100, 0, 9.0), Leg(100, 80, 9.0)], every_s=1.0))
    ((fixes, match),) = core.matched("S1", reports)
    assert len(match.steps) < len(fixes.time_us)
    placed = placed_fixes(core, fixes, match)
    gone_m = 2.5 * np.arange(len(fixes.time_us))
    expected = np.where(gone_m <= 100.0, gone_m, gone_m - 100.0)
    far = np.abs(gone_m - 100.0) > 10.0
    assert placed.measure_m[far] == pytest.approx(expected[far], abs=0.5)
    alley = [core.line_of_edge(edge) == "alley" for edge in placed.edge[far].tolist()]
    assert alley == (gone_m[far] > 100.0).tolist()
