"""The golden year on the record: every answer of the SQL functions is the one that going through it row by row gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from tests.conftest import _database
from tests.golden import answers, questions, store, year

PERIODS = (
    (year.FIRST, year.LAST),
    (date(2025, 3, 12), date(2025, 4, 9)),
    (date(2025, 6, 20), date(2025, 7, 10)),
    (date(2025, 12, 20), date(2026, 1, 3)),
    (date(2024, 12, 30), date(2025, 1, 6)),
)
EACH = ("day", "week", "month", "period")
BY = ("street", "grade", "subdistrict", "contractor", "district", "shift")
#: As of a moment between the closing of days and the late reports, and now.
AS_OF_US = (answers.CLOSED_US, None)


@pytest.fixture(scope="module")
def recorded(server_url: str, template: str) -> Iterator[psycopg.Connection[Any]]:
    """A store that holds the year."""
    with _database(server_url, template) as url, psycopg.connect(url, autocommit=True) as connection:
        store.fill(connection, answers.golden(), answers.late())
        yield connection


def record(as_of_us: int | None) -> list[questions.StreetDay]:
    return list(answers.record(without_late=as_of_us is not None and as_of_us < answers.LATE_US))


@pytest.mark.parametrize("as_of_us", [*AS_OF_US, answers.LATE_US - 1, answers.LATE_US])
def test_the_rows_of_the_year_are_the_slow_figures(
    recorded: psycopg.Connection[Any], as_of_us: int | None
) -> None:
    rows = recorded.execute(
        """SELECT street_id, service_day, frequency, frequency_certain, swept_mm, swept_certain_mm, length_mm,
                  cleaned_us, passes, required, verdict, name, grade, subdistrict, contractor, open
           FROM swept_street_days(%s, %s, %s) WHERE shift_id = '' ORDER BY service_day, street_id""",
        (answers.DAYS[0], answers.DAYS[-1], as_of_us),
    ).fetchall()
    expected = [
        (
            one.street.street_id,
            one.day,
            one.figures.frequency,
            one.figures.frequency_certain,
            one.figures.swept_mm,
            one.figures.swept_certain_mm,
            one.figures.length_mm,
            list(one.figures.cleaned_us),
            one.figures.passes,
            one.street.required,
            one.verdict,
            one.street.name,
            one.street.grade,
            one.street.subdistrict,
            one.street.contractor,
            one.verdict is None,
        )
        for one in record(as_of_us)
    ]
    assert_same(rows, expected)


@pytest.mark.parametrize("as_of_us", AS_OF_US)
@pytest.mark.parametrize("by", BY)
def test_totals_over_every_stretch_of_time_are_those_of_the_slow_count(
    recorded: psycopg.Connection[Any], by: str, as_of_us: int | None
) -> None:
    for first, last in PERIODS[: 1 if as_of_us else None]:
        for each in EACH:
            rows = recorded.execute(
                "SELECT * FROM swept_figures(%s, %s, %s, %s, %s) ORDER BY bucket_first, key",
                (first, last, each, by, as_of_us),
            ).fetchall()
            expected = questions.totals(record(as_of_us), first, last, each, by, store.DISTRICT)
            assert_same(rows, expected)


def test_every_cleaning_of_every_street_has_its_time(recorded: psycopg.Connection[Any]) -> None:
    for first, last in PERIODS:
        for street in year.NEW_MAP:
            rows = recorded.execute(
                "SELECT * FROM swept_cleanings(%s, %s, %s)", (street.street_id, first, last)
            ).fetchall()
            assert_same(rows, questions.cleanings(record(None), street.street_id, first, last))


def test_the_longest_time_without_a_cleaning_is_that_of_the_slow_count(
    recorded: psycopg.Connection[Any],
) -> None:
    for first, last in PERIODS[:3]:
        from_us, to_us = year.window(first)[0], year.window(last)[1]
        rows = recorded.execute(
            "SELECT * FROM swept_longest_without(%s, %s, %s, %s) ORDER BY street_id",
            (first, last, from_us, to_us),
        ).fetchall()
        assert_same(rows, questions.longest_without(record(None), first, last, from_us, to_us))


def test_who_was_on_a_street_is_what_the_passes_say(recorded: psycopg.Connection[Any]) -> None:
    passes = answers.golden().passes
    for one in passes[::50]:
        for from_us, to_us in (
            (one.enter_us, one.enter_us + 1),
            (one.leave_us, one.leave_us + 3_600_000_000),
            (one.leave_us + 1, one.leave_us + 6 * 3_600_000_000),
        ):
            rows = recorded.execute(
                """SELECT enter_us, unit_id, leave_us FROM swept_on_street(%s, %s, %s)
                   ORDER BY enter_us, unit_id COLLATE "C", leave_us""",
                (one.street, from_us, to_us),
            ).fetchall()
            assert_same(rows, questions.on_street(passes, one.street, from_us, to_us))


def test_what_units_drove_is_what_their_days_say(recorded: psycopg.Connection[Any]) -> None:
    for first, last in PERIODS:
        for each in EACH:
            rows = recorded.execute(
                "SELECT * FROM swept_unit_figures(%s, %s, %s) ORDER BY bucket_first, unit_id",
                (first, last, each),
            ).fetchall()
            assert_same(rows, questions.unit_totals(answers.golden().unit_days, first, last, each))


def assert_same(rows: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    """One readable line for the first that differs."""
    assert expected or not rows
    for row, other in zip(rows, expected, strict=False):
        assert row == other
    assert len(rows) == len(expected)
