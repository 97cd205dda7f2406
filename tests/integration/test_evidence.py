"""Packs out of a real store: equal when untouched, and every change of them found and named."""

from __future__ import annotations

import io
import json
import os
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from evidence.gather import NoEvidence, make_pack
from evidence.pack import (
    DIGESTS,
    RANGES,
    RECORDS,
    Digest,
    Manifest,
    NotAPack,
    Range,
    Record,
    lines,
    read,
    rows_of,
    write,
)
from evidence.rows import Case, part_of
from evidence.signing import Signer, new_key
from evidence.verify import ANCHORED, NOT_ANCHORED, Differs, Equal, OtherRelease, Outside, verify
from processing.chain import Chain, DayRange, day_digest, link, payload_hash
from processing.datum import wgs84_to_gcj02
from processing.service_day import day_start_us
from streams.log import Envelope
from streams.reprocess import Reprocess
from streams.ticks import ticks
from streams.worker import Bounds, Worker
from swept.digests import Digests
from swept.errors import UserError
from swept.evidence import write as write_file
from swept.settings import read_settings
from swept.signing_key import signer
from tests.integration.small_files import RELEASE, Town
from tests.integration.small_world import ROUND_M, START_US, close_logs, drive, log_of, message

DAY = date(2024, 5, 1)
NEXT_US = day_start_us(date(2024, 5, 2), 0, "Asia/Shanghai")
HOUR_US = 3_600_000_000
AVENUE_M = [(-150.0, 0.0), (350.0, 0.0)]
NOTHING = Outside()


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    close_logs()


def live(
    unit_id: str, fixes: Sequence[dict[str, Any]], size: int = 6, after_us: int = 1_000_000
) -> list[Envelope]:
    """The fixes in messages that came a second after the last of them, or later."""
    parts = [list(fixes[n : n + size]) for n in range(0, len(fixes), size)]
    return [message(unit_id, part, int(part[-1]["time"]) * 1000 + after_us) for part in parts]


def on_the_avenue(unit_id: str, from_us: int, to_us: int) -> list[Envelope]:
    """A unit that drives up and down the avenue, heard of every 30 s."""
    fixes: list[dict[str, Any]] = []
    start_us, corners = from_us, AVENUE_M
    while start_us < to_us:
        drove = drive(start_us, corners, every_s=30.0)
        fixes += drove
        start_us += len(drove) * 30_000_000
        corners = corners[::-1]
    return live(unit_id, [fix for fix in fixes if fix["time"] * 1000 < to_us], 20)


@dataclass(frozen=True)
class World:
    """A store in which a town's log was processed, and who signed its days."""

    store_url: str
    town: Town
    log_id: str
    signer: Signer
    said: list[str]

    def pack(self, street_id: str, shift_id: str = "") -> bytes:
        with psycopg.connect(self.store_url) as connection:
            return make_pack(connection, "test", Case(street_id, DAY, shift_id), RELEASE)

    def digest(self, day: date = DAY) -> bytes:
        with psycopg.connect(self.store_url) as connection:
            row = connection.execute(
                "SELECT digest FROM day_digest WHERE service_day = %s", (day,)
            ).fetchone()
        assert row is not None
        return bytes(row[0])


