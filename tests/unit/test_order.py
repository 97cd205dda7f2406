"""Identities, duplicates and conflicts: the survivors don't depend on order or batching."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from processing.fix import Kind, Reason, Report
from processing.order import Identity, identity, resolve

REPORTS = st.builds(
    Report,
    unit_id=st.sampled_from(["u1", "u2"]),
    kind=st.sampled_from(Kind),
    fix_time_us=st.integers(0, 2),
    received_us=st.integers(0, 3),
    lon=st.sampled_from([122.0, 122.5]),
    lat=st.just(40.0),
    seq=st.none() | st.integers(0, 3),
    brush=st.sampled_from([None, False, True]),
)
FIX = Report("u1", Kind.FIX, 0, 0, 122.0, 40.0)


def survivors(batches: list[list[Report]]) -> dict[Identity, bytes]:
    standing: dict[Identity, Report] = {}
    for batch in batches:
        resolved = resolve(standing, batch)
        assert all(identity(report) in standing for report in resolved.replaced)
        standing.update({identity(report): report for report in resolved.accepted})
    return {key: report.canonical() for key, report in standing.items()}


@given(st.lists(REPORTS, max_size=12), st.data())
def test_any_order_duplication_and_batching_leave_the_same_survivors(
    reports: list[Report], data: st.DataObject
) -> None:
    again = data.draw(
        st.permutations(reports + data.draw(st.lists(st.sampled_from(reports)) if reports else st.just([])))
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(again)), max_size=4)))
    bounds = [0, *cuts, len(again)]
    batches = [list(again[low:high]) for low, high in pairwise(bounds)]
    assert survivors(batches) == survivors([reports])


@given(st.lists(REPORTS, max_size=12))
def test_every_report_is_accepted_or_a_duplicate_or_a_conflict(reports: list[Report]) -> None:
    resolved = resolve({}, reports)
    assert len(resolved.accepted) + len(resolved.conflicts) + resolved.duplicates == len(reports)
    contents = [report.canonical() for report in reports]
    for report in resolved.accepted:
        assert report.canonical() == min(
            content
            for content, other in zip(contents, reports, strict=True)
            if identity(other) == identity(report)
        )


def test_a_resend_is_a_duplicate() -> None:
    resolved = resolve({identity(FIX): FIX}, [replace(FIX, seq=9, received_us=5, historical=True)])
    assert (resolved.accepted, resolved.conflicts, resolved.duplicates) == ((), (), 1)


def test_of_two_contents_the_lower_counts_and_the_other_is_a_conflict() -> None:
    other = replace(FIX, lat=39.0)
    low, high = sorted([FIX, other], key=Report.canonical)
    later = resolve({identity(high): high}, [low])
    assert (later.accepted, later.replaced) == ((low,), (high,))
    earlier = resolve({identity(low): low}, [high])
    assert (earlier.accepted, earlier.replaced) == ((), ())
    for resolved in (later, earlier):
        (conflict,) = resolved.conflicts
        assert (conflict.reason, conflict.payload) == (Reason.CONFLICT, high.canonical())
