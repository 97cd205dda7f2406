"""What a device keeps until its reports are durable: the resend rule, without a network.

Reports are sent in the order of their `seq` and kept until an acknowledgement names their seq or a higher
one. After every (re)connect, or where acknowledgements make no progress, all that is kept is sent again from
the oldest on.

An acknowledgement of n says that all up to n are durable, on whichever topic they went. After a (re)connect
the oldest goes alone until it is acknowledged: a broker that died forgot who listens, and what is sent before
ingest is back goes to nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from simulators.channel import Delivery

#: The oldest, sent alone, is sent again after this long, then twice as long, up to the pause of all others.
PROBE_S = 1.0


class Outbox:
    """One device's memory; when `kept_max` messages wait, the oldest is dropped and counted.

    Times are seconds of any one monotonic clock.
    """

    def __init__(self, kept_max: int = 100_000, resend_s: float = 30.0, window_max: int = 200) -> None:
        self.kept: deque[Delivery] = deque()
        self.acked_seq = -1
        self.sent = self.resent = self.dropped = self.acknowledged = 0
        self._kept_max, self._resend_s, self._window_max = kept_max, resend_s, window_max
        self._cursor = 0  # how many of `kept`, from the oldest on, went out on this connection
        self._offered_seq = self._sent_seq = -1
        self._heard = False  # whether an acknowledgement came since the last restart
        self._pause_s = PROBE_S
        self._progress_s = 0.0

    def offer(self, delivery: Delivery) -> bool:
        """Keep a message; False for a copy of an earlier one, which isn't kept (see `may_repeat`)."""
        if delivery.seq <= self._offered_seq:
            return False
        self._offered_seq = delivery.seq
        if len(self.kept) >= self._kept_max:
            self.kept.popleft()
            self.dropped += 1
            self._cursor = max(0, self._cursor - 1)
        self.kept.append(delivery)
        return True

    def may_repeat(self, delivery: Delivery) -> bool:
        """Whether a copy may go out now: only after all before it did, on this connection, or are durable.

        The first report's never: a counter at its start says that the device began anew.
        """
        return 1 < delivery.seq <= (self.kept[self._cursor - 1].seq if self._cursor else self.acked_seq)

    def acknowledge(self, seq: int, now_s: float) -> None:
        """Let go of what is durable; nothing beyond what was ever sent can be."""
        seq = min(seq, self._sent_seq)
        if seq <= self.acked_seq:
            return
        self.acked_seq = seq
        self._heard, self._pause_s, self._progress_s = True, self._resend_s, now_s
        while self.kept and self.kept[0].seq <= seq:
            self.kept.popleft()
            self.acknowledged += 1
            self._cursor = max(0, self._cursor - 1)

    def restart(self, now_s: float) -> None:
        """A new connection: send everything again, the oldest alone until it is acknowledged."""
        self._cursor, self._heard = 0, False
        self._progress_s, self._pause_s = now_s, min(PROBE_S, self._resend_s)

    def take(self, now_s: float) -> Iterator[Delivery]:
        """The messages to publish now, in order; at most `window_max` are out unacknowledged."""
        if self._cursor == 0:
            self._progress_s = now_s
        elif now_s - self._progress_s >= self._pause_s:
            following_s = min(2.0 * self._pause_s, self._resend_s)
            probing = not self._heard
            self.restart(now_s)
            if probing:
                self._pause_s = following_s
        while self._cursor < min(len(self.kept), self._window_max if self._heard else 1):
            delivery = self.kept[self._cursor]
            self._cursor += 1
            if delivery.seq > self._sent_seq:
                self._sent_seq = delivery.seq
                self.sent += 1
            else:
                self.resent += 1
            yield delivery
