"""The chain in the store: the same in any batches and after any kill, closed by time, signed and published."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime
from itertools import pairwise

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.signing import Signer, is_signed, new_key
from processing.chain import Chain, day_digest, link, payload_hash
from processing.service_day import day_start_us
from storage import chain as store
from streams.chain import extend
from streams.log import Envelope, Record, partition_of
from streams.table_log import TableLog
from streams.ticks import tick_keys, tick_topic, ticks
from streams.worker import Bounds, Worker
from swept.digests import Digests, digest_topic
from swept.embedded_broker import EmbeddedBroker
from tests.integration.small_files import Town
from tests.integration.small_world import (
    ROUND_M,
    START_US,
    Killed,
    clear,
    close_logs,
    drive,
    log_of,
    messages,
)
from tests.integration.test_ingest import Device, eventually, start_ingest
from tests.integration.test_ingest import records as in_log

ZONE = 0, "Asia/Shanghai"
LOG = "log-1"
DAYS = [day_start_us(date(2024, 5, day), *ZONE) for day in (1, 2, 3, 4, 5)]
MINUTE_US = 60_000_000


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    close_logs()


def records() -> list[Record]:
    """Two partitions over four days; in one of them nobody reports on May 3, and a clock is set back once."""
    rng = random.Random(7)
    found = []
    for partition in (0, 1):
        moments = [START_US + n * 37 * MINUTE_US for n in range(120)]
        moments = [m for m in moments if partition == 0 or not DAYS[2] <= m < DAYS[3]]
        moments.insert(70, DAYS[0])
        for offset, moment in enumerate(moments):
            envelope = Envelope(f"u{partition}", "swept/v1/test/u/fix", rng.randbytes(offset % 40), moment)
            found.append(Record(partition, offset, envelope))
    return found


def chained(connection: psycopg.Connection, batches: Sequence[Sequence[Record]]) -> list[tuple[object, ...]]:
    """All day heads and the newest heads after these batches."""
    connection.execute("TRUNCATE chain_head, day_head")
    for batch in batches:
        with connection.transaction():
            extend(connection, LOG, batch, ZONE)
    rows = connection.execute("SELECT * FROM day_head ORDER BY service_day, partition").fetchall()
    return [*rows, *sorted(store.newest(connection, LOG, [0, 1]).items())]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(cuts=st.lists(st.integers(0, 240), max_size=30), again=st.integers(0, 40))
def test_property_the_chain_does_not_depend_on_batches_nor_on_reading_again(
    connection: psycopg.Connection, cuts: list[int], again: int
) -> None:
    mine = sorted(records(), key=lambda record: (record.offset, record.partition))
    whole = chained(connection, [mine])
    bounds = sorted({0, *(cut for cut in cuts if cut < len(mine)), len(mine)})
    parts = [mine[low:high] for low, high in pairwise(bounds)]
    # Whoever goes back to an earlier position reads some records again.
    parts += [mine[again : again + 50]]
    assert chained(connection, parts) == whole


def test_a_day_is_the_stretch_that_the_first_record_after_its_end_closes(
    connection: psycopg.Connection,
) -> None:
    mine = records()
    chained(connection, [mine])
    days = store.closed_ranges(connection, LOG, [date(2024, 5, day) for day in range(1, 6)])
    assert [day.day for day in days] == [1, 2, 3]
    assert [one.partition for one in days[date(2024, 5, 3)]] == [0]
    for partition in (0, 1):
        ranges = [one for day in sorted(days) for one in days[day] if one.partition == partition]
        offset, head = 0, ranges[0].first_head
        for one in ranges:
            assert (one.first_offset, one.first_head) == (offset, head)
            offset, head = one.next_offset, one.head
        first = mine[partition * 121 + ranges[0].next_offset]
        assert first.partition == partition
        assert first.envelope.received_us >= DAYS[1]
    # Heads within closed days are gone: one at the start of the open day and the newest are left.
    left = connection.execute("SELECT partition, count(*) FROM chain_head GROUP BY 1 ORDER BY 1").fetchall()
    assert left == [(0, 2), (1, 2)]


def test_an_unknown_partition_or_none_at_all_changes_nothing(connection: psycopg.Connection) -> None:
    extend(connection, LOG, [], ZONE)
    assert store.newest(connection, LOG, [0, 1]) == {}
    assert store.open_ranges(connection, LOG) == {}


def test_the_chain_after_kills_at_any_step_is_that_of_an_undisturbed_run(
    store_url: str, connection: psycopg.Connection
) -> None:
    town = Town()
    envelopes = [one for n in range(1, 5) for one in messages(f"u{n}", drive(START_US, ROUND_M))]
    envelopes += [Envelope("u1", "swept/v1/test/u1/fix", b"refused", START_US + 86_400_000_000)]
    envelopes += ticks("test", 2, START_US + 3 * 86_400_000_000)
    question = "SELECT service_day, partition, first_offset, next_offset FROM day_head ORDER BY 1, 2"

    def run(kills: random.Random | None) -> tuple[object, ...]:
        clear(store_url)
        cores = town.load(connection)
        log = log_of(store_url, envelopes)

        def step(_: str) -> None:
            if kills is not None and kills.random() < 0.1:
                raise Killed

        ended, bounds = False, Bounds(records_max=7)
        while not ended:
            worker = Worker(
                store_url, log, town.core, town.rule_version, cores=cores, bounds=bounds, on_step=step
            )
            with suppress(Killed):
                worker.drain()
                ended = True
            worker.close()
        heads = store.newest(connection, log.log_id, [0, 1])
        expected = _heads_of(log)
        assert {partition: head.head for partition, head in heads.items()} == expected
        return tuple(connection.execute(question).fetchall())

    undisturbed = run(None)
    assert len(undisturbed) == 2, "one closed day of each partition"
    assert run(random.Random(3)) == undisturbed


def _heads_of(log: TableLog) -> dict[int, bytes]:
    """The heads worked out over the whole log at once."""
    heads: dict[int, bytes] = {}
    for record in log.read({0: 0, 1: 0}, 100_000):
        sent, one = record.envelope, Chain(log.log_id, record.partition)
        own = one.record_hash(
            record.offset, sent.key, sent.mqtt_topic, sent.received_us, payload_hash(sent.payload)
        )
        heads[record.partition] = link(heads.get(record.partition, one.start(0)), own)
    return heads


def test_ticks_reach_every_partition_and_are_no_dead_letters(
    store_url: str, connection: psycopg.Connection
) -> None:
    for partitions in (1, 2, 7, 64):
        assert [partition_of(key, partitions) for key in tick_keys(partitions)] == list(range(partitions))
    town = Town()
    cores = town.load(connection)
    log = log_of(store_url, ticks("test", 2, START_US))
    worker = Worker(store_url, log, town.core, town.rule_version, cores=cores)
    assert worker.drain() == 2
    worker.close()
    assert connection.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)
    assert len(store.open_ranges(connection, log.log_id)) == 2


def digests(
    store_url: str, broker: str, town: Town, log: TableLog, signer: Signer, said: list[str]
) -> Digests:
    where = log.log_id, log.partitions
    return Digests(store_url, broker, town.core.district, where, signer, said.append)


def test_a_day_is_signed_once_all_partitions_closed_it_and_its_digest_is_retained(
    store_url: str, connection: psycopg.Connection, broker: EmbeddedBroker
) -> None:
    town, signer, said = Town(), Signer(new_key()), list[str]()
    cores = town.load(connection)
    log = log_of(store_url, [*ticks("test", 2, DAYS[0]), *ticks("test", 2, DAYS[0] + MINUTE_US)])
    signing = digests(store_url, broker.url, town, log, signer, said)

    def work() -> None:
        worker = Worker(store_url, log, town.core, town.rule_version, cores=cores)
        worker.drain()
        worker.close()
        signing.step()

    log.append([one for one in ticks("test", 2, DAYS[1]) if partition_of(one.key, 2) == 0])
    work()
    assert connection.execute("SELECT count(*) FROM day_digest").fetchone() == (0,)
    log.append([one for one in ticks("test", 2, DAYS[1]) if partition_of(one.key, 2) == 1])
    work()
    work()
    rows = connection.execute(
        "SELECT service_day, digest, signature, published_at FROM day_digest"
    ).fetchall()
    ((day, digest, signature, published_at),) = rows
    ranges = store.closed_ranges(connection, log.log_id, [day])[day]
    assert (day, digest) == (date(2024, 5, 1), day_digest(log.log_id, "test", "2024-05-01", ranges))
    assert published_at is not None
    assert is_signed(signer.public_key, signature, digest)
    late = Device(broker.port, digest_topic("test"))
    try:
        assert eventually(lambda: bool(late.heard))
        told = json.loads(late.heard[0][1])
        assert told["digest"] == digest.hex()
        assert (told["day"], told["public_key"]) == ("2024-05-01", signer.public_key.hex())
    finally:
        late.close()


def test_a_broker_that_is_away_stops_nothing_and_is_told_of_the_day_later(
    store_url: str, connection: psycopg.Connection, broker: EmbeddedBroker
) -> None:
    town, signer, said = Town(), Signer(new_key()), list[str]()
    cores = town.load(connection)
    log = log_of(
        store_url, [*ticks("test", 2, DAYS[0]), *ticks("test", 2, DAYS[1]), *ticks("test", 2, DAYS[2])]
    )
    worker = Worker(store_url, log, town.core, town.rule_version, cores=cores)
    worker.drain()
    worker.close()
    away = digests(store_url, "mqtt://127.0.0.1:1", town, log, signer, said)
    away.step()
    away.step()
    assert sum("not published" in line for line in said) == 1
    question = "SELECT count(*), count(published_at) FROM day_digest"
    assert connection.execute(question).fetchone() == (2, 0)
    digests(store_url, broker.url, town, log, signer, said).step()
    assert connection.execute(question).fetchone() == (2, 2)
    late = Device(broker.port, digest_topic("test"))
    try:
        assert eventually(lambda: bool(late.heard))
        assert json.loads(late.heard[-1][1])["day"] == "2024-05-02"
    finally:
        late.close()


def test_a_silent_night_at_the_districts_clock_ticks_in_each_partition_without_a_flood(
    store_url: str, broker: EmbeddedBroker
) -> None:
    with ExitStack() as running:
        start_ingest(running, broker, store_url)
        one = Device(broker.port, "swept/v1/d/clock/ack")
        running.callback(one.close)
        clock = {"start": "2024-05-01T00:00:00Z", "rate": 1e6, "wall": datetime.now(UTC).isoformat()}

        def is_set() -> bool:
            one.send("swept/v1/d/clock", json.dumps(clock).encode(), retain=True)
            return bool(one.heard)

        assert eventually(is_set)
        # At this rate ten minutes of the district pass in less than a millisecond.
        assert eventually(lambda: len(in_log(store_url)) >= 12)
        found = in_log(store_url)
    assert {record.envelope.mqtt_topic for record in found} == {tick_topic("d")}
    assert {record.partition for record in found} == {0, 1, 2, 3}
    by_partition = [record.envelope.received_us for record in found if record.partition == 0]
    assert min(b - a for a, b in pairwise(by_partition)) >= 900_000 * 1e6 * 0.9
