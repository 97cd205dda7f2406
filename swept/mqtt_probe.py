"""Whether a broker lets newcomers in: connect as one, be answered to a ping, and leave.

That its port is open says nothing: rumqttd goes on accepting connections after a client whose id holds a `/`
has made it panic, and talks to nobody new.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time

PROBE_S_MAX = 5.0
PINGREQ, PINGRESP, DISCONNECT = b"\xc0\x00", b"\xd0\x00", b"\xe0\x00"
CONNACK, CONNACK_BYTES_MAX = 0x20, 128

# An id that isn't used again: what a probe leaves behind that was cut short must not end the next one.
_numbers = itertools.count()


def answers(port: int, timeout_s: float = PROBE_S_MAX) -> bool:
    """Whether the broker on this port of 127.0.0.1 accepts a new MQTT 5 client and answers it in time."""
    deadline_s = time.monotonic() + timeout_s
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(_connect(f"swept-probe-{os.getpid()}-{next(_numbers)}"))
        kind, length = _receive(connection, 2, deadline_s)
        if kind != CONNACK or not 2 <= length < CONNACK_BYTES_MAX:
            return False
        _, reason, *_ = _receive(connection, length, deadline_s)
        if reason != 0:
            return False
        connection.sendall(PINGREQ)
        answered = _receive(connection, len(PINGRESP), deadline_s) == PINGRESP
        connection.sendall(DISCONNECT)
        return answered
    return False


def _connect(client_id: str) -> bytes:
    """MQTT 5, clean start, keep-alive 60 s, no properties."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x05\x02\x00\x3c\x00" + len(name).to_bytes(2, "big") + name
    return bytes((0x10, len(body))) + body


def _receive(connection: socket.socket, count: int, deadline_s: float) -> bytes:
    """So many bytes; OSError where they don't come in time."""
    received = b""
    while len(received) < count:
        connection.settimeout(max(deadline_s - time.monotonic(), 0.001))
        more = connection.recv(count - len(received))
        if not more:
            raise ConnectionError("the broker closed the connection")
        received += more
    return received
