"""From the session to the log: append, then acknowledge.

In this order, and in no other:

1. take what arrived while the last append ran (group commit: one flush to disk for many messages);
2. set the district clock where a message does, durably, before what came after it is stamped;
3. work out how far each unit's reports will be durable;
4. append envelopes and those frontiers in one go, again and again until the log has taken them; one that
   it never will doesn't hold up the others (ingest/append.py);
5. acknowledge to the broker;
6. tell the others of a group which reports are durable, each unit how far its own are, and whoever set the
   clock that it runs;
7. append a tick to each partition where ten minutes of the district's clock went by.

A group shares out a unit's messages one by one, so no member alone knows how far they are durable. What one
tells the others goes out before its acknowledgements: a device that begins anew at 1 sends its second report
only after that, so nobody takes it for a resend of long ago.

Killed before 4 is done, the broker delivers again; killed between 4 and 5, it delivers again what the log
has already, and processing counts a report once. Nothing is acknowledged that isn't durable.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ingest.append import append
from ingest.envelope import (
    LOST_SHARED_US,
    LOST_US,
    ClockError,
    DistrictClock,
    Frontier,
    TopicError,
    ack_topic,
    advance,
    bounded,
    clock_topic,
    durable_payload,
    durable_topic,
    joined,
    parse_clock,
    parse_durable,
    seqs_of,
    unit_of,
)
from ingest.stats import Stats
from ingest.subscriber import Arrival, Session, Subscriber
from streams.log import Envelope, Log, LogFull, LogRefused, LogUnavailable
from streams.ticks import ticks

T = TypeVar("T")

KINDS = ("fix", "equipment", "online")
BATCH_MAX = 2_000
LINGER_S, LINGER_S_MAX = 0.006, 0.15
"""A batch waits for company as long as some comes: each append costs as much as dozens of messages in it."""
QUIET_MAX = 3
HELD_BACK = 100
"""A broker that sends no more than this unacknowledged (rumqttd) waits for us when it falls silent."""
ACK_EVERY_S = 0.2
"""A unit hears how far it is durable this often at most; devices resend after 30 s."""
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.1, 2.0
UNITS_MAX = 100_000
"""Frontiers in memory; beyond that all are forgotten and read from the log again."""
IDLE_S = 0.2
TICK_US = 600_000_000
TICK_WALL_US_MIN = 1_000_000
"""Ticks are no closer than this by the wall clock, however fast the district's runs."""


def session(url: str, district_id: str, client_id: str, group: str | None, receive_maximum: int) -> Session:
    """What ingest subscribes to; the clock is for every member of a group."""
    return Session(
        url,
        client_id,
        shared=tuple(f"swept/v1/{district_id}/+/{kind}" for kind in KINDS),
        own=(clock_topic(district_id),),
        between=(durable_topic(district_id),) if group is not None else (),
        group=group,
        receive_maximum=receive_maximum,
    )


