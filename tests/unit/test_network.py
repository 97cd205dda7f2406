"""Lines are cut where they meet, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from processing.district import District
from processing.pipeline import Core
from processing.route import NODES_MAX, build_routes
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
    there = core.routes.distance_m[at["north from"], at["north to"]]
    back = core.routes.distance_m[at["north to"], at["north from"]]
    assert there == pytest.approx(100, abs=0.1)
    assert back == pytest.approx(300, abs=0.1)


def test_a_map_with_too_many_junctions_is_refused_with_what_to_do() -> None:
    network = Core(town(street("s", (0, 0), (100, 0)))).network
    huge = network._replace(nodes=NODES_MAX + 1)
    with pytest.raises(ValueError, match="split it into districts"):
        build_routes(huge)
