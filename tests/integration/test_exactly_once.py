"""Each report counts exactly once, with three ingestors and any number of workers.

Twelve machines sweep for twenty minutes, two and two on the same streets at the same time. Their reports go
over the broker and the log into the store, and what is published then must be, to the byte, what
`swept analyze` makes of a file of the same fixes, and every table what a single worker makes of it.
"""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import psycopg
import pytest

from processing.district_files import Round
from processing.fix import EQUIPMENT
from processing.pipeline import Analysis, Core, Track
from processing.sweep import Pass
from simulators.scenario import Run, load_scenario
from simulators.scenario import play as simulate
from streams import kafka_topics, kafka_url
from streams.log import Envelope, partition_of
from streams.table_log import TableLog
from streams.worker import Worker
from swept.analysis import run as analyze
from swept.analysis_files import Figures, write
from swept.fixes_file import read_fixes
from swept.kafka_server import KafkaServer
from swept.mosquitto_server import MosquittoServer
from swept.playing import district_and_plan
from swept.settings import configs_folder
from swept.versions import rule_version
from tests.chaos import tables
from tests.conftest import _database
from tests.integration.full_form import Form, play

FOLDER = configs_folder() / "zhanqian"
SHIFT_S = 1_200
PARTITIONS = 16
RATE = 150.0
PLAIN = ("lon", "lat", "speed_kmh", "heading_deg", "accuracy_m", "satellites", "seq", "historical")


@lru_cache(maxsize=1)
def core() -> Core:
    return Core(district_and_plan(FOLDER)[0])


@lru_cache(maxsize=1)
def shift() -> Run:
    """Twenty minutes; each two machines have the same round."""
    district, rounds = district_and_plan(FOLDER)
    assert rounds is not None
    scenario = load_scenario(configs_folder() / "scenarios" / "shift.toml")
    scenario = replace(scenario, shift_end_s=scenario.shift_start_s + SHIFT_S)
    pairs = [
        Round("day", unit.unit_id, scenario.shift_start_s, rounds[number // 2 * 3].street_ids)
        for number, unit in enumerate(district.units)
    ]
    return simulate(district, scenario, pairs)


@dataclass(frozen=True, slots=True)
class Expected:
    """What `swept analyze` writes of the fixes, and all tables that one worker makes of them."""

    csv: Path
    out: Path
    dumps: dict[str, tables.Dump]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, server_url: str, template: str) -> Iterator[Expected]:
    folder = tmp_path_factory.mktemp("analyze")
    _write_csv(folder / "fixes.csv", shift())
    analyze(None, folder / "fixes.csv", folder / "out", folder=FOLDER)
    with _database(server_url, template) as url:
        yield Expected(folder / "fixes.csv", folder / "out", _by_one_worker(url))


def _write_csv(path: Path, played: Run) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["unit", "time", *PLAIN, *EQUIPMENT])
        for report in played.reports:
            states = report.get("equipment", {})
            cells = [json.dumps(report[name]) if name in report else "" for name in PLAIN]
            told = [json.dumps(states[name]) if name in states else "" for name in EQUIPMENT]
            writer.writerow([report["unit"], report["time"], *cells, *told])


def _by_one_worker(store_url: str) -> dict[str, tables.Dump]:
    envelopes = [Envelope(d.unit_id, d.mqtt_topic, d.payload, d.deliver_at_us) for d in shift().deliveries]
    with closing(TableLog(store_url)) as log:
        log.append(envelopes)
        worker = Worker(store_url, log, core(), rule_version(core().rules))
        worker.drain()
        worker.close()
    with psycopg.connect(store_url, autocommit=True) as connection:
        return tables.dumps(connection)


@pytest.fixture
def form(store_url: str, mosquitto: MosquittoServer, kafka: KafkaServer) -> Form:
    log_url = f"{kafka.url}/t{uuid.uuid4().hex[:12]}?partitions={PARTITIONS}"
    kafka_topics.make(kafka_url.parse(log_url))
    return Form(mosquitto.url, store_url, log_url)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_any_number_of_workers_publishes_what_analyze_computes(
    workers: int, form: Form, expected: Expected, tmp_path: Path
) -> None:
    outcome, meeting = play(form, core(), shift().deliveries, RATE, workers)
    assert outcome.complete, outcome
    with psycopg.connect(form.store_url, autocommit=True) as connection:
        _compare_files(connection, expected, tmp_path / "out")
        for table, dump in tables.dumps(connection).items():
            assert dump == expected.dumps[table], f"{table}: {dump.difference(expected.dumps[table])}"
            assert dump.lines or table in {"dead_letter", "equipment_interval"}
        shared = _swept_together(tables.passes(connection))
    print(f"{workers} workers: {meeting.pairs} times two at once; streets of two workers' units: {shared}")
    assert shared
    assert workers == 1 or meeting.pairs > 0


def _compare_files(connection: psycopg.Connection, expected: Expected, out: Path) -> None:
    """The stored figures, written as `swept analyze` writes its own."""
    known = {unit.unit_id: unit for unit in core().district.units}
    read = read_fixes(expected.csv, core().district.district_id, core().rules, known, lambda _: None)
    rows = connection.execute("SELECT unit_id, start_us, end_us, fixes, digest FROM track ORDER BY 1, 2")
    tracks = tuple(
        Track(unit_id, start_us, end_us, fixes, bytes(digest), None)
        for unit_id, start_us, end_us, fixes, digest in rows
    )
    stored = Analysis(
        tracks=tracks,
        passes=tuple(tables.passes(connection)),
        street_days=tuple(tables.street_days(connection)),
        conflicts=(),
        duplicates=0,
    )
    write(out, Figures(core(), read, stored, planned=True), 0.0)
    for name in ("frequency.csv", "passes.csv"):
        assert (out / name).read_bytes() == (expected.out / name).read_bytes(), name
        assert len((out / name).read_bytes().splitlines()) > 20


def _swept_together(passes: list[Pass]) -> list[str]:
    """Streets on which two units of different partitions were at one time."""
    return sorted(
        {
            one.street_id
            for one, other in combinations(passes, 2)
            if one.street_id == other.street_id
            and one.enter_us < other.leave_us
            and other.enter_us < one.leave_us
            and partition_of(one.unit_id, PARTITIONS) != partition_of(other.unit_id, PARTITIONS)
        }
    )
