from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from swept.errors import UserError
from swept.mqtt_probe import answers as answers_mqtt
from swept.settings import Settings, read_settings
from swept.supervisor import running
from swept.wiring import broker_url, connect, embedded, open_log, services, store_connection


def settings_of(home: Path, **values: str) -> Settings:
    given = {f"SWEPT_{name.upper()}": value for name, value in values.items()}
    return read_settings({"SWEPT_HOME": str(home), **given})


def answers(store_url: str) -> bool:
    try:
        with connect(store_url) as connection:
            return connection.execute("SELECT count(*) FROM checkpoint").fetchone() == (0,)
    except UserError:
        return False  # crash recovery takes its time


def test_without_urls_the_embedded_servers_start_are_joined_and_end(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with services(settings) as own:
        assert own.how.startswith("embedded")
        with services(settings) as joined, store_connection(settings) as connection:
            assert joined.how.startswith("joined")
            assert joined.store_url == own.store_url
            assert connection.execute("SELECT count(*) FROM street_day").fetchone() == (0,)
            assert broker_url(settings) == own.mqtt_url
        log = open_log(own)
        assert log.partitions > 0
        log.close()
        script = "from swept.wiring import *; from swept.settings import read_settings\n"
        script += "with services(read_settings()) as where: print(where.how)"
        environment = {**os.environ, "SWEPT_HOME": str(tmp_path)}
        other = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert other.stdout.startswith("joined")
    assert running(tmp_path) is None
    with pytest.raises(UserError, match="start swept ingest first"):
        broker_url(settings)


def test_a_store_and_a_broker_that_are_killed_come_back_where_they_were(tmp_path: Path) -> None:
    with embedded(tmp_path, mqtt_port=0) as (store_url, _, supervisor):
        before = supervisor.pids
        for name in ("store", "broker"):
            os.kill(before[name], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not {"store", "broker"} <= set(supervisor.restarts):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while not answers(store_url):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        found = running(tmp_path)
        assert found is not None
        assert found["programs"] == supervisor.pids
        assert set(before.values()).isdisjoint(supervisor.pids.values())


def test_a_broker_that_one_client_makes_deaf_to_all_others_is_started_again(tmp_path: Path) -> None:
    with embedded(tmp_path, mqtt_port=0) as (_, mqtt_url, supervisor):
        port = int(mqtt_url.rpartition(":")[2])
        before = supervisor.pids
        deadline = time.monotonic() + 60
        while answers_mqtt(port):  # rumqttd 0.20 panics over such an id when it comes again
            try_to_connect(port, "a/b")
            assert time.monotonic() < deadline
        assert "broker" not in supervisor.restarts, "it still runs, and that is the trouble"
        while "broker" not in supervisor.restarts or not answers_mqtt(port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert supervisor.pids["broker"] != before["broker"]
        assert supervisor.pids["store"] == before["store"]


def try_to_connect(port: int, client_id: str) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
    with contextlib.suppress(OSError):
        client.connect("127.0.0.1", port)
        while client.loop(0.5) == mqtt.MQTT_ERR_SUCCESS and not client.is_connected():
            pass
        client.disconnect()


@pytest.mark.parametrize("place", ["a file", "/proc/x", "/proc/version/x", "/" + "x" * 300])
def test_a_home_that_can_not_be_one_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").touch()
    with (
        pytest.raises(UserError, match=r"can't be the folder of the embedded servers .* set SWEPT_HOME"),
        services(settings_of(tmp_path / place)),
    ):
        pass


def test_a_store_without_the_schema_says_which_command_makes_it(tmp_path: Path) -> None:
    with embedded(tmp_path, mqtt_port=0) as (store_url, _, _):
        with connect(store_url) as connection:
            connection.execute("CREATE DATABASE bare")
        bare = store_url.replace("/postgres?", "/bare?")
        with (
            pytest.raises(UserError, match=r"the store lacks 0001_.*; run swept migrate first"),
            store_connection(settings_of(tmp_path, store_url=bare)),
        ):
            pass


def test_a_store_that_is_not_there_is_one_line_without_the_password(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, store_url="postgresql://swept:hunter2@127.0.0.1:1/swept")
    with pytest.raises(UserError, match="can't be reached") as caught, store_connection(settings):
        pass
    assert "hunter2" not in str(caught.value)
