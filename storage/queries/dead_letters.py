"""What was refused, and why?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection


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
    connection: Connection[Any],
    letters_max: int,
    reason: str | None = None,
    unit_id: str | None = None,
    payload_bytes_max: int = 8 << 20,
) -> tuple[list[DeadLetter], bool]:
    """The newest refusals, of all or of one reason or unit, and whether none of those asked for is left out.

    The payloads together are at most `payload_bytes_max` long, but for the first, which is always there.
    """
    order = "received_us DESC, log_id, partition, log_offset DESC, element"
    rows = connection.execute(
        f"""SELECT log_id, partition, log_offset, element, reason, detail, unit_id, mqtt_topic, payload,
                   received_us, asked
            FROM (SELECT *, count(*) OVER () AS asked, row_number() OVER newest_first AS number,
                         sum(octet_length(payload)) OVER newest_first AS so_far
                  FROM (SELECT * FROM dead_letter
                        WHERE (%s::text IS NULL OR reason = %s::text)
                          AND (%s::text IS NULL OR unit_id = %s::text)
                        ORDER BY {order} LIMIT %s) AS newest
                  WINDOW newest_first AS (ORDER BY {order} ROWS UNBOUNDED PRECEDING)) AS sized
            WHERE so_far <= %s OR number = 1 ORDER BY number""".encode(),  # noqa: S608 - the order is our own
        (reason, reason, unit_id, unit_id, letters_max, payload_bytes_max),
    ).fetchall()
    return [DeadLetter(*row[:-1]) for row in rows], all(row[-1] == len(rows) for row in rows)


def reasons(connection: Connection[Any]) -> dict[str, int]:
    """How many were refused for each reason."""
    rows = connection.execute("SELECT reason, count(*) FROM dead_letter GROUP BY reason ORDER BY reason")
    return {row[0]: int(row[1]) for row in rows}
