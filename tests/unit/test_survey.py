"""What `swept streets check` finds, on streets made for it."""

from __future__ import annotations

import pytest

from processing.district import Road, Street
from processing.geodesy import LocalProjection
from processing.survey import Fault, Finding, check

PROJECTION = LocalProjection(122.27, 40.67)


def lonlat(*places: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    found = []
    for x_m, y_m in places:
        lon, lat = PROJECTION.to_lonlat(x_m, y_m)
        found.append((round(float(lon), 7), round(float(lat), 7)))
    return tuple(found)


def street(street_id: str, *places: tuple[float, float], layer: int = 0) -> Street:
    return Street(street_id, street_id, (lonlat(*places),), layer=layer)


def road(line_id: str, *places: tuple[float, float]) -> Road:
    return Road(line_id, line_id, (lonlat(*places),))


AVENUE = road("R", (-300, 0), (0, 0), (300, 0))


def found(*lines: Street | Road) -> list[Finding]:
    streets = [line for line in lines if isinstance(line, Street)]
    return list(check(streets, [line for line in lines if isinstance(line, Road)]))


def test_a_clean_survey_has_no_findings() -> None:
    assert found(street("A", (0, 0), (0, 100)), street("B", (0, 100), (80, 100)), AVENUE) == []
    assert found() == []


def test_near_parallel_alleys_and_crossings_are_no_findings() -> None:
    assert found(street("A", (-50, 0), (-50, 200)), street("B", (-25, 0), (-25, 200)), AVENUE) == []
    assert found(street("A", (0, -90), (0, 90)), AVENUE) == []


def test_a_loop_is_found_with_its_length() -> None:
    ring = street("A", (0, 0), (40, 30), (0, 60), (-40, 30), (0, 0))
    (finding,) = found(ring, AVENUE)
    assert (finding.fault, finding.street_ids) == (Fault.LOOP, ("A",))
    assert finding.size_m == pytest.approx(200, abs=0.3)


def test_a_figure_of_eight_crosses_itself_at_its_middle() -> None:
    eight = street("A", (0, 0), (0, 100), (60, 100), (60, 50), (-40, 50))
    (finding,) = found(eight, AVENUE)
    assert finding.fault is Fault.SELF_CROSSING
    ((lon, lat),) = lonlat((0, 50))
    assert (finding.lon, finding.lat) == pytest.approx((lon, lat), abs=1e-6)


def test_a_sliver_is_shorter_than_ten_metres() -> None:
    (finding,) = found(street("A", (0, 0), (0, 9.5)), AVENUE)
    assert finding.fault is Fault.SLIVER
    assert finding.size_m == pytest.approx(9.5, abs=0.05)
    assert found(street("A", (0, 0), (0, 10.5)), AVENUE) == []


@pytest.mark.parametrize("twin", [((0, 0), (0, 100)), ((0.8, 100), (0.8, 0)), ((0, 0), (0.5, 60))])
def test_a_street_drawn_twice_is_found_in_either_direction_and_in_part(
    twin: tuple[tuple[float, float], ...],
) -> None:
    findings = found(street("A", (0, 0), (0, 100)), street("B", *twin), AVENUE)
    duplicates = [finding for finding in findings if finding.fault is Fault.DUPLICATE]
    assert len(duplicates) == 1
    assert set(duplicates[0].street_ids) == {"A", "B"}


def test_a_street_drawn_along_an_avenue_is_found() -> None:
    findings = found(street("A", (-100, 0), (100, 0)), AVENUE)
    assert [(f.fault, f.street_ids) for f in findings] == [(Fault.DUPLICATE, ("A", "R"))]


@pytest.mark.parametrize(("gap_m", "is_found"), [(0.4, False), (0.6, True), (9.9, True), (10.5, False)])
def test_a_gap_is_an_end_that_nearly_meets(gap_m: float, is_found: bool) -> None:  # noqa: FBT001
    findings = found(street("A", (0, gap_m), (0, 100)), street("B", (0, 100), (0, 180), (-50, 180)), AVENUE)
    gaps = [finding for finding in findings if finding.fault is Fault.GAP]
    assert bool(gaps) is is_found
    if gaps:
        assert gaps[0].street_ids == ("A", "R")
        assert gaps[0].size_m == pytest.approx(gap_m, abs=0.05)


def test_an_island_is_named_with_its_streets_and_length() -> None:
    findings = found(
        street("A", (0, 0), (0, 100)),
        street("B", (0, 200), (0, 280)),
        street("C", (0, 280), (50, 280)),
        AVENUE,
    )
    (finding,) = findings
    assert (finding.fault, finding.street_ids) == (Fault.ISLAND, ("B", "C"))
    assert finding.size_m == pytest.approx(130, abs=0.3)


def test_a_bridge_over_a_street_does_not_join_it_but_its_foot_does() -> None:
    over = street("A", (0, -90), (0, 90), layer=1)
    (finding,) = found(over, AVENUE)
    assert finding.fault is Fault.ISLAND
    assert found(street("A", (0, 0), (0, 90), layer=1), AVENUE) == []
