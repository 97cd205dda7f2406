"""What a batch leaves in the store: set-based, inside the caller's transaction, by binary COPY.

A batch holds the lock on its partitions' positions, and a unit is in one partition, so nobody else writes
these units' rows: what is replaced is deleted, and what is new is copied straight into its table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg.types.json import Jsonb

from processing.batch import Batch
from processing.equipment import EquipmentInterval
from processing.fix import Rejection, Report
from processing.sweep import Pass
from processing.unit_day import UnitDay, UnitHour
from storage import arrays, fixes
from storage.place import Place
from storage.reader import PASS_COLUMNS
from storage.versions import Versions


@dataclass(frozen=True, slots=True)
class TrackRow:
    """A track as it is kept; `digest` tells whether its fixes changed."""

    unit_id: str
    start_us: int
    end_us: int
    fixes: int
    digest: bytes
    versions: Versions
    suspected_datum: str | None = None


_COPY_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("unit_id", "street_id", "work", "extra", "log_id", "reason", "detail", "mqtt_topic",
                     "ambiguous_with", "rule_version", "map_version", "equipment", "suspected_datum"), "text"),
    **dict.fromkeys(("fix_time_us", "received_us", "seq", "log_offset", "start_us", "end_us", "first_fix_us",
                     "track_start_us", "enter_us", "leave_us", "swept_until_us", "from_us", "to_us",
                     "last_fix_us", "hour_us"), "int8"),
    **dict.fromkeys(("kind", "direction", "state"), "int2"),
    **dict.fromkeys(("working_s", "driven_m", "working_m", "water_used_pct", "hopper_filled_pct",
                     "certainty"), "float8"),
    **dict.fromkeys(("satellites", "partition", "element", "fixes", "ordinal", "enter_mm", "leave_mm",
                     "frequency", "frequency_certain", "passes", "frequency_if_observed"), "int4"),
    **dict.fromkeys(("historical", "engine", "brush", "spray", "fan", "working"), "bool"),
    **dict.fromkeys(("piece_from_mm", "piece_to_mm", "unobserved_from_mm", "unobserved_to_mm"), "int4[]"),
    **dict.fromkeys(("piece_from_us", "piece_to_us", "unobserved_from_us", "unobserved_to_us", "cleaned_us"), "int8[]"),
    **dict.fromkeys(("digest", "payload"), "bytea"),
    "service_day": "date",
    "gaps": "jsonb",
}  # fmt: skip
_TRACK_COLUMNS = (
    "unit_id", "start_us", "end_us", "fixes", "digest", "suspected_datum", "rule_version", "map_version",
)  # fmt: skip
_UNIT_DAY_COLUMNS = (
    "unit_id", "service_day", "fixes", "first_fix_us", "last_fix_us", "working_s", "driven_m", "working_m",
    "gaps", "rule_version",
)  # fmt: skip
_UNIT_HOUR_COLUMNS = ("hour_us", "unit_id", "service_day", *(field.name for field in fields(UnitHour)[1:]))
_hour_figures = attrgetter(*_UNIT_HOUR_COLUMNS[3:])
_INTERVAL_COLUMNS = ("unit_id", "service_day", "equipment", "from_us", "to_us", "state")
#: The types that differ from table to table.
_COPY_TYPES_OF: Mapping[str, Mapping[str, str]] = {
    "pass": {"swept_mm": "int4"},
}


def _copy(
    connection: Connection[Any], table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    types = {**_COPY_TYPES, **_COPY_TYPES_OF.get(table, {})}
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        arrays.use_in(cursor.adapters)
        copy.set_types([types[name] for name in columns])
        for row in rows:
            copy.write_row(row)


def reports(
    connection: Connection[Any],
    log_id: str,
    accepted: Batch,
    records: NDArray[np.int64],
    replaced: Sequence[Report] = (),
) -> None:
    """Write accepted reports, which came in `records` (fixes.py) of a log; those they replace go first."""
    if replaced:
        connection.execute(
            """DELETE FROM fix
               USING unnest(%s::text[], %s::bigint[], %s::smallint[]) AS old (unit_id, fix_time_us, kind)
               WHERE fix.unit_id = old.unit_id AND fix.fix_time_us = old.fix_time_us
                 AND fix.kind = old.kind""",
            (
                [report.unit_id for report in replaced],
                [report.fix_time_us for report in replaced],
                [int(report.kind) for report in replaced],
            ),
        )
    fixes.write(connection, log_id, accepted, records)


def dead_letters(connection: Connection[Any], letters: Sequence[tuple[Rejection, Place]]) -> None:
    """Keep refusals; one that is already kept, from an earlier reading of the log, is not kept twice."""
    if not letters:
        return
    connection.execute(
        """INSERT INTO dead_letter (log_id, partition, log_offset, element, reason, detail, unit_id,
                                    mqtt_topic, payload, received_us)
           SELECT * FROM unnest(%s::text[], %s::integer[], %s::bigint[], %s::integer[], %s::text[],
                                %s::text[], %s::text[], %s::text[], %s::bytea[], %s::bigint[])
           ON CONFLICT DO NOTHING""",
        (
            *(list(column) for column in zip(*(place for _, place in letters), strict=True)),
            [str(letter.reason) for letter, _ in letters],
            [_text(letter.detail) for letter, _ in letters],
            [None if letter.unit_id is None else _text(letter.unit_id) for letter, _ in letters],
            [_text(letter.mqtt_topic) for letter, _ in letters],
            [letter.payload for letter, _ in letters],
            [letter.received_us for letter, _ in letters],
        ),
    )


def _text(value: str) -> str:
    """Text that PostgreSQL can hold: it has no NUL, and surrogates are no characters."""
    return value.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def online(connection: Connection[Any], states: Mapping[str, tuple[bool, int]]) -> None:
    """Keep each unit's newest (online, received_us)."""
    if not states:
        return
    connection.execute(
        """INSERT INTO unit_online (unit_id, online, received_us)
           SELECT * FROM unnest(%s::text[], %s::boolean[], %s::bigint[])
           ON CONFLICT (unit_id) DO UPDATE
               SET online = excluded.online, received_us = excluded.received_us""",
        (
            list(states),
            [state for state, _ in states.values()],
            [received_us for _, received_us in states.values()],
        ),
    )


