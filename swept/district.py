"""A district's folder on disk: read, checked, and kept as a version in the store.

Without a folder the one that comes with swept is meant, a made-up Zhanqian.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swept.errors import UserError, on_disk
from swept.settings import configs_folder, read_settings

if TYPE_CHECKING:
    from psycopg import Connection

    from processing.district import District

__all__ = ["app", "configs_folder", "keep", "load_folder", "read_folder"]

app = typer.Typer(
    name="district",
    help="Check a district's folder (streets, units, shifts, plan) and load it into the store.",
    no_args_is_help=True,
)

Folder = Annotated[
    Path | None,
    typer.Argument(
        help="Folder with district.toml, streets.geojson, profiles.toml and units.toml; "
        "else SWEPT_DISTRICT, else the district that comes with swept."
    ),
]


def read_folder(path: Path) -> Mapping[str, bytes]:
    """The folder's TOML and GeoJSON files, name -> content; `UserError` where it can't be read."""
    from processing.district_files import FILE_BYTES_MAX

    with on_disk(path, "name the folder that holds district.toml"):
        if not path.is_dir():
            raise UserError(f"{path} is no folder; name the folder that holds district.toml.")
        found = sorted(path.iterdir())
    files = {}
    for file in found:
        if file.suffix not in {".toml", ".geojson"}:
            continue
        if not file.is_file():
            raise UserError(f"{file} is no file; put the file of that name there, or remove it.")
        try:
            if file.stat().st_size > FILE_BYTES_MAX:
                raise UserError(f"{file} is over {FILE_BYTES_MAX >> 20} MiB; split the district.")
            files[file.name] = file.read_bytes()
        except OSError as error:
            raise UserError(f"{file} can't be read: {error.strerror}.") from error
    if not files:
        raise UserError(f"{path} holds no TOML or GeoJSON file; name the folder that holds district.toml.")
    return files


def load_folder(path: Path) -> District:
    """The district of a folder; `UserError` with its first problem and how many more there are."""
    from processing.district_files import DistrictError, parse_district

    try:
        return parse_district(read_folder(path))
    except DistrictError as error:
        first, *more = error.problems
        rest = f" ({len(more)} more: swept district check {path})" if more else ""
        raise UserError(f"{path}/{first}{rest}") from error


@app.command()
def check(folder: Folder = None) -> None:
    """Read a folder and say all that is wrong with it, a line each.

    Nothing is stored. The exit status is 2 where anything is wrong.
    """
    from processing.district_files import DistrictError, parse_district

    path = folder or read_settings().district_folder
    try:
        district = parse_district(read_folder(path))
    except DistrictError as error:
        for problem in error.problems:
            print(problem)
        raise UserError(f"{path}: {len(error.problems)} problems, listed above.") from error
    _show(district)


@app.command()
def load(
    folder: Folder = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", help="First service day that it is in force for, as 2026-06-01; else the next."
        ),
    ] = None,
) -> None:
    """Check a folder and keep it as the newest version of its district in the store.

    A new version is in force from the next service day on (the first one for all days): days on record stay on
    the map and the rules that they were counted with, also when late data comes. To count them anew, see
    [bold]swept reprocess[/bold]. The same files again make no new version.
    """
    from swept.days import day_of
    from swept.wiring import store_connection

    settings = read_settings()
    path = folder or settings.district_folder
    district = load_folder(path)
    with store_connection(settings) as connection:
        kept = keep(
            connection, district, read_folder(path), None if from_ is None else day_of(from_, "--from")
        )
    _show(district)
    since = f", in force from {kept.first_day} on" if kept.first_day else ""
    print(f"Stored as version {kept.version}{since}.")


@app.command("list")
def list_() -> None:
    """List the versions of the district in the store, and the service days that each is in force for."""
    from storage.district import in_force, version_of, versions
    from swept.process import current_district
    from swept.wiring import store_connection

    with store_connection(read_settings()) as connection:
        district = current_district(connection, read_settings())
        found = versions(connection, district.district_id)
        timeline = in_force(connection, district.district_id)
    if not found:
        raise UserError(f"the store holds no version of {district.name} yet; see swept district load.")
    days = sorted({day for one in timeline for day in (one.first_day, one.last_day + timedelta(days=1))})
    changes = [
        day for day in days if version_of(timeline, day) != version_of(timeline, day - timedelta(days=1))
    ]
    for one in found:
        starts = [n for n, day in enumerate(changes) if version_of(timeline, day) == one.version]
        told = ", ".join(_span(changes, number) for number in starts) or "no day"
        print(
            f"{one.version}: map {one.map_version}, loaded {one.loaded_at:%Y-%m-%d %H:%M} UTC, in force for {told}"
        )


def _span(days: list[date], number: int) -> str:
    """From one change of what is in force to the next, as a person says it."""
    from processing.era import FIRST_DAY, LAST_DAY

    first, last = days[number], days[number + 1] - timedelta(days=1)
    if first <= FIRST_DAY and last >= LAST_DAY:
        return "all days"
    if last >= LAST_DAY:
        return f"{first} on"
    return f"until {last}" if first <= FIRST_DAY else f"{first} to {last}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A district version in the store, and from which service day on it was put in force just now."""

    version: int
    first_day: date | None


def keep(
    connection: Connection[Any],
    district: District,
    files: Mapping[str, bytes],
    first_day: date | None = None,
) -> Kept:
    """Keep a district's files as a version and put it in force, if it is new or `first_day` says so.

    Days on record were counted with another version: only `swept reprocess` puts one in force for them.
    """
    from processing.era import FIRST_DAY
    from storage.district import in_force, put_in_force, save, standing
    from storage.street_days import last_day
    from swept.days import now_us, today
    from swept.versions import rule_version

    known, newest = in_force(connection, district.district_id), last_day(connection)
    _check_zone(connection, district, standing(known))
    if first_day is not None and newest is not None and first_day <= newest and known:
        raise UserError(
            f"days up to {newest} are on record, counted on another version; load it from {newest + timedelta(days=1)} "
            f"on, then swept reprocess --from {first_day} --to {newest} --map with its number."
        )
    version, _ = save(connection, district, files, rule_version(district.rules))
    if first_day is None and standing(known) != version:
        first_day = FIRST_DAY
        if newest is not None and known:
            first_day = max(newest + timedelta(days=1), today(connection, district))
    if first_day is not None:
        put_in_force(connection, district.district_id, version, first_day, now_us(connection))
    return Kept(version, first_day)


def _check_zone(connection: Connection[Any], district: District, version: int | None) -> None:
    """Refuse a service day that begins elsewhere than those that were counted."""
    from processing.district_files import parse_district
    from storage.district import files_of
    from storage.street_days import first_day

    files = None if version is None else files_of(connection, district.district_id, version)
    if files is None or first_day(connection) is None:
        return
    before, rules = parse_district(files).rules, district.rules
    if (before.timezone, before.day_start_s) != (rules.timezone, rules.day_start_s):
        raise UserError(
            f"the days on record begin {before.day_start_s} s after midnight in {before.timezone}, those of this "
            f"folder {rules.day_start_s} s after midnight in {rules.timezone}; a store keeps one service day: use "
            "another SWEPT_STORE_URL for the new one."
        )


def _show(district: District) -> None:
    metres = "synthetic, " if district.synthetic else ""
    print(
        f"{district.name} ({district.district_id}): {metres}{len(district.streets)} streets, "
        f"{len(district.roads)} context roads, {len(district.units)} units, {len(district.shifts)} shifts; "
        f"map {district.map_version}, rules {district.rules.digest()}."
    )
