"""Kills the processes of a demo with SIGKILL, at moments drawn from a seed, and says what each kill hit.

A kill counts as one of work in flight by what is measured in the milliseconds before it: of the worker and
the database, records in the log that no figure has seen, or a transaction that is open; of ingest and the
broker, reports that a device has sent and nobody has told it are durable.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg

from processing.service_day import from_us
from swept.demo_run import Onlooker, Playing
from swept.memory import family

VICTIMS = ("worker", "ingest", "broker", "store")
#: Kills beyond those of `VICTIMS`: the API holds nothing, and is not asked what it had in flight.
BYSTANDER = "api"
PAUSE_S = (0.3, 6.5)
BACK_S_MAX = 60.0
POLL_S = 0.02
LOCAL = timezone(timedelta(hours=8))

IN_FLIGHT = """
    SELECT (SELECT sum(next_offset) FROM log_partition)::bigint,
           (SELECT coalesce(sum(next_offset), 0) FROM checkpoint)::bigint,
           count(*) FILTER (WHERE application_name = 'swept worker'),
           count(*)
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Flight:
    """What was under way: reports not acknowledged, records not in a figure, and open transactions."""

    unacknowledged: int
    committed: int
    lag: int
    worker_transactions: int
    transactions: int

    def of(self, victim: str) -> bool:
        """Whether a kill of this process hits some of it."""
        return {
            "worker": self.lag > 0 or self.worker_transactions > 0,
            "store": self.lag > 0 or self.transactions > 0,
            "ingest": self.unacknowledged > 0,
            "broker": self.unacknowledged > 0,
        }.get(victim, False)

    def __str__(self) -> str:
        return (
            f"{self.unacknowledged} messages not acknowledged, {self.lag} records not in a figure, "
            f"{self.transactions} transactions open, {self.worker_transactions} of them the worker's"
        )


class Killer(Onlooker):
    """Kills `kills` times beside a demo; each victim as often as any other, in a random order."""

    def __init__(self, seed: int, kills: int, bystanders: int, say: Callable[[str], None]) -> None:
        self.hits: list[bool] = []
        self.faults: list[str] = []
        self._chance = random.Random(seed)
        self._say = say
        self._stopped = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)] + [BYSTANDER] * bystanders
        self._chance.shuffle(self._victims)

    @contextlib.contextmanager
    def playing(self, demo: Playing) -> Iterator[None]:
        """Kill meanwhile; what goes wrong is raised at the end."""
        failed: list[BaseException] = []

        def kill_all() -> None:
            try:
                self._wait(lambda: _acknowledged(demo) > 0)
                for victim in self._victims:
                    self._stopped.wait(self._chance.uniform(*PAUSE_S))
                    self._kill(demo, victim)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failed.append(error)

        thread = threading.Thread(target=kill_all, name="killer", daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            self._stopped.set()
            raise
        finally:
            thread.join()
            if self._connection is not None:
                self._connection.close()
        if failed:
            raise failed[0]

    def _kill(self, demo: Playing, victim: str) -> None:
        pid = demo.supervisor.pids[victim]
        # All processes of the database, as a power cut would: the backends of a killed postmaster go on.
        pids = family(pid) if victim == "store" else [pid]
        flight = self._flight(demo)
        killed_s, killed_us = time.monotonic(), demo.clock.now_us()
        for one in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        back = self._back(demo, victim, pid, flight)
        self._tell(
            victim, pid, from_us(killed_us), flight, f"{back} after {time.monotonic() - killed_s:.1f} s"
        )

    def _tell(self, victim: str, pid: int, when: datetime, flight: Flight, back: str) -> None:
        if victim == BYSTANDER:
            name, hit = "besides", "not counted"
        else:
            self.hits.append(flight.of(victim))
            name, hit = f"kill {len(self.hits):2}", "hit" if flight.of(victim) else "nothing in flight"
        clock = when.astimezone(LOCAL).strftime("%H:%M:%S")
        self._say(f"{name}: {victim:6} pid {pid:7} at {clock} ({hit}): {flight}; {back}")

    def _back(self, demo: Playing, victim: str, pid: int, before: Flight) -> str:
        """Wait until the line goes on where it was hit; what that showed by."""
        self._wait(lambda: demo.supervisor.pids.get(victim, pid) != pid)
        if victim == BYSTANDER:
            self._wait(lambda: _status(demo) == 200)
            return "answers"
        if victim in {"ingest", "broker"}:
            acknowledged = _acknowledged(demo)
            self._wait(lambda: _acknowledged(demo) > acknowledged or not _waiting(demo))
            return "acknowledges"
        committed = max(before.committed, self._flight(demo).committed)
        if victim == "store" and (status := _status(demo)) != 200:
            self.faults.append(f"the API answered {status} although the store was back")
        self._wait(lambda: (now := self._flight(demo)).committed > committed or now.lag == 0)
        return "commits"

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + BACK_S_MAX
        while not condition():
            assert not self._stopped.is_set(), "the demo ended before"
            assert time.monotonic() < deadline, "the line doesn't go on"
            time.sleep(POLL_S)

    def _flight(self, demo: Playing) -> Flight:
        """What is in flight now; waits while the store is down."""
        deadline = time.monotonic() + BACK_S_MAX
        while True:
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(demo.store_url, autocommit=True, connect_timeout=5)
                row = self._connection.execute(IN_FLIGHT).fetchone()
                assert row is not None
                ended, committed, of_worker, transactions = row
                return Flight(_waiting(demo), committed, ended - committed, of_worker, transactions)
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "the store doesn't come back"
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                time.sleep(POLL_S)


def _acknowledged(demo: Playing) -> int:
    return sum(device.outbox.acknowledged for device in demo.fleet.devices.values())


def _waiting(demo: Playing) -> int:
    """Reports that were sent at least once and that their device hasn't been told are durable."""
    sent = sum(device.outbox.sent for device in demo.fleet.devices.values())
    return max(0, sent - _acknowledged(demo))


def _status(demo: Playing) -> int:
    """What the API answers to a question for the lag; 0 where it doesn't."""
    try:
        with urllib.request.urlopen(f"{demo.api_url}/api/v1/status", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0
