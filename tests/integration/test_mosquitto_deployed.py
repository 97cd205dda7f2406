"""The deployed Mosquitto, as deploy/mosquitto/mosquitto.conf has it: TLS, passwords, and who may do what."""

from __future__ import annotations

import contextlib
import queue
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.bridge import Bridge, session
from ingest.stats import Stats
from ingest.subscriber import Subscriber
from streams.table_log import TableLog
from swept import mosquitto_server
from swept.child_server import free_port
from swept.mosquitto_server import MosquittoServer

ROOT = Path(__file__).parents[2]
MADE = ROOT / "deploy/make_secrets.py"
WAIT_S = 30


class Deployed(MosquittoServer):
    """Mosquitto on the deployed configuration, with the places of a container replaced by those of a test."""

    def __init__(self, folder: Path, secrets: Path) -> None:
        super().__init__(folder)
        self.secrets = secrets
        self.tls_port = free_port()

    def _command(self) -> Sequence[str]:
        program, option, config = super()._command()
        data = self.folder / "data"
        text = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text(encoding="utf-8")
        for place, here in (
            ("/mosquitto/config", str(ROOT / "deploy/mosquitto")),
            ("/run/secrets", str(self.secrets)),
            ("/mosquitto/data", str(data)),
            ("listener 1883", f"listener {self.port} 127.0.0.1"),
            ("listener 8883", f"listener {self.tls_port} 127.0.0.1"),
        ):
            assert place in text
            text = text.replace(place, here)
        Path(config).write_text(text + "user root\n", encoding="utf-8")
        return [program, option, config]

    def _answers(self) -> bool:
        return True  # to a user it knows


class Refused(Exception):  # noqa: N818 - it is what happened
    pass


class Client:
    """A user of the broker that remembers what it got and how its publications were answered."""

    def __init__(
        self, server: Deployed, user: str | None, password: str = "", *, tls: bool = True, name: str = ""
    ) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.ended = threading.Event()
        self._arrived = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self._came: queue.Queue[bool] = queue.Queue()
        self._subscribed = threading.Event()
        self._paho = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            name or f"t-{uuid.uuid4().hex}",
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        self._paho.on_connect = lambda _c, _d, _f, reason, _p: self._came.put(not reason.is_failure)
        self._paho.on_subscribe = lambda *_: self._subscribed.set()
        self._paho.on_message = self._on_message
        self._paho.on_publish = self._on_publish
        self._paho.on_disconnect = lambda *_: self.ended.set()
        if user is not None:
            self._paho.username_pw_set(user, password)
        if tls:
            self._paho.tls_set(str(server.secrets / "tls_certificate"), tls_version=ssl.PROTOCOL_TLS_CLIENT)
            self._paho.tls_insecure_set(value=True)  # the certificate names this machine, not 127.0.0.1
        self._paho.connect("127.0.0.1", server.tls_port if tls else server.port)
        self._paho.loop_start()
        if not self._came.get(timeout=WAIT_S):
            self._paho.loop_stop()
            raise Refused

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._arrived:
            self.got.append((message.topic, bytes(message.payload)))
            self._arrived.notify_all()

    def _on_publish(self, _c: mqtt.Client, _d: object, mid: int, reason: ReasonCode, _p: object) -> None:
        with self._arrived:
            self._answers[mid] = reason
            self._arrived.notify_all()

    def subscribe(self, *mqtt_topics: str) -> None:
        self._subscribed.clear()
        self._paho.subscribe([(topic, SubscribeOptions(qos=1)) for topic in mqtt_topics])
        assert self._subscribed.wait(WAIT_S)

    def publish(self, mqtt_topic: str) -> None:
        self._paho.publish(mqtt_topic, b"x", qos=1)

    def may_publish(self, mqtt_topic: str, payload: bytes = b"x") -> bool:
        mid = self._paho.publish(mqtt_topic, payload, qos=1).mid
        with self._arrived:
            assert self._arrived.wait_for(lambda: mid in self._answers, WAIT_S)
            return not self._answers[mid].is_failure

    def has(self, *expected: tuple[str, bytes]) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.got) >= len(expected), WAIT_S) and self.got == [
                *expected
            ]

    def has_some_of(self, prefix: str) -> bool:
        with self._arrived:
            return self._arrived.wait_for(
                lambda: any(topic.startswith(prefix) for topic, _ in self.got), WAIT_S
            )

    def has_payload(self, wanted: bytes) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: any(payload == wanted for _, payload in self.got), WAIT_S)

    def leave(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployed, dict[str, str]]]:
    """The server, and the password of each user."""
    if lacking := mosquitto_server.missing():
        pytest.skip(lacking)
    root = tmp_path_factory.mktemp("root")
    (root / "deploy").mkdir()
    (root / "deploy/.env.example").write_text((ROOT / "deploy/.env.example").read_text())
    passwords = {}
    for unit in ("u1", "u2"):
        command = [sys.executable, str(MADE), "--root", str(root), "--device", unit]
        passwords[unit] = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    env = dict(line.split("=", 1) for line in (root / ".env").read_text().splitlines() if "=" in line)
    passwords |= {"swept-ingest": env["INGEST_PASSWORD"], "swept-worker": env["WORKER_PASSWORD"]}
    assert (root / ".env").stat().st_mode & 0o077 == 0
    assert (root / "deploy/secrets").stat().st_mode & 0o077 == 0
    with Deployed(tmp_path_factory.mktemp("mosquitto"), root / "deploy/secrets") as server:
        yield server, passwords