def world(store_url: str, town: Town, envelopes: Sequence[Envelope], *, closed: bool = True) -> World:
    """Processed in small batches; closed by ticks after midnight, and signed."""
    with psycopg.connect(store_url, autocommit=True) as connection:
        cores = town.load(connection)
    log = log_of(store_url, sorted(envelopes, key=lambda envelope: envelope.received_us))
    if closed:
        log.append([*ticks("test", 2, NEXT_US + HOUR_US // 3), *ticks("test", 2, NEXT_US + 24 * HOUR_US)])
    bounds = Bounds(records_max=40)
    worker = Worker(store_url, log, town.core, town.rule_version, cores=cores, bounds=bounds)
    worker.drain()
    worker.close()
    signer, said = Signer(new_key()), list[str]()
    where = log.log_id, log.partitions
    Digests(store_url, "mqtt://127.0.0.1:1", town.core.district, where, signer, said.append).step()
    return World(store_url, town, log.log_id, signer, said)


def round_trip(*units: str, start_us: int = START_US) -> list[Envelope]:
    return [one for unit_id in units for one in live(unit_id, drive(start_us, ROUND_M))]


@pytest.fixture
def swept_once(store_url: str) -> World:
    """u1 and u3 each go one round, an hour apart; something refused and something twice is among it."""
    envelopes = round_trip("u1") + round_trip("u3", start_us=START_US + HOUR_US)
    envelopes += [Envelope("u1", "swept/v1/test/u1/fix", b"\x00\xff not json", START_US + 60_000_000)]
    first = envelopes[3]
    fixes = json.loads(first.payload)
    rival = [fix | {"speed_kmh": 1.0} for fix in fixes]
    envelopes += [message("u1", rival, first.received_us + 90_000_000), first]
    return world(store_url, Town(), envelopes)


def edited(pack: bytes, changes: dict[str, Callable[[bytes], bytes]]) -> bytes:
    """The pack with other contents, and a manifest that says so: what a careful forger sends."""
    manifest, parts = read(pack)
    changed = {
        name: changes[name](content) if name in changes else content for name, content in parts.items()
    }
    assert changed != parts
    return write(manifest, changed)


def records_of(pack: bytes) -> list[Record]:
    return rows_of(read(pack)[1], RECORDS, Record)


def with_records(pack: bytes, change: Callable[[list[Record]], list[Record]]) -> bytes:
    return edited(pack, {RECORDS: lambda _: lines(change(records_of(pack)))})


def rows(pack: bytes, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read(pack)[1][name].splitlines()]


def test_an_untouched_pack_is_equal_and_anchored_by_the_digest_from_outside(swept_once: World) -> None:
    pack = swept_once.pack("a")
    assert pack == swept_once.pack("a"), "the same store gives the same bytes"
    found = verify(
        pack, RELEASE, Outside(frozenset([swept_once.digest()]), public_key=swept_once.signer.public_key)
    )
    assert found.anchor == ANCHORED, found.notes
    assert "frequency 2, required 1, verdict swept" in found.said
    assert verify(pack, RELEASE, Outside(by_day={"2024-05-01": swept_once.digest()})).anchor == ANCHORED
    alone = verify(pack, RELEASE, NOTHING)
    assert alone.anchor == NOT_ANCHORED
    manifest, parts = read(pack)
    assert manifest.whole_day is False
    assert {
        "district/district.toml",
        RECORDS,
        DIGESTS,
        part_of("passes"),
        part_of("equipment"),
    } <= parts.keys()
    assert parts["district/units.toml"] == swept_once.town.files["units.toml"]


def test_a_pack_holds_refused_and_losing_records_with_their_bytes_and_all_of_its_units(
    swept_once: World,
) -> None:
    pack = swept_once.pack("a")
    sent = [record.sent for record in records_of(pack) if record.key in read(pack)[0].units]
    assert b"\x00\xff not json" in sent
    assert all(payload is not None for payload in sent)
    assert {record.key for record in records_of(pack)} >= {"u1", "u3"}


def test_each_decision_names_its_clause(swept_once: World) -> None:
    told = rows(swept_once.pack("b"), part_of("decisions"))
    passes = [row for row in told if row["subject"].startswith("pass")]
    assert [row["decision"] for row in passes] == ["counts", "counts"]
    assert "depth 1 at measures" in passes[0]["clause"]
    assert "depth 2 at measures" in passes[1]["clause"]
    assert told[-1]["subject"] == "verdict"
    assert told[-1]["decision"] == "swept"
    assert {row["section"] for row in told} == {"From passes to figures", "The verdict"}


def test_a_pack_of_a_shift_shows_its_figures_beside_the_days(swept_once: World) -> None:
    pack = swept_once.pack("a", "early")
    assert verify(pack, RELEASE, NOTHING).anchor == NOT_ANCHORED
    assert [row["shift_id"] for row in rows(pack, part_of("figures"))] == ["", "early"]


def _flip(records: list[Record]) -> list[Record]:
    """One digit of one payload is another."""
    place = next(
        n for n, record in enumerate(records) if record.payload and '"speed_kmh":9.0' in record.payload
    )
    payload = (records[place].payload or "").replace('"speed_kmh":9.0', '"speed_kmh":8.0', 1)
    return [*records[:place], msgspec.structs.replace(records[place], payload=payload), *records[place + 1 :]]


def _swap(records: list[Record]) -> list[Record]:
    """Two neighbours of a partition change places."""
    one, two = records[2], records[3]
    one, two = (
        msgspec.structs.replace(two, offset=one.offset),
        msgspec.structs.replace(one, offset=two.offset),
    )
    return [*records[:2], one, two, *records[4:]]


def _later(records: list[Record]) -> list[Record]:
    return [msgspec.structs.replace(records[0], received_us=records[0].received_us + 1), *records[1:]]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_flip, "a record, or the order of records, was changed"),
        (_swap, "a record, or the order of records, was changed"),
        (_later, "a record, or the order of records, was changed"),
        (lambda found: found[:5] + found[6:], "record 5 of partition 0 is missing"),
        (lambda found: found[:-1], "is missing"),
        (lambda found: [found[1], found[0], *found[2:]], "is out of order, or there twice"),
        (lambda found: [found[0], *found], "is out of order, or there twice"),
    ],
)
def test_a_changed_dropped_moved_or_doubled_record_is_found(
    swept_once: World, change: Callable[[list[Record]], list[Record]], named: str
) -> None:
    with pytest.raises(Differs, match=named):
        verify(with_records(swept_once.pack("a"), change), RELEASE, NOTHING)


