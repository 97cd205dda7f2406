"""How far behind processing is: what the log has and no committed figure has seen."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from storage.queries.status import positions
from streams.log import Log


def lag(connection: Connection[Any], log: Log) -> dict[int, int]:
    """Records waiting in each partition, in their order; raises LogUnavailable.

    A partition that no worker has seen yet waits with all it has.
    """
    ends, firsts = log.ends(), log.firsts()
    done = {one.partition: one.next_offset for one in positions(connection) if one.log_id == log.log_id}
    return {
        partition: max(0, end - done.get(partition, firsts[partition]))
        for partition, end in sorted(ends.items())
    }
