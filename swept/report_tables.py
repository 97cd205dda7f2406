"""Reports on the terminal, and as CSV: a row for each street-day, or totals of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from api.context import UserFault, moment
from api.models import FiguresRow, FiguresTotal, UnitFiguresRow
from api.routes.figures import figures_of, longest_of, unit_figures_of
from api.routes.frequency import frequency
from processing.shares import percents
from storage.excuses import Excuse, beside, excuses
from storage.queries.street_days import street_days
from swept.errors import on_disk
from swept.report import VERDICT_COLORS

if TYPE_CHECKING:
    import psycopg

    from swept.report import Asked

DAY_COLUMNS = (
    "service_day", "street_id", "name", "work", "frequency", "frequency_certain", "required", "coverage",
    "swept_m", "length_m", "passes", "verdict", "settled", "cleaned_at", "excuse",
)  # fmt: skip
ROWS_MAX = 20_000
#: A verdict's mark in a bar, for eyes and printers that see no colours.
_MARKS = {"swept": "█", "ambiguous": "▓", "no data": "░", "partial": "▄", "not swept": "▁"}
_BAR_CHARS = 8
_VERDICT_FIELDS = {"swept": "swept", "ambiguous": "ambiguous", "no data": "no_data", "partial": "partial",
                   "not swept": "not_swept"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A street-day as it is shown; without a verdict nothing is known that could be judged."""

    service_day: date
    street_id: str
    name: str
    work: str
    frequency: int
    frequency_certain: int
    required: int
    coverage: float
    swept_m: float
    length_m: float
    passes: int
    verdict: str | None
    settled: bool
    cleaned_at: list[datetime]
    excuse: str


def lines(connection: psycopg.Connection[Any], asked: Asked) -> list[Line]:
    """A row for each service day and street; of open days with the verdict as things stand, if it is asked for now."""
    context, dates = asked.context, asked.dates
    street_ids = list(asked.street_ids) or None
    if asked.as_of_us is None:
        found = frequency(context, connection, dates, street_ids)
        return [Line(**{name: getattr(row, name) for name in Line.__dataclass_fields__}) for row in found]
    excused = excuses_of(connection, asked)
    recorded = street_days(
        connection,
        dates.first,
        dates.last,
        district_id=context.district.district_id,
        as_of_us=asked.as_of_us,
        street_ids=street_ids,
        rows_max=ROWS_MAX + 1,
    )
    if len(recorded) > ROWS_MAX:
        raise UserFault(422, f"more than {ROWS_MAX} rows", "ask for fewer days, or add them up with --each")
    return [
        Line(
            service_day=row.service_day,
            street_id=row.street_id,
            name=row.name,
            work=row.work,
            frequency=row.frequency,
            frequency_certain=row.frequency_certain,
            required=row.required,
            coverage=row.swept_mm / row.length_mm if row.length_mm else 0.0,
            swept_m=row.swept_mm / 1000,
            length_m=row.length_mm / 1000,
            passes=row.passes,
            verdict=row.verdict,
            settled=not row.open,
            cleaned_at=[moment(one) for one in row.cleaned_us],
            excuse=excused.get((row.street_id, row.service_day), ""),
        )
        for row in recorded
    ]


def excuses_of(connection: psycopg.Connection[Any], asked: Asked) -> dict[tuple[str, date], str]:
    """By street and day the kinds of excuses that stand beside it."""
    return beside(entered(connection, asked), asked.dates.first, asked.dates.last)


def entered(connection: psycopg.Connection[Any], asked: Asked) -> list[Excuse]:
    """The excuses that stand beside what is asked."""
    dates, street_ids = asked.dates, asked.street_ids or None
    return excuses(connection, dates.first, dates.last, as_of_us=asked.as_of_us, street_ids=street_ids)


def show(connection: psycopg.Connection[Any], asked: Asked) -> None:
    """Print what is asked as a table, with its totals below."""
    each, by = asked.each or "period", asked.by or "district"
    answer = figures_of(asked.context, connection, asked.dates, each, by, asked.as_of_us, asked.street_ids)
    console = Console()
    if asked.each is None:
        rows = lines(connection, asked)
        console.print(_days_table(rows, asked))
        so_far = [row.verdict for row in rows if row.verdict and not row.settled]
        console.print(_told(answer.total, {}, so_far), soft_wrap=True)
        return
    console.print(_fitting(console, answer.rows, asked, longest(connection, asked)))
    marks = {} if by == "shift" else {word: f"{mark} " for word, mark in _MARKS.items()}
    console.print(_told(answer.total, marks), soft_wrap=True)
    if not asked.street_ids and asked.as_of_us is None:
        units = unit_figures_of(asked.context, connection, asked.dates, "period")
        for line in _units_told(units):
            console.print(line, soft_wrap=True)


def longest(connection: psycopg.Connection[Any], asked: Asked) -> Mapping[str, float]:
    """By street the hours of its longest time without a cleaning; of reports by street over a whole period."""
    if (asked.each, asked.by) != ("period", "street"):
        return {}
    rows = longest_of(asked.context, connection, asked.dates, asked.as_of_us, asked.street_ids)
    return {row.street_id: row.hours for row in rows}


