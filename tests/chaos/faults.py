"""The catalogue: what can go wrong with a line, for how long, and what it is called.

A fault is a context: it begins on entering, lasts as long as the context does, and is over when it is left.
Whatever it chooses (which process, which record) it draws from the generator that it is given.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from kafka import KafkaProducer
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from streams import kafka_url
from swept.memory import family
from swept.wiring import open_log
from tests.chaos.line import INGESTORS, LINKS, SERVERS, WORKERS, Line

Chance = random.Random
Begin = Callable[[Line, Chance], "contextlib.AbstractContextManager[str]"]

GROUP = "swept-zhanqian"
"""The consumer group of the workers."""
GONE_S_MAX = 30.0
SLOW_DISK_S = 0.05
SLOW_LINK_S = 0.15
TRICKLE_BYTES_A_S = 3_000
MARK = "poison"
"""Stands in every poison record, its payload or its topic, so that its dead letter can be told from others."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`lasts_s`: how long it lasts at least and at most; `disturbs`: it stops something that must go on after."""

    name: str
    begin: Begin
    lasts_s: tuple[float, float] = (0.0, 0.0)


def kill(line: Line, name: str) -> None:
    """Kill -9, of a server with all its processes, as a power cut would."""
    pid = line.supervisor.pids.get(name)
    pids = [] if pid is None else family(pid) if name in SERVERS else [pid]
    for one in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def wait_for(condition: Callable[[], bool], what: str, s_max: float = GONE_S_MAX) -> None:
    deadline_s = time.monotonic() + s_max
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.02)


@contextmanager
def _kill(names: tuple[str, ...], line: Line, chance: Chance) -> Iterator[str]:
    name = chance.choice(names)
    pid = line.supervisor.pids.get(name)
    kill(line, name)
    yield f"{name}, pid {pid}"
    # The fault is over once there is a process again: what it needs until it works is recovery.
    wait_for(lambda: line.supervisor.pids.get(name, pid) not in {pid, None}, f"{name} doesn't come back")


@contextmanager
def _restart(name: str, line: Line, _: Chance) -> Iterator[str]:
    pid = line.supervisor.pids.get(name)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    yield f"{name}, pid {pid}"
    wait_for(
        lambda: line.supervisor.pids.get(name, pid) not in {pid, None}, f"{name} doesn't come back", 60.0
    )


@contextmanager
def _cut(link: str, line: Line, _: Chance) -> Iterator[str]:
    proxy = line.links[link]
    open_before = proxy.connections
    proxy.cut()
    yield f"{open_before} connections"
    proxy.heal()


@contextmanager
def _silence(link: str, line: Line, _: Chance, *, half_open: bool) -> Iterator[str]:
    proxy = line.links[link]
    proxy.silence()
    yield f"{proxy.connections} connections" + (", the clients reset after it" if half_open else "")
    proxy.heal(half_open=half_open)


@contextmanager
def _slow(link: str, line: Line, _: Chance, *, trickles: bool) -> Iterator[str]:
    proxy = line.links[link]
    if trickles:
        proxy.trickle(TRICKLE_BYTES_A_S)
    else:
        proxy.delay(SLOW_LINK_S)
    yield f"{TRICKLE_BYTES_A_S} bytes a second" if trickles else f"{SLOW_LINK_S} s a piece"
    proxy.heal()


@contextmanager
def _disk(name: str, line: Line, _: Chance, *, full: bool) -> Iterator[str]:
    line.shims[name].set(full=full, delay_s=0.0 if full else SLOW_DISK_S)
    try:
        yield "no byte fits" if full else f"{SLOW_DISK_S} s more for each write and flush"
    finally:
        line.shims[name].good()


@contextmanager
def _clock(name: str, line: Line, chance: Chance) -> Iterator[str]:
    step_s = chance.choice((-5.0, 5.0, 60.0))
    line.shims[name].set(clock_s=step_s)
    try:
        yield f"by {step_s:+.0f} s, and back"
    finally:
        line.shims[name].good()


@contextmanager
def _stopped(names: tuple[str, ...], line: Line, chance: Chance) -> Iterator[str]:
    """SIGSTOP: it holds all it has, its connections and its share, and knows nothing of the time that passes."""
    name = chance.choice(names)
    pid = line.supervisor.pids[name]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield f"{name}, pid {pid}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def _one_more_worker(line: Line, _: Chance) -> Iterator[str]:
    """A worker too many, that is killed after a while."""
    with line.another_worker() as pid:
        yield f"pid {pid}"


@contextmanager
def _storm(line: Line, chance: Chance) -> Iterator[str]:
    """Members that join the workers' group, take partitions from them and leave, again and again."""
    stopping = threading.Event()
    pauses = [chance.uniform(0.2, 0.8) for _ in range(20)]

    def storm() -> None:
        for pause_s in pauses:
            if stopping.is_set():
                return
            log = open_log(line.services, GROUP)
            with closing(log):
                log.share()
                stopping.wait(pause_s)

    thread = threading.Thread(target=storm, name="storm", daemon=True)
    thread.start()
    yield f"at most {len(pauses)} members join and leave"
    stopping.set()
    thread.join()


