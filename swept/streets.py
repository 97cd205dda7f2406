"""Streets: bring a survey in, look for what it gets wrong, list what is there.

Surveys come as GeoJSON, Shapefile or GeoPackage, in any coordinate system, or in China's shifted one. What
comes out is WGS-84 GeoJSON that every other command reads.
"""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swept.errors import UserError, on_disk
from swept.settings import read_settings

if TYPE_CHECKING:
    from processing.district import Road, Street

app = typer.Typer(
    name="streets",
    help="Import a survey of streets, check it for what confuses matching, list it.",
    no_args_is_help=True,
)

#: Properties that a survey's columns are read into, where it has a column of that name or one is named.
COLUMNS = tuple(
    "kind street_id name grade required work sides subdistrict contractor oneway layer".split()  # noqa: SIM905
)
SUFFIXES = (".geojson", ".json", ".shp", ".gpkg")

Place = Annotated[
    Path | None,
    typer.Argument(help="A district's folder or a streets.geojson; else SWEPT_DISTRICT, else swept's own."),
]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The survey: .geojson, .shp or .gpkg.")],
    out: Annotated[Path, typer.Option(help="Where to write the streets.")] = Path("streets.geojson"),
    crs: Annotated[
        str | None, typer.Option(help="Coordinate system, such as EPSG:4549; else the file's own.")
    ] = None,
    gcj02: Annotated[
        bool, typer.Option("--gcj02", help="Degrees are GCJ-02 (Amap, Tencent) and are shifted back.")
    ] = False,
    layer: Annotated[str | None, typer.Option(help="Layer of a GeoPackage; else its first.")] = None,
    id_field: Annotated[str, typer.Option(help="Column of the streets' stable ids.")] = "street_id",
    name_field: Annotated[str | None, typer.Option(help="Column of names; else name.")] = None,
    kind_field: Annotated[
        str | None, typer.Option(help="Column that says alley, street or road; else kind.")
    ] = None,
    kind: Annotated[str, typer.Option(help="Kind of features that say none: alley, street, road.")] = "alley",
    grade_field: Annotated[str | None, typer.Option(help="Column of grades; else grade.")] = None,
    required_field: Annotated[
        str | None, typer.Option(help="Column of required sweeps a day; else required.")
    ] = None,
) -> None:
    """Turn a survey into streets.geojson (WGS-84), and say of each feature left out why.

    Example: swept streets import survey.shp --crs EPSG:4549 --id-field CODE --name-field MC
    """
    from processing.street_files import to_geojson

    named = {"street_id": id_field, "name": name_field, "kind": kind_field}
    named |= {"grade": grade_field, "required": required_field}
    if kind not in {"alley", "street", "road"}:
        raise UserError(f"--kind {kind} is none; choose alley, street or road.")
    with on_disk(file, "name the survey's file"):
        if not file.is_file():
            raise UserError(f"{file} isn't there; name the survey's file.")
    with on_disk(out, "name another file with --out"):
        if out.exists() and out.samefile(file):
            raise UserError(f"{out} is the survey itself; name another file with --out.")
    rows, columns = _read(file, layer, crs, gcj02)
    fields = _fields(columns, {name: column for name, column in named.items() if column}, file)
    lines, refused = _accept(rows, fields, kind)
    _refusals(file, refused)
    if not lines:
        raise UserError(f"{file}: none of its {len(rows)} features is a street; see the reasons above.")
    try:
        out.write_bytes(to_geojson(lines))
    except OSError as error:
        raise UserError(f"{out} can't be written: {error.strerror}; name another file with --out.") from error
    print(f"{out}: {len(lines)} of {len(rows)} features. Next: swept streets check {out}")


