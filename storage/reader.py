"""What the worker reads back: positions apart, all that a batch needs to know of what was committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date
from itertools import pairwise, starmap
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from processing.batch import Batch, Committed
from processing.fix import DECIMALS, EQUIPMENT, LEVELS, Kind, Report, ReportColumns
from processing.sweep import Pass, Passes, Piece
from storage.columns import Fetched, Lists, copy_columns
from storage.fixes import SCALED, number_sql
from storage.place import Place
from storage.versions import Versions

Identity = tuple[str, Kind, int]

_REPORT_FIELDS = tuple(field.name for field in fields(Report))
_NUMBERS = ("lon", "lat", "speed_kmh", "heading_deg", "accuracy_m", *LEVELS)
_UNTOLD = -(2**31)
_CONTENT = ", ".join(
    (
        *(f"coalesce({SCALED[name]}::int4, {_UNTOLD})" for name in _NUMBERS),
        *(f"coalesce({name}::int, -1)::int2" for name in EQUIPMENT),
    )
)
_REPORTS = f"""
    SELECT number, fix_time_us, kind, {_CONTENT}
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[])
        WITH ORDINALITY AS wanted (unit_id, from_us, to_us, number)
    JOIN fix ON fix.unit_id = wanted.unit_id AND fix_time_us >= from_us AND fix_time_us < to_us
    ORDER BY number, fix_time_us, kind
"""  # noqa: S608 - the names are our own
_REPORT_TYPES = {
    "number": "int8",
    "fix_time_us": "int8",
    "kind": "int2",
    **dict.fromkeys(_NUMBERS, "int4"),
    **dict.fromkeys(EQUIPMENT, "int2"),
}
_COMMITTED = f"""
    SELECT number, fix_time_us, kind, {_CONTENT}, coalesce(satellites, -1::int2), (extra IS NOT NULL)::int::int2
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[])
        WITH ORDINALITY AS wanted (unit_id, from_us, to_us, number)
    JOIN fix ON fix.unit_id = wanted.unit_id AND fix_time_us >= from_us AND fix_time_us < to_us
"""  # noqa: S608 - the names are our own
#: Instants no further apart are asked for as one window: a range costs less than an identity each, and a unit
#: that reports each second has so many reports in it at most.
_NEAR_US = 30_000_000


def _field(name: str) -> str:
    """The SQL of a field of Report; only a place has no None."""
    number = number_sql(name) if name in SCALED else f"fix.{name}"
    return f"coalesce({number}, 'NaN')" if name in {"lon", "lat"} else number


_EXISTING = f"""
    SELECT {", ".join(map(_field, _REPORT_FIELDS))}, log_id, fix.partition, log_offset, element
    FROM unnest(%s::text[], %s::smallint[], %s::bigint[]) AS wanted (unit_id, kind, fix_time_us)
    JOIN fix USING (unit_id, kind, fix_time_us) JOIN log_number ON log_number.number = fix.log_number
