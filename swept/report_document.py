"""A report as the document that `reports` writes as CSV, XLSX, GeoJSON or PDF: made from the store, nothing computed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.context import UserFault, moment
from api.models import FiguresAnswer, FiguresRow
from api.routes.figures import figures_of, unit_figures_of
from reports.columns import COLUMNS
from reports.document import (
    OPEN,
    Cell,
    DayDigest,
    Document,
    ExcuseNote,
    Language,
    MapStreet,
    UnitWork,
    VersionUse,
)
from storage.chain import Signed, signed_days
from storage.queries.figures import By, Each
from storage.queries.figures import figures as stored_figures
from storage.queries.made_by import StreetLine, VersionSpan, map_spans, rule_spans, street_lines
from storage.queries.status import positions
from storage.queries.street_days import StreetDayRow, street_days
from swept.errors import UserError, on_disk
from swept.report_tables import ROWS_MAX, bucket_name, entered, excuses_of, longest

if TYPE_CHECKING:
    import psycopg

    from swept.report import Asked

_DAYS = (
    "service_day", "street_id", "street", "grade", "subdistrict", "contractor", "work", "frequency",
    "frequency_certain", "required", "coverage", "swept_m", "length_m", "passes", "verdict", "cleaned_at",
    "excuses",
)  # fmt: skip
_FIGURES = (
    "street_days", "required", "cleanings", "cleanings_certain", "shortfall", "compliant", "compliance", "coverage",
    "swept_km", "length_km", "passes", "swept", "ambiguous", "no_data", "partial", "not_swept", "excused", "open",
)  # fmt: skip
#: What is of whole days, and so not of a shift.
_OF_DAYS = frozenset({"required", "shortfall", "compliant", "compliance", "swept", "ambiguous", "no_data", "partial",
                      "not_swept", "excused"})  # fmt: skip
_KEYS: Mapping[By, tuple[str, ...]] = {
    "street": ("street_id", "street"),
    "grade": ("grade",),
    "subdistrict": ("subdistrict",),
    "contractor": ("contractor",),
    "district": ("district",),
    "shift": ("shift",),
}
_TIMES: Mapping[Each, tuple[str, ...]] = {
    "day": ("service_day",),
    "week": ("week", "first_day", "last_day"),
    "month": ("month", "first_day", "last_day"),
    "period": (),
}
_NOTES = {
    "open": {
        "en": "{n:,} street-days are of days that aren't closed yet: nothing is said of them so far.",
        "zh": "{n:,} 个街道·日所属作业日尚未结算，暂不作判定。",
    },
    "excused": {
        "en": "{n:,} street-days that fall short have an excuse; the figures don't take it into account.",
        "zh": "{n:,} 个未达标的街道·日登记有免责事由；各项数字未作调整。",
    },
}


def write_document(path: Path, made: Document) -> None:
    """Write the document in the format that the file's ending names."""
    from reports.files import ReportError
    from reports.files import write as write_file

    with on_disk(path, "it can't be written; name another file with --out"):
        try:
            write_file(made, path)
        except ReportError as error:
            raise UserError(f"{error}.") from None


def document(connection: psycopg.Connection[Any], asked: Asked, language: Language) -> Document:
    """What is asked, as the store has it now or had it as of a moment."""
    context, dates = asked.context, asked.dates
    rules, district = context.district.rules, context.district
    of_record: dict[str, Any] = {"district_id": district.district_id, "as_of_us": asked.as_of_us}
    answer = figures_of(
        context,
        connection,
        dates,
        asked.each or "period",
        asked.by or "street",
        asked.as_of_us,
        asked.street_ids,
    )
    columns, rows, totals = (
        _days(connection, asked) if asked.each is None else _totals(connection, asked, answer, asked.each)
    )
    total = answer.total
    now_us = context.now_us(connection)
    signed = _signed(connection, asked)
    lines = street_lines(
        connection, dates.first, dates.last, **of_record, street_ids=asked.street_ids or None
    )
    return Document(
        district=district.name,
        language=language,
        first_day=dates.first,
        last_day=dates.last,
        each=asked.each or "day",
        by=asked.by or "street",
        made_at=moment(now_us if now_us is not None else time.time_ns() // 1000),
        timezone=rules.timezone,
        columns=tuple(COLUMNS[name] for name in columns),
        rows=rows,
        as_of=None if asked.as_of_us is None else moment(asked.as_of_us),
        day_start_s=int(rules.day_start_s),
        totals=totals,
        verdict_percent={word: float(share) for word, share in total.percents.items()} if total else {},
        street_days=total.street_days if total else 0,
        open_days=total.open if total else 0,
        streets=tuple(_map(connection, asked, lines)),
        excuses=tuple(_excuses(connection, asked, {one.street_id: one.name for one in lines})),
        units=tuple(_units(connection, asked)),
        rule_versions=_uses(rule_spans(connection, dates.first, dates.last, **of_record)),
        map_versions=_uses(map_spans(connection, dates.first, dates.last, **of_record)),
        digests=tuple(DayDigest(one.service_day, one.digest.hex()) for one in signed),
        public_key=signed[-1].public_key.hex() if signed else "",
        scope=", ".join(asked.street_ids),
        notes=tuple(_notes(answer, language)),
        synthetic=district.synthetic,
    )


Table = tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...], tuple[Cell, ...] | None]


