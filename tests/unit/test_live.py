"""What is settled live is what the whole track gives, whatever the fixes are and however they come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processing.lattice import LAG_ROWS_MAX, Lattice
from processing.live import STATE_BYTES_MAX, Settled, begin_live, close_live, take_live
from processing.match import Match, TrackFixes, match_track, weights_of
from processing.pipeline import Core
from processing.rules import Rules
from tests.unit.town import PLANE, SWEEPER, road, street, town

#: Two alleys 14 m apart that meet the same avenues: what tells them apart may come late.
LINES = (
    road("avenue", (-150, 0), (250, 0)),
    street("A", (0, 0), (0, 120)),
    street("B", (14, 0), (14, 120)),
    road("back", (-150, 120), (250, 120)),
    street("dead end", (60, 0), (60, 70)),
)
CORE = Core(town(*LINES))


def placed(x_m: NDArray[np.float64], y_m: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Metres of the town as metres of the plane that the core chose."""
    return dict(zip(("x_m", "y_m"), CORE.projection.to_xy(*PLANE.to_lonlat(x_m, y_m)), strict=True))


def wander(seed: int, n: int, every_s: int, sigma_m: float, *, told: bool) -> TrackFixes:
    """A unit that goes somewhere, as it likes: of these tests none needs a street."""
    random = np.random.default_rng(seed)
    heading = np.cumsum(random.normal(0.0, 0.4, n)) + random.choice([0, 0.5, 1, 1.5], n).cumsum() * np.pi
    speed_ms = random.choice([0.0, 2.0, 3.0, 5.0], n, p=[0.2, 0.4, 0.3, 0.1])
    gaps_s = every_s * random.choice([1, 1, 1, 1, 2, 9, 30], n)
    x_m = np.cumsum(speed_ms * np.sin(heading) * gaps_s) + random.normal(0.0, sigma_m, n)
    y_m = np.cumsum(speed_ms * np.cos(heading) * gaps_s) + random.normal(0.0, sigma_m, n)
    nothing = np.full(n, np.nan)
    return TrackFixes(
        time_us=(np.cumsum(gaps_s) * 1_000_000).astype(np.int64),
        **placed((x_m + 150) % 400 - 150, (y_m + 40) % 200 - 40),
        speed_kmh=3.6 * speed_ms if told else nothing,
        heading_deg=np.degrees(heading) % 360.0 if told else nothing,
        accuracy_m=random.uniform(2.0, 15.0, n) if told else nothing,
        working=random.choice([0, 1, 2], n, p=[0.45, 0.45, 0.1]).astype(np.int8),
    )


def played(
    core: Core, fixes: TrackFixes, cuts: list[int], rules: Rules
) -> tuple[list[Settled], Lattice, Settled]:
    weights, lattice, parts = weights_of(SWEEPER, rules), begin_live(), []
    for low, high in zip([0, *cuts], [*cuts, len(fixes.time_us)], strict=True):
        lattice, settled = take_live(core.network, core.routes, weights, lattice, fixes.part(low, high))
        parts.append(settled)
    return parts, lattice, close_live(core.network, core.routes, weights, lattice)


def assert_same(settled: Settled, match: Match) -> None:
    assert settled.fix.tolist() == match.steps.tolist()
    assert settled.edge.tolist() == match.edge.tolist()
    assert settled.direction.tolist() == match.direction.tolist()
    np.testing.assert_array_equal(settled.measure_m, match.measure_m)


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 200),
    every_s=st.sampled_from([1, 5, 15]),
    sigma_m=st.sampled_from([0.0, 5.0, 20.0]),
    told=st.booleans(),
    lag_m_max=st.sampled_from([60.0, 400.0, 2_000.0]),
    data=st.data(),
)
def test_what_is_settled_live_is_the_answer_on_the_whole_track(
    seed: int,
    n: int,
    every_s: int,
    sigma_m: float,
    told: bool,  # noqa: FBT001 - drawn by hypothesis
    lag_m_max: float,
    data: st.DataObject,
) -> None:
    rules = Rules(lag_m_max=lag_m_max)
    fixes = wander(seed, n, every_s, sigma_m, told=told)
    one_by_one = st.just(list(range(1, n)))
    batches = st.sets(st.integers(1, max(1, n - 1)), max_size=n - 1).map(sorted)
    cuts = data.draw(one_by_one | batches) if n > 1 else []
    parts, _, rest = played(CORE, fixes, cuts, rules)
    whole = match_track(CORE.network, CORE.routes, fixes, SWEEPER, rules)
    assert_same(Settled(*map(np.concatenate, zip(*parts, rest, strict=True))), whole)


def test_a_unit_that_only_switches_its_brush_keeps_a_bounded_state() -> None:
    n = 4 * LAG_ROWS_MAX
    # Half way between two alleys, on neither, and never moving: nothing tells which.
    still = np.full(n, 7.0) + np.random.default_rng(1).normal(0.0, 0.01, n)
    fixes = TrackFixes(
        time_us=np.arange(n, dtype=np.int64) * 1_000_000,
        **placed(still, np.full(n, 60.0)),
        speed_kmh=np.zeros(n),
        heading_deg=np.full(n, np.nan),
        accuracy_m=np.full(n, 5.0),
        working=(np.arange(n) % 2).astype(np.int8),
    )
    parts, lattice, rest = played(CORE, fixes, list(range(1, n)), Rules())
    assert sum(column.nbytes for column in lattice) <= STATE_BYTES_MAX
    whole = match_track(CORE.network, CORE.routes, fixes, SWEEPER, Rules())
    assert len(whole.steps) == n
    assert_same(Settled(*map(np.concatenate, zip(*parts, rest, strict=True))), whole)


def test_alleys_side_by_side_are_told_apart_at_their_end_and_only_then_settled() -> None:
    y_m = np.concatenate([np.full(12, 0.0), np.arange(0.0, 120.0, 10.0), np.full(8, 120.0)])
    x_m = np.concatenate([np.arange(-120.0, 0.0, 10.0), np.full(12, 7.0), np.arange(10.0, 90.0, 10.0)])
    n = len(x_m)
    fixes = TrackFixes(
        time_us=np.arange(n, dtype=np.int64) * 4_000_000,
        **placed(x_m, y_m),
        speed_kmh=np.full(n, 9.0),
        heading_deg=np.full(n, np.nan),
        accuracy_m=np.full(n, 5.0),
        working=np.ones(n, dtype=np.int8),
    )
    parts, _, _ = played(CORE, fixes, list(range(1, n)), Rules())
    lines = [{CORE.line_of_edge(edge) for edge in settled.edge if edge >= 0} for settled in parts]
    assert not {"A", "B"} & set().union(*lines[:20])
    assert {"A", "B"} & set().union(*lines)


def test_a_track_without_fixes_settles_nothing() -> None:
    nothing = wander(3, 5, 5, 1.0, told=True).part(0, 0)
    parts, lattice, rest = played(CORE, nothing, [], Rules())
    assert len(parts[0].fix) == len(rest.fix) == 0
    assert lattice.tip["rows"][0] == 0


@pytest.mark.parametrize("n", [1, 2])
def test_a_track_of_one_or_two_fixes_is_settled_at_its_end(n: int) -> None:
    fixes = wander(3, 5, 5, 1.0, told=True).part(0, n)
    parts, _, rest = played(CORE, fixes, [], Rules())
    assert len(parts[0].fix) + len(rest.fix) >= 1
