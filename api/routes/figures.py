"""How often, how much, and with what verdicts: added up over time, and by what streets have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from psycopg import Connection

from api.context import (
    Context,
    Dates,
    StreetIds,
    TheAsOf,
    TheConnection,
    TheContext,
    ThePeriod,
    UserFault,
    moment,
)
from api.models import CleaningInfo, FiguresAnswer, FiguresRow, FiguresTotal, UnitFiguresRow, WithoutCleaning
from storage.queries.cleanings import cleanings as stored_cleanings
from storage.queries.cleanings import longest_without
from storage.queries.figures import By, Each
from storage.queries.figures import figures as stored_figures
from storage.queries.unit_figures import unit_figures as stored_unit_figures

router = APIRouter(tags=["figures"])

ROWS_MAX = 20_000
US_PER_H = 3_600_000_000

TheEach = Annotated[Each, Query(description="stretches of time; weeks begin on Monday")]
TheBy = Annotated[By, Query(description="what the street-days of a row have in common")]


@router.get(
    "/figures", summary="Totals over any period: frequency, shortfall, compliance, coverage, verdicts"
)
def figures(
    context: TheContext,
    connection: TheConnection,
    dates: ThePeriod,
    as_of_us: TheAsOf,
    each: TheEach = "period",
    by: TheBy = "street",
    street_id: StreetIds = None,
) -> FiguresAnswer:
    """Rows by time, then key, and the total of all of them."""
    return figures_of(context, connection, dates, each, by, as_of_us, street_id)


def figures_of(
    context: Context,
    connection: Connection[Any],
    dates: Dates,
    each: Each,
    by: By,
    as_of_us: int | None = None,
    street_ids: Sequence[str] | None = None,
) -> FiguresAnswer:
    """The answer to `figures`, for `swept report` too."""
    asked = context.asked_streets(connection, street_ids)
    narrowed: dict[str, Any] = {
        "district_id": context.district.district_id,
        "as_of_us": as_of_us,
        "street_ids": asked,
    }
    rows = stored_figures(connection, dates.first, dates.last, each, by, **narrowed, rows_max=ROWS_MAX + 1)
    if len(rows) > ROWS_MAX:
        raise UserFault(422, f"more than {ROWS_MAX} rows", "ask for fewer days, or longer stretches (each)")
    total = stored_figures(connection, dates.first, dates.last, "period", "district", **narrowed)
    named = {"name": context.district.name}
    return FiguresAnswer(
        rows=[FiguresRow(**asdict(row) | (named if by == "district" else {})) for row in rows],
        total=FiguresTotal(**asdict(total[0]) | named, percents=total[0].percents) if total else None,
    )


@router.get("/cleanings", summary="When a street was cleaned")
def cleanings(
    street_id: str, context: TheContext, connection: TheConnection, dates: ThePeriod, as_of_us: TheAsOf
) -> list[CleaningInfo]:
    """Every cleaning of the period's service days with its time, in order."""
    context.asked_streets(connection, [street_id])
    district_id = context.district.district_id
    return [
        CleaningInfo(service_day=one.service_day, number=one.number, cleaned_at=moment(one.cleaned_us))
        for one in stored_cleanings(
            connection, street_id, dates.first, dates.last, district_id=district_id, as_of_us=as_of_us
        )
    ]


@router.get("/longest", summary="The longest time that each street was without a cleaning")
def longest(
    context: TheContext,
    connection: TheConnection,
    dates: ThePeriod,
    as_of_us: TheAsOf,
    street_id: StreetIds = None,
) -> list[WithoutCleaning]:
    """From where the period begins, over its cleanings, to where it or what is known of it ends; by street.

    A period that has yet to begin has no rows.
    """
    return longest_of(context, connection, dates, as_of_us, street_id)


def longest_of(
    context: Context,
    connection: Connection[Any],
    dates: Dates,
    as_of_us: int | None = None,
    street_ids: Sequence[str] | None = None,
) -> list[WithoutCleaning]:
    """The answer to `longest`, for `swept report` too."""
    asked = context.asked_streets(connection, street_ids)
    ends_us = context.day_us(dates.last)[1], context.now_us(connection), as_of_us
    from_us, to_us = context.day_us(dates.first)[0], min(end_us for end_us in ends_us if end_us is not None)
    if to_us <= from_us:
        return []
    return [
        WithoutCleaning(
            street_id=one.street_id,
            name=one.name,
            from_time=moment(one.without_from_us),
            to_time=moment(one.without_to_us),
            hours=(one.without_to_us - one.without_from_us) / US_PER_H,
            cleanings=one.cleanings,
        )
        for one in longest_without(
            connection,
            dates.first,
            dates.last,
            from_us,
            to_us,
            district_id=context.district.district_id,
            as_of_us=as_of_us,
            street_ids=asked,
        )
    ]


@router.get("/unit-figures", summary="Driven and working kilometres of each unit")
def unit_figures(
    context: TheContext, connection: TheConnection, dates: ThePeriod, each: TheEach = "period"
) -> list[UnitFiguresRow]:
    """What each unit that reported drove, what of it was work, and for how long; by time, then unit."""
    return unit_figures_of(context, connection, dates, each)


def unit_figures_of(
    context: Context, connection: Connection[Any], dates: Dates, each: Each
) -> list[UnitFiguresRow]:
    """The answer to `unit_figures`, for `swept report` too."""
    units = context.units
    return [
        UnitFiguresRow(
            bucket_first=one.bucket_first,
            bucket_last=one.bucket_last,
            unit_id=one.unit_id,
            name=units[one.unit_id].name if one.unit_id in units else "",
            contractor=units[one.unit_id].contractor if one.unit_id in units else "",
            days=one.days,
            fixes=one.fixes,
            driven_km=one.driven_m / 1000,
            working_km=None if one.working_m is None else one.working_m / 1000,
            working_share=one.working_share,
            working_h=one.working_s / 3600,
        )
        for one in stored_unit_figures(connection, dates.first, dates.last, each)
    ]