"""  # noqa: S608 - the names are our own


class Window(NamedTuple):
    """A unit, and from_us <= t < to_us."""

    unit_id: str
    from_us: int
    to_us: int


def reports(connection: Connection[Any], windows: Sequence[Window]) -> list[ReportColumns]:
    """The reports in each window, in order."""
    if not windows:
        return []
    columns = copy_columns(connection, _REPORTS, _lists(windows), _REPORT_TYPES)
    numbers, found = columns.pop("number"), _report_columns(columns)
    bounds = np.searchsorted(numbers, np.arange(1, len(windows) + 2)).tolist()
    return [found.take(slice(low, high)) for low, high in pairwise(bounds)]


def _report_columns(columns: dict[str, NDArray[Any]]) -> ReportColumns:
    """Columns of `_CONTENT` and the identity as reports have them."""
    equipment = [columns.pop(name).astype(np.int8) for name in EQUIPMENT]
    columns["kind"] = columns["kind"].astype(np.int8)
    for name in _NUMBERS:
        whole = columns[name]
        columns[name] = np.where(whole == _UNTOLD, np.nan, whole / 10.0 ** DECIMALS[name])
    levels = np.stack([columns.pop(name) for name in LEVELS], axis=1)
    return ReportColumns(**columns, equipment=np.stack(equipment, axis=1), levels=levels)


def _lists(rows: Sequence[tuple[Any, ...]]) -> tuple[list[Any], ...]:
    """Rows, of which there is one at least, as columns."""
    return tuple(list(column) for column in zip(*rows, strict=True))


def committed(connection: Connection[Any], batch: Batch, rows: NDArray[np.int64]) -> Committed | None:
    """What was committed under the identities of some rows of a batch, to compare it with them."""
    if not len(rows):
        return None
    unit, moment_us = batch.unit[rows], batch.reports.fix_time_us[rows]
    order = np.lexsort((moment_us, unit))
    unit, moment_us, rows = unit[order], moment_us[order], rows[order]
    begins = np.flatnonzero((np.diff(unit, prepend=-1) != 0) | (np.diff(moment_us, prepend=0) > _NEAR_US))
    ends = np.append(begins[1:], len(rows)) - 1
    units = [batch.unit_ids[number] for number in unit[begins].tolist()]
    windows = units, moment_us[begins].tolist(), (moment_us[ends] + 1).tolist()
    types = {**_REPORT_TYPES, "satellites": "int2", "extra": "int2"}
    columns = copy_columns(connection, _COMMITTED, windows, types)
    number, satellites, extra = (columns.pop(name) for name in ("number", "satellites", "extra"))
    found = _report_columns(columns)
    wanted = np.repeat(np.arange(len(begins)) + 1, ends - begins + 1), moment_us, batch.reports.kind[rows]
    at = _places(wanted, (number, found.fix_time_us, found.kind))
    there = at >= 0
    at = at[there]
    told = np.where(satellites < 0, np.nan, satellites)
    return Committed(rows[there], found.take(at), told[at], extra[at] == 1)


def _places(wanted: Sequence[NDArray[Any]], found: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Where each wanted row, by all of its columns, is among those found, which differ; -1 where it isn't."""
    columns = [np.concatenate(pair) for pair in zip(found, wanted, strict=True)]
    order = np.lexsort(columns)
    new = np.any([np.diff(column[order], prepend=-1) != 0 for column in columns], axis=0)
    same = np.empty(len(order), dtype=np.int64)
    same[order] = np.cumsum(new)
    place = np.full(len(order) + 1, -1)
    place[same[: len(found[0])]] = np.arange(len(found[0]))
    return place[same[len(found[0]) :]]


def existing(
    connection: Connection[Any], identities: Iterable[Identity]
) -> tuple[dict[Identity, Report], dict[Identity, Place]]:
    """The committed reports of these identities, and their places in the log."""
    wanted = list(identities)
    if not wanted:
        return {}, {}
    cursor = connection.cursor(binary=True)
    cursor.execute(
        _EXISTING.encode(), ([i[0] for i in wanted], [int(i[1]) for i in wanted], [i[2] for i in wanted])
    )
    found: dict[Identity, Report] = {}
    places: dict[Identity, Place] = {}
    for row in cursor.fetchall():
        values = dict(zip(_REPORT_FIELDS, row, strict=False))
        identity = (values["unit_id"], Kind(values.pop("kind")), values["fix_time_us"])
        found[identity] = Report(**values, kind=identity[1])
        places[identity] = Place(*row[len(_REPORT_FIELDS) :])
    return found, places


def last_fix_us(connection: Connection[Any], unit_ids: Sequence[str]) -> dict[str, int]:
    """The newest committed fix_time of each unit that has reported."""
    rows = connection.execute(
        """SELECT unit_id, (SELECT max(fix_time_us) FROM fix WHERE fix.unit_id = wanted.unit_id)
           FROM unnest(%s::text[]) AS wanted (unit_id)""",
        (list(unit_ids),),
    ).fetchall()
    return {unit_id: int(moment) for unit_id, moment in rows if moment is not None}


