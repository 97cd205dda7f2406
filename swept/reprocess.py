"""`swept reprocess`: service days computed again, on another map or by other rules; nothing is overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swept.errors import UserError

if TYPE_CHECKING:
    from psycopg import Connection

    from processing.district import District


def reprocess(
    from_: Annotated[str, typer.Option("--from", help="First service day, as 2026-06-01.")],
    to: Annotated[str, typer.Option("--to", help="Last service day, included.")],
    map_: Annotated[
        int | None,
        typer.Option("--map", help="Take streets and roads of this district version, and put them in force."),
    ] = None,
    rule: Annotated[
        int | None,
        typer.Option("--rule", help="Take the rules of this district version, and put them in force."),
    ] = None,
) -> None:
    """Compute service days again from the stored reports; each figure keeps what it was, and why it changed.

    Without [bold]--map[/bold] and [bold]--rule[/bold] it goes by what is in force for those days, with this
    release: an upgrade by itself restates nothing. [bold]swept district list[/bold] shows the versions. Workers
    may run meanwhile. Reports of before stay readable with [bold]swept report --as-of[/bold].
    """
    from processing.pipeline import Core
    from storage.versions import Versions
    from streams.cores import Cores, Dated
    from streams.reprocess import Reprocess
    from swept.days import day_of, now_us
    from swept.process import district_in_force, keep_folder
    from swept.progress import progress
    from swept.settings import read_settings
    from swept.versions import rule_version
    from swept.wiring import connect, reachable_log, services

    first, last = day_of(from_, "--from"), day_of(to, "--to")
    if first > last:
        raise UserError(f"--from {first} is after --to {last}; exchange them.")
    settings = read_settings()
    with services(settings) as where, connect(where.store_url) as connection:
        keep_folder(connection, settings)
        district, version = district_in_force(connection, settings)
        days = _reported(connection, first, last)
        at_us = now_us(connection)
        causes = _put_in_force(connection, district, map_, rule, days, at_us)
        log = reachable_log(where)
        partitions = log.partitions
        log.close()
        dated = Dated(Core(district), Versions(rule_version(district.rules), district.map_version), version)
        again = Reprocess(Cores(dated, rule_version), partitions, causes, at_us)
        with progress("computing service days again", total=len(days)) as advance:
            done = again.run(connection, days, advance)
    print(
        f"{len(days)} service days: {done.tracks} tracks matched again, {done.restated} streets restated. "
        "What the figures were: swept report --as-of, or /api/v1/corrections."
    )


MAP_FILES = ("streets.geojson", "roads.geojson")
RULES_FILES = ("rules.toml",)
#: No figure depends on it, and it names streets that another map may not have.
LEFT_OUT = "plan.toml"


def _put_in_force(
    connection: Connection[Any],
    district: District,
    map_: int | None,
    rule: int | None,
    days: Sequence[date],
    at_us: int,
) -> str:
    """Put the asked map and rules in force for these days; the cause that restated figures get.

    All else of a day (units, shifts, roster) stays as it is in force for it.
    """
    from itertools import groupby

    from storage.district import in_force, put_in_force, save, version_of
    from swept.versions import rule_version

    if map_ is None and rule is None:
        return "reprocessed"
    district_id = district.district_id
    timeline = in_force(connection, district_id)
    made = []
    for version, some in groupby(days, lambda day: version_of(timeline, day)):
        mine = list(some)
        made.append((*_combined(connection, district_id, version, map_, rule), mine))
    for combined, files, mine in made:
        number, _ = save(connection, combined, files, rule_version(combined.rules))
        put_in_force(connection, district_id, number, mine[0], at_us, mine[-1])
    what = [f"map {map_}"] if map_ is not None else []
    what += [f"rules {rule}"] if rule is not None else []
    return f"reprocessed with {' and '.join(what)}"


def _combined(
    connection: Connection[Any], district_id: str, base: int | None, map_: int | None, rule: int | None
) -> tuple[District, dict[str, bytes]]:
    """The district of a version with another's map and rules."""
    from processing.district_files import DistrictError, parse_district
    from storage.district import files_of

    def of(option: str, number: int | None) -> dict[str, bytes]:
        found = None if number is None else files_of(connection, district_id, number)
        if found is None:
            raise UserError(f"{option} {number}: there is no such version; see swept district list.")
        return found

    own = of("the version in force,", base)
    files = {name: content for name, content in own.items() if name != LEFT_OUT}
    for option, number, names in (("--map", map_, MAP_FILES), ("--rule", rule, RULES_FILES)):
        if number is not None:
            other = of(option, number)
            files = {name: content for name, content in files.items() if name not in names}
            files |= {name: other[name] for name in names if name in other}
    if map_ is not None and map_ == base and rule in (None, base):
        files = own
    try:
        return parse_district(files), files
    except DistrictError as error:
        raise UserError(f"the map and what is in force don't fit: {error.problems[0]}") from None


def _reported(connection: Connection[Any], first: date, last: date) -> list[date]:
    """The service days of a period of which anything is on record."""
    from storage.street_days import first_day, last_day, last_dropped_day

    oldest, newest = first_day(connection), last_day(connection)
    if oldest is None or newest is None or oldest > last or newest < first:
        raise UserError(f"nothing is on record from {first} to {last}; see swept status.")
    low, high = max(first, oldest), min(last, newest)
    dropped = last_dropped_day(connection)
    if dropped is not None and low <= dropped:
        raise UserError(
            f"reports of {dropped} and before were dropped (SWEPT_RAW_KEEP_DAYS), so that these days can't be computed "
            f"again; ask for days after {dropped}."
        )
    return [low + timedelta(days=n) for n in range((high - low).days + 1)]
