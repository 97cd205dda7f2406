"""A few connections for many readers: bounded, reading only, and made when they are first needed."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from psycopg import Connection

#: What a connection says whose server is gone.
_DEAD = (psycopg.OperationalError, psycopg.InterfaceError)


class PoolBusy(Exception):  # noqa: N818 - it is a state, and passes
    """All connections were in use for as long as one is willing to wait."""


class Pool:
    """Lends out at most `connections_max` connections; the last one given back goes out first.

    One whose server died while it lay here is replaced before it is lent: a database that was started again
    is no fault that a reader sees.
    """

    def __init__(self, store_url: str, connections_max: int = 8, wait_s: float = 10.0) -> None:
        self._store_url = store_url
        self._wait_s = wait_s
        self._slots: queue.LifoQueue[Connection[Any] | None] = queue.LifoQueue()
        for _ in range(connections_max):
            self._slots.put(None)

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        """A connection that reads one snapshot; after an error it isn't lent again."""
        try:
            held = self._slots.get(timeout=self._wait_s)
        except queue.Empty:
            raise PoolBusy(f"all connections to the store were busy for {self._wait_s:.0f} s") from None
        try:
            with ExitStack() as snapshot:
                if held is not None and not _begins(held, snapshot):
                    held.close()
                    held = None
                if held is None:
                    held = self._connect()
                    snapshot.enter_context(held.transaction())
                yield held
        except _DEAD:
            if held is not None:
                held.close()
            held = None
            raise
        finally:
            self._slots.put(held)

    def close(self) -> None:
        """Close what isn't lent out."""
        held: list[Connection[Any] | None] = []
        while not self._slots.empty():
            held.append(self._slots.get_nowait())
        for connection in held:
            if connection is not None:
                connection.close()
            self._slots.put(None)

    def _connect(self) -> Connection[Any]:
        made = psycopg.connect(self._store_url, autocommit=True, connect_timeout=10)
        made.read_only = True
        made.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return made


def _begins(held: Connection[Any], snapshot: ExitStack) -> bool:
    """Begin a transaction; False where that shows the connection dead. It costs no round trip of its own."""
    try:
        snapshot.enter_context(held.transaction())
    except _DEAD:
        return False
    return True
