"""`swept up`: everything that runs a district, started and kept running by one command."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from swept.errors import UserError

INGESTORS_MAX = WORKERS_MAX = 64
"""More than that belong on more than one machine: see compose.yaml."""


def up(
    full: Annotated[
        bool, typer.Option("--full", help="With Mosquitto and Kafka in place of the embedded broker and log.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=WORKERS_MAX, help="Processes that turn the log into figures (--full).")
    ] = 1,
    ingestors: Annotated[
        int, typer.Option(min=1, max=INGESTORS_MAX, help="Processes that fill the log (--full).")
    ] = 1,
    host: Annotated[
        str, typer.Option(help="Address of the API; others than 127.0.0.1 let other machines in.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the API; 0: any free one.")] = 8000,
) -> None:
    """Run a district: a broker, a store, a log, and swept ingest, process and serve on them.

    Without [bold]--full[/bold] all servers come with swept. With it the broker is Mosquitto and the log Kafka,
    which the system must have (Debian: mosquitto, default-jre-headless, maven), and there may be many ingestors
    and workers. Where SWEPT_STORE_URL, SWEPT_MQTT_URL or SWEPT_LOG_URL name a server, that is used instead;
    what is started here listens on 127.0.0.1 only.

    State and logs are in SWEPT_HOME. What dies is started again; other commands (status, report, simulate) join.
    Ctrl-C or SIGTERM ends all in good order, and the next swept up goes on where this ended.
    """
    from swept.child_server import free_port
    from swept.ingest import district_id_of
    from swept.process import stopped
    from swept.roles import environment_of, migrate, programs, wait_for_api
    from swept.settings import read_settings
    from swept.supervisor import running
    from swept.wiring import servers

    settings = read_settings()
    if not full and (workers, ingestors) != (1, 1):
        raise UserError(
            "--workers and --ingestors need --full: on the embedded log one of each does all the work."
        )
    found = running(settings.home)
    if found is not None:
        raise UserError(
            f"a swept runs in {settings.home} already, process {found['pid']}; end it, or set SWEPT_HOME."
        )
    district_id = district_id_of(settings.district_folder)
    port = port or free_port()
    api_url = f"http://{host}:{port}"
    with stopped() as stop, servers(settings, full=full) as (where, supervisor):
        environment = environment_of(where, settings)
        migrate(environment)
        for program in programs(
            environment,
            ("--host", host, "--port", str(port)),
            (district_id, ingestors) if full else None,
            workers,
        ):
            supervisor.start(program)
        supervisor.say(api_url=api_url, ingestors=str(ingestors))
        wait_for_api(supervisor, api_url, settings.home / "logs/api.log")
        for line in (*where.lines, f"API     {api_url}/docs", f"state   {settings.home}"):
            print(f"up: {line}", flush=True)
        print("up: " + ", ".join(f"{name} {pid}" for name, pid in supervisor.pids.items()), flush=True)
        while not stop():
            supervisor.check()
            time.sleep(0.2)
