"""Who was on this street, when, and what did they sweep of it?"""

from __future__ import annotations

from datetime import date
from typing import Any

from psycopg import Connection

from processing.sweep import Pass
from storage.reader import PASS_COLUMNS, pass_of


def passes_of_day(connection: Connection[Any], street_id: str, day: date) -> list[Pass]:
    """The passes of a street that start in a service day, drives through included, in order of entry."""
    return _passes(connection, "street_id = %s AND service_day = %s", (street_id, day))


def passes_between(connection: Connection[Any], street_id: str, from_us: int, to_us: int) -> list[Pass]:
    """The passes that were on the street at some moment from `from_us` on and before `to_us`."""
    # A pass lies within its track, which is a day long at most: that bounds the service days to look at.
    return _passes(
        connection,
        """street_id = %s AND enter_us < %s AND leave_us >= %s
           AND service_day BETWEEN (swept_time(%s) - interval '3 days')::date
                               AND (swept_time(%s) + interval '2 days')::date""",
        (street_id, to_us, from_us, from_us, to_us),
    )


def _passes(connection: Connection[Any], condition: str, parameters: tuple[Any, ...]) -> list[Pass]:
    cursor = connection.cursor(binary=True)
    query = f"""SELECT {", ".join(PASS_COLUMNS)} FROM pass WHERE {condition}
                ORDER BY enter_us, unit_id, track_start_us, ordinal"""  # noqa: S608 - all our own
    cursor.execute(query.encode(), parameters)
    return [pass_of(row) for row in cursor]
