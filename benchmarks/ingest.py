"""Ingest's rate on this machine: embedded store and broker, one ingest process, one publisher process.

    python benchmarks/ingest.py [--rate 5000] [--seconds 60] [--units 200]

Messages of a single fix, QoS 1, fsync on. Payloads and packets are encoded beforehand and written to a raw
socket, so that the publisher measures ingest and not itself. Latency is from arrival in ingest to the
acknowledgement to the broker, measured inside ingest.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.city import varint
from swept.embedded_broker import EmbeddedBroker
from swept.embedded_postgres import EmbeddedPostgres

DRAIN_S_MAX = 60.0
TICK_S = 0.01
CONNECT = b"\x10\x19\x00\x04MQTT\x05\x02\xff\xff\x03\x21\xff\xff\x00\x09publisher"
"""MQTT 5, clean start, longest keep-alive, receive maximum 65,535."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000, help="messages a second (default 5000)")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default 60)")
    parser.add_argument("--units", type=int, default=200, help="how many devices (default 200)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="swept-benchmark-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "postgres")
    try:
        with EmbeddedBroker() as broker:
            run(server.start(), server, broker, options)
    finally:
        server.destroy()
        folder.rmdir()


def run(
    store_url: str, server: EmbeddedPostgres, broker: EmbeddedBroker, options: argparse.Namespace
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SWEPT_")}
    command = [
        sys.executable,
        "-c",
        "import sys; from swept.ingest import ingest; import typer; typer.run(ingest)",
    ]
    command += ["--mqtt", broker.url, "--store", store_url, "--district", "bench", "--stats", "10"]
    ingest = subprocess.Popen(command, env=environment)
    try:
        wait_for_clock(broker.port)
        context = multiprocessing.get_context("spawn")
        publisher = context.Process(
            target=publish, args=(broker.port, options.rate, options.seconds, options.units)
        )
        before = {name: cpu_s(pid) for name, pid in pids(ingest.pid, broker, server).items()}
        started = time.monotonic()
        publisher.start()
        publisher.join()
        published = time.monotonic()
        used = {name: cpu_s(pid) - before[name] for name, pid in pids(ingest.pid, broker, server).items()}
        wanted = options.rate * options.seconds
        at_end = count(store_url)
        in_log = at_end
        while in_log < wanted and time.monotonic() < published + DRAIN_S_MAX:
            time.sleep(0.1)
            in_log = count(store_url)
        drained = time.monotonic()
    finally:
        ingest.send_signal(signal.SIGTERM)
        ingest.wait()
    seconds = published - started
    print(f"published {wanted} in {seconds:.1f} s ({wanted / seconds:.0f}/s, start of the process included)")
    print(
        f"in the log when the publisher ended {at_end}, at last {in_log}, {drained - published:.1f} s later"
    )
    print("CPU " + ", ".join(f"{name} {100 * s / seconds:.0f} %" for name, s in used.items()))
    if in_log < wanted:
        sys.exit(f"{wanted - in_log} messages are missing")


def pids(ingest_pid: int, broker: EmbeddedBroker, server: EmbeddedPostgres) -> dict[str, int]:
    assert broker.pid is not None
    assert server.pid is not None
    return {"ingest": ingest_pid, "broker": broker.pid, "postgres": server.pid}


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return float(sum(sum(process.cpu_times()[:2]) for process in processes))


def count(store_url: str) -> int:
    with psycopg.connect(store_url) as connection:
        row = connection.execute("SELECT sum(next_offset) FROM log_partition").fetchone()
        return int(row[0]) if row is not None and row[0] is not None else 0


def wait_for_clock(port: int) -> None:
    """Ingest listens once it echoes the district's clock; it then runs by the wall clock again."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    echoed: list[bytes] = []
    client.on_message = lambda _c, _d, message: echoed.append(bytes(message.payload))
    client.connect("127.0.0.1", port)
    client.subscribe("swept/v1/bench/clock/ack", qos=1)
    client.loop_start()
    deadline = time.monotonic() + 30.0
    payload = b'{"start":"2024-05-01T06:00:00Z","rate":1.0,"wall":"2024-05-01T06:00:00Z"}'
    client.publish("swept/v1/bench/clock", payload, qos=1, retain=True)
    while payload not in echoed:
        if time.monotonic() > deadline:
            sys.exit("ingest didn't echo the clock within 30 s")
        time.sleep(0.05)
    client.loop_stop()
    client.disconnect()


def publish(port: int, rate: int, seconds: int, units: int) -> None:
    """Write packets at an even rate; reads and drops the broker's acknowledgements."""
    ticks = round(seconds / TICK_S)
    per_tick = [
        rate * (tick + 1) // round(1 / TICK_S) - rate * tick // round(1 / TICK_S) for tick in range(ticks)
    ]
    number = 0
    bursts = []
    for size in per_tick:
        bursts.append(b"".join(packet(number + n, units) for n in range(size)))
        number += size
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(CONNECT)
        assert connection.recv(64)[0] >> 4 == 2, "no CONNACK"
        connection.settimeout(0)
        started = time.monotonic()
        for tick, burst in enumerate(bursts):
            time.sleep(max(0.0, started + tick * TICK_S - time.monotonic()))
            view = memoryview(burst)
            while view:
                readable, writable, _ = select.select([connection], [connection], [], 1.0)
                if readable and not connection.recv(65_536):
                    sys.exit("the broker hung up on the publisher")
                if writable:
                    view = view[connection.send(view) :]
        late = time.monotonic() - started - seconds
        print(
            f"publisher: {number} messages, {number / (seconds + max(late, 0.0)):.0f}/s, {late:+.2f} s late"
        )
        # Closed with acknowledgements unread, the socket would be reset, and the broker lose what it hadn't read.
        connection.settimeout(10.0)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass


def packet(number: int, units: int) -> bytes:
    """An MQTT 5 PUBLISH at QoS 1 of one fix."""
    unit, seq = number % units, number // units
    topic = b"swept/v1/bench/unit-%04d/fix" % unit
    payload = (
        b'{"time":"2024-05-01T06:%02d:%02d+08:00","lon":122.2573668,"lat":40.6733782,"speed_kmh":6.4,'
        b'"heading_deg":86.2,"accuracy_m":4.0,"satellites":14,"seq":%d,"historical":false,'
        b'"equipment":{"engine":true,"brush":true,"spray":true,"fan":null,"hopper_pct":40,"water_pct":70}}'
    ) % (seq // 60 % 60, seq % 60, seq)
    mid = number % 65_535 + 1
    body = len(topic).to_bytes(2, "big") + topic + mid.to_bytes(2, "big") + b"\x00" + payload
    return b"\x32" + varint(len(body)) + body


if __name__ == "__main__":
    main()