def tracks(connection: Connection[Any], gone: Sequence[tuple[str, int]], new: Sequence[TrackRow]) -> None:
    """Replace tracks: those that are `gone`, each a unit and a start, and new ones come."""
    if gone:
        connection.execute(
            """DELETE FROM track USING unnest(%s::text[], %s::bigint[]) AS old (unit_id, start_us)
               WHERE track.unit_id = old.unit_id AND track.start_us = old.start_us""",
            ([one[0] for one in gone], [one[1] for one in gone]),
        )
    if new:
        rows = ((*(getattr(t, name) for name in _TRACK_COLUMNS[:-2]), *t.versions) for t in new)
        _copy(connection, "track", _TRACK_COLUMNS, rows)


def passes(connection: Connection[Any], gone: Sequence[Pass], new: Sequence[tuple[Pass, date]]) -> None:
    """Replace passes; new ones come with the service day in which they start."""
    if gone:
        connection.execute(
            """DELETE FROM pass
               USING unnest(%s::text[], %s::bigint[], %s::integer[]) AS old (unit_id, track_start_us, ordinal)
               WHERE pass.unit_id = old.unit_id AND pass.track_start_us = old.track_start_us
                 AND pass.ordinal = old.ordinal""",
            (
                [one.unit_id for one in gone],
                [one.track_start_us for one in gone],
                [one.ordinal for one in gone],
            ),
        )
    if new:
        columns = (*PASS_COLUMNS, "service_day", "swept_mm", "swept_until_us")
        _copy(connection, "pass", columns, (_pass_row(one, day) for one, day in new))


def _pass_row(one: Pass, day: date) -> tuple[Any, ...]:
    pieces = zip(*one.swept, strict=True) if one.swept else ((),) * 4
    unobserved = zip(*one.unobserved, strict=True) if one.unobserved else ((),) * 4
    plain = (getattr(one, name) for name in PASS_COLUMNS[:10])
    return (
        *plain,
        *pieces,
        *unobserved,
        one.ambiguous_with,
        one.certainty,
        day,
        one.swept_mm,
        one.swept_until_us,
    )


class DayRows(NamedTuple):
    """What is to be written of a unit's service day: all of it, or else what is new or others than before."""

    unit_id: str
    service_day: date
    figures: UnitDay | None
    hours: Sequence[UnitHour]
    intervals: Sequence[EquipmentInterval]
    whole: bool


def unit_days(connection: Connection[Any], rows: Sequence[DayRows], versions: Versions) -> None:
    """Write unit-days, their hours and the equipment intervals; of whole ones what was there before goes."""
    whole = [row for row in rows if row.whole]
    for table in ("unit_day", "unit_hour", "equipment_interval") if whole else ():
        connection.execute(
            f"""DELETE FROM {table} USING unnest(%s::text[], %s::date[]) AS old (unit_id, service_day)
                WHERE {table}.unit_id = old.unit_id AND {table}.service_day = old.service_day""",  # noqa: S608
            ([row.unit_id for row in whole], [row.service_day for row in whole]),
        )
    days = [
        (
            *(getattr(row.figures, name) for name in _UNIT_DAY_COLUMNS[:8]),
            Jsonb(row.figures.gaps),
            versions.rule_version,
        )
        for row in rows
        if row.figures is not None
    ]
    _put(connection, "unit_day", 2, _UNIT_DAY_COLUMNS, days)
    hours = [
        (hour.hour_us, row.unit_id, row.service_day, *_hour_figures(hour))
        for row in rows
        for hour in row.hours
    ]
    _put(connection, "unit_hour", 3, _UNIT_HOUR_COLUMNS, hours)
    states = [
        (row.unit_id, row.service_day, one.equipment, one.from_us, one.to_us, one.state)
        for row in rows
        for one in row.intervals
    ]
    _put(connection, "equipment_interval", 4, _INTERVAL_COLUMNS, states)


def _put(
    connection: Connection[Any], table: str, keys: int, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Write rows, each new or in the place of the one with its key, which the first columns are."""
    if not rows:
        return
    values = ", ".join(f"%s::{_COPY_TYPES[name]}[]" for name in columns)
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns[keys:])
    connection.execute(
        f"""INSERT INTO {table} ({", ".join(columns)}) SELECT * FROM unnest({values})
            ON CONFLICT ({", ".join(columns[:keys])}) DO UPDATE SET {changed}""".encode(),  # noqa: S608
        [list(column) for column in zip(*rows, strict=True)],
    )


def notify(connection: Connection[Any], units: Sequence[str], streets: Sequence[str], last_us: int) -> None:
    """Tell listeners of `swept_commit`, at commit, what changed; long lists are cut, and say so."""
    listed_max = 100
    payload = {
        "units": sorted(units)[:listed_max],
        "streets": sorted(streets)[:listed_max],
        "all_listed": len(units) <= listed_max and len(streets) <= listed_max,
        "received_us": last_us,
    }
    text = json.dumps(payload, separators=(",", ":"))
    if len(text) > 7_900:
        text = json.dumps({"units": [], "streets": [], "all_listed": False, "received_us": last_us})
    connection.execute("SELECT pg_notify('swept_commit', %s)", (text,))
