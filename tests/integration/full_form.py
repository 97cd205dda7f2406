"""A shift from devices to figures within this process: three ingestors share the work, and any number of workers.

Everything between them is real: the broker, the log and the store. Threads stand for processes here, so that a
run takes seconds; that processes may die is the matter of tests/chaos.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg

from ingest.bridge import Bridge, session
from ingest.stats import Stats
from ingest.subscriber import Subscriber
from processing.pipeline import Core
from simulators.channel import Delivery
from simulators.device import Broker
from simulators.fleet import DistrictClock, Fleet, Outcome, set_clock
from storage.queries.status import positions
from streams.kafka_log import KafkaLog
from streams.log import Log
from streams.worker import Worker
from swept.versions import rule_version

INGESTORS = 3
PLAY_S_MAX = 120.0
MEET_S = 0.1


@dataclass(frozen=True, slots=True)
class Form:
    """Where the broker, the store and the log are."""

    mqtt_url: str
    store_url: str
    log_url: str

    def open_log(self, group: str | None = None) -> Log:
        """The log, for who appends or looks; for a worker as a member of a group."""
        return KafkaLog(self.log_url, group)


class Meeting:
    """Holds a worker for a moment before it rebuilds figures, so that another one gets there too.

    Both have written their passes then, and neither sees the other's.
    """

    def __init__(self) -> None:
        self.pairs = 0
        self._barrier = threading.Barrier(2)

    def __call__(self, step: str) -> None:
        if step != "unit_days":
            return
        try:
            if self._barrier.wait(MEET_S) == 0:
                self.pairs += 1
        except threading.BrokenBarrierError:
            with contextlib.suppress(threading.BrokenBarrierError):
                self._barrier.reset()


def play(
    form: Form, core: Core, deliveries: Sequence[Delivery], rate: float, workers: int
) -> tuple[Outcome, Meeting]:
    """Send all of it `rate` times as fast as it was; returns once everything is in the figures."""
    district_id = core.district.district_id
    meeting = Meeting()
    with _ingestors(form, district_id), _workers(form, core, workers, meeting):
        broker = Broker.of(form.mqtt_url)
        clock = DistrictClock.from_now(deliveries[0].deliver_at_us, rate)
        set_clock(broker, district_id, clock, ingestors=INGESTORS)
        units = sorted({one.unit_id for one in deliveries})
        fleet = Fleet(broker, district_id, units, resend_s=2.0)
        outcome = fleet.play(deliveries, clock)
        _wait_for_figures(form)
    return outcome, meeting


def _wait_for_figures(form: Form) -> None:
    deadline_s = time.monotonic() + PLAY_S_MAX
    with (
        contextlib.closing(form.open_log()) as log,
        psycopg.connect(form.store_url, autocommit=True) as store,
    ):
        while True:
            done = {one.partition: one.next_offset for one in positions(store) if one.log_id == log.log_id}
            ends = log.ends()
            if all(done.get(partition, 0) >= end for partition, end in ends.items()):
                return
            assert time.monotonic() < deadline_s, f"the workers are at {done}, the log ends at {ends}"
            time.sleep(0.1)


@contextmanager
def _ingestors(form: Form, district_id: str) -> Iterator[None]:
    group = f"g{uuid.uuid4().hex[:8]}"
    with contextlib.ExitStack() as stack:
        subscribers = []
        for number in range(INGESTORS):
            wanted = session(form.mqtt_url, district_id, f"{group}-{number}", group, 500)
            log = stack.enter_context(contextlib.closing(form.open_log()))
            subscriber = Subscriber(wanted, Stats())
            bridge = Bridge(district_id, subscriber, log, Stats())
            stack.enter_context(_thread(bridge.run, bridge.stop))
            stack.callback(subscriber.stop)
            subscriber.start()
            subscribers.append(subscriber)
        deadline_s = time.monotonic() + PLAY_S_MAX
        while not all(one.connected for one in subscribers):
            assert time.monotonic() < deadline_s, "the ingestors don't get to the broker"
            time.sleep(0.02)
        yield


@contextmanager
def _workers(form: Form, core: Core, count: int, meeting: Meeting) -> Iterator[None]:
    stopping = threading.Event()
    rules = rule_version(core.rules)
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            log = stack.enter_context(contextlib.closing(form.open_log("workers")))
            worker = Worker(form.store_url, log, core, rules, on_step=meeting)
            stack.callback(worker.close)
            stack.enter_context(_thread(partial(worker.run, stopping.is_set, 0.2), stopping.set))
        yield


@contextmanager
def _thread(run: Callable[[], Any], stop: Callable[[], None]) -> Iterator[None]:
    """Run beside what is in the context, then stop; what went wrong in the thread is raised here."""
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()
    if failed:
        raise failed[0]
