"""The service day: 24 hours of local clock from a local time of day.

Instants are whole microseconds since 1970 UTC everywhere inside swept; only this module knows the zone. A
day is 23 or 25 hours long where the zone's clock is changed.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

US = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware datetime."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_us(moment_us: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=moment_us)


@lru_cache(maxsize=4096)
def day_start_us(day: date, day_start_s: int, timezone: str) -> int:
    """The instant at which a service day begins."""
    local = datetime.combine(day, time(), tzinfo=ZoneInfo(timezone)) + timedelta(seconds=day_start_s)
    return to_us(local.astimezone(UTC))


def service_day(moment_us: int, day_start_s: int, timezone: str) -> date:
    """The service day in which an instant lies."""
    local = from_us(moment_us).astimezone(ZoneInfo(timezone))
    day = (local.replace(tzinfo=None) - timedelta(seconds=day_start_s)).date()
    # Wall clocks repeat and skip hours; the instants of the bounds decide.
    while moment_us < day_start_us(day, day_start_s, timezone):
        day -= timedelta(days=1)
    while moment_us >= day_start_us(day + timedelta(days=1), day_start_s, timezone):
        day += timedelta(days=1)
    return day
