"""Lines are cut where they meet, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from processing import route
from processing.district import District
from processing.pipeline import Core
from processing.route import build_routes, first_edge, way_m
from tests.unit.town import road, street, town


def edges(core: Core) -> dict[str, int]:
    lines, counts = np.unique(core.network.edge_line, return_counts=True)
    ids = (*(s.line_id for s in core.district.streets), *(r.line_id for r in core.district.roads))
    return {ids[line]: int(count) for line, count in zip(lines, counts, strict=True)}


def test_an_end_on_another_line_cuts_that_line_there() -> None:
    core = Core(town(street("stem", (50, 0), (50, 80)), road("bar", (0, 0), (100, 0))))
    assert edges(core) == {"stem": 1, "bar": 2}
    bar = np.flatnonzero(core.network.edge_line == 1)
    assert core.network.edges["to_m"][bar[0]] == pytest.approx(50, abs=0.01)
    assert core.network.nodes == 4
    assert sorted(core.network.edges["tail_degree"].tolist()) == [1, 3, 3]
    assert sorted(core.network.edges["head_degree"].tolist()) == [1, 1, 3]


def test_crossing_lines_of_one_layer_meet_and_of_two_layers_do_not() -> None:
    one, other = street("one", (0, 50), (100, 50)), road("other", (50, 0), (50, 100))
    assert edges(Core(town(one, other))) == {"one": 2, "other": 2}
    bridge = road("other", (50, 0), (50, 100), layer=1)
    assert edges(Core(town(one, bridge))) == {"one": 1, "other": 1}


def test_a_noded_map_meets_at_common_ends_only() -> None:
    whole = town(street("stem", (50, 0), (50, 80)), road("bar", (0, 0), (100, 0)))
    noded = District("town", "town", whole.streets, whole.roads, whole.units, noded=True)
    assert edges(Core(noded)) == {"stem": 1, "bar": 1}


def test_an_end_within_a_metre_of_a_line_meets_it_and_one_further_off_does_not() -> None:
    bar = road("bar", (0, 0), (100, 0))
    assert edges(Core(town(street("stem", (50, 0.8), (50, 80)), bar)))["bar"] == 2
    assert edges(Core(town(street("stem", (50, 1.5), (50, 80)), bar)))["bar"] == 1


def test_routes_follow_the_shortest_way_and_obey_one_way_roads() -> None:
    lines = (
        road("south", (0, 0), (100, 0)),
        road("east", (100, 0), (100, 100)),
        road("north", (0, 100), (100, 100), oneway=True),
        road("west", (0, 0), (0, 100)),
    )
    core = Core(town(street("s", (100, 100), (150, 100)), *lines))
    at = {
        name: int(node)
        for line, name in enumerate(("s", "south", "east", "north", "west"))
        for node, name in (
            (core.network.edges["tail"][core.network.edge_line == line][0], f"{name} from"),
            (core.network.edges["head"][core.network.edge_line == line][0], f"{name} to"),
        )
    }
    there = way_m(core.routes, at["north from"], at["north to"])
    back = way_m(core.routes, at["north to"], at["north from"])
    assert there == pytest.approx(100, abs=0.1)
    assert back == pytest.approx(300, abs=0.1)


def squares(n: int) -> District:
    """A town of n by n crossings, 100 m apart but for some metres, so that hardly two ways are equal."""
    streets = []
    for i in range(n):
        bend = [(100.0 * k, 100.0 * i + 7 * (k * i % 3)) for k in range(n)]
        streets += [street(f"x{i:02d}", *bend), street(f"y{i:02d}", *((y, x) for x, y in bend))]
    return town(*streets)


def test_a_table_within_reach_tells_what_the_table_of_all_pairs_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Core(squares(12)).network
    whole = build_routes(network)
    monkeypatch.setattr(route, "ALL_PAIRS_NODES_MAX", 0)
    monkeypatch.setattr(route, "REACH_M", 450.0)
    near = build_routes(network)
    reached = 0
    for a in range(network.nodes):
        for b in range(network.nodes):
            if way_m(whole, a, b) > 450.0:
                assert way_m(near, a, b) == np.inf
                continue
            reached += 1
            assert way_m(near, a, b) == pytest.approx(way_m(whole, a, b), abs=0.01)
            directed = first_edge(near, a, b)
            if a == b:
                assert directed == -1
                continue
            edge = network.edges[directed // 2]
            begin, end = ("tail", "head") if directed % 2 == 0 else ("head", "tail")
            assert edge[begin] == a
            rest_m = way_m(whole, int(edge[end]), b)
            assert edge["to_m"] - edge["from_m"] + rest_m == pytest.approx(way_m(whole, a, b), abs=0.01)
    assert reached > 2 * network.nodes


def test_a_map_with_more_ways_than_fit_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Core(squares(4)).network
    monkeypatch.setattr(route, "ALL_PAIRS_NODES_MAX", 0)
    monkeypatch.setattr(route, "ENTRIES_MAX", 10)
    with pytest.raises(ValueError, match="split it into districts"):
        build_routes(network)
