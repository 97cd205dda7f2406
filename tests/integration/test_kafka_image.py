"""The Kafka of compose.yaml without its image: what the image's own program makes of the variables, started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from streams import kafka_topics, kafka_url
from swept import kafka_server
from swept.child_server import free_port
from swept.kafka_server import KafkaServer, jars
from tests.unit import test_compose as checked

ENV = {
    **dict.fromkeys(("API_ADDRESS", "MQTT_ADDRESS", "PROMETHEUS_ADDRESS"), "127.0.0.1:1"),
    **dict.fromkeys(("STORE_PASSWORD", "INGEST_PASSWORD", "WORKER_PASSWORD"), "x"),
    "DISTRICT": "./configs/zhanqian",
}


class Imaged(KafkaServer):
    """Kafka as its image starts it, with the places of a container replaced by those of a test."""

    def __init__(self, folder: Path, service: dict[str, Any]) -> None:
        super().__init__(folder)
        self.service = service

    def here(self, text: str) -> str:
        places = {
            "kafka:9": "127.0.0.1:9",
            "://:": "://127.0.0.1:",
            "9092": str(self.port),
            "9093": str(self.controller_port),
            "/var/lib/kafka/data": str(self._data),
        }
        for place, here in places.items():
            text = text.replace(place, here)
        return text

    def _properties(self) -> dict[str, str]:
        self.controller_port = free_port()
        given = {name: self.here(str(value)) for name, value in self.service["environment"].items()}
        folders = {name: self.folder / name for name in ("default", "mounted", "final")}
        for folder in folders.values():
            folder.mkdir()
        options = [part for name, path in folders.items() for part in (f"--{name}-configs-dir", str(path))]
        java = ["java", *given["KAFKA_HEAP_OPTS"].split(), *given["KAFKA_OPTS"].split()]
        for name in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
            (folders["default"] / name).touch()
        subprocess.run(
            [*java, "-cp", f"{jars()}/*", "kafka.docker.KafkaDockerWrapper", "setup", *options],
            env={**os.environ, "CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw", **given},
            check=True,
            capture_output=True,
        )
        lines = (folders["final"] / "server.properties").read_text(encoding="utf-8").split()
        return dict(line.split("=", 1) for line in lines)

    def is_healthy(self) -> bool:
        kind, *command = self.service["healthcheck"]["test"]
        assert kind == "CMD"
        here = [self.here(part) for part in command]
        return subprocess.run(here, check=False, capture_output=True).returncode == 0


def test_it_waits_for_room_before_it_starts(tmp_path: Path) -> None:
    shell, flag, script = checked.read(checked.filled(checked.TEXT, ENV))["services"]["kafka"]["command"]
    for place, here in (
        ("/var/lib/kafka/data", str(tmp_path)),
        ("/etc/kafka/docker/run", "echo started"),
        ("sleep 5", "sleep 0.1"),
    ):
        assert place in script
        script = script.replace(place, here)
    # A file of 8 KiB is the largest that fits, until another is said to.
    full = subprocess.Popen(
        [shell, flag, f"trap '' XFSZ; ulimit -f 8; {script}"], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert full.stderr is not None
    assert any(b"make room there" in line for line in full.stderr)
    full.kill()
    assert full.communicate()[0] == b""
    done = subprocess.run([shell, flag, script], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"started\n"
    assert not list(tmp_path.iterdir())


def test_the_variables_of_compose_make_a_kafka_that_starts_and_is_found_healthy(tmp_path: Path) -> None:
    if lacking := kafka_server.missing():
        pytest.skip(lacking)
    services = checked.read(checked.filled(checked.TEXT, ENV))["services"]
    log_url = services["worker"]["environment"]["SWEPT_LOG_URL"]
    with Imaged(tmp_path / "kafka", services["kafka"]) as server:
        address = kafka_url.parse(server.here(log_url))
        assert len(kafka_topics.make(address)) == 2
        assert server.is_healthy()
    assert not server.is_healthy()
