"""What an export shows, whatever its format: the one value that every writer takes.

A document is made from the store by `swept report`; it holds plain values and knows neither tables nor
formats. Shares are 0 to 1, lengths are metres, lines are WGS-84 (lon, lat); moments are aware, in any zone,
and shown in the district's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from reports.terms import TERMS, Term

Language = Literal["zh", "en"]
#: A row is of one of these stretches of time; period: the whole of it.
Each = Literal["day", "week", "month", "period"]
#: And of one of these.
By = Literal["street", "grade", "subdistrict", "contractor", "district", "shift"]
#: share: 0 to 1; percent: 0 to 100; date: a service day; time: an aware moment; times: a tuple of them;
#: verdict, work: a word.
Kind = Literal["text", "int", "number", "share", "percent", "metres", "km", "minutes", "hours", "date", "time", "times",
               "verdict", "work"]  # fmt: skip
Cell = str | int | float | date | datetime | tuple[datetime, ...] | None
#: In the order in which they are shown.
VERDICTS = ("swept", "ambiguous", "no data", "partial", "not swept")
#: What stands in a verdict's place while the day isn't closed: nothing is said yet.
OPEN = "open"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: `key` names it for programs, with its unit, the headings for people."""

    key: str
    kind: Kind
    zh: str
    en: str

    def heading(self, language: Language) -> str:
        """The heading in a language."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class MapStreet:
    """A street on the map: its lines, and what colours it.

    `verdict` is that of a single day, or `OPEN`. Over a period `compliance` colours it: the share of the
    closed days on which the frequency met the requirement. Neither: nothing is said. None: not known.
    """

    street_id: str
    name: str
    lines: tuple[tuple[tuple[float, float], ...], ...]
    length_m: float
    subdistrict: str = ""
    verdict: str | None = None
    compliance: float | None = None
    coverage: float | None = None
    cleanings: int | None = None
    required: int | None = None


@dataclass(frozen=True, slots=True)
class ExcuseNote:
    """Why a street couldn't be swept, as somebody entered it."""

    street_id: str
    street: str
    first_day: date
    last_day: date
    kind: str
    reason: str
    author: str


@dataclass(frozen=True, slots=True)
class UnitWork:
    """What a unit drove in the period, and what of it was work."""

    unit_id: str
    name: str
    driven_km: float
    working_km: float
    working_hours: float

    @property
    def work_share(self) -> float | None:
        """Working kilometres over those driven; None where it didn't drive."""
        return min(self.working_km / self.driven_km, 1.0) if self.driven_km > 0 else None


@dataclass(frozen=True, slots=True)
class VersionUse:
    """A rule or map version, and the service days whose figures it made."""

    version: str
    first_day: date
    last_day: date
    days: int


@dataclass(frozen=True, slots=True)
class DayDigest:
    """The digest of a service day's signed chain, hexadecimal; '' while the day isn't closed."""

    service_day: date
    digest: str


@dataclass(frozen=True, slots=True)
class Document:
    """A report. Each row has a cell for each column, of the column's kind or None; so has `totals`.

    `verdict_percent` gives the share of each of `VERDICTS` among the street-days of closed days; of all
    `street_days`, `open_days` are of days that aren't closed yet. `scope` says to what the report is
    narrowed, '' to nothing; `notes` are sentences in the document's language, to be read with the figures.
    """

    district: str
    language: Language
    first_day: date
    last_day: date
    each: Each
    by: By
    made_at: datetime
    timezone: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    as_of: datetime | None = None
    day_start_s: int = 0
    totals: tuple[Cell, ...] | None = None
    verdict_percent: Mapping[str, float] = field(default_factory=dict)
    street_days: int = 0
    open_days: int = 0
    streets: tuple[MapStreet, ...] = ()
    excuses: tuple[ExcuseNote, ...] = ()
    units: tuple[UnitWork, ...] = ()
    rule_versions: tuple[VersionUse, ...] = ()
    map_versions: tuple[VersionUse, ...] = ()
    digests: tuple[DayDigest, ...] = ()
    public_key: str = ""
    definitions: tuple[Term, ...] = TERMS
    scope: str = ""
    notes: tuple[str, ...] = ()
    synthetic: bool = False

    def __post_init__(self) -> None:
        assert self.first_day <= self.last_day
        assert self.made_at.tzinfo is not None
        assert self.as_of is None or self.as_of.tzinfo is not None
        width = len(self.columns)
        assert all(len(row) == width for row in self.rows)
        assert self.totals is None or len(self.totals) == width
        assert set(self.verdict_percent) <= set(VERDICTS)

    @property
    def days(self) -> int:
        """How many service days the period has."""
        return (self.last_day - self.first_day).days + 1
