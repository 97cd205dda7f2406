"""`swept process`: from the log to passes and figures in the store, until told to stop."""

from __future__ import annotations

import contextlib
import gc
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swept.errors import UserError
from swept.metrics import LOOPBACK, MetricsHost, MetricsPort
from swept.settings import Settings

if TYPE_CHECKING:
    from psycopg import Connection

    from processing.district import District
    from streams.log import Log
    from streams.worker import Worker


SILENT_S_MAX = 10.0
"""Its kernels are compiled before: a worker that says nothing to the store for so long is frozen or cut off."""


def process(
    once: Annotated[bool, typer.Option("--once", help="End when the log's end is reached.")] = False,
    stats: Annotated[
        float, typer.Option(min=0.0, help="Print a line of statistics every so many seconds; 0: never.")
    ] = 60.0,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = LOOPBACK,
) -> None:
    """Turn the log's records into passes and cleaning frequencies in the store.

    Results and the position in the log commit together, so that each record counts exactly once: this
    command may be killed at any moment and started again, and a second one on the same log does no harm.
    The district is that of SWEPT_DISTRICT, else the one loaded into the store, else the one that comes
    with swept; its files are kept in the store with the figures. Ctrl-C or SIGTERM ends it.

    When a service day is over, the digest of its records is signed (SWEPT_SIGNING_KEY, else a key made in
    SWEPT_HOME) and published on swept/v1/DISTRICT/digest, so that no record can be changed unseen later.
    """
    from processing.pipeline import Core
    from storage.versions import Versions
    from streams.cores import Cores, Dated
    from streams.log import LogTrimmed
    from streams.worker import Bounds, Worker
    from swept.collectors import Steps, StoreCollector, WorkerCollector
    from swept.digests import Digests
    from swept.kernels import warm
    from swept.metrics import exported
    from swept.progress import progress
    from swept.settings import read_settings
    from swept.signing_key import signer
    from swept.versions import rule_version
    from swept.wiring import apply_migrations, connect, open_log, reachable_log, services

    settings = read_settings()
    key = signer(settings)
    with stopped() as stop, services(settings) as where, contextlib.ExitStack() as stack:
        with connect(where.store_url) as connection:
            apply_migrations(connection)
            keep_folder(connection, settings)
            district, version = district_in_force(connection, settings)
        # Once means all that is there, so all partitions are ours.
        group = None if once else f"swept-{district.district_id}"
        log = stack.enter_context(contextlib.closing(reachable_log(where, group)))
        with progress("making ready (after an installation this takes half a minute)"):
            core = Core(district)
            warm(core)
        _spare_collecting()
        rules = rule_version(district.rules)
        dated = Dated(core, Versions(rules, district.map_version), version)
        bounds = Bounds(silent_s_max=SILENT_S_MAX)
        steps, cores = Steps(), Cores(dated, rule_version)
        worker = Worker(where.store_url, log, core, rules, cores=cores, bounds=bounds, on_step=steps.note)
        stack.callback(worker.close)
        store = stack.enter_context(
            contextlib.closing(StoreCollector(where.store_url, lambda: open_log(where)))
        )
        stack.enter_context(
            exported("process", metrics_host, metrics_port, steps, WorkerCollector(worker), store)
        )
        digests = Digests(where.store_url, where.mqtt_url, district, (log.log_id, log.partitions), key, _say)
        stack.enter_context(digests.running())
        _say(f"process: days are signed with key {key.public_key.hex()}")
        print(f"process: {district.name}, log {log.log_id}, {log.partitions} partitions", flush=True)
        try:
            if once:
                _drain(worker, _left(where.store_url, log), stop)
            else:
                worker.run(_with_stats(stop, worker, stats))
        except LogTrimmed as error:
            raise UserError(f"{error}; restore the log, or start a new store and replay.") from error
        print(_line(worker), flush=True)


def _spare_collecting() -> None:
    """Let the garbage collector look for cycles seldom, and never among what lives as long as we do.

    Hardly anything here is in a cycle, and each time it looks through all that is kept of units. Without it
    benchmarks/touch.py needs 12 % less CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def _say(line: str) -> None:
    print(line, flush=True)


def _left(store_url: str, log: Log) -> int:
    """Records in the log that no committed figure has seen."""
    from streams.lag import lag
    from swept.wiring import connect

    with connect(store_url) as connection:
        return sum(lag(connection, log).values())


def _drain(worker: Worker, records: int, stop: Callable[[], bool]) -> None:
    from streams.checkpoint import Fenced
    from streams.figures import DayClosed
    from swept.progress import progress

    with progress("processing the log", total=records) as advance:
        more = 1
        while not stop() and more:
            # Another worker may be faster; the store then says where to go on.
            with contextlib.suppress(Fenced, DayClosed):
                more = worker.step()
            advance(worker.counts.records)
    while not stop() and worker.pack():
        pass


def keep_folder(connection: Connection[Any], settings: Settings) -> None:
    """Keep the folder of the settings as a version, where they name one or the store has no district yet."""
    from storage.district import loaded
    from swept.district import keep, load_folder, read_folder

    if settings.district is not None or not loaded(connection):
        folder = settings.district_folder
        keep(connection, load_folder(folder), read_folder(folder))


def current_district(connection: Connection[Any], settings: Settings) -> District:
    """The district to serve and report on: the version in force today, else the folder of the settings."""
    return district_in_force(connection, settings)[0]


def district_in_force(connection: Connection[Any], settings: Settings) -> tuple[District, int]:
    """The district as it is in force today and the number of that version; 0: the store doesn't have it yet."""
    from processing.district_files import parse_district
    from storage.district import files_of, in_force, loaded, standing, version_of
    from swept.days import today
    from swept.district import load_folder

    known = loaded(connection)
    folder = load_folder(settings.district_folder) if settings.district is not None or not known else None
    if folder is None and len(known) > 1:
        raise UserError(f"the store holds the districts {', '.join(known)}; set SWEPT_DISTRICT to one.")
    district_id = folder.district_id if folder else known[0]
    timeline = in_force(connection, district_id)
    going_on = standing(timeline)
    files = None if going_on is None else files_of(connection, district_id, going_on)
    if going_on is None or files is None:
        return folder or load_folder(settings.district_folder), 0
    newest = parse_district(files)
    now = version_of(timeline, today(connection, newest)) or going_on
    files = files_of(connection, district_id, now)
    return (newest if files is None else parse_district(files)), now


@contextlib.contextmanager
def stopped() -> Iterator[Callable[[], bool]]:
    """Tells whether SIGTERM or SIGINT came, instead of ending us in the middle of a batch."""
    came: list[int] = []

    def note(number: int, _frame: object) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _with_stats(stop: Callable[[], bool], worker: Worker, every_s: float) -> Callable[[], bool]:
    next_s = time.monotonic() + every_s

    def check() -> bool:
        nonlocal next_s
        if every_s and time.monotonic() >= next_s:
            next_s = time.monotonic() + every_s
            print(_line(worker), flush=True)
        return stop()

    return check


def _line(worker: Worker) -> str:
    counts = worker.counts
    return (
        f"process: {counts.records} records, {counts.reports} reports, {counts.duplicates} duplicates, "
        f"{counts.refused} refused, {counts.tracks} tracks, {counts.batches} batches, "
        f"{counts.fenced} times fenced, {counts.reconnects} reconnects"
    )