def test_bytes_that_were_left_out_of_a_units_records_are_missed(swept_once: World) -> None:
    def withhold(found: list[Record]) -> list[Record]:
        place = next(n for n, record in enumerate(found) if record.key == "u1")
        one = found[place]
        hidden = msgspec.structs.replace(
            one, payload=None, payload_base64=None, payload_sha256=payload_hash(one.sent or b"").hex()
        )
        return [*found[:place], hidden, *found[place + 1 :]]

    with pytest.raises(Differs, match="is of unit u1, and its bytes were left out"):
        verify(with_records(swept_once.pack("a"), withhold), RELEASE, NOTHING)


@pytest.mark.parametrize(
    ("part", "old", "new", "named"),
    [
        ("figures", b'"frequency":2', b'"frequency":3', "frequency is 3 in the pack, 2 recomputed"),
        (
            "figures",
            b'"verdict":"swept"',
            b'"verdict":"partial"',
            'verdict is "partial" in the pack, "swept"',
        ),
        ("passes", b'"enter_mm":', b'"enter_mm":1', "enter_mm is 1"),
        ("fixes", b'"brush":true', b'"brush":false', "brush is false in the pack, true recomputed"),
        ("decisions", b'"counts"', b'"not counted"', 'decision is "not counted" in the pack'),
        ("tracks", b'"fixes":', b'"fixes":1', "fixes is 1"),
    ],
)
def test_a_changed_row_is_named_with_what_it_was_and_what_it_should_be(
    swept_once: World, part: str, old: bytes, new: bytes, named: str
) -> None:
    pack = swept_once.pack("a")
    name = part_of(part)
    with pytest.raises(Differs, match=named) as told:
        verify(edited(pack, {name: lambda content: content.replace(old, new, 1)}), RELEASE, NOTHING)
    assert str(told.value).startswith(f"{name} row 1")


@pytest.mark.parametrize("part", ["fixes", "passes", "tracks", "figures", "decisions"])
def test_a_row_that_was_taken_out_is_missed(swept_once: World, part: str) -> None:
    name = part_of(part)
    pack = edited(
        swept_once.pack("a"), {name: lambda content: b"".join(content.splitlines(keepends=True)[:-1])}
    )
    with pytest.raises(Differs, match=r"rows|none holds the fix|row"):
        verify(pack, RELEASE, NOTHING)


def test_an_edited_part_whose_manifest_was_not_is_named(swept_once: World) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(swept_once.pack("a"))) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(
                name, content.replace(b'"swept"', b'"dirty"') if name == part_of("figures") else content
            )
    with pytest.raises(NotAPack, match=r"computed/figures\.jsonl isn't what the manifest says"):
        verify(out.getvalue(), RELEASE, NOTHING)


def forged(pack: bytes, signer: Signer) -> bytes:
    """One speed is another, and chain, digest, signature and figures are made anew to fit: a perfect forgery."""
    records = [
        record
        if record.payload is None
        else msgspec.structs.replace(record, payload=record.payload.replace('"brush":true', '"brush":false'))
        for record in records_of(pack)
    ]
    return rebuilt(pack, records, signer)


