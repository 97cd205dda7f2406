"""How far a message lies behind its arrival, told from the times in it alone."""

from __future__ import annotations

import json

import pytest

from processing.delay import Delay, delay

NOW_US = 1_714_514_405_000_000
LIMIT = 1_000_000


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"time": NOW_US // 1000 - 5_000, "lon": 1.0}, Delay(1, 5_000_000)),
        ({"time": "2024-05-01T06:00:00+08:00"}, Delay(1, 5_000_000)),
        ({"time": NOW_US // 1000 + 2_000}, Delay(1, -2_000_000)),
        ([{"time": NOW_US // 1000 - n * 1_000} for n in range(10, 0, -1)], Delay(10, 1_000_000)),
        ([{"time": NOW_US // 1000 - n * 1_000} for n in range(1, 11)], Delay(10, 1_000_000)),
        ([{"lon": 2.0}, {"time": NOW_US // 1000}], Delay(2, 0)),
        ([], Delay(0, None)),
        ({}, Delay(1, None)),
        ({"time": "2024-05-01T06:00:00"}, Delay(1, None)),
        ({"time": 1e300}, Delay(1, None)),
        ({"time": "yesterday"}, Delay(0, None)),
        ("text", Delay(0, None)),
    ],
)
def test_the_newest_report_tells_the_delay(message: object, expected: Delay) -> None:
    assert delay(json.dumps(message).encode(), NOW_US) == expected


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"[{]", b"[" * 100_000, b'{"time": 1e999}'])
def test_what_cannot_be_read_has_no_delay(payload: bytes) -> None:
    assert delay(payload, NOW_US).delay_us is None
