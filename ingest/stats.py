"""What ingest counts, and how long messages wait for their acknowledgement."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

BUCKETS_PER_DECADE = 50
"""Latencies are kept as counts in buckets 4.7 % wide: bounded, however many messages come."""


@dataclass(slots=True)
class Stats:
    """Counters since the start; safe to use from the network thread and the bridge's."""

    received: int = 0
    acknowledged: int = 0
    stale: int = 0
    batches: int = 0
    payload_bytes: int = 0
    failed_appends: int = 0
    refused: int = 0
    bad_topics: int = 0
    bad_clocks: int = 0
    connections: int = 0
    log_full: bool = False
    started_s: float = field(default_factory=time.monotonic)
    _latencies: dict[int, int] = field(default_factory=dict)
    _latencies_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def latencies(self, arrived_s: list[float], now_s: float) -> None:
        """Count messages that arrived at these moments and are acknowledged now (monotonic seconds)."""
        with self._lock:
            self._latencies_s += now_s * len(arrived_s) - sum(arrived_s)
            for moment_s in arrived_s:
                bucket = math.floor(BUCKETS_PER_DECADE * math.log10(max(now_s - moment_s, 1e-6)))
                self._latencies[bucket] = self._latencies.get(bucket, 0) + 1

    def histogram(self) -> tuple[list[tuple[str, float]], float]:
        """How many messages took at most so many seconds to their acknowledgement, and the sum of seconds.

        Five bounds a decade, from 1 ms to 100 s, as text; all bounds are edges of our buckets.
        """
        with self._lock:
            counts, total_s = sorted(self._latencies.items()), self._latencies_s
        edges = range(-3 * BUCKETS_PER_DECADE, 2 * BUCKETS_PER_DECADE + 1, BUCKETS_PER_DECADE // 5)
        told = [
            (
                f"{10 ** (edge / BUCKETS_PER_DECADE):.4g}",
                float(sum(n for bucket, n in counts if bucket < edge)),
            )
            for edge in edges
        ]
        return [*told, ("+Inf", float(sum(n for _, n in counts)))], total_s

    def quantile_ms(self, share: float) -> float:
        """Milliseconds from arrival to acknowledgement that this share of messages didn't exceed."""
        with self._lock:
            counts = sorted(self._latencies.items())
        left = share * sum(count for _, count in counts)
        for bucket, count in counts:
            left -= count
            if left <= 0:
                return float(1000 * 10 ** ((bucket + 1) / BUCKETS_PER_DECADE))
        return math.nan

    def line(self, waiting: int) -> str:
        """One line for a person; `waiting` messages have arrived and are not acknowledged."""
        seconds = max(time.monotonic() - self.started_s, 1e-9)
        return (
            f"ingest: {self.acknowledged} acknowledged, {self.acknowledged / seconds:.0f}/s in {seconds:.0f} s, "
            f"lag {waiting}, to acknowledgement p50 {self.quantile_ms(0.5):.1f} ms "
            f"p99 {self.quantile_ms(0.99):.1f} ms, {self.batches} appends ({self.failed_appends} failed), "
            f"{self.stale} to be redelivered, {self.refused} refused by the log, {self.bad_topics} bad topics, {self.bad_clocks} bad clocks, "
            f"{self.connections} connections"
        )
