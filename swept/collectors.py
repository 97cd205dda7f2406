"""Collectors for Prometheus: they read what the programs count anyway, when they are asked.

Names are swept_, the part, what is counted, and its unit. Those without a part (lag, backlog) are read from store and
log, so every process says the same of them: take the greatest, not the sum.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields

import psycopg
from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest.envelope import ClockError, DistrictClock, parse_clock
from ingest.queue import BrokerQueue
from ingest.stats import Stats
from ingest.subscriber import Subscriber
from processing.service_day import US
from storage import backlog
from storage.queries.status import closed_days, positions
from streams.lag import lag
from streams.log import Log, LogUnavailable
from streams.worker import Worker
from swept.errors import UserError

_TEXTS: Mapping[str, str] = {
    "records": "Records of the log that are committed, those put off among them",
    "put_off": "Records put off to the backlog, since their reports lay far behind",
    "reports": "Reports accepted",
    "duplicates": "Reports that were there already",
    "refused": "Reports refused",
    "tracks": "Tracks matched again",
    "batches": "Transactions committed",
    "fenced": "Batches given up because another worker was faster",
    "reconnects": "Times that store or log were away",
}
STEP_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
ASK_S_MAX = 5


class IngestCollector(Collector):
    """What an ingestor counts, and what its broker tells."""

    def __init__(self, stats: Stats, subscriber: Subscriber, queue: BrokerQueue) -> None:
        self._stats = stats
        self._subscriber = subscriber
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        stats, queue = self._stats, self._queue
        for name, value, text in (
            ("received", stats.received, "Messages that the broker delivered"),
            (
                "acknowledged",
                stats.acknowledged,
                "Messages acknowledged to the broker once they were durable",
            ),
            ("redelivered", stats.stale, "Messages whose connection ended before their acknowledgement"),
            ("refused", stats.refused, "Messages that the log doesn't take as they came"),
            ("failed_appends", stats.failed_appends, "Calls to the log that failed and were tried again"),
            ("appends", stats.batches, "Appends to the log"),
            ("connections", stats.connections, "Connections to the broker since the start"),
        ):
            yield CounterMetricFamily(f"swept_ingest_{name}", text, value=value)
        for name, value, text in (
            ("in_hand", self._subscriber.waiting, "Messages that came and aren't acknowledged yet"),
            ("connected", int(self._subscriber.connected), "1 while connected to the broker"),
            ("log_full", int(stats.log_full), "1 while the log holds as much as it may"),
            ("broker_queue_bytes_max", queue.bytes_max, "What the broker may hold for one subscriber"),
        ):
            yield GaugeMetricFamily(f"swept_ingest_{name}", text, value=value)
        if queue.bytes is not None:
            yield GaugeMetricFamily(
                "swept_ingest_broker_queue_bytes", "Payload bytes that the broker holds", value=queue.bytes
            )
        if queue.dropped is not None:
            yield CounterMetricFamily(
                "swept_ingest_broker_dropped", "Messages that the broker dropped", value=queue.dropped
            )
        buckets, total_s = stats.histogram()
        yield HistogramMetricFamily(
            "swept_ingest_acknowledgement_seconds",
            "From a message's arrival to its acknowledgement",
            buckets=buckets,
            sum_value=total_s,
        )


class Steps(Collector):
    """How long each step of a worker's batches takes; give it to the worker as `on_step`."""

    def __init__(self) -> None:
        self._seconds = Histogram(
            "swept_process_step_seconds",
            "Time for a step of a batch",
            ("step",),
            buckets=STEP_S,
            registry=None,
        )
        self._last_s = 0.0

    def note(self, step: str) -> None:
        """A step is done; before `read` the worker may have waited for records, so that isn't timed."""
        now_s = time.perf_counter()
        if step != "read":
            self._seconds.labels(step).observe(now_s - self._last_s)
        self._last_s = now_s

    def collect(self) -> Iterable[Metric]:
        """The histogram."""
        return self._seconds.collect()


class WorkerCollector(Collector):
    """What a worker counts."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        counts = self._worker.counts
        for one in fields(counts):
            text = _TEXTS.get(one.name, one.name.replace("_", " "))
            yield CounterMetricFamily(f"swept_process_{one.name}", text, value=getattr(counts, one.name))
        owned = len(self._worker.partitions)
        yield GaugeMetricFamily("swept_process_partitions_owned", "Partitions processed here", value=owned)


class StoreCollector(Collector):
    """How far processing has come, from the store and a log of our own, opened when first asked."""

    def __init__(self, store_url: str, open_log: Callable[[], Log]) -> None:
        self._store_url = store_url
        self._open_log = open_log
        self._log: Log | None = None
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Let go of the log."""
        with self._one_at_a_time:
            self._forget()

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked when the collector is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All of it, or only that store or log is away."""
        found: list[Metric] = []
        with self._one_at_a_time:
            try:
                found = list(self._found())
            except (psycopg.Error, LogUnavailable, UserError):
                self._forget()
        yield GaugeMetricFamily("swept_store_up", "1 where store and log answer", value=int(bool(found)))
        yield from found

    def _forget(self) -> None:
        if self._log is not None:
            self._log.close()
        self._log = None

    def _found(self) -> Iterator[Metric]:
        log = self._log = self._log or self._open_log()
        with psycopg.connect(self._store_url, autocommit=True, connect_timeout=ASK_S_MAX) as connection:
            connection.execute(f"SET statement_timeout = '{ASK_S_MAX}s'")
            behind = lag(connection, log)
            heard_us = {p.partition: p.received_us for p in positions(connection) if p.log_id == log.log_id}
            waiting = backlog.waiting(connection, log.log_id)
            closed = closed_days(connection)
        now_us = self._now_us(log)
        records = GaugeMetricFamily(
            "swept_lag_records", "Records of the log that no committed figure has seen", labels=("partition",)
        )
        seconds = GaugeMetricFamily(
            "swept_lag_seconds",
            "While records wait: at most so long ago they were received, by the district's clock",
            labels=("partition",),
        )
        for partition, count in behind.items():
            since_us = heard_us.get(partition, 0)
            waits_s = max(0, now_us - since_us) / US if count and since_us else 0.0
            records.add_metric([str(partition)], count)
            seconds.add_metric([str(partition)], waits_s)
        yield records
        yield seconds
        old_s = max(0, now_us - waiting.since_us) / US if waiting.since_us is not None else 0.0
        for name, value, text in (
            ("backlog_records", waiting.records, "Records that were put off and wait"),
            ("backlog_reports", waiting.weight, "Reports in them, large ones counted as more"),
            ("backlog_seconds", old_s, "How long ago the oldest of them was received"),
            ("closed_days", closed, "Service days that are closed"),
        ):
            yield GaugeMetricFamily(f"swept_{name}", text, value=value)

    @staticmethod
    def _now_us(log: Log) -> int:
        clock = None
        with contextlib.suppress(ClockError):
            clock = parse_clock(log.clock())
        return (clock or DistrictClock()).now_us(time.time_ns() // 1_000)
