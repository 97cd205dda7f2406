"""Candidates from the grid are those that measuring every line would find."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.candidate import CANDIDATE, find_candidates
from processing.pipeline import Core
from tests.unit.town import road, street, town

CORE = Core(
    town(
        street("a", (0, 0), (60, 40), (130, 35)),
        street("b", (0, 30), (140, 70)),
        street("loop", (40, -20), (80, -60), (110, -30), (40, -20)),
        road("r", (-200, 0), (300, 0)),
        road("far", (-200, 400), (300, 410)),
    )
)


def shapes() -> list[shapely.LineString]:
    """Each edge's line, put together again from its segments in the grid."""
    network, out = CORE.network, []
    for edge in range(len(network.edges)):
        own = np.unique(network.segments[network.segments["edge"] == edge])
        own = own[np.argsort(own["from_m"])]
        last = own[-1]
        xy = [(s["x_m"], s["y_m"]) for s in own]
        end = last["x_m"] + last["length_m"] * last["east"], last["y_m"] + last["length_m"] * last["north"]
        out.append(shapely.LineString([*xy, end]))
    return out


SHAPES = shapes()


@settings(deadline=None)
@given(st.floats(-250, 350), st.floats(-120, 460), st.integers(1, 8))
def test_the_k_nearest_edges_are_found_with_their_distances(x_m: float, y_m: float, k: int) -> None:
    places = np.zeros(k, dtype=CANDIDATE)
    found = find_candidates(CORE.network, x_m, y_m, 50.0, places)
    point = shapely.Point(x_m, y_m)
    true = sorted((shape.distance(point), edge) for edge, shape in enumerate(SHAPES))
    near = [row for row in true if row[0] <= 50.0][:k]
    assert found == len(near)
    assert places["distance_m"][:found] == pytest.approx([distance for distance, _ in near], abs=1e-5)
    for place in places[:found]:
        shape = SHAPES[place["edge"]]
        along = place["measure_m"] - CORE.network.edges["from_m"][place["edge"]]
        on = shape.interpolate(along)
        assert on.distance(point) == pytest.approx(shape.distance(point), abs=1e-5)
        # What is off the line is off to its right, and beyond its end or a bend.
        right_m = (x_m - on.x) * place["north"] - (y_m - on.y) * place["east"]
        ahead_m = (x_m - on.x) * place["east"] + (y_m - on.y) * place["north"]
        assert place["offset_m"] == pytest.approx(right_m, abs=1e-4)
        assert place["beyond_m"] == pytest.approx(abs(ahead_m), abs=1e-4)
