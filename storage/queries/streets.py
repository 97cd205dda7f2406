"""Which streets has the district ever had, and where are they?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection


def unknown_streets(connection: Connection[Any], district_id: str, street_ids: Sequence[str]) -> list[str]:
    """Those of these streets that no version of the district's map has, in their order."""
    if not street_ids:
        return []
    rows = connection.execute(
        "SELECT DISTINCT street_id FROM district_street WHERE district_id = %s AND street_id = ANY(%s)",
        (district_id, list(street_ids)),
    )
    known = {row[0] for row in rows}
    return [one for one in street_ids if one not in known]