def rebuilt(pack: bytes, records: list[Record], signer: Signer) -> bytes:
    """A pack of other records whose chain and signature are in order."""
    manifest, parts = read(pack)
    by_place = {(record.partition, record.offset): record for record in records}
    ranges = []
    for one in rows_of(parts, RANGES, Range):
        head, chain = bytes.fromhex(one.first_head), Chain(one.log_id, one.partition)
        for offset in range(one.first_offset, one.next_offset if one.told else one.first_offset):
            record = by_place[one.partition, offset]
            sent = record.sent
            hashed = bytes.fromhex(record.payload_sha256 or "") if sent is None else payload_hash(sent)
            own = chain.record_hash(offset, record.key, record.mqtt_topic, record.received_us, hashed)
            head = link(head, own)
        ranges.append(msgspec.structs.replace(one, head=head.hex()) if one.told else one)
    digests = []
    for signed in rows_of(parts, DIGESTS, Digest):
        heads = [
            DayRange(one.partition, one.first_offset, one.next_offset, b"", bytes.fromhex(one.head))
            for one in ranges
            if one.service_day == signed.service_day
        ]
        digest = day_digest(signed.log_id, manifest.district_id, signed.service_day, heads)
        key, signature = signer.public_key.hex(), signer.sign(digest).hex()
        digests.append(Digest(signed.log_id, signed.service_day, digest.hex(), signature, key))
    parts |= {RECORDS: lines(records), RANGES: lines(ranges), DIGESTS: lines(digests)}
    return write(manifest, parts)


def test_a_whole_chain_made_anew_is_found_by_the_digest_from_outside_or_the_key(swept_once: World) -> None:
    pack = swept_once.pack("a")
    note = [record for record in records_of(pack) if record.payload is None and record.payload_base64]
    assert len(note) == 1
    # A record that changes no figure: the refused one is exchanged for another, and the thief signs.
    other = [
        msgspec.structs.replace(record, payload_base64=b"\xff\xfe") if record in note else record
        for record in records_of(pack)
    ]
    thief = Signer(new_key())
    forgery = rebuilt(pack, other, thief)
    assert verify(forgery, RELEASE, NOTHING).anchor == NOT_ANCHORED
    for outside in (
        Outside(frozenset([swept_once.digest()])),
        Outside(by_day={"2024-05-01": swept_once.digest()}),
    ):
        with pytest.raises(Differs, match="differs from the digest you gave"):
            verify(forgery, RELEASE, outside)
    with pytest.raises(Differs, match="not with the one you gave"):
        verify(forgery, RELEASE, Outside(public_key=swept_once.signer.public_key))
    assert verify(forgery, RELEASE, Outside(public_key=thief.public_key)).anchor == NOT_ANCHORED


def test_raw_bytes_that_say_otherwise_are_found_by_the_figures_though_the_chain_is_in_order(
    swept_once: World,
) -> None:
    with pytest.raises(
        Differs, match=r"computed/fixes\.jsonl row 1 .*brush is true in the pack, false recomputed"
    ):
        verify(forged(swept_once.pack("a"), swept_once.signer), RELEASE, NOTHING)


def test_a_signature_by_another_key_or_of_another_digest_is_found(swept_once: World) -> None:
    pack, thief = swept_once.pack("a"), Signer(new_key())

    def sign(content: bytes, *, own_key: bool) -> bytes:
        (one,) = msgspec.json.decode(b"[" + content.strip() + b"]", type=list[Digest])
        key = thief.public_key.hex() if own_key else one.public_key
        signature = thief.sign(bytes.fromhex(one.digest)).hex()
        return lines([msgspec.structs.replace(one, signature=signature, public_key=key)])

    with pytest.raises(Differs, match="isn't made by the key beside it"):
        verify(edited(pack, {DIGESTS: lambda content: sign(content, own_key=False)}), RELEASE, NOTHING)
    swapped = edited(pack, {DIGESTS: lambda content: sign(content, own_key=True)})
    with pytest.raises(Differs, match="not with the one you gave"):
        verify(swapped, RELEASE, Outside(public_key=swept_once.signer.public_key))
    zeros = edited(
        pack, {DIGESTS: lambda content: content.replace(swept_once.digest().hex().encode(), b"0" * 64)}
    )
    with pytest.raises(Differs, match="the digest of 2024-05-01 is 0000"):
        verify(zeros, RELEASE, NOTHING)


def test_under_another_release_it_says_which_to_install_and_never_differs(swept_once: World) -> None:
    pack = swept_once.pack("a")
    with pytest.raises(OtherRelease, match=rf"pip install swept=={RELEASE}"):
        verify(pack, "99.0", NOTHING)
    broken = edited(
        pack, {part_of("figures"): lambda content: content.replace(b'"frequency":2', b'"frequency":9')}
    )
    with pytest.raises(OtherRelease):
        verify(broken, "99.0", NOTHING)


