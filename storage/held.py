"""Held evidence: packs that outlive the retention of what they were made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Held:
    """A dispute whose evidence is held, without the pack itself."""

    held_id: int
    street_id: str
    service_day: date
    shift_id: str
    reason: str
    author: str
    at_us: int
    sha256: bytes
    pack_bytes: int


def hold(
    connection: Connection[Any],
    case: tuple[str, date, str],
    why: tuple[str, str],
    at_us: int,
    sha256: bytes,
    pack: bytes,
) -> int:
    """Keep the pack of a (street, service day, shift) for a (reason, author); its number."""
    row = connection.execute(
        """INSERT INTO held (street_id, service_day, shift_id, reason, author, at_us, sha256, pack)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %b) RETURNING held_id""",
        (*case, *why, at_us, sha256, pack),
    ).fetchone()
    assert row is not None
    return int(row[0])


def held(connection: Connection[Any]) -> list[Held]:
    """All that is held, the oldest first."""
    with connection.cursor(row_factory=class_row(Held)) as cursor:
        return cursor.execute(
            """SELECT held_id, street_id, service_day, shift_id, reason, author, at_us, sha256,
                      octet_length(pack) AS pack_bytes FROM held ORDER BY held_id"""
        ).fetchall()


def pack_of(connection: Connection[Any], held_id: int) -> tuple[bytes, bytes] | None:
    """A held pack and its SHA-256 as it was noted; None where there is none of this number."""
    row = (
        connection.cursor(binary=True)
        .execute("SELECT pack, sha256 FROM held WHERE held_id = %s", (held_id,))
        .fetchone()
    )
    return None if row is None else (bytes(row[0]), bytes(row[1]))
