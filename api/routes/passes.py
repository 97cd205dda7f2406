"""Who was on this street, when, and what did they sweep of it?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.context import DAYS_MAX, TheConnection, TheContext, TheDay, UserFault, moment
from api.models import PassInfo, PieceSwept
from processing.era import OutOfEra, checked_us
from processing.service_day import to_us
from processing.sweep import Pass
from storage.queries.passes import passes_between, passes_of_day

router = APIRouter(tags=["passes"])


@router.get("/streets/{street_id}/passes", summary="Passes of a street on a service day")
def street_passes(
    street_id: str, context: TheContext, connection: TheConnection, day: TheDay
) -> list[PassInfo]:
    """The passes that start in the service day, drives through included, in order of entry."""
    context.street(street_id)
    return [_info(one) for one in passes_of_day(connection, street_id, day)]


@router.get("/streets/{street_id}/visitors", summary="Who was on a street in a time window")
def street_visitors(
    street_id: str,
    context: TheContext,
    connection: TheConnection,
    from_time: Annotated[datetime, Query(alias="from", description="RFC 3339 with a zone")],
    to_time: Annotated[datetime, Query(alias="to", description="RFC 3339 with a zone, not included")],
) -> list[PassInfo]:
    """The passes that were on the street at some moment of the window, in order of entry."""
    context.street(street_id)
    if from_time.tzinfo is None or to_time.tzinfo is None:
        raise UserFault(422, "a time has no zone", "add Z or +08:00 (in a URL the plus is written %2B)")
    if not timedelta() < to_time - from_time <= timedelta(days=DAYS_MAX):
        raise UserFault(422, "the window is empty or too long", f"from before to, {DAYS_MAX} days at most")
    try:
        from_us, end_us = checked_us(to_us(from_time)), checked_us(to_us(to_time))
    except OutOfEra as error:
        raise UserFault(422, f"the window {error}", "name a window in that time") from None
    return [_info(one) for one in passes_between(connection, street_id, from_us, end_us)]


def _info(one: Pass) -> PassInfo:
    return PassInfo(
        unit_id=one.unit_id,
        street_id=one.street_id,
        track_start=moment(one.track_start_us),
        ordinal=one.ordinal,
        work=one.work,
        direction="along" if one.direction > 0 else "against",
        enter_time=moment(one.enter_us),
        leave_time=moment(one.leave_us),
        enter_measure_m=one.enter_mm / 1000,
        leave_measure_m=one.leave_mm / 1000,
        swept_m=one.swept_mm / 1000,
        swept=[
            PieceSwept(
                from_measure_m=piece.from_mm / 1000,
                to_measure_m=piece.to_mm / 1000,
                from_time=moment(piece.from_us),
                to_time=moment(piece.to_us),
            )
            for piece in one.swept
        ],
        unobserved=[(piece.from_mm / 1000, piece.to_mm / 1000) for piece in one.unobserved],
        ambiguous_with=one.ambiguous_with,
        certainty=one.certainty,
    )
