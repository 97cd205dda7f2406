"""`swept status`: what runs, with which store and log, how far the line has come, what was refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from swept.settings import Settings
    from swept.wiring import Services


def status() -> None:
    """Say what runs, which versions there are, how far processing lags, and what was refused.

    Looks at the store and the broker that SWEPT_STORE_URL and SWEPT_MQTT_URL name, else at the embedded ones in
    SWEPT_HOME; those are started for the look where they don't run. The lag is the number of records in the log
    that no committed figure has seen yet; a [cyan]dead letter[/cyan] is a report that was refused.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from swept.settings import read_settings
    from swept.supervisor import running
    from swept.wiring import connect, services

    settings = read_settings()
    found = running(settings.home)
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    with services(settings) as where, connect(where.store_url) as connection:
        for name, value in (*_running(settings, where, found), *_state(connection, settings, where)):
            table.add_row(name, escape(value))
    Console().print(table)


def _running(
    settings: Settings, where: Services, found: Mapping[str, Any] | None
) -> Iterator[tuple[str, str]]:
    """What there is of programs and servers."""
    import platform

    from swept.versions import release

    yield "release", f"{release()} on Python {platform.python_version()}"
    programs = ", ".join(f"{name} {pid}" for name, pid in (found or {}).get("programs", {}).items())
    own = f"{programs}, kept running by process {found['pid']}" if found else f"nothing in {settings.home}"
    yield "running", own
    looked = found is None and not (settings.store_url and settings.mqtt_url)
    yield "store, broker", where.how + (" for this look, and ended now" if looked else "")


def _state(
    connection: psycopg.Connection[Any], settings: Settings, where: Services
) -> Iterator[tuple[str, str]]:
    """What the store says."""
    from zoneinfo import ZoneInfo

    from processing.service_day import from_us
    from storage.backlog import waiting
    from storage.queries.dead_letters import reasons
    from storage.queries.status import newest_received_us, totals
    from storage.queries.units import units_now
    from streams.lag import lag
    from swept.process import current_district
    from swept.versions import rule_version
    from swept.wiring import reachable_log, shown

    district = current_district(connection, settings)
    units = [unit.unit_id for unit in district.units]
    yield "district", f"{district.name} ({district.district_id}), from {_source(connection, settings)}"
    yield "versions", f"map {district.map_version}, rules {rule_version(district.rules)}"
    with contextlib.closing(reachable_log(where)) as log:
        kept = sum(log.ends().values()) - sum(log.firsts().values())
        lags = lag(connection, log)
        late = waiting(connection, log.log_id).records
    yield (
        "log",
        f"{kept:,} records, in {'a table of the store' if log.in_store else shown(where.log_url or '')}",
    )
    behind = ", ".join(f"{lag:,} in partition {partition}" for partition, lag in lags.items() if lag)
    yield "lag", f"{sum(lags.values()):,} records ({behind})" if behind else "none"
    if late:
        yield "backlog", f"{late:,} records that came late wait for their share"
    yield from _store(connection)
    held = totals(connection)
    about = f"about {held.fixes:,} fixes, {held.passes:,} passes, {held.street_days:,} street-days"
    yield "store holds", about
    letters = sorted(reasons(connection).items())
    yield "dead letters", ", ".join(f"{count:,} {reason}" for reason, count in letters) or "none"
    suspected = {one.unit_id: one.suspected_datum for one in units_now(connection, units)}
    wrong = ", ".join(f"{unit_id} seems to be {datum}" for unit_id, datum in suspected.items() if datum)
    if wrong:
        yield "wrong datum", f"{wrong}; set datum in its profile, its tracks are not counted"
    newest = newest_received_us(connection, units)
    if newest is None:
        yield "newest fix", "none yet"
    else:
        local = from_us(newest).astimezone(ZoneInfo(district.rules.timezone))
        yield "newest fix", f"came {local.isoformat(sep=' ', timespec='seconds')}, by the district's clock"


def _store(connection: psycopg.Connection[Any]) -> Iterator[tuple[str, str]]:
    """Which database it is, and on TimescaleDB what its chunks and policies are."""
    from storage import timescale

    number = connection.info.server_version
    yield "store", f"PostgreSQL {number // 10_000}.{number % 10_000}, {timescale.found(connection).words}"
    for one in timescale.sizes(connection):
        ratio = f", {one.before_bytes / one.after_bytes:.1f} times smaller" if one.after_bytes else ""
        yield f"chunks of {one.table}", f"{one.chunks:,}, of them {one.compressed:,} compressed{ratio}"
    told = [
        f"{one.does} {one.table} after {one.after_us / 86_400_000_000:g} days{' (failed!)' if one.failed else ''}"
        for one in timescale.policies(connection)
    ]
    if told:
        yield "policies", "; ".join(told)


def _source(connection: psycopg.Connection[Any], settings: Settings) -> str:
    """Where the district that is processed and served comes from."""
    from storage.district import loaded

    stored = settings.district is None and loaded(connection)
    return "the store" if stored else str(settings.district_folder)
