"""Is a pack what it says? Its parts, the chain over the raw records, the digest, and every figure once more.

Nothing is needed but the pack, this release, and, to know that the whole chain wasn't made anew, a digest from
elsewhere: from a report, from MQTT, from whoever keeps them.
"""

from __future__ import annotations

import hashlib
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec

from evidence.pack import (
    DIGESTS,
    DISTRICT,
    RANGES,
    RECORDS,
    Digest,
    Manifest,
    NotAPack,
    Range,
    Record,
    read,
    rows_of,
)
from evidence.recompute import Question, recompute
from evidence.rows import Case, Contents, TrackOf, part_of
from evidence.signing import is_signed
from processing.chain import Chain, DayRange, day_digest, link, payload_hash
from processing.district_files import DistrictError, parse_district
from processing.era import OutOfEra, checked_day
from processing.pipeline import Core
from processing.verdict import Verdict

ANCHORED, NOT_ANCHORED = "anchored", "consistent, not anchored"


class Differs(Exception):  # noqa: N818 - says what is the case
    """The first difference: in which part, in which row, what the pack has and what it should be."""


class OtherRelease(Exception):  # noqa: N818 - says what is the case
    """The figures were made by another release, so this one can't say whether they are right."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the verifier knows from elsewhere: digests of days (or of whichever day), and the public key."""

    any_day: frozenset[bytes] = frozenset()
    by_day: Mapping[str, bytes] = field(default_factory=dict)
    public_key: bytes | None = None

    @property
    def digests(self) -> bool:
        """Whether there is any digest."""
        return bool(self.any_day or self.by_day)


@dataclass(frozen=True, slots=True)
class Equal:
    """All is as the pack says; `anchor` is ANCHORED or NOT_ANCHORED, `notes` are for a person."""

    manifest: Manifest
    anchor: str
    said: str
    notes: tuple[str, ...]


def verify(data: bytes, release: str, outside: Outside) -> Equal:
    """Raises `NotAPack`, `Differs` or `OtherRelease`, each with its line."""
    manifest, parts = read(data)
    records = rows_of(parts, RECORDS, Record)
    ranges = rows_of(parts, RANGES, Range)
    digests = rows_of(parts, DIGESTS, Digest)
    _check_chain(ranges, records)
    computed = _digests(manifest, ranges)
    notes = _check_signatures(computed, digests, outside)
    held, loose = _anchors(manifest, computed, ranges, records, outside)
    notes += [f"anchored: {one}" for one in held] + [f"not anchored: {one}" for one in loose]
    anchor = ANCHORED if held and not loose else NOT_ANCHORED
    _check_whole(manifest, ranges, records)
    if manifest.release != release:
        raise OtherRelease(
            f"the figures were made by swept {manifest.release}, this is {release}: install that release "
            f"(pip install swept=={manifest.release}) and verify again; records, chain and digests are in order"
        )
    said = _check_figures(manifest, parts, records)
    notes.append(
        f"district files {_files_digest(manifest)}: what is expected of streets and units stands in them"
    )
    return Equal(manifest, anchor, said, tuple(notes))


# The chain and its digests


def _check_chain(ranges: Sequence[Range], records: Sequence[Record]) -> None:
    """Every record hashes, in order, from the head at the start of its range to that at the end."""
    places = [(record.log_id, record.partition, record.offset) for record in records]
    for number, (before, after) in enumerate(pairwise(places), 2):
        if before >= after:
            raise Differs(
                f"{RECORDS} line {number}: {_place(records[number - 1])} is out of order, or there twice"
            )
    by_partition: dict[tuple[str, int], dict[int, Record]] = defaultdict(dict)
    for record in records:
        by_partition[record.log_id, record.partition][record.offset] = record
    for one in ranges:
        if one.told:
            _check_range(one, by_partition[one.log_id, one.partition])


def _check_range(one: Range, records: Mapping[int, Record]) -> None:
    if one.next_offset - one.first_offset > len(records):
        missing = next((n for n in range(one.first_offset, one.next_offset) if n not in records), None)
        raise Differs(f"{RECORDS}: record {missing} of partition {one.partition} is missing")
    chain, head = Chain(one.log_id, one.partition), bytes.fromhex(one.first_head)
    for offset in range(one.first_offset, one.next_offset):
        record = records.get(offset)
        if record is None:
            raise Differs(f"{RECORDS}: record {offset} of partition {one.partition} is missing")
        head = link(head, _hash(chain, record))
    if head.hex() != one.head:
        raise Differs(
            f"{RECORDS}: the chain over records {one.first_offset} to {one.next_offset - 1} of partition "
            f"{one.partition} ends in {head.hex()[:16]}..., {RANGES} says {one.head[:16]}...: a record, or the "
            "order of records, was changed"
        )


