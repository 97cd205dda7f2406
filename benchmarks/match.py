"""Matching beside its peers in one run: fixes a second, wrongly placed fixes, growth with the map, compile time.

    python benchmarks/match.py [--seed N] [--repeats N] [--tiles N] [--out DIR] [--against PATH]

Whole tracks of a simulated shift, on one core. Fixes a second are the fixes given over the seconds taken,
whether a matcher looks at each of them or not; fastmm's trajectories are made beforehand, which costs it
nothing here. All matchers take turns in each repeat, and medians count. A fix is wrongly placed when its edge
isn't the true one, more than 10 m from a junction. --against names another checkout of swept, which is
measured in the same turns; --out writes a table and a plot.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from swept.kernel_cache import use_own_cache

use_own_cache()

from benchmarks.drives import Drive, grid_of, tiled, write_drives
from benchmarks.match_report import Growth, Row, markdown, plot
from benchmarks.peers import PLAIN, TUNED, Fastmm, Snap, Tuning
from benchmarks.placed import Counts, Placed, edge_at, judge, placed_fixes
from processing.district import District
from processing.district_files import Round
from processing.fix import Kind
from processing.match import TrackFixes, match_track
from processing.pipeline import Core
from simulators.scenario import Scenario, load_scenario, true_shift
from simulators.vehicle import states
from swept.playing import district_and_plan
from swept.settings import configs_folder

#: Noise in metres and seconds between two fixes.
GRID = ((3.0, 1.0), (5.0, 5.0), (8.0, 15.0))
#: The one that growth and first calls are measured with.
USUAL = (5.0, 5.0)
#: Candidates of a fix that fastmm gets.
CANDIDATES = 6
DISTRICT = configs_folder() / "zhanqian"
CHILD = Path(__file__).with_name("release.py")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, eq=False)
class TrueTrack:
    """A track of a drive as the matcher takes it, with its true places."""

    unit_id: str
    fixes: TrackFixes
    line: NDArray[np.int64]
    measure_m: NDArray[np.float64]


def drives_of(district: District, scenario: Scenario, rounds: Sequence[Round] | None) -> list[Drive]:
    """The drives of all units in a simulated shift; reports of the equipment alone are left out."""
    shift = true_shift(district, scenario, rounds)
    sensed = shift.sensed()
    drives = []
    for outing in shift.outings:
        unit_id = outing.motion.unit.unit_id
        reports = sensed[unit_id]
        reports = reports.take(reports.kind == Kind.FIX)
        true = states(outing.motion, shift.roads, reports.fix_time_us)
        drives.append(Drive(unit_id, reports, true.line, true.measure_m))
    return drives


def tracks_of(core: Core, drives: Sequence[Drive]) -> list[TrueTrack]:
    """The tracks of drives, as the core cuts them."""
    tracks = []
    for drive in drives:
        for fixes, _ in core.matched(drive.unit_id, drive.reports):
            rows = np.searchsorted(drive.reports.fix_time_us, fixes.time_us)
            tracks.append(TrueTrack(drive.unit_id, fixes, drive.line[rows], drive.measure_m[rows]))
    return tracks


def match_all(core: Core, tracks: Sequence[TrueTrack]) -> list[Any]:
    """Steps, candidates and Viterbi of whole tracks."""
    return [
        match_track(core.network, core.routes, one.fixes, core.units[one.unit_id].profile, core.rules)
        for one in tracks
    ]


def place_all(core: Core, tracks: Sequence[TrueTrack]) -> list[Placed]:
    """The same, with the joined path and each fix's place on it."""
    matches = match_all(core, tracks)
    return [placed_fixes(core, one.fixes, match) for one, match in zip(tracks, matches, strict=True)]


