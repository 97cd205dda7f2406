"""Which tracks seem to be in another datum than their unit's, and were not computed for that?"""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from processing.silence import Suspect


def suspects(connection: Connection[Any], unit_ids: list[str], from_us: int, to_us: int) -> list[Suspect]:
    """The suspected tracks of these units that reach into from_us <= t < to_us; by unit and start."""
    # A track is a day long at most, which bounds where one that reaches in can start.
    with connection.cursor(row_factory=class_row(Suspect)) as cursor:
        return cursor.execute(
            """SELECT track.unit_id, start_us, end_us, fixes, suspected_datum
               FROM unnest(%s::text[]) AS wanted (unit_id) JOIN track USING (unit_id)
               WHERE suspected_datum IS NOT NULL AND start_us >= %s - 2 * 86400000000::bigint
                     AND start_us < %s AND end_us >= %s
               ORDER BY track.unit_id, start_us""",
            (unit_ids, from_us, to_us, from_us),
        ).fetchall()
