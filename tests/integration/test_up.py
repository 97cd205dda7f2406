"""`swept up` as a user starts it: a short simulated shift gives passes, what dies comes back, Ctrl-C ends all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from swept.settings import read_settings
from swept.supervisor import running
from swept.wiring import open_log, services

SHORT = "units = 4\nshift_end_s = 23400\n"
WAIT_S = 240.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"


@dataclass(frozen=True)
class Up:
    """A `swept up` that runs."""

    process: subprocess.Popen[str]
    home: Path
    told: str

    @property
    def facts(self) -> dict[str, Any]:
        found = running(self.home)
        assert found is not None
        return found

    @property
    def programs(self) -> dict[str, int]:
        pids: dict[str, int] = self.facts["programs"]
        return pids

    def ask(self, question: str) -> Any:
        with psycopg.connect(self.facts["store_url"]) as connection:
            row = connection.execute(question).fetchone()
        assert row is not None
        return row[0]

    def run(self, *arguments: str) -> str:
        return swept(self.home, *arguments)

    def play(self, folder: Path) -> int:
        """Play the short shift; returns how many passes there are when all is in the figures."""
        folder.mkdir(exist_ok=True)
        (folder / "short.toml").write_text(SHORT)
        options = ("--scenario", str(folder / "short.toml"), "--out", str(folder), "--rate", "300")
        assert "durable in the log" in self.run("simulate", *options)
        wait_for(lambda: self.lag() == 0, f"the workers don't reach the log's end: {self.home / 'logs'}")
        return int(self.ask("SELECT count(*) FROM pass"))

    def lag(self) -> int:
        settings = read_settings({"SWEPT_HOME": str(self.home)})
        with services(settings) as where, contextlib.closing(open_log(where)) as log:
            ends = log.ends()
            with psycopg.connect(where.store_url) as connection:
                rows = connection.execute(
                    "SELECT partition, next_offset FROM checkpoint WHERE log_id = %s", [log.log_id]
                )
                done: dict[int, int] = dict(rows.fetchall())
        return sum(end - done.get(partition, 0) for partition, end in ends.items())


def environment(home: Path) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SWEPT_")}
    return mine | {"SWEPT_HOME": str(home), "COLUMNS": "200"}


def swept(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "swept.main", *arguments]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def up(home: Path, *options: str) -> Iterator[Up]:
    command = [sys.executable, "-m", "swept.main", "up", "--port", "0", *options]
    with subprocess.Popen(
        command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "worker" in line:  # the last line names all processes
                break
        else:
            pytest.fail(process.stderr.read())
        started = Up(process, home, "".join(lines))
        try:
            yield started
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(60)
        assert status == 0


@pytest.mark.slow
def test_the_embedded_form_runs_by_one_command_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home) as one:
        assert set(one.programs) == {"store", "broker", "ingest", "worker", "api"}
        passes = one.play(tmp_path / "run")
        assert passes > 0
        assert "kept running by process" in one.run("status")
        assert httpx.get(f"{one.facts['api_url']}/api/v1/status", timeout=30).status_code == 200
        pids = one.programs
    assert running(home) is None
    assert not any(map(alive, pids.values()))
    with up(home) as again:
        assert again.ask("SELECT count(*) FROM pass") == passes


def test_many_workers_on_the_embedded_log_are_refused_in_a_line(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "swept.main", "up", "--workers", "2"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--workers and --ingestors need --full" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "postgres").exists()
