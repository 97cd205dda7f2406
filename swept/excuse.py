"""Excuses: why a street couldn't be swept, entered with reason and author, shown beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from swept.errors import UserError

if TYPE_CHECKING:
    from psycopg import Connection

    from processing.district import District

app = typer.Typer(
    name="excuse",
    help="Enter why a street couldn't be swept, list what was entered, withdraw it.",
    no_args_is_help=True,
)

Kind = Literal["road works", "parked cars", "rain", "frost", "other"]
TEXT_CHARS_MAX = 500

Author = Annotated[str, typer.Option(help="Who says so.")]


@app.command()
def add(
    street: Annotated[str, typer.Argument(help="The street's id; see swept streets list.")],
    from_: Annotated[str, typer.Option("--from", help="First service day, as 2026-06-01.")],
    kind: Annotated[Kind, typer.Option(help="What it was; frost is below 3 degrees.")],
    reason: Annotated[str, typer.Option(help="What happened, in your words.")],
    author: Author,
    to: Annotated[
        str | None, typer.Option("--to", help="Last service day, included; else the first.")
    ] = None,
) -> None:
    """Enter an excuse for a street.

    It is shown beside the figures of its days with reason and author, and changes none of them. Example:
    swept excuse add s001 --from 2026-06-01 --kind "road works" --reason "gas main, dug up" --author "Li Wei"
    """
    from storage import excuses
    from storage.queries.streets import unknown_streets
    from swept.days import day_of, now_us
    from swept.settings import read_settings
    from swept.wiring import store_connection

    first = day_of(from_, "--from")
    last = first if to is None else day_of(to, "--to")
    if first > last:
        raise UserError(f"--from {first} is after --to {last}; exchange them.")
    reason, author = _text(reason, "--reason"), _text(author, "--author")
    settings = read_settings()
    with store_connection(settings) as connection:
        district = _district(connection)
        known = {one.street_id for one in district.streets}
        if street not in known and unknown_streets(connection, district.district_id, [street]):
            raise UserError(f"there is no street {street}; see swept streets list.")
        number = excuses.add(connection, street, first, last, kind, reason, author, now_us(connection))
    print(f"Excuse {number} stands. To take it back: swept excuse withdraw {number} --author NAME")


@app.command("list")
def list_(
    street: Annotated[
        list[str] | None, typer.Option(help="Only the street with this id; may be repeated.")
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Only those that reach to this day.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Only those that begin by this day.")] = None,
    withdrawn: Annotated[bool, typer.Option("--withdrawn", help="Also those that were withdrawn.")] = False,
) -> None:
    """List the excuses that stand: street, days, kind, reason and author."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from processing.era import FIRST_DAY, LAST_DAY
    from storage import excuses
    from swept.days import day_of
    from swept.settings import read_settings
    from swept.wiring import store_connection

    first = FIRST_DAY if from_ is None else day_of(from_, "--from")
    last = LAST_DAY if to is None else day_of(to, "--to")
    if first > last:
        raise UserError(f"--from {first} is after --to {last}; exchange them.")
    with store_connection(read_settings()) as connection:
        found = excuses.excuses(connection, first, last, street_ids=street, withdrawn=withdrawn)
    if not found:
        print("No excuse stands there." if not withdrawn else "No excuse was ever entered there.")
        return
    names = ("no.", "street", "days", "kind", "reason", "author")
    table = Table(*names, *(("withdrawn by",) if withdrawn else ()))
    for one in found:
        days = f"{one.first_day}" if one.first_day == one.last_day else f"{one.first_day} to {one.last_day}"
        texts = (one.street_id, days, one.kind, one.reason, one.author)
        gone = (escape(one.withdrawn_by or ""),) if withdrawn else ()
        table.add_row(str(one.excuse_id), *map(escape, texts), *gone)
    Console().print(table)


@app.command()
def withdraw(
    number: Annotated[int, typer.Argument(help="The excuse's number; see swept excuse list.")], author: Author
) -> None:
    """Withdraw an excuse: it no longer stands, and stays on the record with who withdrew it."""
    from storage import excuses
    from swept.days import now_us
    from swept.settings import read_settings
    from swept.wiring import store_connection

    author = _text(author, "--author")
    with store_connection(read_settings()) as connection:
        if not excuses.withdraw(connection, number, author, now_us(connection)):
            found = excuses.excuse(connection, number)
            if found is None:
                raise UserError(f"there is no excuse {number}; see swept excuse list.")
            raise UserError(f"excuse {number} was withdrawn by {found.withdrawn_by} already.")
    print(f"Excuse {number} is withdrawn.")


def _district(connection: Connection[Any]) -> District:
    from swept.process import current_district
    from swept.settings import read_settings

    return current_district(connection, read_settings())


def _text(value: str, option: str) -> str:
    text = value.strip()
    if not text or not text.isprintable() or len(text) > TEXT_CHARS_MAX:
        raise UserError(
            f"{option} is empty, too long or not printable; write up to {TEXT_CHARS_MAX} characters."
        )
    return text
