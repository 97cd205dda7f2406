"""Records of units that come back with what they buffered: they wait, and have a share of their own.

A record whose newest report is older on arrival than a join may last can't change what is live. Some of them
a batch takes in as they come; the others it chains, moves its position over and puts into the store's table
`backlog`, in the same transaction. After a batch of live records some of what waits is processed, under the lock on
its partition's position, and leaves the table in the transaction that commits its results.

Figures don't depend on when a report is processed, so what waits changes nothing but when they are restated.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from processing.delay import delay
from processing.rules import Rules
from processing.service_day import US
from storage import backlog as store
from storage.backlog import Row
from streams.checkpoint import Fenced
from streams.log import Envelope, Record

#: Late reports that a batch takes in as they come while nothing waits: a unit that was in a tunnel needs no table.
REPORTS_AT_ONCE = 250
#: How long a share should take, and between which numbers of reports that is sought.
SHARE_S = 0.1
REPORTS_MIN, REPORTS_MAX = 500, 4_000
#: How long there may be no share while more and more is put off.
REST_S_MAX = 1.0
#: A report weighs one, and a payload one for each so many bytes at least.
BYTES_A_REPORT = 4_096
#: What can't be read at a glance is read the slow way, and waits for it when it is longer than this.
UNREAD_BYTES_MAX = 16_384
_REPORTS = ("/fix", "/equipment")


@dataclass(frozen=True, slots=True)
class Taken:
    """What one transaction takes in: of `records`, read from the log, `later` only begin to wait.

    With `waited` they come from the backlog: they are chained already, and no position moves.
    """

    records: Sequence[Record]
    later: Sequence[Row] = ()
    waited: bool = False

    @property
    def now(self) -> Sequence[Record]:
        """The records whose reports are processed with this transaction."""
        if not self.later:
            return self.records
        waiting = {(row.partition, row.offset) for row in self.later}
        return [one for one in self.records if (one.partition, one.offset) not in waiting]

    def halves(self) -> tuple[Taken, Taken]:
        """The same in two transactions."""
        half = len(self.records) // 2
        return self._part(self.records[:half]), self._part(self.records[half:])

    def _part(self, records: Sequence[Record]) -> Taken:
        places = {(one.partition, one.offset) for one in records}
        later = [row for row in self.later if (row.partition, row.offset) in places]
        return Taken(records, later, self.waited)


class Backlog:
    """Puts records off and takes them up again; how many at a time follows from how long the last took."""

    def __init__(self, log_id: str, rules: Rules) -> None:
        self._log_id = log_id
        self._behind_us = int(rules.join_s_max * US)
        self._reports = REPORTS_MIN
        self._ended_s = 0.0
        self._waits = False
        self._looked: frozenset[int] | None = None

    def look(self, connection: Connection[Any], partitions: Collection[int]) -> None:
        """Learn whether anything waits in these partitions, where they are others than before."""
        if self._looked != (now := frozenset(partitions)):
            self._waits = store.any_of(connection, self._log_id, now)
            self._looked = now

    def sort(self, records: Sequence[Record]) -> Taken:
        """Records read from the log, and which of them are to wait."""
        later: list[Row] = []
        # What came before goes first, so that a track grows in order and is matched once for many reports.
        room = 0 if self._waits else REPORTS_AT_ONCE
        for one in records:
            sent = one.envelope
            weight = self._weight_behind(sent)
            if weight is None:
                continue
            room -= weight
            if room < 0:
                place, how = (one.partition, one.offset), (sent.received_us, weight)
                later.append(Row(*place, sent.key, sent.mqtt_topic, sent.payload, *how))
        return Taken(records, later)

    def _weight_behind(self, sent: Envelope) -> int | None:
        """What a record that lies behind its time weighs; None: it doesn't."""
        if not sent.mqtt_topic.endswith(_REPORTS):
            return None
        size = len(sent.payload)
        reports, delay_us = delay(sent.payload, sent.received_us)
        behind = size > UNREAD_BYTES_MAX if delay_us is None else delay_us > self._behind_us
        return max(reports, 1 + size // BYTES_A_REPORT) if behind else None

    def put(self, connection: Connection[Any], later: Sequence[Row]) -> None:
        """Let records wait, within the transaction that moves the position over them."""
        if later:
            store.put(connection, self._log_id, later)
            self._waits = True

    def take(self, connection: Connection[Any], partitions: Collection[int], after: Taken) -> Taken:
        """The share whose turn it is, after a batch from the log.

        Without such a batch the store is asked even where nothing seems to wait: another worker may have left
        some. After one of which records were put off there is no share yet, unless the last was long ago: live
        records may stand behind more of the same kind.
        """
        hurry = bool(after.later) and time.monotonic() - self._ended_s < REST_S_MAX
        if hurry or not partitions or not (self._waits or not after.records):
            return Taken((), waited=True)
        rows = store.first(connection, self._log_id, partitions, self._reports)
        self._waits = bool(rows)
        records = [Record(row[0], row[1], Envelope(*row[2:6])) for row in rows]
        return Taken(records, waited=True)

    def remove(self, connection: Connection[Any], records: Sequence[Record]) -> None:
        """Let records go with their results; raise `Fenced` where another took one of them."""
        places = [(one.partition, one.offset) for one in records]
        if store.remove(connection, self._log_id, places) != len(places):
            raise Fenced(f"another worker took some of the backlog of log {self._log_id}")

    def spent(self, begun_s: float, ended_s: float) -> None:
        """Learn from how long a share took how large the next one may be."""
        factor = min(2.0, max(0.5, SHARE_S / max(ended_s - begun_s, 1e-3)))
        self._reports = min(REPORTS_MAX, max(REPORTS_MIN, int(self._reports * factor)))
        self._ended_s = ended_s

    def forget(self) -> None:
        """After anything went wrong: the store knows better."""
        self._looked = None
