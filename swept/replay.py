"""`swept replay`: a recording to a broker, as the devices would have sent it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SHOWN_MAX = 20


def replay(
    file: Annotated[Path, typer.Argument(help="A .csv, .gpx or .ndjson recording.")],
    rate: Annotated[
        float, typer.Option(min=0.001, max=100_000, help="How many times faster than it was recorded.")
    ] = 1.0,
    mqtt: Annotated[
        str | None,
        typer.Option(
            help="mqtt:// or mqtts:// broker; else SWEPT_MQTT_URL, else the one of a running swept ingest."
        ),
    ] = None,
    district: Annotated[
        Path | None,
        typer.Option(help="Folder of the district; else SWEPT_DISTRICT, else the one that comes with swept."),
    ] = None,
) -> None:
    """Play a recording over MQTT, in its own timing or N times faster; never into a database.

    [bold]swept replay day.csv --rate 60[/bold]

    A CSV has the columns of swept analyze, a GPX file a trk for each unit (its name is the unit), an NDJSON file
    contract objects with a [cyan]unit[/cyan], or lines {"topic": ..., "payload": ...}. Rows that can't be played are told line by
    line, and the rest is. The district's clock is set to the first row, so a recording of last year is not too late.
    """
    import sys

    from simulators.replay import RecordingError, read_reports, recording
    from swept.district import load_folder
    from swept.errors import UserError, on_disk
    from swept.playing import ingestors, mqtt_url, play_live, tell
    from swept.settings import read_settings

    settings = read_settings()
    with on_disk(file, "name a recording"):
        if not file.is_file():
            raise UserError(f"{file} is no file; name a recording.")
    where = load_folder(district or settings.district_folder)
    try:
        played = recording(read_reports(file), where.district_id)
    except RecordingError as error:
        raise UserError(f"{error}.") from None
    except OSError as error:
        raise UserError(f"{file} can't be read ({error.strerror}); check its permissions.") from None
    if not played.deliveries:
        problems = played.problems
        told = f"line {problems[0].line}: {problems[0].detail}" if problems else "it has no rows"
        more = f", and {len(problems) - 1:,} more" if len(problems) > 1 else ""
        raise UserError(f"no row of {file} can be played ({told}{more}); correct the file.")
    for problem in played.problems[:SHOWN_MAX]:
        print(f"{file}:{problem.line}: {problem.detail}", file=sys.stderr)
    if len(played.problems) > SHOWN_MAX:
        print(f"... and {len(played.problems) - SHOWN_MAX:,} rows more can't be played", file=sys.stderr)
    print(
        f"{len(played.deliveries):,} reports of {len(played.units)} units; {len(played.problems):,} rows left out."
    )
    url, members = mqtt_url(mqtt, settings), ingestors(mqtt, settings)
    tell(play_live(played.deliveries, url, where.district_id, rate, ingestors=members))
