"""What a device keeps until its reports are durable: the resend rule, without a network.

Reports are sent in the order of their `seq` and kept until an acknowledgement names their seq or a higher
one. After every (re)connect, or where acknowledgements make no progress, all that is kept is sent again from
the oldest on. Brokers keep order within a topic only, so a device with two topics never has both in flight:
an acknowledgement of n would else speak for a report of the other topic that may still be lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from simulators.channel import Delivery

#: Without progress the pause until the next resend doubles, up to this many times the first one: while
#: nobody reads, each resend only adds to the broker's queue.
PAUSE_GROWTH_MAX = 4.0


class Outbox:
    """One device's memory; when `kept_max` messages wait, the oldest is dropped and counted.

    Times are seconds of any one monotonic clock.
    """

    def __init__(self, kept_max: int = 100_000, resend_s: float = 30.0, window_max: int = 200) -> None:
        self.kept: deque[Delivery] = deque()
        self.acked_seq = 0
        self.sent = self.resent = self.dropped = self.acknowledged = 0
        self._kept_max, self._resend_s, self._window_max = kept_max, resend_s, window_max
        self._cursor = 0  # how many of `kept`, from the oldest on, went out on this connection
        self._offered_seq = self._sent_seq = 0
        self._pause_s = resend_s
        self._progress_s = 0.0

    def offer(self, delivery: Delivery) -> bool:
        """Keep a message; False for a copy of an earlier one, which is sent as it is and not kept."""
        if delivery.seq <= self._offered_seq:
            return False
        self._offered_seq = delivery.seq
        if len(self.kept) >= self._kept_max:
            self.kept.popleft()
            self.dropped += 1
            self._cursor = max(0, self._cursor - 1)
        self.kept.append(delivery)
        return True

    def acknowledge(self, seq: int, now_s: float) -> None:
        """Let go of what is durable; nothing beyond what was ever sent can be."""
        seq = min(seq, self._sent_seq)
        if seq <= self.acked_seq:
            return
        self.acked_seq = seq
        self._pause_s, self._progress_s = self._resend_s, now_s
        while self.kept and self.kept[0].seq <= seq:
            self.kept.popleft()
            self.acknowledged += 1
            self._cursor = max(0, self._cursor - 1)

    def restart(self, now_s: float) -> None:
        """A new connection: send everything again from the oldest on."""
        self._cursor, self._progress_s, self._pause_s = 0, now_s, self._resend_s

    def take(self, now_s: float) -> Iterator[Delivery]:
        """The messages to publish now, in order; at most `window_max` are out unacknowledged."""
        if self._cursor == 0:
            self._progress_s = now_s
        elif now_s - self._progress_s >= self._pause_s:
            self._cursor, self._progress_s = 0, now_s
            self._pause_s = min(2.0 * self._pause_s, PAUSE_GROWTH_MAX * self._resend_s)
        while self._cursor < min(len(self.kept), self._window_max):
            delivery = self.kept[self._cursor]
            if self._cursor and self.kept[self._cursor - 1].mqtt_topic != delivery.mqtt_topic:
                return
            self._cursor += 1
            if delivery.seq > self._sent_seq:
                self._sent_seq = delivery.seq
                self.sent += 1
            else:
                self.resent += 1
            yield delivery
