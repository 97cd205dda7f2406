"""The loop: records of the log become results in the store, each record exactly once.

A batch is one transaction, and these are its steps. A worker may be killed in or between any of them:

1. read       the next records of our share from the positions, bounded in records and bytes
2. decode     them into reports, refusals and presence (pure)
3. fence      begin; lock the positions and compare them with what we believe, else `Fenced`
4. reports    settle them against committed identities; write fixes, dead letters, presence
5. tracks     match what the new reports touch again; replace the tracks and passes that changed
6. unit_days  build unit-days and equipment intervals of touched days again
7. figures    lock each touched (street, service day) in sorted order; record its figures anew
8. checkpoint chain the records; let those wait that are put off; move the positions; NOTIFY swept_commit
9. commit     all of it, or nothing

Then some of what was put off (streams/backlog.py) goes the same way from 2 on; in 8 it leaves the backlog, and no
position moves. Then service days that are over are closed, each in a transaction of its own: the next batch does what a
killed worker left undone.

After a commit of unknown outcome (the connection broke) the worker connects anew and rereads its positions.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from psycopg import Connection, IsolationLevel

from processing.batch import Batch, Settled, compare, settle
from processing.decode import Directory, originals
from processing.district import District
from processing.fix import Reason, Rejection, Report, ReportColumns
from processing.order import Identity
from processing.pipeline import Core
from processing.read import BatchReader
from processing.service_day import service_day
from storage import positions, reader, session, street_days, timescale, writer
from storage.place import Place
from storage.queries.corrections import LATE
from storage.queries.status import heard_us
from storage.versions import Versions
from streams import chain, packing, raw
from streams.backlog import Backlog, Taken
from streams.checkpoint import Checkpoint, Fenced, next_offsets
from streams.cores import Cores, Dated
from streams.figures import Causes, DayClosed, Figures
from streams.log import Envelope, Log, LogUnavailable, Record
from streams.recent import Recent
from streams.restate import CoreFailed, Restater, Touched
from streams.ticks import tick_topic
from streams.unit_days import UnitDays

#: In dead letters, what was refused is numbered after the reports of its record.
_REFUSED = 1_000
_RETRY_S_MAX = 2.0
_STEPS_A_PACK = 256


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one transaction takes in; more records wait in the log, they are not lost."""

    records_max: int = 2_000
    bytes_max: int = 16 << 20
    silent_s_max: float = 120.0
    """How long it may compute between two statements: who hasn't compiled its kernels yet needs a minute."""


@dataclass(slots=True)
class Counts:
    """What a worker has done since it started, for status and progress."""

    records: int = 0
    put_off: int = 0
    reports: int = 0
    duplicates: int = 0
    refused: int = 0
    tracks: int = 0
    batches: int = 0
    fenced: int = 0
    reconnects: int = 0


@dataclass(slots=True)
class _Batch:
    """The decoded records of one transaction; `sent` are those of devices, which `reports` name by number."""

    records: Sequence[Record]
    sent: Sequence[Record]
    reports: Batch
    refused: list[tuple[Rejection, Place]]
    online: dict[str, tuple[bool, int]] = field(default_factory=dict)


