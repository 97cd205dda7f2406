"""What was refused, and why?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refusal with its original bytes and its place in the log."""

    log_id: str
    partition: int
    log_offset: int
    element: int
    reason: str
    detail: str
    unit_id: str | None
    mqtt_topic: str
    payload: bytes
    received_us: int


def dead_letters(
    connection: Connection[Any], letters_max: int, reason: str | None = None, unit_id: str | None = None
) -> list[DeadLetter]:
    """The newest refusals, of all or of one reason or unit."""
    with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        return cursor.execute(
            """SELECT log_id, partition, log_offset, element, reason, detail, unit_id, mqtt_topic, payload,
                      received_us
               FROM dead_letter
               WHERE (%s::text IS NULL OR reason = %s::text) AND (%s::text IS NULL OR unit_id = %s::text)
               ORDER BY received_us DESC, log_id, partition, log_offset DESC, element LIMIT %s""",
            (reason, reason, unit_id, unit_id, letters_max),
        ).fetchall()


def reasons(connection: Connection[Any]) -> dict[str, int]:
    """How many were refused for each reason."""
    rows = connection.execute("SELECT reason, count(*) FROM dead_letter GROUP BY reason ORDER BY reason")
    return {row[0]: int(row[1]) for row in rows}
