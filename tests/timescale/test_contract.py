"""Tests that PostgreSQL passes, on TimescaleDB: the same tests, with another `store_url`.

Left out are those in which two are in a transaction at once, which the one in WASM can't be.
"""

from __future__ import annotations

from tests.integration.test_questions import (
    record,
    test_a_total_adds_up_what_is_measured_asked_and_said,
    test_cleanings_are_told_with_their_times_as_of_any_moment,
)
from tests.integration.test_store import (
    test_a_winner_takes_the_place_of_the_report_it_replaces,
    test_figures_are_replaced_in_place_or_restated_with_what_they_were,
    test_passes_come_back_as_they_went_in,
    test_reports_come_back_as_they_went_in,
)
from tests.integration.test_worker import (
    _logs,
    test_a_late_fix_restates_its_street_days_and_keeps_what_they_were,
    test_a_worker_killed_at_a_step_neither_loses_nor_doubles_anything,
    test_what_the_worker_stores_is_what_the_core_says_of_the_same_reports,
)

__all__ = [
    "_logs",
    "record",
    "test_a_late_fix_restates_its_street_days_and_keeps_what_they_were",
    "test_a_total_adds_up_what_is_measured_asked_and_said",
    "test_a_winner_takes_the_place_of_the_report_it_replaces",
    "test_a_worker_killed_at_a_step_neither_loses_nor_doubles_anything",
    "test_cleanings_are_told_with_their_times_as_of_any_moment",
    "test_figures_are_replaced_in_place_or_restated_with_what_they_were",
    "test_passes_come_back_as_they_went_in",
    "test_reports_come_back_as_they_went_in",
    "test_what_the_worker_stores_is_what_the_core_says_of_the_same_reports",
]
