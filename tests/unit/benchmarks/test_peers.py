import numpy as np
import pytest

from benchmarks.peers import PLAIN, TUNED, Fastmm, Snap, edge_points
from processing.pipeline import Core
from tests.unit.town import road, town

#: Round a corner, with a way in from the right that may be driven one way only.
LINES = (
    road("along", (0, 0), (200, 0)),
    road("up", (200, 0), (200, 100), (150, 200)),
    road("in", (300, 0), (200, 0), oneway=True),
)


@pytest.fixture(scope="module")
def core() -> Core:
    return Core(town(*LINES))


def plane(core: Core, *points: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Places in the core's plane, told from the start of `along`."""
    x0, y0 = core.line_references[0].xy[0]
    x, y = np.array(points, dtype=np.float64).T
    return x + x0, y + y0


def test_an_edge_keeps_the_vertices_of_its_line(core: Core) -> None:
    (up,) = [e for e in range(len(core.network.edges)) if core.line_of_edge(e) == "up"]
    points = np.array(edge_points(core.network, core.line_references, up))
    assert points - core.line_references[0].xy[0] == pytest.approx(
        np.array([[200, 0], [200, 100], [150, 200]]), abs=0.1
    )


@pytest.mark.parametrize("tuning", [PLAIN, TUNED])
def test_fastmm_drives_round_the_corner_and_says_where_each_fix_is(core: Core, tuning: object) -> None:
    x_m, y_m = plane(core, (50, 3), (120, -2), (180, 2), (203, 60), (198, 95))
    peer = Fastmm(core.network, core.line_references)
    result = peer.match(peer.trajectory(x_m, y_m, np.arange(5) * 10_000_000), 6, tuning)  # type: ignore[arg-type]
    placed = peer.placed(result, 5)
    names = [core.line_of_edge(edge) for edge in placed.edge.tolist()]
    assert names == ["along", "along", "along", "up", "up"]
    assert placed.measure_m == pytest.approx([50, 120, 180, 60, 95], abs=0.2)
    driven = [core.line_of_edge(edge) for edge in peer.path(result)]
    assert list(dict.fromkeys(driven)) == ["along", "up"]


def test_fastmm_does_not_drive_against_a_one_way_road(core: Core) -> None:
    x_m, y_m = plane(core, (150, 1), (190, 1), (230, 1), (270, 1))
    peer = Fastmm(core.network, core.line_references)
    result = peer.match(peer.trajectory(x_m, y_m, np.arange(4) * 10_000_000), 6)
    ways = [way for part in result.subtrajectories for segment in part.segments for way in segment.edges]
    assert ways
    oneway = core.network.edges["oneway"]
    assert all(way.edge_id % 2 == 0 for way in ways if oneway[way.edge_id // 2])


def test_a_snap_takes_the_nearest_edge_and_its_measure(core: Core) -> None:
    x_m, y_m = plane(core, (50, 40), (260, -5), (206, 50))
    placed = Snap(core.network, core.line_references).place(x_m, y_m)
    assert [core.line_of_edge(edge) for edge in placed.edge.tolist()] == ["along", "in", "up"]
    assert placed.measure_m == pytest.approx([50, 40, 50], abs=0.2)
