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

import psycopg

from benchmarks.store import Year
from processing.decode import Directory, decode
from processing.fix import Report
from storage import fixes, timescale
from storage.migrate import migrate
from storage.place import Place
from swept.playing import district_and_plan
from swept.settings import configs_folder
from tests.timescale.wasm import wasm_server

DAYS = 7


def reports(year: Year, directory: Directory, day: int) -> list[tuple[Report, Place]]:
    """What the units send on a day, each report once, with its place in the log."""
    found: dict[tuple[str, int, int], tuple[Report, Place]] = {}
    for offset, one in enumerate(year.deliveries(day)):
        decoded = decode(one.mqtt_topic, one.payload, one.deliver_at_us, directory)
        for element, report in enumerate(decoded.reports):
            place = Place("week", 0, day * 100_000 + offset, element)
            found.setdefault((report.unit_id, int(report.kind), report.fix_time_us), (report, place))
    return list(found.values())


def main() -> None:
    """Write the week, compress it, print what it takes."""
    with ExitStack() as stack:
        url = os.environ.get("SWEPT_TEST_TIMESCALE_URL") or stack.enter_context(wasm_server())
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        migrate(connection)
        district, rounds = district_and_plan(configs_folder() / "zhanqian")
        year = Year(district, rounds, date(2026, 1, 1), DAYS)
        directory = Directory.of(district)
        count, wrote_s = 0, 0.0
        for day in range(DAYS):
            rows = reports(year, directory, day)
            begun = perf_counter()
            with connection.transaction():
                fixes.write(connection, rows)
            wrote_s += perf_counter() - begun
            count += len(rows)
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
