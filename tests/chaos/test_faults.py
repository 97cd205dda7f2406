"""The full form under faults of all kinds: nothing is lost, nothing counts twice, no figure differs.

Devices that keep their reports until `.../ack` names them play a shift, and one fault after the other is done
to the line. What is stored after that must be, to the byte, what a single worker makes of the same messages
undisturbed, and passes and figures what the core makes of them without any server.

`make chaos SEED=n FAULTS=200` draws the same faults and moments again; more than 40 are done in rounds of 40
with seeds n, n + 1 and so on, each on fresh servers. CHAOS_ONLY=poison chooses among the kinds with that name.
"""

from __future__ import annotations

import gc
import os
import random
import sys
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from processing.order import identity
from processing.pipeline import Core, analyze
from simulators.channel import Delivery
from simulators.device import Broker
from simulators.fleet import DistrictClock, Fleet, set_clock
from simulators.scenario import load_scenario
from simulators.scenario import play as simulate
from storage.migrate import migrate
from storage.versions import Versions
from streams.cores import Cores, Dated
from streams.kafka_reader import FOREIGN
from streams.log import Envelope
from streams.table_log import TableLog
from streams.worker import Worker
from swept import kafka_server, mosquitto_server
from swept.kernels import warm
from swept.playing import district_and_plan
from swept.process import keep_folder
from swept.settings import Settings, configs_folder
from swept.versions import rule_version
from tests.chaos import shim, tables
from tests.chaos.faults import MARK, wait_for
from tests.chaos.line import INGESTORS, Line
from tests.chaos.run import Run
from tests.conftest import on_database

FOLDER = configs_folder() / "zhanqian"
FAULTS = 200
ROUND = 40
RATE = 20.0
SETTLED_S_MAX = 120.0
RECOVERY_S_MAX = 10.0
#: Every seed that ever failed, and what it found: played again before new ones.
FAILED = {
    3: "a worker that was cut off within a COPY waited for the locks of what it had left on the server",
    4: "Kafka was started again while its disk was full, and lost its topics",
}


def say(line: str) -> None:
    print(line, file=sys.__stdout__, flush=True)


def rounds() -> list[tuple[int, int]]:
    """Seed and number of faults of each round."""
    given = os.environ.get("CHAOS_SEED")
    first = int(given) if given else random.SystemRandom().randrange(1_000_000)
    faults = int(os.environ.get("CHAOS_FAULTS") or FAULTS)
    again = [] if given else [(seed, ROUND) for seed in FAILED]
    return again + [(first + n, min(ROUND, faults - n * ROUND)) for n in range(-(-faults // ROUND))]


# Sockets of connections that were cut are left to the collector by the libraries, and pytest hears of them.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.chaos
@pytest.mark.timeout(6_000)
def test_nothing_that_counts_changes_whatever_fails() -> None:
    for lacking in (kafka_server.missing(), mosquitto_server.missing(), shim.missing()):
        if lacking:
            pytest.skip(lacking)
    for seed, faults in rounds():
        say(f"\nseed {seed}: {faults} faults (make chaos SEED={seed} FAULTS={faults} draws the same again)")
        play(seed, faults)
    gc.collect()  # while they are ignored: what is left until the session's end fails it


def play(seed: int, faults: int) -> None:
    """One round."""
    district, plan = district_and_plan(FOLDER)
    scenario = load_scenario(configs_folder() / "scenarios" / "shift.toml")
    played = simulate(district, replace(scenario, seed=seed), plan)
    deliveries = list(played.deliveries)
    core = Core(district)
    warm(core)  # so that no process needs the half a minute that it takes to compile
    with Line(f"chaos{seed}") as line:
        broker = Broker.of(line.broker.url)
        clock = DistrictClock.from_now(played.start_us, RATE)
        set_clock(broker, district.district_id, clock, 60.0, ingestors=INGESTORS)
        wait_for(lambda: line.ends() is not None, "the log doesn't answer")
        line.now_us = clock.now_us
        fleet = Fleet(broker, district.district_id, [u.unit_id for u in played.units], resend_s=5.0)
        run = Run(seed, faults, line, say, os.environ.get("CHAOS_ONLY", ""))
        run.beside(fleet, deliveries, clock)
        wait_for(lambda: line.committed() == line.ends(), "the figures don't come", SETTLED_S_MAX)
        say(run.summary())
        hold_against(line, core, deliveries)
    slow = [(one.name, one.recovery_s) for one in run.told if one.recovery_s >= RECOVERY_S_MAX]
    assert not slow, f"longer than {RECOVERY_S_MAX:.0f} s: {slow}"


def hold_against(line: Line, core: Core, deliveries: list[Delivery]) -> None:
    """What is stored against what the same messages give undisturbed."""
    expected = undisturbed(line.store.url, core, deliveries)
    reports, _ = tables.sent(core.district, deliveries)
    analysis = analyze(core.district, reports, core)
    with psycopg.connect(line.store.url, autocommit=True) as connection:
        found = tables.dumps(connection)
        stored = tables.identities(connection)
        passes, street_days = tables.passes(connection), tables.street_days(connection)
    wanted = {identity(report) for report in reports}
    lost, twice = wanted - set(stored), len(stored) - len(set(stored))
    say(
        f"{len(stored):,} reports stored: {len(lost)} lost, {twice} twice, {len(set(stored) - wanted)} never sent"
    )
    poison = [one for one in found["dead_letter"].lines if one not in set(expected["dead_letter"].lines)]
    say(f"{len(poison)} poison records are dead letters")
    for table, dump in found.items():
        if table != "dead_letter":
            same = "the same" if dump == expected[table] else f"NOT: {dump.difference(expected[table])}"
            say(f"{table:18} {len(dump.lines):6,} rows, SHA-256 {dump.sha256}, undisturbed: {same}")
    assert (len(lost), twice, len(set(stored) - wanted)) == (0, 0, 0)
    marks = (MARK.encode(), MARK.encode().hex().encode(), FOREIGN.encode())
    strange = [one[:300] for one in poison if not any(mark in one for mark in marks)]
    assert not strange
    assert set(expected["dead_letter"].lines) <= set(found["dead_letter"].lines)
    for table, dump in found.items():
        if table != "dead_letter":
            assert dump == expected[table], f"{table}: {dump.difference(expected[table])}"
            assert dump.lines or table == "equipment_interval"
    assert passes == sorted(analysis.passes, key=lambda p: (p.unit_id, p.track_start_us, p.ordinal))
    assert street_days == sorted(analysis.street_days, key=lambda f: (f.street_id, f.service_day, f.work))


def undisturbed(store_url: str, core: Core, deliveries: list[Delivery]) -> dict[str, tables.Dump]:
    """What a single worker makes of the same messages, in a database of its own."""
    name = "undisturbed"
    with psycopg.connect(store_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = on_database(store_url, name)
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(connection)
        keep_folder(connection, Settings(district=FOLDER))
        rules = rule_version(core.rules)
        dated = Dated(core, Versions(rules, core.district.map_version), 1)
        with closing(TableLog(url)) as log:
            log.append([Envelope(d.unit_id, d.mqtt_topic, d.payload, d.deliver_at_us) for d in deliveries])
            worker = Worker(url, log, core, rules, cores=Cores(dated, rule_version))
            worker.drain()
            worker.close()
        return tables.dumps(connection)
