"""The benchmark of credits beside swept avenues does what it says: nobody enters an alley."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from shapely.geometry import LineString

from benchmarks.no_credit import (
    LATERAL_M,
    SHIFT_S,
    START_US,
    Credit,
    avenue_legs,
    close_alleys,
    credit,
    sensed,
)
from processing.district import District
from processing.district_files import parse_district
from processing.pipeline import Core
from processing.service_day import US
from simulators.district import generate
from simulators.roads import Roads
from simulators.vehicle import Gait, drive, true_passes


@pytest.fixture(scope="module")
def district() -> District:
    return parse_district(generate(4, "avenues"))


@pytest.fixture(scope="module")
def roads(district: District) -> Roads:
    return Roads(district)


def test_units_sweep_avenues_all_shift_in_both_directions_and_no_street_is_entered(
    district: District, roads: Roads
) -> None:
    legs = avenue_legs(roads, np.random.default_rng(1))
    assert not any(roads.lines[leg.line].is_street for leg in legs)
    assert {leg.direction for leg in legs} == {1, -1}
    assert any(leg.stops and leg.working for leg in legs)
    assert {leg.working for leg in legs} == {True, False}
    assert all(LATERAL_M[0] <= leg.lateral_m <= LATERAL_M[1] for leg in legs)
    bounds = START_US, START_US + round(SHIFT_S * US)
    motion = drive(district.units[0], legs, bounds, 0.0, Gait(0.6, np.ones(997)))
    assert motion.arrive_s[-1] > SHIFT_S
    assert true_passes(motion, roads) == ()


def test_a_leg_begins_where_the_one_before_ended(roads: Roads) -> None:
    legs = avenue_legs(roads, np.random.default_rng(2))
    at = [roads.lines[leg.line].at(np.array([leg.from_m, leg.to_m])) for leg in legs]
    gaps = [np.hypot(*(b[0] - a[1])) for a, b in pairwise(at)]
    assert max(gaps) < 0.5


def test_dozens_of_alleys_lie_12_to_20_metres_beside_the_avenues(roads: Roads) -> None:
    alleys = close_alleys(roads)
    assert len(alleys) > 80
    context = [LineString(line.xy) for line in roads.lines if not line.is_street]
    for alley in alleys:
        line = roads.lines[roads.index[alley]]
        middle = LineString(line.xy).interpolate(0.5, normalized=True)
        assert 11.0 <= min(road.distance(middle) for road in context) <= 21.0


def test_every_close_alley_is_a_street_day_and_credits_add_up(district: District, roads: Roads) -> None:
    alleys = close_alleys(roads)
    one = credit(Core(district), sensed(roads, district.units[:1], 2), alleys)
    assert (one.shifts, one.street_days) == (1, len(alleys))
    assert one.certain <= one.credited <= one.passes
    assert one + one == Credit(2, 2 * len(alleys), 2 * one.credited, 2 * one.certain, 2 * one.passes)
