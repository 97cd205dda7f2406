"""The full form on one machine, with proxies between its processes and shims below its servers.

    devices ── broker ◀─proxy─ ingestors ─proxy─▶ Kafka ◀─proxy─ workers ─proxy─▶ store ◀── api

Each process is one of its own and comes back by itself when it dies, as under any service manager.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import psycopg

from storage.migrate import migrate
from storage.queries.status import positions
from streams.log import Log, LogUnavailable
from swept.child_server import ChildServer, free_port
from swept.embedded_postgres import EmbeddedPostgres
from swept.kafka_server import KafkaServer
from swept.mosquitto_server import MosquittoServer
from swept.settings import configs_folder
from swept.supervisor import Adopted, Program, Supervisor
from swept.wiring import Services, open_log
from tests.chaos import shim
from tests.chaos.proxy import Loop, Proxy

INGESTORS, WORKERS = 3, 3
LINKS = ("ingest-broker", "ingest-log", "worker-log", "worker-store")
SHIMS = ("store", "log", "ingest", "worker")
SERVERS = ("store", "broker", "log")
READY_S_MAX = 90.0
CONNECT_S_MAX = 2


class _Postgres(EmbeddedPostgres):
    """One that has a shim below it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._more = dict(environment)

    def _as_owner(self, cwd: Path) -> dict[str, Any]:
        found = super()._as_owner(cwd)
        return found | {"env": found["env"] | self._more}


class _Kafka(KafkaServer):
    """One that has a shim below it, and a listener behind each proxy: clients go where it says it is."""

    def __init__(self, folder: Path, environment: Mapping[str, str], doors: Mapping[str, int]) -> None:
        super().__init__(folder)
        self._more, self._doors = dict(environment), dict(doors)
        self.behind = {name: free_port() for name in doors}

    def _properties(self) -> dict[str, str]:
        told = super()._properties()
        names = {name: f"DOOR{number}" for number, name in enumerate(self._doors)}
        for name, door in names.items():
            told["listeners"] += f",{door}://127.0.0.1:{self.behind[name]}"
            told["advertised.listeners"] += f",{door}://127.0.0.1:{self._doors[name]}"
        plain = ("PLAINTEXT", "CONTROLLER", *names.values())
        return told | {"listener.security.protocol.map": ",".join(f"{one}:PLAINTEXT" for one in plain)}

    def _environment(self) -> dict[str, str]:
        return super()._environment() | self._more