def units_between(connection: Connection[Any], from_us: int, to_us: int) -> list[str]:
    """The units that reported with from_us <= fix_time < to_us."""
    rows = connection.execute(
        """SELECT unit_id FROM (SELECT DISTINCT unit_id FROM unit_day) AS known
           WHERE EXISTS (SELECT FROM fix WHERE fix.unit_id = known.unit_id
                         AND fix_time_us >= %s AND fix_time_us < %s) ORDER BY unit_id""",
        (from_us, to_us),
    )
    return [row[0] for row in rows]


def last_tracks_before(
    connection: Connection[Any], moments_us: Sequence[tuple[str, int]]
) -> dict[str, tuple[int, int]]:
    """Start and end of each unit's last track that began before the moment, where it has one.

    Two tracks may share the fix that ends one and starts the next: what falls on it touches both.
    """
    if not moments_us:
        return {}
    rows = connection.execute(
        """SELECT wanted.unit_id, found.start_us, found.end_us
           FROM unnest(%s::text[], %s::bigint[]) AS wanted (unit_id, moment_us)
           CROSS JOIN LATERAL (SELECT start_us, end_us FROM track
                               WHERE track.unit_id = wanted.unit_id AND start_us < moment_us
                               ORDER BY start_us DESC LIMIT 1) AS found""",
        _lists(moments_us),
    ).fetchall()
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}


class Made(NamedTuple):
    """What a track's passes were made of, and by which versions."""

    digest: bytes
    versions: Versions


Digests = dict[int, Made]
"""By the start of a track."""


def track_digests(connection: Connection[Any], windows: Sequence[Window]) -> dict[str, Digests]:
    """What the tracks that start in these windows, one of each unit, were made of."""
    found: dict[str, Digests] = {window.unit_id: {} for window in windows}
    if windows:
        rows = connection.execute(
            """SELECT wanted.unit_id, start_us, digest, rule_version, map_version
               FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS wanted (unit_id, from_us, to_us)
               JOIN track ON track.unit_id = wanted.unit_id AND start_us >= from_us AND start_us < to_us""",
            _lists(windows),
        )
        for row in rows:
            found[row[0]][int(row[1])] = Made(bytes(row[2]), Versions(*row[3:]))
    return found


PASS_COLUMNS = (
    "unit_id", "track_start_us", "ordinal", "street_id", "work", "direction", "enter_us", "leave_us",
    "enter_mm", "leave_mm", "piece_from_mm", "piece_to_mm", "piece_from_us", "piece_to_us",
    "unobserved_from_mm", "unobserved_to_mm", "unobserved_from_us", "unobserved_to_us", "ambiguous_with",
    "certainty",
)  # fmt: skip


def pass_of(row: Sequence[Any]) -> Pass:
    """The pass of a row of `PASS_COLUMNS`."""
    pieces = tuple(starmap(Piece, zip(*row[10:14], strict=True)))
    unobserved = tuple(starmap(Piece, zip(*row[14:18], strict=True)))
    values: tuple[Any, ...] = (*row[:10], pieces, unobserved, *row[18:20])
    return Pass(*values)


def passes_of_tracks(connection: Connection[Any], tracks: Sequence[tuple[str, int]]) -> list[Pass]:
    """The committed passes of these tracks, each a unit and a start."""
    if not tracks:
        return []
    cursor = connection.cursor(binary=True)
    cursor.execute(
        f"""SELECT {", ".join(PASS_COLUMNS)}
            FROM unnest(%s::text[], %s::bigint[]) AS wanted (unit_id, track_start_us)
            JOIN pass USING (unit_id, track_start_us)
            ORDER BY unit_id, track_start_us, ordinal""",  # noqa: S608 - the names are our own
        _lists(tracks),
    )
    return [pass_of(row) for row in cursor]


