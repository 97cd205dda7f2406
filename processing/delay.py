"""How far a message's reports lie behind its arrival: a look that costs little and decides nothing but when.

Only times are read, and of an array only the first and the last are looked at, since devices send in order. What
can't be read so has no delay here; decoding will say what is wrong with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from processing.fields import US_PER_MS
from processing.service_day import to_us


class Delay(NamedTuple):
    """How many reports a message seems to hold, and how old the newest was on arrival; None: can't be told."""

    reports: int
    delay_us: int | None


class _Timed(msgspec.Struct, gc=False):
    time: datetime | int | float | None = None


_TIMES: msgspec.json.Decoder[_Timed | list[_Timed]] = msgspec.json.Decoder(_Timed | list[_Timed])


def delay(payload: bytes, received_us: int) -> Delay:
    """The delay of a message with reports that arrived at `received_us`."""
    try:
        message = _TIMES.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Delay(0, None)
    timed = message if isinstance(message, list) else [message]
    ends = timed if len(timed) < 3 else (timed[0], timed[-1])
    moments_us = [moment_us for one in ends if (moment_us := _moment_us(one.time)) is not None]
    return Delay(len(timed), received_us - max(moments_us) if moments_us else None)


def _moment_us(time: datetime | float | None) -> int | None:
    if isinstance(time, datetime):
        return to_us(time) if time.tzinfo is not None else None
    return int(time * US_PER_MS) if time is not None and abs(time) < 1e15 else None
