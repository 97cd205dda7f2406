"""What a frozen or cut-off writer holds is given back: its locks, by the database, within seconds."""

from __future__ import annotations

from contextlib import closing

import pytest

from storage import positions, session
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
