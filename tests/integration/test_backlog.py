"""Units that come back with what they buffered: live ones don't wait for them, and every figure is right in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from processing.decode import Directory, decode
from processing.pipeline import analyze
from storage import backlog as store
from storage.queries.corrections import corrections
from storage.queries.dead_letters import reasons
from storage.street_days import FIGURES
from streams.backlog import REPORTS_AT_ONCE, REPORTS_MAX
from streams.checkpoint import Fenced
from streams.log import Envelope, Record
from streams.table_log import TableLog
from streams.ticks import ticks
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
    results,
)

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
ROUNDS = 4
STEPS = (
    "read", "decode", "fence", "reports", "tracks", "unit_days", "figures", "checkpoint", "commit", "waited",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    close_logs()


def rounds(from_us: int, every_s: float = 1.0) -> list[dict[str, Any]]:
    """Two thousand fixes: a round every half an hour, a fix a second."""
    return [fix for n in range(ROUNDS) for fix in drive(from_us + n * HOUR_US // 2, ROUND_M, every_s=every_s)]


def live(unit_id: str, from_us: int) -> list[Envelope]:
    """A round as it is reported while it is driven, one fix a message."""
    fixes = drive(from_us, ROUND_M)
    return [message(unit_id, [fix], fix["time"] * 1_000 + SECOND_US) for fix in fixes]


def buffered(unit_id: str, from_us: int, away_us: int, size: int) -> list[Envelope]:
    """Rounds that are told all at once, `away_us` after their last fix, in messages of `size`."""
    fixes = rounds(from_us)
    at_us = fixes[-1]["time"] * 1_000 + away_us
    parts = [fixes[n : n + size] for n in range(0, len(fixes), size)]
    return [message(unit_id, part, at_us + n * 1_000) for n, part in enumerate(parts)]


def came_back(away_us: int, size: int) -> list[Envelope]:
    """u1 reports live while u2 and u3 come back; in the order in which all of it arrived."""
    last_us = rounds(START_US)[-1]["time"] * 1_000
    envelopes = [
        *buffered("u2", START_US, away_us, size),
        *buffered("u3", START_US, away_us, size),
        *live("u1", last_us + away_us - 250 * SECOND_US),
        *live("u2", last_us + away_us + 2 * SECOND_US),
    ]
    return sorted(envelopes, key=lambda one: one.received_us)


def worker_of(store_url: str, log: TableLog, records_max: int = 1_000, **options: Any) -> Worker:
    return Worker(store_url, log, core(), "rules-1", bounds=Bounds(records_max=records_max), **options)


def work(store_url: str, log: TableLog, records_max: int = 1_000) -> Worker:
    worker = worker_of(store_url, log, records_max)
    worker.drain()
    worker.close()
    return worker


def waiting(connection: psycopg.Connection, log: TableLog) -> store.Waiting:
    return store.waiting(connection, log.log_id)


def expected(envelopes: Sequence[Envelope]) -> list[tuple[Any, ...]]:
    """The street-days that `analyze` finds in the same reports."""
    directory = Directory.of(district())
    reports = [
        report
        for e in envelopes
        for report in decode(e.mqtt_topic, e.payload, e.received_us, directory).reports
    ]
    found = sorted(
        analyze(district(), reports).street_days, key=lambda f: (f.street_id, f.service_day, f.work)
    )
    return [
        tuple(list(v) if isinstance(v := getattr(f, name), tuple) else v for name in FIGURES) for f in found
    ]


@pytest.mark.parametrize("size", [1, 1_000])
@pytest.mark.parametrize("away_us", [60 * SECOND_US, 6 * HOUR_US, 3 * DAY_US])
def test_figures_are_those_of_analyze_however_late_they_come(
    store_url: str, connection: psycopg.Connection, away_us: int, size: int
) -> None:
    envelopes = came_back(away_us, size)
    log = log_of(store_url, envelopes)
    worker = work(store_url, log)
    assert worker.counts.put_off > 0
    assert worker.counts.records == len(envelopes)
    assert waiting(connection, log).records == 0
    rows = results(store_url)
    assert rows["street_day"]
    assert rows["street_day"] == expected(envelopes)
    clear(store_url)
    work(store_url, log_of(store_url, sorted(envelopes, key=lambda e: e.payload)), 10_000)
    assert results(store_url) == rows


def test_what_is_live_is_committed_before_what_waits(store_url: str, connection: psycopg.Connection) -> None:
    envelopes = came_back(6 * HOUR_US, 1_000)
    log = log_of(store_url, envelopes)
    worker = worker_of(store_url, log, 10_000)

    class Enough(Exception):  # noqa: N818
        pass

    def at_the_first_share(step: str) -> None:
        if step == "waited":
            raise Enough

    worker._on_step = at_the_first_share
    with pytest.raises(Enough):
        worker.step()
    rows = connection.execute("SELECT unit_id, count(*) FROM fix GROUP BY 1 ORDER BY 1").fetchall()
    assert rows == [("u1", len(live("u1", 0))), ("u2", len(live("u2", 0)))]
    assert waiting(connection, log).records == len(envelopes) - sum(count for _, count in rows)
    worker.close()


def test_a_few_late_reports_are_taken_in_as_they_come(store_url: str, connection: psycopg.Connection) -> None:
    fixes = drive(START_US, ROUND_M)
    assert len(fixes) <= REPORTS_AT_ONCE
    log = log_of(store_url, [message("u1", fixes, START_US + 6 * HOUR_US)])
    worker = worker_of(store_url, log)
    worker.step()
    assert worker.counts.put_off == 0
    assert connection.execute("SELECT count(*) FROM fix").fetchone() == (len(fixes),)
    worker.close()


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_a_step_neither_loses_nor_doubles_what_waits(store_url: str, step: str) -> None:
    envelopes = came_back(6 * HOUR_US, 500)
    work(store_url, log_of(store_url, envelopes), 10_000)
    reference = results(store_url)
    clear(store_url)
    log = log_of(store_url, envelopes)
    seen: list[str] = []

    def kill(name: str) -> None:
        seen.append(name)
        # Once in a batch of the log, once in a share of the backlog.
        if name == step and (step == "read" or "waited" in seen) and seen.count(step) % 3 == 2:
            raise Killed

    kills = 0
    while True:
        worker = worker_of(store_url, log, 100, on_step=kill)
        try:
            worker.drain()
        except Killed:
            kills += 1
            worker.close()
            continue
        worker.close()
        break
    assert kills > 0
    assert results(store_url) == reference


def test_a_stale_worker_cannot_process_what_another_took(store_url: str) -> None:
    envelopes = came_back(6 * HOUR_US, 500)
    log = log_of(store_url, envelopes)
    other_log = log_of(store_url, [])
    taken_by_another: list[dict[str, list[tuple[object, ...]]]] = []

    def overtake(step: str) -> None:
        if step == "waited" and not taken_by_another:
            work(store_url, other_log, 10_000)
            taken_by_another.append(results(store_url))

    # The log is at its end, so no position moves any more: the rows themselves tell.
    stale = worker_of(store_url, log, 10_000, on_step=overtake)
    with pytest.raises(Fenced):
        stale.drain()
    assert taken_by_another
    assert results(store_url) == taken_by_another[0]
    assert stale.drain() == 0
    stale.close()
    assert results(store_url)["street_day"] == expected(envelopes)


def test_a_worker_that_does_not_know_of_a_share_is_fenced_before_it_goes_on(store_url: str) -> None:
    # The share moved no position, and yet what the other remembers of the units is stale.
    envelopes = came_back(6 * HOUR_US, 500)
    log = log_of(store_url, envelopes)
    knows: list[Worker] = []

    def overtake(step: str) -> None:
        if step == "waited" and not knows:
            other = worker_of(store_url, log_of(store_url, []), 10_000)
            other.drain()
            knows.append(other)

    first = worker_of(store_url, log, 10_000, on_step=overtake)
    with pytest.raises(Fenced):
        first.drain()
    first.drain()
    more = live("u2", START_US + 9 * HOUR_US)
    log.append(more[: len(more) // 2])
    first.drain()
    log.append(more[len(more) // 2 :])
    with pytest.raises(Fenced):
        knows[0].step()
    knows[0].drain()
    knows[0].close()
    first.close()
    assert results(store_url)["street_day"] == expected([*envelopes, *more])


def test_what_waits_outlives_the_log(store_url: str) -> None:
    envelopes = came_back(3 * DAY_US, 500)
    log = log_of(store_url, envelopes)
    worker = worker_of(store_url, log, 10_000)
    worker.step()
    assert log.trim(log.ends()) == len(envelopes)
    worker.drain()
    worker.close()
    assert results(store_url)["street_day"] == expected(envelopes)


def test_a_day_is_not_closed_while_reports_that_came_in_time_wait(
    store_url: str, connection: psycopg.Connection
) -> None:
    envelopes = came_back(6 * HOUR_US, 100)
    log = log_of(store_url, envelopes)
    log.append(ticks("test", log.partitions, START_US + 2 * DAY_US))
    left: list[int] = []

    def look(step: str) -> None:
        if step == "closed":
            left.append(waiting(connection, log).records)

    worker = worker_of(store_url, log, 10_000, on_step=look)
    worker.step()
    assert waiting(connection, log).records > 0
    assert not left
    worker.drain()
    worker.close()
    assert left
    assert set(left) == {0}
    worked = [row for row in results(store_url)["street_day"] if row[9]]
    assert worked == expected(envelopes)


def test_what_comes_after_its_day_was_closed_restates_it(
    store_url: str, connection: psycopg.Connection
) -> None:
    log = log_of(store_url, live("u1", START_US))
    log.append(ticks("test", log.partitions, START_US + 2 * DAY_US))
    work(store_url, log)
    day = connection.execute("SELECT service_day FROM closed_day ORDER BY 1").fetchone()
    assert day is not None
    late = buffered("u2", START_US, 3 * DAY_US, 1_000)
    log.append([*late, *live("u1", START_US + 3 * DAY_US)])
    work(store_url, log)
    made = corrections(connection, day[0], day[0])
    assert {one.new.cause for one in made} == {"late data"}
    rows = results(store_url)["street_day"]
    of_day = [row for row in rows if row[1] == day[0]]
    assert of_day == [row for row in expected([*live("u1", START_US), *late]) if row[1] == day[0]]
    # Known when it was computed, not when what waited had come.
    assert connection.execute("SELECT count(*) FROM street_day WHERE known_us < begun_us").fetchone() == (0,)


def test_a_poison_record_that_waits_becomes_a_dead_letter_and_the_others_count(
    store_url: str, connection: psycopg.Connection
) -> None:
    good = came_back(6 * HOUR_US, 500)
    odd = [fix | {"speed_kmh": 13.0} for fix in drive(START_US + 5 * HOUR_US, ROUND_M, every_s=1.0)]
    poison = message("u2", odd, good[0].received_us)
    log = log_of(store_url, [*good[:3], poison, *good[3:]])
    worker = Worker(store_url, log, BrokenCore(district()), "rules-1")
    worker.drain()
    worker.close()
    assert reasons(connection) == {"bad_field": 1}
    assert waiting(connection, log).records == 0
    assert results(store_url)["street_day"] == expected(good)


def test_a_share_is_bounded_and_the_unit_that_waits_longest_goes_first(
    store_url: str, connection: psycopg.Connection
) -> None:
    log = log_of(store_url, [])
    rows = [
        store.Row(n % 2, n, f"u{1 + n % 2}", "t", b"x" * 10, START_US - n * SECOND_US, 100) for n in range(60)
    ]
    store.put(connection, log.log_id, rows)
    taken = store.first(connection, log.log_id, [0, 1], 1_000)
    # The last record of u2 came first.
    assert [(row.key, row.offset) for row in taken] == [("u2", n) for n in range(1, 21, 2)]
    heavy = store.Row(0, 99, "u3", "t", b"y", START_US - HOUR_US, REPORTS_MAX * 2)
    store.put(connection, log.log_id, [heavy])
    assert store.first(connection, log.log_id, [0, 1], 1_000) == [heavy]
    assert [row.key for row in store.first(connection, log.log_id, [1], 10_000)] == ["u2"] * 30
    assert store.remove(connection, log.log_id, [(0, 99), (0, 97), (1, 1)]) == 2
    assert store.remove(connection, log.log_id, [(0, 99)]) == 0


def test_records_that_wait_are_what_came_byte_for_byte(
    store_url: str, connection: psycopg.Connection
) -> None:
    envelope = buffered("u2", START_US, 6 * HOUR_US, 1_000)[0]
    log = log_of(store_url, [envelope, *live("u1", START_US + 8 * HOUR_US)])
    worker = worker_of(store_url, log)
    kept: list[Record] = []

    def look(step: str) -> None:
        if step == "waited":
            (row,) = store.first(connection, log.log_id, [0, 1], 1)
            kept.append(Record(row[0], row[1], Envelope(*row[2:6])))

    worker._on_step = look
    worker.step()
    worker.close()
    assert [one.envelope for one in kept] == [envelope]