def _days_table(rows: Sequence[Line], asked: Asked) -> Table:
    dates, several = asked.dates, asked.dates.first < asked.dates.last
    doubtful = any(row.frequency_certain != row.frequency for row in rows)
    excused, timed, one_street = (
        any(row.excuse for row in rows),
        bool(asked.street_ids),
        len(asked.street_ids) == 1,
    )
    still_open = any(not row.settled for row in rows)
    of_street = [f"{rows[-1].street_id} {rows[-1].name}"] if one_street and rows else []
    of_day = [] if several else [f"{dates.first}, so far" if still_open else f"{dates.first}"]
    caption = "* still open, as things stand" if several and still_open else None
    table = Table(title=_title(asked, escape(", ".join((*of_street, *of_day)))), caption=caption)
    if several:
        table.add_column("day", no_wrap=True)
    if not one_street:
        table.add_column("street", no_wrap=True)
        table.add_column("name", overflow="fold")
    for name in ("cleanings", *(("certain",) if doubtful else ()), "coverage"):
        table.add_column(name, justify="right", no_wrap=True)
    if timed:
        table.add_column("cleaned at", overflow="fold", min_width=5)
    table.add_column("verdict", no_wrap=True)
    if excused:
        table.add_column("excuse", overflow="fold", min_width=6)
    zone = ZoneInfo(asked.context.district.rules.timezone)
    for row in rows:
        cells = [
            *((f"{row.service_day}{'' if row.settled else '*'}",) if several else ()),
            *(() if one_street else (escape(row.street_id), escape(row.name))),
            f"{row.frequency} of {row.required}",
            *((str(row.frequency_certain),) if doubtful else ()),
            f"{row.coverage:.1%}",
            *((" ".join(f"{one.astimezone(zone):%H:%M}" for one in row.cleaned_at),) if timed else ()),
            _said(row),
            *((escape(row.excuse),) if excused else ()),
        ]
        table.add_row(*cells)
    return table


def _said(row: Line) -> str:
    return "[dim]open[/]" if row.verdict is None else f"[{VERDICT_COLORS[row.verdict]}]{row.verdict}[/]"


def _fitting(
    console: Console, rows: Sequence[FiguresRow], asked: Asked, without: Mapping[str, float]
) -> Table:
    """The table, on a narrow terminal without what CSV and files have all the same."""
    wide = console.options.update_width(1_000)
    for gaps, bars in ((without, True), ({}, True)):
        table = _figures_table(rows, asked, gaps, bars=bars)
        if console.measure(table, options=wide).maximum <= console.width:
            return table
    return _figures_table(rows, asked, {}, bars=False)


def _figures_table(
    rows: Sequence[FiguresRow], asked: Asked, without: Mapping[str, float], *, bars: bool
) -> Table:
    each, by, whole = asked.each or "period", asked.by or "street", asked.by != "shift"
    excused, still_open = any(row.excused for row in rows), any(row.open for row in rows)
    timed, keyed, named = each != "period", by != "district" or each == "period", by in ("street", "shift")
    table = Table(title=_title(asked, f"{asked.dates.first} to {asked.dates.last}"))
    for name in (each,) * timed + (by,) * keyed:
        table.add_column(name, no_wrap=name in (each, "street"), overflow="fold", min_width=len(name))
    if named:
        table.add_column("name", overflow="fold")
    numbers = ["cleaned", *(("short", "met") if whole else ()), "covered"]
    numbers += ["gap"] * bool(without) + ["open"] * still_open + ["excused"] * excused
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    if whole and bars:
        table.add_column("verdicts", no_wrap=True, min_width=_BAR_CHARS)
    for row in rows:
        # Of days that were open then nothing is kept; of those that are open now nothing is judged yet.
        judged = row.open < row.street_days
        kept = judged or asked.as_of_us is None
        of = "" if row.required is None else f" of {row.required:,}"
        cells = [
            *((bucket_name(row.bucket_first, each),) if timed else ()),
            *((escape((row.name if by == "district" else row.key) or "(none)"),) if keyed else ()),
            *((escape(row.name),) if named else ()),
            f"{row.cleanings:,}{of}" if kept else "–",
            *((f"{row.shortfall:,}" if judged else "–", _share(row.compliance)) if whole else ()),
            _share(row.coverage if kept else None),
            *((duration(without.get(row.key)),) if without else ()),
            *((f"{row.open:,}",) if still_open else ()),
            *((f"{row.excused or 0:,}",) if excused else ()),
            *((_bar(row),) if whole and bars else ()),
        ]
        table.add_row(*cells)
    return table


def _title(asked: Asked, text: str) -> str | None:
    if asked.as_of_us is None:
        return text or None
    zone = ZoneInfo(asked.context.district.rules.timezone)
    as_of = moment(asked.as_of_us).astimezone(zone).isoformat(sep=" ", timespec="minutes")
    return f"{text}{', ' if text else ''}as of {as_of}"