POISONS: dict[str, tuple[str, bytes]] = {
    "undecodable": ("ZQ-S01/fix", b"\x00\xff\xfe poison"),
    "of a stranger": ("poison/fix", b'{"time":"2026-06-01T08:00:00+08:00","lon":122.2,"lat":40.6,"seq":1}'),
    "nested deeply": ("ZQ-S02/fix", b'{"poison":' + b"[" * 50_000),
    "with numbers beyond all bounds": (
        "ZQ-S03/fix",
        b'{"poison":1e999999,"time":99999999999999999999,"lon":1e400,"lat":-1e400,"speed_kmh":NaN}',
    ),
    "with text that no database holds": (
        "ZQ-S04/fix",
        b'{"poison":"\\u0000\\ud800","time":"2026-06-01T08:00:00+08:00","lon":"\\u0000","lat":40.6}',
    ),
    "too large": ("ZQ-S05/fix", b'{"poison":"' + b"x" * (3 << 20) + b'"}'),
    "with too many fixes": ("ZQ-S06/fix", b'["poison"' + b",1" * 5_000 + b"]"),
}


@contextmanager
def _poison(kind: str, line: Line, _: Chance) -> Iterator[str]:
    topic, payload = POISONS[kind]
    client = Client(CallbackAPIVersion.VERSION2, MARK, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", line.broker.port)
    client.loop_start()
    try:
        client.publish(f"swept/v1/zhanqian/{topic}", payload, qos=1).wait_for_publish(10.0)
    finally:
        client.disconnect()
        client.loop_stop()
    yield f"{len(payload):,} bytes"


@contextmanager
def _foreign(line: Line, chance: Chance) -> Iterator[str]:
    """Records in Kafka's topic that no ingest of ours wrote, on each partition."""
    where = kafka_url.parse(line.services.log_url or "")
    payload = MARK.encode() + chance.randbytes(30)
    producer = KafkaProducer(**kafka_url.client(where, "stranger"))
    try:
        for partition in range(where.partitions or 0):
            producer.send(where.records, payload, partition=partition, timestamp_ms=line.now_us() // 1_000)
            producer.send(where.records, None, b"", partition=partition, timestamp_ms=line.now_us() // 1_000)
        producer.flush()
    finally:
        producer.close()
    yield f"two in each of {where.partitions} partitions"


def catalogue() -> list[Fault]:
    """All kinds of fault, each with the time it lasts."""
    workers = tuple(f"worker-{number}" for number in range(1, WORKERS + 1))
    ingestors = tuple(f"ingest-{number}" for number in range(1, INGESTORS + 1))
    killed = {"a worker": workers, "an ingestor": ingestors, "the API": ("api",)}
    killed |= {"the database": ("store",), "the broker": ("broker",), "Kafka": ("log",)}
    found = [Fault(f"kill -9 of {what}", partial(_kill, names)) for what, names in killed.items()]
    found += [Fault("restart of Kafka (SIGTERM)", partial(_restart, "log"))]
    for link in LINKS:
        found += [
            Fault(f"{link} cut", partial(_cut, link), (0.5, 4.0)),
            Fault(f"{link} silent", partial(_silence, link, half_open=False), (1.0, 8.0)),
            Fault(f"{link} half open", partial(_silence, link, half_open=True), (0.5, 4.0)),
            Fault(f"{link} delayed", partial(_slow, link, trickles=False), (1.0, 4.0)),
            Fault(f"{link} trickling", partial(_slow, link, trickles=True), (1.0, 4.0)),
        ]
    for name, what in (("store", "the database"), ("log", "Kafka")):
        found += [
            Fault(f"slow disk of {what}", partial(_disk, name, full=False), (1.0, 4.0)),
            Fault(f"full disk of {what}", partial(_disk, name, full=True), (1.0, 4.0)),
        ]
    found += [
        Fault("clock of the ingestors set", partial(_clock, "ingest"), (0.5, 3.0)),
        Fault("clock of the workers set", partial(_clock, "worker"), (0.5, 3.0)),
        Fault("rebalance storm", _storm, (3.0, 6.0)),
        Fault("one worker too many", _one_more_worker, (4.0, 7.0)),
        Fault("a worker stopped and continued", partial(_stopped, workers), (8.0, 12.0)),
        Fault("an ingestor stopped and continued", partial(_stopped, ingestors), (1.0, 8.0)),
        Fault("foreign records in Kafka", _foreign),
    ]
    found += [Fault(f"poison {kind}", partial(_poison, kind)) for kind in POISONS]
    return found
