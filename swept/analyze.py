"""`swept analyze`: figures from a file of fixes, without a broker, a store or a server.

The same decoding and the same core as live, so the same fixes give the same figures and are refused for the
same reasons. The output's bytes depend on the input and the release only (but for the seconds it took).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def analyze(
    fixes: Annotated[
        Path, typer.Option(help="CSV with unit, time, lon, lat and what else is known (see above).")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; made if need be, files are replaced.")],
    streets: Annotated[
        Path | None,
        typer.Option(
            help="GeoJSON (WGS-84): kind=alley or street is audited, kind=road is context; else the district's."
        ),
    ] = None,
    district: Annotated[
        Path | None,
        typer.Option(help="Folder of a district: its units, profiles, shifts, rules and streets."),
    ] = None,
    day_start: Annotated[
        str | None, typer.Option(help="When the service day begins, HH:MM of local clock; else 00:00.")
    ] = None,
    tz: Annotated[str | None, typer.Option(help="Time zone of the streets; else Asia/Shanghai.")] = None,
) -> None:
    """Count what a file of fixes says was swept; needs no server.

    [bold]swept analyze --streets streets.geojson --fixes fixes.csv --out results[/bold]

    [bold]swept analyze --district configs/zhanqian --fixes fixes.csv --out results[/bold]

    The CSV has the columns [cyan]unit, time, lon, lat[/cyan] (time as RFC 3339 with a zone, or milliseconds
    since 1970) and, where known, [cyan]speed_kmh, heading_deg, accuracy_m[/cyan] and what the equipment did.
    [cyan]received_at[/cyan] is when the report came in, else the fix's own time.

    Without a district, a unit works when [cyan]working[/cyan] (0 or 1) says so, else when any of [cyan]brush,
    spray, fan[/cyan] is on; where there is none of these columns, when it moves at the speed of work. An empty
    cell is unknown. What kind of work it does is unknown, so
    it counts for whatever a street requires: sweeping, washing or by hand.

    With a district, its profiles say which columns ([cyan]engine, brush, spray, fan[/cyan]) mean work, which
    kind of work, how fast, and in which datum the coordinates are; its roster says who was expected. The
    figures are those that the same reports give live, and units that it doesn't have are refused.

    The folder gets [cyan]frequency.csv[/cyan] (a row for each street and service day),
    [cyan]passes.csv[/cyan], [cyan]rejected.csv[/cyan] (each refused row and why) and
    [cyan]summary.json[/cyan].
    """
    from swept.analysis import run

    run(streets, fixes, out, day_start, tz, district)
