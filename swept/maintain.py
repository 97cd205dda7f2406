"""`swept maintain`: what a store needs from time to time; run it once a day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection


def maintain() -> None:
    """Drop raw data that is older than SWEPT_RAW_KEEP_DAYS (730), and do what else is due in the store.

    Fixes, original records and refusals go; passes, figures, their versions and evidence that is held stay. On
    TimescaleDB the server does most of it by itself, once this has told it how long fixes are kept. Run it once
    a day, from cron or a systemd timer. Workers may run meanwhile.
    """
    from rich.console import Console

    from swept.settings import read_settings
    from swept.wiring import store_connection

    settings = read_settings()
    console = Console()
    with store_connection(settings) as connection:
        for line in _done(connection, settings.raw_keep_days):
            console.print(line, highlight=False)


def _done(connection: Connection[Any], keep_days: int) -> Iterator[str]:
    """Do it, and say what was done."""
    from processing.service_day import from_us
    from storage import timescale
    from storage.retention import drop_old

    dropped = drop_old(connection, keep_days)
    if dropped.before_us <= 0:
        yield "nothing was received yet, so nothing is old"
        return
    before = f"{from_us(dropped.before_us):%Y-%m-%d %H:%M}"
    counts = {
        "chunks of fixes": dropped.chunks,
        "fixes": dropped.fixes,
        "records of the log": dropped.records,
        "packs of records": dropped.packs,
        "refusals": dropped.dead_letters,
    }
    gone = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    yield f"dropped what is older than {keep_days} days (before {before} UTC): {gone or 'nothing'}"
    if timescale.is_hypertable(connection, "fix"):
        timescale.run_policies(connection, "refresh")
        yield "refreshed the hours of fixes"
        yield f"compressed {timescale.run_policies(connection, 'compress'):,} chunks"