def _days(connection: psycopg.Connection[Any], asked: Asked) -> Table:
    """A row for each service day and street."""
    found = street_days(
        connection,
        asked.dates.first,
        asked.dates.last,
        district_id=asked.context.district.district_id,
        as_of_us=asked.as_of_us,
        street_ids=asked.street_ids or None,
        rows_max=ROWS_MAX + 1,
    )
    if len(found) > ROWS_MAX:
        raise UserFault(422, f"more than {ROWS_MAX} rows", "ask for fewer days, or add them up with --each")
    excused = excuses_of(connection, asked)
    rows = tuple(
        (
            row.service_day,
            row.street_id,
            row.name,
            row.grade,
            row.subdistrict,
            row.contractor,
            row.work,
            row.frequency,
            row.frequency_certain,
            row.required,
            row.swept_mm / row.length_mm if row.length_mm else None,
            row.swept_mm / 1000,
            row.length_mm / 1000,
            row.passes,
            row.verdict or OPEN,
            tuple(moment(one) for one in row.cleaned_us),
            excused.get((row.street_id, row.service_day), ""),
        )
        for row in found
    )
    return _DAYS, rows, None


def _totals(connection: psycopg.Connection[Any], asked: Asked, answer: FiguresAnswer, each: Each) -> Table:
    """A row for each stretch of time and key, and the sum of all of them."""
    assert asked.by is not None
    without = longest(connection, asked)
    figures = (name for name in _FIGURES if asked.by != "shift" or name not in _OF_DAYS)
    gaps = ("longest_without_h",) if without else ()
    columns = (*_TIMES[each], *_KEYS[asked.by], *figures, *gaps)
    cells = [_cells(row, each, asked.by) | {"longest_without_h": without.get(row.key)} for row in answer.rows]
    total: Mapping[str, Cell] = {} if answer.total is None else _figures(answer.total)
    return (
        columns,
        tuple(tuple(row.get(name) for name in columns) for row in cells),
        tuple(total.get(name) for name in columns) if total and asked.by != "shift" else None,
    )


def _cells(row: FiguresRow, each: Each, by: By) -> dict[str, Cell]:
    """The cells of a row by column."""
    time_cells: dict[str, Cell] = {
        "service_day": row.bucket_first,
        "first_day": row.bucket_first,
        "last_day": row.bucket_last,
        "week": bucket_name(row.bucket_first, "week"),
        "month": bucket_name(row.bucket_first, "month"),
    }
    named = row.name if by in ("district", "shift") else row.key
    key: Cell = int(row.key) if by == "grade" else named or row.key
    keys: dict[str, Cell] = {by: key, "street_id": row.key} if by != "street" else {
        "street_id": row.key, "street": row.name
    }  # fmt: skip
    return {name: time_cells[name] for name in _TIMES[each]} | keys | _figures(row)


def _figures(row: FiguresRow) -> dict[str, Cell]:
    """What was found, by column."""
    return {**row.model_dump(), "swept_km": row.swept_m / 1000, "length_km": row.length_m / 1000}


def _map(
    connection: psycopg.Connection[Any], asked: Asked, lines: Sequence[StreetLine]
) -> Iterator[MapStreet]:
    """Each street with what colours it: the verdict of a single day, else its compliance over the period."""
    dates = asked.dates
    narrowed: dict[str, Any] = {
        "district_id": asked.context.district.district_id,
        "as_of_us": asked.as_of_us,
        "street_ids": asked.street_ids or None,
    }
    by_street = {
        row.key: row
        for row in stored_figures(connection, dates.first, dates.last, "period", "street", **narrowed)
    }
    single: Iterable[StreetDayRow] = (
        street_days(connection, dates.first, dates.last, **narrowed) if dates.first == dates.last else ()
    )
    verdicts = {row.street_id: row.verdict or OPEN for row in single}
    for one in lines:
        row = by_street.get(one.street_id)
        yield MapStreet(
            street_id=one.street_id,
            name=one.name,
            lines=one.lines,
            length_m=one.length_m,
            subdistrict=one.subdistrict,
            verdict=verdicts.get(one.street_id),
            compliance=row.compliance if row else None,
            coverage=row.coverage if row else None,
            cleanings=row.cleanings if row else None,
            required=row.required if row else None,
        )


def _excuses(
    connection: psycopg.Connection[Any], asked: Asked, names: Mapping[str, str]
) -> Iterator[ExcuseNote]:
    """The excuses that stand beside what is asked."""
    for one in entered(connection, asked):
        yield ExcuseNote(
            street_id=one.street_id,
            street=names.get(one.street_id, ""),
            first_day=one.first_day,
            last_day=one.last_day,
            kind=one.kind,
            reason=one.reason,
            author=one.author,
        )


def _units(connection: psycopg.Connection[Any], asked: Asked) -> Iterator[UnitWork]:
    """What each unit drove; it is of the whole district, and as known now."""
    if asked.street_ids or asked.as_of_us is not None:
        return
    for one in unit_figures_of(asked.context, connection, asked.dates, "period"):
        if one.working_km is not None:
            yield UnitWork(one.unit_id, one.name, one.driven_km, one.working_km, one.working_h)


def _uses(spans: Iterable[VersionSpan]) -> tuple[VersionUse, ...]:
    return tuple(VersionUse(one.version, one.first_day, one.last_day, one.days) for one in spans)


def _signed(connection: psycopg.Connection[Any], asked: Asked) -> list[Signed]:
    """The signed digests of the period's days."""
    logs = sorted({one.log_id for one in positions(connection)})
    days = [
        asked.dates.first.fromordinal(n)
        for n in range(asked.dates.first.toordinal(), asked.dates.last.toordinal() + 1)
    ]
    found = [one for log_id in logs for one in signed_days(connection, log_id, days)]
    return sorted(found, key=lambda one: one.service_day)


def _notes(answer: FiguresAnswer, language: Language) -> Iterator[str]:
    """What is to be read with the figures."""
    if answer.total is None:
        return
    for name, count in (("open", answer.total.open), ("excused", answer.total.excused)):
        if count:
            yield _NOTES[name][language].format(n=count)
