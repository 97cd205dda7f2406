"""What `swept analyze` does: files in, the pure core, files out."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from processing.datum_guard import FIXES_MIN
from processing.district import District
from processing.district_files import map_version
from processing.pipeline import Analysis, Core
from processing.pipeline import analyze as analyze_reports
from processing.rules import Rules
from processing.street_files import parse_streets
from swept.analysis_files import FILES, Figures, draft_of, tell, write
from swept.district import load_folder
from swept.errors import UserError, on_disk
from swept.fixes_file import Fixes, read_fixes
from swept.progress import progress

DISTRICT_ID = "analyze"
#: Fixes that are all further away than this from every street belong to another place.
NEAR_DEG = 0.05
UNITS_NAMED_MAX = 5


def run(
    streets: Path | None,
    fixes: Path,
    out: Path,
    day_start: str | None = None,
    tz: str | None = None,
    folder: Path | None = None,
) -> None:
    """Everything that the command does; raises `UserError` for whatever the user can put right."""
    started_s = time.monotonic()
    district = district_of(streets, day_start, tz, folder)
    prepare(out)
    with on_disk(fixes, "name the CSV of fixes"):
        size = fixes.stat().st_size if fixes.is_file() else None
    known = {unit.unit_id: unit for unit in district.units}
    with progress(f"reading {fixes.name}", size) as advance:
        read = read_fixes(fixes, district.district_id, district.rules, known, advance)
    district = replace(district, units=tuple(read.units[unit_id] for unit_id in sorted(read.units)))
    check_place(streets or folder or Path(), fixes, district, read)
    with progress("matching tracks and counting"):
        core = Core(district)
        analysis = analyze_reports(district, read.reports, core)
        if folder is None:
            analysis = as_required(core, analysis)
        figures = Figures(core, read, analysis, planned=folder is not None)
    with on_disk(out, "name another folder with --out"):
        write(out, figures, time.monotonic() - started_s)
    tell(out, figures)
    if not read.reports:
        reasons = Counter(rejection.reason.value for _, _, rejection in read.refused)
        told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(3)) or "it has no rows"
        first = f"; line {read.refused[0][0]}: {read.refused[0][2].detail}" if read.refused else ""
        raise UserError(f"no fix of {fixes} can be used ({told}{first}); see {out / 'rejected.csv'}.")
    check_datum(fixes, figures)


def prepare(out: Path) -> None:
    """Make the folder of the results before there are any; UserError where they couldn't be written."""
    with on_disk(out, "name another folder with --out"):
        if out.exists() and not out.is_dir():
            raise UserError(f"{out} is a file; name a folder for the results.")
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (out / name).is_dir():
                raise UserError(f"{out / name} is a folder; remove it, or name another folder with --out.")
        draft = draft_of(out / FILES[0])
        draft.touch()
        draft.unlink()


def check_datum(fixes: Path, figures: Figures) -> None:
    """Refuse to let fixes in a wrong datum pass for streets that nobody swept; where they are few, warn."""
    suspects = figures.suspects
    if not suspects:
        return
    tracks = [one for one in figures.analysis.tracks if one.fixes >= FIXES_MIN]
    datum = Counter(one.suspected_datum for one in suspects).most_common(1)[0][0]
    units = ", ".join(sorted({one.unit_id for one in suspects})[:UNITS_NAMED_MAX])
    told = (
        f"{len(suspects)} of {len(tracks)} tracks of {fixes} fit the map only when read as {datum} "
        f"(units {units}), so nothing was counted of them; give their datum in the profiles of a --district, "
        "or convert them to WGS-84"
    )
    if sum(one.fixes for one in suspects) * 2 >= sum(one.fixes for one in tracks):
        raise UserError(f"{told}.")
    print(f"swept: {told}.", file=sys.stderr)


def district_of(streets: Path | None, day_start: str | None, tz: str | None, folder: Path | None) -> District:
    """The district's folder, with other streets if they are named, or the streets alone."""
    if folder is None:
        if streets is None:
            raise UserError("no streets; name their GeoJSON with --streets, or a folder with --district.")
        return read_district(streets, rules_of(day_start or "00:00", tz or "Asia/Shanghai"))
    for option, value in (("--day-start", day_start), ("--tz", tz)):
        if value is not None:
            raise UserError(f"{option} is in the district's district.toml; leave it out with --district.")
    district = load_folder(folder)
    if streets is None:
        return district
    other = read_district(streets, district.rules)
    return replace(
        district,
        streets=other.streets,
        roads=other.roads,
        noded=other.noded,
        map_version=other.map_version,
    )


def as_required(core: Core, analysis: Analysis) -> Analysis:
    """Every pass as one of the work that its street requires: without profiles nobody knows the kind."""
    works = {street.street_id: street.work for street in core.district.streets}
    passes = tuple(replace(one, work=works[one.street_id]) for one in analysis.passes)
    return replace(analysis, passes=passes, street_days=tuple(core.street_days(passes)))


def rules_of(day_start: str, tz: str) -> Rules:
    """The default rules with the day and the zone of the flags."""
    clock = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", day_start)
    if clock is None:
        raise UserError(f"--day-start {day_start} is no time of day; write HH:MM, such as 04:00.")
    try:
        ZoneInfo(tz)
    except (KeyError, ValueError, OSError):
        raise UserError(f"--tz {tz} is no time zone; write one such as Asia/Shanghai.") from None
    return Rules(timezone=tz, day_start_s=int(clock[1]) * 3_600 + int(clock[2]) * 60)


def read_district(path: Path, rules: Rules) -> District:
    """The streets and roads of the file, without units."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"there is no file {path}; name the GeoJSON of streets.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name the GeoJSON of streets in it.") from None
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); check its permissions.") from None
    streets, roads, noded, problems = parse_streets(content, str(path))
    if problems:
        more = f" (and {len(problems) - 1} more; see swept streets check)" if len(problems) > 1 else ""
        raise UserError(f"{problems[0]}{more}.")
    if not streets:
        raise UserError(f"{path} has no street to audit; give features kind=alley or kind=street.")
    return District(
        district_id=DISTRICT_ID,
        name=path.stem,
        streets=tuple(streets),
        roads=tuple(roads),
        units=(),
        rules=rules,
        noded=noded,
        map_version=map_version({"streets.geojson": content}),
    )


def check_place(streets: Path, fixes: Path, district: District, read: Fixes) -> None:
    """Refuse to count fixes of another place as streets that nobody swept."""
    points = [point for line in (*district.streets, *district.roads) for part in line.parts for point in part]
    west, east = min(p[0] for p in points) - NEAR_DEG, max(p[0] for p in points) + NEAR_DEG
    south, north = min(p[1] for p in points) - NEAR_DEG, max(p[1] for p in points) + NEAR_DEG
    if read.reports and not any(west <= r.lon <= east and south <= r.lat <= north for r in read.reports):
        first = read.reports[0]
        raise UserError(
            f"no fix of {fixes} lies near a street of {streets} (fixes at {first.lon:.4f}, {first.lat:.4f}, "
            f"streets at {points[0][0]:.4f}, {points[0][1]:.4f}); check that both are of one place, in WGS-84."
        )