class Release:
    """Another checkout, or this one, as a process that matches when told to."""

    def __init__(self, checkout: Path, drives: Path) -> None:
        command = [sys.executable, str(CHILD), "rate", str(drives), str(DISTRICT)]
        self._process = subprocess.Popen(
            command, env=environment(checkout), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        if self._answer() != "ready":
            raise RuntimeError("the other checkout can't match these drives; its message stands above")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def seconds(self) -> float:
        """Match all drives once."""
        return float(self._ask("go"))

    def counts(self, core: Core, tracks: Sequence[TrueTrack], folder: Path) -> Counts:
        """Judge where it has each fix, by this checkout's network."""
        self._ask(f"places {folder / 'places.npz'}")
        with np.load(folder / "places.npz") as file:
            names, measure_m = file["line"].tolist(), file["measure_m"]
        number = {one.line_id: i for i, one in enumerate(core.line_references)}
        line = np.array([number.get(name, -1) for name in names])
        edge = np.where(line < 0, -1, edge_at(core.network, np.maximum(line, 0), np.nan_to_num(measure_m)))
        true_line = np.concatenate([one.line for one in tracks])
        true_m = np.concatenate([one.measure_m for one in tracks])
        return judge(core.network, Placed(edge, measure_m), true_line, true_m)

    def _ask(self, order: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def environment(checkout: Path, cache: Path | None = None) -> dict[str, str]:
    """Ours, with a checkout's modules first, and perhaps kernels in a folder of their own."""
    own = {"PYTHONPATH": os.pathsep.join([str(checkout), str(ROOT)])}
    return {**os.environ, **own, **({"XDG_CACHE_HOME": str(cache)} if cache else {})}


def in_turns(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each run; they take turns in each repeat. One that tells its seconds knows best."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            begun = time.perf_counter()
            told = run()
            took = time.perf_counter() - begun
            seconds[name].append(told if isinstance(told, float) else took)
    return {name: median(one) for name, one in seconds.items()}


def compare(core: Core, drives: Sequence[Drive], args: argparse.Namespace, folder: Path) -> list[Row]:
    """All matchers on the same tracks: their rates, and how often they are wrong."""
    tracks = tracks_of(core, drives)
    peer, snap = Fastmm(core.network, core.line_references), Snap(core.network, core.line_references)
    trajectories = [peer.trajectory(one.fixes.x_m, one.fixes.y_m, one.fixes.time_us) for one in tracks]
    x_m = np.concatenate([one.fixes.x_m for one in tracks])
    y_m = np.concatenate([one.fixes.y_m for one in tracks])
    true_line = np.concatenate([one.line for one in tracks])
    true_m = np.concatenate([one.measure_m for one in tracks])

    def judged(placed: Sequence[Placed]) -> Counts:
        whole = Placed(*(np.concatenate(column) for column in zip(*placed, strict=True)))
        return judge(core.network, whole, true_line, true_m)

    def of_peer(tuning: Tuning) -> Counts:
        pairs = zip(trajectories, tracks, strict=True)
        return judged([peer.placed(peer.match(a, CANDIDATES, tuning), len(b.fixes.x_m)) for a, b in pairs])

    own = judged(place_all(core, tracks))
    counts = {
        "swept": own,
        "swept, with the path": own,
        "fastmm": of_peer(PLAIN),
        "fastmm, tuned": of_peer(TUNED),
        "STRtree snap": judged([snap.place(x_m, y_m)]),
    }
    runs: dict[str, Callable[[], object]] = {
        "swept": lambda: match_all(core, tracks),
        "swept, with the path": lambda: place_all(core, tracks),
        "fastmm": lambda: [peer.match(one, CANDIDATES) for one in trajectories],
        "fastmm, tuned": lambda: [peer.match(one, CANDIDATES, TUNED) for one in trajectories],
        "STRtree snap": lambda: snap.place(x_m, y_m),
    }
    if args.against is None:
        seconds = in_turns(runs, args.repeats)
    else:
        write_drives(folder / "drives.npz", drives)
        with (
            Release(ROOT, folder / "drives.npz") as this,
            Release(args.against.resolve(), folder / "drives.npz") as other,
        ):
            runs |= {"swept, from reports": this.seconds, "the other, from reports": other.seconds}
            counts |= {
                "swept, from reports": own,
                "the other, from reports": other.counts(core, tracks, folder),
            }
            seconds = in_turns(runs, args.repeats)
    return [Row(name, seconds[name], *counts[name]) for name in runs]


def growth(district: District, drives: Sequence[Drive], core: Core, repeats: int, tiles: int) -> Growth | str:
    """The same drives in one district and in each of so many side by side; or why that can't be."""
    town, everywhere = tiled(district, drives, *grid_of(tiles))
    try:
        large = Core(town)
    except ValueError as error:
        return f"{len(town.streets):,} streets are refused: {error}"
    few, many = tracks_of(core, drives), tracks_of(large, everywhere)
    seconds = in_turns(
        {"few": lambda: match_all(core, few), "many": lambda: match_all(large, many)},
        repeats,
    )
    with tempfile.TemporaryDirectory() as name:
        write_drives(Path(name) / "drives.npz", drives)
        sizes = [child("memory", Path(name) / "drives.npz", str(n)) for n in (1, tiles)]
    us = (1e6 * seconds["few"] / _fixes(few), 1e6 * seconds["many"] / _fixes(many))
    return Growth(us[0], us[1], sizes[0], sizes[1])


def _fixes(tracks: Sequence[TrueTrack]) -> int:
    return sum(len(one.fixes.time_us) for one in tracks)


def child(what: str, drives: Path, *more: str, cache: Path | None = None) -> dict[str, float]:
    """What a process of its own measures; see release.py."""
    command = [sys.executable, str(CHILD), what, str(drives), str(DISTRICT), *more]
    done = subprocess.run(command, env=environment(ROOT, cache), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"release.py {what}: {done.stderr.strip()[-500:]}")
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def first_calls(drives: Sequence[Drive]) -> dict[str, dict[str, float]]:
    """What the first call costs without compiled kernels, and in the next process with them."""
    with tempfile.TemporaryDirectory() as name:
        write_drives(Path(name) / "drives.npz", drives)
        return {
            state: child("first", Path(name) / "drives.npz", cache=Path(name) / "cache")
            for state in ("cold", "warm")
        }


def main() -> None:
    """Measure, print, and write where told to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tiles", type=int, default=10, help="districts in the large town (default 10)")
    parser.add_argument("--out", type=Path, help="write match.md and match.svg here")
    parser.add_argument("--against", type=Path, help="another checkout of swept to compare with")
    args = parser.parse_args()
    if args.against and not (args.against / "processing" / "pipeline.py").is_file():
        sys.exit(f"{args.against} is no checkout of swept.")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    district, rounds = district_and_plan(DISTRICT)
    base = load_scenario(configs_folder() / "scenarios" / "shift.toml")
    core = Core(district)
    tables: dict[str, list[Row]] = {}
    plain: list[Drive] = []
    for sigma_m, every_s in GRID:
        reception = replace(base.reception, sigma_m=sigma_m, fix_interval_s=every_s)
        drives = drives_of(district, replace(base, seed=args.seed, reception=reception), rounds)
        plain = drives if (sigma_m, every_s) == USUAL else plain
        with tempfile.TemporaryDirectory() as folder:
            tables[f"{sigma_m:.0f} m, {every_s:.0f} s"] = compare(core, drives, args, Path(folder))
    grown = growth(district, plain, core, args.repeats, args.tiles)
    calls = first_calls(plain)
    text = markdown(tables, grown, calls, args.seed, args.repeats)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "match.md").write_text(text, encoding="utf-8")
        plot(tables, args.out / "match.svg")
    rows = {name: [row.as_json() for row in table] for name, table in tables.items()}
    told = grown if isinstance(grown, str) else asdict(grown)
    print(json.dumps({"seed": args.seed, "tables": rows, "growth": told, "first_calls": calls}))


if __name__ == "__main__":
    main()
