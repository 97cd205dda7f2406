"""`swept serve`: the JSON API over the store, until told to stop."""

from __future__ import annotations

import contextlib
import threading
from typing import Annotated

import typer

from swept.errors import UserError
from swept.metrics import LOOPBACK, MetricsHost, MetricsPort


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than 127.0.0.1 let other machines in.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any free one.")] = 8000,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = LOOPBACK,
) -> None:
    """Answer questions about streets, frequencies, units and their equipment as JSON.

    /docs describes every question, /openapi.json is the same for programs. The API only reads, and has no
    passwords yet: leave it on loopback, or put a proxy that asks for one before it. Ctrl-C ends it.
    """
    from api.app import create_app
    from api.server import bind, server
    from processing.pipeline import Core
    from swept.collectors import StoreCollector
    from swept.metrics import exported
    from swept.process import current_district, stopped
    from swept.settings import read_settings
    from swept.wiring import apply_migrations, connect, open_log, reachable_log, services

    try:
        listening = bind(host, port)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such host"
        raise UserError(
            f"can't listen on {host}:{port} ({reason}); choose another --host or --port."
        ) from error
    # uvicorn raises the signal that ended it once more; noted by us, it lets the servers end in good order.
    with listening, stopped() as stop, services(read_settings()) as where:
        with connect(where.store_url) as connection:
            apply_migrations(connection)
            district = current_district(connection, read_settings())
        store = StoreCollector(where.store_url, lambda: open_log(where))
        with (
            contextlib.closing(reachable_log(where)) as log,
            contextlib.closing(store),
            exported("serve", metrics_host, metrics_port, store),
        ):
            one_at_a_time = threading.Lock()

            def log_ends() -> tuple[str, dict[int, int]]:
                with one_at_a_time:
                    return log.log_id, log.ends()

            core = Core(district)
            app = create_app(where.store_url, district, core.references, core.projection, log_ends=log_ends)
            place = f"http://{host}:{listening.getsockname()[1]}"
            print(f"serve: {district.name} on {place}/docs", flush=True)
            if not stop():
                server(app).run([listening])
