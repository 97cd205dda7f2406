"""The results of `swept analyze` as files and as a table.

Bytes depend on the figures only (but for the seconds in the summary): rows are sorted, lines end in a line
feed, lengths are metres to the millimetre, times RFC 3339 in the district's zone.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from processing.district import Street
from processing.frequency import StreetDay
from processing.order import resolve
from processing.pipeline import Analysis, Core
from processing.service_day import from_us, service_day
from processing.silence import Suspect
from processing.verdict import Verdict, verdict
from swept.fixes_file import Fixes, texts_of
from swept.silences import silences, suspects_of
from swept.versions import release, rule_version

FREQUENCY = (
    "service_day", "street_id", "frequency", "frequency_certain", "required", "coverage", "swept_m",
    "length_m", "verdict",
)  # fmt: skip
PASSES = (
    "unit", "street_id", "service_day", "work", "direction", "enter_time", "leave_time", "enter_m", "leave_m",
    "swept_m", "swept", "unobserved", "ambiguous_with", "certainty",
)  # fmt: skip
FILES = ("frequency.csv", "passes.csv", "rejected.csv", "summary.json")
REJECTED = ("line", "unit", "reason", "detail", "original")


class Figures:
    """What an analysis found; every street has a row for each service day that was seen.

    `planned` says that units, shifts and roster are those of a district's folder.
    """

    def __init__(self, core: Core, fixes: Fixes, analysis: Analysis, *, planned: bool) -> None:
        self.core = core
        self.fixes = fixes
        self.analysis = analysis
        self.planned = planned
        self._zone = ZoneInfo(core.rules.timezone)
        self._by_key = {(one.street_id, one.service_day, one.work): one for one in analysis.street_days}

    @cached_property
    def days(self) -> list[date]:
        """The service days in which a fix lies."""
        return sorted({self._day(report.fix_time_us) for report in self.fixes.reports})

    @cached_property
    def streets(self) -> list[tuple[date, Street, StreetDay | None, Verdict]]:
        """Day, street, figures of its kind of work (None: no pass), verdict; by day and street."""
        accepted = resolve({}, self.fixes.reports).accepted
        gaps = silences(self.core, accepted, self.analysis.tracks, self.days, planned=self.planned)
        rows = []
        for day in self.days:
            for street in sorted(self.core.district.streets, key=lambda one: one.street_id):
                figures = self._by_key.get((street.street_id, day, street.work))
                reference = self.core.references[street.street_id]
                said = verdict(street, reference, figures, gaps[day].get(street.work, ()), self.core.rules)
                rows.append((day, street, figures, said))
        return rows

    @cached_property
    def suspects(self) -> list[Suspect]:
        """The tracks that seem to be in another datum than their unit's."""
        return suspects_of(self.analysis.tracks)

    def frequency_rows(self) -> Iterable[Sequence[object]]:
        """The rows of frequency.csv."""
        for day, street, figures, said in self.streets:
            length_mm = self.core.references[street.street_id].length_mm
            counted = (figures.frequency, figures.frequency_certain) if figures else (0, 0)
            swept_mm = figures.swept_mm if figures else 0
            coverage = f"{swept_mm / length_mm:.4f}"
            yield (
                day, street.street_id, *counted, street.required, coverage, _m(swept_mm), _m(length_mm),
                said.value,
            )  # fmt: skip

    def pass_rows(self) -> Iterable[Sequence[object]]:
        """The rows of passes.csv, in the order of unit and time."""
        for one in self.analysis.passes:
            yield (
                one.unit_id, one.street_id, self._day(one.enter_us), one.work, one.direction,
                self._time(one.enter_us), self._time(one.leave_us), _m(one.enter_mm), _m(one.leave_mm),
                _m(one.swept_mm), _stretches(one.swept), _stretches(one.unobserved), one.ambiguous_with or "",
                f"{one.certainty:.3f}",
            )  # fmt: skip

    def rejected_rows(self) -> Iterable[Sequence[object]]:
        """The rows of rejected.csv, in the order of the file."""
        lines = self._lines_of_conflicts()
        rows = list(self.fixes.refused)
        if lines:
            texts = texts_of(self.fixes.path, set(lines.values()))
            for one in self.analysis.conflicts:
                line = lines[one.payload]
                rows.append((line, one.unit_id or "", replace(one, payload=texts[line].encode())))
        for line, unit_id, rejection in sorted(rows, key=lambda row: row[0]):
            original = rejection.payload.decode("utf-8", "replace")
            yield line, unit_id, rejection.reason.value, rejection.detail, original

    def working_when(self) -> list[str]:
        """What tells whether a unit works, in the end: columns of the file, or the speed."""
        if not self.planned:
            return list(self.fixes.working_when) or ["speed"]
        needed = {one.profile.working_when or ("speed",) for one in self.core.district.units}
        return sorted({name for names in needed for name in names})

    def summary(self, seconds: float) -> dict[str, object]:
        """What summary.json says."""
        refused = [rejection for _, _, rejection in self.fixes.refused] + list(self.analysis.conflicts)
        return {
            "release": release(),
            "rule_version": rule_version(self.core.rules),
            "map_version": self.core.district.map_version,
            "timezone": self.core.rules.timezone,
            "day_start_s": self.core.rules.day_start_s,
            "district": self.core.district.district_id if self.planned else None,
            "working_when": self.working_when(),
            "unused_columns": list(self.fixes.unused),
            "counts": {
                "rows": self.fixes.rows,
                "fixes": len(self.fixes.reports) - self.analysis.duplicates - len(self.analysis.conflicts),
                "duplicates": self.analysis.duplicates,
                "rejected": len(refused),
                "rejected_by_reason": dict(sorted(Counter(one.reason.value for one in refused).items())),
                "units": len(self.core.units),
                "streets": len(self.core.streets),
                "tracks": len(self.analysis.tracks),
                "passes": len(self.analysis.passes),
            },
            "wrong_datum": [
                {
                    "unit": one.unit_id,
                    "from": self._time(one.start_us),
                    "to": self._time(one.end_us),
                    "fixes": one.fixes,
                    "suspected_datum": one.suspected_datum,
                }
                for one in self.suspects
            ],
            "days": {str(day): self.summary_of(day) for day in self.days},
            "seconds": round(seconds, 3),
        }

    def summary_of(self, day: date) -> dict[str, Any]:
        """Coverage of the district and verdicts of a day."""
        rows = [row for row in self.streets if row[0] == day]
        length_mm = sum(self.core.references[street.street_id].length_mm for _, street, _, _ in rows)
        swept_mm = sum(figures.swept_mm for _, _, figures, _ in rows if figures)
        verdicts = Counter(said.value for _, _, _, said in rows)
        return {
            "coverage": round(swept_mm / length_mm, 4),
            "swept_m": swept_mm / 1000,
            "length_m": length_mm / 1000,
            "verdicts": {one.value: verdicts[one.value] for one in Verdict},
        }

    def _lines_of_conflicts(self) -> dict[bytes, int]:
        """Line numbers of the reports that lost to another of their identity, by content."""
        if not self.analysis.conflicts:
            return {}
        times = Counter((one.unit_id, one.fix_time_us) for one in self.fixes.reports)
        rows = zip(self.fixes.reports, self.fixes.lines, strict=True)
        return {one.canonical(): line for one, line in rows if times[one.unit_id, one.fix_time_us] > 1}

    def _day(self, moment_us: int) -> date:
        rules = self.core.rules
        return service_day(moment_us, rules.day_start_s, rules.timezone)

    def _time(self, moment_us: int) -> str:
        return from_us(moment_us).astimezone(self._zone).isoformat(timespec="milliseconds")