@contextlib.contextmanager
def connected(deployed: tuple[Deployed, dict[str, str]], user: str, **options: object) -> Iterator[Client]:
    server, passwords = deployed
    client = Client(server, user, passwords[user], **options)  # type: ignore[arg-type]
    yield client
    client.leave()


def refuse(deployed: tuple[Deployed, dict[str, str]], user: str, mqtt_topic: str, **options: object) -> None:
    """Mosquitto 2.0.11 ends the connection of whoever publishes what it may not."""
    with connected(deployed, user, **options) as client:
        client.publish(mqtt_topic)
        assert client.ended.wait(WAIT_S), mqtt_topic


def test_a_device_publishes_as_itself_and_as_nobody_else(deployed: tuple[Deployed, dict[str, str]]) -> None:
    with connected(deployed, "swept-ingest", tls=False) as ingest:
        ingest.subscribe(
            "swept/v1/+/+/fix", "swept/v1/+/+/equipment", "swept/v1/+/+/online", "swept/v1/+/clock"
        )
        allowed = [f"swept/v1/zhanqian/u1/{kind}" for kind in ("fix", "equipment", "online")]
        refused = [
            "swept/v1/zhanqian/u2/fix",
            "swept/v1/zhanqian/u1/ack",
            "swept/v1/zhanqian/u2/ack",
            "swept/v1/zhanqian/clock",
            "swept/v1/zhanqian/digest",
            "swept/v1/zhanqian/durable",
            "swept/v1/zhanqian/u1/fix/more",
            "else",
        ]
        for topic in refused:
            refuse(deployed, "u1", topic)
        with connected(deployed, "u1") as device:
            assert [topic for topic in allowed if device.may_publish(topic)] == allowed
        assert ingest.has(*((topic, b"x") for topic in allowed))