def _read(
    file: Path, layer: str | None, crs: str | None, gcj02: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    """GeoJSON features in WGS-84 degrees, and the names of the columns."""
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"{file} is none of {', '.join(SUFFIXES)}; export the survey as one of these.")
    import geopandas
    import pyogrio.errors
    import pyproj.exceptions

    try:
        with _quiet():
            # Only a GeoPackage has layers to choose from.
            frame = geopandas.read_file(file, **({"layer": layer} if layer else {}))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        raise UserError(f"{file} can't be read ({str(error)[:200]}); export the survey again.") from error
    if not isinstance(frame, geopandas.GeoDataFrame) or frame.empty:
        raise UserError(f"{file} has no features with geometry; choose another file or --layer.")
    try:
        if crs:
            frame = frame.set_crs(crs, allow_override=True)
        if frame.crs is None:
            raise UserError(f"{file} names no coordinate system; say it with --crs, such as --crs EPSG:4549.")
        frame = frame.to_crs("EPSG:4326")
    except pyproj.exceptions.CRSError as error:
        raise UserError(f"--crs {crs}: no such coordinate system; write one such as EPSG:4549.") from error
    columns = [str(name) for name in frame.columns if name != frame.geometry.name]
    return [_row(row, frame.geometry.name, gcj02) for row in frame.to_dict("records")], columns


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """GDAL warns of what we check ourselves."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _row(row: dict[str, Any], geometry_name: str, gcj02: bool) -> dict[str, Any]:
    """A GeoJSON feature of a frame's row."""
    import json

    import shapely
    from shapely.geometry import mapping

    from processing.datum import to_wgs84

    shape = row.pop(geometry_name)
    geometry = None
    if shape is not None:
        shape = shapely.force_2d(shape)
        if gcj02:
            shape = shapely.transform(shape, lambda xy: [to_wgs84(lon, lat, "GCJ-02") for lon, lat in xy])
        # Rounded first: a line in the wrong coordinate system may shrink to a point.
        shape = shapely.transform(shape, lambda xy: xy.round(7))
        geometry = json.loads(json.dumps(mapping(shape)))
    # Of numpy's values one gives its number, several a list, which no property takes.
    plain = {str(name): value.tolist() if hasattr(value, "tolist") else value for name, value in row.items()}
    missing = {name for name, value in plain.items() if isinstance(value, float) and math.isnan(value)}
    properties = {name: None if name in missing else value for name, value in plain.items()}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _fields(columns: Sequence[str], named: dict[str, str], file: Path) -> dict[str, str]:
    """Property -> column; a column that was named must be there."""
    fields = {name: name for name in COLUMNS if name in columns} | named
    for name, column in fields.items():
        if column in columns:
            continue
        close = difflib.get_close_matches(column, columns, n=1)
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(columns) or 'none'}"
        option = {"street_id": "--id-field"}.get(name, f"--{name}-field")
        raise UserError(f"{file} has no column {column} ({option}); {hint}")
    return fields


def _accept(
    rows: Sequence[dict[str, Any]], fields: dict[str, str], kind: str
) -> tuple[list[Street | Road], list[tuple[str, str]]]:
    """The lines, and (feature, reason) of those that are none."""
    from processing.street_files import parse_feature

    lines: list[Street | Road] = []
    refused: list[tuple[str, str]] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        properties = {name: row["properties"].get(column) for name, column in fields.items()}
        properties["kind"] = properties.get("kind") or kind
        line, faults = parse_feature({**row, "properties": properties})
        label = f"{number} {properties['street_id'] or ''}".strip()
        if line is not None and line.line_id in seen:
            line, faults = None, ["this id is used twice; give each street its own"]
        if line is None:
            refused.append((label, "; ".join(faults)))
        else:
            seen.add(line.line_id)
            lines.append(line)
    return lines, refused


def _refusals(file: Path, refused: Sequence[tuple[str, str]]) -> None:
    if refused:
        _print_table(f"{file.name}: {len(refused)} features left out", ("feature", "why"), refused)


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)


def _lines(place: Path | None) -> tuple[list[Street], list[Road], list[str]]:
    from processing.street_files import parse_streets

    path = place or read_settings().district_folder
    with on_disk(path, "name a district's folder or a GeoJSON file of streets"):
        files = [path / "streets.geojson", path / "roads.geojson"] if path.is_dir() else [path]
    if not files[0].is_file():
        raise UserError(f"{files[0]} isn't there; name a district's folder or a GeoJSON file of streets.")
    streets: list[Street] = []
    roads: list[Road] = []
    problems: list[str] = []
    for file in filter(Path.is_file, files):
        try:
            some_streets, some_roads, _, faults = parse_streets(file.read_bytes(), file.name)
        except OSError as error:
            raise UserError(f"{file} can't be read: {error.strerror}.") from error
        streets += some_streets
        roads += some_roads
        problems += faults
    return streets, roads, problems


@app.command()
def check(place: Place = None) -> None:
    """Look for loops, gaps at junctions, duplicates, slivers, islands and self-crossings.

    A finding is something to look at, not always a fault: a loop may be meant. Features that can't be read
    are listed too, and make the exit status 2.
    """
    from processing.survey import check as check_survey

    streets, roads, problems = _lines(place)
    if problems:
        _print_table("not readable", ("what",), [(problem,) for problem in problems])
    findings = check_survey(streets, roads)
    if findings:
        rows = [
            (f.fault, " ".join(f.street_ids), f"{f.lon:.6f} {f.lat:.6f}", f"{f.size_m:.1f}", f.advice)
            for f in findings
        ]
        _print_table("to look at", ("what", "streets", "lon lat", "metres", "what to do"), rows)
    print(f"{len(streets)} streets and {len(roads)} context roads: {len(findings)} findings.")
    if problems:
        raise UserError(f"{len(problems)} problems make features unreadable; correct them, listed above.")


@app.command("list")
def list_(place: Place = None) -> None:
    """List the streets: id, name, subdistrict, grade, required sweeps, kind of work, sides."""
    streets, _, problems = _lines(place)
    if problems:
        raise UserError(f"{problems[0]} (all {len(problems)}: swept streets check)")
    rows = [
        (s.street_id, s.name, s.subdistrict, str(s.grade), str(s.required), s.work, str(s.sides))
        for s in streets
    ]
    _print_table(
        f"{len(rows)} streets", ("id", "name", "subdistrict", "grade", "required", "work", "sides"), rows
    )
