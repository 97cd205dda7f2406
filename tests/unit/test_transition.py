"""Corners on the way and streets that are entered cost; how sure a pass is grows with its margin."""

from __future__ import annotations

import math

import numpy as np
import pytest

from processing.ambiguity import NO_RIVAL, Rival, certainty
from processing.pipeline import Core
from processing.rules import Rules
from processing.transition import BY_HEAD, NO_WAY, Drivable, Place, connect, corners
from tests.unit.town import road, street, town

CORE = Core(
    town(
        street("alley", (100, 15), (200, 15)),
        road("west", (0, 0), (100, 0)),
        road("avenue", (100, 0), (200, 0)),
        road("east", (200, 0), (300, 0)),
        road("one side", (100, 0), (100, 15)),
        road("other side", (200, 0), (200, 15)),
    )
)
PLAIN = Drivable(60.0, 10.0, 10.0, 500.0, -6.0, -1.0, 0.0, 0.0)


def arc(line_id: str) -> int:
    """The only edge of a line, driven as it is drawn."""
    lines = [CORE.line_of_edge(edge) for edge in range(len(CORE.network.edges))]
    return 2 * lines.index(line_id)


def logp(drivable: Drivable, to: str, above_logp: float = -math.inf) -> tuple[float, int]:
    """From 20 m before the crossing in the west to 20 m along a line."""
    found = connect(
        CORE.network, CORE.routes, Place(arc("west"), 80.0), Place(arc(to), 20.0), drivable, above_logp
    )
    return float(found[0]), int(found[1])


def test_a_right_angle_is_one_corner_and_straight_on_is_none() -> None:
    assert corners(CORE.network, CORE.routes, arc("west"), arc("avenue")) == pytest.approx(0.0, abs=1e-3)
    assert corners(CORE.network, CORE.routes, arc("west"), arc("one side")) == pytest.approx(1.0, abs=1e-3)
    assert corners(CORE.network, CORE.routes, arc("west"), arc("alley")) == pytest.approx(2.0, abs=1e-3)


def test_corners_and_entering_a_street_cost_what_the_rules_say() -> None:
    straight, _ = logp(PLAIN, "avenue")
    dear = PLAIN._replace(corner_logp=-0.5, enter_logp=-2.0)
    assert logp(dear, "avenue")[0] == pytest.approx(straight, abs=1e-3)
    aside, way = logp(PLAIN, "alley")
    assert way == BY_HEAD
    assert logp(dear, "alley")[0] == pytest.approx(aside - 2 * 0.5 - 2.0, abs=2e-3)


def test_a_way_that_is_not_likelier_than_asked_for_is_no_way() -> None:
    found, _ = logp(PLAIN, "avenue")
    assert logp(PLAIN, "avenue", found - 0.1)[1] == BY_HEAD
    assert logp(PLAIN, "avenue", found + 0.1)[1] == NO_WAY


def test_certainty_grows_with_the_margin_from_about_even_to_one() -> None:
    rules = Rules()
    said = [certainty(Rival(3, margin), rules) for margin in np.linspace(0.0, 60.0, 30)]
    assert said == sorted(said)
    assert 0.2 < said[0] < 0.6
    assert said[-1] > rules.certainty_min
    assert certainty(NO_RIVAL, rules) == 1.0
