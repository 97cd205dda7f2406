"""Frequency and cleaning times against a count of every millimetre, and what is promised of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.district import Street
from processing.frequency import StreetDay, street_day
from processing.linear_reference import Reference
from processing.rules import Rules
from processing.service_day import US
from processing.sweep import Pass, Passes, Piece
from tests.unit.slow_count import DAY, LENGTH_MM, START_US, TINY, slow_counted, slow_held, sweeps

MINUTE_US = 60 * US


def street(sides: int = 1, *, oneway: bool = False) -> Street:
    return Street("s", "Alley", (((0.0, 0.0), (1.0, 0.0)),), sides=sides, oneway=oneway)


def line(length_mm: int, *, closed: bool = False) -> Reference:
    xy = np.array([[0.0, 0.0], [length_mm / 1000, 0.0]])
    return Reference("s", length_mm, closed, xy, xy[:, 0])


def a_pass(*pieces: Piece, ambiguous: bool = False, unit_id: str = "u1") -> Pass:
    first, last = pieces[0], pieces[-1]
    return Pass(
        unit_id=unit_id,
        track_start_us=first.from_us,
        ordinal=0,
        street_id="s",
        work="sweeping",
        direction=1 if first.to_mm >= first.from_mm else -1,
        enter_us=first.from_us,
        leave_us=last.to_us,
        enter_mm=first.from_mm,
        leave_mm=last.to_mm,
        swept=pieces,
        ambiguous_with="t" if ambiguous else None,
    )


def run(
    minute: float, from_m: float = 0, to_m: float = 100, minutes: float = 1, *, ambiguous: bool = False
) -> Pass:
    """A pass along a street of 100 m that starts at a minute of the day."""
    from_us = START_US + round(minute * MINUTE_US)
    piece = Piece(round(from_m * 1000), round(to_m * 1000), from_us, from_us + round(minutes * MINUTE_US))
    return a_pass(piece, ambiguous=ambiguous)


def figures(passes: Sequence[Pass], rules: Rules | None = None, *, sides: int = 1) -> StreetDay:
    return street_day(street(sides), line(100_000), DAY, "sweeping", Passes.of("s", passes), rules or Rules())


WHOLE = st.tuples(st.integers(0, 6), st.integers(34, LENGTH_MM), st.booleans(), st.integers(0, 200)).map(
    lambda v: (
        Piece(v[1], v[0], START_US + v[3], START_US + v[3] + 20)
        if v[2]
        else Piece(v[0], v[1], START_US + v[3], START_US + v[3] + 20)
    )
)


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(WHOLE | sweeps(), max_size=8), closed=st.booleans())
def test_the_kth_cleaning_is_at_the_first_microsecond_that_holds(
    pieces: list[Piece], *, closed: bool
) -> None:
    day = street_day(
        street(), line(LENGTH_MM, closed=closed), DAY, "sweeping", Passes.of("s", map(a_pass, pieces)), TINY
    )
    slow = slow_counted(pieces, [], closed=closed)
    needed = math.ceil(Fraction(9, 10) * LENGTH_MM)
    frequency = 0
    while slow_held(slow, frequency + 1, math.inf, closed=closed) >= needed:
        frequency += 1
    assert day.frequency == len(day.cleaned_us) == frequency
    assert day.swept_mm == slow_held(slow, 1, math.inf, closed=closed)
    for k, cleaned_us in enumerate(day.cleaned_us, start=1):
        assert slow_held(slow, k, cleaned_us, closed=closed) >= needed
        assert slow_held(slow, k, cleaned_us - 1, closed=closed) < needed


# --- promises ---------------------------------------------------------------------------------------------

INSTANTS = st.builds(
    lambda a, b, us: Piece(a, b, START_US + us, START_US + us),
    *[st.integers(0, LENGTH_MM)] * 2,
    st.integers(0, 200),
)


def tiny(pieces: Sequence[Piece], *, closed: bool = False, rules: Rules = TINY) -> StreetDay:
    return street_day(
        street(), line(LENGTH_MM, closed=closed), DAY, "sweeping", Passes.of("s", map(a_pass, pieces)), rules
    )


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(INSTANTS, max_size=10), more=INSTANTS, closed=st.booleans())
def test_one_sweep_more_never_lowers_frequency_or_coverage(
    pieces: list[Piece], more: Piece, *, closed: bool
) -> None:
    # Without the bound on what is closed in all: that has a corner of its own, told in coverage.py.
    rules = replace(TINY, close_share_max=1.0)
    less, grown = tiny(pieces, closed=closed, rules=rules), tiny([*pieces, more], closed=closed, rules=rules)
    assert grown.frequency >= less.frequency
    assert grown.swept_mm >= less.swept_mm
    assert all(new <= old for new, old in zip(grown.cleaned_us, less.cleaned_us, strict=False))


@settings(max_examples=60, deadline=None)
@given(st.lists(sweeps(), min_size=1, max_size=8), st.data())
def test_order_and_grouping_of_passes_do_not_matter(pieces: list[Piece], data: st.DataObject) -> None:
    one_way = [Piece(min(p[:2]), max(p[:2]), p.from_us, p.to_us) for p in pieces]
    shuffled = data.draw(st.permutations(one_way))
    together = street_day(
        street(),
        line(LENGTH_MM),
        DAY,
        "sweeping",
        Passes.of("s", [replace(a_pass(one_way[0]), swept=tuple(shuffled))]),
        TINY,
    )
    apart = tiny(one_way)
    assert replace(together, passes=0) == replace(apart, passes=0)


def test_two_machines_in_tandem_count_once() -> None:
    day = figures([run(0), replace(run(2), unit_id="u2")])
    assert (day.frequency, day.passes, day.coverage) == (1, 2, 1.0)


def test_there_and_back_in_a_dead_end_counts_once() -> None:
    assert figures([run(0, 0, 100, 10), run(10, 100, 0, 10)]).frequency == 1


def test_again_after_half_an_hour_counts_twice() -> None:
    assert figures([run(0), run(30)]).frequency == 1
    assert figures([run(0), run(30.001)]).frequency == 2


def test_the_kth_cleaning_lies_inside_a_piece() -> None:
    day = figures([run(0), run(60, minutes=10)])
    assert day.cleaned_us == (START_US + MINUTE_US * 9 // 10, START_US + 69 * MINUTE_US)  # at 90 m


def test_what_the_day_before_swept_last_was_just_swept() -> None:
    late, early = run(-10), run(10)
    assert figures([late, early]).frequency == 0
    assert figures([run(-32), early]).frequency == 1  # outside the last half hour
    assert figures([late, run(21.5)]).frequency == 1
    assert figures([run(-1, minutes=40)]).frequency == 0  # belongs whole to the day before
    assert figures([late]).passes == 0


def test_the_next_days_passes_and_other_works_are_left_out() -> None:
    washing = replace(run(0), work="washing")
    elsewhere = replace(run(0), street_id="t")
    day = figures([washing, elsewhere, run(24 * 60)])
    assert (day.frequency, day.swept_mm, day.passes, day.cleaned_us) == (0, 0, 0, ())


def test_each_of_two_sides_is_counted_by_itself() -> None:
    there = figures([run(0), run(60)], sides=2)
    assert (there.frequency, there.swept_mm) == (0, 50_000)
    both = figures([run(0), run(10, 100, 0), run(60)], sides=2)
    assert (both.frequency, both.coverage) == (1, 1.0)
    assert both.cleaned_us == (START_US + 10 * MINUTE_US + MINUTE_US * 9 // 10,)


def test_a_one_way_street_has_one_side() -> None:
    oneway = street(2, oneway=True)
    assert (
        street_day(oneway, line(100_000), DAY, "sweeping", Passes.of("s", [run(0)]), Rules()).frequency == 1
    )


def test_certain_figures_leave_out_ambiguous_passes() -> None:
    day = figures([run(0, 0, 50), run(60, 0, 100, ambiguous=True)])
    assert (day.frequency, day.frequency_certain) == (1, 0)
    assert (day.coverage, day.coverage_certain) == (1.0, 0.5)


def test_on_a_closed_street_a_gap_and_a_piece_run_across_the_start() -> None:
    ring = line(100_000, closed=True)
    day = street_day(street(), ring, DAY, "sweeping", Passes.of("s", [run(0, 6, 94)]), Rules())
    assert day.swept_mm == 88_000  # one gap of 12 m
    day = street_day(street(), ring, DAY, "sweeping", Passes.of("s", [run(0, 40, 135)]), Rules())
    assert (day.swept_mm, day.frequency) == (100_000, 1)


def test_unobserved_metres_count_only_in_what_would_have_been() -> None:
    unknown = replace(run(0), swept=(), unobserved=run(0).swept)
    day = figures([unknown])
    assert (day.frequency, day.frequency_if_observed, day.passes) == (0, 1, 0)


def test_what_the_requirement_lacks_is_summed_over_cleanings() -> None:
    thrice = replace(street(), required=3)
    passes = [run(0), run(60, 0, 50)]
    day = street_day(thrice, line(100_000), DAY, "sweeping", Passes.of("s", passes), Rules())
    # The first is there, the second lacks 40 of its 90 m, the third all.
    assert day.missing_mm == 130_000
