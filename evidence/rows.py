"""Reports, tracks, passes, silences and figures as the rows of a pack: plain values, the same from either side.

One side is what the store holds, the other what is computed again from the raw records; a pack is equal where
they are, row by row. Instants are microseconds since 1970 UTC, lengths whole millimetres, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from processing.fix import Kind, Report
from processing.frequency import StreetDay
from processing.rules import Rules
from processing.service_day import from_us
from processing.sweep import Pass
from processing.verdict import Gap, Verdict

Row = Mapping[str, Any]
_REPORT = tuple(field.name for field in fields(Report))
_STREET_DAY = tuple(field.name for field in fields(StreetDay) if field.name != "service_day")


@dataclass(frozen=True, slots=True)
class Case:
    """What a pack is about; shift '' is the whole day."""

    street_id: str
    service_day: date
    shift_id: str = ""


@dataclass(frozen=True, slots=True, order=True)
class At:
    """A report's place: the record that brought it, and its number in that record."""

    log_id: str
    partition: int
    offset: int
    element: int


@dataclass(frozen=True, slots=True)
class TrackOf:
    """A track by its unit, bounds and number of fixes."""

    unit_id: str
    start_us: int
    end_us: int
    fixes: int
    suspected_datum: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a pack says, part by part, in the order in which one follows from the other."""

    fixes: tuple[Row, ...]
    equipment: tuple[Row, ...]
    tracks: tuple[Row, ...]
    passes: tuple[Row, ...]
    silences: tuple[Row, ...]
    figures: tuple[Row, ...]
    decisions: tuple[Row, ...]

    @property
    def parts(self) -> dict[str, list[Any]]:
        """The rows of each part by the part's name."""
        return {part_of(field.name): list(getattr(self, field.name)) for field in fields(self)}


def part_of(name: str) -> str:
    """The name in the pack of one of the parts of `Contents`."""
    return f"computed/{name}.jsonl"


WORDS = {
    part_of("fixes"): "reports with a position, by unit and time",
    part_of("equipment"): "reports of the equipment alone",
    part_of("tracks"): "runs of a unit's fixes without a gap",
    part_of("passes"): "runs of one unit along the street, and what they swept when",
    part_of("silences"): "when units that were expected weren't heard of",
    part_of("figures"): "the figures of the street, the service day and the shift, and the verdict",
    part_of("decisions"): "the rule that decided, for each pass, cleaning and the verdict",
    "log/records.jsonl": "the log's records, with their bytes where they are evidence",
    "log/ranges.jsonl": "the stretches of the log's partitions, and the chain's heads at both ends",
    "log/digests.jsonl": "what was signed of these days",
}


def report_rows(reports: Iterable[tuple[Report, At]], kind: Kind) -> tuple[Row, ...]:
    """The reports of a kind, in order of unit and device time."""
    found = sorted(
        (pair for pair in reports if pair[0].kind == kind), key=lambda p: (p[0].unit_id, p[0].fix_time_us)
    )
    return tuple(_report_row(report, at) for report, at in found)


def _report_row(report: Report, at: At) -> Row:
    told = {name: getattr(report, name) for name in _REPORT if name != "kind"}
    if report.kind is not Kind.FIX:
        del told["lon"], told["lat"]
    told = {name: value for name, value in told.items() if value is not None}
    place = {"log_id": at.log_id, "partition": at.partition, "offset": at.offset, "element": at.element}
    return told | place


def track_rows(tracks: Iterable[TrackOf]) -> tuple[Row, ...]:
    """Tracks in order of unit and start."""
    found = sorted(tracks, key=lambda track: (track.unit_id, track.start_us))
    return tuple({field.name: getattr(one, field.name) for field in fields(one)} for one in found)


def pass_rows(passes: Iterable[Pass]) -> tuple[Row, ...]:
    """Passes in the order in which they entered the street."""
    return tuple(_pass_row(one) for one in in_order(passes))


def in_order(passes: Iterable[Pass]) -> list[Pass]:
    """Passes in the order of entry."""
    return sorted(passes, key=lambda p: (p.enter_us, p.unit_id, p.track_start_us, p.ordinal))


def _pass_row(one: Pass) -> Row:
    row = {field.name: getattr(one, field.name) for field in fields(one)}
    # Other machines agree on millimetres and microseconds, not on the last bit of a logarithm.
    row["certainty"] = round(one.certainty, 6)
    for name in ("swept", "unobserved"):
        row[name] = [list(piece) for piece in row[name]]
    return row


def silence_rows(gaps: Iterable[Gap]) -> tuple[Row, ...]:
    """Silences in order of unit and time; places in whole millimetres of the district's plane."""
    found = sorted(gaps, key=lambda gap: (gap.unit_id, gap.from_us, gap.to_us))
    return tuple(
        {
            "unit_id": gap.unit_id,
            "from_us": gap.from_us,
            "to_us": gap.to_us,
            "from_xy_mm": _millimetres(gap.from_xy),
            "to_xy_mm": _millimetres(gap.to_xy),
        }
        for gap in found
    )


def _millimetres(xy: tuple[float, float] | None) -> list[int] | None:
    return None if xy is None else [round(xy[0] * 1000), round(xy[1] * 1000)]


def figure_row(
    figures: StreetDay, shift_id: str, required: int, verdict: Verdict | None, rules: Rules
) -> Row:
    """The figures of a day or shift; '' is the whole day."""
    told: dict[str, Any] = {name: getattr(figures, name) for name in _STREET_DAY}
    told["service_day"] = figures.service_day.isoformat()
    told["cleaned_us"] = list(figures.cleaned_us)
    told["cleaned_at"] = [local(moment_us, rules) for moment_us in figures.cleaned_us]
    word = None if verdict is None else verdict.value
    return told | {"shift_id": shift_id, "required": required, "verdict": word}


def local(moment_us: int, rules: Rules) -> str:
    """An instant as people in the district write it, to the second."""
    moment = from_us(moment_us).astimezone(ZoneInfo(rules.timezone))
    return moment.isoformat(sep=" ", timespec="seconds")
