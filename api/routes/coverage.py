"""How much of the district has been swept today, so far?"""

from __future__ import annotations

from fastapi import APIRouter

from api.context import TheConnection, TheContext, TheDay, moment
from api.models import Coverage, StreetCoverage
from storage.queries.frequency import frequency as stored_frequency

router = APIRouter(tags=["coverage"])


@router.get("/coverage/now", summary="Coverage of the district and of each street")
def coverage_now(context: TheContext, connection: TheConnection, day: TheDay) -> Coverage:
    """Swept length over total length on the current service day (or `day`), of the work each street requires."""
    found = stored_frequency(connection, context.district.district_id, day, day)
    stored = {(f.recorded.key.street_id, f.recorded.key.work): f.recorded.figures for f in found}
    rows: list[StreetCoverage] = []
    swept_mm = length_mm = 0
    for street_id, street in sorted(context.streets.items()):
        figures = stored.get((street_id, street.work))
        length_mm += context.references[street_id].length_mm
        swept_mm += figures.swept_mm if figures else 0
        rows.append(
            StreetCoverage(
                street_id=street_id,
                coverage=figures.coverage if figures else 0.0,
                frequency=figures.frequency if figures else 0,
                required=street.required,
            )
        )
    now_us = context.now_us(connection)
    return Coverage(
        service_day=day,
        now=None if now_us is None else moment(now_us),
        coverage=swept_mm / length_mm if length_mm else 0.0,
        swept_m=swept_mm / 1000,
        length_m=length_mm / 1000,
        streets_swept=sum(row.frequency >= row.required for row in rows),
        streets=rows,
    )
