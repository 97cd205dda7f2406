"""The record of street-days: what the figures are now, and every version of them that was settled once.

A figure of a day that is still open is replaced in place. One that was settled, or that late data changes, is
restated: its row moves to street_day_version with the moment from which it held no longer, and the new one
says why. Both in the caller's transaction, under its lock on the (street, service day).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, NamedTuple

from psycopg import Connection

from processing.frequency import StreetDay
from processing.verdict import Verdict


class Key(NamedTuple):
    """A street, a service day, a kind of work, and a shift ('': the whole day)."""

    street_id: str
    service_day: date
    work: str
    shift_id: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A street-day as it is recorded: figures, what was asked of that day, and what is said of it.

    `verdict` is None while the day is open, and for what isn't asked of the street.
    """

    figures: StreetDay
    shift_id: str
    required: int
    verdict: Verdict | None
    district_version: int
    rule_version: str
    map_version: str

    @property
    def key(self) -> Key:
        """Its identity."""
        return Key(self.figures.street_id, self.figures.service_day, self.figures.work, self.shift_id)

    @property
    def content(self) -> tuple[Any, ...]:
        """What is compared: versions of rules and map aren't figures."""
        return self.figures, self.required, self.verdict


class Kept(NamedTuple):
    """A recorded street-day, its number among its versions, why it came, and when it was made and written."""

    recorded: Recorded
    version: int
    cause: str
    begun_us: int
    known_us: int


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a street-day; `cause` is why a settled figure is restated, None replaces it in place."""

    key: Key
    old: Kept | None
    new: Recorded | None
    cause: str | None = None


FIGURES = tuple(field.name for field in fields(StreetDay))
_ABOUT = ("shift_id", "required", "verdict", "district_version", "rule_version", "map_version")
_VERSION = ("version", "cause", "begun_us", "known_us")
COLUMNS = (*FIGURES, *_ABOUT, *_VERSION)
_TYPES = {
    "street_id": "text", "service_day": "date", "work": "text", "frequency": "int4", "frequency_certain": "int4",
    "swept_mm": "int8", "swept_certain_mm": "int8", "length_mm": "int8", "cleaned_us": "int8[]",
    "passes": "int4", "frequency_if_observed": "int4", "missing_mm": "int8", "shift_id": "text",
    "required": "int2", "verdict": "text", "district_version": "int4", "rule_version": "text",
    "map_version": "text", "version": "int4", "cause": "text", "begun_us": "int8", "known_us": "int8",
}  # fmt: skip
FIRST = "first figures"


def read(connection: Connection[Any], street_days: Iterable[tuple[str, date]]) -> dict[Key, Kept]:
    """All that is recorded of these streets and service days."""
    wanted = list(street_days)
    cursor = connection.cursor(binary=True)
    cursor.execute(
        f"""SELECT {", ".join("street_day." + name for name in COLUMNS)}
            FROM unnest(%s::text[], %s::date[]) AS wanted (street_id, service_day)
            JOIN street_day USING (street_id, service_day)""",  # noqa: S608 - the names are our own
        ([one[0] for one in wanted], [one[1] for one in wanted]),
    )
    found = [kept_of(row) for row in cursor]
    return {one.recorded.key: one for one in found}


def figures_of(row: Sequence[Any]) -> StreetDay:
    """The figures of a row of `FIGURES`."""
    values = dict(zip(FIGURES, row, strict=True))
    values["cleaned_us"] = tuple(values["cleaned_us"])
    return StreetDay(**values)


def kept_of(row: Sequence[Any]) -> Kept:
    """The street-day of a row of `COLUMNS`."""
    values = dict(zip(COLUMNS, row, strict=True))
    about = {name: values[name] for name in _ABOUT}
    about["verdict"] = None if about["verdict"] is None else Verdict(about["verdict"])
    recorded = Recorded(figures=figures_of(row[: len(FIGURES)]), **about)
    return Kept(recorded, *(values[name] for name in _VERSION))


def write(connection: Connection[Any], changes: Sequence[Change], at_us: int) -> None:
    """Carry out changes at the district's time `at_us`; a key may be in them once."""
    if not changes:
        return
    before = _superseded(connection, [change.key for change in changes if change.old is None])
    # One version holds at each moment, also where a partition lags behind another, or time was set back.
    held_us = [change.old.known_us + (change.cause is not None) for change in changes if change.old]
    at_us = max(at_us, *held_us, *(us for _, us in before.values()), 0)
    restated = [change.key for change in changes if change.old and change.cause]
    columns = ", ".join(COLUMNS)
    if restated:
        connection.execute(
            f"""INSERT INTO street_day_version ({columns}, updated_at, superseded_us)
                SELECT {columns}, updated_at, %s FROM street_day
                JOIN unnest(%s::text[], %s::date[], %s::text[], %s::text[])
                    AS old (street_id, service_day, work, shift_id) USING (street_id, service_day, work, shift_id)
            """,  # noqa: S608
            (at_us, *_lists(restated)),
        )
    gone = [change.key for change in changes if change.old]
    if gone:
        connection.execute(
            """DELETE FROM street_day USING unnest(%s::text[], %s::date[], %s::text[], %s::text[])
                   AS old (street_id, service_day, work, shift_id)
               WHERE street_day.street_id = old.street_id AND street_day.service_day = old.service_day
                 AND street_day.work = old.work AND street_day.shift_id = old.shift_id""",
            _lists(gone),
        )
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY street_day ({columns}) FROM STDIN (FORMAT binary)".encode()) as copy,
    ):
        copy.set_types([_TYPES[name] for name in COLUMNS])
        for change in changes:
            if change.new is not None:
                last = before.get(change.key, (0, 0))[0]
                copy.write_row((*_values(change.new), *_version(change, at_us, last)))


