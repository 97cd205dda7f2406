"""Who was on this street, when, and what did they sweep of it?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.context import DAYS_MAX, TheConnection, TheContext, TheDay, UserFault, instant, moment
from api.models import OnStreet, PassInfo, PieceSwept
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


FromTime = Annotated[datetime, Query(alias="from", description="RFC 3339 with a zone")]
ToTime = Annotated[datetime, Query(alias="to", description="RFC 3339 with a zone, not included")]


@router.get("/streets/{street_id}/visitors", summary="Who was on a street in a time window, and where")
def street_visitors(
    street_id: str, context: TheContext, connection: TheConnection, from_time: FromTime, to_time: ToTime
) -> list[PassInfo]:
    """The passes that were on the street at some moment of the window, in order of entry."""
    context.asked_streets(connection, [street_id])
    return [_info(one) for one in passes_between(connection, street_id, *_window(from_time, to_time))]


@router.get("/on-street", summary="Who was on a street in a time window, swept or not")
def on_street(
    street_id: str, context: TheContext, connection: TheConnection, from_time: FromTime, to_time: ToTime
) -> list[OnStreet]:
    """One row for each time that a unit was on the street at some moment of the window, in order of entry."""
    context.asked_streets(connection, [street_id])
    units = context.units
    return [
        OnStreet(
            unit_id=one.unit_id,
            unit_name=units[one.unit_id].name if one.unit_id in units else "",
            contractor=units[one.unit_id].contractor if one.unit_id in units else "",
            work=one.work,
            direction="along" if one.direction > 0 else "against",
            enter_time=moment(one.enter_us),
            leave_time=moment(one.leave_us),
            swept=one.swept_mm > 0,
            swept_m=one.swept_mm / 1000,
            ambiguous_with=one.ambiguous_with,
            certainty=one.certainty,
        )
        for one in passes_between(connection, street_id, *_window(from_time, to_time))
    ]


def _window(from_time: datetime, to_time: datetime) -> tuple[int, int]:
    """The instants of a time window, or an answer that says what is wrong with it."""
    from_us, end_us = instant("from", from_time), instant("to", to_time)
    if not timedelta() < to_time - from_time <= timedelta(days=DAYS_MAX):
        raise UserFault(422, "the window is empty or too long", f"from before to, {DAYS_MAX} days at most")
    return from_us, end_us


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