def bucket_name(first: date, each: str) -> str:
    """A stretch of time by its first day: 2026-06-01, 2026-W23 or 2026-06."""
    if each == "week":
        year, week, _ = first.isocalendar()
        return f"{year}-W{week:02}"
    return f"{first:%Y-%m}" if each == "month" else str(first)


def duration(hours: float | None) -> str:
    """Days and hours for people."""
    if hours is None:
        return ""
    whole = round(hours)
    return f"{whole // 24} d {whole % 24} h" if whole >= 48 else f"{hours:.1f} h"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def verdicts(row: FiguresRow) -> dict[str, int]:
    """How many street-days have each verdict."""
    return {word: getattr(row, name) or 0 for word, name in _VERDICT_FIELDS.items()}


def _bar(row: FiguresRow) -> str:
    """The verdicts' shares as a bar, in which each that occurs can be seen."""
    occurring = {word: count for word, count in verdicts(row).items() if count}
    rest = percents(occurring, _BAR_CHARS - len(occurring))
    return "".join(f"[{VERDICT_COLORS[word]}]{_MARKS[word] * (1 + rest[word])}[/]" for word in occurring)


def _told(total: FiguresTotal | None, marks: Mapping[str, str], so_far: Sequence[str] = ()) -> str:
    """The totals in words: verdicts with their shares, what is open, what is excused, coverage."""
    if total is None:
        return "No street is on the map of that time."
    closed = total.street_days - total.open
    said = []
    if closed:
        said.append(f"{_counted(closed)}: {_shares(verdicts(total), total.percents, marks)}")
    if total.open:
        still_open = f"{total.open:,} more still open" if closed else f"{_counted(total.open)} still open"
        now = {word: so_far.count(word) for word in VERDICT_COLORS}
        said.append(still_open)
        said += [f"so far {_shares(now, percents(now), marks)}"] if so_far else []
    if total.excused:
        said.append(f"{total.excused:,} that fall short have an excuse")
    length = (
        "" if total.coverage is None else f" Covered {total.coverage:.1%} of {total.length_m / 1000:,.1f} km."
    )
    return f"{'; '.join(said)}.{length}"


def _counted(street_days: int) -> str:
    return f"{street_days:,} street-day{'s' if street_days != 1 else ''}"


def _shares(counts: Mapping[str, int], shares: Mapping[str, int], marks: Mapping[str, str]) -> str:
    """Those verdicts that occur, the most frequent first, each with its share."""
    some = sorted((word for word in counts if counts[word]), key=lambda word: -counts[word])
    return ", ".join(
        f"[{VERDICT_COLORS[word]}]{marks.get(word, '')}[/]{shares[word]} % {word}" for word in some
    )


def _units_told(units: Sequence[UnitFiguresRow]) -> list[str]:
    driven_km = sum(one.driven_km for one in units)
    known = [one for one in units if one.working_km is not None]
    if not known or not driven_km:
        return []
    working_km = sum(one.working_km or 0.0 for one in known)
    share = working_km / sum(one.driven_km for one in known)
    return [
        f"{len(units)} units drove {driven_km:,.1f} km; {working_km:,.1f} km of it were work ({share:.0%})."
    ]


def write(path: Path, connection: psycopg.Connection[Any], asked: Asked) -> int:
    """Write what is asked as CSV, shares to four digits and metres to three; the number of rows."""
    rows = list(
        _day_rows(lines(connection, asked), asked) if asked.each is None else _total_rows(connection, asked)
    )
    columns = DAY_COLUMNS if asked.each is None else (*FiguresRow.model_fields, "longest_without_h")
    with (
        on_disk(path, "it can't be written; name another file"),
        path.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _day_rows(found: Iterable[Line], asked: Asked) -> Iterable[dict[str, Any]]:
    zone = ZoneInfo(asked.context.district.rules.timezone)
    for row in found:
        times = " ".join(one.astimezone(zone).isoformat(timespec="seconds") for one in row.cleaned_at)
        yield _digits(asdict(row) | {"cleaned_at": times, "settled": "yes" if row.settled else "no"})


def _total_rows(connection: psycopg.Connection[Any], asked: Asked) -> Iterable[dict[str, Any]]:
    assert asked.each is not None
    assert asked.by is not None
    context, dates = asked.context, asked.dates
    without = longest(connection, asked)
    answer = figures_of(context, connection, dates, asked.each, asked.by, asked.as_of_us, asked.street_ids)
    for row in answer.rows:
        hours = without.get(row.key)
        yield _digits({**row.model_dump(), "longest_without_h": None if hours is None else f"{hours:.2f}"})


def _digits(row: Mapping[str, Any]) -> dict[str, Any]:
    places = {"coverage": 4, "compliance": 4, "swept_m": 3, "length_m": 3}
    return {
        name: f"{value:.{places[name]}f}" if name in places and value is not None else value
        for name, value in row.items()
    }