class Line:
    """All of it, running for as long as the context does; `topic` tells this run's topics from another's."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.now_us: Callable[[], int] = lambda: time.time_ns() // 1_000
        """The district's clock, once it is set."""
        self._stack = contextlib.ExitStack()
        self._reader: Log | None = None
        self._store: psycopg.Connection[Any] | None = None
        self.api_port = free_port()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        # Not pytest's tmp_path: as root that is closed to the user whom PostgreSQL runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="swept-chaos-"))
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.chmod(0o711)
        library = shim.build(self.folder)
        self.shims = {name: shim.Shim(library, self.folder / f"{name}.shim") for name in SHIMS}
        loop = Loop()
        stack.callback(loop.close)
        self.links = {name: stack.enter_context(Proxy(loop, name)) for name in LINKS}
        self.store = _Postgres(self.folder / "postgres", self.shims["store"].environment)
        stack.callback(self.store.destroy)
        self.store.start()
        doors = {name: self.links[name].port for name in LINKS if name.endswith("-log")}
        self.log = _Kafka(self.folder / "kafka", self.shims["log"].environment, doors)
        self.broker: ChildServer = MosquittoServer(self.folder / "mosquitto")
        stack.enter_context(self.log)
        stack.enter_context(self.broker)
        self.links["ingest-broker"].target = "127.0.0.1", self.broker.port
        for name in doors:
            self.links[name].target = "127.0.0.1", self.log.behind[name]
        host = str(psycopg.conninfo.conninfo_to_dict(self.store.url)["host"])
        self.links["worker-store"].target = Path(host) / ".s.PGSQL.5432"
        with psycopg.connect(self.store.url, autocommit=True) as connection:
            migrate(connection)
        self._run_once("migrate")
        stack.callback(self._close_readers)
        self.supervisor = stack.enter_context(Supervisor(self.folder))
        self.supervisor.adopt(Adopted("store", lambda: self.store.pid))
        self.supervisor.adopt(Adopted("broker", lambda: self.broker.pid, self.broker.ensure))
        self.supervisor.adopt(Adopted("log", lambda: self.log.pid, self.log.ensure))
        for number in range(1, WORKERS + 1):
            self.supervisor.start(self.worker(f"worker-{number}"))
        for number in range(1, INGESTORS + 1):
            name = f"ingest-{number}"
            told = ("--group", "ingest", "--client-id", name, "--stats", "5")
            self.supervisor.start(self._program(name, "ingest", *told))
        self.supervisor.start(self._program("api", "serve", "--port", str(self.api_port)))
        self._wait_until_ready()

    @property
    def services(self) -> Services:
        """What is reached without a proxy."""
        return Services(self.store.url, self.broker.url, "chaos", self._log_url(self.log.port))

    def worker(self, name: str) -> Program:
        """One more worker."""
        return self._program(name, "process", "--stats", "5")

    @contextlib.contextmanager
    def another_worker(self) -> Iterator[int]:
        """A worker too many, killed in the end; its process id."""
        command = (sys.executable, "-m", "swept.main", "process")
        with (self.folder / "logs/another.log").open("ab") as said:
            process = subprocess.Popen(
                command, env={**os.environ, **self.environment("worker")}, stdout=said, stderr=said
            )
        try:
            yield process.pid
        finally:
            process.kill()
            process.wait()

    def _log_url(self, port: int) -> str:
        return f"kafka://127.0.0.1:{port}/{self._topic}?partitions=16&replication=1"

    def environment(self, role: str) -> dict[str, str]:
        """What a process of ours has: its servers are behind proxies, where there is one."""
        store, mqtt, log = self.store.url, self.broker.url, self._log_url(self.log.port)
        if f"{role}-log" in self.links:
            log = self._log_url(self.links[f"{role}-log"].port)
        if role == "worker":
            port = self.links["worker-store"].port
            store = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable&gssencmode=disable"
        if role == "ingest":
            mqtt = f"mqtt://127.0.0.1:{self.links['ingest-broker'].port}"
        return {
            "SWEPT_STORE_URL": store,
            "SWEPT_MQTT_URL": mqtt,
            "SWEPT_LOG_URL": log,
            "SWEPT_DISTRICT": str(configs_folder() / "zhanqian"),
            "SWEPT_HOME": str(self.folder / "home"),
            "PYTHONUNBUFFERED": "1",
            "PGAPPNAME": f"swept {role}",
        } | (self.shims[role].environment if role in self.shims else {})

    def _program(self, name: str, *arguments: str) -> Program:
        role = {"process": "worker", "serve": "api"}.get(arguments[0], arguments[0])
        return Program(name, (sys.executable, "-m", "swept.main", *arguments), self.environment(role))

    def _run_once(self, command: str) -> None:
        environment = {**os.environ, **self.environment("migrate")}
        subprocess.run([sys.executable, "-m", "swept.main", command], check=True, env=environment)

    def _wait_until_ready(self) -> None:
        """Until all ingestors and workers say that they work, and the API answers."""
        waiting = {f"ingest-{n}": "connected to" for n in range(1, INGESTORS + 1)}
        waiting |= {f"worker-{n}": "partitions" for n in range(1, WORKERS + 1)}
        deadline_s = time.monotonic() + READY_S_MAX
        while any(word not in self.said(name) for name, word in waiting.items()) or self.status() != 200:
            self.supervisor.check()
            assert time.monotonic() < deadline_s, {
                name: (self.status(), self.said(name)[-300:])
                for name, word in [*waiting.items(), ("api", "?")]
                if word not in self.said(name)
            }
            time.sleep(0.1)

    def said(self, name: str) -> str:
        """What a program printed."""
        file = self.folder / "logs" / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    # How far it is

    def query(self, text: str) -> tuple[Any, ...]:
        """One row of the store, without a proxy; psycopg.OperationalError while it is down."""
        if self._store is None or self._store.closed:
            self._store = psycopg.connect(self.store.url, autocommit=True, connect_timeout=CONNECT_S_MAX)
        try:
            row: tuple[Any, ...] | None = self._store.execute(text.encode()).fetchone()
        except psycopg.OperationalError:
            self._store.close()
            raise
        assert row is not None
        return row

    def committed(self) -> dict[int, int] | None:
        """The position of each partition; None while the store is down."""
        with contextlib.suppress(psycopg.OperationalError):
            self.query("SELECT 1")
            assert self._store is not None
            return {one.partition: one.next_offset for one in positions(self._store)}
        return None

    def ends(self) -> dict[int, int] | None:
        """Where each partition of the log ends; None while Kafka is down."""
        with contextlib.suppress(LogUnavailable):
            if self._reader is None:
                self._reader = open_log(self.services)
            return self._reader.ends()
        return None

    def status(self) -> int:
        """What the API answers to a question for the lag; 0 where it doesn't."""
        address = f"http://127.0.0.1:{self.api_port}/api/v1/status"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def _close_readers(self) -> None:
        for one in (self._reader, self._store):
            if one is not None:
                one.close()
