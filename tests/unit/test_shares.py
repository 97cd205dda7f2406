from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processing.shares import percents


def test_thirds_add_up_to_a_hundred_and_the_first_gets_more() -> None:
    assert percents({"swept": 1, "no data": 1, "partial": 1}) == {"swept": 34, "no data": 33, "partial": 33}


def test_the_largest_remainders_get_what_is_missing() -> None:
    # 49.6, 49.6 and 0.8 %: two are missing, and 0.8 has the largest remainder.
    assert percents({"swept": 62, "partial": 62, "no data": 1}) == {"swept": 50, "partial": 49, "no data": 1}


def test_nothing_counted_has_no_shares() -> None:
    assert percents({"swept": 0, "partial": 0}) == {}
    assert percents({}) == {}


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6), st.integers(0, 100))
def test_shares_add_up_and_are_off_by_less_than_one(counts: list[int], whole: int) -> None:
    named = {str(n): count for n, count in enumerate(counts)}
    shares = percents(named, whole)
    total = sum(counts)
    if total:
        assert sum(shares.values()) == whole
        assert all(abs(shares[name] * total - whole * count) < total for name, count in named.items())