def write(out: Path, figures: Figures, seconds: float) -> None:
    """All four files; each takes the place of an older one in one step."""
    out.mkdir(parents=True, exist_ok=True)
    frequency, passes, rejected, summary = (out / name for name in FILES)
    _write_csv(frequency, FREQUENCY, figures.frequency_rows())
    _write_csv(passes, PASSES, figures.pass_rows())
    _write_csv(rejected, REJECTED, figures.rejected_rows())
    _replace(summary, json.dumps(figures.summary(seconds), indent=2, ensure_ascii=False) + "\n")


def tell(out: Path, figures: Figures) -> None:
    """A table for whoever sits there: a row for each service day."""
    table = Table("service day", "coverage", *(one.value for one in Verdict))
    for column in table.columns[1:]:
        column.justify = "right"
    counts: dict[date, Counter[Verdict]] = defaultdict(Counter)
    for day, _, _, said in figures.streets:
        counts[day][said] += 1
    for day in figures.days:
        share = figures.summary_of(day)["coverage"]
        table.add_row(str(day), f"{share:.1%}", *(str(counts[day][one]) for one in Verdict))
    console = Console()
    console.print(table)
    refused = len(figures.fixes.refused) + len(figures.analysis.conflicts)
    console.print(f"results in {out}; {refused} of {figures.fixes.rows} rows were refused", soft_wrap=True)
    if figures.fixes.unused:
        console.print(f"columns not used: {', '.join(figures.fixes.unused)}", soft_wrap=True)
    if lacking := sorted({*figures.working_when()} - {"speed", *figures.fixes.columns}):
        told = "the profiles name equipment that the file has no column for, so such units' work is unknown"
        console.print(f"{told}: {', '.join(lacking)}", soft_wrap=True)


def _m(length_mm: int) -> str:
    return f"{length_mm / 1000:.3f}"


def _stretches(pieces: Iterable[Sequence[int]]) -> str:
    """Measures in metres as from-to, in the order of the drive; pieces that meet are one."""
    merged: list[tuple[int, int]] = []
    for from_mm, to_mm, *_ in pieces:
        if merged and merged[-1][1] == from_mm:
            merged[-1] = merged[-1][0], to_mm
        else:
            merged.append((from_mm, to_mm))
    return " ".join(f"{_m(from_mm)}-{_m(to_mm)}" for from_mm, to_mm in merged)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    _replace(path, text.getvalue())


def _replace(path: Path, text: str) -> None:
    draft = draft_of(path)
    draft.write_text(text, encoding="utf-8", newline="")
    draft.replace(path)


def draft_of(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(path.name + ".new")
