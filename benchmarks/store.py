"""A year of the district in an embedded store: how fast it is written, how fast it answers, how large it is.

    python benchmarks/store.py [--days 365] [--folder FOLDER]

A week of simulated shifts goes the way of everything: into the log, through the worker, its records into packs.
The rest of the year is that week again and again, moved in time, the fixes a little changed so that sizes are
honest. The last line is JSON. FOLDER keeps the store (about 5 GB for a year); without it the store goes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import reduce
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psycopg
from rich.console import Console
from rich.table import Table

from swept.kernel_cache import use_own_cache

use_own_cache()

from processing.batch import Batch
from processing.district import District
from processing.district_files import Round
from processing.fix import ReportColumns
from processing.pipeline import Core
from processing.service_day import US, day_start_us
from simulators.channel import Delivery
from simulators.scenario import load_scenario, play
from storage import fixes, reader
from storage.copy_binary import Column
from storage.migrate import migrate
from storage.queries.cleanings import cleanings
from storage.queries.figures import figures
from storage.queries.unit_track import unit_track
from storage.versions import Versions
from streams import packing
from streams.cores import Cores, Dated
from streams.log import Envelope
from streams.table_log import TableLog
from streams.ticks import ticks
from streams.worker import Bounds, Worker
from swept.district import keep, read_folder
from swept.embedded_postgres import EmbeddedPostgres
from swept.kernels import warm
from swept.playing import district_and_plan
from swept.progress import progress
from swept.settings import configs_folder
from swept.versions import rule_version

DAY_US = 86_400 * US
WEEK = 7
#: Live batches of so many records, and how many of each are timed.
BATCHES = {1: 100, 12: 100, 100: 60, 500: 15, 2_000: 8}
REPEATS = 21
#: Tables that are the same week after week, moved in time.
MOVED = ("track", "pass", "street_day", "unit_day", "unit_hour", "equipment_interval", "closed_day")


@dataclass(slots=True)
class Found:
    """What was measured."""

    figures: dict[str, float] = field(default_factory=dict)
    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, name: str, value: float, text: str, what: str, aim: str = "") -> None:
        """One figure: its name in the JSON, and a line of the table."""
        self.figures[name] = round(value, 3)
        self.lines.append((what, text, aim))


@dataclass(frozen=True, slots=True)
class Year:
    """What is loaded: the district, the plan of its rounds, and the service days."""

    district: District
    rounds: tuple[Round, ...] | None
    first: date
    days: int

    @property
    def last(self) -> date:
        """The last service day."""
        return self.first + timedelta(days=self.days - 1)

    def start_us(self, day: int) -> int:
        """The instant at which the `day`-th service day begins."""
        rules = self.district.rules
        return day_start_us(self.first + timedelta(days=day), rules.day_start_s, rules.timezone)

    def deliveries(self, day: int) -> tuple[Delivery, ...]:
        """What a day's simulated shift sends, each day another one."""
        scenario = load_scenario(configs_folder() / "scenarios" / "shift.toml")
        scenario = replace(scenario, seed=day + 1, date=self.first + timedelta(days=day))
        return play(self.district, scenario, self.rounds).deliveries


def main() -> None:
    """Load and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=int, default=365, help="service days, at least 7 (default 365)")
    parser.add_argument("--folder", type=Path, help="an empty or new folder in which the store is kept")
    options = parser.parse_args()
    if options.days < WEEK:
        sys.exit("a week is the least: give --days 7 or more")
    found = Found()
    with server(options.folder) as url:
        district, rounds = district_and_plan(configs_folder() / "zhanqian")
        year = Year(district, rounds, date(2026, 1, 1), options.days)
        with psycopg.connect(url, autocommit=True) as connection:
            migrate(connection)
            week(url, connection, year, found)
            write_year(connection, year, found)
            questions(connection, year, found)
            sizes(connection, found)
    table = Table(
        "", "measured", "aim", title=f"{options.days} days of {district.name}", title_justify="left"
    )
    for line in found.lines:
        table.add_row(*line)
    Console(width=100).print(table)
    print(json.dumps({"days": options.days, **found.figures}))


@contextlib.contextmanager
def server(folder: Path | None) -> Iterator[str]:
    """An embedded store of this benchmark's own."""
    if folder is not None and folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} isn't empty; name a new folder")
    place = folder or Path(tempfile.mkdtemp(prefix="swept-benchmark-"))
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o711)
    postgres = EmbeddedPostgres(place / "postgres")
    try:
        yield postgres.start()
    finally:
        if folder is None:
            postgres.destroy()
            place.rmdir()
        else:
            postgres.stop()


