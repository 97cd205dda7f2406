"""A pack out of the store: what is recorded of a street and a day, and the raw records it follows from.

It is read in one snapshot. What isn't there any more, or can't be proven, is said and no pack is made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from psycopg import Connection

from evidence.pack import (
    DIGESTS,
    DISTRICT,
    FORMAT,
    RANGES,
    RECORDS,
    UNPACKED_BYTES_MAX,
    Digest,
    Manifest,
    Part,
    Range,
    Record,
    lines,
    write,
)
from evidence.recompute import Placed, Question, contents, judged
from evidence.rows import WORDS, At, Case, TrackOf
from processing.chain import DayRange, payload_hash
from processing.district_files import parse_district
from processing.frequency import StreetDay
from processing.pipeline import Core
from processing.service_day import service_day
from processing.silence import Ground, gaps_of_day
from processing.verdict import Gap, Verdict
from storage import chain, district, reader, street_days
from storage.log_table import Place as LogRecord
from storage.queries import evidence as queries
from storage.queries.status import newest_received_us
from storage.queries.unit_days import unit_days
from storage.raw_packs import PackDamaged
from storage.street_days import Kept, Key
from streams.log import Log
from streams.raw import records_at

_AT_ONCE = 5_000


class NoEvidence(Exception):  # noqa: N818 - says what is the case
    """Why no pack can be made, and what would help, in a line."""


@dataclass(frozen=True, slots=True)
class Versioned:
    """The district version that a service day is judged by, with its files."""

    version: int
    files: Mapping[str, bytes]
    core: Core
    rule_version: str


@dataclass(frozen=True, slots=True)
class Told:
    """A range of the log whose records are told, None for the day while it is open."""

    log_id: str
    day: date | None
    range: DayRange


def make_pack(
    connection: Connection[Any], district_id: str, case: Case, release: str, log: Log | None = None
) -> bytes:
    """The pack of a case; `release` is the installed one. The connection is in a transaction of one snapshot.

    Records that aren't in the store yet are read from `log`; LogUnavailable where it is away.
    """
    kept = street_days.read(connection, [(case.street_id, case.service_day)])
    versioned = _version(connection, district_id, case, kept, release)
    core = versioned.core
    if case.street_id not in core.streets:
        raise NoEvidence(f"there is no street {case.street_id} on {case.service_day}; see swept streets list")
    shifts = [shift.shift_id for shift in core.district.shifts]
    if case.shift_id and case.shift_id not in shifts:
        raise NoEvidence(f"there is no shift {case.shift_id}; name one of {', '.join(shifts) or 'none'}")
    closed = bool(street_days.closed_days(connection, [case.service_day]))
    now_us = None if closed else newest_received_us(connection, list(core.units))
    question = Question(core, case, whole_day=False, now_us=now_us)
    found = _Found(connection, question, kept, log)
    if found.is_short:
        question = Question(core, case, whole_day=True, now_us=now_us)
        found = _Found(connection, question, kept, log)
    return found.pack(versioned)


def _version(
    connection: Connection[Any], district_id: str, case: Case, kept: Mapping[Key, Kept], release: str
) -> Versioned:
    """The version that the figures name, else that in force; its files are parsed, so they are the evidence's."""
    recorded = next((one.recorded for one in kept.values()), None)
    version = recorded.district_version if recorded else 0
    if recorded and not version:
        digest = recorded.rule_version.rpartition("+")[2]
        version = queries.version_like(connection, district_id, digest, recorded.map_version) or 0
    version = (
        version or district.version_of(district.in_force(connection, district_id), case.service_day) or 0
    )
    files = district.files_of(connection, district_id, version) if version else None
    if files is None:
        raise NoEvidence(
            f"the store has no files of district {district_id} for these figures; run swept district load"
        )
    core = Core(parse_district(files))
    made = f"{release}+{core.rules.digest()}"
    return Versioned(version, files, core, recorded.rule_version if recorded else made)


