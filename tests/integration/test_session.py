"""What a frozen or cut-off writer holds is given back: its locks, by the database, within seconds."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import psycopg
import pytest

from storage import log_table, positions, session
from streams.log import Envelope
from streams.table_log import TableLog

SILENT_S_MAX = 1.0


def test_a_frozen_writer_does_not_hold_its_partition_for_ever(store_url: str) -> None:
    with (
        closing(TableLog(store_url, partitions=1)) as log,
        session.connect(store_url, SILENT_S_MAX) as frozen,
        session.connect(store_url, SILENT_S_MAX) as heir,
    ):
        positions.read(frozen, log.log_id, [0])
        frozen.execute("BEGIN")
        positions.lock(frozen, log.log_id, [0])
        # It says nothing more; whoever takes the partition over waits for the lock until it has lost it.
        with heir.transaction():
            assert positions.lock(heir, log.log_id, [0]) == {0: positions.Position(0)}
        with pytest.raises(session.LOST):
            positions.lock(frozen, log.log_id, [0])


def test_who_was_cut_off_within_a_copy_ends_what_it_left_on_the_server(store_url: str) -> None:
    with (
        closing(TableLog(store_url, partitions=1)) as log,
        session.connect(store_url, SILENT_S_MAX) as lost,
        session.connect(store_url, SILENT_S_MAX) as again,
    ):
        positions.read(lost, log.log_id, [0])
        left = session.left_by(lost)
        assert left is not None
        lost.execute("BEGIN")
        positions.lock(lost, log.log_id, [0])
        # As far as the server knows, the rest of this comes any moment.
        lost.pgconn.send_query(b"COPY fix FROM STDIN")
        lost.pgconn.flush()
        again.execute("SET lock_timeout = '3s'")
        with pytest.raises(psycopg.errors.LockNotAvailable), again.transaction():
            positions.lock(again, log.log_id, [0])
        session.end(again, left._replace(began=left.began + timedelta(seconds=1)))  # another with its number
        with pytest.raises(psycopg.errors.LockNotAvailable), again.transaction():
            positions.lock(again, log.log_id, [0])
        session.end(again, left)
        with again.transaction():
            assert positions.lock(again, log.log_id, [0]) == {0: positions.Position(0)}
        session.end(again, left)  # it is gone
        session.end(again, None)
        lost.close()


def test_a_log_that_was_cut_off_within_an_append_goes_on(store_url: str) -> None:
    envelope = Envelope("u1", "swept/v1/test/u1/fix", b"{}", 1)
    impatient = f"{store_url}{'&' if '?' in store_url else '?'}options=-c%20lock_timeout%3D3s"
    with closing(TableLog(impatient, partitions=1)) as log:
        log.append([envelope])
        lost, log._connection = log._connection, None
        assert lost is not None
        lost.execute("BEGIN")
        log_table.lock_ends(lost, {0})
        lost.pgconn.send_query(b"COPY log_record FROM STDIN")
        lost.pgconn.flush()
        log.append([envelope])
        assert log.ends() == {0: 2}
        lost.close()
