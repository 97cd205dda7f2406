"""`swept demo`: a whole district on one machine, swept in three minutes, with the truth beside the figures."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    exit_: Annotated[
        bool, typer.Option("--exit", help="End after the tables instead of serving on.")
    ] = False,
    rate: Annotated[
        float,
        typer.Option(min=1.0, max=2_000.0, help="How many times faster than the clock the shift is played."),
    ] = 200.0,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the API on 127.0.0.1; 0: a free one.")
    ] = 0,
    scenario: Annotated[
        str, typer.Option(help="A scenario that comes with swept (quiet, shift, hard), or a TOML file.")
    ] = "shift",
) -> None:
    """Sweep a district for a shift of 8 hours, in about three minutes, and compare the figures with the truth.

    Starts the embedded broker and database, ingest, a worker and the API as processes of their own, on free ports
    of 127.0.0.1. Twelve simulated units then send what they see over MQTT, with the noise, losses and outages of
    the real thing, and what comes out is printed beside what truly happened.

    Everything lies in [cyan]demo[/cyan] in SWEPT_HOME and is made anew each time. Any of the processes may be
    killed at any time: it is started again, and the figures stay what they would have been.
    """
    from swept.demo_run import Demo
    from swept.settings import read_settings

    Demo(read_settings(), rate, port, scenario).run(stay=not exit_)
