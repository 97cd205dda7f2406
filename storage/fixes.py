"""The table `fix`: reports as whole numbers, written as columns, one by one or in bulk.

A column `name_eN` holds 10^N times what `Report` calls `name` (processing/fix.py: DECIMALS), so what comes back
is what went in, to the last bit; NULL stands for None and NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from processing.fix import DECIMALS, EQUIPMENT, UNKNOWN, Report, ReportColumns
from storage.copy_binary import Column, Texts, copy_in
from storage.place import Place

#: Where a report's number is kept.
SCALED: Mapping[str, str] = {name: f"{name}_e{decimals}" for name, decimals in DECIMALS.items()}

_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("fix_time_us", "received_us", "log_offset", "seq"), "int8"),
    **dict.fromkeys(("lon_e7", "lat_e7", "speed_kmh_e2", "heading_deg_e2", "accuracy_m_e2"), "int4"),
    **dict.fromkeys(("satellites", "hopper_pct_e2", "water_pct_e2"), "int2"),
    **dict.fromkeys(("kind", "log_number", "partition", "element"), "int2"),
    **dict.fromkeys(("historical", *EQUIPMENT), "bool"),
    **dict.fromkeys(("unit_id", "extra"), "text"),
}
_FIELDS = tuple(one.name for one in fields(Report))
_fields_of = attrgetter(*_FIELDS)
_STAGING = f"""
    CREATE TEMPORARY TABLE IF NOT EXISTS fix_staging ON COMMIT DELETE ROWS AS
    SELECT {", ".join(_TYPES)} FROM fix WITH NO DATA
"""  # noqa: S608 - the names are our own


def number_sql(name: str) -> str:
    """The SQL of a report's number, exactly as `Report` has it."""
    return f"fix.{SCALED[name]} / 1e{DECIMALS[name]}::float8"


def log_number(connection: Connection[Any], log_id: str) -> int:
    """The short name of a log; made where it is new."""
    query = "SELECT number FROM log_number WHERE log_id = %s"
    row = connection.execute(query, (log_id,)).fetchone()
    if row is None:
        connection.execute("INSERT INTO log_number (log_id) VALUES (%s) ON CONFLICT DO NOTHING", (log_id,))
        row = connection.execute(query, (log_id,)).fetchone()
        assert row is not None
    return int(row[0])


def write(connection: Connection[Any], accepted: Sequence[tuple[Report, Place]]) -> None:
    """Write reports whose identities are new."""
    if not accepted:
        return
    places = [place for _, place in accepted]
    numbers = {log_id: log_number(connection, log_id) for log_id in sorted({p.log_id for p in places})}
    log_ids, partitions, offsets, elements = zip(*places, strict=True)
    told = dict(zip(_FIELDS, zip(*(_fields_of(report) for report, _ in accepted), strict=True), strict=True))
    columns: dict[str, Column] = {
        "log_number": np.array([numbers[log_id] for log_id in log_ids], dtype=np.int64),
        "partition": np.array(partitions, dtype=np.int64),
        "log_offset": np.array(offsets, dtype=np.int64),
        "element": np.array(elements, dtype=np.int64),
        "fix_time_us": np.array(told["fix_time_us"], dtype=np.int64),
        "received_us": np.array(told["received_us"], dtype=np.int64),
        "seq": _masked(told["seq"]),
        "unit_id": Texts.of(told["unit_id"]),
        "extra": Texts.of(told["extra"]),
    }
    # As a float None is NaN; all of these are small.
    for name in ("kind", "historical", "satellites", *EQUIPMENT):
        columns[name] = _scaled(np.array(told[name], dtype=np.float64), 0)
    for name, column in SCALED.items():
        columns[column] = _scaled(np.array(told[name], dtype=np.float64), DECIMALS[name])
    copy_in(connection, "fix", _TYPES, columns)


def columns_of(
    unit_id: str, reports: ReportColumns, received_us: NDArray[np.int64], place: Place
) -> dict[str, Column]:
    """One unit's reports as columns of the table, as records that lie one after the other from `place` on."""
    rows = len(reports)
    whole: dict[str, NDArray[Any]] = {
        "fix_time_us": reports.fix_time_us,
        "received_us": received_us,
        "kind": reports.kind,
        "log_offset": place.offset + np.arange(rows),
        **dict.fromkeys(("element", "historical"), np.zeros(rows, dtype=np.int64)),
        "partition": np.full(rows, place.partition),
    }
    columns: dict[str, Column] = {**whole, "unit_id": Texts.same(unit_id, rows)}
    for name, column in SCALED.items():
        if hasattr(reports, name):
            columns[column] = _scaled(getattr(reports, name), DECIMALS[name])
    for number, name in enumerate(EQUIPMENT):
        states = reports.equipment[:, number]
        columns[name] = np.ma.masked_array(states, states == UNKNOWN)
    return columns


def merge(connection: Connection[Any], log_id: str, columns: Mapping[str, Column]) -> int:
    """Write many reports of one log at once, those whose identity isn't there yet; how many these were.

    Of two with one identity the first counts, whatever they say: it is for reports that were settled before.
    """
    with connection.transaction():
        number = log_number(connection, log_id)
        connection.execute(_STAGING.encode())
        copy_in(connection, "fix_staging", _TYPES, columns)
        done = connection.execute(
            f"""INSERT INTO fix ({", ".join(_TYPES)})
                SELECT {", ".join("%s" if name == "log_number" else name for name in _TYPES)}
                FROM fix_staging ON CONFLICT DO NOTHING""".encode(),  # noqa: S608 - the names are our own
            (number,),
        )
        return done.rowcount


def _masked(values: Sequence[int | None]) -> NDArray[Any]:
    """Integers, masked where None."""
    numbers = np.array([0 if value is None else value for value in values], dtype=np.int64)
    return np.ma.masked_array(numbers, np.array([value is None for value in values], dtype=bool))


def _scaled(numbers: NDArray[np.float64], decimals: int) -> NDArray[Any]:
    """Whole multiples of the last decimal that is kept, masked where NaN."""
    unknown = np.isnan(numbers)
    scaled = np.rint(np.where(unknown, 0.0, numbers) * 10.0**decimals).astype(np.int64)
    return np.ma.masked_array(scaled, unknown) if unknown.any() else scaled
