"""Which partitions are ours: membership in a consumer group that fetches nothing.

Members move partitions by cooperative rebalancing: those that stay are worked on all the while, so a thread
of its own speaks with the group, whatever the worker is at. Membership only decides who tries; that nobody's
work counts twice, the store sees to. So a member that was thought dead and goes on does no harm, nor does
one whose partition moves in the middle of a batch. Positions kept by Kafka are for people to look at.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from streams.kafka_url import Address, connect, consumer, unavailable
from streams.log import LogUnavailable

SESSION_S = 6
"""A member that is killed is missed after this time; brokers allow no less by default."""
HEARTBEAT_S = 1
REBALANCE_S_MAX = 10
IDLE_S_MAX = 30.0
"""A worker that hasn't asked for its share for so long hangs; others then get its partitions."""
_POLL_S = 0.2
_CLOSE_S_MAX = 5.0


class Membership:
    """A member of a group from the first `share` on, until `close`."""

    def __init__(self, address: Address, group: str) -> None:
        self._address = address
        self._group = group
        self._share: frozenset[int] = frozenset()
        self._asked_s = 0.0
        self._done: dict[int, int] = {}
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def share(self) -> frozenset[int]:
        """The partitions that are ours now. Raises LogUnavailable once where membership broke; it joins anew."""
        self._asked_s = time.monotonic()
        if self._failure is not None:
            self.close()
        elif self._thread is None:
            self._leaving.clear()
            self._thread = threading.Thread(target=self._live, name="kafka-member", daemon=True)
            self._thread.start()
        return self._share

    def done(self, positions: Mapping[int, int]) -> None:
        """Tell Kafka, for whoever looks at the group from outside; lost is nothing."""
        with self._lock:
            self._done.update(positions)

    def close(self) -> None:
        """Leave, so that others take over at once."""
        thread, self._thread = self._thread, None
        self._leaving.set()
        if thread is not None:
            thread.join(_CLOSE_S_MAX)
        self._share = frozenset()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise LogUnavailable(f"membership in group {self._group} broke: {failure!r}"[:500]) from failure

    def _live(self) -> None:
        """The thread: joins, stays as long as the worker asks, leaves."""
        try:
            with unavailable():
                member = self._joined()
            try:
                while not self._leaving.wait(0.0):
                    if time.monotonic() - self._asked_s > IDLE_S_MAX:
                        self._share = frozenset()
                        break
                    self._poll(member)
            finally:
                self._share = frozenset()
                member.close(timeout_ms=1_000)
        except Exception as error:  # noqa: BLE001 - raised in share, by the thread that can do something
            self._failure = error
            return
        if not self._leaving.is_set():
            self._failure = TimeoutError(f"nothing was asked for {IDLE_S_MAX:.0f} s")

    def _poll(self, member: Any) -> None:  # noqa: ANN401 - the library has no types
        try:
            member.poll(timeout_ms=_POLL_S * 1000)
        except KafkaError as error:
            if not getattr(error, "retriable", False):
                raise
            self._leaving.wait(_POLL_S)
        self._share = frozenset(tp.partition for tp in member.assignment())
        with self._lock:
            done, self._done = self._done, {}
        offsets = {
            TopicPartition(self._address.records, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in done.items()
            if partition in self._share
        }
        if offsets:
            with contextlib.suppress(KafkaError):
                member.commit_async(offsets)

    def _joined(self) -> Any:  # noqa: ANN401
        settings = consumer(self._address, "member") | {
            "group_id": self._group,
            "partition_assignment_strategy": [CooperativeStickyAssignor],
            "session_timeout_ms": SESSION_S * 1000,
            "heartbeat_interval_ms": HEARTBEAT_S * 1000,
            "max_poll_interval_ms": REBALANCE_S_MAX * 1000,
        }
        member = connect(KafkaConsumer, settings)
        member.subscribe([self._address.records], listener=_Quiet(member))
        return member


class _Quiet(ConsumerRebalanceListener):  # type: ignore[misc] # the library has no types
    """Keeps the member from fetching, and from asking Kafka where it left off."""

    def __init__(self, member: Any) -> None:  # noqa: ANN401
        self._member = member

    def on_partitions_revoked(self, revoked: object) -> None:
        """Nothing is held."""

    def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ANN401
        self._member.pause(*assigned)
        for tp in assigned:
            self._member.seek(tp, 0)
