"""One release of swept as a process of its own, so that it can be measured beside another, or from cold.

    python benchmarks/release.py {rate,first,memory} DRIVES.npz FOLDER [TILES]

It measures whichever checkout PYTHONPATH names first. `rate` matches all drives once at each line of its
input that says `go`, and prints the seconds; at `places FILE` it writes where it has each fix. `first` says
what the first call costs, `memory` what a map of so many tiles takes.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

BEGUN = time.perf_counter()

from swept.kernel_cache import use_own_cache

use_own_cache()

import numpy as np

from benchmarks.drives import Drive, grid_of, read_drives, tiled
from benchmarks.placed import placed_fixes
from processing.pipeline import Core
from swept.district import load_folder

if TYPE_CHECKING:
    from processing.fix import ReportColumns


def rate(core: Core, drives: list[tuple[str, ReportColumns]]) -> None:
    """Match when told to."""
    _match(core, drives)
    print("ready", flush=True)
    for line in sys.stdin:
        order, _, name = line.strip().partition(" ")
        if order == "go":
            begun = time.perf_counter()
            _match(core, drives)
            print(time.perf_counter() - begun, flush=True)
        else:
            _write_places(core, drives, Path(name))
            print("written", flush=True)


def _match(core: Core, drives: list[tuple[str, ReportColumns]]) -> None:
    for unit_id, reports in drives:
        core.matched(unit_id, reports)


def _write_places(core: Core, drives: list[tuple[str, ReportColumns]], path: Path) -> None:
    """Line ids (empty: nowhere) and measures of all fixes, track by track, as tracks_of has them."""
    lines: list[str] = []
    measures_m: list[float] = []
    for unit_id, reports in drives:
        for fixes, match in core.matched(unit_id, reports):
            placed = placed_fixes(core, fixes, match)
            lines += [core.line_of_edge(edge) if edge >= 0 else "" for edge in placed.edge.tolist()]
            measures_m += placed.measure_m.tolist()
    np.savez(path, line=np.array(lines), measure_m=np.array(measures_m))


def first(core: Core, drives: list[tuple[str, ReportColumns]]) -> dict[str, float]:
    """Seconds of the first match, and of the first passes and street-days after it."""
    made_s = time.perf_counter()
    unit_id, reports = min(drives, key=lambda drive: len(drive[1]))
    core.matched(unit_id, reports)
    matched_s = time.perf_counter()
    passes = [one for track in core.tracks(unit_id, reports, {}) for one in track.passes or ()]
    core.street_days(passes)
    return {
        "start_s": made_s - BEGUN,
        "match_s": matched_s - made_s,
        "passes_s": time.perf_counter() - matched_s,
    }


def memory(folder: Path, drives: list[tuple[str, ReportColumns]], tiles: int) -> dict[str, float]:
    """What it takes to build the town and to match in it: seconds, nodes and bytes."""
    nothing = np.empty(0, dtype=np.int64), np.empty(0)
    town = [Drive(unit_id, reports, *nothing) for unit_id, reports in drives]
    district, everywhere = tiled(load_folder(folder), town, *grid_of(tiles))
    before = _peak_bytes()
    begun = time.perf_counter()
    core = Core(district)
    build_s = time.perf_counter() - begun
    _match(core, [(one.unit_id, one.reports) for one in everywhere])
    return {
        "streets": len(district.streets),
        "nodes": core.network.nodes,
        "edges": len(core.network.edges),
        "route_bytes": bytes_of(core.routes),
        "network_bytes": bytes_of(core.network),
        "build_s": build_s,
        "peak_bytes": _peak_bytes(),
        "before_bytes": before,
    }


def bytes_of(value: Any) -> int:  # noqa: ANN401 - whatever tables are made of
    """Bytes of all arrays in a value."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    return sum(bytes_of(one) for one in value) if isinstance(value, tuple) else 0


def _peak_bytes() -> int:
    """The most memory this process ever held; what getrusage says counts that of its parent, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0])
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib if sys.platform == "darwin" else 1024 * kib


def main() -> None:
    """Do what the command line says."""
    what, path, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    drives = read_drives(path)
    if what == "memory":
        print(json.dumps(memory(folder, drives, int(sys.argv[4]))))
        return
    core = Core(load_folder(folder))
    if what == "first":
        print(json.dumps(first(core, drives)))
    else:
        rate(core, drives)


if __name__ == "__main__":
    main()
