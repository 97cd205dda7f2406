"""`swept dispute`: hold the evidence of a street-day before it can be dropped."""

from __future__ import annotations

from typing import Annotated

import typer

from swept.errors import UserError
from swept.evidence import ShiftId


def dispute(
    street: Annotated[str, typer.Argument(help="The street's id; or the word list, without a date.")],
    day: Annotated[str | None, typer.Argument(metavar="DATE", help="The service day, as 2026-06-01.")] = None,
    reason: Annotated[str, typer.Option(help="What is disputed.")] = "",
    author: Annotated[str, typer.Option(help="Who disputes it.")] = "",
    shift: ShiftId = "",
) -> None:
    """Hold the evidence of a street and a service day, so that no retention drops it.

    [bold]swept dispute ZQ-S01 2026-06-01 --reason "was swept twice" --author "Li Na"[/bold] copies the evidence
    pack and prints its number and SHA-256. [bold]swept dispute list[/bold] lists what is held, and [bold]swept
    evidence --held NUMBER[/bold] writes it out again.
    """
    if street == "list" and day is None:
        _list()
        return
    if day is None:
        raise UserError(f"name the service day that is disputed, as swept dispute {street} 2026-06-01.")
    if not reason.strip() or not author.strip():
        raise UserError("give --reason and --author: what is disputed, and by whom.")
    _hold(street, day, shift, (reason.strip(), author.strip()))


def _hold(street: str, day: str, shift: str, why: tuple[str, str]) -> None:
    from storage.held import hold
    from swept.days import now_us
    from swept.evidence import case_of, pack_of, sha256
    from swept.settings import read_settings
    from swept.wiring import store_connection

    settings, case = read_settings(), case_of(street, day, shift)
    with store_connection(settings) as connection:
        pack = pack_of(connection, settings, case)
        where = case.street_id, case.service_day, case.shift_id
        held_id = hold(connection, where, why, now_us(connection), sha256(pack), pack)
    print(f"held as {held_id}: {len(pack):,} bytes, SHA-256 {sha256(pack).hex()}")


def _list() -> None:
    from storage.held import held
    from swept.settings import read_settings
    from swept.wiring import store_connection

    with store_connection(read_settings()) as connection:
        found = held(connection)
    for one in found:
        shift = f", shift {one.shift_id}" if one.shift_id else ""
        print(f"{one.held_id}: {one.street_id} on {one.service_day}{shift}, {one.author}: {one.reason}")
        print(f"   {one.pack_bytes:,} bytes, SHA-256 {one.sha256.hex()}")
    if not found:
        print("Nothing is held.")
