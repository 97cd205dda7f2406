"""What only the Kafka log promises: its topics, its group, and what becomes of it when brokers go."""

from __future__ import annotations

import contextlib
import gc
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from streams import kafka_log, kafka_topics
from streams.kafka_log import KafkaLog
from streams.kafka_topics import TopicsWrong
from streams.kafka_url import parse
from streams.log import Envelope, LogFull, LogRefused, LogTrimmed, LogUnavailable, Record, partition_of
from swept.child_server import free_port
from swept.kafka_server import KafkaServer
from tests.integration.test_log_contract import envelope, read_all

# The library leaves sockets of refused connections to the collector, and pytest hears of them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ALL = frozenset(range(4))
Open = Callable[..., KafkaLog]


@pytest.fixture
def opened(kafka_url: str) -> Iterator[Open]:
    """Opens the log of this test, as another process would."""
    with contextlib.ExitStack() as stack:

        def make(group: str | None = None, **bounds: Any) -> KafkaLog:
            return stack.enter_context(contextlib.closing(KafkaLog(kafka_url, group, **bounds)))

        yield make


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


def until(happened: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60.0
    while not happened():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


# Topics


def test_a_log_without_topics_says_which_are_missing_and_making_them_makes_it_one(kafka: KafkaServer) -> None:
    url = f"{kafka.url}/fresh{random.getrandbits(32)}?partitions=3"
    with pytest.raises(TopicsWrong, match=r"records is missing; .*state is missing"):
        KafkaLog(url)
    assert len(kafka_topics.make(parse(url))) == 2
    assert kafka_topics.make(parse(url)) == []
    with contextlib.closing(KafkaLog(url)) as log:
        assert log.partitions == 3


def test_a_setting_that_is_wrong_is_named_and_corrected(kafka_url: str) -> None:
    address = parse(kafka_url)
    with contextlib.closing(kafka_topics.admin(address)) as admin:
        day = {"retention.ms": "86400000"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, address.records, day)])
        with pytest.raises(TopicsWrong, match=r"records has retention\.ms=86400000, not -1"):
            KafkaLog(kafka_url)
        assert kafka_topics.make(address) == [f"topic {address.records}: retention.ms=-1"]
        assert kafka_topics.problems(admin, address) == []


def test_the_number_of_partitions_is_that_of_the_topic_or_it_is_no_address_of_it(kafka_url: str) -> None:
    with pytest.raises(TopicsWrong, match="has 4 partitions, not 5"):
        kafka_topics.make(parse(kafka_url.replace("partitions=4", "partitions=5")))
    with contextlib.closing(KafkaLog(kafka_url.partition("?")[0])) as log:
        assert log.partitions == 4


def test_a_log_that_was_made_anew_is_another(kafka_url: str, opened: Open) -> None:
    before = opened()
    before.append([envelope("a", 1)])
    address = parse(kafka_url)
    with contextlib.closing(kafka_topics.admin(address)) as admin:
        admin.delete_topics([address.records])
        until(lambda: address.records not in admin.list_topics())
    kafka_topics.make(address)
    assert opened().log_id != before.log_id