def test_other_files_of_the_district_than_the_figures_name_are_found(swept_once: World) -> None:
    pack = swept_once.pack("a")
    rules = edited(pack, {"district/district.toml": lambda content: content + b'day_start = "04:00"\n'})
    with pytest.raises(Differs, match="the figures were made with map"):
        verify(rules, RELEASE, NOTHING)
    broken = edited(pack, {"district/streets.geojson": lambda _: b"{}"})
    with pytest.raises(Differs, match="district/"):
        verify(broken, RELEASE, NOTHING)


def test_any_byte_of_the_logs_parts_that_changes_is_found(swept_once: World) -> None:
    pack, rng = swept_once.pack("a"), random.Random(5)
    manifest, parts = read(pack)
    outside = Outside(frozenset([swept_once.digest()]), public_key=swept_once.signer.public_key)
    for _ in range(150):
        name = rng.choice([RECORDS, RANGES, DIGESTS])
        place = rng.randrange(len(parts[name]))
        content = bytearray(parts[name])
        content[place] ^= 1 << rng.randrange(8)
        changed = write(manifest, parts | {name: bytes(content)})
        with pytest.raises((Differs, NotAPack)):
            _log_only(verify(changed, RELEASE, outside), content[place])


def _log_only(found: Equal, byte: int) -> None:
    raise AssertionError(f"a changed byte {byte} was not found: {found.said}")


@pytest.fixture
def not_swept(store_url: str) -> World:
    """u1 is on the avenue all shift, u2 in a lane of its own, u4, which nobody expects, as well; c is left out."""
    shift = START_US + 60_000_000, START_US + 8 * HOUR_US
    envelopes = on_the_avenue("u1", START_US - 60_000_000, shift[1] + 60_000_000)
    envelopes += on_the_avenue("u4", START_US + HOUR_US, START_US + 2 * HOUR_US)
    return world(store_url, Town(), envelopes)


def test_of_a_street_that_was_not_swept_the_pack_holds_the_day_of_every_unit(not_swept: World) -> None:
    pack = not_swept.pack("a")
    manifest, _ = read(pack)
    assert manifest.whole_day
    assert manifest.units == ["u1", "u4"]
    found = verify(pack, RELEASE, Outside(frozenset([not_swept.digest()])))
    assert found.anchor == ANCHORED, found.notes
    assert "frequency 0, required 1, verdict not swept" in found.said
    fixes = rows(pack, part_of("fixes"))
    with psycopg.connect(not_swept.store_url) as connection:
        assert connection.execute("SELECT count(*) FROM fix").fetchone() == (len(fixes),)
    assert all(record.sent is not None for record in records_of(pack) if record.key.startswith("u"))


def test_a_unit_that_was_left_out_of_a_street_that_was_not_swept_is_missed(not_swept: World) -> None:
    pack = not_swept.pack("a")
    manifest, parts = read(pack)
    without = write(msgspec.structs.replace(manifest, units=["u1"]), parts)
    with pytest.raises(Differs, match="unit u4, whose day belongs to it, is left out"):
        verify(without, RELEASE, NOTHING)
    partly = write(msgspec.structs.replace(manifest, whole_day=False), parts)
    with pytest.raises(Differs, match=r"computed/|the pack lacks the day"):
        verify(partly, RELEASE, NOTHING)


def test_a_pack_that_shows_none_of_the_days_records_is_not_anchored_by_its_digest(store_url: str) -> None:
    here = world(store_url, Town(), ticks("test", 2, START_US))
    manifest, parts = read(here.pack("a"))
    empty = write(manifest, parts | {RANGES: b"", RECORDS: b"", DIGESTS: b""})
    assert verify(empty, RELEASE, NOTHING).anchor == NOT_ANCHORED
    with pytest.raises(Differs, match="differs from the digest you gave"):
        verify(empty, RELEASE, Outside(frozenset([here.digest()])))
    with pytest.raises(Differs, match="the records that it covers were left out"):
        verify(empty, RELEASE, Outside(by_day={"2024-05-01": here.digest()}))
    assert verify(empty, RELEASE, Outside(by_day={"2024-05-02": here.digest()})).anchor == NOT_ANCHORED


def test_a_partition_whose_records_were_left_out_is_missed(not_swept: World) -> None:
    manifest, parts = read(not_swept.pack("a"))
    ranges = rows_of(parts, RANGES, Range)
    hidden = [msgspec.structs.replace(one, told=one.partition == 0) for one in ranges]
    records = [record for record in rows_of(parts, RECORDS, Record) if record.partition == 0]
    without = write(manifest, parts | {RANGES: lines(hidden), RECORDS: lines(records)})
    with pytest.raises(Differs, match="the records of partition 1 were left out"):
        verify(without, RELEASE, NOTHING)


