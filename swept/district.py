"""A district's folder on disk: read, checked, and kept as a version in the store.

Without a folder the one that comes with swept is meant, a made-up Zhanqian.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swept.errors import UserError, on_disk
from swept.settings import configs_folder, read_settings

if TYPE_CHECKING:
    from processing.district import District

__all__ = ["app", "configs_folder", "load_folder", "read_folder"]

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
def load(folder: Folder = None) -> None:
    """Check a folder and keep it as the newest version of its district in the store.

    Figures carry the versions of the map and of the rules that made them. The same files again make no
    new version.
    """
    from storage.district import save
    from swept.versions import rule_version
    from swept.wiring import store_connection

    settings = read_settings()
    path = folder or settings.district_folder
    district = load_folder(path)
    with store_connection(settings) as connection:
        version = save(
            connection,
            district.district_id,
            read_folder(path),
            district.map_version,
            rule_version(district.rules),
        )
    _show(district)
    print(f"Stored as version {version}.")


def _show(district: District) -> None:
    metres = "synthetic, " if district.synthetic else ""
    print(
        f"{district.name} ({district.district_id}): {metres}{len(district.streets)} streets, "
        f"{len(district.roads)} context roads, {len(district.units)} units, {len(district.shifts)} shifts; "
        f"map {district.map_version}, rules {district.rules.digest()}."
    )
