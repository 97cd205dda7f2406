"""`swept process` and `swept serve` as a user starts them."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg

from processing.pipeline import Core
from streams.log import Envelope
from swept.kernels import warm
from tests.integration.small_world import close_logs, district, log_of


def command(store_url: str, home: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SWEPT_")}
    environment |= {
        "SWEPT_STORE_URL": store_url,
        "SWEPT_MQTT_URL": "mqtt://127.0.0.1:1",  # neither command talks to a broker
        "SWEPT_HOME": str(home),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "swept.main", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_process_once_reads_the_log_to_its_end_and_keeps_the_district(
    store_url: str, connection: psycopg.Connection, tmp_path: Path
) -> None:
    log_of(store_url, [Envelope("u", "swept/v1/zhanqian/u/fix", b"no", 1)])
    close_logs()
    started = command(store_url, tmp_path, "process", "--once")
    out, err = started.communicate(timeout=240)
    assert started.returncode == 0, err
    assert "1 records" in out
    assert "1 refused" in out
    assert connection.execute("SELECT district_id, version FROM district_version").fetchall() == [
        ("zhanqian", 1)
    ]


def test_serve_answers_on_loopback_and_ends_when_told(store_url: str, tmp_path: Path) -> None:
    started = command(store_url, tmp_path, "serve", "--port", "0")
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, line
        answer = httpx.get(f"{found[0]}/api/v1/status", timeout=30)
        assert json.loads(answer.text)["district_id"] == "zhanqian"
    finally:
        started.send_signal(signal.SIGTERM)
        _, err = started.communicate(timeout=60)
    assert started.returncode == 0, err
    assert not err


def test_at_a_terminal_a_wait_for_kernels_that_are_not_compiled_yet_is_shown(
    store_url: str, tmp_path: Path
) -> None:
    outer, inner = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SWEPT_")}
    environment |= {
        "SWEPT_STORE_URL": store_url,
        "SWEPT_MQTT_URL": "mqtt://127.0.0.1:1",
        "XDG_CACHE_HOME": str(tmp_path),
        "TERM": "xterm",
        "COLUMNS": "100",
    }
    started = subprocess.Popen(
        [sys.executable, "-m", "swept.main", "process", "--once"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=inner,
    )
    os.close(inner)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while more := os.read(outer, 65_536):
            shown += more
    os.close(outer)
    assert started.wait(60) == 0
    assert b"making ready" in shown
    assert list(tmp_path.glob("swept/kernels-*/**/*.nbi")), "they are kept for the next start"


def test_a_short_drive_goes_through_the_whole_core() -> None:
    assert warm(Core(district())) > 0
