"""Sends what benchmarks/city.py encoded, at a rate that it keeps or says that it doesn't.

    python benchmarks/generator.py JOB.json

Open loop: each message has its moment, whatever the broker and those behind it do. Where a connection takes no
more, its bytes wait and the others go on; how late the latest was is in each line, so nothing slows down unseen.
A connection speaks for some units: it publishes their reports at QoS 1 and hears their acknowledgements. Prints
a line of JSON each second, and ends by itself.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.city import Plan, phase, varint

TICK_S = 0.005
DRAIN_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """Send the plan's first `connections` from a period on: `start_s` is its moment on the wall clock."""

    plan: Plan
    port: int
    district_id: str
    connections: int
    first_period: int
    periods: int
    period_s: float
    start_s: float

    def write(self, path: Path) -> None:
        """As a file that `read` takes."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Job:
        """From a file."""
        values = json.loads(path.read_text())
        plan = values.pop("plan")
        return cls(Plan(**{**plan, "units": tuple(plan["units"])}), **values)


class Connection:
    """One socket: what it has still to send, and when that was due."""

    def __init__(self, job: Job, number: int, packets: memoryview) -> None:
        plan = job.plan
        self._packets, self._bytes = packets, plan.packet_bytes
        self._first = job.first_period * plan.each
        self._last = self._first + job.periods * plan.each
        self._every_s = job.period_s / plan.each
        self._phase = phase(number)
        self._due = self._first
        self._sent_bytes = self._first * self._bytes
        self.socket = _connected(job, number)

    @property
    def sent(self) -> int:
        """Messages that the socket has taken whole."""
        return self._sent_bytes // self._bytes - self._first

    @property
    def done(self) -> bool:
        """Whether all is sent."""
        return self._sent_bytes == self._last * self._bytes

    def send(self, elapsed_s: float) -> float:
        """Send what is due; by how many seconds the oldest message that isn't gone is late."""
        due = (
            int(elapsed_s / self._every_s - self._phase) + 1
            if elapsed_s >= self._phase * self._every_s
            else 0
        )
        self._due = min(self._last, self._first + due)
        end = self._due * self._bytes
        while self._sent_bytes < end:
            try:
                self._sent_bytes += self.socket.send(self._packets[self._sent_bytes : end])
            except BlockingIOError:
                oldest = self._sent_bytes // self._bytes - self._first
                return elapsed_s - (oldest + self._phase) * self._every_s
        return 0.0


def _connected(job: Job, number: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", job.port), timeout=10.0)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client_id = b"load-%d" % number
    # MQTT 5, clean start, longest keep-alive, receive maximum 65,535
    head = b"\x00\x04MQTT\x05\x02\xff\xff\x03\x21\xff\xff" + len(client_id).to_bytes(2, "big") + client_id
    connection.sendall(b"\x10" + varint(len(head)) + head)
    if connection.recv(256)[:1] != b"\x20":
        raise SystemExit("generator: the broker refuses the connection.")
    topics = [f"swept/v1/{job.district_id}/{unit}/ack".encode() for unit in job.plan.units_of(number)]
    body = b"\x00\x01\x00" + b"".join(len(topic).to_bytes(2, "big") + topic + b"\x00" for topic in topics)
    connection.sendall(b"\x82" + varint(len(body)) + body)
    if connection.recv(4096)[:1] != b"\x90":
        raise SystemExit("generator: the broker refuses the subscription.")
    connection.settimeout(0.0)
    return connection


def run(job: Job) -> None:
    """Send all, a line of JSON a second."""
    packets = job.plan.open()
    connections = [Connection(job, n, memoryview(packets[n].reshape(-1))) for n in range(job.connections)]
    poll = select.epoll()
    by_number = {one.socket.fileno(): one.socket for one in connections}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    start_s = time.monotonic() + job.start_s - time.time()
    told_s, late_s_max, end_s = start_s, 0.0, job.periods * job.period_s
    while True:
        elapsed_s = time.monotonic() - start_s
        late_s_max = max(late_s_max, *(one.send(elapsed_s) for one in connections))
        for number, _ in poll.poll(0):
            if not by_number[number].recv(1 << 18):
                raise SystemExit("generator: the broker ended a connection.")
        if elapsed_s + start_s - told_s >= 1.0:
            told_s = elapsed_s + start_s
            _tell(connections, elapsed_s, late_s_max)
            late_s_max = 0.0
        if all(one.done for one in connections):
            break
        if elapsed_s > end_s + DRAIN_S_MAX:
            raise SystemExit("generator: what was due can't be sent.")
        time.sleep(max(0.0, TICK_S - (time.monotonic() - start_s - elapsed_s)))
    _tell(connections, elapsed_s, late_s_max)
    _leave(connections)


def _tell(connections: Sequence[Connection], elapsed_s: float, late_s: float) -> None:
    line = {
        "s": round(elapsed_s, 3),
        "sent": sum(one.sent for one in connections),
        "late_s": round(late_s, 3),
    }
    print(json.dumps({**line, "cpu_s": round(time.process_time(), 3)}), flush=True)


def _leave(connections: Sequence[Connection]) -> None:
    """Closed with acknowledgements unread, a socket is reset, and the broker loses what it hadn't read."""
    for one in connections:
        one.socket.settimeout(5.0)
        one.socket.sendall(b"\xe0\x00")
        one.socket.shutdown(socket.SHUT_WR)
        while one.socket.recv(1 << 18):
            pass
        one.socket.close()


if __name__ == "__main__":
    run(Job.read(Path(sys.argv[1])))