@pytest.mark.parametrize(
    "url",
    [
        "kafka://", "kafka://:9092", "kafka://a:b", "kafka://a:70000", "kafka://a/x/y", "kafka://a/../y",
        "kafka://a?partitions=0", "kafka://a?partitions=x", "kafka://a?size=1", "kafka://a,/x", "http://a",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse(url)


def test_an_address_may_name_brokers_a_prefix_and_who_asks() -> None:
    address = parse("kafka+ssl://me:p%40ss@a:1,b/city?partitions=8&replication=3")
    assert address.servers == ("a:1", "b:9092")
    assert (address.records, address.state) == ("city.records", "city.state")
    assert (address.partitions, address.replication, address.tls) == (8, 3, True)
    assert (address.user, address.password) == ("me", "p@ss")
    assert "p@ss" not in repr(address)


# Records


def test_a_record_that_no_broker_takes_is_refused_before_anything_is_sent(opened: Open) -> None:
    log = opened()
    largest = random.Random(1).randbytes((4 << 20) - 2_048)
    with pytest.raises(LogRefused, match="too large"):
        log.append([envelope("a", 1), Envelope("a", "t", bytes(4 << 20), 1)])
    assert sum(log.ends().values()) == 0
    log.append([Envelope("a", "t", largest, 1), envelope("a", 2), Envelope("a", "t", largest, 3)])
    assert [len(record.envelope.payload) for record in read_all(log, 3)] == [len(largest), 1, len(largest)]


@pytest.mark.parametrize("records_max", [500, 5_000])
def test_a_backlog_of_many_answers_is_read_to_its_end(opened: Open, records_max: int) -> None:
    log = opened(compression=None)
    envelopes = [Envelope(f"u{n % 97}", "t", bytes(250), n) for n in range(24_000)]
    for first in range(0, len(envelopes), 2_000):
        log.append(envelopes[first : first + 2_000])
    records = read_all(opened(), len(envelopes), records_max)
    assert sorted(record.envelope.received_us for record in records) == list(range(24_000))


def test_a_full_log_takes_more_once_it_is_trimmed(opened: Open) -> None:
    log, other = opened(records_max=3), opened()
    log.append([envelope("a", 1), envelope("a", 2), envelope("a", 3)])
    with pytest.raises(LogFull, match="3 at most"):
        log.append([envelope("a", 4)])
    partition = partition_of("a", 4)
    assert other.trim({partition: 2}) == 2
    until(lambda: not _is_full(log))
    assert log.ends()[partition] == 4
    with pytest.raises(LogTrimmed, match="no offset 1"):
        log.read({partition: 1}, 10)


def _is_full(log: KafkaLog) -> bool:
    try:
        log.append([envelope("a", 4)])
    except LogFull:
        return True
    return False


def test_a_position_beyond_the_end_is_told(opened: Open) -> None:
    with pytest.raises(LogTrimmed, match="has lost records"):
        opened().read({0: 7}, 10)


def test_acknowledgements_of_one_ingestor_are_known_to_the_others_at_once(opened: Open) -> None:
    first, second = opened(), opened()
    for seq in range(1, 6):
        first.append([envelope("a", seq)], {"a": seq, "车": seq})
        assert second.acks(["a", "车", "\ud800"]) == {"a": seq, "车": seq}
        second.append([], {"a": -seq})
        assert first.acks(["a"]) == {"a": -seq}


# The group


def test_members_share_the_partitions_and_those_that_stay_are_never_taken_away(opened: Open) -> None:
    first = opened("g")
    until(lambda: first.share() == ALL)
    seen: set[frozenset[int]] = set()
    second = opened("g")

    def shared() -> bool:
        seen.add(first.share())
        return len(second.share()) == 2

    until(shared)
    kept = first.share()
    assert kept | second.share() == ALL
    assert not kept & second.share()
    assert all(share >= kept for share in seen), "a partition that stayed was taken away meanwhile"
    second.close()
    until(lambda: first.share() == ALL)


def test_a_member_reads_and_is_waked_in_its_own_partitions(opened: Open) -> None:
    log, writer = opened("g"), opened()
    until(lambda: log.share() == ALL)
    positions = dict.fromkeys(log.share(), 0)
    assert log.read(positions, 100) == []
    returned = threading.Event()

    def wait() -> None:
        log.wait(60.0)
        returned.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    writer.append([envelope("a", 1)])
    assert returned.wait(30.0)
    waiting.join()
    assert [record.envelope for record in log.read(positions, 100)] == [envelope("a", 1)]


def test_waiting_ends_when_the_share_changes(opened: Open) -> None:
    first = opened("g")
    until(lambda: first.share() == ALL)
    second = opened("g")
    second.share()
    first.wait(60.0)
    assert first.share() != ALL


_MEMBER = """
import sys, time
from streams.kafka_log import KafkaLog
log = KafkaLog(sys.argv[1], "g")
while True:
    if len(log.share()) == 2:
        print("shares", flush=True)
    time.sleep(0.1)
"""


def test_the_partitions_of_a_killed_member_are_taken_over(kafka_url: str, opened: Open) -> None:
    survivor = opened("g")
    until(lambda: survivor.share() == ALL)
    command = [sys.executable, "-c", _MEMBER, kafka_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as member:
        assert member.stdout is not None
        heard: list[bytes] = []
        output = member.stdout
        listening = threading.Thread(target=lambda: heard.append(output.readline()))
        listening.start()
        until(lambda: len(survivor.share()) == 2 and bool(heard))
        listening.join()
        member.kill()
        member.wait()
    until(lambda: survivor.share() == ALL)


def test_a_worker_that_hangs_loses_its_partitions_and_joins_again(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.kafka_group.IDLE_S_MAX", 1.0)
    hung, other = opened("g"), opened("g")

    def shared() -> bool:
        return [len(log.share()) for log in (hung, other)] == [2, 2]

    until(shared)
    until(lambda: other.share() == ALL)
    with pytest.raises(LogUnavailable, match="nothing was asked"):
        hung.share()
    until(shared)


def test_what_the_group_committed_is_for_monitoring_and_nobody_goes_on_from_there(
    kafka_url: str, opened: Open
) -> None:
    log = opened("g")
    log.append([envelope("a", number) for number in range(20)])
    partition = TopicPartition(parse(kafka_url).records, partition_of("a", 4))
    until(lambda: log.share() == ALL)
    log.done({partition.partition: 15})
    asker = KafkaConsumer(
        bootstrap_servers=list(parse(kafka_url).servers), group_id="g", enable_auto_commit=False
    )
    with contextlib.closing(asker):
        until(lambda: bool(log.share()) and asker.committed(partition) == 15)
    log.close()
    again = opened("g")
    until(lambda: again.share() == ALL)
    assert len(again.read(dict.fromkeys(range(4), 0), 100)) == 20
    assert len(again.read({partition.partition: 17}, 100)) == 3


# Brokers go


def test_what_append_returned_for_survives_a_kill_of_the_broker_in_its_order(
    opened: Open, kafka: KafkaServer
) -> None:
    log, started, stopping = opened(), threading.Event(), threading.Event()
    done: list[int] = []

    def append() -> None:
        number = 0
        while not stopping.is_set():
            try:
                log.append([envelope(f"u{n}", number) for n in range(10)], {"u0": number})
            except LogUnavailable:
                continue
            done.append(number)
            number += 1
            started.set()

    appending = threading.Thread(target=append)
    appending.start()
    assert started.wait(60.0)
    kafka.kill()
    killed_at = len(done)
    kafka.ensure()
    until(lambda: len(done) > killed_at + 3)
    stopping.set()
    appending.join()
    reader = opened()
    records = read_all(reader, sum(reader.ends().values()))
    for key in (f"u{n}" for n in range(10)):
        numbers = [record.envelope.received_us for record in records if record.envelope.key == key]
        assert set(numbers) >= set(done)
        assert numbers == sorted(numbers)
    assert reader.acks(["u0"]) == {"u0": done[-1]}


def test_readers_and_members_outlive_a_broker(opened: Open, kafka: KafkaServer) -> None:
    log = opened("g")
    until(lambda: log.share() == ALL)
    log.append([envelope("a", 1)])
    positions = dict.fromkeys(range(4), 0)
    until(lambda: len(_read(log, positions)) == 1)
    kafka.kill()
    with pytest.raises(LogUnavailable):
        log.append([envelope("a", 2)])
    with pytest.raises(LogUnavailable):
        log.ends()
    kafka.ensure()
    opened().append([envelope("a", 3)])
    until(lambda: log.share() == ALL and len(_read(log, positions)) == 2)
    log.append([envelope("a", 4)])


def _read(log: KafkaLog, positions: dict[int, int]) -> list[Record]:
    try:
        return log.read(positions, 100)
    except LogUnavailable:
        return []


def test_a_failed_append_leaves_nothing_that_comes_later(
    opened: Open, kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_log, "DELIVERY_S_MAX", 6.5)
    log = opened()
    log.append([envelope("a", 1)])
    kafka.kill()
    for number in (2, 3):
        with pytest.raises(LogUnavailable):
            log.append([envelope("a", number)])
    kafka.ensure()
    opened().append([envelope("a", 5)])
    time.sleep(1.0)
    assert [record.envelope.received_us for record in read_all(opened(), 2)] == [1, 5]


def test_a_broker_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(LogUnavailable, match="can't be used now"):
        KafkaLog(f"kafka://127.0.0.1:{free_port()}/x")
