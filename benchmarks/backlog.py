"""How long live fixes wait for their commit, alone and while units bring what they buffered for days.

    python benchmarks/backlog.py [--one-by-one] [--at-once] [--fixes 20000] [--every 0.5]

Twelve units report live, a fix each at a time; then three others bring their fixes of the days before, in arrays
of 1,000, or one a message. Measured is the time from the append of live fixes to the commit of their figures.
With --at-once nothing is put off, as it was before. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from swept.kernel_cache import use_own_cache

use_own_cache()

from processing.district import District
from processing.pipeline import Core
from processing.service_day import US
from simulators.scenario import load_scenario, play
from storage import backlog as store
from storage.migrate import migrate
from storage.queries.status import positions
from streams.backlog import Backlog, Taken
from streams.log import Envelope, Record
from streams.table_log import TableLog
from streams.worker import Worker
from swept.embedded_postgres import EmbeddedPostgres
from swept.kernels import warm
from swept.playing import district_and_plan
from swept.settings import configs_folder

ARRAY = 1_000
COME_BACK = 3
DAYS = 4
BEGIN = 600
"""Live units have driven so many fixes when it begins."""
ALONE_S = 20.0


@dataclass(slots=True)
class Live:
    """Appends one fix of each unit every so often until told to stop."""

    store_url: str
    fixes: dict[str, list[dict[str, Any]]]
    every_s: float
    appended: list[tuple[float, dict[int, int]]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """The thread."""
        log = TableLog(self.store_url)
        number, due_s = BEGIN, time.monotonic()
        while not self.stopping.is_set():
            begun_s = time.monotonic()
            log.append([envelope(unit, [fixes[number]], None) for unit, fixes in self.fixes.items()])
            self.appended.append((begun_s, log.ends()))
            number += 1
            due_s += self.every_s
            self.stopping.wait(max(0.0, due_s - time.monotonic()))
        log.close()


class Watch:
    """When live fixes were committed, told by the worker's positions."""

    def __init__(self, live: Live, connection: psycopg.Connection[Any]) -> None:
        self._live = live
        self._connection = connection
        self._seen = 0
        self.waits_s: list[float] = []

    def note(self, step: str) -> None:
        """A live batch is committed when the worker turns to what waits, or to the log again."""
        if step in {"waited", "read", "closed"}:
            self.look()

    def look(self) -> None:
        """Note what is committed by now."""
        done, now_s = self.done(), time.monotonic()
        while self._seen < len(self._live.appended):
            begun_s, ends = self._live.appended[self._seen]
            if any(done.get(partition, 0) < end for partition, end in ends.items()):
                break
            self.waits_s.append(now_s - begun_s)
            self._seen += 1

    @property
    def all_seen(self) -> bool:
        """Whether all that was appended is committed."""
        return self._seen == len(self._live.appended)

    def done(self) -> dict[int, int]:
        """The committed positions."""
        return {one.partition: one.next_offset for one in positions(self._connection)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--one-by-one", action="store_true", help="a fix a message, not arrays")
    parser.add_argument("--at-once", action="store_true", help="put nothing off")
    parser.add_argument("--fixes", type=int, default=20_000, help="that each unit brings")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between live fixes of a unit")
    args = parser.parse_args()
    if args.at_once:
        Backlog.sort = everything  # type: ignore[method-assign]
    district, live_fixes, old_fixes = reports(args.fixes)
    core = Core(district)
    warm(core)
    size = 1 if args.one_by_one else ARRAY
    with server() as url, psycopg.connect(url, autocommit=True) as connection:
        log = TableLog(url)
        for unit, fixes in live_fixes.items():
            log.append([envelope(unit, fixes[:BEGIN], None)])
        live = Live(url, live_fixes, args.every)
        watch = Watch(live, connection)
        worker = Worker(url, log, core, "rules", on_step=watch.note)
        worker.drain()
        thread = threading.Thread(target=live.run)
        thread.start()
        alone = stretch(worker, log, watch, lambda begun_s: time.monotonic() - begun_s > ALONE_S)
        brought: list[dict[int, int]] = []
        bringing = threading.Thread(target=bring, args=(url, old_fixes, live_fixes, size, brought))
        begun = time.monotonic()
        bringing.start()

        def over(_: float) -> bool:
            done = watch.done()
            return (
                bool(brought)
                and all(done[partition] >= end for partition, end in brought[0].items())
                and not store.waiting(connection, log.log_id).records
            )

        during = stretch(worker, log, watch, over)
        took_s = time.monotonic() - begun
        live.stopping.set()
        thread.join()
        during += stretch(worker, log, watch, lambda _: watch.all_seen)
        counts = worker.counts
        worker.close()
        log.close()
    print(
        f"{COME_BACK} units bring {args.fixes:,} fixes each, {size:,} a message; {counts.put_off:,} records put off"
    )
    print(f"  alone        {words(alone)}")
    print(f"  while so     {words(during)}")
    print(f"  all figures right after {took_s:.1f} s, {COME_BACK * args.fixes / took_s:,.0f} fixes a second")
    told = {"size": size, "at_once": args.at_once, "took_s": round(took_s, 1)}
    print(json.dumps(told | {"alone": figures(alone), "during": figures(during)}))


def everything(_: Backlog, records: Sequence[Record]) -> Taken:
    """Nothing waits."""
    return Taken(records)


def reports(
    old: int,
) -> tuple[District, dict[str, list[dict[str, Any]]], dict[str, list[dict[str, Any]]]]:
    """A district with three more units; the live fixes of the twelve, and the old ones of the three."""
    district, rounds = district_and_plan(configs_folder() / "zhanqian")
    scenario = load_scenario(configs_folder() / "scenarios" / "shift.toml")
    live = played(district, replace(scenario, seed=1), rounds)
    kept = sorted(live)[:COME_BACK]
    names = {unit_id: f"{unit_id}-back" for unit_id in kept}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
    for day in range(DAYS, 0, -1):
        before = replace(scenario, seed=day + 1, date=scenario.date - timedelta(days=day))
        for unit_id, fixes in played(district, before, rounds).items():
            if unit_id in names:
                found[names[unit_id]] += fixes
    added = [replace(unit, unit_id=names[unit.unit_id]) for unit in district.units if unit.unit_id in names]
    return (
        replace(district, units=(*district.units, *added)),
        live,
        {name: fixes[-old:] for name, fixes in found.items()},
    )


def played(district: District, scenario: Any, rounds: Any) -> dict[str, list[dict[str, Any]]]:  # noqa: ANN401
    """The fixes of each unit on a day, in order."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for one in play(district, scenario, rounds).deliveries:
        message = json.loads(one.payload)
        for fix in message if isinstance(message, list) else [message]:
            if "lon" in fix:
                found[one.unit_id][fix["time"]] = fix
    return {unit_id: [fixes[moment] for moment in sorted(fixes)] for unit_id, fixes in found.items()}


def envelope(unit_id: str, fixes: Sequence[dict[str, Any]], received_us: int | None) -> Envelope:
    """A message as ingest keeps it; None: received half a second after its last fix."""
    payload = json.dumps(fixes[0] if len(fixes) == 1 else list(fixes), separators=(",", ":")).encode()
    return Envelope(
        unit_id, f"swept/v1/zhanqian/{unit_id}/fix", payload, received_us or moment_us(fixes[-1]) + US // 2
    )


def moment_us(fix: dict[str, Any]) -> int:
    """Device time."""
    return int(np.datetime64(fix["time"][:23], "us").astype(np.int64)) - 8 * 3_600 * US


def bring(
    store_url: str,
    old: dict[str, list[dict[str, Any]]],
    live: dict[str, list[dict[str, Any]]],
    size: int,
    brought: list[dict[int, int]],
) -> None:
    """Append all that was buffered, the units taking turns, as fast as the log takes it."""
    log = TableLog(store_url)
    now_us = moment_us(next(iter(live.values()))[BEGIN + 40])
    fixes_max = max(map(len, old.values()))
    batch: list[Envelope] = []
    for n in range(0, fixes_max, size):
        batch += [
            envelope(unit, part, now_us) for unit, fixes in old.items() if (part := fixes[n : n + size])
        ]
        if len(batch) >= 2_000 or n + size >= fixes_max:
            log.append(batch)
            batch = []
    brought.append(log.ends())
    log.close()


def stretch(worker: Worker, log: TableLog, watch: Watch, over: Any) -> list[float]:  # noqa: ANN401
    """Let the worker work until it is over; how long live fixes waited meanwhile."""
    before, begun_s = len(watch.waits_s), time.monotonic()
    while not over(begun_s):
        if worker.step() == 0:
            log.wait(0.05)
        watch.look()
    return watch.waits_s[before:]


def words(waits_s: Sequence[float]) -> str:
    """For a person."""
    told = figures(waits_s)
    return f"p50 {told['p50_ms']} ms, p99 {told['p99_ms']} ms, most {told['max_ms']} ms, {len(waits_s)} live batches"


def figures(waits_s: Sequence[float]) -> dict[str, int]:
    """For a program."""
    p50, p99, most = (round(1e3 * float(q)) for q in np.percentile(waits_s or [0.0], [50, 99, 100]))
    return {"p50_ms": p50, "p99_ms": p99, "max_ms": most}


@contextmanager
def server() -> Iterator[str]:
    """A migrated store of our own that goes with us."""
    folder = Path(tempfile.mkdtemp(prefix="swept-bench-"))
    folder.chmod(0o711)
    postgres = EmbeddedPostgres(folder / "postgres")
    postgres.start()
    try:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            migrate(connection)
        yield postgres.url
    finally:
        postgres.destroy()
        folder.rmdir()


if __name__ == "__main__":
    main()
