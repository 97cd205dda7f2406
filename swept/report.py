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
    from_: Annotated[
        str | None, typer.Option("--from", help="First service day, as 2026-06-01; else the last one only.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="Last service day, included; else today, which is when the newest fix came."
        ),
    ] = None,
    street: Annotated[
        list[str] | None, typer.Option(help="Only the street with this id; may be repeated.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--csv", help="Write a CSV with more columns, instead of the table.")
    ] = None,
) -> None:
    """Print how often each street was cleaned, and what is said of it.

    [bold]swept report[/bold] prints today's table, [bold]swept report --from 2026-06-01 --to 2026-06-07 --csv
    june.csv[/bold] writes a week's.

    A row for each service day and street, also where nothing was reported. A cleaning counts when it covers 90 %
    of the street; [cyan]2 of 3[/cyan] are two cleanings where three are required. The verdict is one of swept,
    ambiguous (perhaps the next street), no data (a unit was silent for long enough), partial and not swept.
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
    if last is None:
        now_us = context.now_us(connection)
        if now_us is None:
            raise UserError(
                "the store holds no fix of this district yet; start swept ingest and swept process."
            )
        today = context.day_of(now_us)
        last = max(first or today, today)
    first = first or last
    if first > last:
        raise UserError(f"--from {first} is after --to {last}; exchange them.")
    for street_id in street_ids or ():
        if street_id not in core.streets:
            raise UserError(f"there is no street {street_id}; see swept streets list.")
    try:
        return frequency(context, connection, Dates(first, last), list(street_ids or ()) or None)
    except UserFault as fault:
        raise UserError(f"{fault}; {fault.do}.") from None


def show(rows: Sequence[StreetFrequency]) -> None:
    """Print the rows as a table, and how many of each verdict there are."""
    from collections import Counter

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    days = sorted({row.service_day for row in rows})
    doubtful = any(row.frequency_certain != row.frequency for row in rows)
    table = Table(title=str(days[0]) if len(days) == 1 else None)
    if len(days) > 1:
        table.add_column("day", no_wrap=True)
    table.add_column("street", no_wrap=True)
    table.add_column("name", overflow="fold")
    for name in ("cleanings", *(("certain",) if doubtful else ()), "coverage"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        day = (str(row.service_day),) if len(days) > 1 else ()
        certain = (str(row.frequency_certain),) if doubtful else ()
        counted = f"{row.frequency} of {row.required}"
        street = escape(row.street_id), escape(row.name)
        table.add_row(*day, *street, counted, *certain, f"{row.coverage:.1%}", colored(row.verdict))
    console = Console()
    console.print(table)
    length_m = sum(row.length_m for row in rows)
    coverage = sum(row.swept_m for row in rows) / length_m if length_m else 0.0
    said = ", ".join(f"{count} {word}" for word, count in Counter(row.verdict for row in rows).most_common())
    what = "streets" if len(days) == 1 else f"rows of {len(days)} days"
    told = f"{len(rows)} {what}: {said}. Coverage {coverage:.1%} of {length_m / 1000:.1f} km."
    console.print(told, soft_wrap=True)


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
    from processing.era import OutOfEra, checked_day

    try:
        return checked_day(date.fromisoformat(text))
    except OutOfEra as error:
        raise UserError(f"{option} {error}.") from None
    except ValueError:
        raise UserError(f"{option} {text} is no day; write it like 2026-06-01.") from None
