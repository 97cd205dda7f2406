"""How often was each street cleaned on each service day, and what is said of it?"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.context import Context, Dates, TheConnection, TheContext, TheDates, UserFault, moment
from api.models import CorrectionInfo, StreetFrequency
from processing.district import Street
from processing.silence import Ground, Seen, gaps_of_day
from processing.verdict import Gap, verdict
from storage.queries.corrections import corrections as stored_corrections
from storage.queries.frequency import Figures
from storage.queries.frequency import frequency as stored_frequency
from storage.queries.suspects import suspects
from storage.queries.unit_days import unit_days

router = APIRouter(tags=["frequency"])

ROWS_MAX = 20_000

StreetIds = Annotated[
    list[str] | None, Query(max_length=1_000, description="only these streets; may be repeated; none: all")
]


@router.get("/frequency", summary="Cleaning frequency by street and service day")
def frequency(
    context: TheContext, connection: TheConnection, dates: TheDates, street_id: StreetIds = None
) -> list[StreetFrequency]:
    """One row for each service day and street, also where no unit was; by day, then street.

    The verdict is one of swept, ambiguous, no data, partial, not swept.
    """
    streets = [context.street(one) for one in dict.fromkeys(street_id or sorted(context.streets))]
    days = [dates.first + timedelta(days=n) for n in range((dates.last - dates.first).days + 1)]
    if len(days) * len(streets) > ROWS_MAX:
        raise UserFault(422, f"more than {ROWS_MAX} rows", "ask for fewer days, or name street_id")
    ids = [street.street_id for street in streets]
    stored = {
        (f.street_day.service_day, f.street_day.street_id, f.street_day.work): f
        for f in stored_frequency(connection, dates.first, dates.last, ids)
    }
    silences = _silences(context, connection, dates, days)
    return [
        _row(context, street, day, stored.get((day, street.street_id, street.work)), silences[day])
        for day in days
        for street in streets
    ]


def _silences(
    context: Context, connection: TheConnection, dates: Dates, days: list[date]
) -> dict[date, dict[str, list[Gap]]]:
    now_us = context.now_us(connection)
    beside = timedelta(days=1)
    by_day: dict[date, list[Seen]] = {}
    for row in unit_days(connection, dates.first - beside, dates.last + beside):
        by_day.setdefault(row.service_day, []).append(row.seen)
    period_us = context.day_us(dates.first)[0], context.day_us(dates.last)[1]
    suspected = suspects(connection, list(context.units), *period_us)
    ground = Ground(context.district, context.projection)
    return {
        day: gaps_of_day(
            ground,
            day,
            [row for near in (day - beside, day, day + beside) for row in by_day.get(near, ())],
            now_us,
            suspected,
        )
        for day in days
    }


def _row(
    context: Context, street: Street, day: date, stored: Figures | None, silence: dict[str, list[Gap]]
) -> StreetFrequency:
    reference = context.references[street.street_id]
    figures = stored.street_day if stored else None
    word = verdict(street, reference, figures, silence.get(street.work, []), context.district.rules)
    return StreetFrequency(
        street_id=street.street_id,
        name=street.name,
        service_day=day,
        work=street.work,
        frequency=figures.frequency if figures else 0,
        frequency_certain=figures.frequency_certain if figures else 0,
        required=street.required,
        coverage=figures.coverage if figures else 0.0,
        coverage_certain=figures.coverage_certain if figures else 0.0,
        swept_m=figures.swept_mm / 1000 if figures else 0.0,
        length_m=reference.length_mm / 1000,
        passes=figures.passes if figures else 0,
        verdict=word.value,
        cleaned_at=[moment(one) for one in figures.cleaned_us] if figures else [],
        rule_version=stored.rule_version if stored else None,
        map_version=stored.map_version if stored else None,
    )


@router.get("/corrections", summary="Figures that changed after they were published")
def corrections(
    context: TheContext, connection: TheConnection, dates: TheDates, street_id: str | None = None
) -> list[CorrectionInfo]:
    """What each figure was, what it is, and why it changed; in the order of the changes."""
    if street_id is not None:
        context.street(street_id)
    return [
        CorrectionInfo(
            street_id=one.street_id,
            service_day=one.service_day,
            work=one.work,
            cause=one.cause,
            old_figures=one.old_figures,
            new_figures=one.new_figures,
            at=moment(one.at_us),
        )
        for one in stored_corrections(connection, dates.first, dates.last, street_id)
    ]
