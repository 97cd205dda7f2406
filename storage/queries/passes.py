"""Who was on this street, when, and what did they sweep of it?"""

from __future__ import annotations

from datetime import date
from typing import Any

from psycopg import Connection

from processing.sweep import Pass
from storage.reader import PASS_COLUMNS, pass_of


def passes_of_day(connection: Connection[Any], street_id: str, day: date) -> list[Pass]:
    """The passes of a street that start in a service day, drives through included, in order of entry."""
    return _passes(connection, "pass WHERE street_id = %s AND service_day = %s", (street_id, day))


def passes_between(connection: Connection[Any], street_id: str, from_us: int, to_us: int) -> list[Pass]:
    """The passes that were on the street at some moment from `from_us` on and before `to_us`."""
    return _passes(connection, "swept_on_street(%s, %s, %s)", (street_id, from_us, to_us))


def _passes(connection: Connection[Any], source: str, parameters: tuple[Any, ...]) -> list[Pass]:
    cursor = connection.cursor(binary=True)
    query = f"""SELECT {", ".join(PASS_COLUMNS)} FROM {source}
                ORDER BY enter_us, unit_id, track_start_us, ordinal"""  # noqa: S608 - all our own
    cursor.execute(query.encode(), parameters)
    return [pass_of(row) for row in cursor]