_OF_STREET_DAYS = """
    FROM unnest(%s::text[], %s::date[], %s::bigint[]) WITH ORDINALITY AS wanted (street_id, day, from_us, number)
    JOIN pass ON pass.street_id = wanted.street_id
        AND (pass.service_day = wanted.day
             OR pass.service_day = wanted.day - 1 AND pass.swept_until_us >= wanted.from_us)
"""


def passes_of_street_days(
    connection: Connection[Any], street_days: Sequence[tuple[str, date, int]]
) -> list[tuple[str, date, bool, Pass]]:
    """For each (street, service day, from_us): its passes, and the day before's that sweep later.

    Gives (street_id, service_day asked for, whether the pass starts in it, pass).
    """
    cursor = connection.cursor(binary=True)
    cursor.execute(
        f"""SELECT wanted.street_id, wanted.day, pass.service_day = wanted.day,
                   {", ".join("pass." + name for name in PASS_COLUMNS)}
            {_OF_STREET_DAYS}
            ORDER BY 1, 2, pass.unit_id, pass.track_start_us, pass.ordinal""",
        ([k[0] for k in street_days], [k[1] for k in street_days], [k[2] for k in street_days]),
    )
    return [(row[0], row[1], row[2], pass_of(row[3:])) for row in cursor]


_PIECES = tuple(zip(("from_mm", "to_mm", "from_us", "to_us"), ("int4", "int4", "int8", "int8"), strict=True))
_COUNTED = f"""
    SELECT number, pass.service_day = wanted.day, direction, enter_us, ambiguous_with IS NULL, pass.work,
           {", ".join(f"{what}_{name}" for what in ("piece", "unobserved") for name, _ in _PIECES)}
    {_OF_STREET_DAYS}
"""


def counted_passes(
    connection: Connection[Any], street_days: Sequence[tuple[str, date, int]]
) -> list[tuple[NDArray[np.bool_], Passes]]:
    """What `passes_of_street_days` gives, as columns for counting: for each, which passes start in it, and all."""
    if not street_days:
        return []
    cursor = connection.cursor(binary=True)
    cursor.execute(_COUNTED.encode(), _lists(street_days))
    found = Fetched(cursor)
    numbers = found.numbers(0, "int8")
    found.order = (order := np.argsort(numbers, kind="stable")).tolist()
    starts, direction, enter_us, certain = (
        found.numbers(place, kind) for place, kind in enumerate(("bool", "int2", "int8", "bool"), start=1)
    )
    texts = found.texts(5)
    works = tuple(sorted(set(texts)))
    work = np.array([works.index(text) for text in texts], dtype=np.int64)
    swept, unobserved = (
        [found.lists(place + n, kind) for n, (_, kind) in enumerate(_PIECES)] for place in (6, 10)
    )
    direction = direction.astype(np.int64)
    bounds = np.searchsorted(numbers[order], np.arange(1, len(street_days) + 2)).tolist()
    ours = [_PiecesOf(some) for some in (swept, unobserved)]
    return [
        (
            starts[low:high],
            Passes(
                works,
                work[low:high],
                direction[low:high],
                enter_us[low:high],
                certain[low:high],
                *ours[0].of(low, high),
                *ours[1].of(low, high),
            ),
        )
        for low, high in pairwise(bounds)
    ]


class _PiecesOf:
    """The pieces (p, 4) of passes, one after the other."""

    def __init__(self, columns: Sequence[Lists]) -> None:
        self._rows = np.stack([column.elements for column in columns], axis=1)
        counts = columns[0].counts
        self._whose = np.repeat(np.arange(len(counts)), counts)
        self._begins = np.concatenate([[0], np.cumsum(counts)]).tolist()

    def of(self, low: int, high: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Those of some passes, and whose of these each is."""
        begin, end = self._begins[low], self._begins[high]
        return self._rows[begin:end], self._whose[begin:end] - low
