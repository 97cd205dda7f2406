"""Service days as people write them, and what day and time it is in the district."""

from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING, Any

from swept.errors import UserError

if TYPE_CHECKING:
    from psycopg import Connection

    from processing.district import District


def day_of(text: str, option: str) -> date:
    """The service day that an option names; `UserError` where it is none."""
    from processing.era import OutOfEra, checked_day

    try:
        return checked_day(date.fromisoformat(text))
    except OutOfEra as error:
        raise UserError(f"{option} {error}.") from None
    except ValueError:
        raise UserError(f"{option} {text} is no day; write it like 2026-06-01.") from None


def now_us(connection: Connection[Any]) -> int:
    """Now in the district's clock, as far as the store has heard; before it has heard anything the wall clock."""
    from storage.queries.status import heard_us

    return heard_us(connection) or time.time_ns() // 1000


def today(connection: Connection[Any], district: District) -> date:
    """The current service day of the district."""
    from processing.service_day import service_day

    rules = district.rules
    return service_day(now_us(connection), rules.day_start_s, rules.timezone)


def moment_of(text: str, option: str) -> int:
    """The instant that an option names, microseconds since 1970 UTC; `UserError` where it is none."""
    from datetime import datetime

    from processing.era import OutOfEra, checked_us
    from processing.service_day import to_us

    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text} is no moment; write it like 2026-06-08T09:00+08:00.") from None
    if when.tzinfo is None:
        raise UserError(f"{option} {text} has no zone; add Z or +08:00.")
    try:
        return checked_us(to_us(when))
    except OutOfEra as error:
        raise UserError(f"{option} {text} {error}.") from None
