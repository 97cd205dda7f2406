"""The loop on a real PostgreSQL, killed at every step, fenced, poisoned, and fed in any order."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processing.decode import Directory, decode
from processing.pipeline import analyze
from processing.service_day import day_start_us
from storage.queries.corrections import corrections
from storage.queries.dead_letters import dead_letters, reasons
from storage.street_days import FIGURES
from streams.checkpoint import Fenced
from streams.log import Envelope, partition_of
from streams.table_log import TableLog
from streams.worker import Bounds, Worker
from tests.integration.small_world import (
    ROUND_M,
    START_US,
    BrokenCore,
    Killed,
    clear,
    close_logs,
    core,
    district,
    drive,
    log_of,
    message,
    messages,
    results,
    shuffled,
)

DAY = date(2024, 5, 1)
STEPS = (
    "read", "decode", "fence", "reports", "tracks", "figures", "unit_days", "checkpoint", "commit",
)  # fmt: skip
HOUR_US = 3_600_000_000
#: How many messages `shift` has.
MESSAGES = 92
MIDNIGHT_US = day_start_us(date(2024, 5, 2), 0, "Asia/Shanghai")


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    close_logs()


def shift() -> list[Envelope]:
    """u1 and u2 go two rounds each, u1 stands long in between; u3 goes one over midnight.

    u2 and u3 tell their equipment on a topic of its own, and u3's brush only before midnight.
    """
    out: list[Envelope] = []
    for number, unit_id in enumerate(("u1", "u2")):
        for start in (0, 1):
            fixes = drive(START_US + start * HOUR_US + number * 7_000_000, ROUND_M)
            if unit_id == "u2":
                fixes = _told_apart(out, unit_id, fixes)
            elif start == 0:
                last = fixes[-1]
                fixes += [last | {"time": last["time"] + n * 20_000, "speed_kmh": 0.0} for n in range(1, 50)]
            out += messages(unit_id, fixes)
    fixes = _told_apart(out, "u3", drive(MIDNIGHT_US - 200_000_000, ROUND_M))
    return out + messages("u3", fixes)


def _told_apart(out: list[Envelope], unit_id: str, fixes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fixes without equipment; statuses for the first 60 go to `out`, some of them off."""
    states = [
        {"time": fix["time"] + 1_000, "brush": n % 40 == 0} for n, fix in enumerate(fixes[:60]) if n % 20 == 0
    ]
    out += [message(unit_id, [state], START_US + 24 * HOUR_US, "equipment") for state in states]
    return [{key: value for key, value in fix.items() if key != "equipment"} for fix in fixes]


def work(store_url: str, log: TableLog, records_max: int = 10_000, **options: Any) -> Worker:
    worker = Worker(store_url, log, core(), "rules-1", bounds=Bounds(records_max=records_max), **options)
    worker.drain()
    worker.close()
    return worker


def test_what_the_worker_stores_is_what_the_core_says_of_the_same_reports(store_url: str) -> None:
    directory = Directory.of(district())
    envelopes = shift()
    reports = [
        report
        for e in envelopes
        for report in decode(e.mqtt_topic, e.payload, e.received_us, directory).reports
    ]
    analysis = analyze(district(), reports)
    work(store_url, log_of(store_url, envelopes))
    stored = results(store_url)
    assert analysis.street_days
    assert {figures.street_id for figures in analysis.street_days} == {"a", "b", "c"}
    expected = [
        tuple(list(v) if isinstance(v := getattr(f, name), tuple) else v for name in FIGURES)
        for f in sorted(analysis.street_days, key=lambda f: (f.street_id, f.service_day, f.work))
    ]
    assert stored["street_day"] == expected
    identities = [
        (p.unit_id, p.track_start_us, p.ordinal) for p in analysis.passes if p.street_id != "avenue"
    ]
    assert [row[:3] for row in stored["pass"] if row[3] != "avenue"] == sorted(identities)


