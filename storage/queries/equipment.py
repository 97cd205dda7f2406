"""What was a unit's equipment doing over a service day?"""

from __future__ import annotations

from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from processing.equipment import EquipmentInterval


def equipment(connection: Connection[Any], unit_id: str, day: date) -> list[EquipmentInterval]:
    """The on, off and unknown intervals of each piece of equipment, in order."""
    with connection.cursor(row_factory=class_row(EquipmentInterval)) as cursor:
        return cursor.execute(
            """SELECT unit_id, equipment, state, from_us, to_us FROM equipment_interval
               WHERE unit_id = %s AND service_day = %s ORDER BY equipment, from_us""",
            (unit_id, day),
        ).fetchall()
