"""What the long-running commands export for Prometheus, and where: one option for all of them.

The collectors are in swept/collectors.py; nothing here is heavy, since every command imports it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from swept.errors import UserError

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65_535,
        help="Export metrics for Prometheus on this port; 0: any free one.",
    ),
]
MetricsHost = Annotated[
    str,
    typer.Option(
        "--metrics-host", help="Address of the metrics; others than 127.0.0.1 let other machines read them."
    ),
]
LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def exported(name: str, host: str, port: int | None, *collectors: Collector) -> Iterator[None]:
    """Answer Prometheus on /metrics for as long as the context lasts; not at all where the port is None."""
    if port is None:
        yield
        return
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    for one in collectors:
        registry.register(one)
    try:
        server, thread = start_http_server(port, host, registry)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no such port or host"
        raise UserError(
            f"metrics can't be exported on {host}:{port} ({reason}); choose another --metrics-port or --metrics-host."
        ) from error
    print(f"{name}: metrics on http://{host}:{server.server_port}/metrics", flush=True)
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
