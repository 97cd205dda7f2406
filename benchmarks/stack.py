"""All that carries a load on one machine: database, broker, log, ingestors and workers, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import psycopg

from processing.district import District
from swept import kafka_server, mosquitto_server
from swept.district import keep, read_folder
from swept.embedded_broker import EmbeddedBroker
from swept.embedded_postgres import EmbeddedPostgres
from swept.kafka_server import KafkaServer
from swept.mosquitto_server import MosquittoServer
from swept.wiring import Services, apply_migrations, make_topics, open_log

ROOT = Path(__file__).resolve().parent.parent
READY_S_MAX = 900.0
STOP_S_MAX = 60.0


@dataclass(slots=True)
class Stack:
    """What runs: URLs, and for each name the process ids that are counted under it."""

    folder: Path
    services: Services
    pids: dict[str, Callable[[], int | None]]
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    logs: list[IO[bytes]] = field(default_factory=list)

    @property
    def mqtt_port(self) -> int:
        """Of the broker."""
        return urlsplit(self.services.mqtt_url).port or 1883

    def open_log(self) -> Any:  # noqa: ANN401 - of either kind
        """The log, for who only looks."""
        return open_log(self.services)

    def start(self, name: str, role: str, options: Sequence[str] = ()) -> None:
        """Start a role as a process of its own that is watched."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SWEPT_")}
        environment |= {
            "SWEPT_STORE_URL": self.services.store_url,
            "SWEPT_MQTT_URL": self.services.mqtt_url,
            "SWEPT_HOME": str(self.folder / "home"),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        }
        if self.services.log_url is not None:
            environment["SWEPT_LOG_URL"] = self.services.log_url
        log = (self.folder / f"{name}.log").open("wb")
        self.logs.append(log)
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.watched", str(self.folder / f"{name}.json"), role, *options],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self.children[name] = child
        self.pids[name] = lambda: child.pid

    def watched(self, name: str) -> dict[str, Any]:
        """What a role has said of itself, or nothing yet."""
        try:
            found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def check(self) -> None:
        """End where a role has died, with its last words."""
        for name, child in self.children.items():
            if child.poll() is not None:
                words = (self.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()[-12:]
                raise SystemExit("\n".join([f"{name} ended with {child.returncode}:", *words]))

    def wait_ready(self, workers: Sequence[str]) -> None:
        """Return when all workers have made their core and begun."""
        deadline = time.monotonic() + READY_S_MAX
        while not all(self.watched(name).get("counts") for name in workers):
            self.check()
            if time.monotonic() > deadline:
                raise SystemExit(f"workers weren't ready within {READY_S_MAX:.0f} s; see {self.folder}.")
            time.sleep(0.2)

    def stop(self) -> None:
        """End all roles, workers and ingestors first."""
        for child in self.children.values():
            child.send_signal(signal.SIGTERM)
        for child in self.children.values():
            try:
                child.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for log in self.logs:
            log.close()


def full_is_missing() -> str | None:
    """What must be installed before the full form can run here."""
    return kafka_server.missing() or mosquitto_server.missing()


@contextmanager
def stack(folder: Path, form: str, district: District, city: Path, partitions: int) -> Iterator[Stack]:
    """Database, broker and log of a form ("full", "embedded"), with the district loaded; roles are started later."""
    with contextlib.ExitStack() as stack:
        postgres = EmbeddedPostgres(folder / "postgres")
        stack.callback(postgres.stop)
        store_url = postgres.start()
        log_url = None
        pids: dict[str, Callable[[], int | None]] = {"postgres": lambda: postgres.pid}
        if form == "full":
            broker: Any = stack.enter_context(MosquittoServer(folder / "mosquitto"))
            kafka = stack.enter_context(KafkaServer(folder / "kafka"))
            log_url = f"{kafka.url}/swept?partitions={partitions}"
            pids["kafka"] = lambda: kafka.pid
        else:
            broker = stack.enter_context(EmbeddedBroker())
        pids["broker"] = lambda: broker.pid
        services = Services(store_url, broker.url, form, log_url)
        with psycopg.connect(store_url, autocommit=True) as connection:
            apply_migrations(connection)
            keep(connection, district, read_folder(city))
        if log_url is not None:
            make_topics(log_url, check=False)
        open_log(services).close()  # makes the tables of the other one
        running = Stack(folder, services, pids)
        stack.callback(running.stop)
        yield running
