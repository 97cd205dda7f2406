"""The decoded path is the best of all paths; the bound on lag changes nothing where survivors agree."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from processing.emission import HEADING_LOGP_MIN, emission_logp
from processing.fix import Report, ReportColumns
from processing.lattice import OFF
from processing.match import Match
from processing.pipeline import Core
from processing.rules import Rules
from processing.transition import connect, expected_length_m, place_on
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


def path_logp(core: Core, match: Match, states: tuple[int, ...]) -> float:
    """The log-likelihood of one path, added up from emissions and transitions."""
    weights, total = match.weights, 0.0
    for i, (row, state) in enumerate(zip(match.rows, states, strict=True)):
        total += float(row["logp"][state])
        if i == 0:
            continue
        last, before = match.rows[i - 1], states[i - 1]
        if OFF in (state, before):
            total += 0.0 if state == before else weights.switch_logp
            continue
        dt_s = float(row["time_us"] - last["time_us"]) / 1e6
        expected_m = expected_length_m(row["driven_m"], row["straight_m"])
        logp, _, _ = connect(
            core.routes,
            place_on(core.network, last["edge"][before // 2], before % 2, last["measure_m"][before // 2]),
            place_on(core.network, row["edge"][state // 2], state % 2, row["measure_m"][state // 2]),
            drivable_by(weights, dt_s, expected_m, row["sigma_m"]),
        )
        total += max(logp, weights.break_logp)
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
    decode_between(core.network, core.routes, match.weights, match.rows, start, end, 0, states)
    assert (states[0], states[-1]) == (start, end)
    on = [i for i in range(1, len(states) - 1) if states[i] != OFF]
    edges = match.rows["edge"][on, states[on] // 2]
    assert not (core.network.edge_line[edges] == 0).any()


def test_a_spun_heading_costs_no_more_than_its_bound() -> None:
    right = emission_logp(3.0, 5.0, 90.0, 90.0, 30.0)
    assert emission_logp(3.0, 5.0, 270.0, 90.0, 30.0) == pytest.approx(right + HEADING_LOGP_MIN)
    assert emission_logp(3.0, 5.0, float("nan"), 90.0, 30.0) == right