def week(url: str, connection: psycopg.Connection[Any], year: Year, found: Found) -> None:
    """A week through log and worker, the second half of its last day in live batches; then packed."""
    version = keep(connection, year.district, read_folder(configs_folder() / "zhanqian")).version
    rules = rule_version(year.district.rules)
    core = Core(year.district)
    warm(core)
    dated = Dated(core, Versions(rules, year.district.map_version), version)
    steps = Steps()
    with contextlib.closing(TableLog(url)) as log:
        worker = Worker(
            url, log, core, rules, cores=Cores(dated, rule_version), bounds=Bounds(), on_step=steps.note
        )
        seconds = records = 0.0
        with progress("a week through log and worker", total=WEEK) as advance:
            for day in range(WEEK):
                deliveries = year.deliveries(day)
                cut = len(deliveries) // 2 if day == WEEK - 1 else len(deliveries)
                append(log, deliveries[:cut])
                begun = time.perf_counter()
                records += worker.drain()
                seconds += time.perf_counter() - begun
                if day == WEEK - 1:
                    append(log, live(worker, log, deliveries[cut:], steps, found))
                log.append(
                    ticks(year.district.district_id, log.partitions, year.start_us(day + 1) + DAY_US // 2)
                )
                worker.drain()
                advance(day + 1)
        worker.close()
        found.add(
            "worker_records_per_s",
            records / seconds,
            f"{records / seconds:,.0f} /s",
            "records through the worker",
        )
        pack(connection, log, found)


def append(log: TableLog, deliveries: Sequence[Delivery]) -> None:
    """Append messages as ingest does, received when they were delivered."""
    for start in range(0, len(deliveries), 5_000):
        log.append(
            [
                Envelope(d.unit_id, d.mqtt_topic, d.payload, d.deliver_at_us)
                for d in deliveries[start : start + 5_000]
            ]
        )


class Steps:
    """How long each step of the worker takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = time.perf_counter()

    def begin(self) -> None:
        """A batch begins."""
        self._last = time.perf_counter()

    def note(self, step: str) -> None:
        """A step is done."""
        now = time.perf_counter()
        self.seconds[step] += now - self._last
        self._last = now


def live(
    worker: Worker, log: TableLog, deliveries: Sequence[Delivery], steps: Steps, found: Found
) -> Sequence[Delivery]:
    """Time batches as they come in live, from reading them to their commit; gives what is left over."""
    seconds: dict[int, list[float]] = defaultdict(list)
    at = 0
    steps.seconds.clear()
    for size, repeats in BATCHES.items():
        for _ in range(repeats):
            if at + size > len(deliveries):
                break
            append(log, deliveries[at : at + size])
            at += size
            left = size
            steps.begin()
            begun = time.perf_counter()
            while left > 0:
                left -= worker.step()
            seconds[size].append(time.perf_counter() - begun)
    for size, times in seconds.items():
        half, most = 1e3 * median(times), 1e3 * float(np.percentile(times, 99))
        found.add(
            f"live_{size}_p50_ms",
            half,
            f"{half:.1f} ms, p99 {most:.1f} ms",
            f"live batch of {size:,}",
            "200 ms",
        )
        found.figures[f"live_{size}_p99_ms"] = round(most, 3)
    total = sum(steps.seconds.values())
    shares = sorted(steps.seconds.items(), key=lambda item: -item[1])[:4]
    text = ", ".join(f"{name} {100 * spent / total:.0f} %" for name, spent in shares)
    found.lines.append(("  of that", text, ""))
    return deliveries[at:]


def pack(connection: psycopg.Connection[Any], log: TableLog, found: Found) -> None:
    """Pack the week's records."""
    begun = time.perf_counter()
    moved = 0
    with progress("packing", total=sum(log.ends().values())) as advance:
        while count := packing.due(connection, log, range(log.partitions)):
            moved += count
            advance(moved)
    seconds = time.perf_counter() - begun
    packed, plain = one(
        connection,
        "SELECT sum(octet_length(pack) + 60), sum(payload_bytes) FROM raw_pack",
    )
    count = one(connection, "SELECT count(*) FROM fix WHERE kind = 0")[0]
    each = float(packed) / count
    found.add(
        "packed_bytes_per_fix", each, f"{each:.1f} bytes", "original bytes of a fix, packed", "40 bytes"
    )
    found.add(
        "payload_bytes_per_fix",
        float(plain) / count,
        f"{float(plain) / count:.0f} bytes",
        "  the payloads themselves",
    )
    found.add("packed_records_per_s", moved / seconds, f"{moved / seconds:,.0f} /s", "records packed")


def write_year(connection: psycopg.Connection[Any], year: Year, found: Found) -> None:
    """The week again and again, moved in time: fixes in bulk, all else as it is."""
    units = [unit.unit_id for unit in year.district.units]
    days = [
        dict(
            zip(
                units,
                reader.reports(
                    connection,
                    [reader.Window(unit, year.start_us(day), year.start_us(day + 1)) for unit in units],
                ),
                strict=True,
            )
        )
        for day in range(WEEK)
    ]
    random = np.random.default_rng(1)
    seconds, written = [], 0
    with progress("writing the year", total=year.days - WEEK) as advance:
        for day in range(WEEK, year.days):
            columns = moved_fixes(days[day % WEEK], (day // WEEK) * WEEK * DAY_US, written, random)
            begun = time.perf_counter()
            count = fixes.merge(connection, "year", columns)
            seconds.append((time.perf_counter() - begun) / count)
            written += count
            advance(day - WEEK + 1)
    for table in MOVED:
        move(connection, table, year)
    connection.execute("VACUUM ANALYZE")
    if seconds:
        rate = 1 / (sum(seconds) / len(seconds))
        slow = 1 / float(np.percentile(seconds, 95))
        text = f"{rate:,.0f} /s, 95 % of days above {slow:,.0f}"
        found.add("fixes_written_per_s", rate, text, "fixes written in bulk, deduplicated", "100,000 /s")


def moved_fixes(
    day: dict[str, ReportColumns], by_us: int, offset: int, random: np.random.Generator
) -> dict[str, Column]:
    """A day of all units at another time, places and speeds a little changed."""
    units = tuple(sorted(day))
    reports = reduce(ReportColumns.joined, (day[unit] for unit in units))
    rows = len(reports)
    moved = replace(
        reports,
        fix_time_us=reports.fix_time_us + by_us,
        lon=reports.lon + np.rint(random.normal(0, 5, rows)) / 1e7,
        lat=reports.lat + np.rint(random.normal(0, 5, rows)) / 1e7,
        speed_kmh=np.maximum(0.0, reports.speed_kmh + np.rint(random.normal(0, 1, rows)) / 10),
    )
    batch = Batch(
        units,
        np.repeat(np.arange(len(units)), [len(day[unit]) for unit in units]),
        moved,
        received_us=moved.fix_time_us + random.exponential(0.5 * US, rows).astype(np.int64),
        satellites=random.integers(8, 19, rows).astype(np.float64),
        seq=np.arange(rows),
        numbered=np.ones(rows, dtype=bool),
        historical=np.zeros(rows, dtype=bool),
        extra=np.full(rows, None, dtype=object),
        message=np.arange(rows),
        element=np.zeros(rows, dtype=np.int64),
    )
    return fixes.columns_of(
        batch, np.column_stack([np.zeros(rows, dtype=np.int64), offset + np.arange(rows)])
    )


def move(connection: psycopg.Connection[Any], table: str, year: Year) -> None:
    """Rows of the week in all weeks that follow: days and instants move, all else stays."""
    names = connection.execute(
        """SELECT column_name, data_type FROM information_schema.columns
           WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position""",
        (table,),
    ).fetchall()
    values = [moved_value(name, kind) for name, kind in names]
    day = "service_day + 7 * week" if ("service_day", "date") in names else None
    until = (
        f"{day} <= '{year.last}'"
        if day
        else f"start_us + week * {WEEK * DAY_US} < {year.start_us(year.days)}"
    )
    weeks = math.ceil(year.days / WEEK) - 1
    query = f"""INSERT INTO {table} ({", ".join(name for name, _ in names)})
                SELECT {", ".join(values)} FROM {table}, generate_series(1, {weeks}) AS week
                WHERE {until}"""  # noqa: S608 - all our own
    connection.execute(query.encode())


def moved_value(name: str, kind: str) -> str:
    """The SQL of a column's value some weeks later."""
    by_us = f"week * {WEEK * DAY_US}"
    if kind == "date":
        return f"{name} + {WEEK} * week"
    if not name.endswith("_us"):
        return name
    if kind == "ARRAY":
        return f"ARRAY(SELECT moment + {by_us} FROM unnest({name}) AS moment)"  # noqa: S608 - our own
    return f"{name} + {by_us}"


def questions(connection: psycopg.Connection[Any], year: Year, found: Found) -> None:
    """The questions of an auditor, each asked again and again of other streets, units and days."""
    district_id = year.district.district_id
    streets = [street.street_id for street in year.district.streets]
    units = [unit.unit_id for unit in year.district.units]
    random = np.random.default_rng(2)

    def every_street() -> int:
        return len(figures(connection, year.first, year.last, "period", "street", district_id=district_id))

    def one_street() -> int:
        street_id = str(random.choice(streets))
        return len(cleanings(connection, street_id, year.first, year.last, district_id=district_id))

    def track() -> int:
        day = int(random.integers(year.days))
        unit_id = str(random.choice(units))
        return len(unit_track(connection, unit_id, year.start_us(day), year.start_us(day + 1), 100_000))

    asked: dict[str, tuple[Callable[[], int], str, str]] = {
        "every_street_ms": (every_street, "frequency of every street over the year", "100 ms"),
        "one_street_ms": (one_street, "one street's cleanings with times", "20 ms"),
        "unit_track_ms": (track, "a unit's track of one day", "150 ms"),
    }
    for name, (question, what, aim) in asked.items():
        times, rows = [], []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            rows.append(question())
            times.append(1e3 * (time.perf_counter() - begun))
        half, most = median(times), max(times)
        text = f"{half:.1f} ms, at most {most:.1f} ms, {round(median(rows)):,} rows"
        found.add(name, half, text, what, aim)


def sizes(connection: psycopg.Connection[Any], found: Found) -> None:
    """Bytes a fix, and how large all is."""
    rows, heap, index = one(
        connection, "SELECT count(*), pg_relation_size('fix'), pg_indexes_size('fix') FROM fix"
    )
    found.add("fixes", rows, f"{rows:,}", "fixes")
    found.add(
        "heap_bytes_per_fix", heap / rows, f"{heap / rows:.1f} bytes", "a fix in its table (PostgreSQL)"
    )
    found.add("index_bytes_per_fix", index / rows, f"{index / rows:.1f} bytes", "  and in its index")
    for table in ("pass", "street_day"):
        count, total = one(connection, f"SELECT count(*), pg_total_relation_size('{table}') FROM {table}")  # noqa: S608
        found.add(f"{table}_rows", count, f"{count:,}, {total / 1e6:,.0f} MB", f"rows of {table}")
    whole = one(connection, "SELECT pg_database_size(current_database())")[0]
    found.add("store_gb", whole / 1e9, f"{whole / 1e9:.2f} GB", "the whole store")


def one(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    """The only row of an answer."""
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return tuple(row)


if __name__ == "__main__":
    main()
