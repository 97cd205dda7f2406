"""The commands of swept as programs of a supervisor: what `swept demo` and `swept up` start.

Each is a command line that a person could type; where store, broker and log are, it gets by its environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from swept.errors import UserError
from swept.settings import Settings
from swept.supervisor import Program, Supervisor
from swept.wiring import Services

GROUP = "swept"
READY_S_MAX = 120.0
MIGRATE_S_MAX = 600.0
SWEPT = (sys.executable, "-m", "swept.main")


def environment_of(where: Services, settings: Settings) -> dict[str, str]:
    """What a command needs to find the same store, broker, log and district as we."""
    return {
        "SWEPT_STORE_URL": where.store_url,
        "SWEPT_MQTT_URL": where.mqtt_url,
        "SWEPT_LOG_URL": where.log_url or "",
        "SWEPT_DISTRICT": "" if settings.district is None else str(settings.district),
        "SWEPT_HOME": str(settings.home),
        "PYTHONUNBUFFERED": "1",
    }


def migrate(environment: Mapping[str, str]) -> None:
    """Make the store's tables and the log's topics."""
    done = subprocess.run(
        [*SWEPT, "migrate"],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=MIGRATE_S_MAX,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        raise UserError(f"swept migrate failed: {lines[-1].removeprefix('swept: ')}")


def programs(
    environment: Mapping[str, str],
    serve: tuple[str, ...],
    group_of: tuple[str, int] | None = None,
    workers: int = 1,
) -> list[Program]:
    """Ingest, workers and API. `group_of` is a district and how many ingestors share its messages.

    Each member has a session of its own at the broker, which goes on where it ended: so they are numbered, and
    a group stays a group when it has one member.
    """

    def program(name: str, *arguments: str) -> Program:
        # PostgreSQL then says which of its connections are whose.
        return Program(name, (*SWEPT, *arguments), {**environment, "PGAPPNAME": f"swept {name}"})

    if group_of is None:
        ingestors = [program("ingest", "ingest")]
    else:
        district_id, count = group_of
        ids = [(name, f"swept-ingest-{district_id}-{number}") for number, name in numbered("ingest", count)]
        ingestors = [
            program(name, "ingest", "--group", GROUP, "--client-id", client_id) for name, client_id in ids
        ]
    working = [program(name, "process") for _, name in numbered("worker", workers)]
    return [*ingestors, *working, program("api", "serve", *serve)]


def numbered(name: str, count: int) -> list[tuple[int, str]]:
    """Numbers from 1 on, and the name with each; one alone keeps the name as it is."""
    return [(number, name if count == 1 else f"{name}-{number}") for number in range(1, count + 1)]


def wait_for_api(supervisor: Supervisor, api_url: str, log: Path) -> None:
    """Return when the API answers; UserError where it never does."""
    deadline = time.monotonic() + READY_S_MAX
    while not _answers(api_url):
        supervisor.check()
        if time.monotonic() > deadline:
            raise UserError(f"the API doesn't answer; see {log}.")
        time.sleep(0.1)


def _answers(api_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api_url}/api/v1/streets", timeout=5):  # noqa: S310 - our own
            return True
    except OSError:
        return False