def _superseded(connection: Connection[Any], keys: Sequence[Key]) -> dict[Key, tuple[int, int]]:
    """Of street-days that have no current version: the number of the last they had, and until when it held."""
    if not keys:
        return {}
    rows = connection.execute(
        """SELECT street_id, service_day, work, shift_id, max(version), max(superseded_us)
           FROM street_day_version JOIN unnest(%s::text[], %s::date[], %s::text[], %s::text[])
               AS wanted (street_id, service_day, work, shift_id) USING (street_id, service_day, work, shift_id)
           GROUP BY 1, 2, 3, 4""",
        _lists(keys),
    )
    return {Key(*row[:4]): (int(row[4]), int(row[5])) for row in rows}


def _version(change: Change, at_us: int, last: int) -> tuple[int, str, int, int]:
    """Number, cause, and from when on the version was begun and is known; `last` was superseded before."""
    if change.old is None:
        return last + 1, change.cause or FIRST, at_us, at_us
    if change.cause is None:
        return change.old.version, change.old.cause, change.old.begun_us, at_us
    return change.old.version + 1, change.cause, at_us, at_us


def _values(one: Recorded) -> tuple[Any, ...]:
    figures = (getattr(one.figures, name) for name in FIGURES)
    plain = (list(value) if isinstance(value, tuple) else value for value in figures)
    verdict = None if one.verdict is None else one.verdict.value
    about = (one.shift_id, one.required, verdict, one.district_version, one.rule_version, one.map_version)
    return (*plain, *about)


def _lists(keys: Sequence[Key]) -> tuple[list[Any], ...]:
    return tuple(list(column) for column in zip(*keys, strict=True))


def read_days(connection: Connection[Any], days: Iterable[date]) -> dict[Key, Kept]:
    """All that is recorded of these service days."""
    cursor = connection.cursor(binary=True)
    cursor.execute(
        f"SELECT {', '.join(COLUMNS)} FROM street_day WHERE service_day = ANY(%s)",  # noqa: S608
        (sorted(days),),
    )
    found = [kept_of(row) for row in cursor]
    return {one.recorded.key: one for one in found}


def closed_days(connection: Connection[Any], days: Iterable[date]) -> set[date]:
    """Which of these service days are closed."""
    rows = connection.execute(
        "SELECT service_day FROM closed_day WHERE service_day = ANY(%s)", (sorted(days),)
    )
    return {row[0] for row in rows}


def last_closed(connection: Connection[Any]) -> date | None:
    """The newest service day that is closed."""
    row = connection.execute("SELECT max(service_day) FROM closed_day").fetchone()
    return None if row is None else row[0]


def first_day(connection: Connection[Any]) -> date | None:
    """The oldest service day on which any unit reported."""
    row = connection.execute("SELECT min(service_day) FROM unit_day").fetchone()
    return None if row is None else row[0]


def first_open_day(connection: Connection[Any]) -> date | None:
    """The oldest service day that isn't closed, of those on which any unit reported."""
    row = connection.execute(
        """SELECT min(service_day) FROM unit_day
           WHERE NOT EXISTS (SELECT FROM closed_day WHERE closed_day.service_day = unit_day.service_day)"""
    ).fetchone()
    return None if row is None else row[0]


def last_day(connection: Connection[Any]) -> date | None:
    """The newest service day on which any unit reported."""
    row = connection.execute("SELECT max(service_day) FROM unit_day").fetchone()
    return None if row is None else row[0]


def last_dropped_day(connection: Connection[Any]) -> date | None:
    """The newest service day on record of which reports were dropped since; None: all are there."""
    row = connection.execute(
        """SELECT max(service_day) FROM unit_day JOIN (
               SELECT unit_id, (SELECT min(fix_time_us) FROM fix WHERE fix.unit_id = known.unit_id) AS oldest_us
               FROM (SELECT DISTINCT unit_id FROM unit_day) AS known) AS kept USING (unit_id)
           WHERE oldest_us IS NULL OR first_fix_us < oldest_us"""
    ).fetchone()
    return None if row is None else row[0]


def close(connection: Connection[Any], day: date, at_us: int) -> None:
    """Note that a service day's verdicts are settled."""
    connection.execute(
        "INSERT INTO closed_day (service_day, closed_us) VALUES (%s, %s) ON CONFLICT DO NOTHING", (day, at_us)
    )
