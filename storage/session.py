"""A connection of a process that writes: whoever it can't hear any more it gives up, and is given up by.

A worker that is frozen, or whose network is cut without a word, holds locks in the database until that
notices: by TCP's own defaults after two hours. Everyone who is to take its work over would wait so long.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

CONNECT_S_MAX = 5
IDLE_S, INTERVAL_S, PROBES_MAX = 5, 2, 3
"""A peer that answers none of these probes is gone: 11 s after its last word."""
GONE_S = IDLE_S + INTERVAL_S * PROBES_MAX

LOST = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)
"""What is raised where the connection, or the server behind it, is no good any more: a new one may be."""

_SERVER = """
    SET tcp_keepalives_idle = {idle}; SET tcp_keepalives_interval = {interval};
    SET tcp_keepalives_count = {probes}; SET tcp_user_timeout = '{gone}s';
    SET idle_in_transaction_session_timeout = '{silent}s';
"""


def connect(store_url: str, silent_s_max: float, **options: Any) -> Connection[Any]:  # noqa: ANN401 - psycopg's
    """A connection in autocommit that notices a dead peer, and whose death is noticed.

    A transaction whose client says nothing for `silent_s_max` is rolled back.
    """
    server = _SERVER.format(
        idle=IDLE_S, interval=INTERVAL_S, probes=PROBES_MAX, gone=GONE_S, silent=silent_s_max
    )
    connection = psycopg.connect(
        store_url,
        autocommit=True,
        connect_timeout=CONNECT_S_MAX,
        keepalives_idle=IDLE_S,
        keepalives_interval=INTERVAL_S,
        keepalives_count=PROBES_MAX,
        tcp_user_timeout=GONE_S * 1_000,
        **options,
    )
    try:
        connection.execute(server.encode())
    except BaseException:
        connection.close()
        raise
    return connection


class Left(NamedTuple):
    """The server's side of a connection: its process, and when that began, since numbers are used again."""

    pid: int
    began: datetime


def connect_again(
    store_url: str,
    silent_s_max: float,
    left: Left | None,
    **options: Any,  # noqa: ANN401 - psycopg's
) -> tuple[Connection[Any], Left | None]:
    """Connect after a connection was lost, if one was: its side on the server is ended.

    Gives the connection, and what it will leave there.
    """
    connection = connect(store_url, silent_s_max, **options)
    try:
        end(connection, left)
        return connection, left_by(connection)
    except BaseException:
        connection.close()
        raise


def left_by(connection: Connection[Any]) -> Left | None:
    """What stays on the server should this connection be lost; None on one that has no processes (WASM)."""
    row = connection.execute(
        "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    ).fetchone()
    return None if row is None else Left(*row)


def end(connection: Connection[Any], left: Left | None) -> None:
    """End the server's side of a connection that was lost, if it is still there.

    In the middle of a COPY it waits for the rest, with all its locks: that isn't idle, no timeout of the server's
    counts it, and where something between the two keeps its side open it never hears that the client is gone.
    """
    if left is not None:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s",
            left,
        )
