"""kill -9 of worker, ingest, broker and database at random moments of a demo; the figures must not change.

Each kill prints what it hit and how much was in flight: records in the log that no figure had seen yet, for
the worker and the database, reports that no device had been told are durable, for ingest and the broker.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swept.supervisor import running

KILLS = 20
IN_FLIGHT_MIN = 15
VICTIMS = ("worker", "ingest", "broker", "store")
RATE = "250"
END_S_MAX = 600.0


class Run:
    """A demo as a process of its own."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.home = home / "demo"
        self.output = home / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "swept.main", "demo", "--rate", RATE],
                env={**os.environ, "SWEPT_HOME": str(home), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def told(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + END_S_MAX
        while text not in self.told():
            assert self.process.poll() is None, self.told()
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.1)

    def get(self, question: str) -> Any:
        found = running(self.home)
        assert found is not None
        with urllib.request.urlopen(f"{found['api_url']}/api/v1/{question}", timeout=60) as answer:
            return json.load(answer)

    def kill(self, name: str) -> str:
        """Kill one of the processes; how far the line was."""
        found = running(self.home)
        assert found is not None
        lag = None
        with contextlib.suppress(OSError):
            lag = self.get("status")["lag"]
        with contextlib.suppress(ProcessLookupError):
            os.kill(found["programs"][name], signal.SIGKILL)
        return f"{name} (process {found['programs'][name]}), {lag} records in the log not yet in a figure"

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def demo(home: Path) -> Iterator[Run]:
    run = Run(home)
    try:
        run.wait_for("processes: ")
        yield run
    finally:
        run.close()


def figures(run: Run) -> list[dict[str, Any]]:
    run.wait_for("Ctrl-C ends the demo")
    rows: list[dict[str, Any]] = run.get("frequency")
    return rows


@pytest.mark.chaos
@pytest.mark.timeout(1_500)
def test_figures_are_those_of_an_undisturbed_run_whatever_is_killed(tmp_path: Path) -> None:
    with demo(tmp_path / "undisturbed") as run:
        expected = figures(run)
    assert len(expected) == 144
    seed = random.SystemRandom().randrange(1_000_000)
    chance = random.Random(seed)
    print(f"seed {seed}")
    hits = 0
    with demo(tmp_path / "disturbed") as run:
        run.wait_for("acknowledged")
        for number in range(KILLS):
            time.sleep(chance.uniform(2.0, 6.0))
            playing = "Against the truth" not in run.told()
            hits += playing
            print(
                f"kill {number + 1}: {run.kill(VICTIMS[number % len(VICTIMS)])}, {'' if playing else 'not '}playing"
            )
        assert figures(run) == expected
        print(run.told()[-600:])
    assert hits >= IN_FLIGHT_MIN
