"""A track that grows by parts has the passes of the whole track, bit for bit, however it is cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.fix import UNKNOWN, Kind, ReportColumns
from processing.growing import Growing
from processing.pipeline import Core, Track
from processing.rules import Rules
from processing.sweep import Pass
from tests.unit.town import PLANE, T0_US, road, street, town

#: Two alleys 14 m apart that meet the same avenues, a dead end, a ring, and a road that leads away.
LINES = (
    road("avenue", (-150, 0), (250, 0)),
    street("A", (0, 0), (0, 120)),
    street("B", (14, 0), (14, 120)),
    street("back", (-150, 120), (250, 120), sides=2),
    street("dead end", (60, 0), (60, 70)),
    street("C", (100, 0), (100, 120)),
    street("ring", (140, 0), (180, 0), (180, 40), (140, 40), (140, 0)),
)
CORES = {lag_m: Core(town(*LINES, rules=Rules(lag_m_max=lag_m))) for lag_m in (60.0, 2_000.0)}
#: Corners that a unit drives to, one after the other.
CORNERS = np.array(
    [(-150, 0), (0, 0), (0, 120), (14, 0), (14, 120), (60, 0), (60, 70), (100, 0), (100, 120), (140, 0),
     (180, 0), (180, 40), (140, 40), (250, 0), (250, 120), (-150, 120), (300, 300)], dtype=float,
)  # fmt: skip


def wander(
    seed: int, n: int, every_s: int, sigma_m: float, *, told: bool, silent: bool, statuses: bool
) -> ReportColumns:
    """A unit that drives from corner to corner, stops, is out of reach, and works as it likes."""
    random = np.random.default_rng(seed)
    corners = CORNERS[random.integers(len(CORNERS), size=n // 8 + 3)]
    away_m = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    speed_ms = np.repeat(random.choice([0.0, 2.0, 3.0, 6.0], n // 6 + 1, p=[0.1, 0.4, 0.4, 0.1]), 6)[:n]
    gaps_s = every_s * random.choice([1, 2, 9, 40, 150], n, p=[0.9, 0.06, 0.02, 0.01, 0.01])
    at_m = np.cumsum(speed_ms * np.minimum(gaps_s, 60))
    x_m = np.interp(at_m, away_m, corners[:, 0]) + random.normal(0.0, sigma_m, n)
    y_m = np.interp(at_m, away_m, corners[:, 1]) + random.normal(0.0, sigma_m, n)
    lon, lat = PLANE.to_lonlat(x_m, y_m)
    kind = np.full(n, int(Kind.FIX), dtype=np.int8)
    if statuses:
        kind[random.random(n) < 0.1] = int(Kind.EQUIPMENT)
    fix = kind == Kind.FIX
    equipment = np.full((n, 5), UNKNOWN, dtype=np.int8)
    brush = np.repeat(random.choice([0, 1, UNKNOWN], n // 5 + 1, p=[0.3, 0.6, 0.1]), 5)[:n]
    equipment[:, 1] = np.where(fix & statuses & (random.random(n) < 0.7), UNKNOWN, brush)
    hidden = np.full(n, np.nan)
    speed_kmh = 3.6 * speed_ms if told else hidden
    if silent:
        speed_kmh = np.where(np.arange(n) < 2 * n // 3, np.nan, speed_kmh)
    return ReportColumns(
        fix_time_us=(T0_US + np.cumsum(gaps_s) * 1_000_000).astype(np.int64),
        kind=kind,
        lon=np.where(fix, lon, np.nan),
        lat=np.where(fix, lat, np.nan),
        speed_kmh=np.where(fix, speed_kmh, np.nan),
        heading_deg=hidden,
        accuracy_m=np.where(fix, random.uniform(2.0, 15.0, n), np.nan) if told else hidden,
        equipment=equipment,
        levels=np.full((n, 2), np.nan),
    )


class Grown:
    """A unit's tracks, as a worker has them that gets the reports part by part."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.known: dict[int, Track] = {}
        self.growing: Growing | None = None
        self.grew = self.ended = 0

    def take(self, so_far: ReportColumns, new: ReportColumns) -> None:
        """The next reports."""
        if self.growing is not None:
            before = self.growing.open
            grown = self.core.grow(self.growing, new)
            if grown is not None:
                self.grew += 1
                self._keep(self.growing, before, grown.passes)
                if grown.after:
                    self.ended += 1
                    self.known |= {track.start_us: track for track in grown.after}
                    self.growing = grown.after[-1].growing
                elif not self.growing.settle():
                    self.growing = None
                return
        tracks = self.core.tracks("S1", so_far, {})
        self.known = {track.start_us: track for track in tracks}
        self.growing = tracks[-1].growing if tracks else None

    def _keep(self, growing: Growing, before: tuple[Pass, ...], passes: tuple[Pass, ...]) -> None:
        old = self.known[growing.start_us].passes or ()
        rest = old[: len(old) - len(before)]
        assert old[len(rest) :] == before
        self.known[growing.start_us] = Track(
            "S1", growing.start_us, growing.end_us, growing.count, growing.digest, (*rest, *passes)
        )


