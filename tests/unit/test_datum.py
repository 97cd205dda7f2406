"""Datums: published values, the way back, and where there is no shift."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.datum import DATUMS, to_wgs84, wgs84_to_bd09, wgs84_to_gcj02

IN_CHINA = (st.floats(75.0, 135.0), st.floats(5.0, 53.0))


def test_gcj02_is_as_published_for_beijing() -> None:
    lon, lat = wgs84_to_gcj02(116.404, 39.915)
    assert lon == pytest.approx(116.41024449916938, abs=1e-9)
    assert lat == pytest.approx(39.91640428150164, abs=1e-9)


def test_bd09_lies_some_hundred_metres_further() -> None:
    lon, lat = wgs84_to_bd09(116.404, 39.915)
    assert lon == pytest.approx(116.41662724378733, abs=1e-9)
    assert lat == pytest.approx(39.922699552216216, abs=1e-9)


@given(*IN_CHINA)
def test_the_way_back_meets_the_input_to_less_than_a_billionth_of_a_degree(lon: float, lat: float) -> None:
    assert to_wgs84(*wgs84_to_gcj02(lon, lat), "GCJ-02") == pytest.approx((lon, lat), abs=1e-9)
    assert to_wgs84(*wgs84_to_bd09(lon, lat), "BD-09") == pytest.approx((lon, lat), abs=1e-9)


@given(st.floats(-180.0, 60.0), st.floats(-90.0, 90.0))
def test_outside_china_gcj02_is_wgs84(lon: float, lat: float) -> None:
    assert wgs84_to_gcj02(lon, lat) == (lon, lat)
    assert to_wgs84(lon, lat, "GCJ-02") == (lon, lat)


@given(st.floats(-180.0, 180.0), st.floats(-90.0, 90.0), st.sampled_from(DATUMS))
def test_every_place_on_earth_gets_an_answer(lon: float, lat: float, datum: str) -> None:
    there_lon, there_lat = to_wgs84(lon, lat, datum)
    assert abs(there_lon - lon) < 0.2
    assert abs(there_lat - lat) < 0.2
    if datum == "WGS-84":
        assert (there_lon, there_lat) == (lon, lat)
