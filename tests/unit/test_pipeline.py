"""From fixes to passes: the rules of docs/DEFINITIONS.md on towns small enough to see through."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processing.district import UnitProfile
from processing.fix import Kind, Report, ReportColumns
from processing.pipeline import Core, analyze
from processing.sweep import Pass
from tests.unit.town import T0_US, Leg, degrees, drive, road, street, town

#: An avenue along y = 0; alleys A and B go up from it and end dead; C joins both at the top of neither.
AVENUE = road("avenue", (-200, 0), (300, 0))
A = street("A", (0, 0), (0, 120))
B = street("B", (40, 0), (40, 120))
A_LENGTH_MM = 120_000


def passes(*reports: Report, lines: tuple[object, ...] = (AVENUE, A, B), **options: object) -> list[Pass]:
    return list(analyze(town(*lines, **options), reports).passes)  # type: ignore[arg-type]


def swept_m(found: Pass) -> float:
    return found.swept_mm / 1000


def test_up_a_dead_end_and_back_is_two_passes_over_its_whole_length() -> None:
    legs = [Leg(0, 0, 20, brush=False), Leg(0, 120), Leg(0, 0), Leg(200, 0, 20, brush=False)]
    up, down = passes(*drive((-150, 0), legs))
    assert (up.street_id, up.direction, down.street_id, down.direction) == ("A", 1, "A", -1)
    assert swept_m(up) == pytest.approx(120, abs=3)
    assert swept_m(down) == pytest.approx(120, abs=3)
    assert up.leave_us == down.enter_us


@pytest.mark.parametrize("every_s", [1.0, 5.0, 10.0, 30.0])
def test_a_through_alley_is_swept_to_its_ends_at_any_interval(every_s: float) -> None:
    lines = (AVENUE, road("lane", (-200, 120), (300, 120)), A)
    legs = [Leg(0, 0), Leg(0, 120), Leg(200, 120)]
    (found,) = passes(*drive((-150, 0), legs, every_s), lines=lines)
    assert swept_m(found) == pytest.approx(120, abs=0.5)
    assert {found.enter_mm, found.leave_mm} == {0, A_LENGTH_MM}


def test_a_drive_through_with_the_brush_up_is_a_pass_that_swept_nothing() -> None:
    lines = (AVENUE, road("lane", (-200, 120), (300, 120)), A)
    legs = [Leg(0, 0, 20, brush=False), Leg(0, 120, 15, brush=False), Leg(200, 120, 20, brush=False)]
    (found,) = passes(*drive((-150, 0), legs), lines=lines)
    assert (found.street_id, found.swept) == ("A", ())


def test_driving_past_the_mouth_of_an_alley_gives_it_no_pass() -> None:
    assert passes(*drive((-150, 0), [Leg(250, 0)])) == []


def test_above_the_speed_of_the_work_nothing_is_swept() -> None:
    lines = (AVENUE, road("lane", (-200, 120), (300, 120)), A)
    legs = [Leg(0, 0, 30), Leg(0, 120, 30), Leg(200, 120, 30)]
    (found,) = passes(*drive((-150, 0), legs), lines=lines)
    assert found.swept == ()


def test_metres_driven_with_unknown_equipment_are_unobserved() -> None:
    legs = [Leg(0, 0, 9, brush=None), Leg(0, 120, 9, brush=None), Leg(0, 0, 9, brush=None)]
    up, down = passes(*drive((-150, 0), legs))
    assert up.swept == down.swept == ()
    assert sum(abs(piece.to_mm - piece.from_mm) for piece in up.unobserved) == pytest.approx(
        120_000, abs=3000
    )


def test_a_badge_works_by_speed_alone() -> None:
    walker = UnitProfile("badge", "by_hand", (), work_kmh_max=5.0, top_speed_kmh=8.0)
    legs = [Leg(0, 0, 4, brush=None), Leg(0, 120, 3, brush=None), Leg(0, 0, 3, brush=None)]
    found = passes(*drive((-50, 0), legs), profile=walker)
    assert [p.work for p in found] == ["by_hand", "by_hand"]
    assert all(swept_m(p) == pytest.approx(120, abs=3) for p in found)


def test_where_the_brush_comes_down_between_two_fixes_the_middle_of_the_way_counts() -> None:
    # Straight along the alley: the fixes at 40 and 60 m disagree, so the change is put at 50 m.
    fixes = [
        Report("S1", Kind.FIX, T0_US + i * 8_000_000, T0_US, *degrees(0, y), speed_kmh=9.0, brush=y >= 60)
        for i, y in enumerate((0, 20, 40, 60, 80, 100, 120))
    ]
    (found,) = passes(*fixes)
    assert found.swept[0].from_mm == pytest.approx(50_000, abs=50)


def test_a_change_reported_on_its_own_lies_at_its_own_time() -> None:
    fixes = [
        Report("S1", Kind.FIX, T0_US + i * 8_000_000, T0_US, *degrees(0, 20.0 * i), speed_kmh=9.0)
        for i in range(7)
    ]
    off = Report("S1", Kind.EQUIPMENT, T0_US - 1_000_000, T0_US, brush=False)
    on = Report("S1", Kind.EQUIPMENT, T0_US + 18_000_000, T0_US, brush=True)
    (found,) = passes(off, on, *fixes)
    assert found.swept[0].from_mm == pytest.approx(45_000, abs=50)
    assert found.swept[-1].to_mm == pytest.approx(120_000, abs=50)


def test_silence_for_more_than_two_minutes_is_a_hole_that_sweeps_nothing() -> None:
    long = street("A", (0, 0), (0, 900))
    reports = drive((0, 0), [Leg(0, 900, 8)])
    silent = [r for r in reports if not T0_US + 100e6 < r.fix_time_us < T0_US + 260e6]
    first, second = passes(*silent, lines=(AVENUE, long))
    assert swept_m(first) + swept_m(second) < 900 - 150 * 8 / 3.6
    assert first.leave_us <= T0_US + 100e6
    assert second.enter_us >= T0_US + 260e6


def test_parallel_alleys_forty_metres_apart_are_told_apart() -> None:
    legs = [Leg(40, 0), Leg(40, 120), Leg(40, 0), Leg(200, 0)]
    found = passes(*drive((-150, 0), legs))
    assert {p.street_id for p in found} == {"B"}
    assert all(p.ambiguous_with is None for p in found)


def test_fixes_in_the_middle_between_two_alleys_are_ambiguous_and_name_both() -> None:
    fixes = [
        Report(
            "S1",
            Kind.FIX,
            T0_US + i * 5_000_000,
            T0_US,
            *degrees(7, 10 + 12.0 * i),
            speed_kmh=9.0,
            brush=True,
        )
        for i in range(9)
    ]
    near = street("B", (14, 0), (14, 120))
    (found,) = passes(*fixes, lines=(AVENUE, A, near))
    assert {found.street_id, found.ambiguous_with} == {"A", "B"}


def test_a_track_ends_at_a_gap_of_more_than_ten_minutes_and_at_a_long_stay() -> None:
    core = Core(town(AVENUE, A, B))
    one = drive((-150, 0), [Leg(-50, 0)])
    later = drive((-50, 0), [Leg(50, 0)], from_us=one[-1].fix_time_us + 700_000_000)
    assert len(core.tracks("S1", ReportColumns.of([*one, *later]), {})) == 2
    stay = drive((-150, 0), [Leg(-149, 0, 0.005), Leg(-50, 0)])
    assert len(core.tracks("S1", ReportColumns.of(stay), {})) >= 2


def test_a_known_digest_leaves_the_track_alone() -> None:
    core = Core(town(AVENUE, A, B))
    reports = ReportColumns.of(drive((-150, 0), [Leg(0, 0), Leg(0, 120), Leg(0, 0)]))
    (track,) = core.tracks("S1", reports, {})
    (again,) = core.tracks("S1", reports, {track.start_us: track.digest})
    assert again == replace(track, passes=None)


ROUND = drive((-150, 0), [Leg(0, 0), Leg(0, 120), Leg(0, 0), Leg(40, 0), Leg(40, 120), Leg(40, 0)])
NOISY = [
    replace(r, lon=r.lon + random.Random(i).gauss(0, 5e-5), lat=r.lat + random.Random(-i).gauss(0, 4e-5))
    for i, r in enumerate(ROUND)
]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False), st.floats(0, 1))
def test_order_and_duplicates_change_nothing(shuffle: random.Random, share: float) -> None:
    again = [r for r in NOISY if shuffle.random() < share]
    mixed = [*NOISY, *again]
    shuffle.shuffle(mixed)
    district = town(AVENUE, A, B)
    assert analyze(district, mixed).passes == analyze(district, NOISY).passes
