from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from processing.service_day import US
from simulators.channel import Channel
from simulators.device import Broker, Device
from simulators.fleet import ClockError, DistrictClock, Fleet, Outcome, Progress, set_clock
from simulators.outbox import Outbox
from simulators.receiver import Reception
from simulators.scenario import Run, Scenario, play
from swept.embedded_broker import EmbeddedBroker
from tests.integration.memory_log import memory_log
from tests.unit.simulators.grid import grid

UNITS = ("u1", "u2", "b1")


@pytest.fixture(scope="module")
def run() -> Run:
    channel = Channel(loss_share=0.02, duplicate_share=0.05, reorder_share=0.05, outages_per_h=4.0)
    reception = Reception(fix_interval_s=10.0, equipment="topic")
    return play(grid(), Scenario(shift_end_s=7 * 3_600, channel=channel, reception=reception))


def played(
    broker: Broker,
    run: Run,
    told: Callable[[Progress], None] | None = None,
    *,
    resend_s: float = 30.0,
    settle_s: float = 20.0,
    rate: float = 1_800.0,
) -> Outcome:
    clock = DistrictClock.from_now(run.start_us, rate)
    set_clock(broker, "grid", clock)
    fleet = Fleet(broker, "grid", UNITS, resend_s=resend_s, settle_s=settle_s)
    return fleet.play(run.deliveries, clock, told)


def all_seqs(run: Run) -> dict[str, set[int]]:
    return {unit: {r["seq"] for r in run.reports if r["unit"] == unit} for unit in UNITS}


def test_a_fleet_delivers_every_report_and_says_when_units_are_on_and_off(
    broker: EmbeddedBroker, run: Run
) -> None:
    address = Broker.of(broker.url)
    seen: list[Progress] = []
    with memory_log(address) as log:
        outcome = played(address, run, seen.append)
        log.wait_online("u1", b"1")
        log.wait_online("u1", b"0")
        assert log.seqs == all_seqs(run)
        assert log.messages > len({(d.unit_id, d.seq) for d in run.deliveries})  # copies came too
    assert outcome.complete
    assert outcome.connects == len(UNITS)
    assert outcome.acknowledged == outcome.sent
    assert seen[-1].acknowledged == outcome.acknowledged
    assert seen[-1].now_us > run.start_us


def test_what_a_killed_broker_held_is_sent_again(broker: EmbeddedBroker, run: Run) -> None:
    address = Broker.of(broker.url)
    kills: list[int] = []

    def kill_twice(now: Progress) -> None:
        due = now.acknowledged > (len(kills) + 1) * 100 and now.connected == len(UNITS)
        if len(kills) < 2 and due:
            kills.append(now.sent - now.acknowledged)
            broker.kill()
            broker.start()

    with memory_log(address) as log:
        outcome = played(address, run, kill_twice, resend_s=2.0, rate=900.0)
        assert log.seqs == all_seqs(run)
    assert len(kills) == 2
    assert outcome.complete
    assert outcome.connects >= 3 * len(UNITS)


def test_reports_that_nobody_made_durable_are_sent_again_until_they_are(
    broker: EmbeddedBroker, run: Run
) -> None:
    address = Broker.of(broker.url)
    with memory_log(address, deaf=5) as log:
        outcome = played(address, run, resend_s=0.5)
        assert log.seqs == all_seqs(run)
    assert outcome.complete
    assert outcome.resent > 0


def test_without_acknowledgements_the_outcome_says_what_is_left(broker: EmbeddedBroker, run: Run) -> None:
    address = Broker.of(broker.url)
    with memory_log(address, acknowledges=False):
        outcome = played(address, run, settle_s=0.5)
    assert not outcome.complete
    assert outcome.acknowledged == 0
    firsts = {(d.unit_id, d.seq) for d in run.deliveries}
    assert sum(outcome.unacknowledged.values()) == len(firsts)


def test_a_unit_that_vanishes_is_off_by_its_last_will_and_comes_back(broker: EmbeddedBroker) -> None:
    address = Broker.of(broker.url)
    with memory_log(address) as log:
        device = Device(address, "grid", "u1", Outbox())
        _drive(device, until=lambda: ("u1", b"1") in log.presence)
        waiting = device.socket()
        assert waiting is not None
        waiting[0].shutdown(socket.SHUT_RDWR)
        log.wait_online("u1", b"0")
        _drive(device, until=lambda: device.connects == 2)
        device.close()


def _drive(device: Device, until: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 15.0
    while not until():
        assert time.monotonic() < deadline_s, device.fault
        device.tick()
        device.write()
        device.read()
        time.sleep(0.01)


def test_a_clock_that_nobody_takes_is_an_error_that_says_what_to_start(broker: EmbeddedBroker) -> None:
    clock = DistrictClock.from_now(1_780_000_000 * US, 60.0)
    with pytest.raises(ClockError, match="start swept ingest"):
        set_clock(Broker.of(broker.url), "grid", clock, echo_s_max=0.3)
    port = broker.port
    broker.stop()
    with pytest.raises(ClockError, match="no MQTT broker"):
        set_clock(Broker("127.0.0.1", port), "grid", clock)


@pytest.mark.parametrize("url", ["localhost", "http://localhost", "mqtt://"])
def test_a_url_that_is_no_broker_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="mqtt://host:1883"):
        Broker.of(url)


def test_a_brokers_password_is_never_shown() -> None:
    broker = Broker.of("mqtts://me:s%20ecret@example.org")
    assert (broker.port, broker.tls, broker.password) == (8883, True, "s ecret")
    assert "ecret" not in repr(broker)
