"""Reports as the worker writes them, where a test has them as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from psycopg import Connection

from processing.batch import Batch
from processing.fix import Report
from storage import writer


def write(
    connection: Connection[Any],
    reports: Sequence[Report],
    replaced: Sequence[Report] = (),
    *,
    partition: int = 0,
    offset: int = 0,
) -> None:
    """Write reports as the records of the log "log" from an offset on."""
    units = tuple(sorted({report.unit_id for report in reports}))
    batch = Batch.of(units, [(report, number, 0) for number, report in enumerate(reports)])
    records = np.array([(partition, offset + number) for number in range(len(reports))])
    writer.reports(connection, "log", batch, records, replaced)