def _hash(chain: Chain, record: Record) -> bytes:
    sent = record.sent
    try:
        hashed = bytes.fromhex(record.payload_sha256 or "") if sent is None else payload_hash(sent)
        return chain.record_hash(record.offset, record.key, record.mqtt_topic, record.received_us, hashed)
    except (ValueError, struct.error) as error:
        raise Differs(f"{RECORDS}: {_place(record)} can't be hashed: {error}") from None


def _place(record: Record) -> str:
    return f"record {record.offset} of partition {record.partition}"


def _digests(manifest: Manifest, ranges: Iterable[Range]) -> dict[tuple[str, str], bytes]:
    """The digest of each closed day, computed from its heads."""
    days: dict[tuple[str, str], list[DayRange]] = defaultdict(list)
    for one in ranges:
        if one.service_day:
            heads = bytes.fromhex(one.first_head), bytes.fromhex(one.head)
            days[one.log_id, one.service_day].append(
                DayRange(one.partition, one.first_offset, one.next_offset, *heads)
            )
    return {
        (log_id, day): day_digest(log_id, manifest.district_id, day, some)
        for (log_id, day), some in days.items()
    }


def _check_signatures(
    computed: Mapping[tuple[str, str], bytes], digests: Iterable[Digest], outside: Outside
) -> list[str]:
    keys = set()
    for one in digests:
        own = computed.get((one.log_id, one.service_day))
        if own is None or own.hex() != one.digest:
            raise Differs(
                f"{DIGESTS}: the digest of {one.service_day} is {one.digest[:16]}..., the heads in {RANGES} give "
                f"{'none' if own is None else own.hex()[:16] + '...'}"
            )
        public_key = bytes.fromhex(one.public_key)
        if not is_signed(public_key, bytes.fromhex(one.signature), own):
            raise Differs(f"{DIGESTS}: the signature of {one.service_day} isn't made by the key beside it")
        if outside.public_key is not None and public_key != outside.public_key:
            raise Differs(
                f"{DIGESTS}: {one.service_day} is signed with key {one.public_key}, not with the one you gave"
            )
        keys.add(one.public_key)
    told = [f"signed with key {key}" for key in sorted(keys)]
    if keys and outside.public_key is None:
        told[-1] += "; whose that is, only --key can tell"
    return told


def _anchors(
    manifest: Manifest,
    computed: Mapping[tuple[str, str], bytes],
    ranges: Sequence[Range],
    records: Sequence[Record],
    outside: Outside,
) -> tuple[list[str], list[str]]:
    """What the digests from outside anchor, and what they don't; raises where one says otherwise."""
    if not outside.digests:
        anew = "whoever had the store could have made all of it anew; give --digest from a report or MQTT"
        return [], [anew]
    held, loose = [], []
    for (_, day), own in sorted(computed.items()):
        given = outside.by_day.get(day)
        if given is not None and given != own:
            raise Differs(f"the digest of {day} is {own.hex()}, which differs from the digest you gave")
        if given == own or own in outside.any_day:
            held.append(f"the digest of {day} is the one you gave")
        else:
            loose.append(f"records of {day}, digest {own.hex()}")
    if outside.any_day - set(computed.values()):
        found = [f"{own.hex()} ({day})" for (_, day), own in sorted(computed.items())]
        shown = ", ".join(found) or "none, no day is closed"
        raise Differs(f"the pack's digest is {shown}, which differs from the digest you gave")
    day = manifest.service_day.isoformat()
    if manifest.whole_day and day not in {its_day for _, its_day in computed}:
        if day in outside.by_day:
            raise Differs(
                f"{RANGES}: there is a digest of {day}, and the records that it covers were left out"
            )
        loose.append(f"no closed stretch of {day} itself is shown")
    if any(one.told and not one.service_day for one in ranges):
        loose.append("records of a day that was not closed yet")
    stretches = [one for one in ranges if one.told]
    unchained = sum(not _is_chained(record, stretches) for record in records)
    if unchained:
        loose.append(f"{unchained} records from before the chain began")
    return held, loose


def _is_chained(record: Record, stretches: Iterable[Range]) -> bool:
    return any(
        (one.log_id, one.partition) == (record.log_id, record.partition)
        and one.first_offset <= record.offset < one.next_offset
        for one in stretches
    )


def _check_whole(manifest: Manifest, ranges: Sequence[Range], records: Sequence[Record]) -> None:
    """Nothing of the units is left out of what the ranges hold."""
    units = set(manifest.units)
    for record in records:
        if record.key in units and record.sent is None:
            raise Differs(f"{RECORDS}: {_place(record)} is of unit {record.key}, and its bytes were left out")
    day = manifest.service_day.isoformat()
    for one in ranges:
        if manifest.whole_day and one.service_day == day and not one.told:
            raise Differs(
                f"{RANGES}: the street is short, and the records of partition {one.partition} were left out"
            )


# The figures


