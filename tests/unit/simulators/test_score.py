from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest

from processing.sweep import Pass, Piece
from simulators.itinerary import Driving
from simulators.scenario import Run, Scenario, play, true_shift
from simulators.score import Figure, right_passes, score, true_figures
from simulators.vehicle import Stay
from tests.unit.simulators.grid import grid

DAY = date(2026, 6, 1)


@pytest.fixture(scope="module")
def run() -> Run:
    return play(grid(), Scenario())


def perfect(run: Run) -> tuple[dict[str, Figure], dict[str, list[tuple[float, float]]]]:
    by_street = {
        s.street_id: [p for p in run.truth_passes if p.street_id == s.street_id] for s in run.district.streets
    }
    true = true_figures(run.district, by_street, DAY)
    figures = {k: Figure(k, one.frequency, one.coverage) for k, one in true.items()}
    swept = {
        k: [(s.from_mm / 1e3, s.to_mm / 1e3) for p in own if p.work == "sweeping" for s in p.swept]
        for k, own in by_street.items()
    }
    return figures, swept


def test_the_truth_itself_scores_a_hundred_percent(run: Run) -> None:
    figures, swept = perfect(run)
    result = score(run.district, run.truth_passes, figures, DAY, swept)
    assert all(figure.frequency >= 2 for figure in figures.values())
    assert (result.exact_share, result.off_by_more, result.credited_undriven) == (1.0, 0, 0)
    assert result.coverage_error == 0.0
    assert result.false_m == pytest.approx(0.0)
    assert result.missed_m == pytest.approx(0.0)
    assert result.true_m > 1_000.0


def test_wrong_figures_are_counted_by_how_wrong_they_are(run: Run) -> None:
    figures, _ = perfect(run)
    figures["alley-00"] = replace(figures["alley-00"], frequency=figures["alley-00"].frequency - 1)
    figures["alley-01"] = replace(figures["alley-01"], frequency=0, coverage=0.1)
    del figures["alley-02"]
    result = score(run.district, run.truth_passes, figures, DAY)
    assert (result.exact, result.off_by_more) == (6, 2)
    assert result.coverage_error == pytest.approx(1.9 / 9, abs=0.001)
    assert result.false_m is None


def test_a_street_credited_where_nobody_drove_is_told_apart(run: Run) -> None:
    figures, _ = perfect(run)
    elsewhere = [p for p in run.truth_passes if p.street_id != "alley-11"]
    assert score(run.district, elsewhere, figures, DAY).credited_undriven == 1


def test_false_and_missed_metres_are_those_on_one_side_only(run: Run) -> None:
    figures, swept = perfect(run)
    swept["alley-00"] = [(10.0, 60.0), (50.0, 20.0)]
    length_m = 202.98
    missed = score(run.district, run.truth_passes, figures, DAY, swept).missed_m
    assert missed == pytest.approx(length_m - 50.0, abs=0.1)
    nobody = score(run.district, (), {}, DAY, {"alley-00": [(10.0, 60.0)]})
    assert (nobody.false_m, nobody.missed_m, nobody.true_m) == (50.0, 0.0, 0.0)


def test_another_day_has_other_truth(run: Run) -> None:
    result = score(run.district, run.truth_passes, {}, date(2026, 6, 2))
    assert result.exact_share == 1.0
    assert result.true_m == 0.0


def test_true_passes_are_right_and_those_on_another_street_or_of_another_unit_are_wrong() -> None:
    shift = true_shift(grid(), Scenario(driving=Driving(breaks=2, half_share=0.2)))
    swept = [one for one in shift.passes if one.swept]
    assert all(right_passes(swept, shift.stays))
    others = [replace(one, unit_id="somebody else") for one in swept]
    assert not any(right_passes(others, shift.stays))
    streets = {one.street_id for one in swept}
    moved = [replace(one, street_id=min(streets - {one.street_id})) for one in swept]
    assert not any(right_passes(moved, shift.stays))


def test_a_unit_that_stands_at_a_streets_end_is_still_on_it() -> None:
    shift = true_shift(grid(), Scenario(driving=Driving(breaks=3, break_s=900.0)))
    for outing in shift.outings:
        stays = [one for one in shift.stays if one.unit_id == outing.motion.unit.unit_id]
        assert all(one.from_us < one.to_us for one in stays)
        assert all(a.to_us <= b.from_us for a, b in pairwise(stays))
        stood_us = max(one.to_us - one.from_us for one in stays)
        assert stood_us > 600 * 1_000_000


def test_a_pass_is_right_where_its_unit_was_there_for_more_than_half_of_its_swept_length_or_time() -> None:
    pieces = (Piece(0, 60_000, 400, 1_000), Piece(60_000, 90_000, 1_000, 1_300))
    found = Pass("u", 0, 0, "s", "sweeping", 1, 0, 1_300, 0, 90_000, pieces)
    stood_first = replace(found, enter_us=-2_000)
    assert right_passes([stood_first], [Stay("u", "s", 0, 1_000)]) == [True]
    assert right_passes([stood_first], [Stay("u", "s", 0, 800)]) == [False]
    assert right_passes([stood_first], [Stay("u", "s", 0, 860)]) == [True]
    assert right_passes([stood_first], [Stay("u", "s", 0, 600), Stay("u", "s", 400, 600)]) == [False]
    assert right_passes([found], [Stay("u", "s", 0, 651)]) == [True]
    assert right_passes([found], [Stay("u", "s", 0, 650)]) == [False]
    assert right_passes([found], []) == [False]
    assert right_passes([replace(found, swept=())], [Stay("u", "s", 0, 1_300)]) == [False]
