"""The table `fix`: reports as whole numbers, written as columns.

A column `name_eN` holds 10^N times what `Report` calls `name` (processing/fix.py: DECIMALS), so what comes back
is what went in, to the last bit; NULL stands for None and NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from processing.batch import Batch
from processing.fix import DECIMALS, EQUIPMENT, LEVELS, UNKNOWN
from storage.copy_binary import Column, Texts, copy_in

#: Where a report's number is kept.
SCALED: Mapping[str, str] = {name: f"{name}_e{decimals}" for name, decimals in DECIMALS.items()}

#: The PostgreSQL type of each column.
TYPES: Mapping[str, str] = {
    **dict.fromkeys(("fix_time_us", "received_us", "log_offset", "seq"), "int8"),
    **dict.fromkeys(("lon_e7", "lat_e7", "speed_kmh_e2", "heading_deg_e2", "accuracy_m_e2"), "int4"),
    **dict.fromkeys(("satellites", "hopper_pct_e2", "water_pct_e2"), "int2"),
    **dict.fromkeys(("kind", "log_number", "partition", "element"), "int2"),
    **dict.fromkeys(("historical", *EQUIPMENT), "bool"),
    **dict.fromkeys(("unit_id", "extra"), "text"),
}
_STAGING = f"""
    CREATE TEMPORARY TABLE IF NOT EXISTS fix_staging ON COMMIT DELETE ROWS AS
    SELECT {", ".join(TYPES)} FROM fix WITH NO DATA
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


def write(connection: Connection[Any], log_id: str, batch: Batch, records: NDArray[np.int64]) -> None:
    """Write reports whose identities are new; `records` has partition and offset of each message of theirs."""
    if not len(batch):
        return
    columns = columns_of(batch, records)
    columns["log_number"] = np.full(len(batch), log_number(connection, log_id))
    copy_in(connection, "fix", TYPES, columns)


def columns_of(batch: Batch, records: NDArray[np.int64]) -> dict[str, Column]:
    """Reports as columns of the table, all but the log's; `records` is (messages, 2), partition and offset."""
    rows = batch.reports
    place = records[batch.message]
    units, codes = np.unique(batch.unit, return_inverse=True)
    columns: dict[str, Column] = {
        "fix_time_us": rows.fix_time_us,
        "received_us": batch.received_us,
        "partition": place[:, 0],
        "log_offset": place[:, 1],
        "element": batch.element,
        "kind": rows.kind,
        "historical": batch.historical,
        "seq": _masked(batch.seq, ~batch.numbered),
        "satellites": _scaled(batch.satellites, 0),
        "unit_id": Texts(codes, tuple(batch.unit_ids[unit].encode() for unit in units.tolist())),
        "extra": Texts.of(batch.extra.tolist()),
    }
    numbers = {name: getattr(rows, name) for name in DECIMALS if name not in LEVELS}
    numbers |= zip(LEVELS, rows.levels.T, strict=True)
    for name, column in SCALED.items():
        columns[column] = _scaled(numbers[name], DECIMALS[name])
    for name, states in zip(EQUIPMENT, rows.equipment.T, strict=True):
        columns[name] = _masked(states, states == UNKNOWN)
    return columns


def merge(connection: Connection[Any], log_id: str, columns: Mapping[str, Column]) -> int:
    """Write many reports of one log at once, those whose identity isn't there yet; how many these were.

    Of two with one identity the first counts, whatever they say: it is for reports that were settled before.
    """
    with connection.transaction():
        number = log_number(connection, log_id)
        connection.execute(_STAGING.encode())
        copy_in(connection, "fix_staging", TYPES, columns)
        done = connection.execute(
            f"""INSERT INTO fix ({", ".join(TYPES)})
                SELECT {", ".join("%s" if name == "log_number" else name for name in TYPES)}
                FROM fix_staging ON CONFLICT DO NOTHING""".encode(),  # noqa: S608 - the names are our own
            (number,),
        )
        return done.rowcount


def _masked(values: NDArray[Any], unknown: NDArray[np.bool_]) -> NDArray[Any]:
    """The values, masked where they aren't known."""
    return np.ma.masked_array(values, unknown) if unknown.any() else values


def _scaled(numbers: NDArray[np.float64], decimals: int) -> NDArray[Any]:
    """Whole multiples of the last decimal that is kept, masked where NaN."""
    unknown = np.isnan(numbers)
    return _masked(np.rint(np.where(unknown, 0.0, numbers) * 10.0**decimals).astype(np.int64), unknown)