@pytest.mark.parametrize("without_shifts", [Town(roster=()), Town(shifts=False)])
def test_where_nobody_is_rostered_those_who_reported_are_judged_also_over_midnight(
    store_url: str, without_shifts: Town
) -> None:
    evening = on_the_avenue("u1", NEXT_US - 26 * HOUR_US, NEXT_US - 23 * HOUR_US)
    morning = on_the_avenue("u1", NEXT_US - 18 * HOUR_US, NEXT_US - 17 * HOUR_US)
    night = on_the_avenue("u2", NEXT_US - 2 * HOUR_US, NEXT_US + 2 * HOUR_US)
    here = world(store_url, without_shifts, [*evening, *morning, *night])
    found = verify(here.pack("a"), RELEASE, NOTHING)
    assert "frequency 0, required 1" in found.said
    assert found.manifest.units == ["u1", "u2"]


def test_a_track_in_a_wrong_datum_is_a_silence_that_is_proven(store_url: str) -> None:
    drove = on_the_avenue("u1", START_US - 60_000_000, START_US + 8 * HOUR_US + 60_000_000)
    round_trip_in_gcj = drive(START_US + 9 * HOUR_US, ROUND_M)
    for fix in round_trip_in_gcj:
        fix["lon"], fix["lat"] = wgs84_to_gcj02(fix["lon"], fix["lat"])
    here = world(store_url, Town(), [*drove, *live("u1", round_trip_in_gcj)])
    pack = here.pack("a")
    assert "verdict not swept" in verify(pack, RELEASE, NOTHING).said
    assert [row["suspected_datum"] for row in rows(pack, part_of("tracks")) if row["suspected_datum"]] == [
        "GCJ-02"
    ]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_done_to_a_pack_the_answer_is_one_line(not_swept: World, seed: int) -> None:
    manifest, parts = read(not_swept.pack("a"))
    rng = random.Random(seed)
    numbers = [b"9" * 19, b"9" * 40, b"-1", b"0", b"1e400", b"null", b'"x"', b"[]", b"4611686018427387903"]
    for _ in range(25):
        name = rng.choice(sorted(name for name, content in parts.items() if content))
        content = bytearray(parts[name])
        found = list(re.finditer(rb"-?\d+", bytes(content)))
        if found and rng.random() < 0.6:
            hit = rng.choice(found[:2_000])
            content[hit.start() : hit.end()] = rng.choice(numbers)
        else:
            place = rng.randrange(len(content))
            del content[place : place + rng.randrange(1, 100)]
        if content == parts[name]:
            continue  # a 0 took the place of a 0
        try:
            verify(write(manifest, parts | {name: bytes(content)}), RELEASE, NOTHING)
        except (Differs, NotAPack, OtherRelease) as error:
            assert "\n" not in str(error), f"seed {seed}"  # noqa: PT017
        else:
            assert name.startswith("district/"), f"seed {seed}: a change of {name} was not found"


def test_a_silence_that_is_long_enough_says_no_data_and_is_in_the_pack(store_url: str) -> None:
    quiet = on_the_avenue("u1", START_US - 60_000_000, START_US + HOUR_US)
    quiet += on_the_avenue("u1", START_US + 5 * HOUR_US, START_US + 8 * HOUR_US + 60_000_000)
    pack = world(store_url, Town(), quiet).pack("b")
    assert "no data" in verify(pack, RELEASE, NOTHING).said
    (silence,) = rows(pack, part_of("silences"))
    assert silence["unit_id"] == "u1"
    assert silence["to_us"] - silence["from_us"] > 3 * HOUR_US
    hidden = edited(pack, {part_of("silences"): lambda _: b""})
    with pytest.raises(Differs, match=r"computed/silences\.jsonl has 0 rows, recomputed 1"):
        verify(hidden, RELEASE, NOTHING)


def test_a_day_that_nobody_reported_on_is_proven_too(store_url: str) -> None:
    pack = world(store_url, Town(), ticks("test", 2, START_US)).pack("a")
    found = verify(pack, RELEASE, NOTHING)
    assert "no data" in found.said
    assert read(pack)[0].units == ["u1"]


