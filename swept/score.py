"""`swept score`: results against the truth of a simulated run."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swept.errors import UserError

if TYPE_CHECKING:
    from simulators.score import Figure, Score

WORST_SHOWN = 15


def score(
    truth: Annotated[Path, typer.Option(help="truth.json of swept simulate.")],
    frequency: Annotated[Path, typer.Option(help="frequency.csv of swept analyze.")],
    passes: Annotated[
        Path | None, typer.Option(help="passes.csv of swept analyze, to compare metres too.")
    ] = None,
    district: Annotated[
        Path | None,
        typer.Option(help="Folder of the district; else SWEPT_DISTRICT, else the one that comes with swept."),
    ] = None,
) -> None:
    """Say how near results come to what was truly swept.

    [bold]swept score --truth run/truth.json --frequency results/frequency.csv --passes results/passes.csv[/bold]

    Compared is the service day in which the run began, street by street: the frequency, the coverage and, with
    passes, the metres. A street without a row counts as never swept.
    """
    from processing.service_day import service_day
    from simulators.score import score as compare
    from simulators.truth import TruthError, read_truth
    from swept.district import load_folder
    from swept.settings import read_settings

    where = load_folder(district or read_settings().district_folder)
    try:
        true = read_truth(truth)
    except OSError as error:
        raise UserError(
            f"{truth} can't be read ({error.strerror}); name the truth.json that swept simulate wrote."
        ) from None
    except TruthError as error:
        raise UserError(f"{error}.") from None
    if true.map_version != where.map_version:
        raise UserError(
            f"{truth} belongs to map {true.map_version}, the district is {where.map_version}; "
            "name the district it was simulated in with --district."
        )
    day = service_day(true.start_us, where.rules.day_start_s, where.rules.timezone)
    works = {street.street_id: street.work for street in where.streets}
    swept = None if passes is None else read_stretches(passes, day, works)
    show(compare(where, true.passes, read_figures(frequency, day), day, swept))


def show(result: Score) -> None:
    """Print the figures, and the streets that are furthest off."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"Against the truth of {result.service_day}", show_header=False)
    for name, value in result.table():
        table.add_row(name, value)
    console.print(table)
    wrong = [row for row in result.rows if row.frequency != row.true_frequency]
    wrong.sort(key=lambda r: (-abs(r.frequency - r.true_frequency), r.street_id))
    if not wrong:
        return
    detail = Table("street", "name", "frequency", "truth", "coverage", "truth", title="Wrong frequencies")
    for row in wrong[:WORST_SHOWN]:
        shares = f"{row.coverage:.1%}", f"{row.true_coverage:.1%}"
        detail.add_row(row.street_id, row.name, str(row.frequency), str(row.true_frequency), *shares)
    if len(wrong) > WORST_SHOWN:
        detail.caption = f"and {len(wrong) - WORST_SHOWN} more"
    console.print(detail)


def read_figures(path: Path, day: date) -> dict[str, Figure]:
    """The figures of a service day in a frequency.csv; UserError names the line that is wrong."""
    from simulators.score import Figure

    figures = {}
    for line, row in _table(path, ("service_day", "street_id", "frequency", "coverage")):
        if row["service_day"] != day.isoformat():
            continue
        try:
            figure = Figure(row["street_id"], int(row["frequency"]), float(row["coverage"]))
        except ValueError as error:
            raise UserError(f"{path}:{line}: {error}; write it as swept analyze does.") from None
        figures[figure.street_id] = figure
    if not figures:
        raise UserError(f"{path} has no row of {day}, the day of the run; name the results of that run.")
    return figures


def read_stretches(path: Path, day: date, works: dict[str, str]) -> dict[str, list[tuple[float, float]]]:
    """The swept stretches in metres in a passes.csv, of the day and of the work that each street requires."""
    found = defaultdict[str, list[tuple[float, float]]](list)
    for line, row in _table(path, ("service_day", "street_id", "work", "swept")):
        if row["service_day"] != day.isoformat() or row["work"] != works.get(row["street_id"]):
            continue
        try:
            pairs = [text.split("-") for text in row["swept"].split()]
            found[row["street_id"]] += [(float(low), float(high)) for low, high in pairs]
        except ValueError as error:
            raise UserError(f"{path}:{line}: swept: {error}; write it as swept analyze does.") from None
    return found


def _table(path: Path, needed: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV with their line numbers; UserError where it can't be read or lacks a column."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(
                    f"{path} has no column {', '.join(missing)}; name the file that swept analyze writes."
                )
            return [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"{path} can't be read ({reason}); name the file that swept analyze writes."
        ) from None
