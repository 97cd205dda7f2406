"""Why couldn't a street be swept, and who says so?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.context import StreetIds, TheAsOf, TheConnection, TheContext, ThePeriod, moment
from api.models import ExcuseInfo
from storage.excuses import excuses as stored_excuses

router = APIRouter(tags=["excuses"])


@router.get("/excuses", summary="Excuses that stand beside the figures")
def excuses(
    context: TheContext,
    connection: TheConnection,
    dates: ThePeriod,
    as_of_us: TheAsOf,
    street_id: StreetIds = None,
    withdrawn: Annotated[bool, Query(description="also those that were withdrawn")] = False,  # noqa: FBT002
) -> list[ExcuseInfo]:
    """Those that reach into the period, in the order in which they were entered. They change no figure."""
    found = stored_excuses(
        connection,
        dates.first,
        dates.last,
        as_of_us=as_of_us,
        street_ids=context.asked_streets(connection, street_id),
        withdrawn=withdrawn,
    )
    return [
        ExcuseInfo(
            excuse_id=one.excuse_id,
            street_id=one.street_id,
            first_day=one.first_day,
            last_day=one.last_day,
            kind=one.kind,
            reason=one.reason,
            author=one.author,
            at=moment(one.at_us),
            withdrawn_by=one.withdrawn_by,
            withdrawn_at=None if one.withdrawn_us is None else moment(one.withdrawn_us),
        )
        for one in found
    ]
