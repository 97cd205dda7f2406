"""Faults, one after the other, beside a shift that is played: which, when, what each hit, and how fast it went on."""

from __future__ import annotations

import contextlib
import random
import re
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from simulators.channel import Delivery
from simulators.fleet import DistrictClock, Fleet
from tests.chaos.faults import Fault, catalogue, wait_for
from tests.chaos.line import Line

PAUSE_S = (0.3, 2.0)
GIVEN_UP_S = 60.0
#: What is delivered so long after the last fault still goes out.
AFTER_S = 3.0

UNDER_WAY = """
    SELECT count(*), coalesce(string_agg(query, chr(1) ORDER BY pid) FILTER (
               WHERE application_name = 'swept worker'), '')
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
      AND backend_type = 'client backend'
"""
STEPS = (
    ("fence", r"FROM checkpoint\b.*FOR UPDATE"),
    ("reports", r"\b(fix|dead_letter|unit_online|backlog|fix_time_us)\b"),
    ("tracks", r"\b(track|pass)\b"),
    ("unit_days", r"\b(unit_day|unit_hour|equipment_interval)\b"),
    ("figures", r"\b(street_day|advisory)"),
    ("checkpoint", r"\b(chain|checkpoint|pg_notify)"),
    ("commit", r"^\s*COMMIT"),
)


@dataclass(frozen=True, slots=True)
class Flight:
    """What was under way when a fault began; a part is None where its server is down."""

    unacknowledged: int
    lag: int | None
    transactions: int | None
    steps: tuple[str, ...]

    @property
    def is_any(self) -> bool:
        """Whether the fault hit any of it."""
        return bool(self.unacknowledged or self.lag or self.transactions)

    def __str__(self) -> str:
        lag = "unknown" if self.lag is None else f"{self.lag}"
        steps = f" (workers: {', '.join(self.steps)})" if self.steps else ""
        return (
            f"{self.unacknowledged} messages not acknowledged, {lag} records not in a figure, "
            f"{self.transactions} transactions{steps}"
        )


@dataclass(frozen=True, slots=True)
class Told:
    """A fault that was: what it hit, and seconds from its end until newer work is in the figures, and all older."""

    name: str
    flight: Flight
    recovery_s: float


class Run:
    """`faults` faults of a seed beside a fleet; each kind once before any comes again."""

    def __init__(self, seed: int, faults: int, line: Line, say: Callable[[str], None], only: str) -> None:
        self.told: list[Told] = []
        self._line, self._say = line, say
        self._chance = random.Random(seed)
        self._chosen: list[Fault] = []
        kinds = [kind for kind in catalogue() if only in kind.name]
        while len(self._chosen) < faults:
            self._chosen += self._chance.sample(kinds, len(kinds))
        del self._chosen[faults:]
        # Drawn beforehand, so that nothing which takes more or less time changes what comes.
        self._drawn = [
            (
                self._chance.uniform(*PAUSE_S),
                self._chance.uniform(*one.lasts_s),
                self._chance.randrange(2**32),
            )
            for one in self._chosen
        ]

    def beside(self, fleet: Fleet, deliveries: list[Delivery], clock: DistrictClock) -> None:
        """Play, and let faults happen until all were; what wasn't due by then is taken off `deliveries`."""
        failed: list[BaseException] = []

        def harm() -> None:
            try:
                wait_for(lambda: _acknowledged(fleet) > 0, "nothing is acknowledged", 60.0)
                for number, fault in enumerate(self._chosen):
                    self._one(number, fault, fleet)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failed.append(error)
            finally:
                end_us = clock.now_us() + round(AFTER_S * clock.rate * 1e6)
                kept = [one for one in deliveries if one.deliver_at_us <= end_us]
                del deliveries[len(kept) :]

        thread = threading.Thread(target=harm, name="harm", daemon=True)
        thread.start()
        outcome = fleet.play(deliveries, clock, lambda _: self._line.supervisor.check())
        thread.join()
        if failed:
            raise failed[0]
        assert outcome.complete, outcome

    def _one(self, number: int, fault: Fault, fleet: Fleet) -> None:
        pause_s, lasts_s, own_seed = self._drawn[number]
        time.sleep(pause_s)
        flight = self._flight(fleet)
        with fault.begin(self._line, random.Random(own_seed)) as about:
            time.sleep(lasts_s)
        ended_s = time.monotonic()
        self._wait_for_new_work(fleet, fault.name)
        recovery_s = time.monotonic() - ended_s
        self.told.append(Told(fault.name, flight, recovery_s))
        self._say(
            f"fault {number + 1:3}: {fault.name} ({about}) for {lasts_s:.1f} s; hit {flight}; "
            f"newer work in the figures {recovery_s:.1f} s after its end"
        )

    def _flight(self, fleet: Fleet) -> Flight:
        waiting = sum(device.outbox.sent - device.outbox.acknowledged for device in fleet.devices.values())
        ends, done = self._line.ends(), self._line.committed()
        lag = None if ends is None or done is None else _lag(ends, done)
        with contextlib.suppress(psycopg.OperationalError):
            transactions, queries = self._line.query(UNDER_WAY)
            return Flight(max(0, waiting), lag, transactions, _steps(queries))
        return Flight(max(0, waiting), lag, None, ())

    def _wait_for_new_work(self, fleet: Fleet, what: str) -> None:
        """Until all that was in the log now, and more than that, is in the figures, and whoever waits heard something."""
        waited = {d: d.outbox.acked_seq for d in fleet.devices.values() if d.outbox.kept}
        deadline_s = time.monotonic() + GIVEN_UP_S
        was: dict[int, int] | None = None
        while True:
            ends, done = self._line.ends(), self._line.committed()
            was = was or ends
            if was is not None and done is not None and sum(done.values()) > sum(was.values()):
                moved = all(done.get(one, 0) >= end for one, end in was.items())
                heard = all(d.outbox.acked_seq > seq or not d.outbox.kept for d, seq in waited.items())
                if moved and heard and self._line.status() == 200:
                    return
            assert time.monotonic() < deadline_s, (
                f"after {what} it doesn't go on: the log ended at {was}, now at {ends}, figures at {done}, waiting "
                f"{[d.unit_id for d, seq in waited.items() if d.outbox.kept and d.outbox.acked_seq <= seq]}"
            )
            time.sleep(0.1)

    def summary(self) -> str:
        """How many hit work, and how fast it went on."""
        hits = sum(one.flight.is_any for one in self.told)
        times = [one.recovery_s for one in self.told]
        slowest = max(self.told, key=lambda one: one.recovery_s)
        return (
            f"{hits} of {len(self.told)} faults hit work in flight; recovery: median "
            f"{statistics.median(times):.1f} s, longest {slowest.recovery_s:.1f} s ({slowest.name})"
        )


def _lag(ends: dict[int, int], done: dict[int, int]) -> int:
    return sum(max(0, end - done.get(partition, 0)) for partition, end in ends.items())


def _steps(queries: str) -> tuple[str, ...]:
    """The step that each worker's transaction is in, by its statement."""
    return tuple(
        next(
            (step for step, form in STEPS if re.search(form, query, re.IGNORECASE | re.DOTALL)),
            " ".join(query.split())[:40],
        )
        for query in queries.split(chr(1))
        if query.strip()
    )


def _acknowledged(fleet: Fleet) -> int:
    return sum(device.outbox.acknowledged for device in fleet.devices.values())
