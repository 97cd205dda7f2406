"""`swept up --full` as a user starts it: a shift over MQTT, Kafka and two workers gives what `swept analyze` computes."""

from __future__ import annotations

import contextlib
import csv
import signal
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from swept import kafka_server, mosquitto_server
from swept.settings import configs_folder
from swept.supervisor import running
from tests.integration.test_up import Up, alive, swept, up

ZONE = ZoneInfo("Asia/Shanghai")
FIGURES = ("frequency", "frequency_certain", "required", "coverage", "swept_m", "length_m", "verdict")
METRES = ("coverage", "swept_m", "length_m")


@pytest.mark.slow
def test_the_full_form_by_one_command_publishes_what_analyze_computes_and_ends_whole(tmp_path: Path) -> None:
    if lacking := kafka_server.missing() or mosquitto_server.missing():
        pytest.skip(lacking)
    home, run = tmp_path / "home", tmp_path / "run"
    with up(home, "--full", "--workers", "2", "--ingestors", "2") as one:
        assert set(one.programs) == {
            "store", "broker", "kafka", "ingest-1", "ingest-2", "worker-1", "worker-2", "api",
        }  # fmt: skip
        passes = one.play(run)
        expected = analyzed(home, run)
        assert passes == len(expected["passes"]) > 10
        assert published(one, expected) == expected
        children = descendants(one.process.pid)
        assert children > set(one.programs.values()), "PostgreSQL's own, and what watches the servers"
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(60) == 0
    assert running(home) is None
    assert not [pid for pid in children if alive(pid)]


def analyzed(home: Path, run: Path) -> dict[str, list[tuple[str, ...]]]:
    """What `swept analyze` says of the same shift: each street's figures, and all passes."""
    swept(home, "simulate", "--scenario", str(run / "short.toml"), "--offline", "--out", str(run))
    district = str(configs_folder() / "zhanqian")
    fixes = ("--fixes", str(run / "fixes.csv"), "--out", str(run / "results"))
    swept(home, "analyze", "--district", district, *fixes)
    return {
        "frequency": [
            (row["service_day"], row["street_id"], *(row[name] for name in FIGURES))
            for row in rows(run / "results/frequency.csv")
        ],
        "passes": sorted(
            (
                row["street_id"], row["unit"], row["work"], row["direction"], row["enter_time"],
                row["leave_time"], row["enter_m"], row["leave_m"], row["swept_m"], row["ambiguous_with"],
                row["certainty"],
            )
            for row in rows(run / "results/passes.csv")
        ),
    }  # fmt: skip


def published(one: Up, expected: dict[str, list[tuple[str, ...]]]) -> dict[str, list[tuple[str, ...]]]:
    """The same as the API tells it."""
    (day,) = {row[0] for row in expected["frequency"]}
    streets = {row[1] for row in expected["frequency"]}
    with httpx.Client(base_url=f"{one.facts['api_url']}/api/v1", timeout=30) as api:
        figures = answer(api, "/frequency", {"from": day, "to": day})
        passes = [row for street in streets for row in answer(api, f"/streets/{street}/passes", {"day": day})]
    return {
        "frequency": [
            (row["service_day"], row["street_id"], *(figure(name, row[name]) for name in FIGURES))
            for row in figures
        ],
        "passes": sorted(
            (
                row["street_id"], row["unit_id"], row["work"], "1" if row["direction"] == "along" else "-1",
                instant(row["enter_time"]), instant(row["leave_time"]), f"{row['enter_measure_m']:.3f}",
                f"{row['leave_measure_m']:.3f}", f"{row['swept_m']:.3f}", row["ambiguous_with"] or "",
                f"{row['certainty']:.3f}",
            )
            for row in passes
        ),
    }  # fmt: skip


def answer(api: httpx.Client, path: str, query: dict[str, str]) -> Any:
    found = api.get(path, params=query)
    assert found.status_code == 200, found.text
    return found.json()


def figure(name: str, value: object) -> str:
    if name == "coverage":
        return f"{value:.4f}"
    return f"{value:.3f}" if name in METRES else str(value)


def instant(text: str) -> str:
    """As `swept analyze` writes it, in the district's zone."""
    return datetime.fromisoformat(text).astimezone(ZONE).isoformat(timespec="milliseconds")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def descendants(pid: int) -> set[int]:
    """All processes that this one started, and those that these started."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parents[int(stat.parent.name)] = int(
                stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            )
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}
