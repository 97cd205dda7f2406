"""How small fixes are once TimescaleDB has compressed them: a week of the district, as its twelve units report it.

Run with `python benchmarks/timescale.py`; the server is the one in WASM of tests/timescale, or that of
SWEPT_TEST_TIMESCALE_URL (an empty database). Each day is a simulated shift of its own. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.store import Year
from processing.batch import Batch, compare, settle
from processing.decode import Directory
from processing.read import BatchReader
from storage import fixes, timescale
from storage.migrate import migrate
from streams.log import Envelope
from swept.playing import district_and_plan
from swept.settings import configs_folder
from tests.timescale.wasm import wasm_server

DAYS = 7


def reports(year: Year, reader: BatchReader, day: int) -> tuple[Batch, NDArray[np.int64]]:
    """What the units send on a day, each report once, and the places of its messages in the log."""
    sent = [Envelope(d.unit_id, d.mqtt_topic, d.payload, d.deliver_at_us) for d in year.deliveries(day)]
    offsets = day * 100_000 + np.arange(len(sent))
    read = reader.read(sent).batch
    settled = settle(read, compare(read), {})
    return settled.accepted, np.column_stack([np.zeros(len(sent), dtype=np.int64), offsets])


def main() -> None:
    """Write the week, compress it, print what it takes."""
    with ExitStack() as stack:
        url = os.environ.get("SWEPT_TEST_TIMESCALE_URL") or stack.enter_context(wasm_server())
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        migrate(connection)
        district, rounds = district_and_plan(configs_folder() / "zhanqian")
        year = Year(district, rounds, date(2026, 1, 1), DAYS)
        reader = BatchReader(Directory.of(district))
        count, wrote_s = 0, 0.0
        for day in range(DAYS):
            batch, records = reports(year, reader, day)
            begun = perf_counter()
            with connection.transaction():
                fixes.write(connection, "week", batch, records)
            wrote_s += perf_counter() - begun
            count += len(batch)
        connection.execute(
            "INSERT INTO checkpoint (log_id, partition, next_offset, received_us)"
            " SELECT 'week', 0, 1, max(received_us) + 40 * 86400000000 FROM fix"
        )
        timescale.run_policies(connection, "compress")
        size = next(one for one in timescale.sizes(connection) if one.table == "fix")
        print(
            f"{count:,} fixes in {size.chunks} chunks, {size.compressed} compressed; written in {wrote_s:.1f} s"
        )
        print(f"  as rows    {size.before_bytes / count:6.1f} bytes a fix with the index")
        print(f"  compressed {size.after_bytes / count:6.1f} bytes a fix with the index (promised: under 40)")
        print(
            json.dumps(
                {"fixes": count, "row_bytes": size.before_bytes / count, "bytes": size.after_bytes / count}
            )
        )


if __name__ == "__main__":
    main()