@settings(deadline=None, max_examples=120)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 400),
    every_s=st.sampled_from([1, 5, 15]),
    sigma_m=st.sampled_from([0.0, 3.0, 12.0]),
    told=st.booleans(),
    silent=st.booleans(),
    statuses=st.booleans(),
    lag_m_max=st.sampled_from(sorted(CORES)),
    data=st.data(),
)
def test_a_track_that_grows_has_the_passes_of_the_whole(
    seed: int,
    n: int,
    every_s: int,
    sigma_m: float,
    told: bool,  # noqa: FBT001 - drawn by hypothesis
    silent: bool,  # noqa: FBT001
    statuses: bool,  # noqa: FBT001
    lag_m_max: float,
    data: st.DataObject,
) -> None:
    core = CORES[lag_m_max]
    reports = wander(seed, n, every_s, sigma_m, told=told, silent=silent, statuses=statuses)
    one_by_one = st.just(list(range(1, n)))
    parts = st.sets(st.integers(1, n - 1), max_size=n - 1).map(sorted)
    cuts = data.draw(one_by_one | parts)
    grown = Grown(core)
    for low, high in zip([0, *cuts], [*cuts, n], strict=True):
        grown.take(reports.take(slice(0, high)), reports.take(slice(low, high)))
    whole = core.tracks("S1", reports, {})
    assert list(grown.known.values()) == whole


@pytest.mark.parametrize("cuts", [range(1, 242), (1, 2, 3, 4, 5, 6, 7, 143)])
def test_where_a_unit_stands_at_a_corner_it_runs_along_no_other_street(cuts: Iterable[int]) -> None:
    # It touched one by less than a micrometre: a pass whose moments were those of any of its reports there.
    reports = wander(1_008, 242, 1, 12.0, told=True, silent=False, statuses=True)
    grown = Grown(CORES[60.0])
    for low, high in pairwise((0, *cuts, 242)):
        grown.take(reports.take(slice(0, high)), reports.take(slice(low, high)))
    found = list(grown.known.values())
    assert found == grown.core.tracks("S1", reports, {})
    assert all(one.enter_us < one.leave_us for track in found for one in track.passes or ())


def test_what_is_kept_of_a_long_track_is_its_tail() -> None:
    for seed in (35, 39):
        reports = wander(seed, 3_000, 1, 3.0, told=True, silent=False, statuses=False)
        (track,) = CORES[2_000.0].tracks("S1", reports, {})
        assert track.passes is not None
        assert sum(len(one.swept) for one in track.passes) > 500
        assert track.growing is not None
        assert track.growing.nbytes < 100_000


def test_where_a_track_ends_the_next_begins_without_the_reports_before() -> None:
    reports = wander(11, 3_000, 5, 3.0, told=True, silent=False, statuses=True)
    for size in (1, 50):
        grown = Grown(CORES[2_000.0])
        for low in range(0, 3_000, size):
            grown.take(reports.take(slice(0, low + size)), reports.take(slice(low, low + size)))
        assert grown.ended > 5
        assert list(grown.known.values()) == grown.core.tracks("S1", reports, {})


def test_a_unit_that_works_on_keeps_a_tail_that_does_not_grow() -> None:
    core = CORES[2_000.0]
    reports = wander(7, 4_000, 1, 3.0, told=True, silent=False, statuses=False)
    grown, sizes = Grown(core), []
    for low in range(0, 4_000, 10):
        grown.take(reports.take(slice(0, low + 10)), reports.take(slice(low, low + 10)))
        sizes.append(0 if grown.growing is None else grown.growing.nbytes)
    assert grown.grew > 350
    assert max(sizes) < 300_000
