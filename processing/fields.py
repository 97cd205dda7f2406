"""How a field of the device contract is read where it isn't exactly what the contract says.

The fast path of decode.py takes exact values only; here is what devices send in their stead (1 for true, 14.0
for 14, a leap second), with the same outcome for exact ones. A reader gives None for what it can't read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from processing.fix import EQUIPMENT, LEVELS
from processing.service_day import US, to_us

#: Beyond these a value is a device's way of saying that it doesn't know.
SPEED_KMH_MAX = 500.0
ACCURACY_M_MAX = 100_000.0
SATELLITES_MAX = 1_000
HEADING_DEG_MAX = 360.0
PERCENT_MAX = 100.0
SEQ_MIN, SEQ_MAX = -(2**63), 2**63 - 1
US_PER_MS = 1_000


def _number(value: object, most: float, least: float = 0.0) -> float | None:
    """A number within bounds: -1 and 9999 are a device's way of saying that it doesn't know."""
    if type(value) is not int and type(value) is not float:
        return None
    return float(value) if least <= value <= most else None


def _whole(value: object, most: int, least: int = 0) -> int | None:
    """An integer within bounds, also where it is written as 14.0."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and least <= value <= most else None


def _degrees(value: object) -> float | None:
    """Any number, also one that is no longitude: that has a reason of its own."""
    return float(value) if type(value) is int or type(value) is float else None


def _state(value: object) -> bool | None:
    """On or off, also as 1 and 0."""
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else None


def _name(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: object) -> datetime | float | None:
    """Time as the fast path has it; the second 60 is the beginning of the next."""
    if isinstance(value, str):
        leap = _LEAP_SECOND.fullmatch(value)
        try:
            moment = msgspec.convert(leap[1] + ":59" + leap[2] if leap else value, datetime)
        except msgspec.MsgspecError:
            return None
        if leap is None or moment.tzinfo is None:
            return moment
        return (to_us(moment) + US) // US_PER_MS
    return value if type(value) is int or type(value) is float else None


_LEAP_SECOND = re.compile(r"(.{16}):60(?:\.\d+)?(.*)", re.ASCII)
#: How each field of the contract is read; None where it can't be.
READ: Mapping[str, Callable[[object], Any]] = {
    "time": _time,
    "lon": _degrees,
    "lat": _degrees,
    "speed_kmh": partial(_number, most=SPEED_KMH_MAX),
    "heading_deg": partial(_number, most=HEADING_DEG_MAX),
    "accuracy_m": partial(_number, most=ACCURACY_M_MAX),
    "satellites": partial(_whole, most=SATELLITES_MAX),
    "seq": partial(_whole, most=SEQ_MAX, least=SEQ_MIN),
    "historical": _state,
    "equipment": lambda _: None,
    "unit": _name,
    "district": _name,
    **dict.fromkeys(EQUIPMENT, _state),
    **dict.fromkeys(LEVELS, partial(_number, most=PERCENT_MAX)),
}