@pytest.mark.parametrize("seed", range(6))
def test_any_order_copies_batches_and_kills_give_the_same_rows(store_url: str, seed: int) -> None:
    rng = random.Random(seed)
    reference = _reference(store_url)
    kills = 0

    def kill(_: str) -> None:
        nonlocal kills
        if kills < 25 and rng.random() < 0.15:
            kills += 1
            raise Killed

    clear(store_url)
    log = log_of(store_url, shuffled(shift(), rng))
    while True:
        worker = Worker(
            store_url, log, core(), "rules-1", bounds=Bounds(records_max=rng.choice([2, 6, 20])), on_step=kill
        )
        try:
            worker.drain()
        except Killed:
            worker.close()
            continue
        worker.close()
        break
    assert kills > 0, f"seed {seed} killed nothing"
    assert results(store_url) == reference, f"seed {seed}"


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    order=st.permutations(range(MESSAGES)),
    copies=st.lists(st.integers(0, MESSAGES - 1), max_size=15),
    records_max=st.integers(2, 40),
    kills=st.sets(st.integers(1, 60), max_size=8),
)
def test_property_rows_depend_on_the_set_of_reports_alone(
    store_url: str, order: list[int], copies: list[int], records_max: int, kills: set[int]
) -> None:
    envelopes = shift()
    assert len(envelopes) == MESSAGES
    clear(store_url)
    reference = _reference(store_url)
    clear(store_url)
    log = log_of(store_url, [envelopes[n] for n in (*order, *copies)])
    steps = 0

    def kill(_: str) -> None:
        nonlocal steps
        steps += 1
        if steps in kills:
            raise Killed

    ended = False
    while not ended:
        worker = Worker(
            store_url, log, core(), "rules-1", bounds=Bounds(records_max=records_max), on_step=kill
        )
        with contextlib.suppress(Killed):
            worker.drain()
            ended = True
        worker.close()
    assert results(store_url) == reference
    close_logs()


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_a_step_neither_loses_nor_doubles_anything(store_url: str, step: str) -> None:
    reference = _reference(store_url)
    clear(store_url)
    log = log_of(store_url, shift())
    seen: list[str] = []

    def kill(name: str) -> None:
        seen.append(name)
        if name == step and seen.count(step) == 2:
            raise Killed

    worker = Worker(store_url, log, core(), "rules-1", bounds=Bounds(records_max=20), on_step=kill)
    with pytest.raises(Killed):
        worker.drain()
    worker.close()
    survivor = work(store_url, log)
    assert survivor.counts.records > 0
    assert results(store_url) == reference


def test_a_zombie_that_lost_its_partition_commits_nothing_and_then_goes_on(store_url: str) -> None:
    envelopes = shift()
    log = log_of(store_url, envelopes)
    zombie = Worker(store_url, log, core(), "rules-1", bounds=Bounds(records_max=5))
    zombie.step()
    work(store_url, log)
    before = results(store_url)
    with pytest.raises(Fenced):
        zombie.step()
    assert results(store_url) == before
    assert zombie.step() == 0
    zombie.close()