class Bridge:
    """Moves messages of one district from a subscriber to a log until `stop`."""

    def __init__(
        self,
        district_id: str,
        subscriber: Subscriber,
        log: Log,
        stats: Stats,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._district_id = district_id
        self._subscriber = subscriber
        self._log = log
        self._stats = stats
        self._report = report
        self._clock_topic = clock_topic(district_id)
        self._durable_topic = durable_topic(district_id)
        self._shared = subscriber.session.group is not None
        self._clock = DistrictClock()
        self._frontiers: dict[str, Frontier] = {}
        self._due: dict[str, int] = {}
        self._told_s = 0.0
        self._ticked_us = self._ticked_wall_us = 0
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Finish the batch in hand, then let `run` return; an append that fails is given up."""
        self._stopping.set()

    def run(self) -> None:
        """The loop; returns after `stop`. What was not appended by then is delivered again."""
        stored = self._insist(self._log.clock)
        if stored is not None:
            self._clock = self._parsed(stored[0]) or DistrictClock()
        self._count_from_now()
        while not self._stopping.is_set():
            arrivals = self._take()  # 1
            if arrivals and not self._move(arrivals):
                break
            self._tell()
            self._tick()
        self._tell(now=True)

    def _take(self) -> list[Arrival]:
        arrivals = self._subscriber.take(BATCH_MAX, IDLE_S)
        until_s, quiet = time.monotonic() + LINGER_S_MAX, 0
        while arrivals and len(arrivals) < BATCH_MAX and time.monotonic() < until_s:
            time.sleep(LINGER_S)
            more = self._subscriber.take(BATCH_MAX - len(arrivals), 0.0)
            arrivals += more
            quiet = 0 if more else quiet + 1
            if quiet == QUIET_MAX or (quiet and len(arrivals) >= HELD_BACK):
                break
        return arrivals

    def _move(self, arrivals: Sequence[Arrival]) -> bool:
        """Steps 2 to 5 for a batch; False when told to stop before the log has taken it."""
        sorted_out = self._sort_out(arrivals)
        if sorted_out is None:
            return False
        envelopes, seqs = sorted_out
        moved = self._moved(seqs)  # 3
        if moved is None:
            return False
        acks = {
            key: frontier.seq
            for key, frontier in moved.items()
            if frontier.seq is not None and frontier.seq != self._frontiers[key].seq
        }
        if envelopes:
            done = self._insist(lambda: append(self._log, envelopes, acks))  # 4
            if done is None:
                return False
            if done[0].why:
                self._note_refused(*done[0])
            moved = {key: frontier for key, frontier in moved.items() if key not in done[0].acks}
        self._stats.batches += 1
        self._frontiers.update(moved)
        self._subscriber.acknowledge(arrivals)  # 5
        self._due.update((key, frontier.seq) for key, frontier in moved.items() if frontier.seq is not None)
        if self._shared and seqs:
            self._subscriber.tell(self._durable_topic, durable_payload(seqs))  # 6
        return True

    def _sort_out(self, arrivals: Sequence[Arrival]) -> tuple[list[Envelope], dict[str, list[int]]] | None:
        """What goes into the log, and each unit's seqs in it; hears the clock and the other members meanwhile."""
        envelopes: list[Envelope] = []
        seqs: dict[str, list[int]] = {}
        for arrival in arrivals:
            if arrival.mqtt_topic == self._clock_topic:
                if not self._set_clock(arrival.payload):  # 2
                    return None
                continue
            if arrival.mqtt_topic == self._durable_topic:
                self._hear(parse_durable(arrival.payload))
                continue
            envelope = self._envelope(arrival)
            envelopes.append(envelope)
            # Who has no name, or one that is too long, hears nothing.
            if envelope.key and (found := seqs_of(arrival.payload)):
                seqs.setdefault(envelope.key, []).extend(found)
        return envelopes, seqs

    def _envelope(self, arrival: Arrival) -> Envelope:
        try:
            key = unit_of(arrival.mqtt_topic, self._district_id)
            mqtt_topic = arrival.mqtt_topic
        except TopicError:  # kept all the same: decoding refuses it with its bytes
            self._stats.bad_topics += 1
            key, mqtt_topic = "", bounded(arrival.mqtt_topic)
        return Envelope(key, mqtt_topic, arrival.payload, self._clock.now_us(arrival.wall_us))

    def _note_refused(self, records: int, acks: frozenset[str], why: str) -> None:
        self._stats.refused += records
        self._report(
            f"ingest: {records} messages become dead letters, and {len(acks)} units hear nothing: {why}"
        )

    # Device acknowledgements

    def _moved(self, seqs: dict[str, list[int]]) -> dict[str, Frontier] | None:
        """The frontiers of these units once the batch is durable; None when told to stop."""
        if len(self._frontiers) + len(seqs) > UNITS_MAX:
            self._frontiers.clear()
        ask = [key for key in seqs if self._shared or key not in self._frontiers]
        if ask:
            known = self._insist(lambda: self._log.acks(ask))
            if known is None:
                return None
            self._remember(ask, known[0])
        return {key: self._advanced(self._frontiers[key], found) for key, found in seqs.items()}

    def _remember(self, keys: Iterable[str], known: dict[str, int]) -> None:
        """Start from what the log has; another member of the group may be further."""
        for key in keys:
            mine, seq = self._frontiers.get(key, Frontier()), known.get(key)
            self._frontiers[key] = mine if seq is None else joined(mine, seq)

    def _hear(self, durable: dict[str, list[int]]) -> None:
        """What another member made durable may be what one of ours waits behind."""
        for key, found in durable.items():
            mine = self._frontiers.get(key)
            if mine is None or mine.seq is None:
                continue
            moved = self._frontiers[key] = self._advanced(mine, found)
            if mine.ahead and moved.seq != mine.seq and moved.seq is not None:
                self._due[key] = moved.seq

    def _advanced(self, frontier: Frontier, seqs: Iterable[int]) -> Frontier:
        """Not by the wall clock, which is set forward: a hole would then be given up before its time."""
        return advance(
            frontier, seqs, time.monotonic_ns() // 1000, LOST_SHARED_US if self._shared else LOST_US
        )

    def _tell(self, *, now: bool = False) -> None:
        """Step 6: what each unit may forget."""
        moment_s = time.monotonic()
        if not self._due or (not now and moment_s - self._told_s < ACK_EVERY_S):
            return
        self._told_s = moment_s
        for key, seq in self._due.items():
            # A unit's name may hold what a topic to publish to must not.
            if key and "+" not in key and "#" not in key:
                self._subscriber.publish(ack_topic(self._district_id, key), b'{"seq":%d}' % seq)
        self._due.clear()
        self._subscriber.flush()

    def _tick(self) -> None:
        """Step 7. One that the log doesn't take now is late, and lost is nothing."""
        wall_us = time.time_ns() // 1000
        now_us = self._clock.now_us(wall_us)
        if now_us - self._ticked_us < TICK_US or wall_us - self._ticked_wall_us < TICK_WALL_US_MIN:
            return
        self._ticked_wall_us = wall_us
        with contextlib.suppress(LogUnavailable, LogFull, LogRefused):
            self._log.append(ticks(self._district_id, self._log.partitions, now_us))
            self._ticked_us = now_us

    def _count_from_now(self) -> None:
        """Ten minutes begin anew: what lies between two settings of the clock is no time that went by."""
        self._ticked_wall_us = time.time_ns() // 1000
        self._ticked_us = self._clock.now_us(self._ticked_wall_us)

    # The district clock

    def _set_clock(self, payload: bytes) -> bool:
        """Keep it with the log, let it run, and echo it; a bad one is counted and not echoed."""
        clock = self._parsed(payload)
        if clock is None:
            return True
        if self._insist(lambda: self._log.set_clock(payload)) is None:
            return False
        self._clock = clock
        self._count_from_now()
        self._subscriber.publish(self._clock_topic + "/ack", payload, qos=1, retain=True)
        self._subscriber.flush()
        return True

    def _parsed(self, payload: bytes | None) -> DistrictClock | None:
        try:
            return parse_clock(payload)
        except ClockError as error:
            self._stats.bad_clocks += 1
            self._report(f"ingest: refused a message on {self._clock_topic}: {error}")
            return None

    # The log may be away

    def _insist(self, call: Callable[[], T]) -> tuple[T] | None:
        """Call until it succeeds, waiting ever longer; None when told to stop meanwhile."""
        delay_s = BACKOFF_S_MIN
        while True:
            try:
                result = call()
            except (LogUnavailable, LogFull, LogRefused) as error:
                self._stats.failed_appends += 1
                self._stats.log_full = isinstance(error, LogFull)
                if delay_s == BACKOFF_S_MIN:
                    self._report(
                        f"ingest: {error}; nothing is acknowledged until the log has it; {_what_to_do(error)}"
                    )
            else:
                self._stats.log_full = False
                if delay_s != BACKOFF_S_MIN:
                    self._report("ingest: the log takes messages again")
                return (result,)
            if self._stopping.wait(delay_s * random.uniform(0.5, 1.0)):  # noqa: S311 - jitter
                return None
            delay_s = min(2 * delay_s, BACKOFF_S_MAX)


def _what_to_do(error: Exception) -> str:
    if isinstance(error, LogFull):
        return "see why swept process stands still, start more workers, or raise SWEPT_LOG_BYTES_MAX"
    return "trying again"
