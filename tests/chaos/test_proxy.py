"""The proxy between two processes does what a fault says it does, and no longer."""

from __future__ import annotations

import socket
from contextlib import closing

from tests.chaos.proxy import Loop, Proxy

SENT = b"x" * 60_000


def test_a_link_that_trickled_is_fast_once_it_is_healed_whatever_was_read_before() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(Loop()) as loop,
        Proxy(loop, "link", server.getsockname()) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(15.0)
            client.sendall(b"y")
            assert connection.recv(1) == b"y"
            proxy.heal()  # once through the loop: the proxy now waits for as much as it reads of a fast link
            proxy.trickle(1_000.0)  # a minute for all of it, half a second for a piece
            client.sendall(SENT)
            got = len(connection.recv(len(SENT)))
            assert got < len(SENT)
            proxy.heal()
            while got < len(SENT):
                got += len(connection.recv(len(SENT)))
