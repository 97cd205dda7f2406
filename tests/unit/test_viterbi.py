"""The decoded path is the best of all paths; the bound on lag changes nothing where survivors agree."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.emission import HEADING_LOGP_MIN, between_deg, heading_logp, offset_logp
from processing.fix import Report, ReportColumns
from processing.lattice import OFF, Lattice, new_lattice
from processing.match import Match
from processing.pipeline import Core
from processing.rules import Rules
from processing.transition import Place, connect, expected_length_m
from processing.viterbi import decode_between, drivable_by
from tests.unit.town import Leg, drive, road, street, town

LINES = (
    road("avenue", (-100, 0), (150, 0)),
    street("A", (0, 0), (0, 60)),
    street("B", (14, 0), (14, 60)),
)


def noisy(reports: list[Report], seed: int, sigma_deg: float) -> ReportColumns:
    random = np.random.default_rng(seed)
    return ReportColumns.of(
        replace(r, lon=r.lon + random.normal(0, sigma_deg), lat=r.lat + random.normal(0, sigma_deg))
        for r in reports
    )


def match_of(core: Core, reports: ReportColumns) -> Match:
    ((_, match),) = core.matched("S1", reports)
    return match


def offset(match: Match, i: int, place: np.void, place_a: np.void, cosine: float) -> float:
    """What the offset from a place says, after a place before at such an angle."""
    row, last = match.rows[i], match.rows[max(i - 1, 0)]
    dt_s = float(row["time_us"] - last["time_us"]) / 1e6
    kept = math.exp(-dt_s / match.weights.noise_s) if i else 0.0
    before_m, sigma_m = float(place_a["offset_m"]), float(row["sigma_m"])
    white_m = match.weights.white_m
    return offset_logp(float(place["offset_m"]), before_m, kept * cosine, kept, sigma_m, white_m)


def path_logp(core: Core, match: Match, states: tuple[int, ...]) -> float:
    """The log-likelihood of one path, added up from emissions and transitions."""
    weights, total, before = match.weights, 0.0, -1
    for i, (row, state) in enumerate(zip(match.rows, states, strict=True)):
        last = match.rows[max(i - 1, 0)]
        place, place_a = match.candidates[i, state // 2 % 8], match.candidates[max(i - 1, 0), before // 2 % 8]
        dt_s = float(row["time_us"] - last["time_us"]) / 1e6
        total += float(row["logp"][state])
        arc = core.network.arcs[2 * place["edge"] + state % 2] if state != OFF else None
        enter = weights.enter_logp if arc is not None and arc["is_street"] else 0.0
        if i and OFF in (state, before):
            total += 0.0 if state == before else weights.switch_logp + enter
            total += 0.0 if state == OFF else offset(match, i, place, place_a, 0.0)
        elif i == 0:
            total += 0.0 if state == OFF else offset(match, i, place, place_a, 0.0)
        else:
            expected_m = expected_length_m(row["driven_m"], row["straight_m"])
            logp, _, _ = connect(
                core.network,
                core.routes,
                Place(2 * place_a["edge"] + before % 2, place_a["measure_m"]),
                Place(2 * place["edge"] + state % 2, place["measure_m"]),
                drivable_by(weights, dt_s, expected_m, row["sigma_m"]),
                -math.inf,
            )
            cosine = float(place_a["east"] * place["east"] + place_a["north"] * place["north"])
            ahead = logp + offset(match, i, place, place_a, cosine)
            total += max(ahead, weights.break_logp + enter + offset(match, i, place, place_a, 0.0))
        before = state
    return total


@pytest.mark.parametrize("seed", range(6))
def test_no_path_is_likelier_than_the_decoded_one(seed: int) -> None:
    few = (
        road("avenue", (-100, 0), (0, 0)),
        street("A", (0, 0), (0, 60)),
        street("B", (14, 8), (14, 60)),
    )
    core = Core(town(*few))
    reports = drive((-20, 0), [Leg(0, 0), Leg(0, 30)], every_s=5)
    match = match_of(core, noisy(reports, seed, 8e-5))
    choices = [[*range(2 * int(found)), OFF] for found in match.rows["found"]]
    best = max(path_logp(core, match, states) for states in itertools.product(*choices))
    assert path_logp(core, match, tuple(match.states.tolist())) == pytest.approx(best, abs=1e-9)


def test_a_short_lag_gives_the_same_path_where_survivors_have_met() -> None:
    reports = drive((-90, 0), [Leg(0, 0), Leg(0, 60), Leg(0, 0), Leg(140, 0), Leg(-90, 0)])
    columns = noisy(reports, 1, 2e-5)
    whole = match_of(Core(town(*LINES)), columns)
    bounded = match_of(Core(town(*LINES, rules=Rules(lag_m_max=200.0))), columns)
    assert whole.states.tolist() == bounded.states.tolist()


def test_held_ends_are_kept_and_a_banned_line_is_not_used() -> None:
    core = Core(town(*LINES))
    match = match_of(core, noisy(drive((-50, 0), [Leg(0, 0), Leg(0, 60)]), 3, 2e-5))
    states = np.full(len(match.states), -1, dtype=np.int64)
    start, end = int(match.states[0]), int(match.states[-1])
    window = Lattice(match.rows, match.candidates, *new_lattice(0)[2:])
    states[:] = match.states
    decode_between(core.network, core.routes, match.weights, window, start, end, 0, states)
    assert (states[0], states[-1]) == (start, end)
    on = [i for i in range(1, len(states) - 1) if states[i] != OFF]
    edges = match.candidates["edge"][on, states[on] // 2]
    assert not (core.network.edge_line[edges] == 0).any()


def test_a_spun_heading_costs_no_more_than_its_bound() -> None:
    assert heading_logp(0.0, 30.0) == 0.0
    assert heading_logp(180.0, 30.0) == HEADING_LOGP_MIN
    assert heading_logp(float("nan"), 30.0) == 0.0


def test_the_angle_between_headings_is_the_lesser_one() -> None:
    assert between_deg(350.0, 10.0) == pytest.approx(20.0)
    assert between_deg(350.0, -10.0) == pytest.approx(0.0)
    assert between_deg(270.0, -90.0) == pytest.approx(0.0)
    assert between_deg(359.0, -180.0) == pytest.approx(179.0)
    assert math.isnan(between_deg(float("nan"), 10.0))


@given(
    st.floats(-40, 40),
    st.floats(-40, 40),
    st.floats(-1, 1),
    st.floats(0, 1),
    st.floats(3, 30),
    st.floats(0.5, 3),
)
def test_no_offset_adds_to_the_likelihood(
    offset_m: float, before_m: float, cosine: float, kept_max: float, sigma_m: float, white_m: float
) -> None:
    assert offset_logp(offset_m, before_m, kept_max * cosine, kept_max, sigma_m, white_m) <= 1e-12


def test_an_offset_that_stays_says_less_than_fresh_ones_and_the_other_side_more() -> None:
    same = offset_logp(10.0, 10.0, 0.9, 0.9, 5.0, 1.0)
    fresh = offset_logp(10.0, 0.0, 0.0, 0.0, 5.0, 1.0)
    other = offset_logp(10.0, -10.0, 0.9, 0.9, 5.0, 1.0)
    assert same > fresh > other


def test_a_line_that_runs_the_other_way_has_its_right_on_the_other_side() -> None:
    along = offset_logp(4.0, 5.0, 0.8, 0.8, 5.0, 1.0)
    against = offset_logp(-4.0, 5.0, -0.8, 0.8, 5.0, 1.0)
    assert along == pytest.approx(against)