def test_two_workers_on_one_street_both_count(store_url: str) -> None:
    # Both are inside their transactions before either commits: the later one must wait for the earlier
    # one's lock on the street-day and see its pass.
    names = [f"u{n}" for n in range(1, 5)]
    first = next(n for n in names if partition_of(n, 2) == 0)
    second = next(n for n in names if partition_of(n, 2) == 1)
    log = log_of(
        store_url,
        [
            *messages(first, drive(START_US, ROUND_M)),
            *messages(second, drive(START_US + 2 * HOUR_US, ROUND_M)),
        ],
    )
    both = threading.Barrier(2, timeout=30)

    def meet(step: str) -> None:
        if step == "tracks":
            both.wait()

    workers = [
        Worker(store_url, log, core(), "rules-1", partitions=[partition], on_step=meet)
        for partition, one in ((0, log), (1, log_of(store_url, [])))
    ]
    core()
    threads = [threading.Thread(target=worker.step) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for worker in workers:
        worker.close()
    figures = {row[0]: row for row in results(store_url)["street_day"]}
    assert figures["a"][3] == 2
    assert figures["a"][9] == 2


def test_a_late_fix_restates_its_street_days_and_keeps_what_they_were(
    store_url: str, connection: psycopg.Connection
) -> None:
    fixes = drive(START_US, ROUND_M)
    log = log_of(store_url, messages("u1", [*fixes[:20], *fixes[80:]]))
    log.append(messages("u1", drive(START_US + 2 * HOUR_US, ROUND_M)))
    work(store_url, log)
    assert corrections(connection, DAY, DAY) == []
    log.append(messages("u1", fixes[20:80]))
    work(store_url, log)
    made = corrections(connection, DAY, DAY)
    assert {one.new.cause for one in made} == {"late data"}
    changed = {one.key.street_id: one for one in made if not one.key.shift_id}
    assert "a" in changed
    old, new = changed["a"].old, changed["a"].new
    assert old is not None
    assert (old.recorded.figures.frequency, new.recorded.figures.frequency) == (1, 2)
    late = results(store_url)
    clear(store_url)
    again = log_of(
        store_url, [*messages("u1", fixes), *messages("u1", drive(START_US + 2 * HOUR_US, ROUND_M))]
    )
    work(store_url, again)
    assert results(store_url) == late


def test_bad_messages_become_dead_letters_once_and_good_ones_beside_them_count(
    store_url: str, connection: psycopg.Connection
) -> None:
    fixes = drive(START_US, ROUND_M)
    bad: list[dict[str, object]] = [{"time": fixes[0]["time"], "lon": 0, "lat": 0}]
    log = log_of(store_url, [message("u1", [*fixes, *bad], START_US + 24 * HOUR_US)])
    log.append([Envelope("u1", "swept/v1/test/u1/fix", b"\x00 not json", START_US)])
    log.append([Envelope("ghost", "swept/v1/test/ghost/fix", b"{}", START_US)])
    work(store_url, log)
    assert reasons(connection) == {"not_json": 1, "null_island": 1, "unknown_unit": 1}
    assert connection.execute("SELECT count(*) FROM fix").fetchone() == (len(fixes),)
    connection.execute("UPDATE checkpoint SET next_offset = 0")
    work(store_url, log)
    assert reasons(connection) == {"not_json": 1, "null_island": 1, "unknown_unit": 1}
    assert connection.execute("SELECT count(*) FROM fix").fetchone() == (len(fixes),)


def test_of_two_reports_with_one_identity_the_same_one_counts_in_any_order(
    store_url: str, connection: psycopg.Connection
) -> None:
    fix = drive(START_US, ROUND_M)[0]
    rivals = [message("u1", [fix | {"speed_kmh": speed}], START_US) for speed in (3.0, 4.0)]
    kept = []
    for order in (rivals, rivals[::-1]):
        for batch in (2, 10):
            clear(store_url)
            work(store_url, log_of(store_url, order), records_max=batch)
            kept.append(connection.execute("SELECT speed_kmh FROM fixes").fetchall())
            assert reasons(connection) == {"conflict": 1}
    assert all(one == kept[0] for one in kept)
    assert len(kept[0]) == 1


def _rivals() -> tuple[bytes, list[Envelope]]:
    """Two messages whose second reports conflict, and the bytes of the one that loses."""
    early, late = drive(START_US, ROUND_M)[:2]
    texts = [json.dumps(late | {"speed_kmh": speed}, indent=2).encode() for speed in (3.0, 4.0)]
    payloads = [b"[{}, " + json.dumps(early).encode() + b" ,\n" + text + b"]" for text in texts]
    return texts[1], [Envelope("u1", "swept/v1/test/u1/fix", one, START_US + HOUR_US) for one in payloads]


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("turn", [1, -1])
def test_a_conflict_keeps_the_losers_own_bytes_and_topic(
    store_url: str, connection: psycopg.Connection, turn: int, batches: int
) -> None:
    loser, envelopes = _rivals()
    log = log_of(store_url, [])
    for envelope in envelopes[::turn]:
        log.append([envelope])
        if batches == 2:  # one of them is committed before the other comes
            work(store_url, log)
    work(store_url, log)
    (letter,), _ = dead_letters(connection, 10, "conflict")
    assert (letter.payload, letter.mqtt_topic) == (loser, "swept/v1/test/u1/fix")


def test_a_conflict_that_the_log_has_no_more_keeps_its_content_and_topic(
    store_url: str, connection: psycopg.Connection
) -> None:
    loser, (winner, first) = _rivals()
    log = log_of(store_url, [first])
    work(store_url, log)
    log.append([winner])
    log.trim({partition: max(end - 1, 0) for partition, end in log.ends().items()})
    work(store_url, log)
    (letter,), _ = dead_letters(connection, 10, "conflict")
    assert letter.mqtt_topic == "swept/v1/test/u1/fix"
    assert letter.payload != loser
    assert json.loads(letter.payload)["speed_kmh"] == json.loads(loser)["speed_kmh"]


def test_a_record_that_the_core_fails_on_becomes_a_dead_letter_and_the_line_goes_on(
    store_url: str, connection: psycopg.Connection
) -> None:
    good = messages("u1", drive(START_US, ROUND_M))
    odd = drive(START_US + 3 * HOUR_US, ROUND_M)[0] | {"speed_kmh": 13.0}
    poison = message("u1", [odd], START_US + 24 * HOUR_US)
    log = log_of(store_url, [*good[:9], poison, *good[9:]])
    worker = Worker(store_url, log, BrokenCore(district()), "rules-1")
    worker.drain()
    worker.close()
    letters, _ = dead_letters(connection, 10)
    assert [letter.payload for letter in letters] == [poison.payload]
    assert "thirteen" in letters[0].detail
    stored = results(store_url)
    clear(store_url)
    work(store_url, log_of(store_url, good))
    assert results(store_url) == stored


def test_a_status_of_another_day_does_not_disturb_and_presence_is_kept(
    store_url: str, connection: psycopg.Connection
) -> None:
    log = log_of(
        store_url, [Envelope("u1", "swept/v1/test/u1/online", state, START_US) for state in (b"1", b"0")]
    )
    work(store_url, log)
    assert connection.execute("SELECT unit_id, online FROM unit_online").fetchall() == [("u1", False)]


def test_a_worker_that_lost_its_connection_connects_anew_and_rereads(store_url: str) -> None:
    reference = _reference(store_url)
    clear(store_url)
    log = log_of(store_url, shift())
    broken = False

    def cut(step: str) -> None:
        nonlocal broken
        if step == "tracks" and not broken:
            broken = True
            with psycopg.connect(store_url, autocommit=True) as other:
                other.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()"""
                )

    worker = Worker(store_url, log, core(), "rules-1", bounds=Bounds(records_max=20), on_step=cut)
    ends = sum(log.ends().values())
    worker.run(lambda: worker.counts.records >= ends, wait_s=0)
    worker.close()
    assert worker.counts.reconnects >= 1
    assert results(store_url) == reference


def _reference(store_url: str) -> dict[str, list[tuple[object, ...]]]:
    """The rows of the undisturbed run: all records in order in one batch."""
    work(store_url, log_of(store_url, shift()))
    rows = results(store_url)
    assert rows["pass"]
    assert rows["street_day"]
    return rows
