"""Small streets with a few passes at awkward places and moments: the slow count and the fast one agree."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from processing.frequency import street_day
from processing.rules import Rules
from processing.shares import percents
from processing.sweep import Passes
from tests.golden import questions, slow, translate

DAY = date(2025, 5, 1)
ZONE = "Europe/Berlin"
RULES = Rules(timezone=ZONE, day_start_s=4 * 3600)
START_US = slow.clock_us(DAY, 4 * 3600, ZONE)
END_US = slow.clock_us(DAY, 28 * 3600, ZONE)
MINUTE_US = 60 * slow.US
#: Windows of the same length as a day begins with, and one within it.
SHIFT_US = (START_US + 100 * MINUTE_US, START_US + 200 * MINUTE_US)


@st.composite
def streets(draw: st.DrawFn) -> slow.Street:
    length_mm = draw(st.sampled_from([7_000, 40_000, 99_999, 100_000, 180_003, 240_000]))
    closed = draw(st.booleans())
    return slow.Street(
        "s", "Alley", length_mm, ((0.0, 0.0), (length_mm / 1000, 0.0)), closed,
        draw(st.sampled_from([1, 2])), draw(st.booleans()), draw(st.integers(1, 3)),
        "sweeping", 1, "north", "one",
    )  # fmt: skip


@st.composite
def runs(draw: st.DrawFn, length_mm: int, *, closed: bool) -> slow.Pass:
    """A pass of one to three pieces in one direction, near the start of the day or of the shift."""
    direction = draw(st.sampled_from([1, -1]))
    reach = length_mm * 3 // 2 if closed else length_mm
    metres = st.integers(0, reach // 1000).map(lambda m: m * 1000)
    places = st.one_of(st.just(0), st.just(reach), metres, st.integers(0, reach))
    ends = sorted(draw(st.lists(places, min_size=2, max_size=6)))
    if direction < 0:
        ends.reverse()
    at_us = START_US + draw(st.sampled_from([0, 100])) * MINUTE_US
    at_us += draw(st.integers(-45, 150)) * MINUTE_US + draw(st.sampled_from([0, 0, 0, 1, -1, 17_345_678]))
    pieces, enter_us = [], at_us
    pace_us = draw(st.sampled_from([0, 60, 200, 1_013]))  # a millimetre
    for begin, end in zip(ends[::2], ends[1::2], strict=False):
        to_us = at_us + abs(end - begin) * pace_us + draw(st.sampled_from([0, 0, 1]))
        pieces.append(slow.Piece(begin, end, at_us, to_us))
        at_us = to_us + draw(st.sampled_from([0, 1, 60])) * MINUTE_US
    kinds = [draw(st.sampled_from("sssu")) for _ in pieces]
    return slow.Pass(
        draw(st.sampled_from(["u1", "u2"])), "s", draw(st.sampled_from(["sweeping"] * 5 + ["washing"])),
        direction, enter_us, at_us,
        tuple(p for p, kind in zip(pieces, kinds, strict=True) if kind == "s"),
        tuple(p for p, kind in zip(pieces, kinds, strict=True) if kind == "u"),
        draw(st.sampled_from([None, None, "t"])),
    )  # fmt: skip


@st.composite
def scenes(draw: st.DrawFn) -> tuple[slow.Street, list[slow.Pass]]:
    street = draw(streets())
    return street, draw(st.lists(runs(street.length_mm, closed=street.closed), max_size=8))


@settings(max_examples=300, deadline=None)
@given(scenes())
def test_the_figures_of_a_day_are_those_of_the_slow_count(
    scene: tuple[slow.Street, list[slow.Pass]],
) -> None:
    street, passes = scene
    fast = street_day(
        translate.street(street),
        translate.reference(street),
        DAY,
        "sweeping",
        Passes.of("s", translate.passes(passes)),
        RULES,
    )
    assert translate.figures(fast) == slow.figures(street, "sweeping", passes, START_US, END_US)


@settings(max_examples=300, deadline=None)
@given(scenes())
def test_the_figures_of_a_shift_are_those_of_the_slow_count(
    scene: tuple[slow.Street, list[slow.Pass]],
) -> None:
    street, passes = scene
    fast = street_day(
        translate.street(street), translate.reference(street), DAY, "sweeping",
        Passes.of("s", translate.passes(passes)), RULES,
        SHIFT_US,
    )  # fmt: skip
    assert translate.figures(fast) == slow.figures(street, "sweeping", passes, *SHIFT_US)


@given(st.lists(st.integers(0, 5_000), min_size=5, max_size=5))
def test_the_shares_of_the_verdicts_are_those_of_the_slow_count(counts: list[int]) -> None:
    given_counts = dict(zip(questions.VERDICTS, counts, strict=True))
    assert percents(given_counts) == questions.shares(given_counts)
