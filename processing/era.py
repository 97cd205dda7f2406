"""The dates that swept works with: from 2000 to 2100, wherever a date or a time comes in.

Earlier or later ones are a receiver without a clock, seconds taken for milliseconds, or a slip of the pen.
Calendar arithmetic near the years 1 and 9999 would fail besides.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from processing.service_day import from_us, to_us

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 1, 1)
_FIRST_US = to_us(datetime(2000, 1, 1, tzinfo=UTC))
_END_US = to_us(datetime(2100, 1, 2, tzinfo=UTC))
_DO = f"dates go from {FIRST_DAY} to {LAST_DAY}"
_US_PER_S, _US_PER_MS = 1_000_000, 1_000


class OutOfEra(ValueError):  # noqa: N818 - it says what a date is
    """A date or time that can't be meant; the message says what to do."""


def checked_day(day: date) -> date:
    """The service day itself; `OutOfEra` outside of the era."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise OutOfEra(f"{day} can't be meant; {_DO}")
    return day


def checked_us(moment_us: int) -> int:
    """The instant itself, microseconds since 1970 UTC; `OutOfEra` outside of the era."""
    if _FIRST_US <= moment_us < _END_US:
        return moment_us
    if _FIRST_US <= moment_us // _US_PER_MS * _US_PER_S < _END_US:
        raise OutOfEra("is in 1970, so these may be seconds; write milliseconds since 1970")
    try:
        when = f"in the year {from_us(moment_us).year}"
    except OverflowError:
        when = "outside of any calendar"
    raise OutOfEra(f"is {when}; {_DO}")
