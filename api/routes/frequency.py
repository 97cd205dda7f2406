"""How often was each street cleaned on each service day, and what is said of it?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.context import Context, TheConnection, TheContext, TheDates, UserFault, moment
from api.models import CorrectionInfo, FiguresVersion, StreetFrequency
from processing.frequency import StreetDay, street_day
from processing.silence import Ground, Seen, gaps_of_day
from processing.sweep import Passes
from processing.verdict import Gap, Verdict, verdict
from storage.excuses import beside, excuses
from storage.queries.corrections import Correction
from storage.queries.corrections import corrections as stored_corrections
from storage.queries.frequency import NamedDay
from storage.queries.frequency import frequency as stored_frequency
from storage.queries.suspects import suspects
from storage.queries.unit_days import unit_days
from storage.street_days import Kept, Recorded, closed_days

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
    for one in street_id or ():
        context.street(one)
    days = [dates.first + timedelta(days=n) for n in range((dates.last - dates.first).days + 1)]
    if len(days) * len(street_id or context.streets) > ROWS_MAX:
        raise UserFault(422, f"more than {ROWS_MAX} rows", "ask for fewer days, or name street_id")
    asked = list(dict.fromkeys(street_id)) if street_id else None
    stored = stored_frequency(connection, context.district.district_id, dates.first, dates.last, asked)
    closed = closed_days(connection, days)
    rows = [
        _recorded(one)
        for one in stored
        if one.recorded.figures.service_day in closed and one.recorded.verdict
    ]
    rows += _open(context, connection, [day for day in days if day not in closed], asked, stored)
    excused = beside(excuses(connection, dates.first, dates.last, street_ids=asked), dates.first, dates.last)
    rows = [
        row.model_copy(update={"excuse": excused[row.street_id, row.service_day]})
        if (row.street_id, row.service_day) in excused
        else row
        for row in rows
    ]
    order = {street: number for number, street in enumerate(asked or ())}
    return sorted(rows, key=lambda row: (row.service_day, order.get(row.street_id, 0), row.street_id))


def _recorded(named: NamedDay) -> StreetFrequency:
    """A street-day whose verdict is settled, as it is on the record."""
    one = named.recorded
    assert one.verdict is not None
    return _row(named.name or one.figures.street_id, one.figures, one.required, one.verdict, one)


def _open(
    context: Context,
    connection: TheConnection,
    days: list[date],
    asked: list[str] | None,
    stored: Sequence[NamedDay],
) -> list[StreetFrequency]:
    """The street-days that aren't settled, judged as things stand now."""
    if not days:
        return []
    found = {(n.recorded.figures.service_day, *n.recorded.key[::2]): n.recorded for n in stored}
    silences = _silences(context, connection, days)
    rules, rows = context.district.rules, []
    for day in days:
        for street_id in asked or sorted(context.streets):
            street, reference = context.streets[street_id], context.references[street_id]
            one = found.get((day, street_id, street.work))
            figures = one.figures if one else None
            word = verdict(street, reference, figures, silences[day].get(street.work, []), rules)
            nothing = figures or street_day(
                street, reference, day, street.work, Passes.of(street_id, ()), rules
            )
            rows.append(_row(street.name, nothing, street.required, word, one))
    return rows


def _silences(
    context: Context, connection: TheConnection, days: list[date]
) -> dict[date, dict[str, list[Gap]]]:
    now_us = context.now_us(connection)
    beside = timedelta(days=1)
    by_day: dict[date, list[Seen]] = {}
    for row in unit_days(connection, days[0] - beside, days[-1] + beside):
        by_day.setdefault(row.service_day, []).append(row.seen)
    period_us = context.day_us(days[0])[0], context.day_us(days[-1])[1]
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
    name: str, figures: StreetDay, required: int, word: Verdict, made: Recorded | None
) -> StreetFrequency:
    return StreetFrequency(
        street_id=figures.street_id,
        name=name,
        service_day=figures.service_day,
        work=figures.work,
        frequency=figures.frequency,
        frequency_certain=figures.frequency_certain,
        required=required,
        coverage=figures.coverage,
        coverage_certain=figures.coverage_certain,
        swept_m=figures.swept_mm / 1000,
        length_m=figures.length_mm / 1000,
        passes=figures.passes,
        verdict=word.value,
        settled=made is not None and made.verdict is not None,
        cleaned_at=[moment(one) for one in figures.cleaned_us],
        rule_version=made.rule_version if made else None,
        map_version=made.map_version if made else None,
    )


@router.get("/corrections", summary="Figures that changed after they were published")
def corrections(
    context: TheContext, connection: TheConnection, dates: TheDates, street_id: str | None = None
) -> list[CorrectionInfo]:
    """What each figure was, what it is, and why it changed; in the order of the changes."""
    if street_id is not None:
        context.street(street_id)
    return [_correction(one) for one in stored_corrections(connection, dates.first, dates.last, street_id)]


def _correction(one: Correction) -> CorrectionInfo:
    return CorrectionInfo(
        street_id=one.key.street_id,
        service_day=one.key.service_day,
        work=one.key.work,
        shift_id=one.key.shift_id or None,
        cause=one.new.cause,
        old_figures=_version(one.old) if one.old else None,
        new_figures=_version(one.new),
        at=moment(one.at_us),
    )


def _version(kept: Kept) -> FiguresVersion:
    one = kept.recorded
    return FiguresVersion(
        version=kept.version,
        frequency=one.figures.frequency,
        frequency_certain=one.figures.frequency_certain,
        coverage=one.figures.coverage,
        swept_m=one.figures.swept_mm / 1000,
        length_m=one.figures.length_mm / 1000,
        passes=one.figures.passes,
        required=one.required,
        verdict=one.verdict.value if one.verdict else None,
        cleaned_at=[moment(cleaned_us) for cleaned_us in one.figures.cleaned_us],
        rule_version=one.rule_version,
        map_version=one.map_version,
    )
