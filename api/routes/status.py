"""How is the line doing?"""

from __future__ import annotations

from fastapi import APIRouter

from api.context import TheConnection, TheContext, moment
from api.models import PartitionLag, Status
from storage.queries.status import positions, totals

router = APIRouter(tags=["status"])


@router.get("/status", summary="Lag and totals")
def status(context: TheContext, connection: TheConnection) -> Status:
    """How many records wait in the log, and about how much the store holds."""
    log_id, ends = context.ends()
    partitions = [
        PartitionLag(
            log_id=one.log_id,
            partition=one.partition,
            next_offset=one.next_offset,
            lag=max(0, ends[one.partition] - one.next_offset)
            if one.log_id == log_id and one.partition in ends
            else None,
        )
        for one in positions(connection)
    ]
    read = {one.partition for one in partitions if one.log_id == log_id}
    unread = sum(end for partition, end in ends.items() if partition not in read)
    now_us, held = context.now_us(connection), totals(connection)
    return Status(
        district_id=context.district.district_id,
        now=None if now_us is None else moment(now_us),
        lag=sum(one.lag or 0 for one in partitions) + unread if ends else None,
        partitions=partitions,
        fixes=held.fixes,
        passes=held.passes,
        street_days=held.street_days,
        dead_letters=held.dead_letters,
    )