def _check_figures(manifest: Manifest, parts: Mapping[str, bytes], records: Sequence[Record]) -> str:
    files = {
        name.removeprefix(DISTRICT): content for name, content in parts.items() if name.startswith(DISTRICT)
    }
    try:
        district = parse_district(files)
    except DistrictError as error:
        raise Differs(f"{DISTRICT}: {error.problems[0]}") from None
    except (RecursionError, ValueError) as error:
        raise Differs(f"{DISTRICT}: it can't be read: {error}") from None
    digest = district.rules.digest()
    if (district.map_version, digest) != (manifest.map_version, manifest.rule_version.rpartition("+")[2]):
        raise Differs(
            f"{DISTRICT}: its map is {district.map_version} and its rules {digest}, the figures were made with "
            f"map {manifest.map_version} and rules {manifest.rule_version}"
        )
    try:
        checked_day(manifest.service_day)
        core = Core(district)
    except (OutOfEra, ArithmeticError, LookupError, ValueError) as error:
        raise Differs(f"nothing can be computed from it: {error}") from None
    _check_names(manifest, core, records)
    case = Case(manifest.street_id, manifest.service_day, manifest.shift_id)
    question = Question(core, case, whole_day=manifest.whole_day, now_us=manifest.now_us)
    listed = rows_of(parts, part_of("tracks"), TrackOf)
    try:
        found = recompute(question, records, listed)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise Differs(f"nothing can be computed from it: {error!r}") from None
    _check_listed(found, listed)
    _compare(parts, found)
    whole = found.figures[0]
    if not manifest.whole_day and whole["verdict"] not in {Verdict.SWEPT, Verdict.AMBIGUOUS}:
        raise Differs(
            f"{part_of('figures')}: the street is short, and the pack lacks the day of the expected units"
        )
    sent = sum(record.sent is not None for record in records)
    return (
        f"street {manifest.street_id} on {manifest.service_day}: frequency {whole['frequency']}, "
        f"required {whole['required']}, verdict {whole['verdict']}; recomputed from {sent} records of "
        f"{len(manifest.units)} units"
    )


def _files_digest(manifest: Manifest) -> str:
    """SHA-256 over the lines 'SHA-256  name' of the district's files, as sha256sum prints them."""
    listed = sorted((name, part.sha256) for name, part in manifest.parts.items() if name.startswith(DISTRICT))
    text = "".join(f"{digest}  {name}\n" for name, digest in listed)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_names(manifest: Manifest, core: Core, records: Iterable[Record]) -> None:
    if core.district.district_id != manifest.district_id or manifest.street_id not in core.streets:
        raise Differs(f"{DISTRICT}: it has no street {manifest.street_id} of district {manifest.district_id}")
    name = core.streets[manifest.street_id].name
    if manifest.street_name != name:
        raise Differs(f"manifest.json: the street is called {name!a}, not {manifest.street_name[:80]!a}")
    shifts = {"", *(shift.shift_id for shift in core.district.shifts)}
    if manifest.shift_id not in shifts:
        raise Differs(f"{DISTRICT}: it has no shift {manifest.shift_id}")
    wanted: set[str] = set()
    if manifest.whole_day:
        wanted |= {unit_id for roster in core.district.roster.values() for unit_id in roster}
        wanted |= {record.key for record in records if record.key in core.units}
    missing = sorted(wanted - set(manifest.units))
    if missing:
        raise Differs(
            f"manifest.json: the street is short, and unit {missing[0]}, whose day belongs to it, is left out"
        )


def _check_listed(found: Contents, listed: Sequence[TrackOf]) -> None:
    """Every fix lies in a track: none was left out."""
    bounds: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for track in listed:
        bounds[track.unit_id].append((track.start_us, track.end_us))
    for row in found.fixes:
        if not any(start <= row["fix_time_us"] <= end for start, end in bounds[row["unit_id"]]):
            raise Differs(
                f"{part_of('tracks')}: none holds the fix of {row['unit_id']} at {row['fix_time_us']} us"
            )


def _compare(parts: Mapping[str, bytes], found: Contents) -> None:
    for name, rows in found.parts.items():
        stored = rows_of(parts, name, dict[str, Any])
        fresh: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(rows))
        for number, (old, new) in enumerate(zip(stored, fresh, strict=False), 1):
            if old != new:
                raise Differs(f"{name} row {number}{_named(new)}: {_difference(old, new)}")
        if len(stored) != len(fresh):
            extra = (stored[len(fresh) :] or fresh[len(stored) :])[0]
            raise Differs(
                f"{name} has {len(stored)} rows, recomputed {len(fresh)}; the first of one side alone is row "
                f"{min(len(stored), len(fresh)) + 1}{_named(extra)}"
            )


def _named(row: Mapping[str, Any]) -> str:
    told = [str(row[name]) for name in ("unit_id", "fix_time_us", "start_us", "subject") if name in row]
    return f" ({' '.join(told)})" if told else ""


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            return f"{key} is {_shown(old.get(key))} in the pack, {_shown(new.get(key))} recomputed"
    return "it differs"


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else f"{text[:120]}..."


__all__ = ["ANCHORED", "NOT_ANCHORED", "Differs", "Equal", "NotAPack", "OtherRelease", "Outside", "verify"]
