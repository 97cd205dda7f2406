"""What a unit did between two fixes: its speed, its working state, and where that changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from processing.fix import Kind, Report
from processing.join import Legs, Path
from processing.pipeline import Core, analyze
from processing.sweep import Pass, group_legs
from tests.unit.town import T0_US, Leg, degrees, drive, road, street, town

S = 1_000_000
LONG = street("A", (0, 0), (0, 600))
AVENUE = road("avenue", (-300, 0), (300, 0))
LANE = road("lane", (-300, 600), (300, 600))


def passes(reports: list[Report], *lines: object) -> list[Pass]:
    return list(analyze(town(*(lines or (AVENUE, LANE, LONG))), reports).passes)  # type: ignore[arg-type]


def swept_m(found: list[Pass]) -> float:
    return sum(one.swept_mm for one in found) / 1000


def along(
    y_m: list[float], every_s: float, *, brush: list[bool | None] | None = None, speed_kmh: float | None = 9.0
) -> list[Report]:
    """Fixes up street A at these measures."""
    states = brush or [True] * len(y_m)
    return [
        Report(
            "S1",
            Kind.FIX,
            T0_US + round(i * every_s * S),
            T0_US,
            *degrees(0, y),
            speed_kmh=speed_kmh,
            brush=state,
        )
        for i, (y, state) in enumerate(zip(y_m, states, strict=True))
    ]


@pytest.mark.parametrize("seed", range(3))
def test_without_told_speeds_ten_seconds_of_path_tell_and_noise_drops_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    clean = drive((0, 0), [Leg(0, 600, 12)], every_s=1.0, tell_speed=False)
    noisy = [
        replace(r, lon=r.lon + random.normal(0, 3) / 84_600, lat=r.lat + random.normal(0, 3) / 111_000)
        for r in clean
    ]
    assert swept_m(passes(noisy)) == pytest.approx(600, abs=25)


def test_without_told_speeds_a_leap_of_the_receiver_takes_hardly_a_metre_out() -> None:
    found_m = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        clean = drive((0, 0), [Leg(0, 600, 9)], every_s=5.0, tell_speed=False)
        east, north = random.normal(0, 8 / 84_600, len(clean)), random.normal(0, 8 / 111_000, len(clean))
        # A canyon: from one fix to the next 30 m further on, and as much behind a minute later.
        north[20:32] += 30 / 111_000
        noisy = [
            replace(r, lon=r.lon + float(x), lat=r.lat + float(y))
            for r, x, y in zip(clean, east, north, strict=True)
        ]
        found_m.append(swept_m(passes(noisy)))
    assert np.mean(found_m) == pytest.approx(600, abs=20)


def test_what_begins_again_further_back_is_another_pass_but_on_a_closed_street() -> None:
    ring = street("R", (100, 0), (140, 0), (140, 40), (100, 40), (100, 0))
    core = Core(town(street("A", (0, 0), (0, 40)), ring))
    for line, length_m, numbers in ((0, 40.0, [0, 1]), (1, 160.0, [0, 0])):
        edge = np.flatnonzero(core.network.edge_line == line)[[0, 0]]
        zeros, path = (
            np.zeros(2, dtype=np.int64),
            Path(np.array([0.0, 1.0]), np.zeros(2, dtype=np.int64), np.zeros(2)),
        )
        starts, ends = np.zeros(2), np.full(2, length_m)
        legs = Legs(zeros, zeros + 1, edge, zeros, starts, ends, np.array([0.0, length_m + 5]))
        assert group_legs(core.network, legs, path, edge, 2, 10.0).tolist() == numbers


def test_stops_between_fixes_do_not_dilute_the_speed_of_the_work() -> None:
    y, told = 0.0, []
    reports: list[Report] = []
    for i in range(860):
        moving = i % 240 < 185
        told.append(3.0 if moving else 0.0)
        reports.append(
            Report("S1", Kind.FIX, T0_US + i * S, T0_US, *degrees(0, y), speed_kmh=told[-1], brush=True)
        )
        y += 3.0 / 3.6 if moving else 0.0
    assert swept_m(passes(reports)) == pytest.approx(y, abs=12)


def test_fixes_off_the_network_that_do_not_work_sweep_nothing() -> None:
    on = along([0, 25, 50, 75], 10)
    away = [
        Report(
            "S1",
            Kind.FIX,
            T0_US + (40 + 10 * i) * S,
            T0_US,
            *degrees(60, 100 + 25.0 * i),
            speed_kmh=9.0,
            brush=False,
        )
        for i in range(5)
    ]
    again = [
        replace(r, fix_time_us=T0_US + (90 + 10 * i) * S) for i, r in enumerate(along([225, 250, 275], 10))
    ]
    assert swept_m(passes([*on, *away, *again])) <= 75 + 50 + 2 * 15


def test_one_wild_fix_at_a_corner_makes_no_hole() -> None:
    other = street("B", (0, 600), (200, 600))
    reports = drive((0, 400), [Leg(0, 600), Leg(200, 600)], every_s=10)
    corner = min(range(len(reports)), key=lambda i: abs(i * 10 - 200 / 2.5))
    wild = [
        replace(r, lon=degrees(-60, 660)[0], lat=degrees(-60, 660)[1]) if i == corner else r
        for i, r in enumerate(reports)
    ]
    assert swept_m(passes(wild, AVENUE, LONG, other)) == pytest.approx(400, abs=3)


@pytest.mark.parametrize("accuracy_m", [None, 10.0, 30.0])
def test_an_alley_shorter_than_the_receivers_error_is_still_entered(accuracy_m: float | None) -> None:
    alley = street("B", (100, 0), (100, 50))
    legs = [Leg(100, 0), Leg(100, 50), Leg(100, 0), Leg(250, 0)]
    reports = [replace(r, accuracy_m=accuracy_m) for r in drive((-100, 0), legs, every_s=1)]
    assert swept_m(passes(reports, AVENUE, alley)) == pytest.approx(100, abs=6)


def test_a_status_at_the_instant_of_a_fix_holds_for_it() -> None:
    fixes = [replace(r, brush=None) for r in along([75.0 * i for i in range(9)], 30)]
    on = Report("S1", Kind.EQUIPMENT, T0_US + 30 * S, T0_US, brush=True)
    off = Report("S1", Kind.EQUIPMENT, T0_US + 90 * S, T0_US, brush=False)
    (found,) = passes([*fixes, Report("S1", Kind.EQUIPMENT, T0_US - S, T0_US, brush=False), on, off])
    assert found.swept[0].from_mm == pytest.approx(75_000, abs=20)
    assert found.swept[-1].to_mm == pytest.approx(225_000, abs=20)


def test_a_repeated_status_counts_after_the_first_ran_out() -> None:
    fixes = [replace(r, brush=None) for r in along([5.0 * i for i in range(120)], 10, speed_kmh=1.8)]
    told = [Report("S1", Kind.EQUIPMENT, T0_US + s * S + 1, T0_US, brush=True) for s in (0, 961)]
    (found,) = passes([*fixes, *told])
    ran_out = [piece for piece in found.unobserved if piece.to_us > T0_US + 905 * S]
    assert ran_out[-1].to_us == T0_US + 961 * S + 1


def test_forty_changes_between_two_fixes_are_all_placed() -> None:
    fixes = along([0, 100], 40, brush=[False, False])
    flips = [Report("S1", Kind.EQUIPMENT, T0_US + s * S, T0_US, brush=s % 2 == 1) for s in range(1, 40)]
    # Each status holds for its second of 2.5 m, but the last: halfway after it the fix says off.
    assert swept_m(passes([*fixes, *flips])) == pytest.approx(19 * 2.5 + 1.25, abs=0.1)


def test_a_change_at_the_end_of_the_working_street_stays_on_it() -> None:
    other = street("X", (0, 600), (300, 600))
    on = along([500, 525, 550, 575, 600], 10)
    off = Report("S1", Kind.FIX, T0_US + 70 * S, T0_US, *degrees(75, 600), speed_kmh=9.0, brush=False)
    found = passes([*on, off], AVENUE, LONG, other)
    assert {one.street_id for one in found if one.swept} == {"A"}


def test_a_turn_between_two_fixes_goes_past_a_side_road_to_where_the_speed_says() -> None:
    side = road("side", (0, 230), (200, 230))
    up = [100.0, 130.0, 160.0, 190.0]
    speed_kmh = 18.0
    # 30 s at 5 m/s: 75 m on to 265 m and 75 m back.
    reports = along([*up[:-1], 190.0], 6, speed_kmh=speed_kmh)
    back = [
        Report(
            "S1",
            Kind.FIX,
            T0_US + (18 + 30 + 6 * i) * S,
            T0_US,
            *degrees(0, 190 - 30.0 * i),
            speed_kmh=speed_kmh,
            brush=True,
            heading_deg=180.0,
        )
        for i in range(4)
    ]
    found = passes([*(replace(r, heading_deg=0.0) for r in reports), *back], AVENUE, LONG, side)
    assert max(piece.to_mm for one in found for piece in one.swept) == pytest.approx(265_000, abs=500)


def test_a_stay_that_ends_a_track_loses_no_metre() -> None:
    before = along([25.0 * i for i in range(13)], 10)
    stay = [
        replace(before[-1], fix_time_us=before[-1].fix_time_us + 30 * i * S, speed_kmh=0.0)
        for i in range(1, 21)
    ]
    after_us = stay[-1].fix_time_us
    after = [
        replace(r, fix_time_us=after_us + 10 * (i + 1) * S)
        for i, r in enumerate(along([325.0 + 25 * i for i in range(12)], 10))
    ]
    reports = [*before, *stay, *after]
    found = passes(reports)
    covered = np.zeros(600, dtype=bool)
    for one in found:
        for piece in one.swept:
            low, high = sorted((piece.from_mm, piece.to_mm))
            covered[low // 1000 : high // 1000] = True
    assert covered.sum() >= 595


def test_a_join_is_no_longer_than_the_top_speed_allows() -> None:
    # 60 km/h are 16.7 m a second: 195 m in one is a jump, and what lies between is not known.
    jumps = along([0, 2.5, 5, *(200 + 2.5 * i for i in range(9))], 1)
    found = passes(jumps)
    assert not any(
        min(p.from_mm, p.to_mm) < 100_000 < max(p.from_mm, p.to_mm) for one in found for p in one.swept
    )