class _Found:
    """What the store says of a case."""

    def __init__(
        self, connection: Connection[Any], question: Question, kept: Mapping[Key, Kept], log: Log | None
    ) -> None:
        self._connection, self._question, self._log = connection, question, log
        case, street = question.case, question.core.streets[question.case.street_id]
        asked = [(case.street_id, case.service_day, question.just_swept_us)]
        self.passes = [row[3] for row in reader.passes_of_street_days(connection, asked)]
        self.tracks = self._tracks()
        self.gaps = self._gaps() if question.whole_day else []
        self.figures: dict[str, tuple[StreetDay, int, Verdict | None]] = {}
        for shift_id in question.windows():
            one = kept.get(Key(case.street_id, case.service_day, street.work, shift_id))
            figures = one.recorded.figures if one else question.figures((), shift_id)
            word = one.recorded.verdict if one else None
            if not shift_id and word is None:
                word = judged(question, figures, self.gaps)
            self.figures[shift_id] = figures, 0 if shift_id else street.required, word

    @property
    def is_short(self) -> bool:
        """Whether the street falls short of what it requires, so that silence matters."""
        return self.figures[""][2] not in {Verdict.SWEPT, Verdict.AMBIGUOUS}

    def _tracks(self) -> list[queries.TrackRow]:
        touching = {(one.unit_id, one.track_start_us) for one in self.passes}
        day_us, seen_us = self._question.day_us, self._question.seen_us
        rows = queries.tracks(self._connection, min(day_us[0], seen_us[0]) - 86_400_000_000, seen_us[1])
        units = self._question.core.units
        return [
            row
            for row in rows
            if (row.unit_id, row.start_us) in touching
            or (self._question.whole_day and row.end_us >= seen_us[0] and row.unit_id in units)
        ]

    def _check_versions(self, versioned: Versioned) -> None:
        """One release, map and set of rules made all of it, or one computation can't make it again."""
        day = self._question.case.service_day
        made_by = versioned.rule_version, versioned.core.district.map_version
        for row in self.tracks:
            if (row.rule_version, row.map_version) != made_by:
                since = service_day(
                    row.start_us, versioned.core.rules.day_start_s, versioned.core.rules.timezone
                )
                raise NoEvidence(
                    f"a track of unit {row.unit_id} was computed by {row.rule_version} on map {row.map_version}, the "
                    f"figures by {made_by[0]} on map {made_by[1]}; run swept reprocess --from {since} --to {day}, "
                    "which keeps what they were"
                )

    def _gaps(self) -> list[Gap]:
        core, case = self._question.core, self._question.case
        beside = timedelta(days=1)
        seen = [
            one.seen
            for one in unit_days(self._connection, case.service_day - beside, case.service_day + beside)
        ]
        from_us, to_us = self._question.day_us
        rows = queries.tracks(self._connection, from_us, to_us)
        lost = [row.suspect for row in rows if row.suspect is not None]
        ground = Ground(core.district, core.projection)
        gaps = gaps_of_day(ground, case.service_day, seen, self._question.now_us, lost)
        return gaps.get(core.streets[case.street_id].work, [])

    def pack(self, versioned: Versioned) -> bytes:
        self._check_versions(versioned)
        question = self._question
        case, core = question.case, question.core
        reports = list(self._reports())
        told = self._ranges([at for _, at in reports])
        units = self._units(told)
        tracks = [TrackOf(*row[:5]) for row in self.tracks]
        rows = contents(question, reports, tracks, self.passes, self.gaps, self.figures)
        manifest = Manifest(
            format=FORMAT,
            release=versioned.rule_version.rpartition("+")[0],
            rule_version=versioned.rule_version,
            map_version=core.district.map_version,
            district_id=core.district.district_id,
            district_version=versioned.version,
            street_id=case.street_id,
            street_name=core.streets[case.street_id].name,
            service_day=case.service_day,
            shift_id=case.shift_id,
            whole_day=question.whole_day,
            now_us=question.now_us,
            units=sorted(units),
            parts={name: Part("", 0, what) for name, what in WORDS.items()},
        )
        parts = {f"{DISTRICT}{name}": content for name, content in versioned.files.items()}
        parts |= {name: lines(some) for name, some in rows.parts.items()}
        parts[RECORDS] = lines(list(self._records(told, units, {at for _, at in reports})))
        parts[RANGES] = lines(self._range_rows(told))
        parts[DIGESTS] = lines(self._digests(told))
        total = sum(map(len, parts.values()))
        if total > UNPACKED_BYTES_MAX:
            raise NoEvidence(
                f"the pack would unpack to {total >> 20} MiB, {UNPACKED_BYTES_MAX >> 20} at most are read"
            )
        return write(manifest, parts)

    def _reports(self) -> Iterator[Placed]:
        by_unit: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for track in self.tracks:
            by_unit[track.unit_id].append((track.start_us, track.end_us))
        for unit_id, bounds in sorted(by_unit.items()):
            for report, place in queries.reports(self._connection, unit_id, bounds, self._question.hold_us):
                yield report, At(*place)

    def _ranges(self, places: Sequence[At]) -> list[Told]:
        """The ranges that hold these places; of a whole day also all that is the day's own."""
        by_log: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
        for at in places:
            by_log[at.log_id][at.partition].add(at.offset)
        own = self._log.log_id if self._log is not None else queries.log_id(self._connection)
        if own is not None and self._question.whole_day:
            by_log.setdefault(own, defaultdict(set))
        return [one for log_id in sorted(by_log) for one in self._ranges_of(log_id, by_log[log_id])]

    def _ranges_of(self, log_id: str, offsets: Mapping[int, set[int]]) -> list[Told]:
        connection, rules = self._connection, self._question.core.rules
        day = self._question.case.service_day
        holding = {p: chain.days_holding(connection, log_id, p, sorted(some)) for p, some in offsets.items()}
        days = {one for some in holding.values() for one in some}
        days |= {day} if self._question.whole_day else set()
        found = []
        for closed_day, ranges in chain.closed_ranges(connection, log_id, days).items():
            whole = self._question.whole_day and closed_day == day
            found += [
                Told(log_id, closed_day, one)
                for one in ranges
                if whole or closed_day in holding.get(one.partition, ())
            ]
        for partition, (one, latest_us) in chain.open_ranges(connection, log_id).items():
            is_days = service_day(latest_us, rules.day_start_s, rules.timezone) == day
            held = any(one.first_offset <= offset < one.next_offset for offset in offsets.get(partition, ()))
            if held or (self._question.whole_day and is_days):
                found.append(Told(log_id, None, one))
        return found

    def _units(self, told: Iterable[Told]) -> set[str]:
        """The units of the tracks; of a whole day also those expected, and all of which anything came."""
        core, case = self._question.core, self._question.case
        units = {track.unit_id for track in self.tracks}
        if self._question.whole_day:
            units |= {unit_id for roster in core.district.roster.values() for unit_id in roster}
            for one in told:
                units |= {record.key for record in self._read(one) if record.key in core.units}
        if not units <= core.units.keys():
            strange = sorted(units - core.units.keys())
            raise NoEvidence(
                f"the map of {case.service_day} doesn't know unit {strange[0]}; reprocess the day first"
            )
        return units

    def _read(self, told: Told) -> Iterator[LogRecord]:
        one = told.range
        for first in range(one.first_offset, one.next_offset, _AT_ONCE):
            offsets = range(first, min(first + _AT_ONCE, one.next_offset))
            try:
                yield from records_at(self._connection, self._log, told.log_id, one.partition, offsets)
            except PackDamaged as error:
                raise NoEvidence(str(error)) from None

    def _records(self, told: Sequence[Told], units: set[str], places: set[At]) -> Iterator[Record]:
        """All records of the ranges, those of the units with their bytes; then those of before the chain."""
        missing = {(at.log_id, at.partition, at.offset) for at in places}
        for one in told:
            expected = one.range.first_offset
            for raw in self._read(one):
                if raw.offset != expected:
                    break
                expected += 1
                missing.discard((one.log_id, raw.partition, raw.offset))
                yield _record(one.log_id, raw, with_bytes=raw.key in units)
            if expected != one.range.next_offset:
                raise NoEvidence(
                    f"the log has no record {expected} of partition {one.range.partition} any more; "
                    "see swept dispute list for packs that were held"
                )
        for log_id, partition, offset in sorted(missing):
            before = DayRange(partition, offset, offset + 1, b"", b"")
            found = list(self._read(Told(log_id, None, before)))
            if not found:
                raise NoEvidence(f"the log has no record {offset} of partition {partition} any more")
            yield _record(log_id, found[0], with_bytes=True)

    def _range_rows(self, told: Sequence[Told]) -> list[Range]:
        """The ranges, with those of the same days in other partitions, over which the days' digests are."""
        rows = {(one.log_id, one.day, one.range): True for one in told}
        for log_id in sorted({one.log_id for one in told}):
            days = {one.day for one in told if one.log_id == log_id and one.day is not None}
            for day, ranges in chain.closed_ranges(self._connection, log_id, days).items():
                for one in ranges:
                    rows.setdefault((log_id, day, one), False)
        return [
            Range(
                log_id,
                "" if day is None else day.isoformat(),
                *one[:3],
                one.first_head.hex(),
                one.head.hex(),
                here,
            )
            for (log_id, day, one), here in sorted(
                rows.items(), key=lambda item: (item[0][0], str(item[0][1]), item[0][2])
            )
        ]

    def _digests(self, told: Sequence[Told]) -> list[Digest]:
        rows = []
        for log_id in sorted({one.log_id for one in told}):
            days = {one.day for one in told if one.log_id == log_id and one.day is not None}
            rows += [
                Digest(
                    log_id, s.service_day.isoformat(), s.digest.hex(), s.signature.hex(), s.public_key.hex()
                )
                for s in chain.signed_days(self._connection, log_id, days)
            ]
        return rows


def _record(log_id: str, raw: LogRecord, *, with_bytes: bool) -> Record:
    place = log_id, raw.partition, raw.offset, raw.key, raw.mqtt_topic, raw.received_us
    payload = bytes(raw.payload)
    if not with_bytes:
        return Record(*place, payload_sha256=payload_hash(payload).hex())
    try:
        return Record(*place, payload=payload.decode())
    except UnicodeDecodeError:
        return Record(*place, payload_base64=payload)
