"""kill -9 of worker, ingest, broker and database at 20 random moments of a demo: nothing that counts changes.

The same shift is played twice: undisturbed and fast, then with kills. Every table that counts must be the
same to the byte, and passes and figures those that the core makes of the reports alone, without any server.
`make chaos SEED=n` draws the same moments and victims again.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from processing.order import identity
from processing.pipeline import analyze
from swept.demo_run import Demo, Onlooker, Playing
from swept.settings import Settings
from tests.chaos import tables
from tests.chaos.killer import Killer
from tests.chaos.tables import Dump

KILLS = 20
API_KILLS = 3
IN_FLIGHT_MIN = 15
RATE, UNDISTURBED_RATE = 180.0, 600.0
SCENARIO = "shift"


class Undisturbed(Onlooker):
    """Keeps what a demo left behind."""

    def __init__(self) -> None:
        self.dumps: dict[str, Dump] = {}

    def done(self, demo: Playing) -> None:
        with psycopg.connect(demo.store_url, autocommit=True) as connection:
            self.dumps = tables.dumps(connection)


class Disturbed(Killer):
    """Kills, keeps what was left behind, and holds it against what the devices sent."""

    def done(self, demo: Playing) -> None:
        with psycopg.connect(demo.store_url, autocommit=True) as connection:
            self.dumps = tables.dumps(connection)
            district = demo.played.district
            reports, refused = tables.sent(district, demo.played.deliveries)
            analysis = analyze(district, reports)
            stored = tables.identities(connection)
            wanted = {identity(report) for report in reports}
            self.fixes = len(stored)
            self.lost = len(wanted - set(stored)) + len(refused - tables.refusals(connection))
            self.twice, self.invented = len(stored) - len(set(stored)), len(set(stored) - wanted)
            self.conflicts = {r.payload for r in analysis.conflicts} - tables.refusals(connection)
            self.passes, self.street_days = tables.passes(connection), tables.street_days(connection)
        self.core_passes = sorted(analysis.passes, key=lambda p: (p.unit_id, p.track_start_us, p.ordinal))
        self.core_street_days = sorted(
            analysis.street_days, key=lambda f: (f.street_id, f.service_day, f.work)
        )


def play(home: Path, rate: float, onlooker: Onlooker) -> None:
    """A demo in this process, its programs as processes of their own; what it says goes to a file."""
    home.mkdir()
    settings = Settings(home=home)
    with _saying(home / "said"):
        Demo(settings, rate, 0, SCENARIO, onlooker).run(stay=False)


@contextlib.contextmanager
def _saying(file: Path) -> Iterator[None]:
    """The demo's own output to a file, whose end is shown where it fails."""
    try:
        with file.open("w", encoding="utf-8") as said, contextlib.redirect_stdout(said):
            yield
    except BaseException:
        print(file.read_text(encoding="utf-8")[-2_000:])
        raise


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_nothing_that_counts_changes_whatever_is_killed(tmp_path: Path) -> None:
    shown = sys.stdout  # the demo's own output is turned elsewhere meanwhile

    def say(line: str) -> None:
        print(line, file=shown, flush=True)

    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    say(f"\nseed {seed} (make chaos SEED={seed} draws the same again)")
    expected = Undisturbed()
    play(tmp_path / "undisturbed", UNDISTURBED_RATE, expected)
    found = Disturbed(seed, KILLS, API_KILLS, say)
    play(tmp_path / "disturbed", RATE, found)

    say(f"{sum(found.hits)} of {len(found.hits)} kills hit work in flight")
    for table, dump in found.dumps.items():
        same = "the same" if dump == expected.dumps[table] else f"NOT {expected.dumps[table].sha256}"
        say(f"{table:18} {len(dump.lines):6,} rows, SHA-256 {dump.sha256}, undisturbed: {same}")
    say(f"{found.fixes:,} fixes: {found.lost} lost, {found.twice} twice, {found.invented} never sent")
    assert len(found.hits) == KILLS
    assert sum(found.hits) >= IN_FLIGHT_MIN
    for table, dump in found.dumps.items():
        assert dump == expected.dumps[table], f"{table}: {dump.difference(expected.dumps[table])}"
        assert dump.lines or table == "dead_letter", f"{table} is empty"
    assert (found.lost, found.twice, found.invented) == (0, 0, 0)
    assert not found.conflicts
    assert found.passes == found.core_passes
    assert found.street_days == found.core_street_days
    assert not found.faults
