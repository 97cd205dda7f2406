"""Day digests: signed when all partitions have closed the day, and published retained until told.

A thread of its own beside the worker: neither a broker that is away nor a store that is slow stops processing.
What wasn't signed or published is found in the store, by this process or the next.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from evidence.signing import Signer
from processing.chain import day_digest
from processing.district import District
from processing.service_day import service_day
from storage import chain
from storage.chain import Signed

EVERY_S = 2.0
BROKER_S_MAX = 5.0
RETRY_S_MAX = 60.0


def digest_topic(district_id: str) -> str:
    """Where the newest day digest is, retained."""
    return f"swept/v1/{district_id}/digest"


def message(district_id: str, signed: Signed) -> bytes:
    """What is published of a day."""
    told = {
        "district": district_id,
        "log_id": signed.log_id,
        "day": signed.service_day.isoformat(),
        "digest": signed.digest.hex(),
        "signature": signed.signature.hex(),
        "public_key": signed.public_key.hex(),
    }
    return json.dumps(told, separators=(",", ":")).encode()


class Digests:
    """Signs and publishes what the chain has closed. `report` is told in a line when the broker can't be reached."""

    def __init__(
        self,
        store_url: str,
        mqtt_url: str,
        district: District,
        log: tuple[str, int],
        signer: Signer,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store_url, self._mqtt_url, self._report = store_url, mqtt_url, report
        self._district, self._signer = district, signer
        self._log_id, self._partitions = log
        self._again_s = 0.0
        self._delay_s = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look again and again, in a thread, and once more at the end."""
        stopping = threading.Event()

        def run() -> None:
            while not stopping.wait(EVERY_S):
                with suppress(psycopg.Error):  # it is looked for again
                    self.step()

        thread = threading.Thread(target=run, name="digests", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            with suppress(psycopg.Error):
                self.step()

    def step(self) -> None:
        """Sign the days that are closed, and publish what isn't published."""
        with psycopg.connect(self._store_url, autocommit=True, connect_timeout=5) as connection:
            self._sign(connection)
            waiting = chain.unpublished(connection, self._log_id)
            if waiting and time.monotonic() >= self._again_s:
                self._publish(connection, waiting)

    def _sign(self, connection: psycopg.Connection[Any]) -> None:
        opened = chain.open_ranges(connection, self._log_id)
        if len(opened) < self._partitions:
            return  # one has no record yet, so no day is closed in all of them
        rules, district_id = self._district.rules, self._district.district_id
        heard_us = min(received_us for _, received_us in opened.values())
        before = service_day(heard_us, rules.day_start_s, rules.timezone)
        for day, ranges in chain.unsigned(connection, self._log_id, before).items():
            digest = day_digest(self._log_id, district_id, day.isoformat(), ranges)
            signed = Signed(self._log_id, day, digest, self._signer.sign(digest), self._signer.public_key)
            chain.keep(connection, signed, heard_us)
            self._report(f"process: the digest of {day} is {digest.hex()}")

    def _publish(self, connection: psycopg.Connection[Any], waiting: list[Signed]) -> None:
        """Tell of each in order, the newest last, since it is the one that is retained."""
        try:
            with _client(self._mqtt_url) as client:
                for signed in waiting:
                    body = message(self._district.district_id, signed)
                    told = client.publish(digest_topic(self._district.district_id), body, qos=1, retain=True)
                    told.wait_for_publish(BROKER_S_MAX)
                    if not told.is_published():
                        raise TimeoutError("it doesn't answer")
                    chain.published(connection, self._log_id, signed.service_day)
        except (OSError, ValueError, RuntimeError) as error:
            if not self._delay_s:
                self._report(f"process: day digests are signed but not published ({error}); trying again")
            self._delay_s = min(RETRY_S_MAX, 2 * self._delay_s or EVERY_S)
            self._again_s = time.monotonic() + self._delay_s
        else:
            self._delay_s = 0.0


@contextmanager
def _client(url: str) -> Iterator[mqtt.Client]:
    """A connected client of its own; OSError where there is no broker."""
    where = urlsplit(url)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect_timeout = BROKER_S_MAX
    if where.username is not None:
        client.username_pw_set(unquote(where.username), unquote(where.password or ""))
    if where.scheme == "mqtts":
        client.tls_set()
    client.connect(where.hostname or "127.0.0.1", where.port or (8883 if where.scheme == "mqtts" else 1883))
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()
