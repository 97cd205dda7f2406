"""Versions of a district's files, byte for byte, so that any figure can be computed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import Connection


def save(
    connection: Connection[Any],
    district_id: str,
    files: Mapping[str, bytes],
    map_version: str,
    rule_version: str,
) -> int:
    """Keep the files as the district's newest version, unless they are it; return its number."""
    names = sorted(files)
    contents = [bytes(files[name]) for name in names]
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"district {district_id}",)
        )
        newest = connection.execute(
            """SELECT version, map_version, rule_version, file_names, file_contents FROM district_version
               WHERE district_id = %s ORDER BY version DESC LIMIT 1""",
            (district_id,),
        ).fetchone()
        if newest and tuple(newest[1:]) == (map_version, rule_version, names, contents):
            return int(newest[0])
        version = int(newest[0]) + 1 if newest else 1
        connection.execute(
            """INSERT INTO district_version
                   (district_id, version, map_version, rule_version, file_names, file_contents)
               VALUES (%s, %s, %s, %s, %s, %s)""",
            (district_id, version, map_version, rule_version, names, contents),
        )
    return version


def current(connection: Connection[Any], district_id: str) -> dict[str, bytes] | None:
    """The files of the district's newest version by name; None where none was loaded."""
    row = connection.execute(
        """SELECT file_names, file_contents FROM district_version
           WHERE district_id = %s ORDER BY version DESC LIMIT 1""",
        (district_id,),
    ).fetchone()
    if row is None:
        return None
    return {name: bytes(content) for name, content in zip(row[0], row[1], strict=True)}


def loaded(connection: Connection[Any]) -> list[str]:
    """The districts of which the store holds files."""
    return [
        row[0] for row in connection.execute("SELECT DISTINCT district_id FROM district_version ORDER BY 1")
    ]