def test_a_device_reads_its_own_acknowledgements_and_the_clock_and_nothing_else(
    deployed: tuple[Deployed, dict[str, str]],
) -> None:
    with (
        connected(deployed, "swept-ingest", tls=False) as ingest,
        connected(deployed, "u2") as other,
        connected(deployed, "u1") as device,
    ):
        device.subscribe(
            "#", "$SYS/#", "swept/v1/+/+/ack", "swept/v1/+/clock", "$share/swept/swept/v1/+/+/fix"
        )
        assert other.may_publish("swept/v1/zhanqian/u2/fix")
        assert ingest.may_publish("swept/v1/zhanqian/u2/ack", b'{"seq":7}')
        assert ingest.may_publish("swept/v1/zhanqian/durable", b"{}")
        assert ingest.may_publish("swept/v1/zhanqian/u1/ack", b'{"seq":8}')
        assert device.has_payload(b'{"seq":8}')
        # Once for each subscription that fits it.
        assert set(device.got) == {("swept/v1/zhanqian/u1/ack", b'{"seq":8}')}


def test_ingest_and_worker_may_do_their_work_and_no_others(deployed: tuple[Deployed, dict[str, str]]) -> None:
    with (
        connected(deployed, "swept-ingest", tls=False) as ingest,
        connected(deployed, "swept-worker", tls=False) as worker,
    ):
        assert ingest.may_publish("swept/v1/zhanqian/clock/ack")
        assert worker.may_publish("swept/v1/zhanqian/digest")
        ingest.subscribe("swept/v1/+/+/fix", "swept/v1/+/digest", "swept/v1/+/+/ack")
        for user, topic in (
            ("ingest", "u1/fix"),
            ("ingest", "digest"),
            ("worker", "u1/fix"),
            ("worker", "u1/ack"),
        ):
            refuse(deployed, f"swept-{user}", f"swept/v1/zhanqian/{topic}", tls=False)
        with connected(deployed, "u1") as device:
            assert device.may_publish("swept/v1/zhanqian/u1/fix")
        assert ingest.has(("swept/v1/zhanqian/u1/fix", b"x"))
        ingest.subscribe("$SYS/broker/#")
        assert ingest.has_some_of("$SYS/broker/"), "how much is queued is watched"


def test_two_ingestors_acknowledge_what_a_device_sends_by_the_rights_they_have(
    deployed: tuple[Deployed, dict[str, str]], store_url: str
) -> None:
    server, passwords = deployed
    url = f"mqtt://swept-ingest:{passwords['swept-ingest']}@127.0.0.1:{server.port}"
    with contextlib.ExitStack() as stack:
        for member in ("one", "two"):
            subscriber = Subscriber(session(url, "zhanqian", f"swept-ingest-{member}", "swept", 100), Stats())
            log = stack.enter_context(contextlib.closing(TableLog(store_url)))
            bridge = Bridge("zhanqian", subscriber, log, Stats())
            thread = threading.Thread(target=bridge.run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(bridge.stop)
            stack.callback(subscriber.stop)
            subscriber.start()
            while not subscriber.connected:
                assert thread.is_alive()
                time.sleep(0.02)
        device = stack.enter_context(connected(deployed, "u1"))
        device.subscribe("swept/v1/zhanqian/u1/ack")
        for seq in range(20):
            assert device.may_publish("swept/v1/zhanqian/u1/fix", b'{"time":1714514400000,"seq":%d}' % seq)
        assert device.has_payload(b'{"seq":19}')


@pytest.mark.parametrize(("user", "password"), [(None, ""), ("u1", "wrong"), ("nobody", "x"), ("u1", "")])
@pytest.mark.parametrize("tls", [True, False])
def test_nobody_gets_in_without_a_password(
    deployed: tuple[Deployed, dict[str, str]], user: str | None, password: str, *, tls: bool
) -> None:
    with pytest.raises(Refused):
        Client(deployed[0], user, password, tls=tls)


def test_a_device_can_not_end_the_session_of_ingest_by_taking_its_name(
    deployed: tuple[Deployed, dict[str, str]],
) -> None:
    name = "swept-ingest-zhanqian-1"
    with connected(deployed, "swept-ingest", tls=False, name=name) as ingest:
        with connected(deployed, "u1", name=name) as device:
            assert device.may_publish("swept/v1/zhanqian/u1/fix")
        ingest.subscribe("swept/v1/+/+/fix")
        assert not ingest.ended.is_set()
