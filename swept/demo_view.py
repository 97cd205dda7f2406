"""What `swept demo` shows: where the shift is while it is played, and the figures beside the truth."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import psycopg
from rich.console import Console
from rich.live import Live
from rich.table import Table

from api.models import StreetFrequency
from processing.pipeline import Core
from processing.service_day import from_us, service_day
from simulators.fleet import Progress
from simulators.scenario import Run
from simulators.score import Figure, Score, score
from storage.queries.dead_letters import reasons
from storage.queries.frequency import frequency
from storage.queries.passes import passes_of_day
from storage.queries.status import positions
from streams.log import LogUnavailable
from streams.table_log import TableLog
from swept.report import colored, figures

SEEN_EVERY_S = 1.0
LINE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """How far the line is: records in the log, records in committed figures, coverage 0 to 1."""

    logged: int = 0
    committed: int = 0
    coverage: float = 0.0


class Line:
    """Looks at the store from time to time; while that is down it knows what it saw last."""

    def __init__(self, store_url: str, core: Core, start_us: int) -> None:
        self._store_url = store_url
        self._core = core
        self._log = TableLog(store_url)
        rules = core.rules
        self.day = service_day(start_us, rules.day_start_s, rules.timezone)
        self._length_mm = sum(one.length_mm for one in core.references.values())
        self._works = {street.street_id: street.work for street in core.district.streets}
        self._seen = Seen()
        self._seen_s = 0.0

    def close(self) -> None:
        """Let go of connections."""
        self._log.close()

    def seen(self) -> Seen:
        """How far the line is, at most a second old if the store answers."""
        if time.monotonic() - self._seen_s > SEEN_EVERY_S:
            with contextlib.suppress(psycopg.OperationalError, LogUnavailable):  # killed, and soon back
                self._seen = self._look()
            self._seen_s = time.monotonic()
        return self._seen

    def is_done(self) -> bool:
        """Whether all that is in the log is committed."""
        self._seen_s = 0.0
        seen = self.seen()
        return 0 < seen.logged == seen.committed

    def _look(self) -> Seen:
        logged = sum(self._log.ends().values())
        with psycopg.connect(self._store_url, autocommit=True, connect_timeout=5) as connection:
            committed = sum(
                one.next_offset for one in positions(connection) if one.log_id == self._log.log_id
            )
            district_id = self._core.district.district_id
            stored = frequency(connection, district_id, self.day, self.day)
        found = [one.recorded.figures for one in stored]
        swept_mm = sum(one.swept_mm for one in found if one.work == self._works[one.street_id])
        return Seen(logged, committed, swept_mm / self._length_mm)

    def tell(self, console: Console, played: Run) -> None:
        """The frequency table with the truth beside it, the score, and what was refused."""
        with psycopg.connect(self._store_url, autocommit=True) as connection:
            rows = figures(connection, self._core, self.day, self.day)
            swept = {
                street_id: [
                    (p.from_mm / 1e3, p.to_mm / 1e3) for one in found if one.work == work for p in one.swept
                ]
                for street_id, work in self._works.items()
                for found in [passes_of_day(connection, street_id, self.day)]
            }
            refused = reasons(connection)
        by_id = {row.street_id: Figure(row.street_id, row.frequency, row.coverage) for row in rows}
        result = score(played.district, played.truth_passes, by_id, self.day, swept)
        console.print(_beside_truth(f"{played.district.name}, {self.day}", rows, result))
        summary = Table(title="Against the truth", show_header=False)
        for name, value in result.table():
            summary.add_row(name, value)
        console.print(summary)
        told = ", ".join(f"{count:,} {reason}" for reason, count in refused.items()) or "none"
        console.print(f"{self._seen.committed:,} records committed; dead letters: {told}.")


def _beside_truth(title: str, rows: Sequence[StreetFrequency], result: Score) -> Table:
    """A row for each street; a frequency that differs from the truth is red."""
    table = Table("street", "name", "required", "swept", "truth", "coverage", "truth", "verdict", title=title)
    for column in table.columns[2:7]:
        column.justify = "right"
    truth = {row.street_id: row for row in result.rows}
    for row in rows:
        true = truth[row.street_id]
        swept = (
            str(row.frequency) if row.frequency == true.true_frequency else f"[bold red]{row.frequency}[/]"
        )
        shares = f"{row.coverage:.0%}", f"{true.true_coverage:.0%}"
        counted = str(row.required), swept, str(true.true_frequency)
        table.add_row(row.street_id, row.name, *counted, *shares, colored(row.verdict))
    return table


class View:
    """A live table on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, console: Console, timezone: str) -> None:
        self._console = console
        self._zone = ZoneInfo(timezone)
        self._live = (
            Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        )
        self._line_s = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, now: Progress, seen: Seen) -> None:
        """Show where the shift is."""
        clock = from_us(now.now_us).astimezone(self._zone).strftime("%H:%M:%S")
        rows: list[tuple[str, Any]] = [
            ("time in the district", clock),
            ("units connected", now.connected),
            ("sent", f"{now.sent:,} of {now.total:,}"),
            ("acknowledged", f"{now.acknowledged:,}"),
            ("committed", f"{seen.committed:,}"),
            ("coverage", f"{seen.coverage:.1%}"),
        ]
        if self._live is not None:
            table = Table(show_header=False, title="swept demo")
            for name, value in rows:
                table.add_row(name, str(value))
            self._live.update(table)
        elif time.monotonic() - self._line_s >= LINE_EVERY_S:
            self._line_s = time.monotonic()
            self._console.print(", ".join(f"{name} {value}" for name, value in rows), soft_wrap=True)
