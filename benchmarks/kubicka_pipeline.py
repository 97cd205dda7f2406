"""Play recordings with known routes through the whole line and say how much of the routes the store has.

    python benchmarks/kubicka_pipeline.py FOLDER [--track NAME ...]

As benchmarks/kubicka.py, but over MQTT, the log and the store: for each track a district whose streets are the
arcs of its map, a broker and a store of its own, and `swept ingest`, `process` and `replay` as processes. What
the store's passes drove of each arc is compared with the true route in metres. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psycopg

from swept.kernel_cache import use_own_cache

use_own_cache()

from processing.district import Street
from processing.district_files import parse_district
from processing.pipeline import Core
from processing.service_day import US, from_us
from processing.street_files import to_geojson
from simulators.kubicka import TINY_DEG, Recording, read_recording, track_folders
from storage.queries.dead_letters import reasons
from storage.queries.passes import passes_between
from swept.demo_view import Line
from swept.district import read_folder
from swept.supervisor import Program
from swept.wiring import embedded

DISTRICT_ID = "recording"
#: The recordings say seconds since some moment; any will do, as long as it isn't now.
EPOCH_US = 1_370_000_000 * US
PLAY_S = 3.0
COMMIT_S_MAX = 120.0
SPEED_ALONE_TELLS = (
    "[car]\nworking_when = []\nwork_kmh_min = 0.0\nwork_kmh_max = 100.0\ntop_speed_kmh = 200.0\n"
)


@dataclass(frozen=True, slots=True)
class Result:
    """Metres of one track; `both` is what the store's passes and the true route have in common."""

    name: str
    fixes: int
    refused: int
    true_m: float
    found_m: float
    both_m: float
    swept_m: float

    @property
    def recall(self) -> float:
        """Share of the true route that was matched."""
        return self.both_m / self.true_m

    @property
    def precision(self) -> float:
        """Share of what was matched that is true."""
        return self.both_m / self.found_m if self.found_m else 0.0

    def __str__(self) -> str:
        return (
            f"{self.name} recall {self.recall:.4f} precision {self.precision:.4f} of {self.true_m:,.0f} m, "
            f"{self.swept_m / self.true_m:.4f} swept; {self.fixes:,} fixes, {self.refused} refused"
        )


def play_through(recording: Recording) -> Result:
    """Play a recording (read with tiny_deg=TINY_DEG) through a line of its own and look into the store."""
    # Not below a folder that only we may enter: as root the store runs as another user.
    with tempfile.TemporaryDirectory(prefix="swept-recording-") as root:
        Path(root).chmod(0o711)
        folder, file, home = Path(root) / "district", Path(root) / "fixes.csv", Path(root) / "home"
        write_district(folder, recording)
        write_fixes(file, recording)
        core = Core(parse_district(read_folder(folder)))
        with embedded(home, mqtt_port=0) as (store_url, _, supervisor):
            environment = _environment(home)
            _swept(environment, "district", "load", str(folder))
            own = (sys.executable, "-m", "swept.main")
            supervisor.start(Program("ingest", (*own, "ingest", "--district", DISTRICT_ID), environment))
            supervisor.start(Program("worker", (*own, "process"), environment))
            with contextlib.closing(Line(store_url, core, EPOCH_US)) as line:
                seconds = float(recording.fixes[-1, 2] - recording.fixes[0, 2])
                rate = f"{max(1.0, seconds / PLAY_S):.3f}"
                _swept(environment, "replay", str(file), "--rate", rate, "--district", str(folder))
                deadline = time.monotonic() + COMMIT_S_MAX
                while not line.is_done():
                    supervisor.check()
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{recording.name}: not committed after {COMMIT_S_MAX:.0f} s")
                    time.sleep(0.1)
            return compare(recording, core, store_url)


def write_district(folder: Path, recording: Recording) -> None:
    """A district's folder whose streets are the recording's arcs, cut at their junctions already."""
    folder.mkdir()
    streets = [Street(one.line_id, one.line_id, one.parts, one.oneway) for one in recording.roads]
    (folder / "streets.geojson").write_bytes(to_geojson(streets, noded=True))
    (folder / "district.toml").write_text(
        f'id = "{DISTRICT_ID}"\nname = "{recording.name}"\ntimezone = "UTC"\n', encoding="utf-8"
    )
    (folder / "profiles.toml").write_text(SPEED_ALONE_TELLS, encoding="utf-8")
    (folder / "units.toml").write_text('[[unit]]\nid = "car"\nname = "car"\nprofile = "car"\n', "utf-8")


def write_fixes(path: Path, recording: Recording) -> None:
    """The recording as a CSV that `swept replay` plays."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("unit", "time", "lon", "lat"))
        for lon, lat, seconds in recording.fixes.tolist():
            moment = from_us(EPOCH_US + round(seconds * US)).isoformat(timespec="milliseconds")
            writer.writerow(("car", moment, lon, lat))


def compare(recording: Recording, core: Core, store_url: str) -> Result:
    """Metres driven on each arc, by the store's passes and by the route; an arc driven twice counts twice."""
    length_mm = {street_id: one.length_mm for street_id, one in core.references.items()}
    true = Counter[str]()
    for arc in recording.route:
        true[arc] += length_mm[arc]
    found, swept = Counter[str](), Counter[str]()
    end_us = EPOCH_US + round(float(recording.fixes[-1, 2]) * US) + 1
    with psycopg.connect(store_url, autocommit=True) as connection:
        refused = sum(reasons(connection).values())
        for arc in length_mm:
            for one in passes_between(connection, arc, EPOCH_US, end_us):
                found[arc] += abs(one.leave_mm - one.enter_mm)
                swept[arc] += one.swept_mm
    return Result(
        recording.name,
        len(recording.fixes),
        refused,
        true_m=true.total() / 1000,
        found_m=found.total() / 1000,
        both_m=(true & found).total() / 1000,
        swept_m=(true & swept).total() / 1000,
    )


def _environment(home: Path) -> dict[str, str]:
    """Ours with no other setting than where the servers run, so that the programs join these."""
    inherited = dict.fromkeys((name for name in os.environ if name.startswith("SWEPT_")), "")
    return {**os.environ, **inherited, "SWEPT_HOME": str(home), "PYTHONUNBUFFERED": "1"}


def _swept(environment: dict[str, str], *arguments: str) -> None:
    command = (sys.executable, "-m", "swept.main", *arguments)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"swept {' '.join(arguments)}: {done.stderr.strip()[-500:]}")


def main() -> None:
    """Play the tracks of a folder, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--track", action="append", default=[], help="only this one; may be repeated")
    args = parser.parse_args()
    begun = time.monotonic()
    try:
        folders = [one for one in track_folders(args.folder) if not args.track or one.name in args.track]
    except ValueError as error:
        sys.exit(f"{error}.")
    results = []
    for folder in folders:
        results.append(play_through(read_recording(folder, tiny_deg=TINY_DEG)))
        print(results[-1], flush=True)
    true_m = sum(one.true_m for one in results)
    both_m = sum(one.both_m for one in results)
    figures = {
        "tracks": len(results),
        "fixes": sum(one.fixes for one in results),
        "recall": round(statistics.mean(one.recall for one in results), 4),
        "precision": round(statistics.mean(one.precision for one in results), 4),
        "recall_by_length": round(both_m / true_m, 4),
        "seconds": round(time.monotonic() - begun),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