class Worker:
    """Processes some partitions of a log into a store. One thread, one connection."""

    def __init__(
        self,
        store_url: str,
        log: Log,
        core: Core,
        rule_version: str,
        *,
        cores: Cores | None = None,
        partitions: Sequence[int] | None = None,
        bounds: Bounds | None = None,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.counts = Counts()
        self._store_url = store_url
        self._log = log
        self._bounds = bounds or Bounds()
        self._on_step = on_step
        self._recent = Recent()
        self._cores = cores or Cores(Dated(core, Versions(rule_version, core.district.map_version)))
        self._use(self._cores.first)
        self._zone = core.district.rules.day_start_s, core.district.rules.timezone
        self._tick_topic = tick_topic(core.district.district_id)
        self._partitions = frozenset(range(log.partitions) if partitions is None else partitions)
        self._checkpoint = Checkpoint(log.log_id)
        self._backlog = Backlog(log.log_id, core.district.rules)
        self._connection: Connection[Any] | None = None
        #: The server's side of the connection, this one or the one before: whoever loses it must end it.
        self._left: session.Left | None = None

    def run(self, stop: Callable[[], bool], wait_s: float = 1.0) -> None:
        """Process until `stop()`; survives losing its positions and its connection."""
        failures = steps = 0
        while not stop():
            try:
                steps += 1
                idle = self.step() == 0
                # Under steady traffic nothing is ever idle, and packs are made all the same.
                if (idle or steps % _STEPS_A_PACK == 0) and self.pack() == 0 and idle:
                    self._log.wait(wait_s)
                failures = 0
            except (Fenced, DayClosed):
                self.counts.fenced += 1
            except (*session.LOST, LogUnavailable):
                failures += 1
                self.counts.reconnects += 1
                time.sleep(random.uniform(0.1, min(_RETRY_S_MAX, 0.2 * 2 ** min(failures, 10))))  # noqa: S311

    def drain(self) -> int:
        """Process until the log's end is reached and nothing waits; gives what the steps gave."""
        total = 0
        while count := self.step():
            total += count
        return total

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that it processes now."""
        return self._checkpoint.partitions

    def pack(self) -> int:
        """Pack original records that are done with, some at a time; gives how many these were."""
        try:
            return packing.due(self._connected(), self._log, self._checkpoint.partitions)
        except BaseException:
            self._forget()
            raise

    def step(self) -> int:
        """One batch and a share of the backlog; gives how many records these had and days were closed.

        What it raises leaves nothing behind.
        """
        try:
            connection = self._connected()
            if self._checkpoint.take(connection, self._log.share() & self._partitions):
                self._recent.clear()  # another may have moved on with what comes back to us
                self._backlog.forget()
            self._backlog.look(connection, self._checkpoint.positions)
            records = self._read()
            self._on_step("read")
            taken = self._backlog.sort(records)
            if records:
                self._make_ready(connection, records)
                self._process(connection, taken)
            waited = self._catch_up(connection, taken)
            closed = self._close_days(connection)
        except BaseException:
            self._forget()
            raise
        return len(records) + waited + closed

    def close(self) -> None:
        """Let go of the connection."""
        self._forget()

    def _catch_up(self, connection: Connection[Any], after: Taken) -> int:
        """Process some of what waits, after a batch from the log; how many records."""
        begun_s = time.monotonic()
        taken = self._backlog.take(connection, self._checkpoint.positions, after)
        if taken.records:
            self._on_step("waited")
            self._make_ready(connection, taken.records)
            self._process(connection, taken)
            self._backlog.spent(begun_s, time.monotonic())
        return len(taken.records)

    def _make_ready(self, connection: Connection[Any], records: Sequence[Record]) -> None:
        """Take up the districts that are in force for these records."""
        self._cores.reread(connection)
        if (standing := self._cores.standing(connection)) is not self._cores.first:
            self._use(standing)
        self._know_units(connection, records[-1].envelope.received_us)

    def _use(self, newest: Dated) -> None:
        """Take up the district version that goes on from now: its units, and its rules of what is late."""
        self._cores.first = newest
        self._known: tuple[District, ...] = (newest.core.district,)
        self._reader = BatchReader(Directory.of(newest.core.district))
        self._restater = Restater(self._cores, self._recent)
        self._unit_days = UnitDays(self._cores, self._recent)
        self._figures = Figures(self._cores)

    def _know_units(self, connection: Connection[Any], now_us: int) -> None:
        """Take reports of all units that any version has which is in force for days that may still be reported."""
        today = service_day(now_us, *self._zone)
        known = self._cores.districts(
            connection, today, int(self._cores.first.core.rules.late_s_max // 86_400)
        )
        if known != self._known:
            units = {unit.unit_id: unit for district in reversed(known) for unit in district.units}
            self._known = known
            self._reader = BatchReader(Directory.of(replace(known[0], units=tuple(units.values()))))

    def _connected(self) -> Connection[Any]:
        if self._connection is None:
            self._connection, self._left = session.connect_again(
                self._store_url, self._bounds.silent_s_max, self._left, prepare_threshold=2
            )
            self._connection.isolation_level = IsolationLevel.READ_COMMITTED
            self._checkpoint.reread(self._connection)
        return self._connection

    def _forget(self) -> None:
        """After anything went wrong: memory is a cache, and the store knows better."""
        self._recent.clear()
        self._backlog.forget()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self) -> list[Record]:
        records = self._log.read(self._checkpoint.positions, self._bounds.records_max)
        total = 0
        for number, record in enumerate(records):
            total += len(record.envelope.payload)
            if total > self._bounds.bytes_max and number:
                return records[:number]
        return records

    def _process(self, connection: Connection[Any], taken: Taken) -> None:
        """One transaction, or where the core fails on it, halves, down to the record that it fails on."""
        batch = self._decode(taken.now)
        self._on_step("decode")
        try:
            self._commit(connection, taken, batch)
        except CoreFailed as failure:
            self._recent.clear()
            if len(taken.records) == 1:
                self._commit(connection, taken, self._poison(batch, str(failure)))
                return
            for half in taken.halves():
                self._process(connection, half)

    def _decode(self, records: Sequence[Record]) -> _Batch:
        sent = [record for record in records if record.envelope.mqtt_topic != self._tick_topic]
        read = self._reader.read([record.envelope for record in sent])
        return _Batch(
            records,
            sent,
            read.batch,
            [(one, self._place(sent[number], _REFUSED + element)) for one, number, element in read.refused],
            {
                unit_id: (state, sent[number].envelope.received_us)
                for unit_id, (state, number) in read.online.items()
            },
        )

    def _poison(self, batch: _Batch, detail: str) -> _Batch:
        """The record that the core fails on, as a dead letter: its bytes are kept, and the line goes on."""
        (record,) = batch.records
        refused = [(_refusal(record, detail), self._place(record, _REFUSED))]
        return replace(batch, reports=batch.reports.take(slice(0)), refused=refused, online={})

    def _place(self, record: Record, element: int) -> Place:
        return Place(self._log.log_id, record.partition, record.offset, element)

    def _commit(self, connection: Connection[Any], taken: Taken, batch: _Batch) -> None:
        """Steps 3 to 9."""
        offsets = next_offsets(taken.records)
        touched, counts = Touched(), replace(self.counts)
        with connection.transaction():
            self._checkpoint.claim(connection, offsets)
            self._cores.reread(connection)  # what was put in force since is reprocessed before us, not after
            self._recent.stand_for(self._cores.timeline)
            self._on_step("fence")
            new, last_us = self._write_reports(connection, batch, counts)
            self._on_step("reports")
            self._restater.tracks(connection, new, last_us, touched)
            self._on_step("tracks")
            self._unit_days.restate(connection, new, touched)
            self._on_step("unit_days")
            causes = Causes(LATE, touched.late)
            at_us = self._at_us(connection, taken)
            streets = self._figures.restate(connection, touched, causes, at_us)
            self._on_step("figures")
            self._settle(connection, taken)
            writer.notify(connection, list(new), streets, at_us)
            self._on_step("checkpoint")
        self._on_step("commit")
        if taken.waited:
            self._checkpoint.shared(offsets)
        else:
            self._checkpoint.committed(offsets)
            self._log.done(offsets)
            counts.records += len(taken.records)
            counts.put_off += len(taken.later)
        if touched.late_us is not None:
            timescale.refresh(connection, touched.late_us[0], touched.late_us[1] + 1)
        counts.batches += 1
        counts.refused += len(batch.refused)
        counts.tracks += touched.tracks
        self.counts = counts

    def _settle(self, connection: Connection[Any], taken: Taken) -> None:
        """Step 8: what these records leave behind in the log's positions, in the chain and in the backlog."""
        if taken.waited:
            self._backlog.remove(connection, taken.records)
            self._checkpoint.share(connection, {record.partition for record in taken.records})
            return
        chain.extend(connection, self._log.log_id, taken.records, self._zone)
        self._backlog.put(connection, taken.later)
        self._checkpoint.advance(connection, taken.records)

    def _at_us(self, connection: Connection[Any], taken: Taken) -> int:
        """When what changes now is known, by the district's clock: never before what was known already."""
        received_us = max(record.envelope.received_us for record in taken.records)
        return max(received_us, heard_us(connection)) if taken.waited else received_us

    def _close_days(self, connection: Connection[Any]) -> int:
        """Close some service days that no partition can say anything of in time any more; how many."""
        heard_us = positions.heard_us(connection, self._log.log_id, self._log.partitions)
        if heard_us is None:
            return 0
        last, first = street_days.last_closed(connection), street_days.first_open_day(connection)
        closed = 0
        for day in self._figures.due(heard_us, last, first):
            with connection.transaction():
                closed += self._figures.close(connection, day, heard_us)
            self._on_step("closed")
        return closed

    def _write_reports(
        self, connection: Connection[Any], batch: _Batch, counts: Counts
    ) -> tuple[dict[str, ReportColumns], dict[str, int]]:
        """Step 4; gives each unit's accepted reports, and the newest fix_time it had before them."""
        writer.dead_letters(connection, batch.refused)
        writer.online(connection, batch.online)
        if not len(batch.reports):
            return {}, {}
        last_us = reader.last_fix_us(connection, batch.reports.units())
        reports = batch.reports
        compared = compare(reports, reader.committed(connection, reports, reports.known_until(last_us)))
        rivals = np.flatnonzero(compared.contested & compared.there)
        known, places = reader.existing(connection, reports.identities(rivals))
        settled = settle(reports, compared, known)
        records = np.array([(record.partition, record.offset) for record in batch.sent], dtype=np.int64)
        writer.reports(connection, self._log.log_id, settled.accepted, records, settled.replaced)
        if settled.conflicts:
            letters = self._lost(batch, settled, known, places)
            writer.dead_letters(connection, self._as_sent(batch, letters))
        counts.reports += len(settled.accepted)
        counts.duplicates += settled.duplicates
        counts.refused += len(settled.conflicts)
        return dict(settled.accepted.by_unit()), last_us

    def _lost(
        self,
        batch: _Batch,
        settled: Settled,
        known: Mapping[Identity, Report],
        places: Mapping[Identity, Place],
    ) -> list[tuple[Rejection, Place]]:
        """Conflicts with the places of the reports that lost: where this batch has it, else the earlier one."""
        at = {report.canonical(): places[key] for key, report in known.items()}
        for report, row in reversed(settled.contested):
            record = batch.sent[batch.reports.message[row]]
            at[report.canonical()] = self._place(record, int(batch.reports.element[row]))
        return [(lost, at[lost.payload]) for lost in settled.conflicts]

    def _as_sent(
        self, batch: _Batch, letters: Iterable[tuple[Rejection, Place]]
    ) -> list[tuple[Rejection, Place]]:
        """Conflicts with the bytes and the topic that they came with, as long as the log has them."""
        records = {(record.partition, record.offset): record for record in batch.records}
        sent: dict[Place, dict[bytes, tuple[bytes, str]]] = {}
        kept: list[tuple[Rejection, Place]] = []
        for lost, place in letters:
            message = place._replace(element=0)
            if message not in sent:
                at_hand = records.get((place.partition, place.offset)) if self._is_ours(place) else None
                sent[message] = self._contents(at_hand or self._kept(place))
            payload, mqtt_topic = sent[message].get(lost.payload, (lost.payload, self._topic(lost)))
            kept.append((replace(lost, payload=payload, mqtt_topic=mqtt_topic), place))
        return kept

    def _contents(self, record: Record | None) -> dict[bytes, tuple[bytes, str]]:
        """Original bytes and topic of each report of a record, by its canonical bytes."""
        if record is None:
            return {}
        sent = record.envelope
        found = originals(sent.mqtt_topic, sent.payload, sent.received_us, self._reader.directory)
        return {report.canonical(): (original, sent.mqtt_topic) for report, original in found}

    def _topic(self, lost: Rejection) -> str:
        """The topic of a conflict, which itself can't know the district."""
        return lost.mqtt_topic.replace("/+/", f"/{self._reader.directory.district_id}/", 1)

    def _is_ours(self, place: Place) -> bool:
        return place.log_id == self._log.log_id

    def _kept(self, place: Place) -> Record | None:
        """The record of an earlier batch, or None where neither the log nor a pack has it any more."""
        where = place.log_id, place.partition, [place.offset]
        for found in raw.records_at(self._connected(), self._log, *where):
            return Record(found.partition, found.offset, Envelope(*found[2:]))
        return None


def _refusal(record: Record, detail: str) -> Rejection:
    envelope = record.envelope
    return Rejection(
        Reason.BAD_FIELD,
        detail[:1_000],
        envelope.mqtt_topic,
        envelope.payload,
        envelope.received_us,
        envelope.key,
    )
