from pathlib import Path

import numpy as np
import pytest

from benchmarks.city import City, Plan, encode, payloads
from benchmarks.generator import Job
from processing.decode import Directory, decode
from processing.district import District
from processing.service_day import US
from swept.district import load_folder


@pytest.fixture(scope="module")
def city() -> City:
    return City(40)


@pytest.fixture(scope="module")
def district(city: City, tmp_path_factory: pytest.TempPathFactory) -> District:
    folder = tmp_path_factory.mktemp("city")
    city.write_folder(folder)
    return load_folder(folder)


def test_a_city_is_a_district_that_can_be_loaded_with_streets_for_all_its_units(district: District) -> None:
    assert len(district.units) == 40
    assert len(district.streets) == 4 * 144


@pytest.mark.parametrize("fixes", [1, 50])
def test_each_packet_holds_a_message_that_is_accepted_and_measured_last_when_it_is_sent(
    city: City, district: District, tmp_path: Path, fixes: int
) -> None:
    plan = encode(city, tmp_path / "packets", fixes, before=2, periods=3, each=20)
    directory = Directory.of(district)
    packets = plan.open()
    assert packets.shape == (2, 60, plan.packet_bytes)
    for connection in range(2):
        for number in range(60):
            period, slot = divmod(number, 20)
            topic, payload = published(packets[connection, number].tobytes(), number + 1)
            assert topic.split("/")[3] == plan.units_of(connection)[slot]
            sent_us = city.start_us + 1_000 * plan.phase_ms(connection, slot)
            sent_us += US * ((plan.before + period + 1) * fixes - 1)
            found = decode(topic, payload, sent_us, directory)
            assert not found.rejections
            assert len(found.reports) == fixes
            assert found.reports[-1].fix_time_us == sent_us


def published(packet: bytes, mid: int) -> tuple[str, bytes]:
    """Topic and payload of an MQTT 5 PUBLISH at QoS 1 without properties."""
    assert packet[0] == 0x32
    at = 1
    while packet[at] & 0x80:
        at += 1
    topic_bytes = int.from_bytes(packet[at + 1 : at + 3], "big")
    rest = packet[at + 3 :]
    topic, head = rest[:topic_bytes].decode(), rest[topic_bytes : topic_bytes + 3]
    assert head == mid.to_bytes(2, "big") + b"\0"
    return topic, rest[topic_bytes + 3 :]


def test_what_is_sent_is_what_the_unit_measured(city: City, district: District) -> None:
    sent = city.units[0]
    rows = city.reports(sent, 0, 100)
    (payload,) = payloads(city, sent, 0, 0, 100, 100)
    topic = f"swept/v1/{district.district_id}/{sent.unit_id}/fix"
    found = decode(topic, payload.tobytes(), city.start_us + 100 * US, Directory.of(district)).reports
    np.testing.assert_allclose([one.lon for one in found], rows.lon, atol=6e-8)
    np.testing.assert_allclose([one.lat for one in found], rows.lat, atol=6e-8)
    assert [one.speed_kmh for one in found] == pytest.approx(rows.speed_kmh.tolist(), abs=0.051)


def test_no_unit_is_asked_for_more_than_its_shift(city: City) -> None:
    with pytest.raises(SystemExit, match="a shift has 28"):
        city.reports(city.units[0], 28_000, 2_000)


def test_a_plan_survives_being_written(city: City, tmp_path: Path) -> None:
    plan = encode(city, tmp_path / "packets", 1, before=0, periods=1, each=20)
    job = Job(plan, 1883, "zhanqian", 2, 0, 1, 1.0, 0.0)
    job.write(tmp_path / "job.json")
    assert Job.read(tmp_path / "job.json") == job
    assert isinstance(job.plan, Plan)
