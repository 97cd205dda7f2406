"""What the commands export: over HTTP, with the names that alerts and documents use."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from ingest.bridge import session
from ingest.queue import BYTES, DROPPED, BrokerQueue
from ingest.stats import Stats
from ingest.subscriber import Subscriber
from processing.pipeline import Core
from streams.kafka_log import KafkaLog
from streams.table_log import TableLog
from streams.ticks import ticks
from streams.worker import Worker
from swept.collectors import IngestCollector, Steps, StoreCollector, WorkerCollector
from swept.errors import UserError
from swept.metrics import exported
from tests.integration.small_world import ROUND_M, START_US, close_logs, district, drive, log_of, message

ROOT = Path(__file__).parents[2]
HOUR_US = 3_600_000_000


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    close_logs()


def scraped(text: str) -> dict[str, Metric]:
    """The families of what was printed as an answer's place."""
    place = re.search(r"http://\S+/metrics", text)
    assert place is not None
    with urllib.request.urlopen(place[0], timeout=30) as answer:
        return {one.name: one for one in text_string_to_metric_families(answer.read().decode())}


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    for family in families.values():
        for one in family.samples:
            if one.name == name and one.labels == labels:
                return one.value
    raise KeyError(name)


def test_a_worker_tells_what_it_did_how_long_it_took_and_what_is_left(
    store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fixes = drive(START_US, ROUND_M)
    log = log_of(store_url, [message("u1", fixes, START_US + 2 * HOUR_US)])
    steps = Steps()
    worker = Worker(store_url, log, Core(district()), "rules-1", on_step=steps.note)
    worker.drain()
    log.append([message("u2", fixes, START_US + 2 * HOUR_US), *ticks("test", 2, START_US + 3 * HOUR_US)])
    with (
        closing(StoreCollector(store_url, lambda: TableLog(store_url))) as store,
        exported("process", "127.0.0.1", 0, steps, WorkerCollector(worker), store),
    ):
        told = scraped(capsys.readouterr().out)
        assert value(told, "swept_process_records_total") == 1
        assert value(told, "swept_process_reports_total") == len(fixes)
        assert value(told, "swept_process_partitions_owned") == 2
        assert value(told, "swept_process_step_seconds_count", step="commit") == 1
        assert value(told, "swept_store_up") == 1
        assert sum(value(told, "swept_lag_records", partition=one) for one in "01") == 3
        assert max(value(told, "swept_lag_seconds", partition=one) for one in "01") > 0
        worker.drain()
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute("INSERT INTO closed_day VALUES ('2024-05-01', 1)")
    with exported("process", "127.0.0.1", 0, store):
        told = scraped(capsys.readouterr().out)
        assert [value(told, "swept_lag_seconds", partition=one) for one in "01"] == [0, 0]
        assert value(told, "swept_backlog_records") == 0
        assert value(told, "swept_closed_days") == 1
    store.close()
    worker.close()


def test_the_lag_of_a_kafka_log_is_told(
    store_url: str, kafka_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fixes = drive(START_US, ROUND_M)
    with (
        closing(KafkaLog(kafka_url)) as log,
        closing(StoreCollector(store_url, lambda: KafkaLog(kafka_url))) as store,
        exported("process", "127.0.0.1", 0, store),
    ):
        log.append([message(unit, fixes, START_US + 2 * HOUR_US) for unit in ("u1", "u2")])
        printed = capsys.readouterr().out
        told = scraped(printed)
        assert sum(value(told, "swept_lag_records", partition=str(n)) for n in range(log.partitions)) == 2
        worker = Worker(store_url, log, Core(district()), "rules-1")
        worker.drain()
        worker.close()
        told = scraped(printed)
        assert sum(value(told, "swept_lag_records", partition=str(n)) for n in range(log.partitions)) == 0


def test_a_store_that_is_away_is_told_and_does_not_silence_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = "postgresql://127.0.0.1:1/none"
    steps = Steps()
    steps.note("decode")
    with exported("process", "127.0.0.1", 0, steps, StoreCollector(away, lambda: TableLog(away))):
        told = scraped(capsys.readouterr().out)
    assert value(told, "swept_store_up") == 0
    assert value(told, "swept_process_step_seconds_count", step="decode") == 1


def test_how_long_messages_wait_is_a_histogram(capsys: pytest.CaptureFixture[str]) -> None:
    stats = Stats()
    stats.latencies([10.0 - seconds for seconds in (0.0005, 0.002, 0.002, 0.05, 3.0, 9.5)], 10.0)
    stats.latencies([-490.0], 10.0)
    with exported("ingest", "127.0.0.1", 0, _of(stats)):
        told = scraped(capsys.readouterr().out)
    bound = "swept_ingest_acknowledgement_seconds"
    assert value(told, f"{bound}_bucket", le="0.001") == 1
    assert value(told, f"{bound}_bucket", le="0.1") == 4
    assert value(told, f"{bound}_bucket", le="100") == 6
    assert value(told, f"{bound}_count") == 7
    assert value(told, f"{bound}_sum") == pytest.approx(512.5545)


def test_a_port_that_is_in_use_is_the_users_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(UserError, match="choose another --metrics-port"),
            exported("ingest", "127.0.0.1", port),
        ):
            pass
    with (
        pytest.raises(UserError, match=r"can't be exported on no-such-host\.invalid:1"),
        exported("ingest", "no-such-host.invalid", 1),
    ):
        pass


def test_without_a_port_nothing_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with exported("ingest", "127.0.0.1", None):
        pass
    assert capsys.readouterr().out == ""


def _of(stats: Stats) -> IngestCollector:
    queue = BrokerQueue()
    queue.hear(BYTES, b"1")
    queue.hear(DROPPED, b"1")
    wanted = session("mqtt://127.0.0.1:1", "d", "c", None, 1)
    subscriber = Subscriber(wanted, stats)
    subscriber.stop()
    return IngestCollector(stats, subscriber, queue)


@pytest.fixture
def names(store_url: str) -> set[str]:
    """The names of all that can be exported."""
    log = log_of(store_url, [])
    steps = Steps()
    steps.note("decode")
    worker = Worker(store_url, log, Core(district()), "rules-1")
    with closing(StoreCollector(store_url, lambda: TableLog(store_url))) as store:
        collectors = (_of(Stats()), steps, WorkerCollector(worker), store)
        return {s.name for one in collectors for metric in one.collect() for s in metric.samples}


ALERT = re.compile(
    r"      - alert: (?P<name>Swept[A-Za-z]+)\n"
    r"        expr: (?P<expr>.+)\n"
    r"        for: (?P<for>\d+[smh])\n"
    r"        labels:\n          severity: (?:page|ticket)\n"
    r"        annotations:\n          summary: .+\n          description: .+\n"
)


def test_alerts_ask_for_what_is_exported_and_the_operators_guide_says_what_to_do(names: set[str]) -> None:
    rules = (ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")
    guide = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    alerts = list(ALERT.finditer(rules))
    assert len(alerts) == rules.count("alert:") > 5
    for alert in alerts:
        asked = set(re.findall(r"swept_\w+", alert["expr"]))
        assert asked, alert["name"]
        assert asked <= names
        assert alert["expr"].count("(") == alert["expr"].count(")")
        assert f"### {alert['name']}\n" in guide
    assert set(re.findall(r"`(swept_\w+)`", guide)) <= names


def test_names_are_of_one_kind(names: set[str]) -> None:
    assert all(re.fullmatch(r"swept_[a-z_]+", name) for name in names)
    assert not any(re.search(r"_(ms|us|kb|mb|minutes|percent)(_|$)", name) for name in names)