def test_a_day_that_is_still_open_is_consistent_and_not_anchored(store_url: str) -> None:
    here = world(store_url, Town(), round_trip("u1", "u3"), closed=False)
    found = verify(here.pack("b"), RELEASE, Outside(frozenset()))
    assert found.anchor == NOT_ANCHORED
    with pytest.raises(Differs, match="none, no day is closed"):
        verify(here.pack("b"), RELEASE, Outside(frozenset([b"\1" * 32])))


def test_late_reports_are_proven_by_the_day_in_which_they_came(store_url: str) -> None:
    fixes = drive(START_US, ROUND_M)
    early, late = live("u1", fixes[:40]), live("u1", fixes[40:], after_us=25 * HOUR_US)
    here = world(store_url, Town(), [*early, *ticks("test", 2, NEXT_US + HOUR_US // 3), *late])
    pack = here.pack("c")
    days = {one.service_day for one in rows_of(read(pack)[1], RANGES, Range)}
    assert days == {"2024-05-01", "2024-05-02"}
    both = frozenset([here.digest(), here.digest(date(2024, 5, 2))])
    assert verify(pack, RELEASE, Outside(both)).anchor == ANCHORED
    one = verify(pack, RELEASE, Outside(frozenset([here.digest()])))
    assert one.anchor == NOT_ANCHORED
    assert any("not anchored: records of 2024-05-02" in note for note in one.notes)


def test_equipment_on_its_own_topic_and_the_day_befores_sweep_are_part_of_the_evidence(
    store_url: str,
) -> None:
    start_us = NEXT_US - 24 * HOUR_US - 200_000_000  # over midnight, so that b is swept just before the day
    fixes = drive(start_us, ROUND_M)
    bare = [{key: value for key, value in fix.items() if key != "equipment"} for fix in fixes]
    status = {"time": fixes[0]["time"] - 60_000, "brush": True}
    told = [message("u1", [status], status["time"] * 1000, "equipment")]
    again = round_trip("u1")
    pack = world(store_url, Town(), [*told, *live("u1", bare), *again]).pack("a")
    assert verify(pack, RELEASE, NOTHING).anchor == NOT_ANCHORED
    assert len(rows(pack, part_of("equipment"))) == 1
    decided = [
        row["decision"] for row in rows(pack, part_of("decisions")) if row["subject"].startswith("pass")
    ]
    assert decided == ["just swept", "counts"]


def test_figures_restated_on_another_map_are_proven_by_that_map(store_url: str) -> None:
    over_midnight = live("u1", drive(NEXT_US - 24 * HOUR_US - 200_000_000, ROUND_M))
    here = world(store_url, Town(), [*over_midnight, *round_trip("u1", "u3")])
    asked = Town(required=(("a", 5), ("c", 2)))
    with psycopg.connect(store_url, autocommit=True) as connection:
        cores = asked.load(connection)
        at_us = NEXT_US + 30 * HOUR_US
        Reprocess(cores, 2, "a better map", at_us).run(connection, [DAY])
        with pytest.raises(NoEvidence, match="run swept reprocess --from 2024-04-30 --to 2024-05-01"):
            here.pack("a")
        Reprocess(cores, 2, "a better map", at_us).run(connection, [DAY - timedelta(days=1), DAY])
    found = verify(here.pack("a"), RELEASE, NOTHING)
    assert found.manifest.district_version == 2
    assert found.manifest.map_version == asked.core.district.map_version
    assert "required 5" in found.said


def test_unknown_streets_and_shifts_and_trimmed_logs_are_told(swept_once: World) -> None:
    with pytest.raises(NoEvidence, match="there is no street nowhere"):
        swept_once.pack("nowhere")
    with pytest.raises(NoEvidence, match="there is no shift late; name one of early"):
        swept_once.pack("a", "late")
    log = log_of(swept_once.store_url, [])
    log.trim({0: 1, 1: 1})
    with pytest.raises(NoEvidence, match="the log has no record"):
        swept_once.pack("a")


# The commands


def command(
    home: Path, *arguments: str, store_url: str | None = None, **files: Any
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SWEPT_")}
    environment |= {"SWEPT_HOME": str(home / "home"), "SWEPT_MQTT_URL": "mqtt://127.0.0.1:1"}
    if store_url:
        environment["SWEPT_STORE_URL"] = store_url
    return subprocess.run(
        [sys.executable, "-m", "swept.main", *arguments],
        env=environment, cwd=home, capture_output=True, text=True, timeout=300, check=False, **files,
    )  # fmt: skip


def test_a_fresh_process_without_any_store_verifies_what_another_wrote(
    swept_once: World, tmp_path: Path
) -> None:
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    store.mkdir()
    elsewhere.mkdir()
    made = command(store, "evidence", "a", "2024-05-01", "--out", "pack.zip", store_url=swept_once.store_url)
    assert (made.returncode, made.stderr) == (0, "")
    (elsewhere / "pack.zip").write_bytes((store / "pack.zip").read_bytes())
    digest = swept_once.digest().hex()
    done = command(
        elsewhere, "verify", "pack.zip", "--digest", digest, "--key", swept_once.signer.public_key.hex()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("equal: street a on 2024-05-01: frequency 2,")
    assert "\nanchored\n" in done.stdout
    assert not (elsewhere / "home").exists()
    (elsewhere / "digests").write_text(json.dumps({"day": "2024-05-01", "digest": "0" * 64}) + "\n")
    other = command(elsewhere, "verify", "pack.zip", "--digests", "digests")
    assert (other.returncode, other.stdout.count("\n")) == (1, 1)
    assert "differs from the digest you gave" in other.stdout
    (elsewhere / "cut.zip").write_bytes((store / "pack.zip").read_bytes()[:-100])
    cut = command(elsewhere, "verify", "cut.zip")
    assert (cut.returncode, cut.stdout) == (
        1,
        "not verified: it is no zip, or it was cut off or damaged on the way; get it anew\n",
    )


def test_a_dispute_holds_the_pack_before_the_log_forgets(swept_once: World, tmp_path: Path) -> None:
    url = swept_once.store_url
    pack = swept_once.pack("a")
    empty = command(tmp_path, "dispute", "a", "2024-05-01", "--author", "Li Na", store_url=url)
    assert (empty.returncode, "--reason and --author" in empty.stderr) == (2, True)
    opened = command(
        tmp_path, "dispute", "a", "2024-05-01", "--reason", "twice?", "--author", "Li Na", store_url=url
    )
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout.startswith("held as 1: ")
    log_of(url, []).trim({0: 1_000, 1: 1_000})
    listed = command(tmp_path, "dispute", "list", store_url=url)
    assert "Li Na" in listed.stdout
    again = command(tmp_path, "evidence", "--held", "1", "--out", "held.zip", store_url=url)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "held.zip").read_bytes() == pack
    gone = command(tmp_path, "evidence", "a", "2024-05-01", store_url=url)
    assert (gone.returncode, "any more" in gone.stderr) == (2, True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE held SET pack = pack || '\\x00'")
    changed = command(tmp_path, "evidence", "--held", "1", store_url=url)
    assert (changed.returncode, "was changed in the store" in changed.stderr) == (2, True)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    target = tmp_path / "pack.zip"
    target.write_bytes(b"what was there")
    limited = (
        "import resource, signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from swept.errors import UserError\n"
        "from swept.evidence import write\n"
        f"try: write(Path({str(target)!r}), bytes(5000))\n"
        "except UserError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-B", "-c", limited], capture_output=True, text=True, check=False)
    assert (done.returncode, "nothing was written" in done.stderr) == (1, True), done.stderr
    assert target.read_bytes() == b"what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["pack.zip"]
    with pytest.raises(UserError, match="nothing was written"):
        write_file(tmp_path / "no" / "pack.zip", b"x")


def test_the_signing_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    home = {"SWEPT_HOME": str(tmp_path / "home")}
    first = signer(read_settings(home))
    path = tmp_path / "home" / "signing_key.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert signer(read_settings(home)).public_key == first.public_key
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    named = {"SWEPT_SIGNING_KEY": str(path), "SWEPT_HOME": str(tmp_path / "other")}
    assert signer(read_settings(named)).public_key == first.public_key
    path.write_bytes(b"no key")
    with pytest.raises(UserError, match="is no private key in PEM; set SWEPT_SIGNING_KEY"):
        signer(read_settings(named))
    with pytest.raises(UserError, match="No such file"):
        signer(read_settings(named | {"SWEPT_SIGNING_KEY": str(tmp_path / "none.pem")}))


def test_a_manifest_is_what_the_reader_takes_it_for(swept_once: World) -> None:
    manifest, _ = read(swept_once.pack("a"))
    assert isinstance(manifest, Manifest)
    assert (manifest.release, manifest.rule_version) == (RELEASE, swept_once.town.rule_version)
    assert manifest.map_version == swept_once.town.core.district.map_version
