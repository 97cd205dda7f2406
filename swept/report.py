"""`swept report`: how often streets were cleaned and what is said of it, on the terminal or as a file.

Without --each and --by a row is a street and service day; with one of them street-days are added up. All
figures are those of the API, and come from the same functions of the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from swept.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from api.context import Context, Dates
    from api.models import StreetFrequency
    from processing.pipeline import Core

Each = Literal["day", "week", "month", "period"]
By = Literal["street", "grade", "subdistrict", "contractor", "district", "shift"]
Language = Literal["zh", "en"]
VERDICT_COLORS = {
    "swept": "green",
    "ambiguous": "cyan",
    "no data": "blue",
    "partial": "yellow",
    "not swept": "red",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is of; `each` and `by` are None where its rows are street-days."""

    context: Context
    dates: Dates
    as_of_us: int | None = None
    each: Each | None = None
    by: By | None = None
    street_ids: tuple[str, ...] = ()


def report(
    from_: Annotated[
        str | None, typer.Option("--from", help="First service day, as 2026-06-01; else the last one only.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="Last service day, included; else today, which is when the newest fix came."
        ),
    ] = None,
    each: Annotated[
        Each | None, typer.Option(help="Add up the days of each: day, week, month, or the whole period.")
    ] = None,
    by: Annotated[
        By | None, typer.Option(help="Add up what streets have in common; by street if only --each is given.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="What was known at this moment, as 2026-06-08T09:00+08:00; else now."),
    ] = None,
    street: Annotated[
        list[str] | None, typer.Option(help="Only the street with this id; may be repeated.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write a CSV with more columns, instead of the table.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write a file to hand on, by its ending: .csv, .xlsx, .geojson or .pdf."),
    ] = None,
    language: Annotated[Language, typer.Option(help="Language of what --out writes.")] = "zh",
) -> None:
    """Print how often streets were cleaned, and what is said of it.

    [bold]swept report[/bold] prints today's table, [bold]swept report --from 2026-06-01 --to 2026-06-30 --by
    contractor[/bold] a month's totals, and [bold]--out june.pdf[/bold] makes either one a document.

    A cleaning counts when it covers 90 % of the street; [cyan]2 of 3[/cyan] are two cleanings where three are
    required. The verdict of a street and day is one of swept, ambiguous (perhaps the next street), no data (a unit
    was silent for long enough), partial and not swept; it is settled when the day is closed, and until
    then tells how things stand. Excuses stand beside the figures and change none of them.

    In totals [cyan]short[/cyan] counts the cleanings that are missing, [cyan]met[/cyan] is the share of street-days
    that met their requirement, [cyan]gap[/cyan] the longest time without a cleaning.
    """
    from processing.pipeline import Core
    from swept.days import day_of, moment_of
    from swept.process import current_district
    from swept.settings import read_settings
    from swept.wiring import store_connection

    first = None if from_ is None else day_of(from_, "--from")
    last = None if to is None else day_of(to, "--to")
    as_of_us = None if as_of is None else moment_of(as_of, "--as-of")
    settings = read_settings()
    with store_connection(settings) as connection:
        core = Core(current_district(connection, settings))
        context, dates = _period(connection, core, first, last, as_of_us)
        totals = each is not None or by is not None
        asked = Asked(
            context=context,
            dates=dates,
            as_of_us=as_of_us,
            each=(each or "period") if totals else None,
            by=(by or "street") if totals else None,
            street_ids=tuple(dict.fromkeys(street or ())),
        )
        with _faults():
            context.asked_streets(connection, asked.street_ids)
            _deliver(connection, asked, csv, out, language)


def _deliver(
    connection: psycopg.Connection[Any], asked: Asked, csv: Path | None, out: Path | None, language: Language
) -> None:
    """Write the file that is wanted, or print the table."""
    from swept.report_document import document, write_document
    from swept.report_tables import show, write

    if out is not None:
        write_document(out, document(connection, asked, language))
        print(f"{out} is written.")
    elif csv is not None:
        print(f"{write(csv, connection, asked):,} rows in {csv}.")
    else:
        show(connection, asked)


def _period(
    connection: psycopg.Connection[Any],
    core: Core,
    first: date | None,
    last: date | None,
    as_of_us: int | None,
) -> tuple[Context, Dates]:
    """The days and the moment that the options mean."""
    from api.context import Context, Dates
    from storage.pool import Pool

    context = Context(core.district, core.references, core.projection, Pool("", 0))
    if last is None:
        now_us = as_of_us or context.now_us(connection)
        if now_us is None:
            raise UserError(
                "the store holds no fix of this district yet; start swept ingest and swept process."
            )
        last = max(first or date.min, context.day_of(now_us))
    first = first or last
    if first > last:
        raise UserError(f"--from {first} is after --to {last}; exchange them.")
    return context, Dates(first, last)


@contextmanager
def _faults() -> Iterator[None]:
    """What the API would answer with, as the user's error."""
    from api.context import UserFault

    try:
        yield
    except UserFault as fault:
        if fault.status == 404:
            raise UserError(f"there is {str(fault).replace(chr(39), '')}; see swept streets list.") from None
        raise UserError(f"{fault}; {fault.do}.") from None


def figures(
    connection: psycopg.Connection[Any], core: Core, first: date, last: date, street_ids: Sequence[str] = ()
) -> list[StreetFrequency]:
    """What the API says of these days and streets, or of all; verdicts of open days as things stand."""
    from api.context import Context, Dates
    from api.routes.frequency import frequency
    from storage.pool import Pool

    context = Context(core.district, core.references, core.projection, Pool("", 0))
    return frequency(context, connection, Dates(first, last), list(street_ids) or None)


def colored(verdict: str) -> str:
    """A verdict in the colour that it has in every table."""
    return f"[{VERDICT_COLORS[verdict]}]{verdict}[/]"
