"""How a value is shown to a person: in the district's time zone, with the offset where a wall clock repeats."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from reports import words
from reports.document import Cell, Column, Document, VersionUse

_DECIMALS = {"number": 2, "metres": 1, "km": 2, "minutes": 0, "hours": 1}
NUMERIC = frozenset({"int", "share", "percent", *_DECIMALS})
# Control characters and what turns the direction of writing round have no place in a form.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def plain(text: str) -> str:
    """Text on one line, without control characters."""
    return _UNPRINTABLE.sub(" ", text).strip()


def local(moment: datetime, timezone: str) -> datetime:
    """The moment on the district's wall clock, aware."""
    return moment.astimezone(ZoneInfo(timezone))


def is_repeated(moment: datetime) -> bool:
    """Whether the wall clock of an aware local time shows this time twice, as where summer time ends."""
    return moment.utcoffset() != moment.replace(fold=1 - moment.fold).utcoffset()


def offset(moment: datetime) -> str:
    """The offset of an aware time from UTC, as UTC+8 or UTC-3:30."""
    minutes = round((moment.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")


def clock(moment: datetime, timezone: str, day: date | None) -> str:
    """Hours and minutes; with the date where it isn't `day`, with the offset where the clock repeats it."""
    at = local(moment, timezone)
    text = f"{at:%H:%M}" if at.date() == day else f"{at:%m-%d %H:%M}"
    return f"{text} ({offset(at)})" if is_repeated(at) else text


def instant(moment: datetime, timezone: str, *, always: bool = False) -> str:
    """Date and time to the second; with the offset where the clock repeats it, or always."""
    at = local(moment, timezone)
    text = f"{at:%Y-%m-%d %H:%M:%S}"
    return f"{text} ({offset(at)})" if always or is_repeated(at) else text


def cell(value: Cell, column: Column, document: Document, day: date | None = None) -> str:
    """A cell as text; `day` is the service day of its row, if it has one. '' where there is no value."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "  ".join(clock(moment, document.timezone, day) for moment in value)
    if isinstance(value, datetime):
        return instant(value, document.timezone)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        known = column.kind in {"verdict", "work"}
        return plain(words.say(value, document.language) if known else value)
    return _number(value, column.kind)


def _number(value: float, kind: str) -> str:
    if kind == "share":
        return f"{percent(value * 100)} %"
    if kind == "percent":
        return f"{value:g} %"
    if kind in _DECIMALS:
        return f"{value:,.{_DECIMALS[kind]}f}"
    return f"{value:,}" if kind == "int" else str(value)


def percent(value: float) -> str:
    """Per cent with one decimal; what is neither none nor all isn't shown as if it were."""
    if 0 < value < 100:
        value = min(max(value, 0.1), 99.9)
    return f"{value:.1f}"


def row_day(row: tuple[Cell, ...], columns: tuple[Column, ...], document: Document) -> date | None:
    """The service day that a row is of, None where it is of several."""
    for value, column in zip(row, columns, strict=True):
        if column.key == "service_day" and isinstance(value, date):
            return value
    return document.first_day if document.days == 1 else None


def used(version: VersionUse, language: str) -> str:
    """The service days that a version made."""
    if version.first_day == version.last_day:
        return version.first_day.isoformat()
    days = f"{version.days}天" if language == "zh" else f"{version.days} days"
    return f"{version.first_day} {words.say('to', language)} {version.last_day} ({days})"


def day_start(document: Document) -> str:
    """The local time of day at which a service day begins."""
    return f"{document.day_start_s // 3600:02}:{document.day_start_s % 3600 // 60:02}"


def facts(document: Document) -> list[tuple[str, str]]:
    """What the report is of and when it was made, as labels and values."""
    language, zone = document.language, document.timezone
    as_of = instant(document.as_of, zone, always=True) if document.as_of else words.say("as_of_now", language)
    rows = [
        ("period_label", words.period(document)),
        ("grouped", words.grouped(document)),
        ("scope", plain(document.scope)),
        ("as_of", as_of),
        ("made_at", instant(document.made_at, zone, always=True)),
        ("timezone", f"{zone}, {words.say('day_start', language)} {day_start(document)}"),
    ]
    return [(words.say(label, language), value) for label, value in rows if value]
