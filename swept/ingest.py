"""`swept ingest`: from the MQTT broker to the log, until told to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swept.errors import UserError
from swept.metrics import LOOPBACK, MetricsHost, MetricsPort

if TYPE_CHECKING:
    from ingest.bridge import Bridge
    from ingest.subscriber import Session
    from streams.log import Log
    from swept.settings import Settings
    from swept.wiring import Services

RECEIVE_MAXIMUM_MAX = 65_535
LOG_RETRY_S = 1.0
NAME_MAX = 100
NAME_LACKS = frozenset("/+#$ ")
"""What a district's id, a client id and a group can't hold."""


def ingest(
    mqtt: Annotated[
        str | None,
        typer.Option(
            help="Broker, mqtt://host:port, or mqtts:// for TLS; else SWEPT_MQTT_URL, else the embedded one."
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Store whose table is the log, postgresql://...; else SWEPT_STORE_URL, else the embedded one."
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            help="Log on Kafka, kafka://host:9092/swept; else SWEPT_LOG_URL, else the store's table."
        ),
    ] = None,
    district: Annotated[
        str | None,
        typer.Option(
            help="District's id in the topics; else that of the folder SWEPT_DISTRICT, else zhanqian."
        ),
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(help="MQTT client id, which names the session; else swept-ingest-DISTRICT.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Share the work with others of this group; each needs its --client-id.")
    ] = None,
    receive_maximum: Annotated[
        int, typer.Option(min=1, max=RECEIVE_MAXIMUM_MAX, help="Messages in hand that aren't durable yet.")
    ] = 2_000,
    stats: Annotated[
        float, typer.Option(min=0.0, help="Print a line of statistics every so many seconds; 0: never.")
    ] = 60.0,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = LOOPBACK,
) -> None:
    """Take what devices publish into the log, and acknowledge it once it is durable.

    Subscribes to swept/v1/DISTRICT/UNIT/fix, equipment and online with a persistent MQTT 5 session at
    QoS 1. A message is acknowledged to the broker, and its seq to the device on .../ack, only after the log
    has it on disk. While the log is away, or holds as much as it may (SWEPT_LOG_BYTES_MAX), nothing is
    acknowledged and nothing is lost: the broker holds it, as long as its own bound lets it.
    Ctrl-C or SIGTERM finishes what is in hand; the session stays, so a restart goes on where this ended.
    """
    from ingest.bridge import session
    from swept.settings import read_settings
    from swept.wiring import services

    settings = _with(read_settings(), store_url=store, mqtt_url=mqtt, log_url=log)
    district_id = district or district_id_of(settings.district_folder)
    name = client_id or f"swept-ingest-{district_id}"
    for option, value in (("--district", district_id), ("--client-id", name), ("--group", group)):
        _check_name(option, value)
    if group is not None and client_id is None:
        raise UserError("--group needs a --client-id for each member; two sessions of one id end each other.")
    with _stop_signals() as stopping, services(settings, store=False) as where:
        opened = _open_log(where, stopping, settings.log_bytes_max)
        if opened is None:
            return
        with contextlib.closing(opened):
            wanted = session(where.mqtt_url, district_id, name, group, receive_maximum)
            _run(opened, wanted, district_id, stats, (metrics_host, metrics_port), stopping)


def _check_name(option: str, value: str | None) -> None:
    """Topics and subscriptions are made of it, and some brokers fail over a client id that is like either."""
    if value is None or (0 < len(value) <= NAME_MAX and not NAME_LACKS & set(value) and value.isprintable()):
        return
    raise UserError(
        f"{option} {value[:NAME_MAX]!r} can't be used: give it 1 to {NAME_MAX} characters without / + # $ or space."
    )


def _with(settings: Settings, **urls: str | None) -> Settings:
    """The settings with those URLs that the command line gives, checked as the environment's are."""
    from swept.settings import read_settings

    given = {f"SWEPT_{name.upper()}": url for name, url in urls.items() if url is not None}
    checked = read_settings(given)
    return settings.model_copy(update={name: getattr(checked, name) for name, url in urls.items() if url})


def district_id_of(folder: Path) -> str:
    """The id of a district's folder; UserError where it has none."""
    file = folder / "district.toml"
    try:
        return str(tomllib.loads(file.read_text(encoding="utf-8"))["id"])
    except (OSError, KeyError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise UserError(f"no district id in {file}; give --district, or correct SWEPT_DISTRICT.") from None


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, instead of ending us in the middle of an append."""
    stopping = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open_log(where: Services, stopping: threading.Event, bytes_max: int) -> Log | None:
    """The log, a table's made; waits for a server that isn't up yet. None when told to stop."""
    from streams.log import LogUnavailable
    from swept.wiring import apply_migrations, connect, open_log

    said = False
    while not stopping.is_set():
        try:
            if where.log_url is None:
                with connect(where.store_url) as connection:
                    apply_migrations(connection)
            return open_log(where, bytes_max=bytes_max)
        except (LogUnavailable, UserError) as error:
            if isinstance(error, UserError) and "can't be reached" not in str(error):
                raise
            if not said:
                print(f"ingest: {error} Trying again.", flush=True)
                said = True
        stopping.wait(LOG_RETRY_S)
    return None


def _run(
    log: Log,
    wanted: Session,
    district_id: str,
    stats_s: float,
    metrics: tuple[str, int | None],
    stopping: threading.Event,
) -> None:
    from ingest.bridge import Bridge
    from ingest.queue import BrokerQueue
    from ingest.stats import Stats
    from ingest.subscriber import Subscriber
    from swept.collectors import IngestCollector
    from swept.metrics import exported

    stats = Stats()

    def report(line: str) -> None:
        print(line, flush=True)

    queue = BrokerQueue(report)
    subscriber = Subscriber(wanted, stats, report)
    bridge = Bridge(district_id, subscriber, log, stats, report)
    with exported("ingest", *metrics, IngestCollector(stats, subscriber, queue)):
        subscriber.start()
        queue.watch(wanted.url)
        try:
            _supervise(bridge, stats_s, stopping, lambda: report(stats.line(subscriber.waiting)))
        finally:
            subscriber.stop()
            queue.stop()
            report(stats.line(subscriber.waiting))


def _supervise(bridge: Bridge, stats_s: float, stopping: threading.Event, say: Callable[[], None]) -> None:
    """Run the bridge in a thread, the main thread hears signals; a fault of the bridge is ours to raise."""
    failed: list[BaseException] = []

    def move() -> None:
        try:
            bridge.run()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)
        stopping.set()

    moving = threading.Thread(target=move, name="bridge", daemon=True)
    moving.start()
    while not stopping.wait(stats_s or None):
        say()
    bridge.stop()
    moving.join()
    if failed:
        raise failed[0]
