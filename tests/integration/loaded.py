"""A store in which the small world's district is loaded and its shift counted, by the commands themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from processing.street_files import to_geojson
from swept.main import run
from tests.integration.small_world import ROUND_M, START_US, close_logs, district, drive, log_of, message

#: When all of the round arrives.
RECEIVED_US = START_US + 3_600_000_000
FILES = {
    "district.toml": 'id = "test"\nname = "Test [old town]"\n',
    "profiles.toml": "[sweeper]\n",
    "units.toml": '[[unit]]\nid = "u1"\nname = "One"\nprofile = "sweeper"\n',
    "shifts.toml": '[[shift]]\nid = "early"\nname = "Early"\nstart = "06:00"\nend = "14:00"\nroster = ["u1"]\n',
}


def write_folder(folder: Path) -> Path:
    """The small world as a district's folder, with one unit and its shift."""
    folder.mkdir()
    small = district()
    (folder / "streets.geojson").write_bytes(to_geojson(small.streets))
    (folder / "roads.geojson").write_bytes(to_geojson(small.roads))
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def point_at(store_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands use this store, and no broker."""
    monkeypatch.setenv("SWEPT_STORE_URL", store_url)
    monkeypatch.setenv("SWEPT_MQTT_URL", "mqtt://127.0.0.1:1")
    monkeypatch.setenv("SWEPT_HOME", str(home))
    monkeypatch.delenv("SWEPT_DISTRICT", raising=False)


def count_a_round(folder: Path, store_url: str) -> None:
    """Load the district; u1 drives its round once, and sends one thing that is refused."""
    assert run(["district", "load", str(write_folder(folder / "district"))]) == 0
    fixes = drive(START_US, ROUND_M)
    log_of(store_url, [message("u1", fixes, RECEIVED_US), message("u1", [{"lon": 1, "lat": 2}], RECEIVED_US)])
    close_logs()
    assert run(["process", "--once"]) == 0
