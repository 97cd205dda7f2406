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

import numpy as np

from benchmarks.city import Plan, phase, varint

TICK_S = 0.004
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


class Sender:
    """All connections: what each has sent of its packets, and what was due. Times are seconds since the start."""

    def __init__(self, job: Job) -> None:
        plan = job.plan
        packets = plan.open()
        self.sockets = [_connected(job, number) for number in range(job.connections)]
        self._packets = [memoryview(packets[number].reshape(-1)) for number in range(job.connections)]
        self._bytes, self._first = plan.packet_bytes, job.first_period * plan.each
        self._count = job.periods * plan.each
        self._every_s = job.period_s / plan.each
        self._phases = np.array([phase(number) for number in range(job.connections)])
        self._sent_bytes = np.zeros(job.connections, np.int64)

    @property
    def sent(self) -> int:
        """Messages that the sockets have taken whole."""
        return int((self._sent_bytes // self._bytes).sum())

    @property
    def done(self) -> bool:
        """Whether all is sent."""
        return bool((self._sent_bytes == self._count * self._bytes).all())

    def send(self, elapsed_s: float) -> float:
        """Send what is due; by how many seconds the oldest of that was late."""
        due = np.floor(elapsed_s / self._every_s - self._phases).astype(np.int64) + 1
        due_bytes = np.clip(due, 0, self._count) * self._bytes
        behind = np.flatnonzero(due_bytes > self._sent_bytes)
        if not len(behind):
            return 0.0
        oldest_s = (self._sent_bytes[behind] // self._bytes + self._phases[behind]) * self._every_s
        skipped = self._first * self._bytes
        for number in behind.tolist():
            at, end = int(self._sent_bytes[number]), int(due_bytes[number])
            try:
                while at < end:
                    at += self.sockets[number].send(self._packets[number][skipped + at : skipped + end])
            except BlockingIOError:
                pass  # it waits, and is late the next time
            self._sent_bytes[number] = at
        return elapsed_s - float(oldest_s.min())


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
    sender = Sender(job)
    poll = select.epoll()
    by_number = {one.fileno(): one for one in sender.sockets}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    ready_s = time.process_time()
    start_s = time.monotonic() + job.start_s - time.time()
    told_s, late_s_max, end_s = 0.0, 0.0, job.periods * job.period_s
    while not sender.done:
        time.sleep(max(TICK_S, start_s - time.monotonic()))
        elapsed_s = time.monotonic() - start_s
        late_s_max = max(late_s_max, sender.send(elapsed_s))
        for number, _ in poll.poll(0):
            if not by_number[number].recv(1 << 18):
                raise SystemExit("generator: the broker ended a connection.")
        if elapsed_s - told_s >= 1.0:
            told_s = elapsed_s
            _tell(sender, elapsed_s, late_s_max, ready_s)
        if elapsed_s > end_s + DRAIN_S_MAX:
            raise SystemExit("generator: what was due can't be sent.")
    _tell(sender, elapsed_s, late_s_max, ready_s)
    _leave(sender.sockets)


def _tell(sender: Sender, elapsed_s: float, late_s: float, ready_s: float) -> None:
    line = {"s": round(elapsed_s, 3), "sent": sender.sent, "late_s": round(late_s, 3)}
    print(json.dumps({**line, "cpu_s": round(time.process_time() - ready_s, 3)}), flush=True)


def _leave(sockets: Sequence[socket.socket]) -> None:
    """Closed with acknowledgements unread, a socket is reset, and the broker loses what it hadn't read."""
    for one in sockets:
        one.settimeout(5.0)
        one.sendall(b"\xe0\x00")
        one.shutdown(socket.SHUT_WR)
        while one.recv(1 << 18):
            pass
        one.close()


if __name__ == "__main__":
    run(Job.read(Path(sys.argv[1])))
