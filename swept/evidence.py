"""`swept evidence`: all that a street-day's figures follow from, in one zip that anybody can check."""

from __future__ import annotations

import contextlib
import os
import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swept.errors import UserError, on_disk

if TYPE_CHECKING:
    from psycopg import Connection

    from evidence.rows import Case
    from swept.settings import Settings

Street = Annotated[str, typer.Argument(help="The street's id; see swept streets list.")]
Day = Annotated[str, typer.Argument(metavar="DATE", help="The service day, as 2026-06-01.")]
ShiftId = Annotated[str, typer.Option("--shift", help="Show the figures of this shift as well.")]


def evidence(
    street: Annotated[str | None, typer.Argument(help="The street's id; see swept streets list.")] = None,
    day: Annotated[str | None, typer.Argument(metavar="DATE", help="The service day, as 2026-06-01.")] = None,
    shift: ShiftId = "",
    out: Annotated[
        Path | None, typer.Option(help="File to write; else swept-STREET-DATE.zip in this folder.")
    ] = None,
    held: Annotated[
        int | None, typer.Option(help="Write the held pack of this number; see swept dispute list.")
    ] = None,
) -> None:
    """Write the evidence pack of a street and a service day.

    [bold]swept evidence ZQ-S01 2026-06-01[/bold]

    The pack holds the raw records with their bytes, what was computed from them, the rule that decided each time,
    the district's files, and the signed digest of the records. [bold]swept verify[/bold] checks it on any machine,
    without the store. Of a street that is short of what it requires it holds the day of every expected unit.
    """
    from swept.settings import read_settings
    from swept.wiring import store_connection

    if held is None and (street is None or day is None):
        raise UserError("name a street and a service day, or --held and the number of a held pack.")
    with store_connection(read_settings()) as connection:
        if held is not None:
            pack, name = _held(connection, held), f"swept-held-{held}.zip"
        else:
            case = case_of(street or "", day or "", shift)
            pack = pack_of(connection, read_settings(), case)
            name = (
                f"swept-{_plain(case.street_id)}-{case.service_day}{'-' + _plain(shift) if shift else ''}.zip"
            )
    path = out or Path(name)
    write(path, pack)
    print(f"{len(pack):,} bytes in {path}, SHA-256 {sha256(pack).hex()}")


def case_of(street: str, day: str, shift: str) -> Case:
    """The case that a command line names."""
    from evidence.rows import Case
    from processing.era import OutOfEra, checked_day

    try:
        return Case(street, checked_day(date.fromisoformat(day)), shift)
    except OutOfEra as error:
        raise UserError(f"{error}.") from None
    except ValueError:
        raise UserError(f"{day} is no day; write it like 2026-06-01.") from None


def pack_of(connection: Connection[Any], settings: Settings, case: Case) -> bytes:
    """The pack of a case, read in one snapshot of the store."""
    import psycopg

    from evidence.gather import NoEvidence, make_pack
    from streams.log import LogUnavailable
    from swept.process import current_district
    from swept.versions import release
    from swept.wiring import log_elsewhere

    district = current_district(connection, settings)
    log = log_elsewhere(settings)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            return make_pack(connection, district.district_id, case, release(), log)
    except (NoEvidence, LogUnavailable) as error:
        raise UserError(f"{error}.") from None
    finally:
        connection.isolation_level = None
        if log is not None:
            log.close()


def sha256(pack: bytes) -> bytes:
    """The digest that a pack is named by."""
    import hashlib

    return hashlib.sha256(pack).digest()


def write(path: Path, pack: bytes) -> None:
    """Write the file whole or not at all; what was there before stays until then."""
    with on_disk(path, "nothing was written; name another --out"):
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name[:80]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pack)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def _held(connection: Connection[Any], held_id: int) -> bytes:
    from storage.held import pack_of as held_pack

    found = held_pack(connection, held_id)
    if found is None:
        raise UserError(f"no pack {held_id} is held; see swept dispute list.")
    pack, noted = found
    if sha256(pack) != noted:
        raise UserError(f"held pack {held_id} was changed in the store: its SHA-256 isn't the one noted.")
    return pack


def _plain(name: str) -> str:
    """An id as part of a file's name."""
    return "".join(char if char.isalnum() or char in "-_" else "_" for char in name)
