"""`swept report`: the frequency table of some service days, from the store."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swept.errors import UserError

if TYPE_CHECKING:
    import psycopg

    from api.models import StreetFrequency
    from processing.pipeline import Core

COLUMNS = (
    "service_day", "street_id", "name", "work", "frequency", "frequency_certain", "required", "coverage",
    "swept_m", "length_m", "passes", "verdict",
)  # fmt: skip


def report(
    from_: Annotated[str | None, typer.Option("--from", help="First service day; else the last.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last service day, included; else today's.")] = None,
    street: Annotated[list[str] | None, typer.Option(help="Only this street; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option("--csv", help="Write a CSV instead of a table.")] = None,
) -> None:
    """Print how often each street was cleaned, and what is said of it.

    [bold]swept report --from 2026-06-01 --to 2026-06-07 --csv june.csv[/bold]

    A row for each service day and street, also where nothing was reported. [cyan]frequency[/cyan] counts the
    cleanings that cover 90 % of the street; the verdict is one of swept, ambiguous, no data, partial and not swept.
    """
    from processing.pipeline import Core
    from swept.process import current_district
    from swept.settings import read_settings
    from swept.wiring import store_connection

    first, last = _day(from_, "--from"), _day(to, "--to")
    settings = read_settings()
    with store_connection(settings) as connection:
        core = Core(current_district(connection, settings)[0])
        rows = figures(connection, core, first, last, street)
    if file is None:
        show(rows)
    else:
        write(file, rows)
        print(f"{len(rows):,} rows in {file}.")


def figures(
    connection: psycopg.Connection[Any],
    core: Core,
    first: date | None = None,
    last: date | None = None,
    street_ids: Sequence[str] | None = None,
) -> list[StreetFrequency]:
    """What the API says of these days and streets; without days, of the current one."""
    from api.context import Context, Dates, UserFault
    from api.routes.frequency import frequency
    from storage.pool import Pool

    context = Context(core.district, core.references, core.projection, Pool("", 0))
    now_us = context.now_us(connection)
    today = last or first
    if today is None:
        if now_us is None:
            raise UserError(
                "the store holds no fix of this district yet; start swept ingest and swept process."
            )
        today = context.day_of(now_us)
    try:
        return frequency(
            context, connection, Dates(first or today, last or today), list(street_ids or ()) or None
        )
    except UserFault as fault:
        raise UserError(f"{fault}; {fault.do}.") from None


def show(rows: Sequence[StreetFrequency]) -> None:
    """Print the rows as a table, and how many of each verdict there are."""
    from collections import Counter

    from rich.console import Console
    from rich.table import Table

    table = Table("day", "street", "name", "swept", "required", "certain", "coverage", "verdict")
    for column in table.columns[3:7]:
        column.justify = "right"
    for row in rows:
        table.add_row(
            str(row.service_day), row.street_id, row.name, str(row.frequency), str(row.required),
            str(row.frequency_certain), f"{row.coverage:.1%}", colored(row.verdict),
        )  # fmt: skip
    console = Console()
    console.print(table)
    length_m = sum(row.length_m for row in rows)
    coverage = sum(row.swept_m for row in rows) / length_m if length_m else 0.0
    said = ", ".join(f"{count} {word}" for word, count in Counter(row.verdict for row in rows).most_common())
    console.print(f"{len(rows)} street-days: {said}. Coverage {coverage:.1%} of {length_m / 1000:.1f} km.")


def colored(verdict: str) -> str:
    """A verdict in the colour that it has in every table."""
    colors = {
        "swept": "green",
        "ambiguous": "cyan",
        "no data": "blue",
        "partial": "yellow",
        "not swept": "red",
    }
    return f"[{colors[verdict]}]{verdict}[/]"


def write(path: Path, rows: Sequence[StreetFrequency]) -> None:
    """Write the rows as CSV; shares to four digits, metres to three."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for row in rows:
                values = {**row.model_dump(), "coverage": f"{row.coverage:.4f}"}
                values |= {name: f"{values[name]:.3f}" for name in ("swept_m", "length_m")}
                writer.writerow([values[name] for name in COLUMNS])
    except OSError as error:
        raise UserError(f"{path} can't be written ({error.strerror}); name another file.") from None


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text} is no day; write it like 2026-06-01.") from None
