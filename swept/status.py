"""`swept status`: what runs, with which store and log, how far the line has come, what was refused."""

from __future__ import annotations


def status() -> None:
    """Say what runs, which versions there are, how far processing lags, and what was refused.

    Looks at the store and the broker that SWEPT_STORE_URL and SWEPT_MQTT_URL name, else at the embedded ones in
    SWEPT_HOME. A lag is the number of records in the log that no committed figure has seen yet.
    """
    import platform

    from rich.console import Console
    from rich.table import Table

    from processing.service_day import from_us
    from storage.district import loaded
    from storage.queries.dead_letters import reasons
    from storage.queries.status import newest_received_us, positions, totals
    from streams.table_log import TableLog
    from swept.process import current_district
    from swept.settings import read_settings
    from swept.supervisor import running
    from swept.versions import release, rule_version
    from swept.wiring import connect, services

    settings = read_settings()
    found = running(settings.home)
    table = Table(show_header=False)
    table.add_row("release", f"{release()} on Python {platform.python_version()}")
    programs = ", ".join(f"{name} {pid}" for name, pid in (found or {}).get("programs", {}).items())
    table.add_row(
        "running", f"{programs} (process {found['pid']})" if found else f"nothing in {settings.home}"
    )
    with services(settings) as where, connect(where.store_url) as connection:
        table.add_row("store, broker", where.how)
        table.add_row("log", "a table in the store" if where.log_url is None else "Kafka")
        district, _ = current_district(connection, settings)
        table.add_row(
            "district", f"{district.district_id} (loaded: {', '.join(loaded(connection)) or 'none'})"
        )
        table.add_row("versions", f"map {district.map_version}, rules {rule_version(district.rules)}")
        log = TableLog(where.store_url)
        ends, log_id = log.ends(), log.log_id
        log.close()
        done = {one.partition: one.next_offset for one in positions(connection) if one.log_id == log_id}
        lags = {partition: end - done.get(partition, 0) for partition, end in sorted(ends.items())}
        table.add_row("log records", f"{sum(ends.values()):,}")
        table.add_row(
            "lag", f"{sum(lags.values()):,} ({', '.join(f'{p}: {lag:,}' for p, lag in lags.items())})"
        )
        held = totals(connection)
        table.add_row(
            "store holds",
            f"about {held.fixes:,} fixes, {held.passes:,} passes, {held.street_days:,} street-days",
        )
        letters = reasons(connection)
        told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(letters.items())) or "none"
        table.add_row("dead letters", told)
        newest = newest_received_us(connection, [unit.unit_id for unit in district.units])
        table.add_row(
            "newest fix", "none yet" if newest is None else f"received {from_us(newest).isoformat()}"
        )
    Console().print(table)
